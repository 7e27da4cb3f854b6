//! Raising, listing and working provider tasks.

use chrono::{DateTime, Utc};
use kernel::{
    Actor, CategoryId, Page, PageRequest, PatientId, Permission, PrescriptionId, ProviderId, Seen,
    TaskId, TreatmentPlanId, UsState, Uuid, Word,
};
use ports::{
    Aggregate as _, AuditAction, AuditEntry, Env, Event, PortError,
    events::PrescriptionStatusWord,
    repository::{get, lock},
};

use crate::{
    Assessment, CareError, CareStore, CareTx, PatientFacts, PlanStatus, Prescribed, Sources, Task,
    TaskKind, TreatmentPlan, assigning, licenses, store::reached,
};

/// Opens a task for that candidate who has the fewest open, and tells of it.
/// With no candidate it stays with those licensed in the state. A second task
/// of one kind about one subject is not opened; news of the patient's health or
/// profile counts the open one up, so that nobody takes it for what they have
/// read, and is an answer as well.
pub(crate) async fn raise(
    env: &Env,
    tx: &mut dyn CareTx,
    kind: TaskKind,
    (candidates, state): (&[ProviderId], Option<UsState>),
    (patient, subject): (PatientId, Uuid),
) -> Result<Option<TaskId>, CareError> {
    let mut chosen: Option<(u64, ProviderId)> = None;
    for candidate in candidates {
        let open = tx.open_tasks(*candidate).await?;
        if chosen.is_none_or(|(fewest, _)| open < fewest) {
            chosen = Some((open, *candidate));
        }
    }
    let provider = chosen.map(|(_, provider)| provider);
    let task = Task::open(env.fresh(), kind, (provider, state), (patient, subject), env.now());
    if !tx.add_task(&task).await? {
        if !TaskKind::CHANGES.contains(&kind) {
            return Ok(None);
        }
        let Some(renewed) = tx.renew_task(kind, subject).await? else { return Ok(None) };
        tx.audit(
            AuditEntry::new(AuditAction::Update, "task", renewed)
                .patient(patient)
                .detail("task", "renew")
                .detail("kind", kind.to_string()),
        );
        return Ok(Some(renewed));
    }
    if let Some(provider) = provider {
        tx.emit(Event::TaskCreated { task: task.id, provider });
    }
    tx.audit(
        AuditEntry::new(AuditAction::Create, "task", task.id)
            .patient(patient)
            .detail("kind", kind.to_string())
            .detail("subject", subject.to_string()),
    );
    Ok(Some(task.id))
}

/// What a task is to be about.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct NewTask {
    pub kind: TaskKind,
    pub provider: ProviderId,
    pub patient: PatientId,
    pub subject: Uuid,
}

/// Opens a task for a provider. `None` where there was one already.
pub async fn create_task(
    env: &Env,
    store: &dyn CareStore,
    actor: &Actor,
    new: NewTask,
) -> Result<Option<TaskId>, CareError> {
    actor.require(Permission::TaskWork)?;
    let mut tx = store.begin(actor).await?;
    let about = (new.patient, new.subject);
    let task = raise(env, tx.as_mut(), new.kind, (&[new.provider], None), about).await?;
    if task.is_some() {
        tx.commit().await?;
    }
    Ok(task)
}

