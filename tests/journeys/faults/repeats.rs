//! The same request twice, one after another and at once.

use std::time::Duration;

use reqwest::Method;
use serde_json::{Value, json};

use super::{
    once,
    patient::{Patient, SOON, slot, text},
    request,
};
use crate::{authorization::patient, demo::look, server::Server};

#[tokio::test(flavor = "multi_thread")]
async fn a_request_that_comes_again_is_done_once() {
    let server = Server::start();
    let session = patient(&server.client, "repeats").await;
    let token = session["access_token"].as_str().expect("a token").to_owned();
    let add = |key: &str, card: &str| {
        let request = request(&server, Method::POST, "/api/payment-methods", &token)
            .header("Idempotency-Key", key)
            .json(&json!({ "payment_method": card }));
        once(request)
    };
    let all = futures::future::join_all((0..8).map(|_| add("one", "pm_card_visa"))).await;
    let ids: std::collections::BTreeSet<String> = all
        .iter()
        .map(|seen| {
            assert!(seen.status < 300, "{} {}", seen.status, seen.body);
            seen.body["id"].to_string()
        })
        .collect();
    assert_eq!(ids.len(), 1, "{ids:?}");
    let other = add("one", "pm_card_mastercard").await;
    assert_eq!(other.problem(), (409, "idempotency_key_reused", vec![]), "{}", other.body);
    let own = once(request(&server, Method::GET, "/api/payment-methods", &token)).await;
    assert_eq!(own.body["payment_methods"].as_array().map(Vec::len), Some(1), "{}", own.body);
    let state = server.client.emulator_call("stripe", Method::GET, "/_control/state", None).await;
    let state = state.expect("the emulator").json().expect("JSON");
    let attached = state["payment_methods"].as_object().expect("methods").values();
    let attached: Vec<&Value> = attached.filter(|card| !card["customer"].is_null()).collect();
    assert_eq!(attached.len(), 1, "{attached:#?}");

    for key in ["", "with space", &"x".repeat(256)] {
        let refused = add(key, "pm_card_visa").await;
        let (status, kind, _) = refused.problem();
        assert_eq!((status, kind), (422, "idempotency_key_invalid"), "{key}: {}", refused.body);
    }
    let bare = request(&server, Method::POST, "/api/payment-methods", &token);
    let bare = once(bare.json(&json!({ "payment_method": "pm_card_visa" }))).await;
    assert_eq!(bare.status, 400, "{}", bare.body);

    // Eight registrations of one address at once make one account, and nobody
    // is told which of them it was.
    let accounts = || {
        let count = server.sql("SELECT count(*) FROM identity_accounts");
        count.trim().parse::<i64>().expect("a count")
    };
    let before = accounts();
    let credentials =
        json!({ "email": "at-once@patients.example", "password": "long-enough-it-is" });
    let all = futures::future::join_all((0..8).map(|_| {
        once(request(&server, Method::POST, "/api/auth/register", "").json(&credentials))
    }))
    .await;
    let answers: Vec<u16> = all.iter().map(|seen| seen.status).collect();
    assert_eq!(answers, [202; 8]);
    let mails = salus_tests::eventually("the mails", Duration::from_secs(30), || async {
        let path = "/_control/messages?to=at-once%40patients.example";
        let mails = server.client.emulator_call("smtp", Method::GET, path, None).await.ok()?;
        let mails = mails.json().ok()?.as_array()?.clone();
        (!mails.is_empty()).then_some(mails)
    })
    .await;
    let links = mails.iter().filter(|mail| mail["text"].to_string().contains("?token=")).count();
    assert_eq!(links, 1, "{mails:#?}");
    assert_eq!(accounts(), before + 1);
    journey_at_once(&server).await;
}

