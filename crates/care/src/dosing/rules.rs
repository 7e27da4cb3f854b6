//! Setting dosing rules, computing a dose with one for a patient, and asking a
//! plan for the dose of a day.

use chrono::NaiveDate;
use kernel::{Actor, PatientId, Permission, RxNorm, Seen, TreatmentPlanId};
use ports::{AuditAction, AuditEntry, Env, repository::get};

use super::{ComputedDose, DoseAlert, DoseOn, DosingRule, Measurements, compute};
use crate::{
    CareError, CareStore, Dose, DoseLimit, Sources, TreatmentPlan,
    setting::{self, Setting as _, may_read},
    store::reached,
};

/// A rule with the version that it is changed by.
pub async fn rule(
    store: &dyn CareStore,
    actor: &Actor,
    drug: &RxNorm,
) -> Result<(DosingRule, i64), CareError> {
    may_read(actor)?;
    let found = setting::versioned(store.begin(actor).await?.as_mut(), drug).await?;
    found.ok_or_else(|| CareError::no(DosingRule::NAME))
}

/// Sets how a drug is dosed.
pub async fn set_rule(
    store: &dyn CareStore,
    actor: &Actor,
    rule: &DosingRule,
    seen: &Seen,
) -> Result<i64, CareError> {
    actor.require(Permission::RuleAdminister)?;
    rule.validate()?;
    setting::set_plain(store, actor, rule, seen).await
}

/// What a provider has measured.
#[derive(Clone, Debug, PartialEq)]
pub struct DoseRequest {
    pub drug: RxNorm,
    pub weight_kg: Option<f64>,
    pub height_cm: Option<f64>,
    pub serum_creatinine_mg_dl: Option<f64>,
}

/// Computes the dose of a drug for a patient of the provider's panel. Age and
/// sex are those of the profile. The drug's maximum holds for it too.
pub async fn compute_for_patient(
    env: &Env,
    store: &dyn CareStore,
    sources: &Sources,
    actor: &Actor,
    patient: PatientId,
    request: DoseRequest,
) -> Result<ComputedDose, CareError> {
    actor.require(Permission::TreatmentWrite)?;
    let provider = actor.as_provider().ok_or(CareError::ProviderRequired)?;
    let mut tx = store.begin(actor).await?;
    let entry = AuditEntry::new(AuditAction::Read, "dose", &request.drug).patient(patient);
    if !tx.treats(provider, patient).await? {
        tx.audit(entry.denied());
        tx.commit().await?;
        return Err(CareError::no("patient"));
    }
    drop(tx);
    let facts = sources.facts.facts(patient).await?.ok_or(CareError::ProfileIncomplete)?;
    let mut tx = store.begin(actor).await?;
    let rule: Option<DosingRule> = setting::held(tx.as_mut(), &request.drug).await?;
    let rule = rule.ok_or_else(|| CareError::no(DosingRule::NAME))?;
    let body = Measurements {
        age: facts.age(env.now()).years,
        sex: facts.sex,
        weight_kg: request.weight_kg,
        height_cm: request.height_cm,
        serum_creatinine_mg_dl: request.serum_creatinine_mg_dl,
    };
    let mut computed = compute(&rule, &body)?;
    let limit: Option<DoseLimit> = setting::held(tx.as_mut(), &request.drug).await?;
    if !limit.is_some_and(|limit| limit.allows(&computed.dose)) {
        computed.alerts.insert(0, DoseAlert::AboveMaximum);
    }
    let alerts: Vec<String> = computed.alerts.iter().map(ToString::to_string).collect();
    tx.audit(entry.detail("alerts", alerts));
    tx.commit().await?;
    Ok(computed)
}

/// The dose that a plan gives on a day: of one's own plan, or of one of a
/// patient of one's panel. `None` before a titration begins.
pub async fn dose_on(
    store: &dyn CareStore,
    actor: &Actor,
    id: TreatmentPlanId,
    day: NaiveDate,
) -> Result<Option<(Dose, DoseOn)>, CareError> {
    let mut tx = store.begin(actor).await?;
    let found = get::<TreatmentPlan>(tx.as_mut(), id).await;
    let place = (AuditAction::Read, "treatment_plan", id.uuid());
    let (mut tx, plan) = reached(tx, found, place).await?;
    let entry = AuditEntry::new(AuditAction::Read, "treatment_plan", id);
    tx.audit(entry.patient(plan.patient));
    tx.commit().await?;
    let treatment = &plan.current().treatment;
    Ok(treatment.on(day).map(|on| {
        let dose = Dose { value: on.dose, unit: treatment.dose.unit.clone() };
        (dose, on)
    }))
}