/// Handles `PrescriptionChanged`: a prescription that is blocked or failed
/// becomes a task of whoever answers for its plan, and one that goes on settles them. One
/// that was canceled because the plan has changed since leaves the treatment
/// unprescribed, which is a task as well: where the first prescription was
/// written while the plan changed, the change itself told of none.
pub async fn on_prescription_changed(
    env: &Env,
    store: &dyn CareStore,
    prescribed: &dyn Prescribed,
    (prescription, plan, version): (PrescriptionId, TreatmentPlanId, u32),
    (patient, provider): (PatientId, ProviderId),
    status: PrescriptionStatusWord,
) -> Result<(), CareError> {
    let last = match status {
        PrescriptionStatusWord::Canceled => prescribed.last_version(plan).await?,
        _ => None,
    };
    let mut tx = store.begin(&Actor::system("care.prescription_tasks")).await?;
    let kind = match status {
        PrescriptionStatusWord::Blocked => TaskKind::BlockedPrescription,
        PrescriptionStatusWord::Failed => TaskKind::FailedPrescription,
        _ => {
            let mut settled = settle(tx.as_mut(), prescription.uuid(), None, env.now()).await?;
            let current: Option<TreatmentPlan> = tx.find(plan).await?;
            let is_current = current.as_ref().is_none_or(|plan| !plan.is_outdated(version));
            let mut raised = None;
            if status != PrescriptionStatusWord::Canceled {
                if is_current {
                    // The plan as it is now is on its way to the pharmacy.
                    settled += settle(tx.as_mut(), plan.uuid(), None, env.now()).await?;
                }
            } else if let Some(changed) = current.filter(|_| !is_current) {
                raised = raise_changed(env, tx.as_mut(), &changed, last).await?;
            }
            if settled > 0 {
                tx.audit(
                    AuditEntry::new(AuditAction::Update, "task", prescription)
                        .patient(patient)
                        .detail("task", "settle")
                        .detail("tasks", settled)
                        .detail("prescription", <&str>::from(status)),
                );
            }
            if settled > 0 || raised.is_some() {
                tx.commit().await?;
            }
            return Ok(());
        }
    };
    let about = (patient, prescription.uuid());
    // The plan may have been taken over from the prescriber.
    let plan: Option<TreatmentPlan> = tx.find(plan).await?;
    let responsible = plan.map_or(provider, |plan| plan.provider);
    if raise(env, tx.as_mut(), kind, (&[responsible], None), about).await?.is_some() {
        tx.commit().await?;
    }
    Ok(())
}

/// Handles `TreatmentPlanModified`: where the plan was prescribed before and the
/// treatment as it is now is not, that is a task of its provider.
pub async fn on_treatment_plan_modified(
    env: &Env,
    store: &dyn CareStore,
    prescribed: &dyn Prescribed,
    plan: TreatmentPlanId,
) -> Result<(), CareError> {
    let last = prescribed.last_version(plan).await?;
    let mut tx = store.begin(&Actor::system("care.changed_treatments")).await?;
    let Some(changed) = tx.find(plan).await? else { return Ok(()) };
    if raise_changed(env, tx.as_mut(), &changed, last).await?.is_some() {
        tx.commit().await?;
    }
    Ok(())
}

/// The treatment as it is now is not prescribed, and an earlier version was,
/// the last of them `last`: that is a task of the plan's provider.
async fn raise_changed(
    env: &Env,
    tx: &mut dyn CareTx,
    plan: &TreatmentPlan,
    last: Option<u32>,
) -> Result<Option<TaskId>, CareError> {
    if plan.ended.is_some() || last.is_none_or(|last| last >= plan.current().number) {
        return Ok(None);
    }
    let about = (plan.patient, plan.id.uuid());
    raise(env, tx, TaskKind::ChangedTreatment, (&[plan.provider], None), about).await
}

/// Handles `PatientProfileChanged`: open reviews go where the patient is, and
/// what a plan was approved for is not what the patient says now, so its
/// provider looks at it. A new state may be one in which the provider holds no
/// license.
pub async fn on_profile_changed(
    env: &Env,
    store: &dyn CareStore,
    facts: &dyn PatientFacts,
    patient: PatientId,
) -> Result<(), CareError> {
    let Some(facts) = facts.facts(patient).await? else { return Ok(()) };
    let mut tx = store.begin(&Actor::system("care.changed_profiles")).await?;
    let mut raised = follow(tx.as_mut(), patient, facts.state).await?;
    for plan in tx.plans(patient).await? {
        let (PlanStatus::Active, Some(assessment)) = (plan.status, plan.assessment) else {
            continue;
        };
        let decided: Assessment = get(tx.as_mut(), assessment).await?;
        let before = &decided.trace.inputs.patient;
        if facts.state == before.state
            && before.is_of(facts.sex, facts.birth_date, decided.decided_at)
        {
            continue;
        }
        let about = (patient, assessment.uuid());
        let kind = TaskKind::ChangedProfile;
        raised |= raise(env, tx.as_mut(), kind, (&[plan.provider], None), about).await?.is_some();
    }
    if raised {
        tx.commit().await?;
    }
    Ok(())
}

