use std::time::Duration;

use async_trait::async_trait;
use compliance::{ChainStore, ChainTx, Hash, Head, Link, RecordedEntry, sealer::ChainSnapshot};
use kernel::{AuditEntryId, Uuid};
use ports::{PortError, Result};
use sea_orm::{ConnectionTrait as _, DbBackend, DbErr, QueryResult, Statement, Value};

use super::entry;
use pg::{Connection, Pg, db};

/// The lock of the one sealer; the number is arbitrary and fixed.
const SEALER_LOCK: i64 = 0x5a1_05ea1;

/// The hash chain over the audit log.
pub struct Chain<'a>(pub &'a Pg);

#[async_trait]
impl ChainStore for Chain<'_> {
    async fn begin_sealing(&self) -> Result<Box<dyn ChainTx>> {
        let tx = self.0.begin("beginning to seal", "BEGIN".to_owned()).await?;
        Ok(Box::new(Sealing(tx)))
    }

    async fn lag(&self) -> Result<Duration> {
        let doing = "measuring the sealer's lag";
        let statement = statement(
            "SELECT coalesce(extract(epoch FROM clock_timestamp() - min(noted_at)), 0)::float8 \
             AS lag FROM audit_unchained",
            [],
        );
        let row = self.0.pool().query_one_raw(statement).await.map_err(|e| db(doing, e))?;
        let lag: f64 = match row {
            Some(row) => row.try_get("", "lag").map_err(|e| db(doing, e))?,
            None => 0.0,
        };
        Ok(Duration::try_from_secs_f64(lag).unwrap_or_default())
    }

    async fn snapshot(&self) -> Result<Box<dyn ChainSnapshot>> {
        let statement = "BEGIN ISOLATION LEVEL REPEATABLE READ READ ONLY".to_owned();
        let tx = self.0.begin("taking a snapshot of the audit log", statement).await?;
        Ok(Box::new(Snapshot(tx)))
    }
}

/// The sealer's transaction.
struct Sealing(Connection);

#[async_trait]
impl ChainTx for Sealing {
    async fn become_sealer(&mut self) -> Result<bool> {
        let doing = "taking the sealer's lock";
        let statement =
            statement("SELECT pg_try_advisory_xact_lock($1) AS taken", [SEALER_LOCK.into()]);
        let row = self.0.query_one_raw(statement).await.map_err(|e| db(doing, e))?;
        row.map_or(Ok(false), |row| row.try_get("", "taken")).map_err(|e| db(doing, e))
    }

    async fn head(&mut self) -> Result<Option<Head>> {
        let doing = "reading the head of the audit chain";
        let statement = statement("SELECT * FROM audit_chain ORDER BY position DESC LIMIT 1", []);
        let row = self.0.query_one_raw(statement).await.map_err(|e| db(doing, e))?;
        Ok(row
            .map(|row| link(&row))
            .transpose()
            .map_err(|e| db(doing, e))?
            .as_ref()
            .map(Head::from))
    }

    async fn unchained(&mut self, limit: u64) -> Result<Vec<RecordedEntry>> {
        // PostgreSQL has no statistics of a list that is filled and emptied all the time, and
        // would read the whole log for a join. LIMIT 1 makes it look up each entry.
        let sql = format!(
            "SELECT {} FROM ( \
                 SELECT seq, entry_id FROM audit_unchained ORDER BY seq) u \
             CROSS JOIN LATERAL ( \
                 SELECT * FROM audit_entries WHERE seq = u.seq AND id = u.entry_id LIMIT 1) e \
             ORDER BY u.seq LIMIT {limit}",
            entry::COLUMNS
        );
        entries(&self.0, "reading what is not chained", &sql).await
    }

