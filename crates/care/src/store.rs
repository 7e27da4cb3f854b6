//! The store that care needs. Every read is scoped by a [`Reach`] inside the
//! query.

use async_trait::async_trait;
use chrono::{DateTime, Utc};
use kernel::{
    Actor, AssessmentId, BreakGlassId, CategoryId, ConsultationId, FormResponseId, Page,
    PageRequest, PatientId, Permission, ProviderId, RxNorm, TaskId, TreatmentPlanId, UsState, Uuid,
};
use ports::Result;

use crate::{
    Assessment, Consultation, ConsultationStatus, DoseLimit, Modality, Priority, Protocol, Review,
    StatePolicy, Task, TaskKind, TreatmentPlan,
    assigning::AssignmentTx,
    break_glass::BreakGlass,
    dosing::DosingRule,
    handover::HandoverTx,
    information::Exchange,
    portal::PortalTx,
    rules::RuleTx,
    tasks::{Shown, TaskScope},
};

/// Which rows an actor reaches.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Reach {
    Nobody,
    /// One's own rows.
    Patient(PatientId),
    /// The rows of one's panel and, of the review queue, those of the states
    /// in which one is licensed right now.
    Provider {
        provider: ProviderId,
        states: Vec<UsState>,
    },
    /// Every row: Salus itself, and staff who may read any chart.
    All,
}

impl Reach {
    /// `states` are those of a provider's active licenses; for anybody else
    /// they mean nothing.
    pub fn of(actor: &Actor, states: Vec<UsState>) -> Self {
        if actor.is_system() || actor.may(Permission::PatientReadAny) {
            Self::All
        } else if let Some(provider) = actor.as_provider() {
            Self::Provider { provider, states }
        } else if let Some(patient) = actor.as_patient() {
            Self::Patient(patient)
        } else {
            Self::Nobody
        }
    }
}

impl Reach {
    /// The reach of whoever has been found to open a patient's chart.
    pub fn to_chart(self, patient: PatientId) -> Self {
        match self {
            Self::Provider { .. } => Self::Patient(patient),
            other => other,
        }
    }
}

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
pub trait CareTx: RuleTx + AssignmentTx + PortalTx + HandoverTx {
    async fn protocol(&mut self, category: CategoryId) -> Result<Option<Protocol>>;

    /// The same with its version, for whoever changes it: another who does so
    /// waits until this transaction ends.
    async fn category_protocol(&mut self, category: CategoryId) -> Result<Option<(Protocol, i64)>>;

    /// Saves it as `version`; over any other than the one before it is a
    /// conflict. So it is with the other settings.
    async fn save_protocol(&mut self, protocol: &Protocol, version: i64) -> Result<()>;

    /// Holds back whoever else changes the formulary until this transaction
    /// ends, so that what was found in it stays true.
    async fn lock_formulary(&mut self) -> Result<()>;

    /// All drugs of the formulary, by RxNorm concept.
    async fn formulary(&mut self) -> Result<Vec<(DoseLimit, i64)>>;

    /// One of them with its version, for whoever changes it.
    async fn formulary_drug(&mut self, drug: &RxNorm) -> Result<Option<(DoseLimit, i64)>>;

    async fn dose_limit(&mut self, drug: &RxNorm) -> Result<Option<DoseLimit>>;

    async fn save_dose_limit(&mut self, limit: &DoseLimit, version: i64) -> Result<()>;

    /// How a drug is dosed, with the version of the rule.
    async fn dosing_rule(&mut self, drug: &RxNorm) -> Result<Option<(DosingRule, i64)>>;

    async fn save_dosing_rule(&mut self, rule: &DosingRule, version: i64) -> Result<()>;

    /// Whether the drug may be approved automatically in the state.
    async fn auto_approval(&mut self, state: UsState, drug: &RxNorm) -> Result<bool>;

    async fn allow_auto_approval(&mut self, state: UsState, drug: &RxNorm) -> Result<()>;

    /// [`Modality::Video`] where nothing is known of the state.
    async fn modality(&mut self, state: UsState) -> Result<Modality>;

    /// What was set for a state with its version, for whoever changes it.
    async fn state_policy(&mut self, state: UsState) -> Result<Option<(StatePolicy, i64)>>;

    async fn save_state_policy(&mut self, policy: &StatePolicy, version: i64) -> Result<()>;

