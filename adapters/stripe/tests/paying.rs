//! An invoice is paid exactly once, whatever is lost, late, twice or killed.

use std::sync::{
    Arc,
    atomic::{AtomicBool, Ordering},
};

use async_trait::async_trait;
use billing::{
    BillingError, ChargeRequest, GatewayIntent, PaymentGateway, PaymentMethodState, SweepPayments,
    contest::GatewayContest,
    gateway::Attached,
    payment_methods::{add_payment_method, set_default_payment_method},
    settlement::sweep_payments,
};
use chrono::{DateTime, TimeDelta, Utc};
use kernel::{PatientId, PaymentId, PaymentMethodId};
use ports::{PortError, Result};
use postgres::{Pg, core::ConnectionSettings};
use salus_tests::TestSealer;
use serde_json::json;

use crate::support::House;

/// A process that dies after the gateway has answered a charge and before the
/// answer is stored.
struct Dying {
    inner: Arc<dyn PaymentGateway>,
    dies: AtomicBool,
}

#[async_trait]
impl PaymentGateway for Dying {
    async fn ensure_customer(&self, patient: PatientId) -> Result<String> {
        self.inner.ensure_customer(patient).await
    }

    async fn attach_payment_method(
        &self,
        method: PaymentMethodId,
        customer: &str,
        token: &str,
    ) -> Result<Attached> {
        self.inner.attach_payment_method(method, customer, token).await
    }

    async fn detach_payment_method(&self, id: &str) -> Result<()> {
        self.inner.detach_payment_method(id).await
    }

    async fn create_and_confirm_payment_intent(
        &self,
        request: &ChargeRequest,
    ) -> Result<GatewayIntent> {
        let answer = self.inner.create_and_confirm_payment_intent(request).await;
        if self.dies.swap(false, Ordering::SeqCst) {
            assert!(answer.is_ok(), "the charge itself went through");
            return Err(PortError::bug("the process was killed"));
        }
        answer
    }

    async fn retrieve_payment_intent(&self, id: &str) -> Result<GatewayIntent> {
        self.inner.retrieve_payment_intent(id).await
    }

    async fn find_payment_intent(
        &self,
        payment: PaymentId,
        customer: &str,
        since: DateTime<Utc>,
    ) -> Result<Option<GatewayIntent>> {
        self.inner.find_payment_intent(payment, customer, since).await
    }

    async fn contests(&self, id: &str) -> Result<Vec<GatewayContest>> {
        self.inner.contests(id).await
    }

    async fn cancel_payment_intent(&self, id: &str) -> Result<GatewayIntent> {
        self.inner.cancel_payment_intent(id).await
    }
}

#[tokio::test]
async fn the_first_card_pays_and_only_the_signed_notice_makes_it_certain() {
    let house = House::build().await;
    let method = house.add("k1", "pm_card_visa").await.unwrap();
    assert!(method.is_default);
    house.stripe.control("webhooks", json!({ "held": true })).await;
    let invoice = house.bill().await;
    for result in house.run_jobs().await {
        result.unwrap();
    }
    assert_eq!(house.stripe.charges(&invoice).await, 1);
    let payments = house.payments(&invoice).await;
    assert_eq!(payments[0].state.word(), "confirming");
    assert_eq!(house.invoice(&invoice).await.state.word(), "open");
    assert_eq!(house.told("invoice_paid").await, 0);

    house.stripe.control("webhooks", json!({ "held": false })).await;
    house.until(&invoice, "paid").await;
    assert_eq!(house.told("invoice_paid").await, 1);
    assert_eq!(house.payments(&invoice).await[0].state.word(), "succeeded");
}

#[tokio::test]
async fn replayed_and_reordered_notices_pay_once_and_forged_ones_not_at_all() {
    let house = House::build().await;
    house.add("k1", "pm_card_visa").await.unwrap();
    house.stripe.settled().await;
    house.stripe.control("webhooks", json!({ "held": true })).await;
    let invoice = house.bill().await;
    for result in house.run_jobs().await {
        result.unwrap();
    }
    let succeeded = house.stripe.events("payment_intent.succeeded").await.remove(0);
    let count = house.stripe.ask("state").await["pending"].as_array().unwrap().len();
    assert!(count >= 3, "intent created, charge and intent succeeded");

    // The newest first, so that "created" comes after "succeeded".
    house.stripe.control("webhooks", json!({ "held": false, "reverse": true })).await;
    house.until(&invoice, "paid").await;
    for _ in 0..3 {
        house.stripe.control(&format!("events/{succeeded}/replay"), json!({})).await;
    }
    house.stripe.settled().await;
    for result in house.run_jobs().await {
        result.unwrap();
    }
    assert_eq!(house.told("invoice_paid").await, 1);
    assert_eq!(house.stripe.charges(&invoice).await, 1);
}

