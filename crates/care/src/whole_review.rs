//! The whole of a review, as the provider who holds it reads it before signing:
//! what is known of the patient, what was asked and answered, what would be
//! signed, and what speaks against it. Its version is a digest of all that was
//! shown, so that nothing is signed that was not read.

use chrono::{DateTime, Utc};
use kernel::{Actor, Age, AssessmentId, FieldError, Permission, TreatmentPlanId};
use ports::{AuditAction, AuditEntry, Env};
use serde::Serialize;
use serde_json::{Value, json};
use sha2::{Digest as _, Sha256};

use crate::{
    AskedQuestion, Assessment, CareError, CareStore, CareTx, ClinicalFacts, Consultation,
    DoseLimit, PatientName, PlanStatus, Protocol, Review, SafetyAlert, Sources, Treatment,
    TreatmentPlan, assessment,
    dosing::{Body, DoseAlert, DosingRule},
    information::Exchange,
    plans,
    reviews::Reviewer,
    setting,
};

/// A treatment as it would be signed.
#[derive(Clone, Debug, PartialEq)]
pub struct Proposal {
    pub treatment: Treatment,
    /// It is the category's default, and not one of the provider's own.
    pub is_default: bool,
    /// What the formulary says of the drug.
    pub limit: Option<DoseLimit>,
    /// How the drug is dosed.
    pub rule: Option<DosingRule>,
    /// What speaks against the dose; each needs an override when it is signed.
    pub dose_alerts: Vec<DoseAlert>,
    /// What the safety check finds, with where it is known from.
    pub alerts: Vec<SafetyAlert>,
}

/// Everything that a provider signs on.
#[derive(Clone, Debug, PartialEq)]
pub struct WholeReview {
    pub assessment: Assessment,
    pub name: Option<PatientName>,
    pub age: Age,
    pub facts: ClinicalFacts,
    /// What the patient has last told of a pregnancy, in any form.
    pub pregnant: Option<bool>,
    /// What was asked, in the words of the version that the patient saw.
    pub questions: Vec<AskedQuestion>,
    /// What was asked in the review itself, oldest first.
    pub exchanges: Vec<Exchange>,
    /// `None` where the category has no default and none was given.
    pub proposal: Option<Proposal>,
    /// The patient's other assessments, newest first.
    pub earlier: Vec<Assessment>,
    /// The patient's plans in every category, newest first.
    pub plans: Vec<TreatmentPlan>,
    /// The patient's visits, newest first.
    pub visits: Vec<Consultation>,
}

/// The parts of a review that a version tells apart.
const PARTS: [&str; 5] = ["record", "answers", "treatment", "alerts", "history"];

impl WholeReview {
    /// A digest of all that was shown. What the provider adds to the treatment
    /// when signing, which is what was measured and what is overridden, is no
    /// part of it, nor is who holds the review until when.
    pub fn version(&self) -> String {
        self.parts().map(|part| digest(&part)).join("-")
    }

    fn parts(&self) -> [Value; 5] {
        let facts = &self.facts;
        let record = json!([
            self.name.as_ref().map(|name| (&name.name, name.birth_date)),
            facts.birth_date,
            self.age.years,
            facts.sex,
            facts.state,
            &facts.medications,
            &facts.allergies,
            facts.record_answered,
            self.pregnant,
        ]);
        let answers = json!([self.assessment.response, &self.questions, self.asked()]);
        let proposal = self.proposal.as_ref();
        let treatment = json!(
            proposal
                .map(|proposal| { (plain(&proposal.treatment), &proposal.limit, &proposal.rule) })
        );
        let alerts = json!(proposal.map(|proposal| &proposal.alerts));
        let earlier = self.earlier.iter().map(|other| (other.id, other.review.word().word()));
        let plans = self.plans.iter().map(|plan| (plan.id, plan.version));
        let visits = self.visits.iter().map(|visit| (visit.id, visit.version));
        let history = json!([
            self.assessment.id,
            earlier.collect::<Vec<_>>(),
            plans.collect::<Vec<_>>(),
            visits.collect::<Vec<_>>(),
        ]);
        [record, answers, treatment, alerts, history]
    }

    fn asked(&self) -> Vec<(&str, Option<&str>)> {
        self.exchanges.iter().map(|one| (one.question.as_str(), one.answer.as_deref())).collect()
    }

    /// The active plan of the category, which an approval has to name.
    pub fn replaces(&self) -> Option<TreatmentPlanId> {
        let active = |plan: &&TreatmentPlan| {
            plan.category == self.assessment.category && plan.status == PlanStatus::Active
        };
        self.plans.iter().find(active).map(|plan| plan.id)
    }

    /// Holds what is now against the version of what was read.
    pub fn check(&self, seen: &str) -> Result<(), CareError> {
        let now = self.version();
        if now == seen {
            return Ok(());
        }
        let parts = now
            .split('-')
            .zip(seen.split('-').chain(std::iter::repeat("")))
            .zip(PARTS)
            .filter(|((now, seen), _)| now != seen)
            .map(|(_, part)| FieldError::new(part, "changed", "It is not as it was shown."));
        Err(CareError::ReviewChanged(parts.collect()))
    }
}

