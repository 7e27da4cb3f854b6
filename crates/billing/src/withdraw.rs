//! Taking back what is no longer owed. A subscription that ended is not paid
//! for any more: its open invoices are voided, and a payment that may still
//! move money is canceled at the gateway first. What the gateway has taken
//! already stands, and pays the invoice.

use chrono::{DateTime, Utc};
use kernel::{Actor, InvoiceId, PatientId, SubscriptionId};
use ports::{AuditAction, AuditEntry, Env, JobRequest, JobSpec, PortError};
use serde::{Deserialize, Serialize};

use crate::{
    charge::store_report,
    error::BillingError,
    gateway::{IntentStatus, PaymentGateway},
    invoice::Invoice,
    payment::{PATIENCE, Payment, PaymentState, Source},
    retry::RetryPolicy,
    store::{BillingStore, BillingTx, Lookup},
};

/// Voids an invoice of a subscription that has ended, once no payment for it
/// can move money any more.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct WithdrawInvoice {
    pub invoice: InvoiceId,
}

impl JobSpec for WithdrawInvoice {
    const KIND: &'static str = "billing.withdraw_invoice";
}

impl WithdrawInvoice {
    pub fn request(&self) -> JobRequest {
        JobRequest::new(self).key(format!("{}/{}", Self::KIND, self.invoice))
    }
}

/// What is to be done about an invoice of a subscription that has ended.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Withdrawal {
    /// It is not open, or the gateway has taken the money and its notice is on
    /// the way.
    Nothing,
    Void,
    /// The gateway holds a payment that waits, under this id.
    Cancel {
        payment: Payment,
        intent: String,
    },
    /// Whether the gateway heard of the payment is to be found out.
    LookUp(Payment),
}

/// `payments` are all payments of the invoice.
pub fn decide(invoice: &Invoice, payments: &[Payment]) -> Withdrawal {
    if !invoice.is_open() {
        return Withdrawal::Nothing;
    }
    let Some(live) = payments.iter().find(|payment| payment.state.is_live()) else {
        return Withdrawal::Void;
    };
    match &live.state {
        PaymentState::Intended => Withdrawal::LookUp(live.clone()),
        PaymentState::Processing { intent } | PaymentState::RequiresAction { intent } => {
            Withdrawal::Cancel { payment: live.clone(), intent: intent.clone() }
        }
        PaymentState::Confirming { .. }
        | PaymentState::Succeeded { .. }
        | PaymentState::Failed { .. }
        | PaymentState::Canceled { .. } => Withdrawal::Nothing,
    }
}

/// Handles `SubscriptionCanceled`. From here on nothing more is billed or
/// charged for the subscription, whichever event or job comes late: they ask
/// whether it has ended under the locks that are taken here.
pub async fn on_subscription_canceled(
    env: &Env,
    store: &dyn BillingStore,
    subscription: SubscriptionId,
    patient: PatientId,
) -> Result<(), BillingError> {
    let actor = Actor::system("billing.on_subscription_canceled");
    let mut tx = store.begin(&actor).await?;
    tx.lock_customer(patient).await?;
    tx.end_subscription(subscription, patient, env.now()).await?;
    let open = tx.lock_open_invoices(subscription).await?;
    for invoice in &open {
        match decide(invoice, &tx.payments_of(invoice.id).await?) {
            Withdrawal::Void => void(env, tx.as_mut(), invoice).await?,
            Withdrawal::Nothing => {}
            Withdrawal::Cancel { .. } | Withdrawal::LookUp(_) => {
                tx.enqueue(WithdrawInvoice { invoice: invoice.id }.request());
            }
        }
    }
    tx.audit(
        AuditEntry::new(AuditAction::Execute, "subscription_billing", subscription)
            .patient(patient)
            .detail("ended", true)
            .detail("open_invoices", open.len()),
    );
    tx.commit().await?;
    Ok(())
}