#[tokio::test]
async fn forged_and_outdated_notices_change_nothing() {
    let house = House::build().await;
    house.add("k1", "pm_card_visa").await.unwrap();
    house.stripe.settled().await;
    house.stripe.control("webhooks", json!({ "held": true })).await;
    let invoice = house.bill().await;
    for result in house.run_jobs().await {
        result.unwrap();
    }
    // The genuine ones never leave; only those with a wrong signature do.
    let succeeded = house.stripe.events("payment_intent.succeeded").await.remove(0);
    for signature in ["bad", "old"] {
        let path = format!("events/{succeeded}/replay");
        house.stripe.control(&path, json!({ "signature": signature })).await;
    }
    salus_tests::eventually("the forged notices to be sent", crate::support::SOON, || async {
        let pending = house.stripe.ask("state").await["pending"].clone();
        let forged = |p: &&serde_json::Value| p["signature"] != "good";
        pending.as_array().unwrap().iter().find(forged).is_none().then_some(())
    })
    .await;
    assert!(house.run_jobs().await.is_empty());
    assert_eq!(house.invoice(&invoice).await.state.word(), "open");
}

#[tokio::test]
async fn a_charge_killed_between_the_answer_and_its_storage_is_found_and_not_repeated() {
    let mut house = House::build().await;
    house.add("k1", "pm_card_visa").await.unwrap();
    house.gateway = Arc::new(Dying { inner: house.gateway.clone(), dies: AtomicBool::new(true) });
    let invoice = house.bill().await;
    let results = house.run_jobs().await;
    assert!(results.iter().any(|r| matches!(r, Err(BillingError::Port(_)))), "{results:?}");
    assert_eq!(house.payments(&invoice).await[0].state.word(), "intended");
    assert_eq!(house.stripe.charges(&invoice).await, 1);

    // The runner would run the job again; so does the sweep, five minutes on.
    house.database.clock.advance(TimeDelta::minutes(6));
    let swept =
        sweep_payments(&house.database.env, &house.database.pg, SweepPayments {}).await.unwrap();
    assert_eq!(swept, 1);
    house.database.clock.advance(-TimeDelta::minutes(6));
    house.until(&invoice, "paid").await;
    assert_eq!(house.stripe.charges(&invoice).await, 1);
    assert_eq!(house.payments(&invoice).await.len(), 1);
    assert_eq!(house.told("invoice_paid").await, 1);
    let state = house.stripe.ask("state").await;
    assert_eq!(state["payment_intents"].as_object().unwrap().len(), 1);
}

#[tokio::test]
async fn a_lost_answer_is_looked_up_before_another_attempt() {
    let house = House::build().await;
    house.add("k1", "pm_card_visa").await.unwrap();
    let invoice = house.bill().await;
    house.stripe.fault("drop_after", "POST /v1/payment_intents").await;
    let results = house.run_jobs().await;
    let unknown = |r: &std::result::Result<(), BillingError>| {
        matches!(r, Err(BillingError::Port(PortError::Unknown { .. })))
    };
    assert!(results.iter().any(unknown), "{results:?}");
    let job = billing::ChargeInvoice { invoice: invoice.id };
    let (env, store) = (&house.database.env, &house.database.pg);
    billing::charge::charge_invoice(env, store, house.gateway.as_ref(), &house.policy, &house, job)
        .await
        .unwrap();
    house.until(&invoice, "paid").await;
    assert_eq!(house.stripe.charges(&invoice).await, 1);
    let creations = house.stripe.ask("requests").await;
    let creations = creations
        .as_array()
        .unwrap()
        .iter()
        .filter(|call| call["method"] == "POST" && call["path"] == "/v1/payment_intents");
    assert_eq!(creations.count(), 1, "the look-up made a second call needless");
}

#[tokio::test]
async fn a_notice_that_never_comes_is_made_up_for_by_the_sweep() {
    let house = House::build().await;
    house.add("k1", "pm_card_visa").await.unwrap();
    house.stripe.control("webhooks", json!({ "held": true })).await;
    let invoice = house.bill().await;
    for result in house.run_jobs().await {
        result.unwrap();
    }
    let (env, store) = (&house.database.env, &house.database.pg);
    assert_eq!(sweep_payments(env, store, SweepPayments {}).await.unwrap(), 0);
    house.database.clock.advance(TimeDelta::minutes(6));
    assert_eq!(sweep_payments(env, store, SweepPayments {}).await.unwrap(), 1);
    assert_eq!(sweep_payments(env, store, SweepPayments {}).await.unwrap(), 0);
    house.until(&invoice, "paid").await;
    assert_eq!(house.told("invoice_paid").await, 1);
}

