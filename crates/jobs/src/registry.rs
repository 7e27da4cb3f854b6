use std::{collections::BTreeMap, sync::Arc};

use futures::future::BoxFuture;
use kernel::{DomainError, error::with_causes};
use ports::{Delivery, Envelope, Event, JobSpec};
use serde_json::Value;

/// Why a run failed; the queue tries again later.
#[derive(Debug, thiserror::Error)]
#[error("{0}")]
pub struct JobFailure(pub String);

impl JobFailure {
    /// Keeps the chain of causes, for the log and the queue's own record. The
    /// errors' texts hold no PHI.
    pub fn from_error(error: &dyn std::error::Error) -> Self {
        Self(with_causes(error))
    }
}

type JobRun = Arc<dyn Fn(Value) -> BoxFuture<'static, Result<(), JobFailure>> + Send + Sync>;
type HandlerRun =
    Arc<dyn Fn(Delivery, Envelope) -> BoxFuture<'static, Result<(), JobFailure>> + Send + Sync>;

/// Whether a handler wants to hear of an event.
type Wants = fn(&Event) -> bool;

pub(crate) struct Handler {
    pub name: &'static str,
    pub wants: Wants,
    pub run: HandlerRun,
}

/// What runs: jobs by kind, handlers by name, and schedules.
#[derive(Default)]
pub struct Registry {
    pub(crate) jobs: BTreeMap<&'static str, JobRun>,
    pub(crate) handlers: Vec<Handler>,
    pub(crate) schedules: Vec<(&'static str, &'static str)>,
}

impl Registry {
    /// Registers what a kind of job does.
    pub fn job<J, F, Fut, E>(&mut self, run: F)
    where
        J: JobSpec + 'static,
        F: Fn(J) -> Fut + Send + Sync + 'static,
        Fut: Future<Output = Result<(), E>> + Send + 'static,
        E: DomainError,
    {
        let run = Arc::new(run);
        let replaced = self.jobs.insert(
            J::KIND,
            Arc::new(move |payload| {
                let run = run.clone();
                Box::pin(async move {
                    let job: J = serde_json::from_value(payload)
                        .map_err(|error| JobFailure::from_error(&error))?;
                    run(job).await.map_err(|error| JobFailure::from_error(&error))
                })
            }),
        );
        assert!(replaced.is_none(), "the job {} is registered twice", J::KIND);
    }

    /// Registers a job that also runs on a schedule (a crontab's five fields,
    /// in UTC), with an empty object as its payload.
    pub fn scheduled<J, F, Fut, E>(&mut self, schedule: &'static str, run: F)
    where
        J: JobSpec + 'static,
        F: Fn(J) -> Fut + Send + Sync + 'static,
        Fut: Future<Output = Result<(), E>> + Send + 'static,
        E: DomainError,
    {
        self.job(run);
        self.schedules.push((schedule, J::KIND));
    }

    /// Who handles which events, for whoever commits one.
    pub fn interests(&self) -> impl Fn(&Event) -> Vec<&'static str> + Send + Sync + 'static {
        let all: Vec<(&'static str, Wants)> =
            self.handlers.iter().map(|handler| (handler.name, handler.wants)).collect();
        move |event| all.iter().filter(|(_, wants)| wants(event)).map(|(name, _)| *name).collect()
    }

    /// Registers a handler of the events that `wants` names. The name is part
    /// of the record of what was handled, so it never changes.
    pub fn on<F, Fut, E>(&mut self, name: &'static str, wants: Wants, run: F)
    where
        F: Fn(Delivery, Envelope) -> Fut + Send + Sync + 'static,
        Fut: Future<Output = Result<(), E>> + Send + 'static,
        E: DomainError,
    {
        assert!(
            self.handlers.iter().all(|handler| handler.name != name),
            "the handler {name} is registered twice"
        );
        let run = Arc::new(run);
        self.handlers.push(Handler {
            name,
            wants,
            run: Arc::new(move |delivery, envelope| {
                let run = run.clone();
                Box::pin(async move {
                    run(delivery, envelope).await.map_err(|error| JobFailure::from_error(&error))
                })
            }),
        });
    }
}
