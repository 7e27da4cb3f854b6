//! What the adapter makes of Stripe's answers, and of those that never come.

use std::time::Duration;

use billing::{ChargeRequest, GatewayIntent, IntentStatus, PaymentGateway as _, gateway::Attached};
use chrono::DateTime;
use kernel::{InvoiceId, Money, PatientId, PaymentId, PaymentMethodId, Uuid};
use ports::PortError;
use salus_stripe::StripeGateway;

use crate::support::{KEY, Stripe};

const PATIENT: PatientId = PatientId(Uuid::from_u128(0xada));

fn method(id: u128) -> PaymentMethodId {
    PaymentMethodId(Uuid::from_u128(id))
}

/// A customer with that card.
async fn card(gateway: &StripeGateway, token: &str) -> (String, String) {
    let customer = gateway.ensure_customer(PATIENT).await.unwrap();
    let attached = gateway.attach_payment_method(method(1), &customer, token).await.unwrap();
    let Attached::Card(card) = attached else { panic!("{attached:?}") };
    (customer, card.gateway_id)
}

fn request(payment: u128, (customer, payment_method): (String, String)) -> ChargeRequest {
    ChargeRequest {
        payment: PaymentId(Uuid::from_u128(payment)),
        invoice: InvoiceId(Uuid::from_u128(7)),
        amount: Money::usd(4900),
        customer,
        payment_method,
    }
}

async fn succeeded_charges(stripe: &Stripe) -> usize {
    stripe.ask("charges").await["charges"].as_array().unwrap().len()
}

fn succeeded() -> IntentStatus {
    IntentStatus::Succeeded { amount: Money::usd(4900) }
}

#[tokio::test]
async fn a_patient_is_one_customer_and_the_cards_details_come_back() {
    let stripe = Stripe::start(None);
    let gateway = stripe.gateway();
    let (first, second) =
        tokio::join!(gateway.ensure_customer(PATIENT), gateway.ensure_customer(PATIENT));
    let customer = first.unwrap();
    assert_eq!(customer, second.unwrap());
    assert_eq!(customer, gateway.ensure_customer(PATIENT).await.unwrap());

    let attached = gateway.attach_payment_method(method(1), &customer, "pm_card_visa").await;
    let Attached::Card(card) = attached.unwrap() else { panic!("declined") };
    assert_eq!((card.brand.as_str(), card.last4.as_str()), ("visa", "4242"));
    let again = gateway.attach_payment_method(method(1), &customer, "pm_card_visa").await;
    assert_eq!(again.unwrap(), Attached::Card(card.clone()));
    gateway.detach_payment_method(&card.gateway_id).await.unwrap();
    gateway.detach_payment_method(&card.gateway_id).await.unwrap();

    let declined =
        gateway.attach_payment_method(method(2), &customer, "pm_card_chargeDeclined").await;
    let Attached::Declined(decline) = declined.unwrap() else { panic!("attached") };
    assert_eq!(decline.code, "generic_decline");
    let unknown = gateway.attach_payment_method(method(3), &customer, "pm_nothing").await;
    assert!(matches!(unknown, Err(PortError::Refused { .. })), "{unknown:?}");
}

#[tokio::test]
async fn one_payment_is_one_charge_however_often_it_is_asked_for() {
    let stripe = Stripe::start(None);
    let gateway = stripe.gateway();
    let request = request(1, card(&gateway, "pm_card_mastercard").await);
    let mut ids = Vec::new();
    for _ in 0..3 {
        let intent = gateway.create_and_confirm_payment_intent(&request).await.unwrap();
        assert_eq!((intent.payment, &intent.status), (Some(request.payment), &succeeded()));
        ids.push(intent.id);
    }
    ids.dedup();
    assert_eq!(ids.len(), 1);
    assert_eq!(succeeded_charges(&stripe).await, 1);
    assert_eq!(gateway.retrieve_payment_intent(&ids[0]).await.unwrap().status, succeeded());
    let other = ChargeRequest { amount: Money::usd(1), ..request };
    let reused = gateway.create_and_confirm_payment_intent(&other).await;
    assert!(matches!(reused, Err(PortError::Unknown { .. })), "{reused:?}");
}

