//! Reading and canceling subscriptions.

use kernel::{Actor, PatientId, Permission, SubscriptionId};
use ports::{AuditAction, AuditEntry, Env, Event};

use crate::{
    Change, Subscription, SubscriptionError, SubscriptionsStore, SubscriptionsTx,
    subscription::{CancelWhen, State},
};

/// Reads one subscription.
pub async fn read(
    store: &dyn SubscriptionsStore,
    actor: &Actor,
    id: SubscriptionId,
) -> Result<Subscription, SubscriptionError> {
    let (tx, subscription) = open(store, actor, id, Access::Read).await?;
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
    let (mut tx, subscription) = open(store, actor, id, Access::Read).await?;
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
    let (mut tx, subscription) = open(store, actor, id, Access::Change).await?;
    if !actor.is_patient(subscription.patient) {
        actor.require(Permission::BillingAdminister)?;
    }
    let runs_out = subscription.cancel_at_period_end && subscription.state != State::Pending;
    let repeated = subscription.is_canceled() || (runs_out && when == CancelWhen::PeriodEnd);
    if repeated {
        finish_read(tx, &subscription).await?;
        return Ok(subscription);
    }
    let before = subscription.state.word();
    let (subscription, change) = subscription.cancel(when, actor, env.now())?;
    tx.save_subscription(&subscription, &change).await?;
    if subscription.is_canceled() {
        tx.emit(Event::SubscriptionCanceled {
            subscription: id,
            patient: subscription.patient,
            category: subscription.category,
        });
    }
    tx.audit(
        AuditEntry::new(AuditAction::Update, "subscription", id)
            .patient(subscription.patient)
            .detail("from", before.to_string())
            .detail("to", subscription.state.word().to_string())
            .detail("reason", change.reason.to_string()),
    );
    tx.commit().await?;
    Ok(subscription)
}

fn require_reader(actor: &Actor) -> Result<(), SubscriptionError> {
    if !actor.may(Permission::SubscriptionReadAny) {
        actor.require(Permission::SubscribeOwn)?;
    }
    Ok(())
}

/// What a subscription is loaded for; to be changed it is locked.
#[derive(Clone, Copy)]
enum Access {
    Read,
    Change,
}

/// Loads a subscription within the actor's reach. An attempt on any other is
/// recorded as denied and answered as if it did not exist.
async fn open(
    store: &dyn SubscriptionsStore,
    actor: &Actor,
    id: SubscriptionId,
    access: Access,
) -> Result<(Box<dyn SubscriptionsTx>, Subscription), SubscriptionError> {
    require_reader(actor)?;
    let mut tx = store.begin(actor).await?;
    let (found, action) = match access {
        Access::Read => (tx.subscription(id).await?, AuditAction::Read),
        Access::Change => (tx.lock_subscription(id).await?, AuditAction::Update),
    };
    match found {
        Some(subscription) => Ok((tx, subscription)),
        None => {
            tx.audit(AuditEntry::new(action, "subscription", id).denied());
            tx.commit().await?;
            Err(SubscriptionError::NotFound)
        }
    }
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
