//! Renewal: at the end of a period the next one begins, and billing hears of
//! it. After an outage or a jump of the clock the current one alone begins; the
//! others are noted as missed. One period of one subscription begins once,
//! however often the job runs.

use chrono::TimeDelta;
use kernel::{Actor, Seen, SubscriptionId};
use ports::{
    AuditAction, AuditEntry, Env, Event, JobRequest, JobSpec, repository::get, repository::lock,
};
use serde::{Deserialize, Serialize};

use crate::{
    Approvals, ChangeReason, State, Subscription, SubscriptionError, SubscriptionsStore,
    missed::MissedPeriod, store::save, treatment,
};

/// How long a renewal waits before it asks again whether the treatment is
/// stopped.
const ASK_AGAIN: TimeDelta = TimeDelta::hours(6);

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

/// Begins the period that runs now, or ends the subscription where that was
/// asked for, where less is left to be sent than the period would pay for, or
/// where the treatment is not one that was bought.
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
    let found = get(tx.as_mut(), job.subscription).await?;
    drop(tx);
    if !waits(&found) {
        return Ok(());
    }
    let supply = approvals.supply(found.patient, found.category).await?;
    let treated = approvals.treated(found.patient, found.category).await?;
    let stopped = approvals.is_stopped(found.patient, found.category).await?;
    let mut tx = store.begin(&actor).await?;
    let mut subscription = lock(tx.as_mut(), job.subscription, &Seen::Any).await?;
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
    let now = env.now();
    if stopped && ends.is_none() && !subscription.cancel_at_period_end {
        // Nothing is sent now, so nothing is charged; what passes until a
        // provider has decided is not charged afterwards either.
        tx.enqueue(RenewSubscription::after(&subscription).at(now + ASK_AGAIN));
        tx.audit(
            AuditEntry::new(AuditAction::Execute, "subscription", subscription.id)
                .patient(subscription.patient)
                .detail("renewal_waits", true),
        );
        tx.commit().await?;
        return Ok(());
    }
    let last = subscription.period;
    let change = subscription.renew(ends, &actor, now)?;
    for period in subscription.missed_since(&last)? {
        tx.add_missed_period(&MissedPeriod::note(&subscription, period, now)).await?;
        tx.audit(
            AuditEntry::new(AuditAction::Create, "missed_period", subscription.id)
                .patient(subscription.patient)
                .detail("period", period.index),
        );
    }
    if ends == Some(change.reason) {
        tx.emit(treatment::stopped(&subscription));
    }
    save(tx.as_mut(), &mut subscription, &change).await?;
    if !subscription.is_canceled() {
        tx.emit(Event::SubscriptionPeriodStarted {
            subscription: subscription.id,
            patient: subscription.patient,
            category: subscription.category,
            plan: subscription.plan,
            price: subscription.price,
            period_index: subscription.period.index,
        });
        tx.enqueue(RenewSubscription::after(&subscription));
    }
    tx.commit().await?;
    Ok(())
}
