//! From a started period to a finalized invoice.

use kernel::{Actor, SubscriptionId};
use ports::{AuditAction, AuditEntry, Env, Event, PortError};

use crate::{
    charge::ChargeInvoice,
    error::BillingError,
    invoice::{Invoice, InvoiceState, Parties, Party},
    ledger::LedgerTransaction,
    outside::{Catalogue, Customers},
    store::{BillingStore, BillingTx, Lookup},
};

/// What billing a period needs from outside.
#[derive(Clone, Copy)]
pub struct Billing<'a> {
    pub catalogue: &'a dyn Catalogue,
    pub customers: &'a dyn Customers,
    /// Who sells, as it is to stand on the invoice.
    pub seller: &'a Party,
}

/// Bills the first period of a subscription.
pub async fn on_subscription_started(
    env: &Env,
    store: &dyn BillingStore,
    billing: Billing<'_>,
    subscription: SubscriptionId,
) -> Result<(), BillingError> {
    let actor = Actor::system("billing.on_subscription_started");
    bill_period(env, store, billing, &actor, subscription, 0).await
}

/// Bills a later period of a subscription.
pub async fn on_subscription_period_started(
    env: &Env,
    store: &dyn BillingStore,
    billing: Billing<'_>,
    subscription: SubscriptionId,
    period_index: u32,
) -> Result<(), BillingError> {
    let actor = Actor::system("billing.on_subscription_period_started");
    bill_period(env, store, billing, &actor, subscription, period_index).await
}

async fn bill_period(
    env: &Env,
    store: &dyn BillingStore,
    Billing { catalogue, customers, seller }: Billing<'_>,
    actor: &Actor,
    subscription: SubscriptionId,
    index: u32,
) -> Result<(), BillingError> {
    // The other contexts are asked before the transaction begins: it would
    // hold its locks while it waits for theirs.
    let Some(billable) = catalogue.period(subscription, index).await? else {
        return Err(
            PortError::bug(format!("subscription {subscription} has no period {index}")).into()
        );
    };
    let Some(bill_to) = customers.bill_to(billable.patient).await? else {
        return Err(PortError::bug(format!("patient {} has no profile", billable.patient)).into());
    };

    let mut tx = store.begin(actor).await?;
    // Whoever ends a subscription holds this lock too, so that a cancellation
    // that is heard of first leaves nothing to bill.
    tx.lock_customer(billable.patient).await?;
    if tx.subscription_ended(subscription).await?.is_some()
        || tx.invoice_of_period(subscription, billable.period.start).await?.is_some()
    {
        return Ok(());
    }
    let invoice = Invoice::for_period(env.fresh(), &billable, env.now())?;
    tx.save_invoice(&invoice).await?;
    tx.audit(
        AuditEntry::new(AuditAction::Create, "invoice", invoice.id)
            .patient(invoice.patient)
            .detail("subscription", subscription.to_string())
            .detail("period", index),
    );
    // A save raises the version, so the saved row is read again.
    let Some(invoice) = tx.invoice(invoice.id, Lookup::Lock).await? else {
        return Err(PortError::bug("an invoice vanished while it was made").into());
    };
    let parties = Parties { seller: seller.clone(), bill_to };
    finalize(env, tx.as_mut(), invoice, parties).await?;
    tx.commit().await?;
    Ok(())
}

/// Numbers and freezes a draft, posts it to the ledger and sends it to be
/// charged. The number is asked for last, because everyone waits for it.
pub async fn finalize(
    env: &Env,
    tx: &mut dyn BillingTx,
    draft: Invoice,
    parties: Parties,
) -> Result<Invoice, BillingError> {
    let now = env.now();
    let (invoice_id, patient) = (draft.id, draft.patient);
    let number = tx.next_invoice_number().await?;
    let invoice = draft.finalize(number, parties, now)?;
    tx.save_invoice(&invoice).await?;
    tx.audit(
        AuditEntry::new(AuditAction::Update, "invoice", invoice_id)
            .patient(patient)
            .detail("state", invoice.state.word())
            .detail("number", number.to_string()),
    );
    tx.emit(Event::InvoiceFinalized { invoice: invoice_id, patient });
    match invoice.state {
        InvoiceState::Paid { .. } => tx.emit(paid(&invoice)),
        _ => {
            tx.post(&LedgerTransaction::invoice_finalized(env.ids.uuid(), &invoice, now)).await?;
            tx.enqueue(ChargeInvoice { invoice: invoice_id }.request());
        }
    }
    Ok(invoice)
}

/// What the other contexts hear when an invoice is paid.
pub(crate) fn paid(invoice: &Invoice) -> Event {
    Event::InvoicePaid {
        invoice: invoice.id,
        patient: invoice.patient,
        subscription: invoice.subscription,
        category: invoice.category,
    }
}
