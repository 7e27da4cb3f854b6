//! Notices of vendors that could not be used.

use async_trait::async_trait;
use chrono::{DateTime, Utc};
use compliance::unread::{NoticeEnding, UnreadNotice, UnreadStore, UnreadTx};
use kernel::{AccountId, Actor, Page, PageRequest, Uuid};
use ports::Result;
use sea_orm::{DbBackend, FromQueryResult, Statement, Value};
use sha2::{Digest as _, Sha256};

use crate::{
    Pg, PgTx,
    core::{db, expect_changed, id_cursor},
};

const BODY: &str = "unread_notices.body";
const NOTE: &str = "unread_notices.note";

#[derive(FromQueryResult)]
struct Row {
    id: Uuid,
    vendor: String,
    reason: String,
    body: Vec<u8>,
    received_at: DateTime<Utc>,
    done_at: Option<DateTime<Utc>>,
    done_by: Option<Uuid>,
    note: Option<Vec<u8>>,
}

impl Row {
    fn into_domain(self, tx: &PgTx) -> Result<UnreadNotice> {
        let ended = match (self.done_at, self.done_by, self.note) {
            (Some(at), Some(by), Some(note)) => Some(NoticeEnding {
                at,
                by: AccountId(by),
                note: tx.unseal_text(NOTE, self.id, note)?,
            }),
            _ => None,
        };
        Ok(UnreadNotice {
            id: self.id,
            vendor: self.vendor,
            reason: self.reason,
            body: tx.unseal(BODY, self.id, self.body)?,
            received_at: self.received_at,
            ended,
        })
    }
}

async fn rows(tx: &PgTx, sql: &str, values: Vec<Value>) -> Result<Vec<UnreadNotice>> {
    let statement = Statement::from_sql_and_values(DbBackend::Postgres, sql, values);
    let found = Row::find_by_statement(statement)
        .all(tx.read())
        .await
        .map_err(|error| db("reading notices that could not be used", error))?;
    found.into_iter().map(|row| row.into_domain(tx)).collect()
}

#[async_trait]
impl UnreadStore for Pg {
    async fn begin(&self, actor: &Actor) -> Result<Box<dyn UnreadTx>> {
        Ok(Box::new(self.open(actor).await?))
    }
}

#[async_trait]
impl UnreadTx for PgTx {
    async fn add_unread(&mut self, notice: &UnreadNotice) -> Result<bool> {
        let digest = hex::encode(Sha256::digest(&notice.body));
        let digest = self.sealer().blind_index("unread_notices.digest", &digest)?.0.to_vec();
        let body = self.seal(BODY, notice.id, &notice.body)?;
        let added = self
            .execute(
                "keeping a notice that could not be used",
                "INSERT INTO unread_notices (id, vendor, reason, digest, body, received_at) \
                 VALUES ($1, $2, $3, $4, $5, $6) ON CONFLICT (vendor, digest) DO NOTHING",
                [
                    notice.id.into(),
                    notice.vendor.clone().into(),
                    notice.reason.clone().into(),
                    digest.into(),
                    body.into(),
                    notice.received_at.into(),
                ],
            )
            .await?;
        Ok(added.rows_affected() == 1)
    }

    async fn unread(&mut self, id: Uuid) -> Result<Option<UnreadNotice>> {
        let sql = "SELECT * FROM unread_notices WHERE id = $1 FOR UPDATE";
        Ok(rows(self, sql, vec![id.into()]).await?.pop())
    }

    async fn all_unread(&mut self, page: &PageRequest) -> Result<Page<UnreadNotice>> {
        let after = id_cursor(page)?;
        let sql = "SELECT * FROM unread_notices WHERE done_at IS NULL \
             AND ($1::uuid IS NULL OR id > $1) ORDER BY id LIMIT $2";
        let limit = i64::from(page.limit()) + 1;
        let found = rows(self, sql, vec![after.into(), limit.into()]).await?;
        Ok(Page::from_overfetch(found, page, |last| last.id.to_string()))
    }

    async fn end_unread(&mut self, notice: &UnreadNotice) -> Result<()> {
        let Some(ended) = &notice.ended else { return Ok(()) };
        let note = self.seal(NOTE, notice.id, ended.note.as_bytes())?;
        let saved = self
            .execute(
                "settling a notice that could not be used",
                "UPDATE unread_notices SET done_at = $2, done_by = $3, note = $4 \
                 WHERE id = $1 AND done_at IS NULL",
                [notice.id.into(), ended.at.into(), ended.by.uuid().into(), note.into()],
            )
            .await?;
        expect_changed(saved.rows_affected(), "unread_notices")
    }
}
