//! The facts that make a fill due, in whichever order they arrive. Each asks
//! for the patient's fills to be looked at; what speaks against one is read
//! there.

use kernel::{Actor, CategoryId, InvoiceId, PatientId, PrescriptionId, SubscriptionId};
use ports::{AuditAction, AuditEntry, Env, PortError, events::PrescriptionStatusWord};

use super::{DispatchState, due::ReleaseFills, supply::schedule, work::cancel_within};
use crate::{
    PharmacyError,
    fulfilment::{FulfilmentStore, PaidFill, PaidPeriods},
};

/// A paid invoice entitles to a fill for each month of its period.
pub async fn on_invoice_paid(
    env: &Env,
    store: &dyn FulfilmentStore,
    periods: &dyn PaidPeriods,
    (invoice, subscription): (InvoiceId, SubscriptionId),
    (patient, category): (PatientId, CategoryId),
) -> Result<(), PharmacyError> {
    let actor = Actor::system("pharmacy.on_invoice_paid");
    // Another context answers this; no transaction of ours waits for it.
    let months = periods.months(subscription).await?.ok_or_else(|| {
        PortError::bug(format!("the paid subscription {subscription} does not exist"))
    })?;
    let sold = periods.sold(subscription).await?;
    let mut tx = store.begin(&actor).await?;
    tx.lock_fills(patient).await?;
    tx.keep_sold(subscription, patient, &sold).await?;
    let paid_at = env.now();
    for (number, scheduled_for) in (1..).zip(schedule(paid_at, months)) {
        tx.add_paid_fill(&PaidFill {
            invoice,
            subscription,
            patient,
            category,
            paid_at,
            number,
            scheduled_for,
            due_at: scheduled_for,
        })
        .await?;
    }
    tx.audit(
        AuditEntry::new(AuditAction::Create, "paid_fill", invoice)
            .patient(patient)
            .detail("subscription", subscription.to_string())
            .detail("fills", months),
    );
    tx.enqueue(ReleaseFills { patient, category }.request().at(paid_at));
    tx.commit().await?;
    Ok(())
}

/// An active prescription makes paid fills due. One that was canceled takes
/// back what has not gone to the carrier yet; the paid fill is open again for
/// the prescription that replaces it.
pub async fn on_prescription_changed(
    env: &Env,
    store: &dyn FulfilmentStore,
    prescription: PrescriptionId,
    patient: PatientId,
    category: CategoryId,
    status: PrescriptionStatusWord,
) -> Result<(), PharmacyError> {
    let actor = Actor::system("pharmacy.on_prescription_changed");
    let mut tx = store.begin(&actor).await?;
    tx.lock_fills(patient).await?;
    match status {
        PrescriptionStatusWord::Active => {
            tx.enqueue(ReleaseFills { patient, category }.request().at(env.now()));
            tx.audit(
                AuditEntry::new(AuditAction::Execute, "paid_fill", category)
                    .patient(patient)
                    .detail("prescription", prescription.to_string()),
            );
        }
        PrescriptionStatusWord::Canceled | PrescriptionStatusWord::Failed => {
            for dispatch in tx.open_dispatches(prescription).await? {
                if dispatch.state != DispatchState::Labelling {
                    cancel_within(env, tx.as_mut(), &dispatch).await?;
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
