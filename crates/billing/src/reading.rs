//! Reading invoices, payments and the ledger. Every read is audited, and so is
//! every attempt on what is not one's own, which looks like what does not
//! exist.

use kernel::{Actor, InvoiceId, Page, PageRequest, PatientId, Permission};
use ports::{AuditAction, AuditEntry};

use crate::{
    error::BillingError,
    invoice::Invoice,
    ledger::LedgerTransaction,
    payment::Payment,
    render::{InvoiceDocument, InvoiceRenderer},
    store::{BillingStore, BillingTx, Lookup},
};

/// A patient needs the permission for what is one's own, staff the one for
/// everything; the queries then hold each to their scope.
fn require(actor: &Actor) -> Result<(), BillingError> {
    if actor.may(Permission::BillingReadAny) {
        return Ok(());
    }
    Ok(actor.require(Permission::BillingOwn)?)
}

/// Records that something was not there for this actor, and says so.
pub(crate) async fn not_found(
    mut tx: Box<dyn BillingTx>,
    what: &'static str,
    entity: &'static str,
    id: impl ToString,
) -> Result<BillingError, BillingError> {
    tx.audit(AuditEntry::new(AuditAction::Read, entity, id).denied());
    tx.commit().await?;
    Ok(BillingError::NotFound(what))
}

async fn audited(
    mut tx: Box<dyn BillingTx>,
    entry: AuditEntry,
    patient: PatientId,
) -> Result<(), BillingError> {
    tx.audit(entry.patient(patient));
    tx.commit().await?;
    Ok(())
}

pub async fn invoice(
    store: &dyn BillingStore,
    actor: &Actor,
    id: InvoiceId,
) -> Result<(Invoice, Vec<Payment>), BillingError> {
    require(actor)?;
    let mut tx = store.begin(actor).await?;
    let Some(invoice) = tx.invoice(id, Lookup::Read).await? else {
        return Err(not_found(tx, "invoice", "invoice", id).await?);
    };
    let payments = tx.payments_of(id).await?;
    audited(tx, AuditEntry::new(AuditAction::Read, "invoice", id), invoice.patient).await?;
    Ok((invoice, payments))
}

/// An invoice as a document.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct InvoicePdf {
    pub number: String,
    pub bytes: Vec<u8>,
}

/// The invoice as PDF, set from what was frozen when it was finalized.
pub async fn invoice_pdf(
    store: &dyn BillingStore,
    renderer: &dyn InvoiceRenderer,
    actor: &Actor,
    id: InvoiceId,
) -> Result<InvoicePdf, BillingError> {
    require(actor)?;
    let mut tx = store.begin(actor).await?;
    let Some(invoice) = tx.invoice(id, Lookup::Read).await? else {
        return Err(not_found(tx, "invoice", "invoice", id).await?);
    };
    let document = InvoiceDocument::of(&invoice)?;
    let entry = AuditEntry::new(AuditAction::Export, "invoice", id).detail("format", "pdf");
    audited(tx, entry, invoice.patient).await?;
    let bytes = renderer.render(&document).await?;
    Ok(InvoicePdf { number: document.number, bytes })
}

/// Refuses a patient the lists of another; staff see any patient's.
async fn require_patient(
    store: &dyn BillingStore,
    actor: &Actor,
    patient: PatientId,
    entity: &'static str,
) -> Result<(), BillingError> {
    require(actor)?;
    if actor.may(Permission::BillingReadAny) || actor.is_patient(patient) {
        return Ok(());
    }
    let mut tx = store.begin(actor).await?;
    // It belongs to the trail of whoever was asked about.
    tx.audit(AuditEntry::new(AuditAction::Read, entity, patient).patient(patient).denied());
    tx.commit().await?;
    Err(BillingError::NotFound("patient"))
}

pub async fn invoices(
    store: &dyn BillingStore,
    actor: &Actor,
    patient: PatientId,
    page: &PageRequest,
) -> Result<Page<Invoice>, BillingError> {
    require_patient(store, actor, patient, "invoice").await?;
    let mut tx = store.begin(actor).await?;
    let page = tx.invoices(patient, page).await?;
    let ids: Vec<_> = page.items.iter().map(|invoice| invoice.id.to_string()).collect();
    let entry = AuditEntry::new(AuditAction::Search, "invoice", patient).detail("returned", ids);
    audited(tx, entry, patient).await?;
    Ok(page)
}

pub async fn payments(
    store: &dyn BillingStore,
    actor: &Actor,
    patient: PatientId,
    page: &PageRequest,
) -> Result<Page<Payment>, BillingError> {
    require_patient(store, actor, patient, "payment").await?;
    let mut tx = store.begin(actor).await?;
    let page = tx.payments(patient, page).await?;
    let ids: Vec<_> = page.items.iter().map(|payment| payment.id.to_string()).collect();
    let entry = AuditEntry::new(AuditAction::Search, "payment", patient).detail("returned", ids);
    audited(tx, entry, patient).await?;
    Ok(page)
}

pub async fn ledger(
    store: &dyn BillingStore,
    actor: &Actor,
    patient: PatientId,
    page: &PageRequest,
) -> Result<Page<LedgerTransaction>, BillingError> {
    require_patient(store, actor, patient, "ledger_transaction").await?;
    let mut tx = store.begin(actor).await?;
    let page = tx.ledger(patient, page).await?;
    let ids: Vec<_> = page.items.iter().map(|entry| entry.id.to_string()).collect();
    let entry =
        AuditEntry::new(AuditAction::Search, "ledger_transaction", patient).detail("returned", ids);
    audited(tx, entry, patient).await?;
    Ok(page)
}
