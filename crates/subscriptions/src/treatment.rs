//! A subscription pays for a treatment. Once that has ended nothing is renewed,
//! and the patient hears of it, who did not ask for it. Once it is another one
//! than was bought, staff hear of it: nothing goes out for it and nothing is
//! renewed until the two agree again.

use kernel::{Actor, CategoryId, PatientId};
use ports::{AuditAction, AuditEntry, Env, Event};

use crate::{
    Approvals, Subscription, SubscriptionError, SubscriptionsStore, Supply, handlers::audit,
};

/// Handles `TreatmentPlanEnded`. Where another plan has taken its place the
/// subscription goes on.
pub async fn on_treatment_plan_ended(
    env: &Env,
    store: &dyn SubscriptionsStore,
    approvals: &dyn Approvals,
    patient: PatientId,
    category: CategoryId,
) -> Result<(), SubscriptionError> {
    let actor = Actor::system("subscriptions.on_treatment_plan_ended");
    stop(env, store, approvals, &actor, (patient, category)).await
}

/// Handles `SubscriptionStarted`: a plan that ended while the purchase was
/// being made found no subscription to stop.
pub async fn on_subscription_started(
    env: &Env,
    store: &dyn SubscriptionsStore,
    approvals: &dyn Approvals,
    patient: PatientId,
    category: CategoryId,
) -> Result<(), SubscriptionError> {
    let actor = Actor::system("subscriptions.on_subscription_started");
    stop(env, store, approvals, &actor, (patient, category)).await
}

/// Handles `TreatmentPlanCreated` and `TreatmentPlanModified`: what the patient
/// is treated with now may not be what the live subscription pays for.
pub async fn on_treatment_changed(
    store: &dyn SubscriptionsStore,
    approvals: &dyn Approvals,
    patient: PatientId,
    category: CategoryId,
) -> Result<(), SubscriptionError> {
    let actor = Actor::system("subscriptions.on_treatment_changed");
    let treated = approvals.treated(patient, category).await?;
    let mut tx = store.begin(&actor).await?;
    let live = match tx.live_in_category(patient, category).await? {
        Some(id) => tx.subscription(id).await?,
        None => None,
    };
    let Some(subscription) = live else { return Ok(()) };
    let Some(misfit) = subscription.misfit(treated.as_ref()) else { return Ok(()) };
    tx.emit(Event::SubscriptionMismatched { subscription: subscription.id, patient, category });
    tx.audit(
        AuditEntry::new(AuditAction::Execute, "subscription_treatment", subscription.id)
            .patient(patient)
            .detail("misfit", misfit.to_string()),
    );
    tx.commit().await?;
    Ok(())
}

async fn stop(
    env: &Env,
    store: &dyn SubscriptionsStore,
    approvals: &dyn Approvals,
    actor: &Actor,
    (patient, category): (PatientId, CategoryId),
) -> Result<(), SubscriptionError> {
    // Asked before the transaction begins, which would hold its lock meanwhile.
    let treated = approvals.supply(patient, category).await? != Supply::NoPlan;
    let mut tx = store.begin(actor).await?;
    let live = match tx.live_in_category(patient, category).await? {
        Some(id) if !treated => tx.lock_subscription(id).await?,
        _ => None,
    };
    let ended = live.map(|subscription| subscription.treatment_ended(actor, env.now()));
    let Some((subscription, Some(change))) = ended else { return Ok(()) };
    tx.save_subscription(&subscription, &change).await?;
    if subscription.is_canceled() {
        tx.emit(Event::SubscriptionCanceled { subscription: subscription.id, patient, category });
    }
    tx.emit(stopped(&subscription));
    audit(tx.as_mut(), &subscription, &change);
    tx.commit().await?;
    Ok(())
}

/// What the patient is told of.
pub(crate) fn stopped(subscription: &Subscription) -> Event {
    Event::SubscriptionStopped {
        subscription: subscription.id,
        patient: subscription.patient,
        category: subscription.category,
        at_period_end: !subscription.is_canceled(),
    }
}