async fn void(env: &Env, tx: &mut dyn BillingTx, invoice: &Invoice) -> Result<(), BillingError> {
    let (voided, ledger) = invoice.clone().void(env.ids.uuid(), env.now())?;
    tx.save_invoice(&voided).await?;
    tx.post(&ledger).await?;
    tx.audit(
        AuditEntry::new(AuditAction::Update, "invoice", invoice.id)
            .patient(invoice.patient)
            .detail("from", invoice.state.word())
            .detail("to", voided.state.word())
            .detail("reason", "subscription_ended"),
    );
    Ok(())
}

/// What the transaction of one step came to.
enum Step {
    Done,
    Cancel { payment: Payment, intent: String },
    LookUp { payment: Payment, customer: Option<String>, ended_at: DateTime<Utc> },
}

/// The job [`WithdrawInvoice`]. It runs until the invoice is settled one way or
/// the other, or until it has to wait for what is still under way.
pub async fn withdraw_invoice(
    env: &Env,
    store: &dyn BillingStore,
    gateway: &dyn PaymentGateway,
    policy: &RetryPolicy,
    job: WithdrawInvoice,
) -> Result<(), BillingError> {
    let actor = Actor::system(WithdrawInvoice::KIND);
    loop {
        match step(env, store, &actor, job.invoice).await? {
            Step::Done => return Ok(()),
            Step::Cancel { payment, intent } => {
                let found = gateway.cancel_payment_intent(&intent).await?;
                let status = found.status.clone();
                store_report(env, store, policy, &actor, &payment, found, Source::Reply).await?;
                match status {
                    IntentStatus::Canceled
                    | IntentStatus::Declined(_)
                    | IntentStatus::Succeeded { .. } => {}
                    // The network works on it. Its notice, or the sweep that
                    // stands in for it, comes back here unless it succeeds.
                    IntentStatus::Processing => return Ok(()),
                    IntentStatus::RequiresAction => {
                        let message = format!("payment {} was not canceled", payment.id);
                        return Err(PortError::Unavailable { vendor: "gateway", message }.into());
                    }
                }
            }
            Step::LookUp { payment, customer, ended_at } => {
                let found = match &customer {
                    Some(customer) => {
                        let since = payment.created_at;
                        gateway.find_payment_intent(payment.id, customer, since).await?
                    }
                    None => None,
                };
                match found {
                    Some(intent) => {
                        store_report(env, store, policy, &actor, &payment, intent, Source::Reply)
                            .await?;
                    }
                    // A charge that began before the end may still be on the
                    // wire; none begins after it, so that after a while the
                    // gateway's silence is certain.
                    None if env.now() < ended_at + PATIENCE => {
                        return later(env, store, &actor, &payment, ended_at + PATIENCE).await;
                    }
                    None => abandon(env, store, &actor, &payment).await?,
                }
            }
        }
    }
}

async fn step(
    env: &Env,
    store: &dyn BillingStore,
    actor: &Actor,
    id: InvoiceId,
) -> Result<Step, BillingError> {
    let mut tx = store.begin(actor).await?;
    let Some(invoice) = tx.invoice(id, Lookup::Lock).await? else {
        return Err(BillingError::NotFound("invoice"));
    };
    let Some(ended_at) = tx.subscription_ended(invoice.subscription).await? else {
        return Ok(Step::Done);
    };
    match decide(&invoice, &tx.payments_of(id).await?) {
        Withdrawal::Nothing => Ok(Step::Done),
        Withdrawal::Void => {
            void(env, tx.as_mut(), &invoice).await?;
            tx.commit().await?;
            Ok(Step::Done)
        }
        Withdrawal::Cancel { payment, intent } => Ok(Step::Cancel { payment, intent }),
        Withdrawal::LookUp(payment) => {
            let customer = tx.customer(invoice.patient).await?;
            let customer = customer.and_then(|customer| customer.gateway_id);
            Ok(Step::LookUp { payment, customer, ended_at })
        }
    }
}

