//! Charging an invoice: the intent is stored, the gateway is called outside
//! any transaction with the payment's id as the idempotency key, the outcome
//! is stored. Killed anywhere in between, the job runs again and finds out at
//! the gateway what happened, before it would charge.

use chrono::{DateTime, Utc};
use kernel::{Actor, CategoryId, InvoiceId, PatientId};
use ports::{AuditAction, AuditEntry, Env, Event, JobRequest, JobSpec, PortError};
use serde::{Deserialize, Serialize};

use crate::{
    decision::{ChargeDecision, decide},
    error::BillingError,
    gateway::{ChargeRequest, Decline, GatewayIntent, PaymentGateway},
    invoice::{Invoice, InvoiceState},
    invoicing,
    ledger::LedgerTransaction,
    payment::{Change, Payment, Source},
    retry::{Retry, RetryPolicy},
    staff_task::{BillingTaskKind, raise},
    stopped::Treatments,
    store::{BillingStore, BillingTx, Lookup},
    withdraw::{WithdrawInvoice, withdraw_invoice},
};

#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct ChargeInvoice {
    pub invoice: InvoiceId,
}

impl JobSpec for ChargeInvoice {
    const KIND: &'static str = "billing.charge_invoice";
}

impl ChargeInvoice {
    /// The job, to be run now.
    pub fn request(&self) -> JobRequest {
        JobRequest::new(self).key(self.invoice.to_string())
    }

    /// The job for the attempt that follows the `attempt`-th. It has a key of
    /// its own, so that a request for now does not take its place.
    fn retry(&self, attempt: u32, due: DateTime<Utc>) -> JobRequest {
        JobRequest::new(self).key(format!("{}:after:{attempt}", self.invoice)).at(due)
    }
}

/// A payment that is stored, with what the gateway needs to know for it.
struct Ready {
    payment: Payment,
    request: ChargeRequest,
    /// It was stored by an earlier run, which may have called the gateway.
    resumed: bool,
}

/// What the first transaction of a charge came to.
enum Step {
    Done,
    /// The subscription has ended: nothing more is charged for it.
    Ended,
    /// A new charge is about to begin: whether the treatment is stopped is to be
    /// asked first.
    Ask {
        patient: PatientId,
        category: CategoryId,
    },
    Charge(Box<Ready>),
    Cancel {
        payment: Box<Payment>,
        intent: String,
    },
}

/// Charges an open invoice with the patient's default method. While something
/// speaks against sending what it pays for, a charge that has not begun waits,
/// whether it is the first one, a renewal or another try; the sweep brings it
/// here again.
pub async fn charge_invoice(
    env: &Env,
    store: &dyn BillingStore,
    gateway: &dyn PaymentGateway,
    policy: &RetryPolicy,
    treatments: &dyn Treatments,
    job: ChargeInvoice,
) -> Result<(), BillingError> {
    let actor = Actor::system(ChargeInvoice::KIND);
    let mut asked = false;
    loop {
        match store_intent(env, store, &actor, job.invoice, asked).await? {
            Step::Done => return Ok(()),
            Step::Ask { patient, category } => {
                if treatments.is_stopped(patient, category).await? {
                    return wait(env, store, &actor, job.invoice, patient).await;
                }
                asked = true;
            }
            Step::Ended => {
                let job = WithdrawInvoice { invoice: job.invoice };
                return withdraw_invoice(env, store, gateway, policy, job).await;
            }
            Step::Charge(ready) => {
                return charge(env, store, gateway, policy, &actor, *ready).await;
            }
            Step::Cancel { payment, intent } => {
                let found = gateway.cancel_payment_intent(&intent).await?;
                store_report(env, store, policy, &actor, &payment, found, Source::Reply).await?;
            }
        }
    }
}

