//! The review queue: seeing, claiming, releasing and deciding reviews, and
//! reading what eligibility decided.

use chrono::{DateTime, Utc};
use kernel::{
    Actor, AssessmentId, Page, PageRequest, PatientId, Permission, ProviderId, TextKind as _,
    TreatmentPlanId, UsState, text::ChartNote,
};
use ports::{AuditAction, AuditEntry, Env, Event, IdempotencyKey, PortError};

use crate::{
    Assessment, CareError, CareStore, ClinicalFacts, QueueItem, Reach, RejectionReason, Review,
    Sources, Treatment, TreatmentPlan, assigning,
    dosing::{Body, DoseOverride, Kidneys},
    licenses, plans, tasks,
    treatment::NewPlan,
    whole_review::Around,
};

/// A provider with the states in which a license is active right now.
pub(crate) struct Reviewer {
    pub provider: ProviderId,
    states: Vec<UsState>,
}

impl Reviewer {
    pub async fn of(env: &Env, sources: &Sources, actor: &Actor) -> Result<Self, CareError> {
        actor.require(Permission::ReviewWork)?;
        let provider = actor.as_provider().ok_or(CareError::ProviderRequired)?;
        let states = sources.directory.licensed_states(provider, env.now()).await?;
        Ok(Self { provider, states })
    }

    pub fn reach(&self) -> Reach {
        Reach::Provider { provider: self.provider, states: self.states.clone() }
    }

    pub async fn check_license(
        &self,
        sources: &Sources,
        patient: PatientId,
    ) -> Result<ClinicalFacts, CareError> {
        licenses::check(sources, &self.states, patient).await
    }

    /// The assessment as far as it exists for this provider. An attempt at
    /// another one is audited.
    pub async fn assessment(
        &self,
        store: &dyn CareStore,
        actor: &Actor,
        id: AssessmentId,
    ) -> Result<Assessment, CareError> {
        let mut tx = store.begin(actor).await?;
        if let Some(assessment) = tx.assessment(id, &self.reach()).await? {
            return Ok(assessment);
        }
        tx.audit(AuditEntry::new(AuditAction::Read, "assessment", id).denied());
        tx.commit().await?;
        Err(CareError::NotFound("assessment"))
    }
}

/// Open reviews that the provider may take.
pub async fn queue(
    env: &Env,
    store: &dyn CareStore,
    sources: &Sources,
    actor: &Actor,
    page: &PageRequest,
) -> Result<Page<QueueItem>, CareError> {
    let reviewer = Reviewer::of(env, sources, actor).await?;
    let mut tx = store.begin(actor).await?;
    let items = tx.review_queue(reviewer.provider, &reviewer.states, env.now(), page).await?;
    let shown = items.items.iter().map(|item| (item.patient, item.id.uuid()));
    let entry = AuditEntry::new(AuditAction::Search, "review_queue", reviewer.provider);
    tx.audit_all(entry.per_patient(shown));
    tx.commit().await?;
    Ok(items)
}

/// Takes a review. Of any number who try at once, one succeeds.
pub async fn claim(
    env: &Env,
    store: &dyn CareStore,
    sources: &Sources,
    actor: &Actor,
    id: AssessmentId,
) -> Result<Assessment, CareError> {
    let reviewer = Reviewer::of(env, sources, actor).await?;
    let assessment = reviewer.assessment(store, actor, id).await?;
    reviewer.check_license(sources, assessment.patient).await?;
    let claimed = assessment.claim(reviewer.provider, env.now())?;
    let change = Change::Claim { by: reviewer.provider, at: env.now() };
    save(store, (actor, reviewer.reach()), claimed, change, None).await
}

/// Gives a claimed review back to the queue.
pub async fn release(
    env: &Env,
    store: &dyn CareStore,
    sources: &Sources,
    actor: &Actor,
    id: AssessmentId,
) -> Result<Assessment, CareError> {
    let reviewer = Reviewer::of(env, sources, actor).await?;
    let assessment = reviewer.assessment(store, actor, id).await?;
    let released = assessment.release(reviewer.provider, env.now())?;
    let change = Change::Release { by: reviewer.provider, at: env.now() };
    save(store, (actor, reviewer.reach()), released, change, None).await
}

