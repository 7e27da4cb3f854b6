//! What to do about an open invoice: a pure decision, so that a job that runs
//! twice, early or late decides the same.

use chrono::{DateTime, Utc};
use kernel::PaymentMethodId;

use crate::{
    invoice::Invoice,
    payment::{Payment, PaymentState},
    payment_method::PaymentMethod,
};

#[derive(Clone, Debug, PartialEq, Eq)]
pub enum ChargeDecision {
    /// There is nothing to pay, the money is on its way, or the time for
    /// another attempt has not come.
    Nothing,
    /// There is no method to charge.
    NoMethod,
    /// A payment was intended, and whether the gateway heard of it is to be
    /// found out.
    Resume(Payment),
    /// A new attempt, by its count with this method.
    Start { method: PaymentMethodId, attempt: u32 },
    /// The cardholder never authenticated and has chosen another card: the
    /// waiting payment is canceled first.
    Supersede(Payment),
}

/// `payments` are all payments of the invoice, `default` is the patient's
/// default method if there is one.
pub fn decide(
    invoice: &Invoice,
    payments: &[Payment],
    default: Option<&PaymentMethod>,
    now: DateTime<Utc>,
) -> ChargeDecision {
    if !invoice.is_open() {
        return ChargeDecision::Nothing;
    }
    if let Some(live) = payments.iter().find(|payment| payment.state.is_live()) {
        return match &live.state {
            PaymentState::Intended => ChargeDecision::Resume(live.clone()),
            PaymentState::RequiresAction { .. }
                if default.is_some_and(|method| method.id != live.method) =>
            {
                ChargeDecision::Supersede(live.clone())
            }
            _ => ChargeDecision::Nothing,
        };
    }
    let Some(method) = default else { return ChargeDecision::NoMethod };
    let with_this_method: Vec<_> = payments
        .iter()
        .filter(|payment| {
            payment.method == method.id && matches!(payment.state, PaymentState::Failed { .. })
        })
        .collect();
    let last = with_this_method.iter().max_by_key(|payment| payment.attempt);
    match last {
        None => ChargeDecision::Start { method: method.id, attempt: 1 },
        Some(last) if last.retry_at.is_some_and(|due| due <= now) => {
            ChargeDecision::Start { method: method.id, attempt: last.attempt + 1 }
        }
        Some(_) => ChargeDecision::Nothing,
    }
}

#[cfg(test)]
mod tests {
    use chrono::Duration;
    use kernel::{Money, PatientId, PaymentId, Uuid};

    use super::*;
    use crate::{
        gateway::{CardDetails, Decline},
        invoice::tests,
    };

    fn invoice() -> Invoice {
        tests::finalized(Money::usd(100))
    }

    fn method(id: u128) -> PaymentMethod {
        let card = CardDetails {
            gateway_id: "pm_1".into(),
            brand: "visa".into(),
            last4: "4242".into(),
            exp_month: 1,
            exp_year: 2030,
        };
        let id = PaymentMethodId(Uuid::from_u128(id));
        PaymentMethod::intend(id, PatientId(Uuid::nil()), "pm_card_visa", DateTime::UNIX_EPOCH)
            .unwrap()
            .activate(card, true)
            .unwrap()
    }

    fn payment(method: u128, state: PaymentState) -> Payment {
        let id = PaymentMethodId(Uuid::from_u128(method));
        let now = DateTime::UNIX_EPOCH;
        let mut payment = Payment::intend(PaymentId(Uuid::nil()), &invoice(), id, 1, now);
        payment.state = state;
        payment
    }

    fn failed() -> PaymentState {
        PaymentState::Failed {
            intent: None,
            decline: Decline::new("insufficient_funds", ""),
            at: DateTime::UNIX_EPOCH,
        }
    }

    #[test]
    fn a_live_payment_keeps_every_other_away() {
        let now = DateTime::UNIX_EPOCH;
        for state in [
            PaymentState::Processing { intent: "pi".into() },
            PaymentState::Confirming { intent: "pi".into() },
            PaymentState::RequiresAction { intent: "pi".into() },
        ] {
            let payments = [payment(1, failed()), payment(1, state)];
            assert_eq!(
                decide(&invoice(), &payments, Some(&method(1)), now),
                ChargeDecision::Nothing
            );
        }
        let payments = [payment(1, PaymentState::Intended)];
        assert!(matches!(decide(&invoice(), &payments, None, now), ChargeDecision::Resume(_)));
    }

    #[test]
    fn another_card_starts_afresh_and_supersedes_a_waiting_authentication() {
        let now = DateTime::UNIX_EPOCH;
        let start = decide(&invoice(), &[payment(1, failed())], Some(&method(2)), now);
        assert_eq!(start, ChargeDecision::Start { method: method(2).id, attempt: 1 });
        let waiting = payment(1, PaymentState::RequiresAction { intent: "pi".into() });
        assert!(matches!(
            decide(&invoice(), &[waiting], Some(&method(2)), now),
            ChargeDecision::Supersede(_)
        ));
    }

    #[test]
    fn a_retry_waits_for_its_time_and_a_hard_decline_for_ever() {
        let now = DateTime::UNIX_EPOCH;
        let mut soft = payment(1, failed());
        soft.retry_at = Some(now + Duration::days(1));
        let early = decide(&invoice(), std::slice::from_ref(&soft), Some(&method(1)), now);
        assert_eq!(early, ChargeDecision::Nothing);
        let due = decide(&invoice(), &[soft], Some(&method(1)), now + Duration::days(1));
        assert_eq!(due, ChargeDecision::Start { method: method(1).id, attempt: 2 });
        let hard = payment(1, failed());
        let never = decide(&invoice(), &[hard], Some(&method(1)), now + Duration::days(999));
        assert_eq!(never, ChargeDecision::Nothing);
    }

    #[test]
    fn nothing_is_charged_for_an_invoice_that_is_not_open_or_without_a_method() {
        let now = DateTime::UNIX_EPOCH;
        let paid = invoice().pay(Money::usd(100), now).unwrap().unwrap();
        assert_eq!(decide(&paid, &[], Some(&method(1)), now), ChargeDecision::Nothing);
        assert_eq!(decide(&invoice(), &[], None, now), ChargeDecision::NoMethod);
    }
}