async fn store_intent(
    env: &Env,
    store: &dyn BillingStore,
    actor: &Actor,
    id: InvoiceId,
    asked: bool,
) -> Result<Step, BillingError> {
    let mut tx = store.begin(actor).await?;
    let Some(invoice) = tx.invoice(id, Lookup::Lock).await? else {
        return Err(BillingError::NotFound("invoice"));
    };
    if tx.subscription_ended(invoice.subscription).await?.is_some() {
        return Ok(Step::Ended);
    }
    let payments = tx.payments_of(id).await?;
    let methods = tx.payment_methods(invoice.patient).await?;
    let default = methods.iter().find(|method| method.is_default && method.is_active());
    let (payment, resumed) = match decide(&invoice, &payments, default, env.now()) {
        ChargeDecision::Nothing => return Ok(Step::Done),
        ChargeDecision::NoMethod => {
            // Once there is a method, adding it sends the invoice here again.
            tx.emit(failed(&invoice));
            tx.audit(
                AuditEntry::new(AuditAction::Execute, "invoice", id)
                    .patient(invoice.patient)
                    .failed()
                    .detail("reason", "no_payment_method"),
            );
            tx.commit().await?;
            return Ok(Step::Done);
        }
        ChargeDecision::Supersede(payment) => {
            let Some(intent) = payment.state.intent().map(str::to_owned) else {
                return Err(PortError::bug("a waiting payment has no intent").into());
            };
            return Ok(Step::Cancel { payment: Box::new(payment), intent });
        }
        ChargeDecision::Resume(payment) => (payment, true),
        ChargeDecision::Start { .. } if !asked => {
            return Ok(Step::Ask { patient: invoice.patient, category: invoice.category });
        }
        ChargeDecision::Start { method, attempt } => {
            (Payment::intend(env.fresh(), &invoice, method, attempt, env.now()), false)
        }
    };
    let customer = tx.customer(invoice.patient).await?.and_then(|customer| customer.gateway_id);
    let method = methods.iter().find(|method| method.id == payment.method);
    let (Some(customer), Some(card)) = (customer, method.and_then(|method| method.state.card()))
    else {
        return Err(PortError::bug(format!("payment {} has no card", payment.id)).into());
    };
    let request = ChargeRequest {
        payment: payment.id,
        invoice: invoice.id,
        amount: payment.amount,
        customer,
        payment_method: card.gateway_id.clone(),
    };
    if !resumed {
        tx.save_payment(&payment).await?;
        tx.audit(
            AuditEntry::new(AuditAction::Create, "payment", payment.id)
                .patient(payment.patient)
                .detail("invoice", invoice.id.to_string())
                .detail("attempt", payment.attempt),
        );
        tx.commit().await?;
    }
    Ok(Step::Charge(Box::new(Ready { payment, request, resumed })))
}

/// Leaves an invoice open while its treatment is stopped, and tells staff once.
async fn wait(
    env: &Env,
    store: &dyn BillingStore,
    actor: &Actor,
    invoice: InvoiceId,
    patient: PatientId,
) -> Result<(), BillingError> {
    let mut tx = store.begin(actor).await?;
    let about = (patient, invoice.uuid());
    if raise(env, tx.as_mut(), BillingTaskKind::ChargeWaits, about).await? {
        tx.commit().await?;
    }
    Ok(())
}

async fn charge(
    env: &Env,
    store: &dyn BillingStore,
    gateway: &dyn PaymentGateway,
    policy: &RetryPolicy,
    actor: &Actor,
    ready: Ready,
) -> Result<(), BillingError> {
    let Ready { payment, request, resumed } = ready;
    let found = if resumed {
        gateway.find_payment_intent(payment.id, &request.customer, payment.created_at).await?
    } else {
        None
    };
    let outcome = match found {
        Some(intent) => Ok(intent),
        None => gateway.create_and_confirm_payment_intent(&request).await,
    };
    match outcome {
        Ok(intent) => {
            store_report(env, store, policy, actor, &payment, intent, Source::Reply).await
        }
        Err(PortError::Refused { code, message, .. }) => {
            tracing::error!(payment = %payment.id, code, message, "the gateway refused a charge");
            store_refusal(env, store, actor, &payment, Decline::new(code, message)).await
        }
        // Nothing is stored: the payment stays intended, and the next run
        // looks it up.
        Err(error) => Err(error.into()),
    }
}

