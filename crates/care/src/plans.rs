//! Writing, changing and reading treatment plans.

use chrono::TimeDelta;
use kernel::{
    Actor, CategoryId, PatientId, Permission, ProviderId, Seen, TextKind as _, TreatmentPlanId,
    UsState,
    text::{MeetingReport, PlanReason},
};
use ports::{
    AuditAction, AuditEntry, Env, Event, IdempotencyKey, Locked,
    events::PrescriptionStatusWord,
    repository::{get, lock},
};

mod end;
mod history;

pub use end::{complete, revoke};
pub use history::{PlanHistory, VersionHistory, history};

use crate::{
    CareError, CareStore, CareTx, CategoryTerms, ClinicalFacts, Dose, DoseLimit, Frequency,
    Modality, PlanStatus, Sources, TaskKind, Treatment, TreatmentPlan,
    dosing::{self, Body, DoseAlert, DoseOverride, Kidneys, Titration},
    licenses, setting,
    store::reached,
    tasks,
    treatment::NewPlan,
};

/// A plan that a provider writes without a review.
#[derive(Clone, Debug, PartialEq)]
pub struct PlanRequest {
    pub patient: PatientId,
    pub category: CategoryId,
    pub treatment: Treatment,
    pub reason: String,
    /// The active plan that this one takes the place of.
    pub supersedes: Option<TreatmentPlanId>,
    /// How provider and patient met, where no visit here is on file.
    pub met_elsewhere: Option<String>,
}

/// What is to change of a treatment; the rest stays.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct TreatmentChanges {
    pub dose: Option<Dose>,
    pub sig: Option<String>,
    pub frequency: Option<Frequency>,
    pub duration_days: Option<u32>,
    pub quantity: Option<u32>,
    pub refills: Option<u32>,
    pub titration: Option<Titration>,
    /// What was measured since; without it that of the version before counts.
    pub kidneys: Option<Kidneys>,
    /// They hold for the version that they are given with; those of the version
    /// before are not taken over.
    pub overrides: Vec<DoseOverride>,
}

impl TreatmentChanges {
    fn apply(self, to: &Treatment) -> Treatment {
        let mut treatment = to.clone();
        if let Some(dose) = self.dose {
            treatment.dose = dose;
        }
        if let Some(sig) = self.sig {
            treatment.sig = sig;
        }
        if let Some(frequency) = self.frequency {
            treatment.frequency = frequency;
        }
        treatment.duration_days = self.duration_days.unwrap_or(treatment.duration_days);
        treatment.quantity = self.quantity.unwrap_or(treatment.quantity);
        treatment.refills = self.refills.unwrap_or(treatment.refills);
        treatment.titration = self.titration.or(treatment.titration);
        treatment.kidneys = self.kidneys.or(treatment.kidneys);
        treatment.overrides = self.overrides;
        treatment
    }
}

fn prescriber(actor: &Actor) -> Result<ProviderId, CareError> {
    actor.require(Permission::TreatmentWrite)?;
    actor.as_provider().ok_or(CareError::ProviderRequired)
}

/// A provider signs only where the patient is and a license is in force.
async fn check_license(
    env: &Env,
    sources: &Sources,
    provider: ProviderId,
    patient: PatientId,
) -> Result<ClinicalFacts, CareError> {
    let states = sources.directory.licensed_states(provider, env.now()).await?;
    licenses::check(sources, &states, patient).await
}

/// Where state or category ask for a visit, the patient has met a provider here
/// within the last year, or the provider says how the two met.
pub(crate) async fn check_visit(
    env: &Env,
    tx: &mut dyn CareTx,
    terms: CategoryTerms,
    (patient, category): (PatientId, CategoryId),
    state: UsState,
    met_elsewhere: Option<&str>,
) -> Result<(), CareError> {
    if let Some(text) = met_elsewhere {
        MeetingReport::take("met_elsewhere", text)?;
        return Ok(());
    }
    let asked = terms.visit || setting::modality(tx, state).await? == Modality::Video;
    if !asked {
        return Ok(());
    }
    let visits = tx.consultations_since(patient, env.now() - MET_WITHIN).await?;
    if visits.iter().any(|visit| visit.was_held_for(category)) {
        Ok(())
    } else {
        Err(CareError::VisitRequired)
    }
}

/// For how long a visit establishes the relation.
const MET_WITHIN: TimeDelta = TimeDelta::days(365);

