//! The journey with vendors that fail, hang and lose their answers, and with
//! notices that come again, in another order, or from somebody else.

use std::time::Duration;

use reqwest::Method;
use serde_json::{Value, json};

use crate::{
    demo::{demo, look, nothing_happened_twice},
    server::Server,
};

/// What each vendor does wrong: where it is told so, what it does, and to which
/// calls. They hit whoever comes first one after another, with the back-off
/// between them, so there are few of each.
const FAULTS: &[(&str, &str, &str, Option<&str>)] = &[
    ("stripe", "/_control/faults", "drop_after", Some("POST /v1/payment_intents")),
    ("stripe", "/_control/faults", "status_500", Some("POST /v1/payment_intents")),
    ("stripe", "/_control/faults", "hang", Some("POST /v1/payment_intents")),
    ("stripe", "/_control/faults", "drop_after", Some("/attach")),
    ("erx", "/_control/faults", "drop_after", None),
    ("erx", "/_control/faults", "status_500", None),
    ("erx", "/_control/faults", "hang", None),
    ("easypost", "/_control/faults", "drop_after", Some("/buy")),
    ("easypost", "/_control/faults", "status_500", Some("/buy")),
    ("easypost", "/_control/faults", "hang", Some("/shipments")),
    ("smtp", "/_control/faults", "refuse_data", None),
    ("smtp", "/_control/faults", "drop_after", None),
    ("opentok", "/_control/fault", "status_500", None),
];

#[tokio::test(flavor = "multi_thread")]
async fn vendors_that_fail_and_notices_that_return_change_nothing() {
    let server = Server::start();
    for (vendor, path, fault, calls) in FAULTS {
        let fault = json!({ "fault": fault, "times": 1, "path": calls });
        let answer = server.client.emulator_call(vendor, Method::POST, path, Some(fault)).await;
        answer.expect("the emulator").done(vendor).expect("a fault that waits");
    }
    let out = tempfile::tempdir().expect("a folder");
    let output = demo(&server, out.path()).output().expect("running the demo");
    let said = String::from_utf8_lossy(&output.stdout).into_owned();
    assert!(output.status.success(), "{said}{}", String::from_utf8_lossy(&output.stderr));
    assert_eq!(said.matches("✓").count(), 10, "{said}");
    for vendor in ["stripe", "easypost"] {
        let state = look(&server, vendor, "/_control/state").await;
        let waiting: Vec<&Value> = state["faults"]
            .as_array()
            .into_iter()
            .flatten()
            .filter(|fault| fault["times"] != 0)
            .collect();
        assert!(waiting.is_empty(), "{vendor} never got to fail: {waiting:?}");
    }
    nothing_happened_twice(&server).await;
    notices_again(&server).await;
    notices_of_somebody_else(&server).await;
    assert!(server.command(&["audit", "verify"]).status.success());
}

/// What the notices could change.
pub fn standing(server: &Server) -> String {
    server.sql(
        "SELECT 'invoice', id, status, version FROM invoices \
         UNION ALL SELECT 'payment', id, status, version FROM payments \
         UNION ALL SELECT 'subscription', id, state, version FROM subscriptions \
         UNION ALL SELECT 'shipment', id, status, version FROM shipments \
         UNION ALL SELECT 'prescription', id, state, version FROM prescriptions ORDER BY 1, 2",
    )
}

pub async fn delivered(server: &Server, vendor: &str) {
    salus_tests::eventually("the notices to be delivered", Duration::from_secs(60), || async {
        let state = look(server, vendor, "/_control/state").await;
        state["pending"].as_array().is_some_and(Vec::is_empty).then_some(())
    })
    .await;
}

pub async fn settled(server: &Server) {
    salus_tests::eventually("the jobs to be done", Duration::from_secs(60), || async {
        let waiting = "SELECT (SELECT count(*) FROM graphile_worker._private_jobs \
                               WHERE run_at <= now() AND attempts < max_attempts) \
                            + (SELECT count(*) FROM deliveries WHERE attempts < 25)";
        (server.sql(waiting).trim() == "0").then_some(())
    })
    .await;
}

async fn replay(server: &Server, vendor: &str, order: &Value) -> usize {
    let state = look(server, vendor, "/_control/state").await;
    let events = state["events"].as_array().expect("events").clone();
    for event in events.iter().rev() {
        let path = format!("/_control/events/{}/replay", event["id"].as_str().expect("an id"));
        let order = Some(order.clone());
        let answer = server.client.emulator_call(vendor, Method::POST, &path, order).await;
        answer.expect("the emulator").done("replaying").expect("a known event");
    }
    events.len()
}

/// Every notice once more, the last one first.
async fn notices_again(server: &Server) {
    settled(server).await;
    let before = standing(server);
    assert!(before.contains("invoice") && before.contains("delivered"), "{before}");
    for vendor in ["stripe", "easypost"] {
        assert!(replay(server, vendor, &json!({})).await > 10, "{vendor} told of too little");
        delivered(server, vendor).await;
    }
    settled(server).await;
    assert_eq!(standing(server), before);
    nothing_happened_twice(server).await;
}

/// Notices without a proof of where they come from are refused, and what they
/// say does not count.
async fn notices_of_somebody_else(server: &Server) {
    let before = standing(server);
    let event = json!({
        "id": "evt_forged", "object": "event", "type": "payment_intent.succeeded",
        "created": 1, "data": { "object": { "id": "pi_forged", "object": "payment_intent" } },
    });
    let http = reqwest::Client::new();
    for (path, header, value) in [
        ("stripe", "Stripe-Signature", "t=1,v1=00"),
        ("easypost", "X-Hmac-Signature", "hmac-sha256-hex=00"),
        ("erx", "Authorization", "Basic cGhhcm1hY3k6d3Jvbmc="),
        ("opentok", "Authorization", "Bearer forged"),
    ] {
        let url = format!("{}/webhooks/{path}", server.url());
        for request in [http.post(&url).header(header, value), http.post(&url)] {
            let content = if path == "erx" { "application/xml" } else { "application/json" };
            let request = request.header("Content-Type", content).body(event.to_string());
            let status = request.send().await.expect("an answer").status().as_u16();
            assert!(matches!(status, 400 | 401), "{path}: {status}");
        }
    }
    settled(server).await;
    assert_eq!(standing(server), before);
}
