//! The store of subscriptions.

use async_trait::async_trait;
use kernel::{Actor, CategoryId, InvoiceId, Page, PageRequest, PatientId, SubscriptionId};
use ports::{AuditAction, AuditEntry, Event, Locked, PortError, Repository, Result, UnitOfWork};

use crate::{Change, StateWord, Subscription, SubscriptionError, missed::MissedPeriod};

/// The unique rule of the database that keeps a patient from holding two
/// subscriptions of one category that have not ended.
pub const ONE_LIVE_PER_CATEGORY: &str = "subscriptions_one_live_per_category";

/// A transaction on subscriptions. Every read is scoped by the actor: a
/// patient reaches their own, staff need `subscription.read_any`, and what an
/// actor cannot reach does not exist for them.
///
/// Whatever stores a subscription also records its current period where that is
/// new; one index of one subscription is recorded once. A second live one of a
/// category is a `Conflict` named [`ONE_LIVE_PER_CATEGORY`].
#[async_trait]
pub trait SubscriptionsTx: UnitOfWork + Repository<Subscription> {
    /// The subscription of the category that has not ended.
    async fn live_in_category(
        &mut self,
        patient: PatientId,
        category: CategoryId,
    ) -> Result<Option<Subscription>>;

    /// All of a patient's subscriptions, the newest first.
    async fn subscriptions_of(&mut self, patient: PatientId) -> Result<Vec<Subscription>>;

    /// Adds a line to the history.
    async fn add_change(&mut self, subscription: &Subscription, change: &Change) -> Result<()>;

    /// The history, the oldest line first.
    async fn subscription_history(&mut self, id: SubscriptionId) -> Result<Vec<Change>>;

    /// Notes a period that was missed; one that is noted already stays.
    async fn add_missed_period(&mut self, missed: &MissedPeriod) -> Result<()>;

    async fn missed_period(
        &mut self,
        subscription: SubscriptionId,
        index: u32,
    ) -> Result<Option<MissedPeriod>>;

    /// The missed periods without a decision.
    async fn missed_periods(&mut self, page: &PageRequest) -> Result<Page<MissedPeriod>>;

    /// Saves a decision; where there is one already it is a `Conflict`.
    async fn decide_missed_period(&mut self, missed: &MissedPeriod) -> Result<()>;

    /// Remembers that this invoice was paid.
    async fn note_paid_invoice(
        &mut self,
        subscription: SubscriptionId,
        invoice: InvoiceId,
    ) -> Result<()>;

    /// Whether this invoice is known to be paid, so that a failure that is
    /// delivered late does not count.
    async fn is_paid_invoice(&mut self, invoice: InvoiceId) -> Result<bool>;
}

#[async_trait]
pub trait SubscriptionsStore: Send + Sync {
    async fn begin(&self, actor: &Actor) -> Result<Box<dyn SubscriptionsTx>>;
}

/// Saves what a change did, with its line of the history and its entry in the
/// audit log, and tells of an end.
pub(crate) async fn save(
    tx: &mut dyn SubscriptionsTx,
    subscription: &mut Locked<Subscription>,
    change: &Change,
) -> Result<()> {
    tx.save(subscription).await?;
    tx.add_change(subscription, change).await?;
    tx.audit(
        AuditEntry::new(AuditAction::Update, "subscription", subscription.id)
            .patient(subscription.patient)
            .detail("from", change.from.map(|word| word.to_string()))
            .detail("to", change.to.to_string())
            .detail("reason", change.reason.to_string())
            .detail("period", change.period_index),
    );
    if change.to == StateWord::Canceled {
        tx.emit(Event::SubscriptionCanceled {
            subscription: subscription.id,
            patient: subscription.patient,
            category: subscription.category,
        });
    }
    Ok(())
}

/// What was found within the actor's reach. An attempt on anything else is
/// recorded as denied and answered as if it did not exist.
pub(crate) async fn reached<T>(
    mut tx: Box<dyn SubscriptionsTx>,
    found: Result<T>,
    (action, entity, id): (AuditAction, &'static str, SubscriptionId),
) -> Result<(Box<dyn SubscriptionsTx>, T), SubscriptionError> {
    match found {
        Ok(found) => Ok((tx, found)),
        Err(PortError::NotFound { .. }) => {
            tx.audit(AuditEntry::new(action, entity, id).denied());
            tx.commit().await?;
            Err(SubscriptionError::NotFound)
        }
        Err(other) => Err(other.into()),
    }
}
