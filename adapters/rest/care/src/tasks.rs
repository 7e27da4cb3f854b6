use std::sync::Arc;

use api::{Answer, Body, Caller, PageQuery, Result, Tag, Text, Versioned};
use care::{
    CareError, CareStore, Priority, Sources, Task, TaskKind,
    tasks::{self, Shown, TaskChange},
};
use chrono::{DateTime, Utc};
use kernel::{FieldError, Page, ProviderId, Seen, TaskId, Uuid, text::ChartNote};
use poem_openapi::{
    Object, OpenApi,
    param::{Header, Path, Query},
    payload::Json,
};
use ports::Env;

use super::{
    names::{self, WhoView},
    plans::seen_or,
};

pub struct TasksApi {
    pub env: Env,
    pub store: Arc<dyn CareStore>,
    pub sources: Sources,
}

/// A task of a provider.
#[derive(Debug, Object)]
pub struct TaskView {
    pub id: TaskId,
    pub kind: TaskKind,
    pub title: String,
    pub priority: Priority,
    pub status: Shown,
    /// Whose it is; absent where anybody licensed in the state may take it.
    pub provider_id: Option<ProviderId>,
    #[oai(flatten)]
    pub who: WhoView,
    /// The assessment, the prescription, the treatment plan, the held fill or the
    /// shipment that it is about.
    pub subject_id: Uuid,
    pub created_at: DateTime<Utc>,
    pub due_at: DateTime<Utc>,
    pub snoozed_until: Option<DateTime<Utc>>,
    pub done_at: Option<DateTime<Utc>>,
    /// Absent where what it was about has settled by itself.
    pub done_by: Option<ProviderId>,
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
    fn of(task: Task, now: DateTime<Utc>) -> Self {
        let status = task.shown(now);
        let (done_at, done_by, note) = match task.ended {
            Some(ending) => (Some(ending.at), ending.by, ending.note),
            None => (None, None, None),
        };
        Self {
            id: task.id,
            kind: task.kind,
            title: task.kind.title().to_owned(),
            priority: task.kind.priority(),
            status,
            provider_id: task.provider,
            who: task.patient.into(),
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
    pub status: Shown,
    /// What was done, with `done`; at most 4,000 characters. It is required
    /// where an answer points to danger.
    pub note: Option<Text<ChartNote>>,
    /// With `snoozed`: at most an hour ahead for what is urgent, and a week for
    /// the rest.
    pub snoozed_until: Option<DateTime<Utc>>,
    /// With `open`: who has the task from now on. Somebody licensed where the
    /// patient is; oneself takes a task that is nobody's.
    pub provider_id: Option<ProviderId>,
}

api::example!(UpdateTask {
    status: Shown::Done,
    note: Some("Called; safe, and seen by the crisis line.".into()),
    snoozed_until: None,
    provider_id: None,
});

impl UpdateTask {
    fn parse(self) -> Result<TaskChange, CareError> {
        let mut errors = Vec::new();
        let mut only_with = |path: &str, is_there: bool, word: Shown| {
            if is_there && self.status != word {
                let message = "This does not belong to that status.";
                errors.push(FieldError::new(path, "not_allowed", message));
            }
        };
        only_with("note", self.note.is_some(), Shown::Done);
        only_with("snoozed_until", self.snoozed_until.is_some(), Shown::Snoozed);
        only_with("provider_id", self.provider_id.is_some(), Shown::Open);
        if self.status == Shown::Snoozed && self.snoozed_until.is_none() {
            errors.push(FieldError::required("snoozed_until"));
        }
        if !errors.is_empty() {
            return Err(CareError::Invalid(errors));
        }
        Ok(match (self.status, self.snoozed_until, self.provider_id) {
            (Shown::Done, ..) => TaskChange::Complete { note: self.note.map(Into::into) },
            (Shown::Snoozed, Some(until), _) => TaskChange::Snooze { until },
            (_, _, Some(to)) => TaskChange::HandOver { to },
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
        status: Query<Option<Shown>>,
        limit: Query<Option<u32>>,
        cursor: Query<Option<String>>,
    ) -> Answer<TasksView> {
        let page = PageQuery::read(limit, cursor)?;
        let (store, sources, actor) = (&*self.store, &self.sources, caller.actor());
        let shown = status.0.unwrap_or_default();
        let Page { items, next } =
            tasks::list(&self.env, store, sources, actor, shown, &page).await?;
        let now = self.env.now();
        let mut tasks: Vec<_> = items.into_iter().map(|task| TaskView::of(task, now)).collect();
        names::name(&*sources.facts, tasks.iter_mut().map(|task| &mut task.who)).await?;
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
        id: Path<TaskId>,
        /// The version that was read; when the task has changed since, the
        /// answer is 412.
        #[oai(name = "If-Match")]
        if_match: Header<Option<String>>,
        body: Body<UpdateTask>,
    ) -> Result<Versioned<TaskView>> {
        let (seen, change) = (seen_or(&if_match, Seen::Any)?, body.0.parse()?);
        let (store, sources, place) = (&*self.store, &self.sources, (id.0, &seen));
        let task = tasks::change(&self.env, store, sources, caller.actor(), place, change).await?;
        let mut shown = TaskView::of(task, self.env.now());
        names::name(&*sources.facts, [&mut shown.who]).await?;
        Ok(Versioned::at(shown.version, shown))
    }
}
