use async_trait::async_trait;
use chrono::{DateTime, Utc};
use compliance::retention::HistoryTx;
use ports::Result;

use crate::Tx;

#[async_trait]
impl HistoryTx for Tx {
    async fn purge_events(&mut self, before: DateTime<Utc>, limit: u32) -> Result<u64> {
        let purged = self
            .execute(
                "purging the outbox",
                "DELETE FROM outbox_events WHERE id = ANY (ARRAY( \
                     SELECT id FROM outbox_events AS event \
                     WHERE occurred_at < $1 AND NOT EXISTS ( \
                         SELECT FROM deliveries WHERE event_id = event.id) \
                     ORDER BY occurred_at LIMIT $2))",
                [before.into(), i64::from(limit).into()],
            )
            .await?;
        Ok(purged.rows_affected())
    }

    async fn purge_keys(&mut self, before: DateTime<Utc>, limit: u32) -> Result<u64> {
        let purged = self
            .execute(
                "purging the keys of requests",
                "DELETE FROM idempotency_keys WHERE ctid = ANY (ARRAY( \
                     SELECT ctid FROM idempotency_keys WHERE created_at < $1 \
                     ORDER BY created_at LIMIT $2 FOR UPDATE))",
                [before.into(), i64::from(limit).into()],
            )
            .await?;
        Ok(purged.rows_affected())
    }
}