#[tokio::test]
async fn declines_and_missing_authentication_are_answers() {
    let stripe = Stripe::start(None);
    let gateway = stripe.gateway();
    let failing = request(1, card(&gateway, "pm_card_chargeCustomerFail").await);
    let intent = gateway.create_and_confirm_payment_intent(&failing).await.unwrap();
    let IntentStatus::Declined(decline) = &intent.status else { panic!("{intent:?}") };
    assert_eq!(decline.code, "generic_decline");
    let fetched = gateway.retrieve_payment_intent(&intent.id).await.unwrap();
    assert_eq!(fetched, intent);

    let customer = failing.customer;
    let attached =
        gateway.attach_payment_method(method(2), &customer, "pm_card_authenticationRequired").await;
    let Attached::Card(card) = attached.unwrap() else { panic!("declined") };
    let waiting = request(2, (customer, card.gateway_id));
    let intent = gateway.create_and_confirm_payment_intent(&waiting).await.unwrap();
    assert_eq!(intent.status, IntentStatus::RequiresAction);
    let canceled = gateway.cancel_payment_intent(&intent.id).await.unwrap();
    assert_eq!(canceled.status, IntentStatus::Canceled);
    assert_eq!(succeeded_charges(&stripe).await, 0);
}

#[tokio::test]
async fn a_lost_answer_is_unknown_and_the_payment_is_found_by_what_it_carries() {
    let stripe = Stripe::start(None);
    let gateway = stripe.gateway();
    let request = request(1, card(&gateway, "pm_card_visa").await);
    let find = async || -> Option<GatewayIntent> {
        let since = DateTime::UNIX_EPOCH;
        gateway.find_payment_intent(request.payment, &request.customer, since).await.unwrap()
    };
    assert_eq!(find().await, None);
    stripe.fault("drop_after", "POST /v1/payment_intents").await;
    let lost = gateway.create_and_confirm_payment_intent(&request).await;
    assert!(matches!(lost, Err(PortError::Unknown { .. })), "{lost:?}");
    assert_eq!(find().await.unwrap().status, succeeded());
    assert_eq!(succeeded_charges(&stripe).await, 1);
}

#[tokio::test]
async fn failures_say_whether_something_may_have_been_done() {
    let stripe = Stripe::start(None);
    let gateway = stripe.gateway();
    let request = request(1, card(&gateway, "pm_card_visa").await);
    stripe.fault("status_500", "POST /v1/payment_intents").await;
    let failed = gateway.create_and_confirm_payment_intent(&request).await;
    assert!(matches!(failed, Err(PortError::Unknown { .. })), "{failed:?}");
    stripe.fault("status_500", "GET /v1/payment_intents").await;
    let failed = gateway.retrieve_payment_intent("pi_1").await;
    assert!(matches!(failed, Err(PortError::Unavailable { .. })), "{failed:?}");
    let missing = gateway.retrieve_payment_intent("pi_1").await;
    assert!(matches!(missing, Err(PortError::Refused { .. })), "{missing:?}");

    let hasty = stripe.gateway_with(KEY, Duration::from_millis(200));
    stripe.fault("hang", "POST /v1/payment_intents").await;
    let silent = hasty.create_and_confirm_payment_intent(&request).await;
    assert!(matches!(silent, Err(PortError::Unknown { .. })), "{silent:?}");

    let stranger = stripe.gateway_with("sk_test_wrong", Duration::from_secs(5));
    let refused = stranger.create_and_confirm_payment_intent(&request).await;
    assert!(matches!(refused, Err(PortError::Unavailable { .. })), "{refused:?}");
    assert_eq!(succeeded_charges(&stripe).await, 0);
}