/// The reason of a plan's first version, with how the two met.
pub(crate) fn with_meeting(reason: &str, met_elsewhere: Option<&str>) -> String {
    match met_elsewhere {
        Some(text) => format!("{reason} Met elsewhere: {}", text.trim()),
        None => reason.to_owned(),
    }
}

/// A plan that a provider wrote has to be prescribed by that provider.
pub(crate) async fn ask_to_prescribe(
    env: &Env,
    tx: &mut dyn CareTx,
    plan: &TreatmentPlan,
) -> Result<(), CareError> {
    let about = (plan.patient, plan.id.uuid());
    let kind = TaskKind::UnprescribedTreatment;
    tasks::raise(env, tx, kind, (&[plan.provider], None), about).await.map(drop)
}

/// Refuses a chart that does not exist for the provider, and audits it. The
/// provider keeps the patient until the transaction ends.
async fn on_panel(
    store: &dyn CareStore,
    actor: &Actor,
    provider: ProviderId,
    patient: PatientId,
) -> Result<Box<dyn CareTx>, CareError> {
    let mut tx = store.begin(actor).await?;
    tx.hold_off_handover(patient).await?;
    if tx.treats(provider, patient).await? {
        return Ok(tx);
    }
    tx.audit(AuditEntry::new(AuditAction::Read, "patient", patient).patient(patient).denied());
    tx.commit().await?;
    Err(CareError::no("patient"))
}

/// Adds a plan. Where the patient has an active one of this kind, the provider
/// must have named it: it ends in the same transaction.
pub(crate) async fn add(
    tx: &mut dyn CareTx,
    plan: &TreatmentPlan,
    supersedes: Option<TreatmentPlanId>,
) -> Result<(), CareError> {
    match (tx.lock_active_plan(plan.patient, plan.category).await?, supersedes) {
        (None, None) => {}
        (Some(_), None) => return Err(CareError::AlreadyTreated),
        (Some(mut active), Some(named)) if active.id == named => {
            active.supersede(plan.provider, plan.id, plan.first.at)?;
            end::keep(tx, &mut active).await?;
        }
        (active, Some(_)) => {
            return Err(CareError::NotTheActivePlan(active.map(|active| active.id)));
        }
    }
    insert(tx, plan)
        .await
        .map_err(|error| error.at("care_treatment_plans_active", CareError::AlreadyTreated))
}

/// The patient is on the panel of whoever answers for the plan.
pub(crate) async fn insert(tx: &mut dyn CareTx, plan: &TreatmentPlan) -> ports::Result<()> {
    tx.insert(plan).await?;
    tx.rejoin(plan.provider, plan.patient).await
}

/// Writes a plan for a patient of the provider's panel.
pub async fn create(
    env: &Env,
    store: &dyn CareStore,
    sources: &Sources,
    actor: &Actor,
    request: PlanRequest,
    key: &IdempotencyKey,
) -> Result<TreatmentPlan, CareError> {
    let given = PlanReason::take("reason", &request.reason)?;
    let provider = prescriber(actor)?;
    drop(on_panel(store, actor, provider, request.patient).await?);
    let facts = check_license(env, sources, provider, request.patient).await?;
    let unknown = || CareError::field("category_id", "unknown", "There is no such category.");
    let terms = sources.covers.terms(request.category).await?.ok_or_else(unknown)?;
    let id: TreatmentPlanId = env.fresh();
    let mut tx = on_panel(store, actor, provider, request.patient).await?;
    if let Some(earlier) = tx.claim(key, id.uuid()).await? {
        return answer_again(tx, earlier.into()).await;
    }
    check_treatment(tx.as_mut(), &request.treatment, Body::of(&facts, env.now())).await?;
    let (met, about) = (request.met_elsewhere.as_deref(), (request.patient, request.category));
    check_visit(env, tx.as_mut(), terms, about, facts.state, met).await?;
    let reason = with_meeting(&given, met);
    let plan = TreatmentPlan::create(
        NewPlan {
            id,
            patient: request.patient,
            provider,
            category: request.category,
            assessment: None,
            automatic: false,
            treatment: request.treatment,
            reason,
        },
        env.now(),
    );
    add(tx.as_mut(), &plan, request.supersedes).await?;
    ask_to_prescribe(env, tx.as_mut(), &plan).await?;
    tx.emit(Event::TreatmentPlanCreated {
        treatment_plan: id,
        patient: plan.patient,
        provider,
        category: plan.category,
        automatic: false,
    });
    tx.audit(
        AuditEntry::new(AuditAction::Create, "treatment_plan", id)
            .patient(plan.patient)
            .detail("automatic", false)
            .detail("overrides", plan.current().treatment.overridden()),
    );
    licenses::still_holds(tx.as_mut(), provider, facts.state, env.now()).await?;
    tx.commit().await?;
    Ok(plan)
}

