use std::sync::Arc;

use api::{Body, Caller, PageQuery, Problem, Tag, Text, Versioned};
use care::{
    CareError, CareStore, Sources, Task,
    tasks::{self, Shown, TaskChange},
};
use chrono::{DateTime, Utc};
use kernel::{FieldError, Page, ProviderId, TaskId, Uuid, text::ChartNote};
use poem_openapi::{
    Enum, Object, OpenApi,
    param::{Header, Path, Query},
    payload::Json,
    types::Example,
};
use ports::Env;

use super::{
    names::{Names, PatientNameView},
    plans::seen_or_any,
};

pub struct TasksApi {
    pub env: Env,
    pub store: Arc<dyn CareStore>,
    pub sources: Sources,
}

/// How far a task has come.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Enum)]
#[oai(rename_all = "snake_case")]
pub enum TaskStatusWord {
    Open,
    /// It was put off and does not show before `snoozed_until`.
    Snoozed,
    Done,
}

/// A task of a provider.
#[derive(Debug, Object)]
pub struct TaskView {
    pub id: Uuid,
    pub kind: care::TaskKind,
    pub title: String,
    pub priority: care::Priority,
    pub status: TaskStatusWord,
    /// Whose it is; absent where anybody licensed in the state may take it.
    pub provider_id: Option<Uuid>,
    pub patient_id: Uuid,
    /// Who that is; absent where the patient has no profile.
    pub patient: Option<PatientNameView>,
    /// The assessment, the prescription, the treatment plan, the held fill or the
    /// shipment that it is about.
    pub subject_id: Uuid,
    pub created_at: DateTime<Utc>,
    pub due_at: DateTime<Utc>,
    pub snoozed_until: Option<DateTime<Utc>>,
    pub done_at: Option<DateTime<Utc>>,
    /// Absent where what it was about has settled by itself.
    pub done_by: Option<Uuid>,
    /// What was done, in the provider's own words.
    pub note: Option<String>,
    /// The version, to send back as `If-Match`.
    pub version: i64,
}

/// A page of tasks.
#[derive(Debug, Object)]
pub struct TasksView {
    /// By the time at which they are due; what is done, the latest first.
    pub tasks: Vec<TaskView>,
    /// The cursor of the next page.
    pub next: Option<String>,
}

impl TaskView {
    pub(super) fn of(task: Task, now: DateTime<Utc>, names: &Names) -> Self {
        let status = match &task.ended {
            Some(_) => TaskStatusWord::Done,
            None if task.is_snoozed(now) => TaskStatusWord::Snoozed,
            None => TaskStatusWord::Open,
        };
        let (done_at, done_by, note) = match task.ended {
            Some(ending) => (Some(ending.at), ending.by.map(ProviderId::uuid), ending.note),
            None => (None, None, None),
        };
        Self {
            id: task.id.uuid(),
            kind: task.kind,
            title: task.kind.title().to_owned(),
            priority: task.kind.priority(),
            status,
            provider_id: task.provider.map(ProviderId::uuid),
            patient_id: task.patient.uuid(),
            patient: names.view(task.patient),
            subject_id: task.subject,
            created_at: task.created_at,
            due_at: task.due_at,
            snoozed_until: task.snoozed_until,
            done_at,
            done_by,
            note,
            version: task.version,
        }
    }
}

/// What becomes of a task.
#[derive(Debug, Object)]
#[oai(example)]
pub struct UpdateTask {
    /// `open` takes a snooze back, or hands the task to `provider_id`.
    pub status: TaskStatusWord,
    /// What was done, with `done`; at most 4,000 characters. It is required
    /// where an answer points to danger.
    pub note: Option<Text<ChartNote>>,
    /// With `snoozed`: at most an hour ahead for what is urgent, and a week for
    /// the rest.
    pub snoozed_until: Option<DateTime<Utc>>,
    /// With `open`: who has the task from now on. Somebody licensed where the
    /// patient is; oneself takes a task that is nobody's.
    pub provider_id: Option<Uuid>,
}

