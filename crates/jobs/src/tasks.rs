//! The queue's three tasks.

use std::{fmt, sync::Arc};

use chrono::{DateTime, Utc};
use graphile_worker::{IntoTaskHandlerResult, TaskHandler, WorkerContext};
use kernel::{EventId, Uuid};
use ports::{
    Delivery, Envelope,
    jobs::{DELIVERY_TASK, JOB_TASK, RELAY_TASK},
};
use serde::{Deserialize, Serialize};
use serde_json::Value;

use crate::registry::{JobFailure, Registry};

/// The registry as the tasks find it in their context.
#[derive(Clone)]
pub(crate) struct Registered(pub Arc<Registry>);

impl fmt::Debug for Registered {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Registered").finish_non_exhaustive()
    }
}

fn registry(context: &WorkerContext) -> Result<Arc<Registry>, JobFailure> {
    context
        .get_ext::<Registered>()
        .map(|registered| registered.0.clone())
        .ok_or_else(|| JobFailure("the worker has no registry".to_owned()))
}

/// Reports a run to the log and the metrics.
fn report(kind: &str, result: &Result<(), JobFailure>) {
    let outcome = if result.is_ok() { "success" } else { "failure" };
    metrics::counter!("job_runs_total", "kind" => kind.to_owned(), "outcome" => outcome)
        .increment(1);
    if let Err(error) = result {
        tracing::warn!(kind, %error, "a job failed and will be tried again");
    }
}

#[derive(Serialize, Deserialize)]
pub(crate) struct RunJob {
    kind: String,
    #[serde(default)]
    payload: Value,
}

impl TaskHandler for RunJob {
    const IDENTIFIER: &'static str = JOB_TASK;

    async fn run(self, context: WorkerContext) -> impl IntoTaskHandlerResult {
        let result = async {
            let registry = registry(&context)?;
            let run = registry
                .jobs
                .get(self.kind.as_str())
                .ok_or_else(|| JobFailure(format!("no job is registered as {}", self.kind)))?;
            run(self.payload).await
        }
        .await;
        report(&self.kind, &result);
        result.map_err(|error| error.0)
    }
}

#[derive(Serialize, Deserialize)]
pub(crate) struct RelayEvent {
    event: EventId,
}

impl TaskHandler for RelayEvent {
    const IDENTIFIER: &'static str = RELAY_TASK;

    async fn run(self, context: WorkerContext) -> impl IntoTaskHandlerResult {
        let result = self.relay(&context).await;
        report(RELAY_TASK, &result);
        result.map_err(|error| error.0)
    }
}

impl RelayEvent {
    async fn relay(&self, context: &WorkerContext) -> Result<(), JobFailure> {
        let registry = registry(context)?;
        let envelope = load(context, self.event).await?;
        let names: Vec<&str> = registry
            .handlers
            .iter()
            .filter(|handler| (handler.wants)(&envelope.event))
            .map(|handler| handler.name)
            .collect();
        if names.is_empty() {
            return Ok(());
        }
        // One statement, so that either every handler hears of it or the relay
        // runs again; the keys make a second run harmless. One call for all of
        // them takes half of what one for each would.
        sqlx::query(
            "SELECT count(*) FROM graphile_worker.add_jobs(ARRAY( \
                 SELECT ROW($1, json_build_object('event', $2::text, 'handler', name), NULL, NULL, \
                            25, $2::text || ':' || name, NULL, NULL)::graphile_worker.job_spec \
                 FROM unnest($3::text[]) AS name))",
        )
        .bind(DELIVERY_TASK)
        .bind(self.event.to_string())
        .bind(names)
        .execute(context.pg_pool())
        .await
        .map_err(|error| JobFailure::from_error(&error))?;
        Ok(())
    }
}

#[derive(Serialize, Deserialize)]
pub(crate) struct DeliverEvent {
    event: EventId,
    handler: String,
}

impl TaskHandler for DeliverEvent {
    const IDENTIFIER: &'static str = DELIVERY_TASK;

    async fn run(self, context: WorkerContext) -> impl IntoTaskHandlerResult {
        let result = self.deliver(&context).await;
        report(&self.handler, &result);
        result.map_err(|error| error.0)
    }
}

impl DeliverEvent {
    async fn deliver(&self, context: &WorkerContext) -> Result<(), JobFailure> {
        let registry = registry(context)?;
        let handler =
            registry.handlers.iter().find(|handler| handler.name == self.handler).ok_or_else(
                || JobFailure(format!("no handler is registered as {}", self.handler)),
            )?;
        let envelope = load(context, self.event).await?;
        let delivery = Delivery { event: self.event, handler: handler.name };
        (handler.run)(delivery, envelope).await
    }
}

async fn load(context: &WorkerContext, id: EventId) -> Result<Envelope, JobFailure> {
    let row: Option<(Value, DateTime<Utc>)> =
        sqlx::query_as("SELECT payload, occurred_at FROM outbox_events WHERE id = $1")
            .bind::<Uuid>(id.uuid())
            .fetch_optional(context.pg_pool())
            .await
            .map_err(|error| JobFailure::from_error(&error))?;
    let (payload, occurred_at) =
        row.ok_or_else(|| JobFailure(format!("the outbox has no event {id}")))?;
    let event = serde_json::from_value(payload).map_err(|error| JobFailure::from_error(&error))?;
    Ok(Envelope { id, occurred_at, event })
}
