//! Reading what the rule of [`super::hold`] asks for, before the transaction
//! that decides. Where a fact cannot be read this fails, and nothing goes out:
//! the job runs again.

use std::{
    collections::{BTreeMap, BTreeSet},
    sync::Arc,
};

use async_trait::async_trait;
use kernel::{Actor, CategoryId, InvoiceId, PatientId, PrescriptionId, ProviderId, ShipmentId};
use ports::{Env, PortError, repository::get};

use super::hold::{
    self, Contest, FillFacts, Ground, PrescriberStanding, TreatmentStanding, with_overrides,
};
use crate::{
    PharmacyError,
    fulfilment::FulfilmentStore,
    prescription::{Medication, Prescription, TreatmentPlans, write::prescribed_elsewhere},
    safety::{
        self, ClinicalRecord, Formulary, InteractionProvider, Proposed, RecordedMedication,
        SafetyAlert,
    },
    shipment::TrackingStatus,
};

/// What other contexts know of a fill. An error is never taken for an answer.
#[async_trait]
pub trait FillCircumstances: Send + Sync {
    /// Whether the patient's account is active.
    async fn patient_active(&self, patient: PatientId) -> ports::Result<bool>;

    async fn treatment(
        &self,
        patient: PatientId,
        category: CategoryId,
    ) -> ports::Result<TreatmentStanding>;

    /// Whether the provider may prescribe to the patient at this moment.
    async fn prescriber(
        &self,
        provider: ProviderId,
        patient: PatientId,
    ) -> ports::Result<PrescriberStanding>;

    /// What contests the payments of the patient's invoices of the category, each
    /// with its invoice.
    async fn contests(
        &self,
        patient: PatientId,
        category: CategoryId,
    ) -> ports::Result<Vec<(InvoiceId, Contest)>>;
}

/// What a fill is checked with.
#[derive(Clone)]
pub struct FillChecks {
    pub circumstances: Arc<dyn FillCircumstances>,
    pub record: Arc<dyn ClinicalRecord>,
    pub interactions: Arc<dyn InteractionProvider>,
}

/// The facts about a patient's fills in one category, as of one moment.
pub struct Moment {
    patient_active: bool,
    pub treatment: TreatmentStanding,
    prescriptions: BTreeMap<PrescriptionId, (PrescriberStanding, Vec<SafetyAlert>)>,
    /// The invoices that were looked at.
    invoices: BTreeSet<InvoiceId>,
    contests: Vec<(InvoiceId, Contest)>,
    astray: Vec<(ShipmentId, TrackingStatus)>,
}

impl Moment {
    /// The facts about one fill. One that came in since was not asked about,
    /// and the caller reads again.
    pub fn facts(
        &self,
        prescription: PrescriptionId,
        invoice: InvoiceId,
    ) -> Result<FillFacts, PharmacyError> {
        let unread = || PortError::Conflict("the facts about a fill".to_owned());
        let (prescriber, alerts) = self.prescriptions.get(&prescription).ok_or_else(unread)?;
        if !self.invoices.contains(&invoice) {
            return Err(unread().into());
        }
        let contests = self
            .contests
            .iter()
            .map(|(of, contest)| Contest { other_invoice: *of != invoice, ..contest.clone() });
        Ok(FillFacts {
            patient_active: self.patient_active,
            treatment: self.treatment.clone(),
            prescriber: *prescriber,
            alerts: alerts.clone(),
            contests: contests.collect(),
            astray: self.astray.clone(),
        })
    }
}

