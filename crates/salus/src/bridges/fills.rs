use std::sync::Arc;

use ::pharmacy::dispatch::{
    checks::{FillChecks, FillCircumstances, against_charging},
    hold::{ActivePlan, Contest, ContestKind, PrescriberStanding, TreatmentStanding},
};
use ::pharmacy::{prescription::PrescriptionState, safety::CuratedInteractions};
use async_trait::async_trait;
use billing::stopped::Treatments;
use care::{PlanStatus, TaskKind, assessment::standing_refusal};
use kernel::{Actor, CategoryId, InvoiceId, PatientId, ProviderId, Uuid};
use ports::Result;

use super::{Bridges, crossing};

impl Bridges {
    /// Whether something speaks against sending the patient what the category
    /// treats with, as of now.
    pub(super) async fn treatment_stopped(
        &self,
        patient: PatientId,
        category: CategoryId,
    ) -> Result<bool> {
        let own = Arc::new(self.clone());
        let checks = FillChecks {
            circumstances: own.clone(),
            record: own.clone(),
            interactions: Arc::new(CuratedInteractions),
        };
        let whose = (patient, category);
        let found =
            against_charging(&self.env, self.fulfilment.as_ref(), &checks, own.as_ref(), whose)
                .await
                .map_err(|error| crossing("what speaks against a treatment", error))?;
        Ok(!found.is_empty())
    }
}

#[async_trait]
impl Treatments for Bridges {
    async fn is_stopped(&self, patient: PatientId, category: CategoryId) -> Result<bool> {
        self.treatment_stopped(patient, category).await
    }

    async fn blocked_prescription(
        &self,
        patient: PatientId,
        category: CategoryId,
    ) -> Result<Option<Uuid>> {
        let actor = Actor::system("billing.paid_but_stopped");
        let mut tx = self.care.begin(&actor).await?;
        let Some(plan) = tx.active_plan(patient, category).await? else { return Ok(None) };
        drop(tx);
        let mut tx = self.fulfilment.begin(&actor).await?;
        let open = tx.open_prescription(plan.id).await?;
        Ok(open
            .filter(|open| matches!(open.state, PrescriptionState::Blocked { .. }))
            .map(|open| open.id.uuid()))
    }
}

#[async_trait]
impl FillCircumstances for Bridges {
    async fn patient_active(&self, patient: PatientId) -> Result<bool> {
        identity::directory::is_active_patient(&self.identity, patient)
            .await
            .map_err(|error| crossing("a patient's account", error))
    }

    async fn treatment(
        &self,
        patient: PatientId,
        category: CategoryId,
    ) -> Result<TreatmentStanding> {
        let mut tx = self.care.begin(&Actor::system("pharmacy.fill_checks")).await?;
        let mut plans = tx.plans(patient).await?;
        plans.retain(|plan| plan.category == category);
        let active = plans.iter().find(|plan| plan.status == PlanStatus::Active);
        let last = plans.iter().max_by_key(|plan| (plan.first.at, plan.id));
        let assessments = tx.assessments(patient).await?;
        let since = active.or(last).map(|plan| plan.first.at);
        Ok(TreatmentStanding {
            active: active.map(|plan| ActivePlan {
                plan: plan.id,
                version: plan.current().number,
                provider: plan.provider,
            }),
            last_provider: last.map(|plan| plan.provider),
            refusal: since.and_then(|since| standing_refusal(&assessments, category, since)),
            open_tasks: tx.open_tasks_about(patient, &TaskKind::CHANGES).await?,
        })
    }

    async fn prescriber(
        &self,
        provider: ProviderId,
        patient: PatientId,
    ) -> Result<PrescriberStanding> {
        let practises = identity::directory::practises(&self.identity, provider)
            .await
            .map_err(|error| crossing("a provider's account", error))?;
        let profile = self.provider(provider).await?;
        let (Some(profile), true) = (profile, practises) else {
            return Ok(PrescriberStanding::DoesNotPractise);
        };
        let Some(patient) = self.profile("pharmacy.fill_checks", patient).await? else {
            return Ok(PrescriberStanding::PatientStateUnknown);
        };
        let (state, now) = (patient.address.state, self.env.now());
        Ok(match profile.license_in_force(state, now) {
            Some(_) => PrescriberStanding::MayPrescribe,
            None => PrescriberStanding::NotLicensedIn(state),
        })
    }

    async fn contests(
        &self,
        patient: PatientId,
        category: CategoryId,
    ) -> Result<Vec<(InvoiceId, Contest)>> {
        let mut tx = self.billing.begin(&Actor::system("pharmacy.fill_checks")).await?;
        let contests = tx.contests_about(patient, category).await?.into_iter();
        let told = contests.map(|contest| {
            let told = Contest {
                kind: match contest.found.kind {
                    billing::contest::ContestKind::Dispute => ContestKind::Dispute,
                    billing::contest::ContestKind::Refund => ContestKind::Refund,
                    billing::contest::ContestKind::FraudWarning => ContestKind::FraudWarning,
                },
                settled: contest.found.is_settled(),
                id: contest.found.id,
                other_invoice: false,
            };
            (contest.invoice, told)
        });
        Ok(told.collect())
    }
}
