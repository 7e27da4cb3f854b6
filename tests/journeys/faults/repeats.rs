//! The same request twice, one after another and at once.

use std::time::Duration;

use reqwest::Method;
use serde_json::{Value, json};

use super::{once, request};
use crate::{authorization::patient, server::Server};

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
}
