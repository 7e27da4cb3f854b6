//! The store that care needs. What a patient or a provider reaches is limited in the row of
//! each aggregate; a query that is about a patient is for whoever has been found to open the
//! chart.

use async_trait::async_trait;
use chrono::{DateTime, Utc};
use kernel::{
    Actor, AssessmentId, CategoryId, FormResponseId, Page, PageRequest, PatientId, ProviderId,
    TaskId, UsState, Uuid,
};
use ports::{AuditAction, AuditEntry, Locked, PortError, Repository, Result};
use serde_json::Value;

use crate::{
    Assessment, CareError, Consultation, ConsultationStatus, Priority, Review, Task, TaskKind,
    TreatmentPlan,
    assigning::AssignmentTx,
    break_glass::BreakGlass,
    handover::HandoverTx,
    information::Exchange,
    portal::PortalTx,
    rules::RuleTx,
    tasks::{Shown, TaskScope},
};

/// An item of the review queue. It shows what a provider needs to choose, and
/// nothing that was answered.
#[derive(Clone, Debug, PartialEq)]
pub struct QueueItem {
    pub id: AssessmentId,
    pub patient: PatientId,
    pub category: CategoryId,
    pub state: UsState,
    pub priority: Priority,
    pub submitted_at: DateTime<Utc>,
    pub due_at: DateTime<Utc>,
    pub review: Review,
}

