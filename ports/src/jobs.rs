//! Jobs: work that is decided in a transaction and done after it. A job runs
//! at least once, so what it does must bear repetition.

use chrono::{DateTime, Utc};
use serde::{Serialize, de::DeserializeOwned};
use serde_json::Value;

/// The payload of one kind of job. It holds ids and primitives, never PHI.
pub trait JobSpec: Serialize + DeserializeOwned + Send {
    /// A stable, namespaced word, as in `billing.charge_invoice`.
    const KIND: &'static str;
}

/// A job that a unit of work is to enqueue with its commit.
#[derive(Clone, Debug, PartialEq)]
pub struct JobRequest {
    pub kind: &'static str,
    pub payload: Value,
    /// With a key, a second request replaces the waiting one.
    pub key: Option<String>,
    /// Jobs of one queue run one after another.
    pub queue: Option<String>,
    pub run_at: Option<DateTime<Utc>>,
}

impl JobRequest {
    pub fn new<J: JobSpec>(job: &J) -> Self {
        let payload = serde_json::to_value(job).unwrap_or(Value::Null);
        Self { kind: J::KIND, payload, key: None, queue: None, run_at: None }
    }

    pub fn key(mut self, key: impl Into<String>) -> Self {
        self.key = Some(key.into());
        self
    }

    pub fn queue(mut self, queue: impl Into<String>) -> Self {
        self.queue = Some(queue.into());
        self
    }

    pub fn at(mut self, run_at: DateTime<Utc>) -> Self {
        self.run_at = Some(run_at);
        self
    }
}

/// The queue's task that runs a [`JobRequest`].
pub const JOB_TASK: &str = "salus_job";
