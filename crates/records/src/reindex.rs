//! Search tokens that an earlier version of Salus has written are written anew,
//! so that what resources are found by from then on finds all of them.

use kernel::Actor;
use ports::{AuditAction, AuditEntry, JobSpec};
use serde::{Deserialize, Serialize};

use crate::{RecordsError, RecordsStore};

#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct Reindex {}

impl JobSpec for Reindex {
    const KIND: &'static str = "records.reindex";
}

/// How many resources one transaction indexes.
const BATCH: u32 = 100;

/// Returns how many resources were indexed anew.
pub async fn reindex(store: &dyn RecordsStore, _: Reindex) -> Result<usize, RecordsError> {
    let actor = Actor::system("records.reindex");
    let mut indexed = 0;
    loop {
        let mut tx = store.begin(&actor).await?;
        let stale = tx.stale_tokens(BATCH).await?;
        if stale.is_empty() {
            return Ok(indexed);
        }
        for resource in &stale {
            tx.save_tokens(resource).await?;
        }
        let entry = AuditEntry::new(AuditAction::Update, "record_tokens", "batch");
        tx.audit(entry.detail("resources", stale.len()));
        tx.commit().await?;
        indexed += stale.len();
    }
}