/// Decides against treatment.
pub async fn reject(
    env: &Env,
    store: &dyn CareStore,
    sources: &Sources,
    actor: &Actor,
    id: AssessmentId,
    reason: RejectionReason,
    note: Option<String>,
) -> Result<Assessment, CareError> {
    let note = ChartNote::take_optional("note", note.as_deref())?;
    let reviewer = Reviewer::of(env, sources, actor).await?;
    let assessment = reviewer.assessment(store, actor, id).await?;
    reviewer.check_license(sources, assessment.patient).await?;
    let rejected = assessment.reject(reviewer.provider, reason, note, env.now())?;
    let event = Event::ReviewDecided {
        assessment: id,
        patient: rejected.patient,
        category: rejected.category,
        provider: reviewer.provider,
        approved: false,
    };
    let change = Change::Reject { by: reviewer.provider, at: env.now() };
    save(store, (actor, reviewer.reach()), rejected, change, Some(event)).await
}

/// A save that lost a race says what has become of the review. One that is out
/// of reach by now was taken by somebody else.
pub(crate) async fn lost(
    store: &dyn CareStore,
    actor: &Actor,
    id: AssessmentId,
    reach: &Reach,
    error: PortError,
) -> CareError {
    let PortError::Conflict(_) = error else { return error.into() };
    let now = match store.begin(actor).await {
        Ok(mut tx) => tx.assessment(id, reach).await,
        Err(error) => Err(error),
    };
    match now.map(|found| found.map(|found| found.review)) {
        Err(error) => error.into(),
        Ok(None | Some(Review::Claimed { .. })) => CareError::ReviewAlreadyClaimed,
        Ok(Some(Review::Waiting)) => CareError::ReviewNotClaimed,
        Ok(Some(Review::WaitingOnPatient { .. })) => CareError::ReviewWaitsForPatient,
        Ok(Some(Review::Superseded { .. })) => CareError::ReviewSuperseded,
        Ok(Some(Review::NotNeeded | Review::Approved { .. } | Review::Rejected { .. })) => {
            CareError::ReviewClosed
        }
    }
}

/// What was done with a review.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Change {
    Claim {
        by: ProviderId,
        at: DateTime<Utc>,
    },
    /// It is back in the queue, and whoever let it go is not given it again.
    Release {
        by: ProviderId,
        at: DateTime<Utc>,
    },
    Reject {
        by: ProviderId,
        at: DateTime<Utc>,
    },
    HandOver {
        by: ProviderId,
        at: DateTime<Utc>,
    },
}

impl Change {
    fn word(self) -> &'static str {
        match self {
            Self::Claim { .. } => "claim",
            Self::Release { .. } => "release",
            Self::Reject { .. } => "reject",
            Self::HandOver { .. } => "reassign",
        }
    }
}

/// Saves what a transition made of a loaded review. The row's version makes
/// sure that nothing happened in between.
pub(crate) async fn save(
    store: &dyn CareStore,
    (actor, reach): (&Actor, Reach),
    mut assessment: Assessment,
    change: Change,
    event: Option<Event>,
) -> Result<Assessment, CareError> {
    let mut tx = store.begin(actor).await?;
    if let Change::Claim { by, at } | Change::Reject { by, at } = change {
        licenses::still_holds(tx.as_mut(), by, assessment.state, at).await?;
    }
    if let Err(error) = tx.save_review(&assessment).await {
        drop(tx);
        return Err(lost(store, actor, assessment.id, &reach, error).await);
    }
    if let Some(event) = event {
        tx.emit(event);
    }
    if let Change::Release { by, at } | Change::HandOver { by, at } = change {
        tx.let_go(&assessment, by, at).await?;
    }
    let settled = match change {
        Change::Reject { by, at } => {
            tasks::settle(tx.as_mut(), assessment.id.uuid(), Some(by), at).await?
        }
        _ => 0,
    };
    if let Change::Release { .. } = change {
        assigning::announce(tx.as_mut()).await?;
    }
    tx.audit(
        AuditEntry::new(AuditAction::Update, "assessment", assessment.id)
            .patient(assessment.patient)
            .detail("review", change.word())
            .detail("tasks_settled", settled)
            .detail("status", assessment.review.word()),
    );
    tx.commit().await?;
    assessment.version += 1;
    Ok(assessment)
}