/// Replaces the treatment of a plan by a new version.
pub async fn replace(
    env: &Env,
    store: &dyn CareStore,
    sources: &Sources,
    actor: &Actor,
    place: (TreatmentPlanId, &Seen),
    treatment: Treatment,
    reason: &str,
) -> Result<TreatmentPlan, CareError> {
    change(env, store, sources, actor, place, |_| treatment, reason).await
}

/// Changes parts of a plan's treatment by a new version.
pub async fn modify(
    env: &Env,
    store: &dyn CareStore,
    sources: &Sources,
    actor: &Actor,
    place: (TreatmentPlanId, &Seen),
    changes: TreatmentChanges,
    reason: &str,
) -> Result<TreatmentPlan, CareError> {
    actor.require(Permission::TreatmentWrite)?;
    if changes == TreatmentChanges::default() {
        return Err(CareError::field("changes", "required", "Say what is to change."));
    }
    change(env, store, sources, actor, place, |current| changes.apply(current), reason).await
}

/// A plan of the provider's panel, locked to be changed by who is licensed where the
/// patient is.
async fn to_change(
    env: &Env,
    store: &dyn CareStore,
    sources: &Sources,
    actor: &Actor,
    (id, seen): (TreatmentPlanId, &Seen),
) -> Result<(Box<dyn CareTx>, ProviderId, Locked<TreatmentPlan>, Body), CareError> {
    let provider = prescriber(actor)?;
    let mut tx = store.begin(actor).await?;
    let found = get::<TreatmentPlan>(tx.as_mut(), id).await;
    let place = (AuditAction::Update, "treatment_plan", id.uuid());
    let (tx, plan) = reached(tx, found, place).await?;
    drop(tx);
    let facts = check_license(env, sources, provider, plan.patient).await?;
    let mut tx = store.begin(actor).await?;
    let plan = lock::<TreatmentPlan>(tx.as_mut(), id, seen).await?;
    Ok((tx, provider, plan, Body::of(&facts, env.now())))
}

async fn change(
    env: &Env,
    store: &dyn CareStore,
    sources: &Sources,
    actor: &Actor,
    place: (TreatmentPlanId, &Seen),
    treatment: impl FnOnce(&Treatment) -> Treatment + Send,
    reason: &str,
) -> Result<TreatmentPlan, CareError> {
    let (mut tx, provider, mut plan, body) = to_change(env, store, sources, actor, place).await?;
    let treatment = treatment(&plan.current().treatment);
    check_treatment(tx.as_mut(), &treatment, body).await?;
    plan.modify(treatment, provider, reason, env.now())?;
    tx.save(&mut plan).await?;
    tx.emit(Event::TreatmentPlanModified {
        treatment_plan: plan.id,
        patient: plan.patient,
        provider: plan.provider,
        category: plan.category,
        version: plan.current().number,
    });
    tx.audit(
        AuditEntry::new(AuditAction::Update, "treatment_plan", plan.id)
            .patient(plan.patient)
            .detail("number", plan.current().number)
            .detail("overrides", plan.current().treatment.overridden()),
    );
    licenses::still_holds(tx.as_mut(), provider, body.state, env.now()).await?;
    tx.commit().await?;
    Ok(plan.into_inner())
}

/// Holds a treatment against the drug's maximum, the ages that it is meant for
/// and the kidneys. What is above, outside or unknown needs an override of its
/// own.
pub(crate) async fn check_treatment(
    tx: &mut dyn CareTx,
    treatment: &Treatment,
    body: Body,
) -> Result<(), CareError> {
    let limit: Option<DoseLimit> = setting::held(tx, &treatment.medication.rxnorm).await?;
    treatment.validate(limit.as_ref(), "treatment")?;
    let found = dose_alerts(tx, treatment, body).await?;
    dosing::settle(&found, &treatment.overrides, "treatment.overrides")
}

