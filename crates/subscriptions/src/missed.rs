//! Periods that passed while nobody could begin them: in an outage, or while
//! the treatment was stopped. The current period alone is billed; what becomes
//! of the others is decided by staff.

use chrono::{DateTime, Utc};
use kernel::{
    AccountId, Actor, CategoryId, Page, PageRequest, PatientId, Permission, Seen, SubscriptionId,
    TextKind as _, Word, text::GraveReason,
};
use ports::{AuditAction, AuditEntry, Env, Event, PortError, repository::lock};

use crate::{
    Approvals, Period, StateWord, Subscription, SubscriptionError, SubscriptionsStore, Supply,
    store::reached,
};

/// What becomes of a missed period.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Word)]
#[word("MissedPeriodDecision")]
pub enum MissedDecision {
    /// It is never charged.
    Waived,
    /// It is billed now, as every period is.
    Charged,
}

#[derive(Clone, Debug, PartialEq, Eq)]
pub struct DecidedPeriod {
    pub decision: MissedDecision,
    pub at: DateTime<Utc>,
    pub by: AccountId,
    pub reason: String,
}

#[derive(Clone, Debug, PartialEq, Eq)]
pub struct MissedPeriod {
    pub subscription: SubscriptionId,
    pub patient: PatientId,
    pub category: CategoryId,
    pub period: Period,
    pub noted_at: DateTime<Utc>,
    /// `None` until somebody has decided.
    pub decided: Option<DecidedPeriod>,
}

impl MissedPeriod {
    pub(crate) fn note(subscription: &Subscription, period: Period, now: DateTime<Utc>) -> Self {
        Self {
            subscription: subscription.id,
            patient: subscription.patient,
            category: subscription.category,
            period,
            noted_at: now,
            decided: None,
        }
    }

    /// What staff decides stands, and has a reason.
    pub fn decide(
        mut self,
        decision: MissedDecision,
        by: AccountId,
        reason: &str,
        now: DateTime<Utc>,
    ) -> Result<Self, SubscriptionError> {
        if self.decided.is_some() {
            return Err(SubscriptionError::AlreadyDecided);
        }
        let reason = GraveReason::take("reason", reason)?;
        self.decided = Some(DecidedPeriod { decision, at: now, by, reason });
        Ok(self)
    }
}

/// The missed periods that wait for a decision, the first noted first.
pub async fn list(
    store: &dyn SubscriptionsStore,
    actor: &Actor,
    page: &PageRequest,
) -> Result<Page<MissedPeriod>, SubscriptionError> {
    actor.require(Permission::SubscriptionReadAny)?;
    let mut tx = store.begin(actor).await?;
    let found = tx.missed_periods(page).await?;
    let shown = found.items.iter().map(|one| (one.patient, one.subscription.uuid()));
    let entry = AuditEntry::new(AuditAction::Search, "missed_period", "open");
    tx.audit_all(entry.per_patient(shown));
    tx.commit().await?;
    Ok(found)
}

/// Waives a missed period, or has it billed. A period is billed only while the
/// subscription lives and there is enough to be sent for it.
pub async fn decide(
    env: &Env,
    store: &dyn SubscriptionsStore,
    approvals: &dyn Approvals,
    actor: &Actor,
    (id, index): (SubscriptionId, u32),
    (decision, reason): (MissedDecision, &str),
) -> Result<MissedPeriod, SubscriptionError> {
    actor.require(Permission::BillingAdminister)?;
    let by = actor.account().ok_or(SubscriptionError::NotFound)?;
    let seen = {
        let mut tx = store.begin(actor).await?;
        tx.missed_period(id, index).await?
    };
    let supply = match &seen {
        Some(missed) => approvals.supply(missed.patient, missed.category).await?,
        None => Supply::NoPlan,
    };
    let mut tx = store.begin(actor).await?;
    let asked = (AuditAction::Update, "missed_period", id);
    let found = lock(tx.as_mut(), id, &Seen::Any).await;
    let (mut tx, subscription) = reached(tx, found, asked).await?;
    let missed = tx.missed_period(id, index).await?;
    let missed = missed.ok_or_else(|| PortError::not_found("missed_period"));
    let (mut tx, missed) = reached(tx, missed, asked).await?;
    let decided = missed.decide(decision, by, reason, env.now())?;
    if decision == MissedDecision::Charged {
        if subscription.is_canceled() {
            return Err(subscription.cannot_become(StateWord::Active));
        }
        match supply {
            Supply::NoPlan => return Err(SubscriptionError::NotTreated),
            supply if !supply.covers(subscription.interval) => {
                return Err(SubscriptionError::NoFillLeft);
            }
            _ => {}
        }
        tx.emit(Event::SubscriptionPeriodStarted {
            subscription: id,
            patient: subscription.patient,
            category: subscription.category,
            plan: subscription.plan,
            price: subscription.price,
            period_index: index,
        });
    }
    tx.decide_missed_period(&decided).await?;
    tx.audit(
        AuditEntry::new(AuditAction::Update, "missed_period", id)
            .patient(subscription.patient)
            .detail("period", index)
            .detail("decision", decision.to_string()),
    );
    tx.commit().await?;
    Ok(decided)
}
