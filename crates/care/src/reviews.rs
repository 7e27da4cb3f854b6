//! The review queue: seeing, claiming, releasing and deciding reviews, and
//! reading what eligibility decided.

use kernel::{
    Actor, AssessmentId, Page, PageRequest, PatientId, Permission, ProviderId, Seen, TextKind as _,
    TreatmentPlanId, UsState, text::ChartNote,
};
use ports::{
    Aggregate as _, AuditAction, AuditEntry, Env, Event, IdempotencyKey,
    repository::{get, lock},
};

use crate::{
    Assessment, CareError, CareStore, ClinicalFacts, Protocol, QueueItem, RejectionReason, Review,
    Sources, Treatment, TreatmentPlan, assigning,
    dosing::{Body, DoseOverride, Kidneys},
    licenses, plans, setting,
    store::reached,
    tasks,
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

    pub async fn check_license(
        &self,
        sources: &Sources,
        patient: PatientId,
    ) -> Result<ClinicalFacts, CareError> {
        licenses::check(sources, &self.states, patient).await
    }

    /// The assessment as far as it exists for this provider: one that they hold or have
    /// decided, one that is to be decided where they are licensed, and those of their
    /// panel. An attempt at another one is audited.
    pub async fn assessment(
        &self,
        store: &dyn CareStore,
        actor: &Actor,
        id: AssessmentId,
    ) -> Result<Assessment, CareError> {
        let mut tx = store.begin(actor).await?;
        let found: Option<Assessment> = tx.find(id).await?;
        if let Some(found) = found {
            let waits = matches!(found.review, Review::Waiting | Review::Claimed { .. });
            if found.review.provider() == Some(self.provider)
                || waits && self.states.contains(&found.state)
                || tx.treats(self.provider, found.patient).await?
            {
                return Ok(found);
            }
        }
        tx.audit(AuditEntry::new(AuditAction::Read, "assessment", id).denied());
        tx.commit().await?;
        Err(CareError::no(Assessment::NAME))
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
    change(env, store, actor, &reviewer, &assessment, Change::Claim).await
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
    change(env, store, actor, &reviewer, &assessment, Change::Release).await
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
    change(env, store, actor, &reviewer, &assessment, Change::Reject { reason, note }).await
}

/// What a provider does with a review.
pub(crate) enum Change {
    Claim,
    /// It is back in the queue, and whoever let it go is not given it again.
    Release,
    Reject {
        reason: RejectionReason,
        note: Option<String>,
    },
    HandOver {
        to: ProviderId,
    },
}

/// Does it, to a review that the provider may see.
pub(crate) async fn change(
    env: &Env,
    store: &dyn CareStore,
    actor: &Actor,
    reviewer: &Reviewer,
    assessment: &Assessment,
    change: Change,
) -> Result<Assessment, CareError> {
    let (id, patient, by, now) = (assessment.id, assessment.patient, reviewer.provider, env.now());
    let mut tx = store.begin(actor).await?;
    tx.hold_off_handover(patient).await?;
    let mut review = lock::<Assessment>(tx.as_mut(), id, &Seen::Any).await?;
    let (mut settled, state) = (0, review.state);
    let word = match change {
        Change::Claim => {
            review.claim(by, now)?;
            licenses::still_holds(tx.as_mut(), by, state, now).await?;
            "claim"
        }
        Change::Release => {
            review.release(by, now)?;
            tx.let_go(&review, by, now).await?;
            assigning::announce(tx.as_mut()).await?;
            "release"
        }
        Change::Reject { reason, note } => {
            review.reject(by, reason, note, now)?;
            licenses::still_holds(tx.as_mut(), by, state, now).await?;
            settled = tasks::settle(tx.as_mut(), id.uuid(), Some(by), now).await?;
            let category = review.category;
            let (assessment, provider) = (id, by);
            tx.emit(Event::ReviewDecided {
                assessment,
                patient,
                category,
                provider,
                approved: false,
            });
            "reject"
        }
        Change::HandOver { to } => {
            review.hand_over(by, to, now)?;
            tx.let_go(&review, by, now).await?;
            tx.emit(Event::ReviewAssigned { assessment: id, patient, provider: to });
            "reassign"
        }
    };
    tx.save(&mut review).await?;
    tx.audit(
        AuditEntry::new(AuditAction::Update, "assessment", id)
            .patient(patient)
            .detail("review", word)
            .detail("tasks_settled", settled)
            .detail("status", review.review.word().word()),
    );
    tx.commit().await?;
    Ok(review.into_inner())
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
    let terms = terms.ok_or_else(|| CareError::no("category"))?;

    let plan_id: TreatmentPlanId = env.fresh();
    let mut tx = store.begin(actor).await?;
    if let Some(earlier) = tx.claim(key, plan_id.uuid()).await? {
        return plans::answer_again(tx, earlier.into()).await;
    }
    let about = (assessment.patient, assessment.category);
    tx.hold_off_handover(assessment.patient).await?;
    let mut assessment = lock::<Assessment>(tx.as_mut(), id, &Seen::Any).await?;
    let decided = &assessment.trace.inputs.patient;
    if !decided.is_of(facts.sex, facts.birth_date, assessment.decided_at) {
        return Err(CareError::ProfileChanged);
    }
    // What has become of the review says more than that something changed.
    assessment.approve(reviewer.provider, plan_id, env.now())?;
    // What was read before the transaction is held, with the rest, against what
    // the provider was shown.
    let (read, given) = (assessment.stored().clone(), approval.treatment.clone());
    let whole = around.complete(tx.as_mut(), read, given, env.now()).await?;
    whole.check(&approval.seen)?;
    // An account that was closed meanwhile signs nothing.
    licenses::still_holds(tx.as_mut(), reviewer.provider, facts.state, env.now()).await?;
    let met = approval.met_elsewhere.as_deref();
    plans::check_visit(env, tx.as_mut(), terms, about, facts.state, met).await?;
    let reason = plans::with_meeting("Approved on review.", met);
    let treatment = match approval.treatment {
        Some(treatment) => treatment,
        None => {
            let protocol: Option<Protocol> =
                setting::held(tx.as_mut(), &assessment.category).await?;
            let protocol = protocol.ok_or(CareError::NoProtocol)?;
            // Whoever signs gives their own overrides, and what they have measured.
            let (overrides, kidneys) = (approval.overrides, approval.kidneys);
            Treatment { overrides, kidneys, ..protocol.treatment }
        }
    };
    plans::check_treatment(tx.as_mut(), &treatment, Body::of(&facts, env.now())).await?;
    let plan = TreatmentPlan::create(
        NewPlan {
            id: plan_id,
            patient: assessment.patient,
            provider: reviewer.provider,
            category: assessment.category,
            assessment: Some(id),
            automatic: false,
            treatment,
            reason,
        },
        env.now(),
    );
    tx.save(&mut assessment).await?;
    plans::add(tx.as_mut(), &plan, approval.supersedes).await?;
    plans::ask_to_prescribe(env, tx.as_mut(), &plan).await?;
    let settled = tasks::settle(tx.as_mut(), id.uuid(), Some(reviewer.provider), env.now()).await?;
    tx.emit(Event::ReviewDecided {
        assessment: id,
        patient: assessment.patient,
        category: assessment.category,
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
            .patient(assessment.patient)
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
    store: &dyn CareStore,
    actor: &Actor,
    patient: PatientId,
) -> Result<Vec<Assessment>, CareError> {
    actor.require(Permission::PatientRead)?;
    let mut tx = store.begin(actor).await?;
    let allowed = match actor.as_provider() {
        _ if actor.may(Permission::PatientReadAny) => true,
        Some(provider) => tx.opens_chart(provider, patient).await?,
        None => false,
    };
    let entry = AuditEntry::new(AuditAction::Read, "eligibility", patient).patient(patient);
    if !allowed {
        tx.audit(entry.denied());
        tx.commit().await?;
        return Err(CareError::no("patient"));
    }
    let assessments = tx.assessments(patient).await?;
    tx.audit(entry);
    tx.commit().await?;
    Ok(assessments)
}

/// The patient's own assessments.
pub async fn own(store: &dyn CareStore, actor: &Actor) -> Result<Vec<Assessment>, CareError> {
    let patient = actor.as_patient().ok_or(CareError::PatientRequired)?;
    let mut tx = store.begin(actor).await?;
    let assessments = tx.assessments(patient).await?;
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
    let found = get::<Assessment>(tx.as_mut(), id).await;
    let (mut tx, found) = reached(tx, found, (AuditAction::Read, "assessment", id.uuid())).await?;
    tx.audit(AuditEntry::new(AuditAction::Read, "assessment", id).patient(patient));
    tx.commit().await?;
    Ok(found)
}
