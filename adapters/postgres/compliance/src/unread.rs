//! Notices of vendors that could not be used.

use async_trait::async_trait;
use chrono::{DateTime, Utc};
use compliance::unread::{NoticeEnding, UnreadNotice, UnreadTx};
use kernel::{AccountId, Page, PageRequest, Uuid};
use ports::{PortError, Result};
use sea_orm::{ConnectionTrait as _, DbBackend, FromQueryResult, Statement, Value};
use sha2::{Digest as _, Sha256};

use crate::Tx;
use pg::{db, expect_changed, id_cursor};

const BODY: &str = "unread_notices.body";
/// Its columns but for the body, which a list does not show.
const NOTICE: &str = "id, vendor, reason, received_at, done_at, done_by, note";
const NOTE: &str = "unread_notices.note";

#[derive(FromQueryResult)]
struct Row {
    id: Uuid,
    vendor: String,
    reason: String,
    received_at: DateTime<Utc>,
    done_at: Option<DateTime<Utc>>,
    done_by: Option<Uuid>,
    note: Option<Vec<u8>>,
}

impl Row {
    fn into_domain(self, tx: &Tx) -> Result<UnreadNotice> {
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
            received_at: self.received_at,
            ended,
        })
    }
}

async fn rows(tx: &Tx, sql: &str, values: Vec<Value>) -> Result<Vec<UnreadNotice>> {
    let found: Vec<Row> = tx.rows("reading notices that could not be used", sql, values).await?;
    found.into_iter().map(|row| row.into_domain(tx)).collect()
}

#[async_trait]
impl UnreadTx for Tx {
    async fn add_unread(&mut self, notice: &UnreadNotice, body: &[u8]) -> Result<bool> {
        let digest = hex::encode(Sha256::digest(body));
        let digest = self.sealer().blind_index("unread_notices.digest", &digest)?.0.to_vec();
        let body = self.seal(BODY, notice.id, body)?;
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
        let sql = format!("SELECT {NOTICE} FROM unread_notices WHERE id = $1 FOR UPDATE");
        Ok(rows(self, &sql, vec![id.into()]).await?.pop())
    }

    async fn unread_body(&mut self, id: Uuid) -> Result<Vec<u8>> {
        let doing = "reading the body of a notice";
        let statement = Statement::from_sql_and_values(
            DbBackend::Postgres,
            "SELECT body FROM unread_notices WHERE id = $1",
            [id.into()],
        );
        let row = self.read().query_one_raw(statement).await.map_err(|error| db(doing, error))?;
        let row = row.ok_or_else(|| PortError::bug("the body of a notice that is not there"))?;
        let body: Vec<u8> = row.try_get("", "body").map_err(|error| db(doing, error))?;
        self.unseal(BODY, id, body)
    }

    async fn all_unread(&mut self, page: &PageRequest) -> Result<Page<UnreadNotice>> {
        let after = id_cursor(page)?;
        let sql = format!(
            "SELECT {NOTICE} FROM unread_notices WHERE done_at IS NULL \
             AND ($1::uuid IS NULL OR id > $1) ORDER BY id LIMIT $2"
        );
        let limit = i64::from(page.limit()) + 1;
        let found = rows(self, &sql, vec![after.into(), limit.into()]).await?;
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
