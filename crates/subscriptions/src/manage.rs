//! Reading and canceling subscriptions.

use kernel::{Actor, PatientId, Permission, Seen, SubscriptionId};
use ports::{AuditAction, AuditEntry, Env, repository::get, repository::lock};

use crate::{
    Change, Subscription, SubscriptionError, SubscriptionsStore, SubscriptionsTx,
    store::{reached, save},
    subscription::{CancelWhen, State},
};

/// Reads one subscription.
pub async fn read(
    store: &dyn SubscriptionsStore,
    actor: &Actor,
    id: SubscriptionId,
) -> Result<Subscription, SubscriptionError> {
    let (tx, subscription) = open(store, actor, id).await?;
    finish_read(tx, &subscription).await?;
    Ok(subscription)
}

/// Reads the subscriptions of one patient, the newest first. A patient asks
/// for their own; for anybody else's there is nothing to be found.
pub async fn read_all(
    store: &dyn SubscriptionsStore,
    actor: &Actor,
    patient: PatientId,
) -> Result<Vec<Subscription>, SubscriptionError> {
    require_reader(actor)?;
    let mut tx = store.begin(actor).await?;
    let entry = AuditEntry::new(AuditAction::Search, "subscription", patient).patient(patient);
    if !actor.is_patient(patient) && !actor.may(Permission::SubscriptionReadAny) {
        tx.audit(entry.denied());
        tx.commit().await?;
        return Err(SubscriptionError::NotFound);
    }
    let found = tx.subscriptions_of(patient).await?;
    let ids: Vec<String> = found.iter().map(|each| each.id.to_string()).collect();
    tx.audit(entry.detail("found", ids));
    tx.commit().await?;
    Ok(found)
}

/// Reads the history of one subscription, the oldest line first.
pub async fn history(
    store: &dyn SubscriptionsStore,
    actor: &Actor,
    id: SubscriptionId,
) -> Result<Vec<Change>, SubscriptionError> {
    let (mut tx, subscription) = open(store, actor, id).await?;
    let history = tx.subscription_history(id).await?;
    finish_read(tx, &subscription).await?;
    Ok(history)
}

/// Cancels now or with the current period. Asking twice for the same is no
/// error, also at once: canceling must be as easy as signing up.
pub async fn cancel(
    env: &Env,
    store: &dyn SubscriptionsStore,
    actor: &Actor,
    id: SubscriptionId,
    when: CancelWhen,
) -> Result<Subscription, SubscriptionError> {
    require_reader(actor)?;
    let mut tx = store.begin(actor).await?;
    let found = lock(tx.as_mut(), id, &Seen::Any).await;
    let (mut tx, mut subscription) =
        reached(tx, found, (AuditAction::Update, "subscription", id)).await?;
    if !actor.is_patient(subscription.patient) {
        actor.require(Permission::BillingAdminister)?;
    }
    let runs_out = subscription.cancel_at_period_end && subscription.state != State::Pending;
    let repeated = subscription.is_canceled() || (runs_out && when == CancelWhen::PeriodEnd);
    if repeated {
        finish_read(tx, &subscription).await?;
        return Ok(subscription.into_inner());
    }
    let change = subscription.cancel(when, actor, env.now())?;
    save(tx.as_mut(), &mut subscription, &change).await?;
    tx.commit().await?;
    Ok(subscription.into_inner())
}

fn require_reader(actor: &Actor) -> Result<(), SubscriptionError> {
    if !actor.may(Permission::SubscriptionReadAny) {
        actor.require(Permission::SubscribeOwn)?;
    }
    Ok(())
}

async fn open(
    store: &dyn SubscriptionsStore,
    actor: &Actor,
    id: SubscriptionId,
) -> Result<(Box<dyn SubscriptionsTx>, Subscription), SubscriptionError> {
    require_reader(actor)?;
    let mut tx = store.begin(actor).await?;
    let found = get(tx.as_mut(), id).await;
    reached(tx, found, (AuditAction::Read, "subscription", id)).await
}

async fn finish_read(
    mut tx: Box<dyn SubscriptionsTx>,
    subscription: &Subscription,
) -> Result<(), SubscriptionError> {
    tx.audit(
        AuditEntry::new(AuditAction::Read, "subscription", subscription.id)
            .patient(subscription.patient),
    );
    tx.commit().await?;
    Ok(())
}
