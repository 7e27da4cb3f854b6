//! What runs after a commit: handlers of events, jobs and schedules, each
//! registered from outside under a name that never changes.

use std::{collections::BTreeMap, pin::Pin, sync::Arc};

use kernel::{DomainError, error::with_causes};
use serde_json::Value;

use crate::{Envelope, Event, JobSpec};

/// Why a run failed; it is tried again later.
#[derive(Clone, Debug, thiserror::Error)]
#[error("{0}")]
pub struct JobFailure(pub String);

impl JobFailure {
    /// Keeps the chain of causes, for the log and the queue's own record. The
    /// errors' texts hold no PHI.
    pub fn from_error(error: &dyn std::error::Error) -> Self {
        Self(with_causes(error))
    }
}

/// One run under way.
pub type Running = Pin<Box<dyn Future<Output = Result<(), JobFailure>> + Send>>;
pub type JobRun = Arc<dyn Fn(Value) -> Running + Send + Sync>;
pub type HandlerRun = Arc<dyn Fn(Envelope) -> Running + Send + Sync>;

/// Whether a handler wants to hear of an event.
pub type Wants = fn(&Event) -> bool;

pub struct Handler {
    pub name: &'static str,
    pub wants: Wants,
    pub run: HandlerRun,
}

/// What runs: jobs by kind, handlers by name, and schedules.
#[derive(Default)]
pub struct Registry {
    jobs: BTreeMap<&'static str, JobRun>,
    handlers: Vec<Handler>,
    schedules: Vec<(&'static str, &'static str)>,
}

impl Registry {
    /// What a kind of job does.
    pub fn job_run(&self, kind: &str) -> Option<&JobRun> {
        self.jobs.get(kind)
    }

    pub fn handlers(&self) -> &[Handler] {
        &self.handlers
    }

    /// The crontab lines with the kinds of their jobs.
    pub fn schedules(&self) -> &[(&'static str, &'static str)] {
        &self.schedules
    }

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
        F: Fn(Envelope) -> Fut + Send + Sync + 'static,
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
            run: Arc::new(move |envelope| {
                let run = run.clone();
                Box::pin(async move {
                    run(envelope).await.map_err(|error| JobFailure::from_error(&error))
                })
            }),
        });
    }
}
