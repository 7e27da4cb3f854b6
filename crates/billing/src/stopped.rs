//! A treatment that is stopped is not charged for, and who has paid for one is
//! not left alone with it.

use async_trait::async_trait;
use kernel::{Actor, CategoryId, InvoiceId, PatientId, Uuid};
use ports::{AuditAction, AuditEntry, Env, Result};

use crate::{
    error::BillingError,
    staff_task::{BillingTaskKind, raise},
    store::BillingStore,
};

/// What the clinical side says of a charge.
#[async_trait]
pub trait Treatments: Send + Sync {
    /// Whether something speaks against sending the patient what the category
    /// treats with, as of now. An error is no answer, and nothing is charged.
    async fn is_stopped(&self, patient: PatientId, category: CategoryId) -> Result<bool>;

    /// The prescription of the patient in the category that an alert blocks.
    async fn blocked_prescription(
        &self,
        patient: PatientId,
        category: CategoryId,
    ) -> Result<Option<Uuid>>;
}

/// Handles a prescription that is blocked, and a fill that is held: where an
/// invoice of the category is paid, somebody decides what becomes of the money.
pub async fn on_stopped(
    env: &Env,
    store: &dyn BillingStore,
    subject: Uuid,
    (patient, category): (PatientId, CategoryId),
) -> Result<(), BillingError> {
    let mut tx = store.begin(&Actor::system("billing.on_stopped")).await?;
    if !tx.has_paid(patient, category).await? {
        return Ok(());
    }
    raise(env, tx.as_mut(), BillingTaskKind::PaidButStopped, (patient, subject)).await?;
    let entry = AuditEntry::new(AuditAction::Execute, "stopped_treatment", subject);
    tx.audit(entry.patient(patient).detail("paid", true));
    tx.commit().await?;
    Ok(())
}

/// Handles `InvoicePaid`: a block that came while the money was on its way
/// found no payment to tell of.
pub async fn on_invoice_paid(
    env: &Env,
    store: &dyn BillingStore,
    treatments: &dyn Treatments,
    invoice: InvoiceId,
    (patient, category): (PatientId, CategoryId),
) -> Result<(), BillingError> {
    let blocked = treatments.blocked_prescription(patient, category).await?;
    let Some(subject) = blocked else { return Ok(()) };
    let mut tx = store.begin(&Actor::system("billing.paid_but_stopped")).await?;
    raise(env, tx.as_mut(), BillingTaskKind::PaidButStopped, (patient, subject)).await?;
    let entry = AuditEntry::new(AuditAction::Execute, "invoice", invoice);
    tx.audit(entry.patient(patient).detail("treatment_blocked", true));
    tx.commit().await?;
    Ok(())
}