/// The treatment without what the provider adds when signing.
fn plain(treatment: &Treatment) -> Treatment {
    Treatment { overrides: Vec::new(), kidneys: None, ..treatment.clone() }
}

/// The first half of a SHA-256 tells apart what nobody makes alike on purpose.
fn digest(part: &impl Serialize) -> String {
    let text = serde_json::to_vec(part).unwrap_or_default();
    Sha256::digest(&text).iter().take(16).map(|byte| format!("{byte:02x}")).collect()
}

/// What other contexts say for a review. It is read before the transaction, so
/// that none holds one connection while it waits for another.
pub(crate) struct Around {
    name: Option<PatientName>,
    facts: ClinicalFacts,
    questions: Vec<AskedQuestion>,
    alerts: Vec<SafetyAlert>,
}

impl Around {
    pub async fn read(
        store: &dyn CareStore,
        sources: &Sources,
        assessment: &Assessment,
        facts: ClinicalFacts,
        given: Option<&Treatment>,
    ) -> Result<Self, CareError> {
        let patient = assessment.patient;
        let mut tx = store.begin(&Actor::system("care.whole_review")).await?;
        let default: Option<Protocol> = setting::held(tx.as_mut(), &assessment.category).await?;
        let replaced = tx.active_plan(patient, assessment.category).await?.map(|plan| plan.id);
        drop(tx);
        let treatment = given.cloned().or(default.map(|default| default.treatment));
        let alerts = match &treatment {
            Some(treatment) => sources.safety.alerts(patient, treatment, replaced).await?,
            None => Vec::new(),
        };
        let asked = sources.intake.asked(assessment.response).await?;
        Ok(Self {
            name: sources.facts.names(&[patient]).await?.remove(&patient),
            facts,
            questions: asked.ok_or_else(|| CareError::no("form_response"))?,
            alerts,
        })
    }

    pub async fn complete(
        self,
        tx: &mut dyn CareTx,
        assessment: Assessment,
        given: Option<Treatment>,
        now: DateTime<Utc>,
    ) -> Result<WholeReview, CareError> {
        let patient = assessment.patient;
        let everything = tx.assessments(patient).await?;
        let pregnant = assessment::pregnancy(&everything, now);
        let earlier = everything.into_iter().filter(|other| other.id != assessment.id).collect();
        let is_default = given.is_none();
        let treatment = match given {
            Some(treatment) => Some(treatment),
            None => setting::held(tx, &assessment.category)
                .await?
                .map(|default: Protocol| default.treatment),
        };
        let proposal = match treatment {
            Some(treatment) => {
                let drug = &treatment.medication.rxnorm;
                Some(Proposal {
                    is_default,
                    limit: setting::held(tx, drug).await?,
                    rule: setting::held(tx, drug).await?,
                    dose_alerts: plans::dose_alerts(tx, &treatment, Body::of(&self.facts, now))
                        .await?,
                    alerts: self.alerts,
                    treatment,
                })
            }
            None => None,
        };
        let mut visits = tx.consultations_since(patient, DateTime::UNIX_EPOCH).await?;
        visits.sort_by_key(|visit| (std::cmp::Reverse(visit.starts_at), visit.id));
        Ok(WholeReview {
            age: self.facts.age(now),
            name: self.name,
            facts: self.facts,
            pregnant,
            questions: self.questions,
            exchanges: tx.exchanges(assessment.id).await?,
            proposal,
            earlier,
            plans: tx.plans(patient).await?,
            visits,
            assessment,
        })
    }
}

/// The whole review for the provider who holds it, with the category's default
/// treatment or with one of the provider's own.
pub async fn read(
    env: &Env,
    store: &dyn CareStore,
    sources: &Sources,
    actor: &Actor,
    id: AssessmentId,
    given: Option<Treatment>,
) -> Result<WholeReview, CareError> {
    actor.require(Permission::TreatmentWrite)?;
    let reviewer = Reviewer::of(env, sources, actor).await?;
    let assessment = reviewer.assessment(store, actor, id).await?;
    let facts = reviewer.check_license(sources, assessment.patient).await?;
    match &assessment.review {
        Review::WaitingOnPatient { provider, .. } if *provider == reviewer.provider => {}
        review => review.held_by(reviewer.provider, env.now())?,
    }
    if let Some(treatment) = &given {
        let mut tx = store.begin(actor).await?;
        plans::dose_alerts(tx.as_mut(), treatment, Body::of(&facts, env.now())).await?;
    }
    let around = Around::read(store, sources, &assessment, facts, given.as_ref()).await?;
    let mut tx = store.begin(actor).await?;
    let patient = assessment.patient;
    let whole = around.complete(tx.as_mut(), assessment, given, env.now()).await?;
    tx.audit(AuditEntry::new(AuditAction::Read, "review", id).patient(patient));
    tx.commit().await?;
    Ok(whole)
}