/// Stores where the gateway says that a payment stands, and what follows.
pub(crate) async fn store_report(
    env: &Env,
    store: &dyn BillingStore,
    policy: &RetryPolicy,
    actor: &Actor,
    payment: &Payment,
    intent: GatewayIntent,
    source: Source,
) -> Result<(), BillingError> {
    let now = env.now();
    let mut tx = store.begin(actor).await?;
    // The invoice is locked before the payment everywhere, so that two
    // reports cannot wait for each other.
    let Some(invoice) = tx.invoice(payment.invoice, Lookup::Lock).await? else {
        return Err(BillingError::NotFound("invoice"));
    };
    let Some(payment) = tx.payment(payment.id, Lookup::Lock).await? else {
        return Err(BillingError::NotFound("payment"));
    };
    let before = payment.state.word();
    let ended = tx.subscription_ended(invoice.subscription).await?.is_some();
    let (mut payment, change) = payment.report(&intent.id, intent.status, source, now)?;
    match &change {
        Change::None => return Ok(()),
        Change::Succeeded => settle_invoice(env, tx.as_mut(), &invoice, &payment).await?,
        // What waits or has failed for a subscription that has ended is not
        // tried again and asks nobody for anything; it is taken back.
        Change::Moved | Change::ActionRequired | Change::Declined(_) if ended => {
            if !payment.state.is_live() || change == Change::ActionRequired {
                tx.enqueue(WithdrawInvoice { invoice: invoice.id }.request());
            }
        }
        Change::Moved => {}
        Change::ActionRequired => tx.emit(failed(&invoice)),
        Change::Declined(decline) => {
            if let Retry::At(due) = policy.after(payment.attempt, decline, now) {
                payment.retry_at = Some(due);
                let job = ChargeInvoice { invoice: invoice.id };
                tx.enqueue(job.retry(payment.attempt, due));
            }
            tx.emit(failed(&invoice));
        }
    }
    tx.save_payment(&payment).await?;
    tx.audit(
        AuditEntry::new(AuditAction::Update, "payment", payment.id)
            .patient(payment.patient)
            .detail("from", before)
            .detail("to", payment.state.word()),
    );
    tx.commit().await?;
    Ok(())
}

/// Pays the invoice and tells the other contexts, in the transaction in which
/// the payment becomes certain.
async fn settle_invoice(
    env: &Env,
    tx: &mut dyn BillingTx,
    invoice: &Invoice,
    payment: &Payment,
) -> Result<(), BillingError> {
    let now = env.now();
    let written_off = matches!(invoice.state, InvoiceState::Uncollectible { .. });
    match invoice.clone().pay(payment.amount, now) {
        Ok(Some(paid)) => {
            tx.save_invoice(&paid).await?;
            let id = env.ids.uuid();
            tx.post(&LedgerTransaction::payment_received(id, invoice, payment, written_off, now))
                .await?;
            tx.audit(
                AuditEntry::new(AuditAction::Update, "invoice", invoice.id)
                    .patient(invoice.patient)
                    .detail("from", invoice.state.word())
                    .detail("to", paid.state.word()),
            );
            tx.emit(invoicing::paid(&paid));
        }
        // The money came although it was no longer owed. The payment says so,
        // and a person has to give it back.
        Ok(None) | Err(BillingError::InvoiceState(_)) => {
            tracing::error!(
                payment = %payment.id, invoice = %invoice.id, state = invoice.state.word(),
                "a payment was received for an invoice that was not open"
            );
        }
        Err(error) => return Err(error),
    }
    Ok(())
}

async fn store_refusal(
    env: &Env,
    store: &dyn BillingStore,
    actor: &Actor,
    payment: &Payment,
    decline: Decline,
) -> Result<(), BillingError> {
    let mut tx = store.begin(actor).await?;
    let Some(invoice) = tx.invoice(payment.invoice, Lookup::Lock).await? else {
        return Err(BillingError::NotFound("invoice"));
    };
    let Some(payment) = tx.payment(payment.id, Lookup::Lock).await? else {
        return Err(BillingError::NotFound("payment"));
    };
    let code = decline.code.clone();
    let payment = payment.refuse(decline, env.now())?;
    tx.save_payment(&payment).await?;
    if tx.subscription_ended(invoice.subscription).await?.is_some() {
        tx.enqueue(WithdrawInvoice { invoice: invoice.id }.request());
    } else {
        tx.emit(failed(&invoice));
    }
    tx.audit(
        AuditEntry::new(AuditAction::Update, "payment", payment.id)
            .patient(payment.patient)
            .failed()
            .detail("to", payment.state.word())
            .detail("code", code),
    );
    tx.commit().await?;
    Ok(())
}

fn failed(invoice: &Invoice) -> Event {
    Event::PaymentFailed {
        invoice: invoice.id,
        patient: invoice.patient,
        subscription: invoice.subscription,
    }
}
