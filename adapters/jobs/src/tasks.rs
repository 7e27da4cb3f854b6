//! The queue's one task, which runs a job of ours.

use std::{fmt, sync::Arc};

use graphile_worker::{IntoTaskHandlerResult, TaskHandler, WorkerContext};
use ports::{JobFailure, Registry, jobs::JOB_TASK, registry::Running};
use serde::{Deserialize, Serialize};
use serde_json::Value;

/// The registry as the task finds it in its context.
#[derive(Clone)]
pub(crate) struct Registered(pub Arc<Registry>, pub fn(Running) -> Running);

impl fmt::Debug for Registered {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Registered").finish_non_exhaustive()
    }
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
            let registered = context.get_ext::<Registered>();
            let Some(Registered(registry, within)) = registered else {
                return Err(JobFailure("the worker has no registry".to_owned()));
            };
            let run = registry
                .job_run(&self.kind)
                .ok_or_else(|| JobFailure(format!("no job is registered as {}", self.kind)))?;
            within(run(self.payload)).await
        }
        .await;
        report(&self.kind, &result);
        result.map_err(|error| error.0)
    }
}
