//! A payment: one attempt to charge one invoice with one payment method.

use chrono::{DateTime, Duration, Utc};
use kernel::{InvoiceId, Money, PatientId, PaymentId, PaymentMethodId};

use crate::{
    error::BillingError,
    gateway::{Decline, IntentStatus},
    invoice::Invoice,
};

/// How long a payment may wait for its notice before the sweep looks it up.
pub const PATIENCE: Duration = Duration::minutes(5);

#[derive(Clone, Debug, PartialEq, Eq)]
pub enum PaymentState {
    /// Stored before the gateway is called. Whether it was called is not
    /// known, so it is looked up before it is called again.
    Intended,
    /// The gateway works on it.
    Processing {
        intent: String,
    },
    /// The gateway says that it succeeded; its signed notice is still to come.
    Confirming {
        intent: String,
    },
    /// The cardholder has to authenticate.
    RequiresAction {
        intent: String,
    },
    Succeeded {
        intent: String,
        at: DateTime<Utc>,
    },
    Failed {
        intent: Option<String>,
        decline: Decline,
        at: DateTime<Utc>,
    },
    Canceled {
        intent: Option<String>,
        at: DateTime<Utc>,
    },
}

impl PaymentState {
    pub fn word(&self) -> &'static str {
        match self {
            Self::Intended => "intended",
            Self::Processing { .. } => "processing",
            Self::Confirming { .. } => "confirming",
            Self::RequiresAction { .. } => "requires_action",
            Self::Succeeded { .. } => "succeeded",
            Self::Failed { .. } => "failed",
            Self::Canceled { .. } => "canceled",
        }
    }

    /// The gateway's id of it, once it is known.
    pub fn intent(&self) -> Option<&str> {
        match self {
            Self::Intended => None,
            Self::Processing { intent }
            | Self::Confirming { intent }
            | Self::RequiresAction { intent }
            | Self::Succeeded { intent, .. } => Some(intent),
            Self::Failed { intent, .. } | Self::Canceled { intent, .. } => intent.as_deref(),
        }
    }

    /// Whether money may have moved or may still move, so that no other
    /// payment for the invoice may begin.
    pub fn is_live(&self) -> bool {
        !matches!(self, Self::Failed { .. } | Self::Canceled { .. })
    }
}

/// Who says where a payment stands.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Source {
    /// The answer to our own call.
    Reply,
    /// The object as it was fetched after a signed notice, or by the sweep
    /// that stands in for a notice that never came.
    Confirmation,
}

/// What a report of the gateway changed.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Change {
    /// Nothing: the report is old, or says what is known.
    None,
    Moved,
    /// It is certain now that the money was received.
    Succeeded,
    Declined(Decline),
    ActionRequired,
}

#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Payment {
    pub id: PaymentId,
    pub invoice: InvoiceId,
    pub patient: PatientId,
    pub method: PaymentMethodId,
    pub amount: Money,
    /// The how-manieth attempt with this method for this invoice, from 1.
    pub attempt: u32,
    pub state: PaymentState,
    /// What contests it, with the gateway's last word, as in
    /// `dispute:needs_response`.
    pub contest: Option<String>,
    /// When a declined payment is to be tried again.
    pub retry_at: Option<DateTime<Utc>>,
    /// When the sweep is to look it up, while it is not settled.
    pub check_at: DateTime<Utc>,
    /// How often the sweep did since it last moved.
    pub checks: u32,
    pub created_at: DateTime<Utc>,
    pub updated_at: DateTime<Utc>,
    pub version: i64,
}

impl Payment {
    pub fn intend(
        id: PaymentId,
        invoice: &Invoice,
        method: PaymentMethodId,
        attempt: u32,
        now: DateTime<Utc>,
    ) -> Self {
        Self {
            id,
            invoice: invoice.id,
            patient: invoice.patient,
            method,
            amount: invoice.total,
            attempt,
            state: PaymentState::Intended,
            contest: None,
            retry_at: None,
            check_at: now + PATIENCE,
            checks: 0,
            created_at: now,
            updated_at: now,
            version: 0,
        }
    }

    /// Takes in where the gateway says that the payment stands. The report was
    /// fetched, not pushed, and still may be older than what is stored; an end
    /// state is therefore never left, but for a success, which is a fact
    /// whenever it is heard of.
    pub fn report(
        mut self,
        intent: &str,
        status: IntentStatus,
        source: Source,
        now: DateTime<Utc>,
    ) -> Result<(Self, Change), BillingError> {
        if self.state.intent().is_some_and(|known| known != intent) {
            return Err(BillingError::PaymentState("another intent's"));
        }
        if matches!(self.state, PaymentState::Succeeded { .. }) {
            return Ok((self, Change::None));
        }
        let ended = !self.state.is_live();
        let intent = intent.to_owned();
        let (state, change) = match status {
            IntentStatus::Succeeded { amount } => {
                if amount != self.amount {
                    return Err(BillingError::PaymentState("over another amount"));
                }
                match source {
                    Source::Reply => (PaymentState::Confirming { intent }, Change::Moved),
                    Source::Confirmation => {
                        (PaymentState::Succeeded { intent, at: now }, Change::Succeeded)
                    }
                }
            }
            _ if ended => return Ok((self, Change::None)),
            IntentStatus::Processing => (PaymentState::Processing { intent }, Change::Moved),
            IntentStatus::RequiresAction => {
                (PaymentState::RequiresAction { intent }, Change::ActionRequired)
            }
            IntentStatus::Declined(decline) => {
                let state = PaymentState::Failed {
                    intent: Some(intent),
                    decline: decline.clone(),
                    at: now,
                };
                (state, Change::Declined(decline))
            }
            IntentStatus::Canceled => {
                (PaymentState::Canceled { intent: Some(intent), at: now }, Change::Moved)
            }
        };
        if state == self.state {
            return Ok((self, Change::None));
        }
        self.state = state;
        self.updated_at = now;
        self.check_at = now + PATIENCE;
        self.checks = 0;
        Ok((self, change))
    }

