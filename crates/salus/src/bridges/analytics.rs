use std::num::NonZeroU32;

use ::analytics::{
    projecting::SubscriptionFacts,
    revenue::{Charge, Position, Standing},
};
use async_trait::async_trait;
use kernel::{Actor, SubscriptionId};
use ports::{PortError, Result};
use subscriptions::State;

use super::Bridges;

#[async_trait]
impl SubscriptionFacts for Bridges {
    async fn position(&self, subscription: SubscriptionId) -> Result<Option<Position>> {
        let mut tx = self.subscriptions.begin(&Actor::system("analytics.position")).await?;
        let found = tx.find(subscription).await?;
        let Some(found) = found else { return Ok(None) };
        let months = NonZeroU32::new(found.interval.months())
            .ok_or_else(|| PortError::bug("a subscription is billed every zero months"))?;
        Ok(Some(Position {
            subscription,
            category: found.category,
            standing: match found.state {
                State::Pending => Standing::Pending,
                State::Active { .. } | State::PastDue { .. } => Standing::Active,
                State::Paused { .. } => Standing::Paused,
                State::Canceled { .. } => Standing::Ended,
            },
            currency: found.amount.currency,
            charges: vec![Charge::Recurring { amount: found.amount, months }],
        }))
    }
}
