//! Making certain: a payment is confirmed by fetching it after a signed
//! notice, or by the sweep where the notice never came.

use kernel::Actor;
use ports::{AuditAction, AuditEntry, Env, JobRequest, JobSpec, PortError};
use serde::{Deserialize, Serialize};

use crate::{
    charge::{ChargeInvoice, store_report},
    error::BillingError,
    gateway::PaymentGateway,
    payment::{PATIENCE, PaymentState, Source},
    retry::RetryPolicy,
    store::{BillingStore, Lookup},
};

/// Fetches one payment of the gateway and takes in where it stands.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct SettlePayment {
    /// The gateway's id.
    pub intent: String,
}

impl JobSpec for SettlePayment {
    const KIND: &'static str = "billing.settle_payment";
}

/// A notice may overtake the reply to our own call; the payment is then found
/// by what was written on the intent. An intent that is not ours, or that the
/// gateway refuses to tell of, is left alone: asking again would not help, and
/// the sweep looks after the payments that we know.
pub async fn settle_payment(
    env: &Env,
    store: &dyn BillingStore,
    gateway: &dyn PaymentGateway,
    policy: &RetryPolicy,
    job: SettlePayment,
) -> Result<(), BillingError> {
    let actor = Actor::system(SettlePayment::KIND);
    let intent = match gateway.retrieve_payment_intent(&job.intent).await {
        Err(PortError::Refused { code, .. }) => {
            tracing::error!(intent = job.intent, code, "the gateway does not tell of a payment");
            return Ok(());
        }
        intent => intent?,
    };
    let payment = {
        let mut tx = store.begin(&actor).await?;
        match tx.payment_of_intent(&intent.id).await? {
            Some(payment) => Some(payment),
            None => match intent.payment {
                Some(id) => tx.payment(id, Lookup::Read).await?,
                None => None,
            },
        }
    };
    let Some(payment) = payment else {
        tracing::warn!(intent = intent.id, "the gateway told of a payment that is not ours");
        return Ok(());
    };
    store_report(env, store, policy, &actor, &payment, intent, Source::Confirmation).await
}

/// Looks after payments whose notice never came and invoices whose charge was
/// lost.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct SweepPayments {}

impl JobSpec for SweepPayments {
    const KIND: &'static str = "billing.sweep_payments";
}

/// How many rows one sweep takes on; the next one takes the rest.
const BATCH: u32 = 200;

pub async fn sweep_payments(
    env: &Env,
    store: &dyn BillingStore,
    _job: SweepPayments,
) -> Result<usize, BillingError> {
    let now = env.now();
    let mut tx = store.begin(&Actor::system(SweepPayments::KIND)).await?;
    let waiting = tx.unsettled_payments(now, BATCH).await?;
    let uncharged = tx.uncharged_invoices(now - PATIENCE, BATCH).await?;
    for payment in &waiting {
        let job = match (&payment.state, payment.state.intent()) {
            (PaymentState::Intended, _) | (_, None) => {
                ChargeInvoice { invoice: payment.invoice }.request()
            }
            (_, Some(intent)) => {
                JobRequest::new(&SettlePayment { intent: intent.to_owned() }).key(intent)
            }
        };
        tx.save_payment(&payment.clone().check(now)).await?;
        tx.enqueue(job);
    }
    for invoice in &uncharged {
        tx.enqueue(ChargeInvoice { invoice: *invoice }.request());
    }
    let count = waiting.len() + uncharged.len();
    if count > 0 {
        tx.audit(
            AuditEntry::new(AuditAction::Execute, "payment_sweep", env.ids.uuid())
                .detail("payments", waiting.len())
                .detail("invoices", uncharged.len()),
        );
        tx.commit().await?;
    }
    Ok(count)
}