/// What a provider approves.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct Approval {
    /// The version of the whole review as it was read, with this treatment.
    pub seen: String,
    /// The category's protocol where it is left out.
    pub treatment: Option<Treatment>,
    /// What was measured, for the category's protocol.
    pub kidneys: Option<Kidneys>,
    /// Alerts of the category's protocol that the provider takes upon themselves.
    pub overrides: Vec<DoseOverride>,
    /// The patient's active plan of the category, which ends with the approval.
    pub supersedes: Option<TreatmentPlanId>,
    /// How provider and patient met, where no visit here is on file.
    pub met_elsewhere: Option<String>,
}

/// Approves a review and writes the treatment plan, in one transaction.
pub async fn approve(
    env: &Env,
    store: &dyn CareStore,
    sources: &Sources,
    actor: &Actor,
    id: AssessmentId,
    approval: Approval,
    key: &IdempotencyKey,
) -> Result<TreatmentPlan, CareError> {
    actor.require(Permission::TreatmentWrite)?;
    if approval.treatment.is_some() {
        let given = [
            ("kidneys", approval.kidneys.is_some()),
            ("overrides", !approval.overrides.is_empty()),
        ];
        if let Some((path, _)) = given.into_iter().find(|(_, is_given)| *is_given) {
            let message = "With a treatment of one's own it stands in the treatment.";
            return Err(CareError::field(path, "not_allowed", message));
        }
    }
    let reviewer = Reviewer::of(env, sources, actor).await?;
    let assessment = reviewer.assessment(store, actor, id).await?;
    let facts = reviewer.check_license(sources, assessment.patient).await?;
    let given = approval.treatment.as_ref();
    let around = Around::read(store, sources, &assessment, facts.clone(), given).await?;
    let terms = sources.covers.terms(assessment.category).await?;
    let terms = terms.ok_or(CareError::NotFound("category"))?;

    let plan_id: TreatmentPlanId = env.fresh();
    let mut tx = store.begin(actor).await?;
    if let Some(earlier) = tx.claim(key, plan_id.uuid()).await? {
        let plan = tx.plan(TreatmentPlanId(earlier), &reviewer.reach()).await?;
        return plans::answer_again(tx, plan).await;
    }
    let about = (assessment.patient, assessment.category);
    let decided = &assessment.trace.inputs.patient;
    if !decided.is_of(facts.sex, facts.birth_date, assessment.decided_at) {
        return Err(CareError::ProfileChanged);
    }
    let approved = assessment.clone().approve(reviewer.provider, plan_id, env.now())?;
    // What was read before the transaction is held, with the rest, against what
    // the provider was shown.
    let whole = around.complete(tx.as_mut(), assessment, approval.treatment.clone(), env.now());
    if let Err(changed) = whole.await?.check(&approval.seen) {
        // What has become of the review says more than that something changed.
        drop(tx);
        let now = reviewer.assessment(store, actor, id).await?;
        return Err(now.approve(reviewer.provider, plan_id, env.now()).err().unwrap_or(changed));
    }
    // An account that was closed meanwhile signs nothing.
    licenses::still_holds(tx.as_mut(), reviewer.provider, facts.state, env.now()).await?;
    let met = approval.met_elsewhere.as_deref();
    plans::check_visit(env, tx.as_mut(), terms, about, facts.state, met).await?;
    let reason = plans::with_meeting("Approved on review.", met);
    let treatment = match approval.treatment {
        Some(treatment) => treatment,
        None => {
            let protocol = tx.protocol(approved.category).await?.ok_or(CareError::NoProtocol)?;
            // Whoever signs gives their own overrides, and what they have measured.
            let (overrides, kidneys) = (approval.overrides, approval.kidneys);
            Treatment { overrides, kidneys, ..protocol.treatment }
        }
    };
    plans::check_treatment(tx.as_mut(), &treatment, Body::of(&facts, env.now())).await?;
    let plan = TreatmentPlan::create(
        NewPlan {
            id: plan_id,
            patient: approved.patient,
            provider: reviewer.provider,
            category: approved.category,
            assessment: Some(id),
            automatic: false,
            treatment,
            reason,
        },
        env.now(),
    );
    if let Err(error) = tx.save_review(&approved).await {
        drop(tx);
        return Err(lost(store, actor, id, &reviewer.reach(), error).await);
    }
    plans::add(tx.as_mut(), &plan, approval.supersedes).await?;
    plans::ask_to_prescribe(env, tx.as_mut(), &plan).await?;
    let settled = tasks::settle(tx.as_mut(), id.uuid(), Some(reviewer.provider), env.now()).await?;
    tx.emit(Event::ReviewDecided {
        assessment: id,
        patient: approved.patient,
        category: approved.category,
        provider: reviewer.provider,
        approved: true,
    });
    tx.emit(Event::TreatmentPlanCreated {
        treatment_plan: plan.id,
        patient: plan.patient,
        provider: plan.provider,
        category: plan.category,
        automatic: false,
    });
    tx.audit(
        AuditEntry::new(AuditAction::Update, "assessment", id)
            .patient(approved.patient)
            .detail("review", "approve")
            .detail("tasks_settled", settled)
            .detail("treatment_plan", plan.id.to_string()),
    );
    tx.audit(
        AuditEntry::new(AuditAction::Create, "treatment_plan", plan.id)
            .patient(plan.patient)
            .detail("automatic", false)
            .detail("overrides", plan.current().treatment.overridden())
            .detail("supersedes", approval.supersedes.map(|id| id.to_string())),
    );
    tx.commit().await?;
    Ok(plan)
}

