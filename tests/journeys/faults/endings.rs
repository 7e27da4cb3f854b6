//! What ends is paid for no longer: canceled subscriptions, and those whose
//! treatment is over.

use reqwest::Method;
use serde_json::{Value, json};

use super::{
    once,
    patient::{Patient, SOON, text},
    request, staff_token,
};
use crate::{demo::look, server::Server};

async fn cancel(patient: &Patient<'_>, id: &str) -> super::Seen {
    let path = format!("/api/subscriptions/{id}/cancel");
    once(patient.ask(Method::POST, &path).json(&json!({ "when": "now" }))).await
}

async fn subscription(patient: &Patient<'_>, id: &str, wanted: &str) -> Value {
    let path = format!("/api/subscriptions/{id}");
    salus_tests::eventually(&format!("a subscription that is {wanted}"), SOON, || async {
        Some(patient.get(&path).await).filter(|found| found["status"] == wanted)
    })
    .await
}

async fn invoices(patient: &Patient<'_>, status: &str, count: usize) -> Vec<Value> {
    salus_tests::eventually(&format!("{count} invoices that are {status}"), SOON, || async {
        let found = patient.invoices().await;
        let found: Vec<Value> =
            found.into_iter().filter(|invoice| invoice["status"] == status).collect();
        (found.len() == count).then_some(found)
    })
    .await
}

async fn charges(server: &Server) -> Vec<Value> {
    let charges = look(server, "stripe", "/_control/charges").await;
    charges["charges"].as_array().expect("charges").clone()
}

#[tokio::test(flavor = "multi_thread")]
async fn a_canceled_subscription_is_neither_charged_nor_sent_anything() {
    let server = Server::start();
    let patient = Patient::arrive(&server, "canceler").await;
    patient.submit().await;
    patient.prescription().await;
    let prices = patient.prices().await;
    let (cheap, dear) = (&prices[0], &prices[1]);

    // Without a card nothing is sold.
    let poor = patient.subscribe("poor", dear).await;
    assert_eq!(poor.problem(), (409, "subscriptions.no_payment_method", vec![]), "{}", poor.body);
    // With one that is declined: the dear one is canceled, eight times at once,
    // and the cheap one kept.
    patient.card("declined", "pm_card_chargeCustomerFail").await;
    let canceled = text(&patient.subscribe("dear", dear).await.body, "id");
    invoices(&patient, "open", 1).await;
    let all = futures::future::join_all((0..8).map(|_| cancel(&patient, &canceled))).await;
    for seen in &all {
        assert_eq!(seen.status, 200, "{}", seen.body);
        assert_eq!(seen.body["status"], "canceled");
    }
    let void = invoices(&patient, "void", 1).await;
    assert_eq!(void[0]["total"], dear["amount"]);
    let kept = text(&patient.subscribe("cheap", cheap).await.body, "id");
    invoices(&patient, "open", 1).await;
    let good = patient.card("card", "pm_card_visa").await;
    let default = patient
        .ask(Method::PUT, &format!("/api/payment-methods/{}", text(&good, "id")))
        .json(&json!({ "is_default": true }));
    assert_eq!(once(default).await.status, 200);
    subscription(&patient, &kept, "active").await;
    patient.shipment().await;
    let paid = invoices(&patient, "paid", 1).await;
    assert_eq!(paid[0]["total"], cheap["amount"]);
    let charged = charges(&server).await;
    assert_eq!(charged.len(), 1, "{charged:#?}");
    assert_eq!(charged[0]["amount"], cheap["amount"]["minor"]);
    subscription(&patient, &canceled, "canceled").await;

    // A card that is asked for authentication never pays: once its subscription
    // is canceled it may go, and a better one pays for nothing.
    let other = Patient::arrive(&server, "unauthenticated").await;
    other.submit().await;
    other.prescription().await;
    let card = text(&other.card("card", "pm_card_authenticationRequired").await, "id");
    let intents = |status: &'static str| {
        let server = &server;
        async move {
            let state = look(server, "stripe", "/_control/state").await;
            let intents = state["payment_intents"].as_object().expect("intents").clone();
            intents.values().filter(|intent| intent["status"] == status).count()
        }
    };
    let (asked, called_off) = (intents("requires_payment_method").await, intents("canceled").await);
    let waiting = text(&other.subscribe("one", cheap).await.body, "id");
    salus_tests::eventually("the card to be asked", SOON, || async {
        (intents("requires_payment_method").await == asked + 1).then_some(())
    })
    .await;
    let gone = cancel(&other, &waiting).await;
    assert_eq!(gone.status, 200, "{}", gone.body);
    invoices(&other, "void", 1).await;
    assert_eq!(intents("canceled").await, called_off + 1);
    let path = format!("/api/payment-methods/{card}");
    let removed = once(other.ask(Method::DELETE, &path)).await;
    assert_eq!(removed.status, 204, "{}", removed.body);
    other.card("better", "pm_card_visa").await;
    assert_eq!(other.invoices().await.len(), 1);
    assert_eq!(charges(&server).await.len(), 1);
}

#[tokio::test(flavor = "multi_thread")]
async fn a_subscription_ends_with_its_treatment_and_none_is_sold_without() {
    let server = Server::start();
    let patient = Patient::arrive(&server, "ended").await;
    patient.submit().await;
    let plan = text(&patient.plan().await, "id");
    patient.prescription().await;
    let prices = patient.prices().await;
    patient.card("card", "pm_card_visa").await;
    let bought = text(&patient.subscribe("first", &prices[0]).await.body, "id");
    subscription(&patient, &bought, "active").await;
    patient.shipment().await;

    let provider = staff_token(&server, "maren.lindqvist@salus.example").await;
    let path = format!("/api/treatment-plans/{plan}/revoke");
    let body = json!({ "reason": "adverse_reaction" });
    let revoked = once(request(&server, Method::POST, &path, &provider).json(&body)).await;
    assert_eq!(revoked.status, 200, "{}", revoked.body);
    salus_tests::eventually("the renewal to be stopped", SOON, || async {
        let found = patient.get(&format!("/api/subscriptions/{bought}")).await;
        (found["cancel_at_period_end"] == true && found["status"] == "active").then_some(())
    })
    .await;
    salus_tests::eventually("the patient to be told", SOON, || async {
        let found = patient.get(&format!("/api/notifications/{}", patient.id)).await;
        let text = found.to_string();
        text.contains("subscription_stopped").then_some(())
    })
    .await;
    let history = patient.get(&format!("/api/subscriptions/{bought}/history")).await;
    let last = history["changes"].as_array().and_then(|changes| changes.last()).cloned();
    assert_eq!(last.expect("a change")["reason"], "treatment_ended");

    // Nothing more is sold, and nobody is charged for it.
    assert_eq!(cancel(&patient, &bought).await.status, 200);
    let refused = patient.subscribe("second", &prices[0]).await;
    assert_eq!(refused.problem(), (409, "subscriptions.not_treated", vec![]), "{}", refused.body);
    assert_eq!(charges(&server).await.len(), 1);
}