impl Example for UpdateTask {
    fn example() -> Self {
        Self {
            status: TaskStatusWord::Done,
            note: Some("Called; safe, and seen by the crisis line.".into()),
            snoozed_until: None,
            provider_id: None,
        }
    }
}

impl UpdateTask {
    fn parse(self) -> Result<TaskChange, CareError> {
        let mut errors = Vec::new();
        let mut only_with = |path: &str, is_there: bool, word: TaskStatusWord| {
            if is_there && self.status != word {
                let message = "This does not belong to that status.";
                errors.push(FieldError::new(path, "not_allowed", message));
            }
        };
        only_with("note", self.note.is_some(), TaskStatusWord::Done);
        only_with("snoozed_until", self.snoozed_until.is_some(), TaskStatusWord::Snoozed);
        only_with("provider_id", self.provider_id.is_some(), TaskStatusWord::Open);
        if self.status == TaskStatusWord::Snoozed && self.snoozed_until.is_none() {
            errors.push(FieldError::required("snoozed_until"));
        }
        if !errors.is_empty() {
            return Err(CareError::Invalid(errors));
        }
        Ok(match (self.status, self.snoozed_until, self.provider_id) {
            (TaskStatusWord::Done, ..) => TaskChange::Complete { note: self.note.map(Into::into) },
            (TaskStatusWord::Snoozed, Some(until), _) => TaskChange::Snooze { until },
            (_, _, Some(to)) => TaskChange::HandOver { to: ProviderId(to) },
            _ => TaskChange::Wake,
        })
    }
}

#[OpenApi(tag = "Tag::Care")]
impl TasksApi {
    /// List one's tasks
    ///
    /// The provider's own, and those that wait for anybody licensed in their
    /// state.
    #[oai(path = "/api/providers/tasks", method = "get", operation_id = "listProviderTasks")]
    async fn list(
        &self,
        caller: Caller,
        /// Which ones; the open ones where it is left out.
        status: Query<Option<TaskStatusWord>>,
        limit: Query<Option<u32>>,
        cursor: Query<Option<String>>,
    ) -> Result<Json<TasksView>, Problem> {
        let page = PageQuery::read(limit, cursor)?;
        let shown = match status.0 {
            None | Some(TaskStatusWord::Open) => Shown::Open,
            Some(TaskStatusWord::Snoozed) => Shown::Snoozed,
            Some(TaskStatusWord::Done) => Shown::Done,
        };
        let (store, actor) = (self.store.as_ref(), caller.actor());
        let Page { items, next } =
            tasks::list(&self.env, store, &self.sources, actor, shown, &page).await?;
        let now = self.env.now();
        let names =
            Names::of(self.sources.facts.as_ref(), items.iter().map(|task| task.patient)).await?;
        let tasks = items.into_iter().map(|task| TaskView::of(task, now, &names)).collect();
        Ok(Json(TasksView { tasks, next }))
    }

    /// Complete, put off or hand on a task
    ///
    /// A task that is done stays done. What a decided review or a prescription
    /// that goes on has settled is done by itself.
    #[oai(path = "/api/providers/tasks/:id", method = "put", operation_id = "updateProviderTask")]
    async fn update(
        &self,
        caller: Caller,
        id: Path<Uuid>,
        /// The version that was read; when the task has changed since, the
        /// answer is 412.
        #[oai(name = "If-Match")]
        if_match: Header<Option<String>>,
        body: Body<UpdateTask>,
    ) -> Result<Versioned<TaskView>, Problem> {
        let (seen, change) = (seen_or_any(&if_match.0)?, body.0.parse()?);
        let place = (TaskId(id.0), &seen);
        let (store, actor) = (self.store.as_ref(), caller.actor());
        let task = tasks::change(&self.env, store, &self.sources, actor, place, change).await?;
        let names = Names::of(self.sources.facts.as_ref(), [task.patient]).await?;
        Ok(Versioned::at(task.version, TaskView::of(task, self.env.now(), &names)))
    }
}
