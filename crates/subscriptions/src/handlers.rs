//! What billing tells: invoices were paid, or their payment failed. Both may
//! come twice and in any order.

use kernel::{Actor, InvoiceId, Seen, SubscriptionId};
use ports::{AuditAction, AuditEntry, Env, Event, repository::lock};

use crate::{
    ChangeReason, SubscriptionError, SubscriptionsStore, renewal::RenewSubscription, store::save,
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
    let mut subscription = lock(tx.as_mut(), subscription, &Seen::Any).await?;
    tx.note_paid_invoice(subscription.id, invoice).await?;
    match subscription.paid(invoice, &actor, env.now()) {
        Some(change) => {
            save(tx.as_mut(), &mut subscription, &change).await?;
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
    let mut subscription = lock(tx.as_mut(), subscription, &Seen::Any).await?;
    let settled = tx.is_paid_invoice(invoice).await?;
    let change =
        if settled { None } else { subscription.payment_failed(invoice, &actor, env.now()) };
    match change {
        Some(change) => save(tx.as_mut(), &mut subscription, &change).await?,
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
