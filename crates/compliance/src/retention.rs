//! How long the server keeps the record of its own work: the events that it
//! told its contexts of, which of them heard, and the keys of repeated requests.
//! Nothing that is told of a patient to anybody is among it: what was done
//! stands in the audit log, which is kept.

use async_trait::async_trait;
use chrono::{DateTime, TimeDelta, Utc};
use kernel::Actor;
use ports::{AuditAction, AuditEntry, Env, JobSpec, UnitOfWork};
use serde::{Deserialize, Serialize};

use crate::ComplianceError;

/// For how long an event that every context has heard is kept.
pub const EVENTS_KEPT: TimeDelta = TimeDelta::days(90);

/// For how long a request with the same `Idempotency-Key` is told from a new
/// one.
pub const KEYS_KEPT: TimeDelta = TimeDelta::days(30);

/// How many are removed in one transaction.
pub const BATCH: u32 = 5_000;

#[async_trait]
pub trait HistoryTx: UnitOfWork {
    /// Removes the oldest events of before that time, and who heard of them,
    /// without those that a job of the queue still names. Returns how many.
    async fn purge_events(&mut self, before: DateTime<Utc>, limit: u32) -> ports::Result<u64>;

    /// Removes the oldest keys of requests of before that time.
    async fn purge_keys(&mut self, before: DateTime<Utc>, limit: u32) -> ports::Result<u64>;
}

#[async_trait]
pub trait HistoryStore: Send + Sync {
    async fn begin(&self, actor: &Actor) -> ports::Result<Box<dyn HistoryTx>>;
}

/// Removes what was kept for long enough.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct PurgeHistory {}

impl JobSpec for PurgeHistory {
    const KIND: &'static str = "compliance.purge_history";
}

/// What was removed.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Purged {
    pub events: u64,
    pub keys: u64,
}

/// Removes in batches, so that no transaction is long and one that fails loses
/// little.
pub async fn purge_history(
    env: &Env,
    store: &dyn HistoryStore,
    _: PurgeHistory,
) -> Result<Purged, ComplianceError> {
    let actor = Actor::system("compliance.purge_history");
    let (events_before, keys_before) = (env.now() - EVENTS_KEPT, env.now() - KEYS_KEPT);
    let mut purged = Purged::default();
    loop {
        let mut tx = store.begin(&actor).await?;
        let events = tx.purge_events(events_before, BATCH).await?;
        let keys = tx.purge_keys(keys_before, BATCH).await?;
        if events + keys == 0 {
            return Ok(purged);
        }
        tx.audit(
            AuditEntry::new(AuditAction::Delete, "history", "history")
                .detail("events", events)
                .detail("events_before", events_before.to_rfc3339())
                .detail("idempotency_keys", keys)
                .detail("idempotency_keys_before", keys_before.to_rfc3339()),
        );
        tx.commit().await?;
        purged.events += events;
        purged.keys += keys;
    }
}