/// The steps of the journey that make medicine, money and messages, each eight
/// times at once.
async fn journey_at_once(server: &Server) {
    let patient = Patient::arrive(server, "at-once-too").await;
    let form = patient.form().await;
    let all = (0..8).map(|_| patient.post("/api/forms/submit", "submit", &form));
    let response = one_id(futures::future::join_all(all).await);
    let mut other = form.clone();
    other["answers"]["blood_donor"] = json!(true);
    let other = patient.post("/api/forms/submit", "submit", &other).await;
    assert_eq!(other.problem(), (409, "idempotency_key_reused", vec![]), "{}", other.body);
    let plan = patient.plan().await;
    patient.prescription().await;
    let history = patient.get(&format!("/api/forms/history/{}", patient.id)).await;
    assert_eq!(history["responses"].as_array().map(Vec::len), Some(1), "{history}");
    assert_eq!(history["responses"][0]["id"], response.as_str());
    let assessments = patient.get("/api/assessments").await;
    assert_eq!(assessments["assessments"].as_array().map(Vec::len), Some(1), "{assessments}");

    // Another's key of the same letters is another key.
    let card = patient.card("one", "pm_card_amex").await;
    assert_eq!(card["last4"], "8431");

    // A video visit takes a plan that has it.
    let early = json!({ "provider_id": plan["provider_id"], "starts_at": slot(9) });
    let refused = patient.post("/api/consultations/video/create", "early", &early).await;
    let told = (403, "subscriptions.feature_not_included", vec![]);
    assert_eq!(refused.problem(), told, "{}", refused.body);

    // Eight purchases of two prices, each with a key of its own: one stands.
    let prices = patient.prices().await;
    let keys: Vec<String> = (0..8).map(|at| format!("subscribe-{at}")).collect();
    let all = keys.iter().enumerate().map(|(at, key)| patient.subscribe(key, &prices[at % 2]));
    let all = futures::future::join_all(all).await;
    let done: Vec<usize> = (0..8).filter(|at| all[*at].status < 300).collect();
    let [winner] = done[..] else { panic!("{} purchases stand", done.len()) };
    for (at, seen) in all.iter().enumerate().filter(|(at, _)| *at != winner) {
        let problem = seen.problem();
        assert_eq!(
            problem,
            (409, "subscriptions.already_subscribed", vec![]),
            "{at}: {}",
            seen.body
        );
    }
    let again = patient.subscribe(&keys[winner], &prices[winner % 2]).await;
    assert!(again.status < 300, "{}", again.body);
    assert_eq!(again.body["id"], all[winner].body["id"]);
    let other = patient.subscribe(&keys[winner], &prices[1 - winner % 2]).await;
    assert_eq!(other.problem(), (409, "idempotency_key_reused", vec![]), "{}", other.body);
    let invoice = patient.invoice("paid").await;
    assert_eq!(invoice["total"], prices[winner % 2]["amount"]);
    patient.shipment().await;
    let charges = look(server, "stripe", "/_control/charges").await;
    assert_eq!(charges["charges"].as_array().map(Vec::len), Some(1), "{charges:#}");
    let subscriptions = patient.get(&format!("/api/subscriptions/multi/{}", patient.id)).await;
    assert_eq!(subscriptions["subscriptions"].as_array().map(Vec::len), Some(1));

    let provider = text(&plan, "provider_id");
    let message = json!({ "recipient_id": provider, "topic": "treatment", "body": "Good day." });
    let all = (0..8).map(|_| patient.post("/api/messages/send", "message", &message));
    one_id(futures::future::join_all(all).await);
    let threads = patient.get(&format!("/api/messages/threads/{}", patient.id)).await;
    let thread = text(&threads["threads"][0], "id");
    let thread = patient.get(&format!("/api/messages/{thread}")).await;
    assert_eq!(thread["messages"].as_array().map(Vec::len), Some(1), "{thread}");

    // One slot, asked for eight times: one consultation with one room.
    let booking = json!({ "provider_id": provider, "starts_at": slot(8) });
    let keys: Vec<String> = (0..8).map(|at| format!("book-{at}")).collect();
    let all = keys.iter().map(|key| patient.post("/api/consultations/video/create", key, &booking));
    let all = futures::future::join_all(all).await;
    let mut answers: Vec<u16> = all.iter().map(|seen| seen.status).collect();
    answers.sort_unstable();
    assert!(answers[0] < 300 && answers[1..] == [409; 7], "{answers:?}");
    let sessions = salus_tests::eventually("the room", SOON, || async {
        let state = look(server, "opentok", "/_control/state").await;
        let sessions = state["sessions"].as_array().expect("sessions").clone();
        (!sessions.is_empty()).then_some(sessions)
    })
    .await;
    assert_eq!(sessions.len(), 1, "{sessions:#?}");
}

/// The id that all these answers have.
fn one_id(all: Vec<super::Seen>) -> String {
    let ids: std::collections::BTreeSet<String> = all
        .iter()
        .map(|seen| {
            assert!(seen.status < 300, "{} {}", seen.status, seen.body);
            text(&seen.body, "id")
        })
        .collect();
    assert_eq!(ids.len(), 1, "{ids:?}");
    ids.into_iter().next().expect("one")
}
