//! A subscription pays for a treatment. Once that has ended nothing is renewed,
//! and the patient hears of it, who did not ask for it. Once it is another one
//! than was bought, staff hear of it: nothing goes out for it and nothing is
//! renewed until the two agree again.

use kernel::{Actor, CategoryId, PatientId, Seen};
use ports::{AuditAction, AuditEntry, Env, Event, repository::lock};

use crate::{Approvals, Subscription, SubscriptionError, SubscriptionsStore, Supply, store::save};

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
    let live = tx.live_in_category(patient, category).await?;
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
    if approvals.supply(patient, category).await? != Supply::NoPlan {
        return Ok(());
    }
    let mut tx = store.begin(actor).await?;
    let live = tx.live_in_category(patient, category).await?;
    let Some(live) = live else { return Ok(()) };
    let mut subscription = lock(tx.as_mut(), live.id, &Seen::Any).await?;
    let ended = subscription.treatment_ended(actor, env.now());
    let Some(change) = ended else { return Ok(()) };
    save(tx.as_mut(), &mut subscription, &change).await?;
    tx.emit(stopped(&subscription));
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
