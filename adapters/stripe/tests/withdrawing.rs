//! What a canceled subscription owed is owed no longer, wherever its payment
//! stood; what the gateway had taken by then stands.

use billing::{
    BillingError, ChargeInvoice, Invoice, SweepPayments, charge::charge_invoice,
    payment_methods::set_default_payment_method, settlement::sweep_payments,
};
use chrono::TimeDelta;
use ports::PortError;
use serde_json::json;

use crate::support::House;

async fn run(house: &House) {
    for result in house.run_jobs().await {
        result.unwrap();
    }
}

async fn words(house: &House, invoice: &Invoice) -> (&'static str, Vec<&'static str>) {
    let payments = house.payments(invoice).await;
    let payments = payments.iter().map(|payment| payment.state.word()).collect();
    (house.invoice(invoice).await.state.word(), payments)
}

#[tokio::test]
async fn an_invoice_that_waited_for_a_card_is_not_charged_to_a_later_one() {
    let house = House::build().await;
    let canceled = house.bill().await;
    run(&house).await;
    house.cancel(&canceled).await;
    assert_eq!(words(&house, &canceled).await, ("void", vec![]));
    let kept = house.bill().await;
    house.add("k1", "pm_card_visa").await.unwrap();
    house.until(&kept, "paid").await;
    assert_eq!(house.stripe.charges(&canceled).await, 0);
    assert_eq!(house.told("invoice_paid").await, 1);
    // The ledger says that nothing is owed and nothing is to be delivered.
    let page = kernel::PageRequest::default();
    let store = &house.database.pg;
    let ledger =
        billing::reading::ledger(store, &house.actor(), house.patient, &page).await.unwrap();
    let kinds: Vec<String> = ledger
        .items
        .iter()
        .filter(|entry| entry.invoice == canceled.id)
        .map(|entry| entry.kind.to_string())
        .collect();
    assert_eq!(kinds, ["invoice_voided", "invoice_finalized"]);
}

#[tokio::test]
async fn a_declined_invoice_is_not_tried_again_nor_charged_to_a_better_card() {
    let house = House::build().await;
    let bad = house.add("k1", "pm_card_visa").await.unwrap();
    let card = format!("cards/{}", bad.state.card().unwrap().gateway_id);
    house.stripe.control(&card, json!({ "decline_code": "insufficient_funds" })).await;
    let invoice = house.bill().await;
    run(&house).await;
    house.stripe.settled().await;
    run(&house).await;
    let due = house.payments(&invoice).await[0].retry_at.unwrap();
    house.cancel(&invoice).await;
    assert_eq!(words(&house, &invoice).await, ("void", vec!["failed"]));
    house.stripe.control(&card, json!({ "decline_code": null })).await;
    let good = house.add("k2", "pm_card_mastercard").await.unwrap();
    set_default_payment_method(&house.database.pg, &house.actor(), good.id).await.unwrap();
    house.database.clock.set(due + TimeDelta::hours(1));
    run(&house).await;
    assert_eq!(house.stripe.charges(&invoice).await, 0);
    assert_eq!(words(&house, &invoice).await, ("void", vec!["failed"]));
}

#[tokio::test]
async fn a_payment_that_waits_for_the_cardholder_is_canceled_at_the_gateway() {
    let house = House::build().await;
    house.add("k1", "pm_card_authenticationRequired").await.unwrap();
    let invoice = house.bill().await;
    run(&house).await;
    assert_eq!(words(&house, &invoice).await, ("open", vec!["requires_action"]));
    house.cancel(&invoice).await;
    house.until(&invoice, "void").await;
    assert_eq!(words(&house, &invoice).await, ("void", vec!["canceled"]));
    assert_eq!(house.stripe.events("payment_intent.canceled").await.len(), 1);
    assert_eq!(house.told("payment_failed").await, 1, "the one before the cancellation");
}

#[tokio::test]
async fn a_charge_whose_answer_was_lost_is_looked_up_and_stands() {
    let house = House::build().await;
    house.add("k1", "pm_card_visa").await.unwrap();
    let invoice = house.bill().await;
    house.stripe.fault("drop_after", "POST /v1/payment_intents").await;
    let results = house.run_jobs().await;
    let unknown = |r: &Result<(), BillingError>| {
        matches!(r, Err(BillingError::Port(PortError::Unknown { .. })))
    };
    assert!(results.iter().any(unknown), "{results:?}");
    house.cancel(&invoice).await;
    house.until(&invoice, "paid").await;
    assert_eq!(house.stripe.charges(&invoice).await, 1);
    assert_eq!(words(&house, &invoice).await, ("paid", vec!["succeeded"]));
}

#[tokio::test]
async fn a_charge_that_never_reached_the_gateway_is_given_up_and_never_begun_again() {
    let house = House::build().await;
    house.add("k1", "pm_card_visa").await.unwrap();
    let invoice = house.bill().await;
    // The gateway fails before it takes the charge in.
    house.stripe.fault("status_500", "POST /v1/payment_intents").await;
    let results = house.run_jobs().await;
    assert!(results.iter().any(Result::is_err), "{results:?}");
    assert_eq!(words(&house, &invoice).await, ("open", vec!["intended"]));
    house.cancel(&invoice).await;
    run(&house).await;
    // Another process might still be at it, so it is too early to say.
    assert_eq!(words(&house, &invoice).await, ("open", vec!["intended"]));
    let job = ChargeInvoice { invoice: invoice.id };
    let (env, store) = (&house.database.env, &house.database.pg);
    charge_invoice(env, store, house.gateway.as_ref(), &house.policy, &house, job).await.unwrap();
    assert_eq!(house.stripe.charges(&invoice).await, 0, "the repeated job does not begin it");
    house.database.clock.advance(TimeDelta::minutes(6));
    sweep_payments(env, store, SweepPayments {}).await.unwrap();
    run(&house).await;
    assert_eq!(words(&house, &invoice).await, ("void", vec!["canceled"]));
    assert_eq!(house.stripe.charges(&invoice).await, 0);
}

#[tokio::test]
async fn a_card_pays_for_nothing_once_what_it_was_kept_for_is_canceled() {
    use async_trait::async_trait;
    struct NoSubscriptions;
    #[async_trait]
    impl billing::Subscriptions for NoSubscriptions {
        async fn has_live_subscription(&self, _: kernel::PatientId) -> ports::Result<bool> {
            Ok(false)
        }
    }

    let house = House::build().await;
    let method = house.add("k1", "pm_card_authenticationRequired").await.unwrap();
    let invoice = house.bill().await;
    run(&house).await;
    let (env, store) = (&house.database.env, &house.database.pg);
    let remove = || {
        let actor = house.actor();
        let id = method.id;
        async move {
            billing::payment_methods::remove_payment_method(
                env,
                store,
                &NoSubscriptions,
                &actor,
                id,
            )
            .await
        }
    };
    let refused = remove().await;
    assert!(matches!(refused, Err(BillingError::PaymentMethodNeeded)), "{refused:?}");
    house.cancel(&invoice).await;
    remove().await.unwrap();
}
