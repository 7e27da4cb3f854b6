//! The tasks of those who look after money.

use std::sync::Arc;

use api::{Body, Caller, PageQuery, Problem, Tag, Text};
use billing::{
    BillingStore,
    staff_task::{BillingTask, complete, list},
};
use chrono::{DateTime, Utc};
use kernel::{TaskId, Uuid, text::SettlementNote};
use poem_openapi::{
    Object, OpenApi,
    param::{Path, Query},
    payload::Json,
    types::Example,
};
use ports::Env;

pub struct BillingTasksApi {
    pub env: Env,
    pub store: Arc<dyn BillingStore>,
}

/// An urgent task of those who look after money.
#[derive(Debug, Object)]
pub struct BillingTaskView {
    pub id: Uuid,
    pub kind: billing::staff_task::BillingTaskKind,
    pub title: String,
    pub patient_id: Uuid,
    /// The contest, the prescription, the held fill or the invoice that it is
    /// about.
    pub subject_id: Uuid,
    pub created_at: DateTime<Utc>,
    pub done_at: Option<DateTime<Utc>>,
    pub done_by: Option<Uuid>,
    /// What was done.
    pub note: Option<String>,
}

impl From<BillingTask> for BillingTaskView {
    fn from(task: BillingTask) -> Self {
        let (done_at, done_by, note) = match task.ended {
            Some(ended) => (Some(ended.at), Some(ended.by.uuid()), Some(ended.note)),
            None => (None, None, None),
        };
        Self {
            id: task.id.uuid(),
            kind: task.kind,
            title: task.kind.title().to_owned(),
            patient_id: task.patient.uuid(),
            subject_id: task.subject,
            created_at: task.created_at,
            done_at,
            done_by,
            note,
        }
    }
}

/// A page of open tasks, the oldest first.
#[derive(Debug, Object)]
pub struct BillingTaskPage {
    pub tasks: Vec<BillingTaskView>,
    /// The `cursor` of the next page; absent on the last one.
    pub next: Option<String>,
}

/// Says what was done about a task of billing.
#[derive(Debug, Object)]
#[oai(example)]
pub struct CompleteBillingTask {
    /// Between 3 and 4,000 characters.
    pub note: Text<SettlementNote>,
}

impl Example for CompleteBillingTask {
    fn example() -> Self {
        Self { note: "Sent the delivery record as evidence.".into() }
    }
}

#[OpenApi(tag = "Tag::Billing")]
impl BillingTasksApi {
    /// List tasks of billing
    ///
    /// What nobody but staff can settle, the oldest first: disputed payments,
    /// refunds made at the gateway, patients who have paid for what is stopped,
    /// and charges that wait because the treatment is stopped. All are urgent.
    #[oai(path = "/api/billing/tasks", method = "get", operation_id = "listBillingTasks")]
    async fn list(
        &self,
        caller: Caller,
        limit: Query<Option<u32>>,
        cursor: Query<Option<String>>,
    ) -> Result<Json<BillingTaskPage>, Problem> {
        let page = PageQuery::read(limit, cursor)?;
        let found = list(self.store.as_ref(), caller.actor(), &page).await?;
        let next = found.next;
        Ok(Json(BillingTaskPage { tasks: found.items.into_iter().map(Into::into).collect(), next }))
    }

    /// Complete a task of billing
    ///
    /// A note says what was done. It settles nothing by itself: a dispute ends
    /// at the gateway, and a held fill is released by a provider.
    #[oai(
        path = "/api/billing/tasks/:id/complete",
        method = "post",
        operation_id = "completeBillingTask"
    )]
    async fn complete(
        &self,
        caller: Caller,
        id: Path<Uuid>,
        body: Body<CompleteBillingTask>,
    ) -> Result<Json<BillingTaskView>, Problem> {
        let (store, id) = (self.store.as_ref(), TaskId(id.0));
        let done = complete(&self.env, store, caller.actor(), id, &body.0.note).await?;
        Ok(Json(done.into()))
    }
}