async fn later(
    env: &Env,
    store: &dyn BillingStore,
    actor: &Actor,
    payment: &Payment,
    due: DateTime<Utc>,
) -> Result<(), BillingError> {
    let mut tx = store.begin(actor).await?;
    let job = WithdrawInvoice { invoice: payment.invoice };
    tx.enqueue(job.request().at(due));
    tx.audit(
        AuditEntry::new(AuditAction::Execute, "payment_look_up", env.ids.uuid())
            .patient(payment.patient)
            .detail("payment", payment.id.to_string())
            .detail("found", false),
    );
    tx.commit().await?;
    Ok(())
}

/// The gateway never heard of the payment, and will not any more.
async fn abandon(
    env: &Env,
    store: &dyn BillingStore,
    actor: &Actor,
    payment: &Payment,
) -> Result<(), BillingError> {
    let mut tx = store.begin(actor).await?;
    tx.invoice(payment.invoice, Lookup::Lock).await?;
    let Some(payment) = tx.payment(payment.id, Lookup::Lock).await? else {
        return Err(BillingError::NotFound("payment"));
    };
    if payment.state != PaymentState::Intended {
        return Ok(());
    }
    let abandoned = payment.abandon(env.now())?;
    tx.save_payment(&abandoned).await?;
    tx.audit(
        AuditEntry::new(AuditAction::Update, "payment", abandoned.id)
            .patient(abandoned.patient)
            .detail("from", "intended")
            .detail("to", abandoned.state.word()),
    );
    tx.commit().await?;
    Ok(())
}

#[cfg(test)]
mod tests {
    use kernel::{Money, PaymentId, PaymentMethodId, Uuid};

    use super::*;
    use crate::{gateway::Decline, invoice::tests};

    fn invoice() -> Invoice {
        tests::finalized(Money::usd(100))
    }

    fn payment(state: PaymentState) -> Payment {
        let (id, method) = (PaymentId(Uuid::nil()), PaymentMethodId(Uuid::nil()));
        let payment = Payment::intend(id, &invoice(), method, 1, DateTime::UNIX_EPOCH);
        Payment { state, ..payment }
    }

    #[test]
    fn what_can_move_no_money_is_voided_at_once() {
        let at = DateTime::UNIX_EPOCH;
        let declined = Decline::new("insufficient_funds", "");
        let failed = PaymentState::Failed { intent: None, decline: declined, at };
        let canceled = PaymentState::Canceled { intent: Some("pi".into()), at };
        assert_eq!(decide(&invoice(), &[]), Withdrawal::Void);
        let ended = [payment(failed), payment(canceled)];
        assert_eq!(decide(&invoice(), &ended), Withdrawal::Void);
    }

    #[test]
    fn a_live_payment_is_canceled_or_looked_up_before_anything_is_voided() {
        let intended = payment(PaymentState::Intended);
        let looked_up = Withdrawal::LookUp(intended.clone());
        assert_eq!(decide(&invoice(), &[intended]), looked_up);
        for state in [
            PaymentState::Processing { intent: "pi".into() },
            PaymentState::RequiresAction { intent: "pi".into() },
        ] {
            let live = payment(state);
            let canceled = Withdrawal::Cancel { payment: live.clone(), intent: "pi".into() };
            assert_eq!(decide(&invoice(), &[live]), canceled);
        }
    }

    #[test]
    fn what_the_gateway_has_taken_stands() {
        let confirming = payment(PaymentState::Confirming { intent: "pi".into() });
        assert_eq!(decide(&invoice(), &[confirming]), Withdrawal::Nothing);
        let now = DateTime::UNIX_EPOCH;
        let paid = invoice().pay(Money::usd(100), now).unwrap().unwrap();
        assert_eq!(decide(&paid, &[]), Withdrawal::Nothing);
    }
}
