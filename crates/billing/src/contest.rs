//! What contests a payment after it succeeded: the cardholder disputes it, the
//! card's issuer warns of fraud, or somebody gave it back at the gateway. The books of it are a later matter;
//! here it is known, told to staff, and seen by whoever ships.

use chrono::{DateTime, Utc};
use kernel::{Actor, InvoiceId, PatientId, PaymentId, Uuid, Word};
use ports::{AuditAction, AuditEntry, Env, JobSpec, PortError};
use serde::{Deserialize, Serialize};

use crate::{
    error::BillingError,
    gateway::PaymentGateway,
    staff_task::{BillingTaskKind, raise},
    store::{BillingStore, Lookup},
};

#[derive(Clone, Copy, Debug, PartialEq, Eq, Word)]
pub enum ContestKind {
    Dispute,
    Refund,
    FraudWarning,
}

/// A dispute, a refund or a warning as the gateway has it.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct GatewayContest {
    /// The gateway's id.
    pub id: String,
    pub kind: ContestKind,
    /// The gateway's word, as in `needs_response` or `won`.
    pub status: String,
}

impl GatewayContest {
    /// Whether the money is ours for certain all the same: the dispute was won
    /// or was only an inquiry that is closed, or the refund never happened. A
    /// warning is never taken back. A word that is not known is no reason to be
    /// certain.
    pub fn is_settled(&self) -> bool {
        match self.kind {
            ContestKind::Dispute => matches!(self.status.as_str(), "won" | "warning_closed"),
            ContestKind::Refund => matches!(self.status.as_str(), "failed" | "canceled"),
            ContestKind::FraudWarning => false,
        }
    }
}

/// The same as it is kept.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct PaymentContest {
    pub id: Uuid,
    pub found: GatewayContest,
    pub payment: PaymentId,
    pub invoice: InvoiceId,
    pub patient: PatientId,
    pub first_seen_at: DateTime<Utc>,
    pub updated_at: DateTime<Utc>,
}

/// Fetches what contests one payment of the gateway.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct CheckContests {
    /// The gateway's id of the payment.
    pub intent: String,
}

impl JobSpec for CheckContests {
    const KIND: &'static str = "billing.check_contests";
}

/// A notice said that something happened to a payment; what it was is read
/// from the gateway, so that notices may come late, twice and in any order.
pub async fn check_contests(
    env: &Env,
    store: &dyn BillingStore,
    gateway: &dyn PaymentGateway,
    job: CheckContests,
) -> Result<(), BillingError> {
    let actor = Actor::system(CheckContests::KIND);
    let payment = {
        let mut tx = store.begin(&actor).await?;
        tx.payment_of_intent(&job.intent).await?.map(|payment| payment.id)
    };
    let payment = match payment {
        Some(payment) => payment,
        // The notice may have overtaken the answer to our own call.
        None => match gateway.retrieve_payment_intent(&job.intent).await {
            Ok(intent) => match intent.payment {
                Some(payment) => payment,
                None => return Ok(()),
            },
            Err(PortError::Refused { .. }) => return Ok(()),
            Err(error) => return Err(error.into()),
        },
    };
    let found = gateway.contests(&job.intent).await?;
    let mut tx = store.begin(&actor).await?;
    let Some(payment) = tx.payment(payment, Lookup::Lock).await? else { return Ok(()) };
    let known = tx.contests_of(payment.invoice).await?;
    let now = env.now();
    let mut changed = false;
    for found in &found {
        let before = known.iter().find(|known| known.found.id == found.id);
        if before.is_some_and(|before| before.found == *found) {
            continue;
        }
        changed = true;
        let contest = PaymentContest {
            id: before.map_or_else(|| env.ids.uuid(), |before| before.id),
            found: found.clone(),
            payment: payment.id,
            invoice: payment.invoice,
            patient: payment.patient,
            first_seen_at: before.map_or(now, |before| before.first_seen_at),
            updated_at: now,
        };
        tx.save_contest(&contest).await?;
        let kind = match found.kind {
            ContestKind::Dispute => BillingTaskKind::DisputedPayment,
            ContestKind::Refund => BillingTaskKind::OutsideRefund,
            ContestKind::FraudWarning => BillingTaskKind::FraudWarning,
        };
        // A new word of a dispute is news as well, its end among them; a warning is
        // told once.
        if before.is_none() || found.kind != ContestKind::FraudWarning {
            raise(env, tx.as_mut(), kind, (payment.patient, contest.id)).await?;
        }
        tx.audit(
            AuditEntry::new(AuditAction::Update, "payment_contest", contest.id)
                .patient(payment.patient)
                .detail("payment", payment.id.to_string())
                .detail("kind", found.kind.to_string())
                .detail("from", before.map(|before| before.found.status.clone()))
                .detail("to", found.status.clone()),
        );
    }
    if changed {
        tx.commit().await?;
    }
    Ok(())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn only_what_was_won_or_never_happened_leaves_the_money_certain() {
        let settled = |kind, status: &str| {
            GatewayContest { id: "x".into(), kind, status: status.into() }.is_settled()
        };
        for open in [
            "needs_response",
            "under_review",
            "warning_needs_response",
            "warning_under_review",
            "lost",
            "prevented",
            "a_word_of_tomorrow",
        ] {
            assert!(!settled(ContestKind::Dispute, open), "{open}");
        }
        assert!(settled(ContestKind::Dispute, "won"));
        assert!(settled(ContestKind::Dispute, "warning_closed"));
        for open in ["succeeded", "pending", "requires_action", ""] {
            assert!(!settled(ContestKind::Refund, open), "{open}");
        }
        assert!(settled(ContestKind::Refund, "failed"));
        assert!(settled(ContestKind::Refund, "canceled"));
        assert!(!settled(ContestKind::FraudWarning, "not_actionable"));
    }
}
