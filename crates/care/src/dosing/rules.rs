//! Setting dosing rules, computing a dose with one for a patient, and asking a
//! plan for the dose of a day.

use chrono::NaiveDate;
use kernel::{Actor, PatientId, Permission, RxNorm, TreatmentPlanId};
use ports::{AuditAction, AuditEntry, Env};

use super::{ComputedDose, DoseAlert, DoseOn, DosingRule, Measurements, compute};
use crate::{
    CareError, CareStore, Dose, Reach, Sources,
    setting::{SettingChange, may_read},
};

/// A rule with the version that it is changed by.
pub async fn rule(
    store: &dyn CareStore,
    actor: &Actor,
    drug: &RxNorm,
) -> Result<(DosingRule, i64), CareError> {
    may_read(actor)?;
    let mut tx = store.begin(actor).await?;
    tx.dosing_rule(drug).await?.ok_or(CareError::NotFound("dosing rule"))
}

/// Sets how a drug is dosed. `seen` is the version that is replaced; a drug
/// without a rule has none.
pub async fn set_rule(
    store: &dyn CareStore,
    actor: &Actor,
    rule: &DosingRule,
    seen: Option<i64>,
) -> Result<i64, CareError> {
    actor.require(Permission::RuleAdminister)?;
    rule.validate()?;
    let mut tx = store.begin(actor).await?;
    let before = tx.dosing_rule(&rule.rxnorm).await?;
    let held = before.as_ref().map(|(held, version)| (held, *version));
    let now = SettingChange::check(held, rule, seen)?;
    tx.save_dosing_rule(rule, now)
        .await
        .map_err(|error| CareError::on_conflict(error, CareError::RulesChangedAtOnce))?;
    let document = |rule: &DosingRule| serde_json::to_value(rule).unwrap_or_default();
    tx.audit(
        AuditEntry::new(AuditAction::Update, "dosing_rule", &rule.rxnorm)
            .detail("old", before.as_ref().map(|(rule, _)| document(rule)))
            .detail("new", document(rule)),
    );
    tx.commit().await?;
    Ok(now)
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
        return Err(CareError::NotFound("patient"));
    }
    drop(tx);
    let facts = sources.facts.facts(patient).await?.ok_or(CareError::ProfileIncomplete)?;
    let mut tx = store.begin(actor).await?;
    let (rule, _) =
        tx.dosing_rule(&request.drug).await?.ok_or(CareError::NotFound("dosing rule"))?;
    let body = Measurements {
        age: facts.age(env.now()).years,
        sex: facts.sex,
        weight_kg: request.weight_kg,
        height_cm: request.height_cm,
        serum_creatinine_mg_dl: request.serum_creatinine_mg_dl,
    };
    let mut computed = compute(&rule, &body)?;
    let limit = tx.dose_limit(&request.drug).await?;
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
    let reach = Reach::of(actor, Vec::new());
    let mut tx = store.begin(actor).await?;
    let found = tx.plan(id, &reach).await?;
    let entry = AuditEntry::new(AuditAction::Read, "treatment_plan", id);
    tx.audit(match &found {
        Some(plan) => entry.patient(plan.patient),
        None => entry.denied(),
    });
    tx.commit().await?;
    let plan = found.ok_or(CareError::NotFound("treatment plan"))?;
    let treatment = &plan.current().treatment;
    Ok(treatment.on(day).map(|on| {
        let dose = Dose { value: on.dose, unit: treatment.dose.unit.clone() };
        (dose, on)
    }))
}