    async fn append(&mut self, links: &[Link], entries: &[RecordedEntry]) -> Result<()> {
        let doing = "appending to the audit chain";
        let hashes = |hash: fn(&Link) -> &Hash| -> Vec<Vec<u8>> {
            links.iter().map(|link| hash(link).0.to_vec()).collect()
        };
        // One text for any number of them, so that it is parsed once.
        let statement = statement(
            "WITH linked AS (INSERT INTO audit_chain \
             (position, entry_id, entry_hash, chain_hash, sealed_at, key_id) \
             SELECT position, entry, entry_hash, chain_hash, sealed_at, nullif(key, 0) \
             FROM unnest($1, $2, $3, $4, $5, $6) \
             AS link (position, entry, entry_hash, chain_hash, sealed_at, key)) \
             DELETE FROM audit_unchained WHERE seq = ANY ($7)",
            [
                links.iter().map(|link| link.position).collect::<Vec<_>>().into(),
                links.iter().map(|link| link.entry.uuid()).collect::<Vec<_>>().into(),
                hashes(|link| &link.entry_hash).into(),
                hashes(|link| &link.chain_hash).into(),
                links.iter().map(|link| link.sealed_at).collect::<Vec<_>>().into(),
                links.iter().map(|link| link.key.map_or(0, i64::from)).collect::<Vec<_>>().into(),
                entries.iter().map(|entry| entry.seq).collect::<Vec<_>>().into(),
            ],
        );
        let done = self.0.execute_raw(statement).await.map_err(|e| db(doing, e))?;
        if done.rows_affected() == links.len() as u64 {
            Ok(())
        } else {
            Err(PortError::Conflict("the list of unchained entries".to_owned()))
        }
    }

    async fn commit(self: Box<Self>) -> Result<()> {
        self.0.commit("committing the audit chain").await
    }
}

/// A read-only transaction that sees one instant.
struct Snapshot(Connection);

#[async_trait]
impl ChainSnapshot for Snapshot {
    async fn links_after(
        &mut self,
        position: i64,
        limit: u64,
    ) -> Result<Vec<(Link, Option<RecordedEntry>)>> {
        let doing = "walking the audit chain";
        let sql = format!(
            "SELECT c.*, {} FROM audit_chain c LEFT JOIN audit_entries e ON e.id = c.entry_id \
             WHERE c.position > $1 ORDER BY c.position LIMIT {limit}",
            entry::COLUMNS
        );
        let rows = self
            .0
            .query_all_raw(statement(sql, [position.into()]))
            .await
            .map_err(|e| db(doing, e))?;
        rows.iter()
            .map(|row| {
                let present = row.try_get::<Option<Uuid>>("", "id")?.is_some();
                let entry = present.then(|| entry::from_row(row)).transpose()?;
                Ok((link(row)?, entry))
            })
            .collect::<Result<_, DbErr>>()
            .map_err(|e| db(doing, e))
    }

    async fn strays(&mut self, limit: u64) -> Result<Vec<RecordedEntry>> {
        let sql = format!(
            "SELECT {} FROM audit_entries e \
             WHERE NOT EXISTS (SELECT 1 FROM audit_chain c WHERE c.entry_id = e.id) \
             AND NOT EXISTS (SELECT 1 FROM audit_unchained u WHERE u.seq = e.seq AND u.entry_id = e.id) \
             ORDER BY e.seq LIMIT {limit}",
            entry::COLUMNS
        );
        entries(&self.0, "looking for entries behind the chain", &sql).await
    }

    async fn waiting(&mut self) -> Result<u64> {
        let doing = "counting what waits to be chained";
        let statement = statement("SELECT count(*) AS waiting FROM audit_unchained", []);
        let row = self.0.query_one_raw(statement).await.map_err(|e| db(doing, e))?;
        let count: i64 =
            row.map_or(Ok(0), |row| row.try_get("", "waiting")).map_err(|e| db(doing, e))?;
        Ok(count.unsigned_abs())
    }
}

fn statement(sql: impl Into<String>, values: impl IntoIterator<Item = Value>) -> Statement {
    Statement::from_sql_and_values(DbBackend::Postgres, sql, values)
}

async fn entries(tx: &Connection, doing: &str, sql: &str) -> Result<Vec<RecordedEntry>> {
    let rows = tx.query_all_raw(statement(sql, [])).await.map_err(|e| db(doing, e))?;
    rows.iter().map(|row| entry::from_row(row).map_err(|e| db(doing, e))).collect()
}

fn link(row: &QueryResult) -> Result<Link, DbErr> {
    let hash = |column: &str| -> Result<Hash, DbErr> {
        let bytes: Vec<u8> = row.try_get("", column)?;
        let bytes = bytes
            .try_into()
            .map_err(|_| DbErr::Type(format!("{column} is not a SHA-256 digest")))?;
        Ok(Hash(bytes))
    };
    Ok(Link {
        position: row.try_get("", "position")?,
        entry: AuditEntryId(row.try_get("", "entry_id")?),
        entry_hash: hash("entry_hash")?,
        chain_hash: hash("chain_hash")?,
        sealed_at: row.try_get("", "sealed_at")?,
        key: row
            .try_get::<Option<i64>>("", "key_id")?
            .map(u32::try_from)
            .transpose()
            .map_err(|_| DbErr::Type("key_id is not the number of a key".to_owned()))?,
    })
}