/// Reads the facts about everything that may be filled for the patient in the
/// category, and about `also`, which is on its way.
pub async fn read(
    env: &Env,
    store: &dyn FulfilmentStore,
    checks: &FillChecks,
    (patient, category): (PatientId, CategoryId),
    also: Option<(PrescriptionId, InvoiceId)>,
) -> Result<Moment, PharmacyError> {
    let mut tx = store.begin(&Actor::system("pharmacy.fill_checks")).await?;
    let mut ids = tx.active_prescriptions(patient, category).await?;
    let mut invoices: Vec<InvoiceId> =
        tx.open_fills(patient, category).await?.into_iter().map(|fill| fill.invoice).collect();
    // A dispatch that was held back may give way, and its fill is then open again.
    invoices.extend(tx.held_back(patient).await?.into_iter().map(|dispatch| dispatch.invoice));
    if let Some((prescription, invoice)) = also {
        ids.push(prescription);
        invoices.push(invoice);
    }
    ids.sort();
    ids.dedup();
    let mut found = Vec::with_capacity(ids.len());
    for id in ids {
        let prescription = get::<Prescription>(tx.as_mut(), id).await?;
        let elsewhere =
            prescribed_elsewhere(env, tx.as_mut(), patient, Some(prescription.treatment_plan))
                .await?;
        found.push((prescription, elsewhere));
    }
    let astray = tx.astray(patient, category).await?;
    drop(tx);
    let circumstances = checks.circumstances.as_ref();
    let record = match found.is_empty() {
        true => None,
        false => Some(checks.record.facts(patient).await?),
    };
    let treatment = circumstances.treatment(patient, category).await?;
    let mut prescriptions = BTreeMap::new();
    for (prescription, elsewhere) in found {
        let mut facts = record.clone().unwrap_or_default();
        facts.medications.extend(elsewhere.into_iter().map(taken));
        let alerts = check_again(checks.interactions.as_ref(), &prescription, facts).await;
        let prescriber = match treatment.is_taken_over(&prescription) {
            true => PrescriberStanding::HandedOver,
            false => circumstances.prescriber(prescription.provider, patient).await?,
        };
        prescriptions.insert(prescription.id, (prescriber, alerts));
    }
    Ok(Moment {
        patient_active: circumstances.patient_active(patient).await?,
        treatment,
        prescriptions,
        invoices: invoices.into_iter().collect(),
        contests: circumstances.contests(patient, category).await?,
        astray,
    })
}

/// The safety check on the record of this moment, with the overrides that were
/// given when the prescription was signed.
async fn check_again(
    interactions: &dyn InteractionProvider,
    prescription: &Prescription,
    facts: safety::ClinicalFacts,
) -> Vec<SafetyAlert> {
    let proposed = Proposed { medication: &prescription.medication, dosing: &prescription.dosing };
    let found = safety::check(Formulary::shipped(), interactions, &Ok(facts), proposed).await;
    with_overrides(found, &prescription.alerts)
}

/// What speaks against charging for a treatment now: the rule of a fill but for
/// the payment, held against the open prescription or, before there is one,
/// against what the plan asks for. It looks as careful before the first charge
/// as before the first box.
pub async fn against_charging(
    env: &Env,
    store: &dyn FulfilmentStore,
    checks: &FillChecks,
    plans: &dyn TreatmentPlans,
    (patient, category): (PatientId, CategoryId),
) -> Result<Vec<Ground>, PharmacyError> {
    let circumstances = checks.circumstances.as_ref();
    let treatment = circumstances.treatment(patient, category).await?;
    // Without a plan there is nothing to sell, which others say.
    let Some(active) = treatment.active else { return Ok(Vec::new()) };
    let Some(planned) = plans.treatment(active.plan).await? else { return Ok(Vec::new()) };
    let mut tx = store.begin(&Actor::system("pharmacy.fill_checks")).await?;
    let open = tx.open_prescription(active.plan).await?;
    let elsewhere = prescribed_elsewhere(env, tx.as_mut(), patient, Some(active.plan)).await?;
    drop(tx);
    let mut record = checks.record.facts(patient).await?;
    record.medications.extend(elsewhere.into_iter().map(taken));
    let (provider, signed) = match &open {
        // One of an earlier version is about to be withdrawn.
        Some(open) if open.plan_version >= planned.version => {
            (open.provider, open.alerts.as_slice())
        }
        _ => (planned.provider, &[] as &[SafetyAlert]),
    };
    let proposed = Proposed::of_treatment(&planned);
    let interactions = checks.interactions.as_ref();
    let found = safety::check(Formulary::shipped(), interactions, &Ok(record), proposed).await;
    let taken_over = open
        .as_ref()
        .is_some_and(|open| open.plan_version >= planned.version && treatment.is_taken_over(open));
    let prescriber = match taken_over {
        true => PrescriberStanding::HandedOver,
        false => circumstances.prescriber(provider, patient).await?,
    };
    Ok(hold::against_treatment(&FillFacts {
        patient_active: circumstances.patient_active(patient).await?,
        treatment,
        prescriber,
        alerts: with_overrides(found, signed),
        contests: Vec::new(),
        astray: Vec::new(),
    }))
}

/// What another plan prescribes, as the safety check takes it.
fn taken((_, medication): (PrescriptionId, Medication)) -> RecordedMedication {
    RecordedMedication {
        rxnorm: Some(medication.rxnorm),
        display: medication.display,
        prescribed: true,
    }
}
