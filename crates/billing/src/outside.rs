//! What billing needs to hear from the other contexts.

use async_trait::async_trait;
use kernel::{CategoryId, Money, PatientId, SubscriptionId};
use ports::Result;

use crate::invoice::{Party, Period};

/// One period of one subscription, priced.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct BillablePeriod {
    pub subscription: SubscriptionId,
    pub patient: PatientId,
    pub category: CategoryId,
    /// The name of the plan as the patient chose it.
    pub plan_name: String,
    /// The price of one period, without a sign.
    pub price: Money,
    pub period: Period,
}

/// What is to be billed, from the catalogue and the subscriptions.
#[async_trait]
pub trait Catalogue: Send + Sync {
    /// The period with that index, counted from 0, at the price that the
    /// subscription was bought for. `None` where there is no such period.
    async fn period(
        &self,
        subscription: SubscriptionId,
        index: u32,
    ) -> Result<Option<BillablePeriod>>;
}

/// Who is billed.
#[async_trait]
pub trait Customers: Send + Sync {
    /// The patient's name, address and mail address, as they are now. `None`
    /// where the patient has no profile yet.
    async fn bill_to(&self, patient: PatientId) -> Result<Option<Party>>;
}

/// What the patient still has to pay for.
#[async_trait]
pub trait Subscriptions: Send + Sync {
    /// Whether a subscription of the patient runs or waits for its first
    /// payment.
    async fn has_live_subscription(&self, patient: PatientId) -> Result<bool>;
}