    /// The sweep looks after it: next in an hour, and then daily, because what
    /// an hour did not settle waits for a person.
    pub fn check(mut self, now: DateTime<Utc>) -> Self {
        let wait = if self.checks == 0 { Duration::hours(1) } else { Duration::days(1) };
        self.checks += 1;
        self.check_at = now + wait;
        self
    }

    /// The gateway never heard of it, and it is not wanted any more.
    pub fn abandon(mut self, now: DateTime<Utc>) -> Result<Self, BillingError> {
        if self.state != PaymentState::Intended {
            return Err(BillingError::PaymentState(self.state.word()));
        }
        self.state = PaymentState::Canceled { intent: None, at: now };
        self.updated_at = now;
        Ok(self)
    }

    /// The gateway refused the request itself and made no intent.
    pub fn refuse(mut self, decline: Decline, now: DateTime<Utc>) -> Result<Self, BillingError> {
        if self.state != PaymentState::Intended {
            return Err(BillingError::PaymentState(self.state.word()));
        }
        self.state = PaymentState::Failed { intent: None, decline, at: now };
        self.updated_at = now;
        Ok(self)
    }
}

#[cfg(test)]
mod tests {
    use kernel::Uuid;
    use proptest::prelude::*;

    use super::*;
    use crate::invoice::tests::billable;

    fn payment() -> Payment {
        let now = DateTime::UNIX_EPOCH;
        let invoice =
            Invoice::for_period(InvoiceId(Uuid::nil()), &billable(Money::usd(100)), now).unwrap();
        Payment::intend(PaymentId(Uuid::nil()), &invoice, PaymentMethodId(Uuid::nil()), 1, now)
    }

    fn succeeded() -> IntentStatus {
        IntentStatus::Succeeded { amount: Money::usd(100) }
    }

    #[test]
    fn a_reply_alone_does_not_make_it_succeed() {
        let now = DateTime::UNIX_EPOCH;
        let (payment, change) = payment().report("pi", succeeded(), Source::Reply, now).unwrap();
        assert_eq!((payment.state.word(), change), ("confirming", Change::Moved));
        let (payment, change) =
            payment.report("pi", succeeded(), Source::Confirmation, now).unwrap();
        assert_eq!((payment.state.word(), change), ("succeeded", Change::Succeeded));
        let (_, change) = payment.report("pi", succeeded(), Source::Confirmation, now).unwrap();
        assert_eq!(change, Change::None);
    }

    #[test]
    fn the_sweep_looks_after_five_minutes_an_hour_and_then_daily() {
        let now = DateTime::UNIX_EPOCH;
        let mut payment = payment();
        let mut waits = vec![payment.check_at - now];
        for _ in 0..3 {
            payment = payment.check(now);
            waits.push(payment.check_at - now);
        }
        let day = Duration::days(1);
        assert_eq!(waits, [Duration::minutes(5), Duration::hours(1), day, day]);
    }

    #[test]
    fn another_intent_or_another_amount_is_refused() {
        let now = DateTime::UNIX_EPOCH;
        let (confirming, _) = payment().report("pi", succeeded(), Source::Reply, now).unwrap();
        assert!(confirming.report("pi_2", succeeded(), Source::Confirmation, now).is_err());
        let wrong = IntentStatus::Succeeded { amount: Money::usd(99) };
        assert!(payment().report("pi", wrong, Source::Confirmation, now).is_err());
    }

    fn status() -> impl Strategy<Value = IntentStatus> {
        prop_oneof![
            Just(succeeded()),
            Just(IntentStatus::Processing),
            Just(IntentStatus::RequiresAction),
            Just(IntentStatus::Declined(Decline::new("insufficient_funds", ""))),
            Just(IntentStatus::Canceled),
        ]
    }

    proptest! {
        /// Reports in any order, twice or late: success is announced exactly
        /// once if any confirmed report said so, and nothing takes it back.
        #[test]
        fn success_is_announced_once_whatever_the_order(
            reports in prop::collection::vec((status(), any::<bool>()), 0..12),
        ) {
            let mut payment = payment();
            let mut announced = 0;
            let mut confirmed = false;
            for (status, confirmation) in reports {
                confirmed |= confirmation && matches!(status, IntentStatus::Succeeded { .. });
                let source = if confirmation { Source::Confirmation } else { Source::Reply };
                let (next, change) =
                    payment.report("pi", status, source, DateTime::UNIX_EPOCH).unwrap();
                payment = next;
                announced += usize::from(change == Change::Succeeded);
            }
            prop_assert_eq!(announced, usize::from(confirmed));
            prop_assert_eq!(payment.state.word() == "succeeded", confirmed);
        }
    }
}
