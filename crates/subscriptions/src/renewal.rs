//! Renewal: at the end of a period the next one begins, and billing hears of
//! it. One period of one subscription begins once, however often the job runs.

use kernel::{Actor, SubscriptionId};
use ports::{Env, Event, JobRequest, JobSpec};
use serde::{Deserialize, Serialize};

use crate::{
    Approvals, ChangeReason, State, Subscription, SubscriptionError, SubscriptionsStore,
    handlers::audit, treatment,
};

/// Begin the period `period_index` of a subscription.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct RenewSubscription {
    pub subscription: SubscriptionId,
    pub period_index: u32,
}

impl JobSpec for RenewSubscription {
    const KIND: &'static str = "subscriptions.renew";
}

impl RenewSubscription {
    /// The job that follows the current period, due when that ends.
    pub fn after(subscription: &Subscription) -> JobRequest {
        let job =
            Self { subscription: subscription.id, period_index: subscription.period.index + 1 };
        JobRequest::new(&job)
            .key(format!("{}/{}/{}", Self::KIND, job.subscription, job.period_index))
            .at(subscription.period.end)
    }
}

/// Begins the next period, or ends the subscription where that was asked for,
/// where less is left to be sent than the period would pay for, or where the
/// treatment is not one that was bought.
/// A job that comes twice or too late finds nothing to do: the subscription
/// already has that period, or is paused, overdue or canceled.
pub async fn renew(
    env: &Env,
    store: &dyn SubscriptionsStore,
    approvals: &dyn Approvals,
    job: RenewSubscription,
) -> Result<(), SubscriptionError> {
    let actor = Actor::system("subscriptions.renew");
    let waits = |subscription: &Subscription| {
        matches!(subscription.state, State::Active { .. })
            && subscription.period.index + 1 == job.period_index
    };
    let mut tx = store.begin(&actor).await?;
    let Some(found) = tx.subscription(job.subscription).await? else {
        return Err(SubscriptionError::NotFound);
    };
    drop(tx);
    if !waits(&found) {
        return Ok(());
    }
    let supply = approvals.supply(found.patient, found.category).await?;
    let treated = approvals.treated(found.patient, found.category).await?;
    let mut tx = store.begin(&actor).await?;
    let Some(subscription) = tx.lock_subscription(job.subscription).await? else {
        return Err(SubscriptionError::NotFound);
    };
    if !waits(&subscription) {
        return Ok(());
    }
    let ends = if !supply.covers(subscription.interval) {
        Some(ChangeReason::TreatmentEnded)
    } else if subscription.misfit(treated.as_ref()).is_some() {
        Some(ChangeReason::TreatmentNotCovered)
    } else {
        None
    };
    let (subscription, change) = subscription.renew(ends, &actor, env.now())?;
    tx.save_subscription(&subscription, &change).await?;
    if ends == Some(change.reason) {
        tx.emit(treatment::stopped(&subscription)).await?;
    }
    if subscription.is_canceled() {
        tx.emit(Event::SubscriptionCanceled {
            subscription: subscription.id,
            patient: subscription.patient,
            category: subscription.category,
        })
        .await?;
    } else {
        tx.emit(Event::SubscriptionPeriodStarted {
            subscription: subscription.id,
            patient: subscription.patient,
            category: subscription.category,
            plan: subscription.plan,
            price: subscription.price,
            period_index: subscription.period.index,
        })
        .await?;
        tx.enqueue(RenewSubscription::after(&subscription)).await?;
    }
    audit(tx.as_mut(), &subscription, &change).await?;
    tx.commit().await?;
    Ok(())
}
