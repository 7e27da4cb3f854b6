//! What vendors sent and Salus could not use: it is genuine and was answered,
//! so nobody sends it again. It is kept, and shown to staff until somebody has
//! seen to it.

use async_trait::async_trait;
use chrono::{DateTime, Utc};
use kernel::{
    AccountId, Actor, Page, PageRequest, Permission, TextKind as _, Uuid, text::SettlementNote,
};
use ports::{AuditAction, AuditEntry, Env, UnitOfWork};

use crate::ComplianceError;

#[derive(Clone, Debug, PartialEq, Eq)]
pub struct NoticeEnding {
    pub at: DateTime<Utc>,
    pub by: AccountId,
    /// What was done, in that person's own words.
    pub note: String,
}

/// A notice of a vendor, or a part of one, that Salus could not use.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct UnreadNotice {
    pub id: Uuid,
    /// As it stands in the path of its webhook.
    pub vendor: String,
    /// What is wrong with it, in a sentence that tells nothing of a patient.
    pub reason: String,
    pub received_at: DateTime<Utc>,
    /// `None` until somebody has seen to it.
    pub ended: Option<NoticeEnding>,
}

impl UnreadNotice {
    /// Somebody has seen to it, and says how.
    pub fn complete(
        mut self,
        by: AccountId,
        note: &str,
        now: DateTime<Utc>,
    ) -> Result<Self, ComplianceError> {
        if self.ended.is_some() {
            return Err(ComplianceError::NoticeDone);
        }
        let note = SettlementNote::take("note", note)
            .map_err(|error| ComplianceError::Invalid(vec![error]))?;
        self.ended = Some(NoticeEnding { at: now, by, note });
        Ok(self)
    }
}

#[async_trait]
pub trait UnreadTx: UnitOfWork {
    /// Keeps a notice with its body; `false` where the vendor has sent the same
    /// before.
    async fn add_unread(&mut self, notice: &UnreadNotice, body: &[u8]) -> ports::Result<bool>;

    /// One of them, locked until the transaction ends.
    async fn unread(&mut self, id: Uuid) -> ports::Result<Option<UnreadNotice>>;

    /// The body of one that is there, as it came.
    async fn unread_body(&mut self, id: Uuid) -> ports::Result<Vec<u8>>;

    /// Those to which nobody has seen, the oldest first.
    async fn all_unread(&mut self, page: &PageRequest) -> ports::Result<Page<UnreadNotice>>;

    async fn end_unread(&mut self, notice: &UnreadNotice) -> ports::Result<()>;
}

#[async_trait]
pub trait UnreadStore: Send + Sync {
    async fn begin(&self, actor: &Actor) -> ports::Result<Box<dyn UnreadTx>>;
}

/// Keeps what could not be used of a genuine notice. The same bytes are kept
/// once, however often they come.
pub async fn keep(
    env: &Env,
    store: &dyn UnreadStore,
    vendor: &str,
    reason: &str,
    body: &[u8],
) -> Result<(), ComplianceError> {
    let mut tx = store.begin(&Actor::system("compliance.unread_notices")).await?;
    let notice = UnreadNotice {
        id: env.ids.uuid(),
        vendor: vendor.to_owned(),
        reason: reason.to_owned(),
        received_at: env.now(),
        ended: None,
    };
    if !tx.add_unread(&notice, body).await? {
        return Ok(());
    }
    tracing::warn!(vendor, reason, notice = %notice.id, "a notice could not be used");
    tx.audit(entry(AuditAction::Create, &notice));
    tx.commit().await?;
    Ok(())
}

fn entry(action: AuditAction, notice: &UnreadNotice) -> AuditEntry {
    AuditEntry::new(action, "unread_notice", notice.id)
        .detail("vendor", notice.vendor.clone())
        .detail("reason", notice.reason.clone())
}

/// Those to which nobody has seen, the oldest first.
pub async fn list(
    store: &dyn UnreadStore,
    actor: &Actor,
    page: &PageRequest,
) -> Result<Page<UnreadNotice>, ComplianceError> {
    actor.require(Permission::NoticeWork)?;
    let mut tx = store.begin(actor).await?;
    let found = tx.all_unread(page).await?;
    let entry = AuditEntry::new(AuditAction::Search, "unread_notice", "open");
    tx.audit(entry.detail("shown", found.items.len()));
    tx.commit().await?;
    Ok(found)
}

/// One of them with its body, as it came.
pub async fn read(
    store: &dyn UnreadStore,
    actor: &Actor,
    id: Uuid,
) -> Result<(UnreadNotice, Vec<u8>), ComplianceError> {
    actor.require(Permission::NoticeWork)?;
    let mut tx = store.begin(actor).await?;
    let Some(notice) = tx.unread(id).await? else { return Err(missing(tx, id).await?) };
    let body = tx.unread_body(id).await?;
    tx.audit(entry(AuditAction::Read, &notice));
    tx.commit().await?;
    Ok((notice, body))
}

pub async fn complete(
    env: &Env,
    store: &dyn UnreadStore,
    actor: &Actor,
    id: Uuid,
    note: &str,
) -> Result<UnreadNotice, ComplianceError> {
    actor.require(Permission::NoticeWork)?;
    let by = actor.account().ok_or(ComplianceError::NotFound("notice"))?;
    let mut tx = store.begin(actor).await?;
    let Some(notice) = tx.unread(id).await? else { return Err(missing(tx, id).await?) };
    let notice = notice.complete(by, note, env.now())?;
    tx.end_unread(&notice).await?;
    tx.audit(entry(AuditAction::Update, &notice).detail("done", true));
    tx.commit().await?;
    Ok(notice)
}

/// The error about a notice that is not there; the attempt is on record.
async fn missing(mut tx: Box<dyn UnreadTx>, id: Uuid) -> Result<ComplianceError, ComplianceError> {
    tx.audit(AuditEntry::new(AuditAction::Read, "unread_notice", id).denied());
    tx.commit().await?;
    Ok(ComplianceError::NotFound("notice"))
}
