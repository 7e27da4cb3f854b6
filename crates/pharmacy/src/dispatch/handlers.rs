//! The facts that make a fill due, in whichever order they arrive.

use kernel::{Actor, CategoryId, InvoiceId, PatientId, PrescriptionId, SubscriptionId};
use ports::{AuditAction, AuditEntry, Delivery, Env, events::PrescriptionStatusWord};

use super::{DispatchState, due::evaluate, work::cancel_within};
use crate::{
    PharmacyError,
    fulfilment::{FulfilmentStore, PaidFill},
};

/// A paid invoice entitles to one fill; it is dispatched if it can be.
pub async fn on_invoice_paid(
    env: &Env,
    store: &dyn FulfilmentStore,
    delivery: Delivery,
    invoice: InvoiceId,
    patient: PatientId,
    subscription: SubscriptionId,
    category: CategoryId,
) -> Result<(), PharmacyError> {
    let actor = Actor::system("pharmacy.on_invoice_paid");
    let mut tx = store.begin(&actor).await?;
    if !tx.first_delivery(delivery).await? {
        return Ok(());
    }
    tx.lock_fills(patient, category).await?;
    let fill = PaidFill { invoice, subscription, patient, category, paid_at: env.now() };
    tx.add_paid_fill(&fill).await?;
    tx.audit(
        AuditEntry::new(AuditAction::Create, "paid_fill", invoice)
            .patient(patient)
            .detail("subscription", subscription.to_string()),
    )
    .await?;
    evaluate(env, tx.as_mut(), patient, category).await?;
    tx.commit().await?;
    Ok(())
}

/// An active prescription makes paid fills due. One that was canceled takes
/// back what has not gone to the carrier yet; the paid fill is open again for
/// the prescription that replaces it.
pub async fn on_prescription_changed(
    env: &Env,
    store: &dyn FulfilmentStore,
    delivery: Delivery,
    prescription: PrescriptionId,
    patient: PatientId,
    category: CategoryId,
    status: PrescriptionStatusWord,
) -> Result<(), PharmacyError> {
    let actor = Actor::system("pharmacy.on_prescription_changed");
    let mut tx = store.begin(&actor).await?;
    if !tx.first_delivery(delivery).await? {
        return Ok(());
    }
    tx.lock_fills(patient, category).await?;
    match status {
        PrescriptionStatusWord::Active => {
            evaluate(env, tx.as_mut(), patient, category).await?;
        }
        PrescriptionStatusWord::Canceled | PrescriptionStatusWord::Failed => {
            for dispatch in tx.open_dispatches(prescription).await? {
                if dispatch.state != DispatchState::Labelling {
                    cancel_within(env, tx.as_mut(), dispatch).await?;
                }
            }
        }
        PrescriptionStatusWord::Blocked
        | PrescriptionStatusWord::Queued
        | PrescriptionStatusWord::Sent
        | PrescriptionStatusWord::Completed => {}
    }
    tx.commit().await?;
    Ok(())
}
