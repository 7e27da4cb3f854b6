//! One transaction of one context: state, events, jobs and audit entries are
//! committed together or not at all. Events, jobs and entries are kept until the
//! commit, which writes them at once.

use async_trait::async_trait;
use kernel::Uuid;

use crate::{AuditEntry, Event, JobRequest, Result};

/// A client's promise that two requests with the same key are one.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct IdempotencyKey {
    /// The operation, as in `billing.add_payment_method`.
    pub operation: &'static str,
    pub key: String,
    /// A digest of the request, so that a key cannot come back with another.
    pub fingerprint: [u8; 32],
}

/// Dropping it rolls everything back.
#[async_trait]
pub trait UnitOfWork: Send {
    /// Tells the other contexts once this commits, at least once each.
    fn emit(&mut self, event: Event);

    /// Adds to the audit log. A commit with changes and no entry is refused.
    fn audit(&mut self, entry: AuditEntry);

    fn audit_all(&mut self, entries: Vec<AuditEntry>) {
        for entry in entries {
            self.audit(entry);
        }
    }

    /// Enqueues a job that becomes visible with the commit. Of two with one key
    /// the later one counts.
    fn enqueue(&mut self, job: JobRequest);

    /// Claims the key for `resource`, in the actor's name. `Some` gives the
    /// resource that an earlier request with the key made: answer with that.
    /// A concurrent request with the key waits here until the first is done.
    async fn claim(&mut self, key: &IdempotencyKey, resource: Uuid) -> Result<Option<Uuid>>;

    async fn commit(self: Box<Self>) -> Result<()>;
}