/// An open review goes with the patient: those who may decide it are the ones
/// licensed where the patient is now. Whoever holds it keeps it for the rest of
/// the claim. Returns whether there was one.
async fn follow(
    tx: &mut dyn CareTx,
    patient: PatientId,
    state: UsState,
) -> Result<bool, CareError> {
    tx.hold_off_handover(patient).await?;
    let mut moved = false;
    for review in tx.assessments(patient).await? {
        if !review.review.is_open() || review.state == state {
            continue;
        }
        let mut review = lock::<Assessment>(tx, review.id, &Seen::Any).await?;
        let before = std::mem::replace(&mut review.state, state);
        if !review.review.is_open() {
            continue;
        }
        tx.save(&mut review).await?;
        tx.audit(
            AuditEntry::new(AuditAction::Update, "assessment", review.id)
                .patient(patient)
                .detail("review", "follow")
                .detail("old", before.to_string())
                .detail("new", state.to_string()),
        );
        moved = true;
    }
    if moved {
        assigning::announce(tx).await?;
    }
    Ok(moved)
}

/// Handles `SubscriptionMismatched`: what the patient is treated with is not what
/// was bought, so that nothing goes out for it and nothing is renewed. The
/// plan's provider changes the one or tells the patient to buy the other.
pub async fn on_subscription_mismatched(
    env: &Env,
    store: &dyn CareStore,
    patient: PatientId,
    category: CategoryId,
) -> Result<(), CareError> {
    let mut tx = store.begin(&Actor::system("care.mismatched_subscriptions")).await?;
    let Some(plan) = tx.active_plan(patient, category).await? else { return Ok(()) };
    let (kind, about) = (TaskKind::UncoveredTreatment, (patient, plan.id.uuid()));
    if raise(env, tx.as_mut(), kind, (&[plan.provider], None), about).await?.is_some() {
        tx.commit().await?;
    }
    Ok(())
}

/// Handles `ClinicalRecordChanged`: a medication or an allergy that a patient
/// under treatment tells of was not there when the prescription was checked.
pub async fn on_record_changed(
    env: &Env,
    store: &dyn CareStore,
    patient: PatientId,
) -> Result<(), CareError> {
    let mut tx = store.begin(&Actor::system("care.changed_records")).await?;
    let mut raised = false;
    for plan in tx.plans(patient).await? {
        if plan.status != PlanStatus::Active {
            continue;
        }
        let subject = plan.assessment.map_or_else(|| plan.id.uuid(), |decided| decided.uuid());
        let kind = TaskKind::ChangedHealth;
        let about = (patient, subject);
        raised |= raise(env, tx.as_mut(), kind, (&[plan.provider], None), about).await?.is_some();
    }
    if raised {
        tx.commit().await?;
    }
    Ok(())
}

/// Which tasks a provider reaches: their own, and those of nobody where they
/// are licensed right now.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct TaskScope {
    pub provider: ProviderId,
    pub states: Vec<UsState>,
}

impl TaskScope {
    async fn of(env: &Env, sources: &Sources, actor: &Actor) -> Result<Self, CareError> {
        actor.require(Permission::TaskWork)?;
        let provider = actor.as_provider().ok_or(CareError::ProviderRequired)?;
        let states = sources.directory.licensed_states(provider, env.now()).await?;
        Ok(Self { provider, states })
    }

    /// A task that is somebody's, or of nobody where the provider is licensed.
    fn admits(&self, task: &Task) -> ports::Result<()> {
        if task.provider.is_some() || task.state.is_some_and(|state| self.states.contains(&state)) {
            Ok(())
        } else {
            Err(PortError::not_found(Task::NAME))
        }
    }
}

/// How far a task has come, and which tasks to list.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Word)]
#[word("TaskStatusWord")]
pub enum Shown {
    /// What is to be done now, by the time at which it is due.
    #[default]
    Open,
    /// What was put off, by the time at which it is due.
    Snoozed,
    /// What is done, the latest first.
    Done,
}

