//! What billing tells: invoices were paid, or their payment failed. Both may
//! come twice and in any order.

use kernel::{Actor, InvoiceId, SubscriptionId};
use ports::{AuditAction, AuditEntry, Env, Event, PortError};

use crate::{
    Change, ChangeReason, Subscription, SubscriptionError, SubscriptionsStore, SubscriptionsTx,
    renewal::RenewSubscription,
};

/// The first paid invoice activates the subscription; the payment of one that
/// had failed brings it back.
pub async fn on_invoice_paid(
    env: &Env,
    store: &dyn SubscriptionsStore,
    subscription: SubscriptionId,
    invoice: InvoiceId,
) -> Result<(), SubscriptionError> {
    let actor = Actor::system("subscriptions.on_invoice_paid");
    let mut tx = store.begin(&actor).await?;
    let loaded = load(tx.as_mut(), subscription).await?;
    tx.note_paid_invoice(subscription, invoice).await?;
    let (subscription, change) = loaded.paid(invoice, &actor, env.now());
    match change {
        Some(change) => {
            tx.save_subscription(&subscription, &change).await?;
            if change.reason == ChangeReason::FirstInvoicePaid {
                tx.emit(Event::SubscriptionActivated {
                    subscription: subscription.id,
                    patient: subscription.patient,
                    category: subscription.category,
                });
            }
            // A subscription that was past due when its period ended was not
            // renewed then, so the renewal is asked for again; it is due at
            // once where the period is over.
            tx.enqueue(RenewSubscription::after(&subscription));
            audit(tx.as_mut(), &subscription, &change);
        }
        None => {
            let entry = AuditEntry::new(AuditAction::Update, "subscription", subscription.id)
                .patient(subscription.patient)
                .detail("paid_invoice", invoice.to_string());
            tx.audit(entry);
        }
    }
    tx.commit().await?;
    Ok(())
}

/// A failed payment makes an active subscription past due, unless that invoice
/// has been paid in the meantime.
pub async fn on_payment_failed(
    env: &Env,
    store: &dyn SubscriptionsStore,
    subscription: SubscriptionId,
    invoice: InvoiceId,
) -> Result<(), SubscriptionError> {
    let actor = Actor::system("subscriptions.on_payment_failed");
    let mut tx = store.begin(&actor).await?;
    let loaded = load(tx.as_mut(), subscription).await?;
    let settled = tx.is_paid_invoice(invoice).await?;
    let (subscription, change) =
        if settled { (loaded, None) } else { loaded.payment_failed(invoice, &actor, env.now()) };
    match change {
        Some(change) => {
            tx.save_subscription(&subscription, &change).await?;
            audit(tx.as_mut(), &subscription, &change);
        }
        None => {
            let entry = AuditEntry::new(AuditAction::Update, "subscription", subscription.id)
                .patient(subscription.patient)
                .detail("failed_invoice", invoice.to_string())
                .detail("settled", settled);
            tx.audit(entry);
        }
    }
    tx.commit().await?;
    Ok(())
}

async fn load(
    tx: &mut dyn SubscriptionsTx,
    id: SubscriptionId,
) -> Result<Subscription, SubscriptionError> {
    let found = tx.lock_subscription(id).await?;
    Ok(found
        .ok_or_else(|| PortError::bug(format!("an event names a missing subscription {id}")))?)
}

pub(crate) fn audit(tx: &mut dyn SubscriptionsTx, subscription: &Subscription, change: &Change) {
    let from = change.from.map(|word| word.to_string());
    tx.audit(
        AuditEntry::new(AuditAction::Update, "subscription", subscription.id)
            .patient(subscription.patient)
            .detail("from", from)
            .detail("to", change.to.to_string())
            .detail("reason", change.reason.to_string())
            .detail("period", change.period_index),
    );
}