#[tokio::test]
async fn insufficient_funds_are_tried_again_when_the_schedule_says() {
    let house = House::build().await;
    let method = house.add("k1", "pm_card_visa").await.unwrap();
    let card = format!("cards/{}", method.state.card().unwrap().gateway_id);
    house.stripe.control(&card, json!({ "decline_code": "insufficient_funds" })).await;
    let invoice = house.bill().await;
    for result in house.run_jobs().await {
        result.unwrap();
    }
    house.stripe.settled().await;
    for result in house.run_jobs().await {
        result.unwrap();
    }
    assert_eq!(house.told("payment_failed").await, 1);
    let payments = house.payments(&invoice).await;
    assert_eq!((payments.len(), payments[0].state.word()), (1, "failed"));
    let due = payments[0].retry_at.unwrap();
    assert_eq!(due - payments[0].updated_at, TimeDelta::days(1));

    house.stripe.control(&card, json!({ "decline_code": null })).await;
    // Asking early changes nothing.
    let job = billing::ChargeInvoice { invoice: invoice.id };
    let (env, store) = (&house.database.env, &house.database.pg);
    billing::charge::charge_invoice(env, store, house.gateway.as_ref(), &house.policy, &house, job)
        .await
        .unwrap();
    assert_eq!(house.stripe.charges(&invoice).await, 0);
    house.stripe.control("webhooks", json!({ "held": true })).await;
    house.database.clock.set(due);
    for result in house.run_jobs().await {
        result.unwrap();
    }
    assert_eq!(house.stripe.charges(&invoice).await, 1);
    assert_eq!(house.payments(&invoice).await[1].attempt, 2);
}

#[tokio::test]
async fn a_stolen_card_is_never_tried_again_but_another_card_is_at_once() {
    let house = House::build().await;
    let stolen = house.add("k1", "pm_card_visa").await.unwrap();
    let card = format!("cards/{}", stolen.state.card().unwrap().gateway_id);
    house.stripe.control(&card, json!({ "decline_code": "stolen_card" })).await;
    let invoice = house.bill().await;
    for result in house.run_jobs().await {
        result.unwrap();
    }
    assert_eq!(house.payments(&invoice).await[0].retry_at, None);
    let other = house.add("k2", "pm_card_mastercard").await.unwrap();
    assert!(!other.is_default);
    for result in house.run_jobs().await {
        result.unwrap();
    }
    assert_eq!(house.stripe.charges(&invoice).await, 0);
    set_default_payment_method(&house.database.pg, &house.actor(), other.id).await.unwrap();
    house.until(&invoice, "paid").await;
    assert_eq!(house.stripe.charges(&invoice).await, 1);
}

#[tokio::test]
async fn a_card_that_waits_for_authentication_is_superseded_by_another() {
    let house = House::build().await;
    house.add("k1", "pm_card_authenticationRequired").await.unwrap();
    let invoice = house.bill().await;
    for result in house.run_jobs().await {
        result.unwrap();
    }
    assert_eq!(house.payments(&invoice).await[0].state.word(), "requires_action");
    assert_eq!(house.told("payment_failed").await, 1);
    let other = house.add("k2", "pm_card_visa").await.unwrap();
    set_default_payment_method(&house.database.pg, &house.actor(), other.id).await.unwrap();
    house.until(&invoice, "paid").await;
    let words: Vec<_> =
        house.payments(&invoice).await.iter().map(|payment| payment.state.word()).collect();
    assert_eq!(words, ["canceled", "succeeded"]);
    assert_eq!(house.stripe.charges(&invoice).await, 1);
}

#[tokio::test]
async fn an_invoice_without_a_card_waits_for_one() {
    let house = House::build().await;
    let invoice = house.bill().await;
    for result in house.run_jobs().await {
        result.unwrap();
    }
    assert_eq!(house.told("payment_failed").await, 1);
    house.add("k1", "pm_card_visa").await.unwrap();
    house.until(&invoice, "paid").await;
}

#[tokio::test]
async fn a_doubled_submission_adds_one_card_to_one_customer() {
    let house = House::build().await;
    let (first, second) =
        tokio::join!(house.add("same", "pm_card_visa"), house.add("same", "pm_card_visa"));
    assert_eq!(first.unwrap().id, second.unwrap().id);
    let (third, fourth) =
        tokio::join!(house.add("a", "pm_card_visa"), house.add("b", "pm_card_mastercard"));
    assert_ne!(third.unwrap().id, fourth.unwrap().id);
    let state = house.stripe.ask("state").await;
    assert_eq!(state["customers"].as_object().unwrap().len(), 1);
    let refused = house.add("c", "pm_card_chargeDeclined").await;
    assert!(matches!(refused, Err(BillingError::CardDeclined { .. })), "{refused:?}");
}

#[tokio::test]
async fn a_repeat_holds_no_connection_while_it_asks_the_gateway() {
    let house = House::build().await;
    house.stripe.fault("drop_after", "POST /v1/customers").await;
    house.add("k1", "pm_card_visa").await.unwrap_err();
    let (env, url) = (&house.database.env, house.database.url.clone());
    let settings = ConnectionSettings { url, max_connections: 1 };
    let pool = postgres::core::Pg::connect(&settings).await.unwrap();
    let pg = Pg::new(pool, env.clone(), Arc::new(TestSealer));
    let (actor, key, gateway) = (house.actor(), house.key("k1"), house.gateway.as_ref());
    let added = add_payment_method(env, &pg, gateway, &actor, &key, "pm_card_visa").await;
    assert!(matches!(added.unwrap().state, PaymentMethodState::Active { .. }));
}
