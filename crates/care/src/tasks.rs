//! Raising and listing provider tasks.

use kernel::{
    Actor, Page, PageRequest, PatientId, Permission, PrescriptionId, ProviderId, TaskId, UsState,
    Uuid,
};
use ports::{AuditAction, AuditEntry, Delivery, Env, Event, events::PrescriptionStatusWord};
use serde_json::Value;

use crate::{CareError, CareStore, CareTx, Sources, Task, TaskKind};

/// Opens a task for that candidate who has the fewest open, and tells of it.
/// With no candidate it stays with those licensed in the state. A second task
/// of one kind about one subject is not opened.
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
        return Ok(None);
    }
    if let Some(provider) = provider {
        tx.emit(Event::TaskCreated { task: task.id, provider }).await?;
    }
    tx.audit(
        AuditEntry::new(AuditAction::Create, "task", task.id)
            .patient(patient)
            .detail("kind", kind.to_string())
            .detail("subject", subject.to_string()),
    )
    .await?;
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
/// becomes a task of its prescriber.
pub async fn on_prescription_changed(
    env: &Env,
    store: &dyn CareStore,
    delivery: Delivery,
    (prescription, patient, provider): (PrescriptionId, PatientId, ProviderId),
    status: PrescriptionStatusWord,
) -> Result<(), CareError> {
    let kind = match status {
        PrescriptionStatusWord::Blocked => TaskKind::BlockedPrescription,
        PrescriptionStatusWord::Failed => TaskKind::FailedPrescription,
        _ => return Ok(()),
    };
    let mut tx = store.begin(&Actor::system("care.prescription_tasks")).await?;
    if !tx.first_delivery(delivery).await? {
        return Ok(());
    }
    let about = (patient, prescription.uuid());
    if raise(env, tx.as_mut(), kind, (&[provider], None), about).await?.is_some() {
        tx.commit().await?;
    }
    Ok(())
}

/// The provider's open tasks.
pub async fn list(
    env: &Env,
    store: &dyn CareStore,
    sources: &Sources,
    actor: &Actor,
    page: &PageRequest,
) -> Result<Page<Task>, CareError> {
    actor.require(Permission::TaskWork)?;
    let provider = actor.as_provider().ok_or(CareError::ProviderRequired)?;
    let states = sources.directory.licensed_states(provider, env.now()).await?;
    let mut tx = store.begin(actor).await?;
    let tasks = tx.tasks(provider, &states, page).await?;
    let shown: Vec<Value> = tasks.items.iter().map(|task| task.id.to_string().into()).collect();
    tx.audit(AuditEntry::new(AuditAction::Search, "task", provider).detail("records", shown))
        .await?;
    tx.commit().await?;
    Ok(tasks)
}