#[async_trait]
pub trait CareTx:
    RuleTx
    + AssignmentTx
    + PortalTx
    + HandoverTx
    + Repository<Assessment>
    + Repository<TreatmentPlan>
    + Repository<Task>
    + Repository<Consultation>
    + Repository<BreakGlass>
{
    /// Holds back whoever else changes a setting of this name until this transaction ends.
    async fn lock_settings(&mut self, name: &'static str) -> Result<()>;

    /// A setting with its version.
    async fn setting(&mut self, name: &'static str, key: &str) -> Result<Option<(Value, i64)>>;

    /// All settings of this name with their versions, by key.
    async fn settings(&mut self, name: &'static str) -> Result<Vec<(Value, i64)>>;

    /// Keeps a setting as this version, under the lock.
    async fn keep_setting(
        &mut self,
        name: &'static str,
        key: &str,
        value: &Value,
        version: i64,
    ) -> Result<()>;

    /// Whether a response has been assessed.
    async fn assessment_of(&mut self, response: FormResponseId) -> Result<Option<AssessmentId>>;

    /// Newest first.
    async fn assessments(&mut self, patient: PatientId) -> Result<Vec<Assessment>>;

    /// Waits until no other transaction decides which review of this patient
    /// and category is open.
    async fn lock_reviews(&mut self, patient: PatientId, category: CategoryId) -> Result<()>;

    /// Open reviews of patients in these states: urgent first, then by due
    /// time. Those that another provider holds right now are left out.
    async fn review_queue(
        &mut self,
        provider: ProviderId,
        states: &[UsState],
        now: DateTime<Utc>,
        page: &PageRequest,
    ) -> Result<Page<QueueItem>>;

    /// Open reviews that were due by `now` and are not escalated, with the patient and the
    /// state: the longest overdue first.
    async fn overdue_reviews(
        &mut self,
        now: DateTime<Utc>,
        limit: u32,
    ) -> Result<Vec<(AssessmentId, PatientId, UsState)>>;

    async fn add_exchange(&mut self, exchange: &Exchange) -> Result<()>;

    /// Keeps the answer to the last question of a review.
    async fn answer_exchange(
        &mut self,
        assessment: AssessmentId,
        answer: &str,
        at: DateTime<Utc>,
    ) -> Result<()>;

    /// What was asked in a review, oldest first.
    async fn exchanges(&mut self, assessment: AssessmentId) -> Result<Vec<Exchange>>;

    /// Newest first.
    async fn plans(&mut self, patient: PatientId) -> Result<Vec<TreatmentPlan>>;

    /// The patient's active plan in a category; there is at most one.
    async fn active_plan(
        &mut self,
        patient: PatientId,
        category: CategoryId,
    ) -> Result<Option<TreatmentPlan>>;

    /// The same, locked.
    async fn lock_active_plan(
        &mut self,
        patient: PatientId,
        category: CategoryId,
    ) -> Result<Option<Locked<TreatmentPlan>>>;

    /// `false` where there is an open task of that kind about that subject.
    async fn add_task(&mut self, task: &Task) -> Result<bool>;

    /// Ends the open tasks about something, and says how many there were.
    async fn settle_tasks(
        &mut self,
        subject: Uuid,
        by: Option<ProviderId>,
        now: DateTime<Utc>,
    ) -> Result<u64>;

    /// The tasks of a provider's reach.
    async fn tasks(
        &mut self,
        scope: &TaskScope,
        shown: Shown,
        now: DateTime<Utc>,
        page: &PageRequest,
    ) -> Result<Page<Task>>;

    /// The open tasks of these kinds about a patient with their versions, the
    /// oldest first.
    async fn open_tasks_about(
        &mut self,
        patient: PatientId,
        kinds: &[TaskKind],
    ) -> Result<Vec<(TaskId, i64)>>;

    /// The open task of that kind about that subject counts up, and shows again
    /// where it was put off. `None` where there is none.
    async fn renew_task(&mut self, kind: TaskKind, subject: Uuid) -> Result<Option<TaskId>>;

    /// How many tasks a provider has open.
    async fn open_tasks(&mut self, provider: ProviderId) -> Result<u64>;

    /// One's own, and of that status where one is given: the last to begin first.
    async fn consultations(
        &mut self,
        status: Option<ConsultationStatus>,
        page: &PageRequest,
    ) -> Result<Page<Consultation>>;

    /// By the vendor's session.
    async fn lock_consultation_in(&mut self, room: &str) -> Result<Option<Locked<Consultation>>>;

    /// The patient's consultations that began since then.
    async fn consultations_since(
        &mut self,
        patient: PatientId,
        since: DateTime<Utc>,
    ) -> Result<Vec<Consultation>>;

    /// How many booked consultations of the patient are still to begin. Other
    /// bookings of the patient wait until this transaction ends.
    async fn consultations_ahead(&mut self, patient: PatientId, now: DateTime<Utc>) -> Result<u64>;

    /// Whether the provider may read the patient's chart now: one of the panel,
    /// or one that is open in an emergency.
    async fn opens_chart(&mut self, provider: ProviderId, patient: PatientId) -> Result<bool>;

    /// Holds a pair until the transaction ends, so that one glass is not broken
    /// twice at once.
    async fn lock_break_glass(&mut self, provider: ProviderId, patient: PatientId) -> Result<()>;

    /// The emergency access that is open at a time.
    async fn open_break_glass(
        &mut self,
        provider: ProviderId,
        patient: PatientId,
        now: DateTime<Utc>,
    ) -> Result<Option<BreakGlass>>;

    /// The newest first; the pending ones alone where that is asked for.
    async fn break_glasses(
        &mut self,
        pending: bool,
        page: &PageRequest,
    ) -> Result<Page<BreakGlass>>;

    /// Whether the patient is on the provider's panel.
    async fn treats(&mut self, provider: ProviderId, patient: PatientId) -> Result<bool>;
}

#[async_trait]
pub trait CareStore: Send + Sync {
    async fn begin(&self, actor: &Actor) -> Result<Box<dyn CareTx>>;
}

/// What was found within the actor's reach. An attempt on anything else is recorded as
/// denied, and answered as if it did not exist.
pub(crate) async fn reached<T>(
    mut tx: Box<dyn CareTx>,
    found: Result<T>,
    (action, entity, id): (AuditAction, &'static str, Uuid),
) -> Result<(Box<dyn CareTx>, T), CareError> {
    match found {
        Ok(found) => Ok((tx, found)),
        Err(error @ PortError::NotFound { .. }) => {
            tx.audit(AuditEntry::new(action, entity, id).denied());
            tx.commit().await?;
            Err(error.into())
        }
        Err(other) => Err(other.into()),
    }
}