/// Every assessment of a patient with its whole trace, for those who treat
/// the patient or may read any chart.
pub async fn eligibility(
    env: &Env,
    store: &dyn CareStore,
    sources: &Sources,
    actor: &Actor,
    patient: PatientId,
) -> Result<Vec<Assessment>, CareError> {
    actor.require(Permission::PatientRead)?;
    let states = match actor.as_provider() {
        Some(provider) => sources.directory.licensed_states(provider, env.now()).await?,
        None => Vec::new(),
    };
    let reach = Reach::of(actor, states);
    let mut tx = store.begin(actor).await?;
    let allowed = match &reach {
        Reach::All => true,
        Reach::Provider { provider, .. } => tx.opens_chart(*provider, patient).await?,
        Reach::Patient(_) | Reach::Nobody => false,
    };
    let entry = AuditEntry::new(AuditAction::Read, "eligibility", patient).patient(patient);
    if !allowed {
        tx.audit(entry.denied());
        tx.commit().await?;
        return Err(CareError::NotFound("patient"));
    }
    let assessments = tx.assessments(patient, &reach.to_chart(patient)).await?;
    tx.audit(entry);
    tx.commit().await?;
    Ok(assessments)
}

/// The patient's own assessments.
pub async fn own(store: &dyn CareStore, actor: &Actor) -> Result<Vec<Assessment>, CareError> {
    let patient = actor.as_patient().ok_or(CareError::PatientRequired)?;
    let mut tx = store.begin(actor).await?;
    let assessments = tx.assessments(patient, &Reach::Patient(patient)).await?;
    tx.audit(AuditEntry::new(AuditAction::Search, "assessment", patient).patient(patient));
    tx.commit().await?;
    Ok(assessments)
}

/// One of the patient's own assessments.
pub async fn own_one(
    store: &dyn CareStore,
    actor: &Actor,
    id: AssessmentId,
) -> Result<Assessment, CareError> {
    let patient = actor.as_patient().ok_or(CareError::PatientRequired)?;
    let mut tx = store.begin(actor).await?;
    let found = tx.assessment(id, &Reach::Patient(patient)).await?;
    let entry = AuditEntry::new(AuditAction::Read, "assessment", id);
    tx.audit(match &found {
        Some(_) => entry.patient(patient),
        None => entry.denied(),
    });
    tx.commit().await?;
    found.ok_or(CareError::NotFound("assessment"))
}