/// What speaks against a dose, for whoever reads it before signing. A treatment
/// that nobody could sign, whatever they override, is refused.
pub(crate) async fn dose_alerts(
    tx: &mut dyn CareTx,
    treatment: &Treatment,
    body: Body,
) -> Result<Vec<DoseAlert>, CareError> {
    let drug = &treatment.medication.rxnorm;
    let limit: Option<DoseLimit> = setting::held(tx, drug).await?;
    treatment.validate_shape(limit.as_ref(), "treatment")?;
    if let Some(kidneys) = &treatment.kidneys {
        kidneys.validate(body.today, "treatment.kidneys")?;
    }
    let mut found = Vec::new();
    if limit.is_some_and(|limit| treatment.exceeds(&limit)) {
        found.push(DoseAlert::AboveMaximum);
    }
    if let Some(rule) = setting::held(tx, drug).await? {
        found.extend(dosing::objections(&rule, treatment, body));
    }
    Ok(found)
}

/// Handles `PrescriptionChanged`: with the last fill of its prescription a plan
/// is completed, unless what was filled is a step of a titration.
pub async fn on_prescription_changed(
    env: &Env,
    store: &dyn CareStore,
    (id, version): (TreatmentPlanId, u32),
    status: PrescriptionStatusWord,
) -> Result<(), CareError> {
    if status != PrescriptionStatusWord::Completed {
        return Ok(());
    }
    let mut tx = store.begin(&Actor::system("care.complete_plan")).await?;
    let mut plan = lock::<TreatmentPlan>(tx.as_mut(), id, &Seen::Any).await?;
    if plan.is_outdated(version) {
        // The treatment as it is now has fills of its own.
        return Ok(());
    }
    let drug = plan.current().treatment.medication.rxnorm.clone();
    let limit: Option<DoseLimit> = setting::held(tx.as_mut(), &drug).await?;
    let step = limit.and_then(|limit| limit.followed_by);
    if plan.status == PlanStatus::Active && step.is_some() {
        // The treatment goes on with another step, which a provider decides on.
        let about = (plan.patient, plan.id.uuid());
        let kind = TaskKind::TitrationStep;
        let provider = plan.provider;
        if tasks::raise(env, tx.as_mut(), kind, (&[provider], None), about).await?.is_some() {
            tx.commit().await?;
        }
        return Ok(());
    }
    if plan.complete(env.now()).is_err() {
        return Ok(());
    }
    end::keep(tx.as_mut(), &mut plan).await?;
    tx.commit().await?;
    Ok(())
}

/// Answers a repeated request with the plan of the first. The answer shows it
/// once more, so it is on record as a reading.
pub(crate) async fn answer_again(
    mut tx: Box<dyn CareTx>,
    id: TreatmentPlanId,
) -> Result<TreatmentPlan, CareError> {
    let plan: TreatmentPlan = get(tx.as_mut(), id).await?;
    let entry = AuditEntry::new(AuditAction::Read, "treatment_plan", plan.id);
    tx.audit(entry.patient(plan.patient));
    tx.commit().await?;
    Ok(plan)
}

/// The plans of a patient: one's own, or those of a patient of one's panel.
pub async fn of_patient(
    store: &dyn CareStore,
    actor: &Actor,
    patient: PatientId,
) -> Result<Vec<TreatmentPlan>, CareError> {
    let mut tx = store.begin(actor).await?;
    let allowed = match actor.as_provider() {
        _ if actor.may(Permission::PatientReadAny) => true,
        Some(provider) => tx.opens_chart(provider, patient).await?,
        None => actor.as_patient() == Some(patient),
    };
    let entry = AuditEntry::new(AuditAction::Read, "treatment_plans", patient).patient(patient);
    if !allowed {
        tx.audit(entry.denied());
        tx.commit().await?;
        return Err(CareError::no("patient"));
    }
    let plans = tx.plans(patient).await?;
    tx.audit(entry);
    tx.commit().await?;
    Ok(plans)
}

/// A plan as Salus itself reads it, for the contexts that act on one.
pub async fn for_system(
    store: &dyn CareStore,
    reader: &'static str,
    id: TreatmentPlanId,
) -> Result<Option<TreatmentPlan>, CareError> {
    let mut tx = store.begin(&Actor::system(reader)).await?;
    Ok(tx.find(id).await?)
}