    async fn assessment(&mut self, id: AssessmentId, reach: &Reach) -> Result<Option<Assessment>>;

    /// Whether a response has been assessed.
    async fn assessment_of(&mut self, response: FormResponseId) -> Result<Option<AssessmentId>>;

    /// Newest first.
    async fn assessments(&mut self, patient: PatientId, reach: &Reach) -> Result<Vec<Assessment>>;

    /// A second assessment of one response is a conflict.
    async fn add_assessment(&mut self, assessment: &Assessment) -> Result<()>;

    /// Waits until no other transaction decides which review of this patient
    /// and category is open.
    async fn lock_reviews(&mut self, patient: PatientId, category: CategoryId) -> Result<()>;

    /// Saves the review alone; the decision and its trace never change. A
    /// review that changed since it was loaded is a conflict.
    async fn save_review(&mut self, assessment: &Assessment) -> Result<()>;

    /// Open reviews of patients in these states: urgent first, then by due
    /// time. Those that another provider holds right now are left out.
    async fn review_queue(
        &mut self,
        provider: ProviderId,
        states: &[UsState],
        now: DateTime<Utc>,
        page: &PageRequest,
    ) -> Result<Page<QueueItem>>;

    /// Open reviews that were due by `now` and are not escalated, with the state
    /// of the patient: the longest overdue first.
    async fn overdue_reviews(
        &mut self,
        now: DateTime<Utc>,
        limit: u32,
    ) -> Result<Vec<(AssessmentId, UsState)>>;

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

    async fn plan(&mut self, id: TreatmentPlanId, reach: &Reach) -> Result<Option<TreatmentPlan>>;

    /// Newest first.
    async fn plans(&mut self, patient: PatientId, reach: &Reach) -> Result<Vec<TreatmentPlan>>;

    /// The patient's active plan in a category; there is at most one.
    async fn active_plan(
        &mut self,
        patient: PatientId,
        category: CategoryId,
    ) -> Result<Option<TreatmentPlanId>>;

    /// A second active plan of patient and category is a conflict.
    async fn add_plan(&mut self, plan: &TreatmentPlan) -> Result<()>;

    /// Saves the status and adds the versions that are new. A plan that
    /// changed since it was loaded is a conflict.
    async fn save_plan(&mut self, plan: &TreatmentPlan) -> Result<()>;

    /// `false` where there is an open task of that kind about that subject.
    async fn add_task(&mut self, task: &Task) -> Result<bool>;

    /// The task, as far as it exists for the provider.
    async fn task(&mut self, id: TaskId, scope: &TaskScope) -> Result<Option<Task>>;

    /// Puts the patient on the panel of whoever has the task. A task that
    /// changed since it was loaded is a conflict.
    async fn save_task(&mut self, task: &Task) -> Result<()>;

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

    async fn consultation(
        &mut self,
        id: ConsultationId,
        reach: &Reach,
    ) -> Result<Option<Consultation>>;

    /// Those within the reach, and of that status where one is given: the last
    /// to begin first.
    async fn consultations(
        &mut self,
        reach: &Reach,
        status: Option<ConsultationStatus>,
        page: &PageRequest,
    ) -> Result<Page<Consultation>>;

    /// By the vendor's session.
    async fn consultation_in(&mut self, room: &str) -> Result<Option<Consultation>>;

    /// The patient's consultations that began since then.
    async fn consultations_since(
        &mut self,
        patient: PatientId,
        since: DateTime<Utc>,
    ) -> Result<Vec<Consultation>>;

    /// How many booked consultations of the patient are still to begin. Other
    /// bookings of the patient wait until this transaction ends.
    async fn consultations_ahead(&mut self, patient: PatientId, now: DateTime<Utc>) -> Result<u64>;

    /// A slot that either of the two has already is a conflict.
    async fn add_consultation(&mut self, consultation: &Consultation) -> Result<()>;

    /// A consultation that changed since it was loaded is a conflict.
    async fn save_consultation(&mut self, consultation: &Consultation) -> Result<()>;

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

    async fn add_break_glass(&mut self, glass: &BreakGlass) -> Result<()>;

    /// Held until the transaction ends.
    async fn lock_break_glass_by_id(&mut self, id: BreakGlassId) -> Result<Option<BreakGlass>>;

    /// `Conflict` when it has been judged.
    async fn judge_break_glass(&mut self, glass: &BreakGlass) -> Result<()>;

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
