//! Urgent tasks for those who look after money: what Salus cannot settle by
//! itself and must not let lie.

use chrono::{DateTime, Utc};
use kernel::{
    AccountId, Actor, Page, PageRequest, PatientId, Permission, TaskId, TextKind as _, Uuid, Word,
    text::SettlementNote,
};
use ports::{AuditAction, AuditEntry, Env};

use crate::{
    error::BillingError,
    store::{BillingStore, BillingTx},
};

/// What a task of billing is about.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Word)]
#[word("BillingTaskWord")]
pub enum BillingTaskKind {
    /// The cardholder disputes a payment, or the dispute has moved; the subject
    /// is the contest.
    DisputedPayment,
    /// A payment was given back at the gateway; the subject is the contest.
    OutsideRefund,
    /// The card's issuer warns that a payment is a fraud; the subject is the
    /// contest.
    FraudWarning,
    /// The patient has paid, and the prescription or the fill, the subject, is
    /// stopped.
    PaidButStopped,
    /// An invoice, the subject, is not charged while the treatment is stopped.
    ChargeWaits,
}

impl BillingTaskKind {
    /// The title; it tells nothing of the patient.
    pub fn title(self) -> &'static str {
        match self {
            Self::DisputedPayment => "A payment is disputed",
            Self::OutsideRefund => "A payment was given back at the gateway",
            Self::FraudWarning => "A payment may be a fraud",
            Self::PaidButStopped => "A patient has paid for what is stopped",
            Self::ChargeWaits => "A charge waits because the treatment is stopped",
        }
    }
}

#[derive(Clone, Debug, PartialEq, Eq)]
pub struct BillingTaskEnding {
    pub at: DateTime<Utc>,
    pub by: AccountId,
    /// What was done, in that person's own words.
    pub note: String,
}

#[derive(Clone, Debug, PartialEq, Eq)]
pub struct BillingTask {
    pub id: TaskId,
    pub kind: BillingTaskKind,
    pub patient: PatientId,
    pub subject: Uuid,
    pub created_at: DateTime<Utc>,
    pub ended: Option<BillingTaskEnding>,
}

impl BillingTask {
    /// Somebody has seen to it, and says how.
    pub fn complete(
        mut self,
        by: AccountId,
        note: &str,
        now: DateTime<Utc>,
    ) -> Result<Self, BillingError> {
        if self.ended.is_some() {
            return Err(BillingError::TaskDone);
        }
        let note = SettlementNote::take("note", note)?;
        self.ended = Some(BillingTaskEnding { at: now, by, note });
        Ok(self)
    }
}

/// Opens a task in the transaction of what it is about. A second one of a kind
/// about one subject is not opened; whether it was new is the answer.
pub(crate) async fn raise(
    env: &Env,
    tx: &mut dyn BillingTx,
    kind: BillingTaskKind,
    (patient, subject): (PatientId, Uuid),
) -> Result<bool, BillingError> {
    let (id, created_at) = (env.fresh(), env.now());
    let task = BillingTask { id, kind, patient, subject, created_at, ended: None };
    if !tx.add_billing_task(&task).await? {
        return Ok(false);
    }
    tx.audit(
        AuditEntry::new(AuditAction::Create, "billing_task", id)
            .patient(patient)
            .detail("kind", kind.to_string())
            .detail("subject", subject.to_string()),
    );
    Ok(true)
}

/// The open tasks, the oldest first.
pub async fn list(
    store: &dyn BillingStore,
    actor: &Actor,
    page: &PageRequest,
) -> Result<Page<BillingTask>, BillingError> {
    actor.require(Permission::BillingReadAny)?;
    let mut tx = store.begin(actor).await?;
    let found = tx.open_billing_tasks(page).await?;
    let shown = found.items.iter().map(|task| (task.patient, task.id.uuid()));
    let entry = AuditEntry::new(AuditAction::Search, "billing_task", "open");
    tx.audit_all(entry.per_patient(shown));
    tx.commit().await?;
    Ok(found)
}

pub async fn complete(
    env: &Env,
    store: &dyn BillingStore,
    actor: &Actor,
    id: TaskId,
    note: &str,
) -> Result<BillingTask, BillingError> {
    actor.require(Permission::BillingAdminister)?;
    let by = actor.account().ok_or(BillingError::NotFound("task"))?;
    let mut tx = store.begin(actor).await?;
    let Some(task) = tx.billing_task(id).await? else {
        return Err(crate::reading::not_found(tx, "task", "billing_task", id).await?);
    };
    let task = task.complete(by, note, env.now())?;
    tx.end_billing_task(&task).await?;
    tx.audit(
        AuditEntry::new(AuditAction::Update, "billing_task", id)
            .patient(task.patient)
            .detail("kind", task.kind.to_string())
            .detail("done", true),
    );
    tx.commit().await?;
    Ok(task)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_task_is_done_once_and_with_a_word() {
        let now = DateTime::UNIX_EPOCH;
        let task = BillingTask {
            id: TaskId(Uuid::nil()),
            kind: BillingTaskKind::DisputedPayment,
            patient: PatientId(Uuid::nil()),
            subject: Uuid::nil(),
            created_at: now,
            ended: None,
        };
        let by = AccountId(Uuid::nil());
        assert!(task.clone().complete(by, "  ", now).is_err());
        let done = task.complete(by, " Sent the evidence. ", now).unwrap();
        assert_eq!(done.ended.as_ref().unwrap().note, "Sent the evidence.");
        assert!(matches!(done.complete(by, "again", now), Err(BillingError::TaskDone)));
    }
}
