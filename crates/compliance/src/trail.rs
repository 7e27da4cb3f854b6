//! The trail as an auditor reads it: filtered, newest first, a page at a time.
//! Reading it is itself recorded.

use async_trait::async_trait;
use chrono::{DateTime, Utc};
use kernel::{AccountId, Actor, FieldError, Page, PageRequest, PatientId, Permission};
use ports::{AuditAction, AuditEntry, UnitOfWork};

use crate::{ComplianceError, RecordedEntry, report::ActivityReport};

/// What the entries must match; an empty filter matches all.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct TrailFilter {
    /// Whose record it was.
    pub patient: Option<PatientId>,
    /// Who acted: an account, a client, or a part of Salus by its name.
    pub actor: Option<String>,
    /// Entries about this person's record or by this person.
    pub subject: Option<AccountId>,
    pub action: Option<AuditAction>,
    /// The kind of thing, as in `invoice`.
    pub entity: Option<String>,
    /// From this time on.
    pub from: Option<DateTime<Utc>>,
    /// Before this time.
    pub to: Option<DateTime<Utc>>,
}

impl TrailFilter {
    pub(crate) fn check(&self) -> Result<(), ComplianceError> {
        match (self.from, self.to) {
            (Some(from), Some(to)) if from >= to => {
                Err(ComplianceError::InvalidFilter(vec![FieldError::new(
                    "to",
                    "not_after_from",
                    "The end of the time must be after its beginning.",
                )]))
            }
            _ => Ok(()),
        }
    }

    /// The audit entry of reading or exporting with this filter.
    pub(crate) fn entry(&self, action: AuditAction) -> AuditEntry {
        let mut entry = AuditEntry::new(action, "audit_trail", "audit_trail");
        if let Some(patient) = self.patient.or(self.subject.map(AccountId::as_patient)) {
            entry = entry.patient(patient);
        }
        let words = [
            ("actor", self.actor.clone()),
            ("subject", self.subject.map(|id| id.to_string())),
            ("action", self.action.map(|action| action.to_string())),
            ("entity", self.entity.clone()),
            ("from", self.from.map(|time| time.to_rfc3339())),
            ("to", self.to.map(|time| time.to_rfc3339())),
        ];
        for (name, word) in words {
            if let Some(word) = word {
                entry = entry.detail(name, word);
            }
        }
        entry
    }
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Order {
    OldestFirst,
    NewestFirst,
}

#[async_trait]
pub trait AuditTx: UnitOfWork {
    /// Entries that match, beyond the number `after` in the given order.
    async fn entries(
        &mut self,
        filter: &TrailFilter,
        order: Order,
        after: Option<i64>,
        limit: u64,
    ) -> ports::Result<Vec<RecordedEntry>>;

    /// The numbers of a period, with at most `named` actors in each list.
    async fn activity(
        &mut self,
        from: DateTime<Utc>,
        to: DateTime<Utc>,
        named: u64,
    ) -> ports::Result<ActivityReport>;
}

#[async_trait]
pub trait AuditStore: Send + Sync {
    async fn begin(&self, actor: &Actor) -> ports::Result<Box<dyn AuditTx>>;
}

/// A page of the trail, newest first.
pub async fn read_trail(
    store: &dyn AuditStore,
    actor: &Actor,
    filter: &TrailFilter,
    page: &PageRequest,
) -> Result<Page<RecordedEntry>, ComplianceError> {
    let mut tx =
        begin_permitted(store, actor, Permission::AuditRead, filter, AuditAction::Read).await?;
    filter.check()?;
    let after = page
        .cursor
        .as_deref()
        .map(|cursor| {
            cursor.parse().map_err(|_| {
                ComplianceError::InvalidFilter(vec![FieldError::new(
                    "cursor",
                    "invalid",
                    "Pass the cursor as the page before gave it.",
                )])
            })
        })
        .transpose()?;
    let limit = u64::from(page.limit()) + 1;
    let entries = tx.entries(filter, Order::NewestFirst, after, limit).await?;
    let found = Page::from_overfetch(entries, page, |entry| entry.seq.to_string());
    tx.audit(filter.entry(AuditAction::Read).detail("returned", found.items.len()));
    tx.commit().await?;
    Ok(found)
}

/// Begins, or records that the actor had no right to.
pub(crate) async fn begin_permitted(
    store: &dyn AuditStore,
    actor: &Actor,
    permission: Permission,
    filter: &TrailFilter,
    action: AuditAction,
) -> Result<Box<dyn AuditTx>, ComplianceError> {
    let mut tx = store.begin(actor).await?;
    if let Err(missing) = actor.require(permission) {
        tx.audit(filter.entry(action).denied());
        tx.commit().await?;
        return Err(missing.into());
    }
    Ok(tx)
}