/// The provider's tasks.
pub async fn list(
    env: &Env,
    store: &dyn CareStore,
    sources: &Sources,
    actor: &Actor,
    shown: Shown,
    page: &PageRequest,
) -> Result<Page<Task>, CareError> {
    let scope = TaskScope::of(env, sources, actor).await?;
    let mut tx = store.begin(actor).await?;
    let tasks = tx.tasks(&scope, shown, env.now(), page).await?;
    let shown = tasks.items.iter().map(|task| (task.patient, task.id.uuid()));
    let entry = AuditEntry::new(AuditAction::Search, "task", scope.provider);
    tx.audit_all(entry.per_patient(shown));
    tx.commit().await?;
    Ok(tasks)
}

/// What a provider does with a task.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum TaskChange {
    Complete {
        note: Option<String>,
    },
    Snooze {
        until: DateTime<Utc>,
    },
    Wake,
    /// To a colleague who is licensed where the patient is; to oneself where it
    /// is nobody's.
    HandOver {
        to: ProviderId,
    },
}

impl TaskChange {
    fn word(&self) -> &'static str {
        match self {
            Self::Complete { .. } => "complete",
            Self::Snooze { .. } => "snooze",
            Self::Wake => "wake",
            Self::HandOver { .. } => "reassign",
        }
    }
}

/// Changes a task of the provider's reach.
pub async fn change(
    env: &Env,
    store: &dyn CareStore,
    sources: &Sources,
    actor: &Actor,
    (id, seen): (TaskId, &Seen),
    change: TaskChange,
) -> Result<Task, CareError> {
    let scope = TaskScope::of(env, sources, actor).await?;
    let place = (AuditAction::Update, "task", id.uuid());
    if let TaskChange::HandOver { to } = change {
        let mut tx = store.begin(actor).await?;
        let found = get::<Task>(tx.as_mut(), id).await;
        let found = found.and_then(|task| scope.admits(&task).map(|()| task));
        let (tx, task) = reached(tx, found, place).await?;
        drop(tx);
        licenses::check_named(env, sources, task.patient, to).await?;
    }
    let mut tx = store.begin(actor).await?;
    let found = lock::<Task>(tx.as_mut(), id, seen).await;
    let found = found.and_then(|task| scope.admits(&task).map(|()| task));
    let (mut tx, mut task) = reached(tx, found, place).await?;
    let now = env.now();
    match &change {
        TaskChange::Complete { note } => task.complete(scope.provider, note.as_deref(), now)?,
        TaskChange::Snooze { until } => task.snooze(*until, now)?,
        TaskChange::Wake => task.wake()?,
        TaskChange::HandOver { to } => task.hand_over(*to)?,
    }
    let old = task.stored().clone();
    tx.save(&mut task).await?;
    if let TaskChange::HandOver { to } = change {
        // Whoever is given a task has the patient on their panel again. Completing a task
        // that is left over from before a handover gives nobody the patient.
        if old.provider != Some(to) {
            tx.rejoin(to, task.patient).await?;
        }
        if to != scope.provider {
            tx.emit(Event::TaskCreated { task: id, provider: to });
        }
    }
    let holder = |task: &Task| task.provider.map(|provider| provider.to_string());
    let until = |task: &Task| task.snoozed_until.map(|until| until.to_rfc3339());
    tx.audit(
        AuditEntry::new(AuditAction::Update, "task", id)
            .patient(task.patient)
            .detail("task", change.word())
            .detail("kind", task.kind.to_string())
            .detail("old_provider", holder(&old))
            .detail("new_provider", holder(&task))
            .detail("old_snoozed_until", until(&old))
            .detail("new_snoozed_until", until(&task)),
    );
    tx.commit().await?;
    Ok(task.into_inner())
}

/// What the tasks were about is settled, so they are done. Returns how many
/// there were, for the audit entry of what settled them.
pub(crate) async fn settle(
    tx: &mut dyn CareTx,
    subject: Uuid,
    by: Option<ProviderId>,
    now: DateTime<Utc>,
) -> Result<u64, CareError> {
    Ok(tx.settle_tasks(subject, by, now).await?)
}
