//! The store of subscriptions.

use async_trait::async_trait;
use kernel::{Actor, CategoryId, InvoiceId, Page, PageRequest, PatientId, SubscriptionId};
use ports::{Result, UnitOfWork};

use crate::{Change, Subscription, missed::MissedPeriod};

/// The unique rule of the database that keeps a patient from holding two
/// subscriptions of one category that have not ended.
pub const ONE_LIVE_PER_CATEGORY: &str = "subscriptions_one_live_per_category";

/// A transaction on subscriptions. Every read is scoped by the actor: a
/// patient reaches their own, staff need `subscription.read_any`, and what an
/// actor cannot reach does not exist for them.
#[async_trait]
pub trait SubscriptionsTx: UnitOfWork {
    async fn subscription(&mut self, id: SubscriptionId) -> Result<Option<Subscription>>;

    /// The same, locked until the end of the transaction, so that changes of
    /// one subscription queue up behind each other.
    async fn lock_subscription(&mut self, id: SubscriptionId) -> Result<Option<Subscription>>;

    /// The subscription of the category that has not ended.
    async fn live_in_category(
        &mut self,
        patient: PatientId,
        category: CategoryId,
    ) -> Result<Option<SubscriptionId>>;

    /// All of a patient's subscriptions, the newest first.
    async fn subscriptions_of(&mut self, patient: PatientId) -> Result<Vec<Subscription>>;

    /// Adds a subscription with the first line of its history. A second live
    /// one of the category is a `Conflict` named [`ONE_LIVE_PER_CATEGORY`].
    async fn add_subscription(
        &mut self,
        subscription: &Subscription,
        change: &Change,
    ) -> Result<()>;

    /// Saves what changed, adds to the history, and records the current period
    /// where it is new; one index of one subscription is recorded once. A
    /// version other than the loaded one is a `Conflict`.
    async fn save_subscription(
        &mut self,
        subscription: &Subscription,
        change: &Change,
    ) -> Result<()>;

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
