//! Notices of the vendors, signed here with secrets that the server was given:
//! genuine ones count once in whatever order they come, and no other counts.

use base64::{Engine as _, prelude::BASE64_STANDARD};
use jsonwebtoken::{EncodingKey, Header};
use ports::Clock as _;
use reqwest::{Method, RequestBuilder};
use serde_json::{Value, json};
use sha2::{Digest as _, Sha256};

use super::{
    Seen, once,
    patient::{Patient, SOON, text},
    vendors::{delivered, settled, standing},
};
use crate::{demo::look, server::Server, staff::Desk};

const STRIPE: &str = "whsec_of_the_journey";
const EASYPOST: &str = "a carrier's secret with an \u{e9}";
const ERX: &str = "a-pharmacy-password";
const OPENTOK: &str = "a-callback-secret-of-32-letters!";

#[tokio::test(flavor = "multi_thread")]
async fn only_genuine_notices_count_once_and_in_any_order() {
    let server = Server::start_with(&[
        ("SALUS_STRIPE__WEBHOOK_SECRET", STRIPE),
        ("SALUS_EASYPOST__WEBHOOK_SECRET", EASYPOST),
        ("SALUS_ERX__INBOUND_PASSWORD", ERX),
        ("SALUS_OPENTOK__CALLBACK_SECRET", OPENTOK),
    ]);
    let patient = Patient::arrive(&server, "notices").await;
    of_the_pharmacy(&patient).await;
    of_the_gateway(&patient).await;
    of_the_carrier(&patient).await;
    of_the_video_vendor(&patient).await;
    assert!(server.command(&["audit", "verify"]).status.success());
}

/// Genuine notices of another shape are taken, what can be used of them counts,
/// and the rest is shown to staff until somebody has seen to it.
#[tokio::test(flavor = "multi_thread")]
async fn what_cannot_be_used_of_a_genuine_notice_is_shown_to_staff() {
    let server = Server::start_with(&[
        ("SALUS_STRIPE__WEBHOOK_SECRET", STRIPE),
        ("SALUS_EASYPOST__WEBHOOK_SECRET", EASYPOST),
        ("SALUS_ERX__INBOUND_PASSWORD", ERX),
        ("SALUS_OPENTOK__CALLBACK_SECRET", OPENTOK),
    ]);
    let admin = Desk::of(&server, "admin").await;
    let all = async || admin.get("/api/admin/unread-notices").await["notices"].clone();
    let shown = async |vendor: &str| {
        let found = all().await;
        let of = |one: &&Value| one["vendor"] == vendor;
        found.as_array().expect("notices").iter().filter(of).count()
    };
    assert_eq!(all().await, json!([]));

    let patient = Patient::arrive(&server, "odd").await;
    patient.submit().await;
    patient.prescription().await;
    patient.card("card", "pm_card_visa").await;
    let price = patient.prices().await.remove(0);
    assert_eq!(patient.subscribe("one", &price).await.status, 200);
    let tracking = text(&patient.shipment().await, "tracking_number");
    settled(&server).await;

    let stripe = async |body: &str| {
        let header = signed(body, STRIPE, now());
        once(notice(&server, "stripe", body).header("Stripe-Signature", header)).await.status
    };
    let odd = [
        "nonsense",
        "[]",
        "{\"id\": 5}",
        r#"{"id":"evt_a","type":"charge.refunded","created":1}"#,
        r#"{"id":"evt_b","type":"charge.refunded","created":1,"data":[]}"#,
        r#"{"id":"evt_c","type":"charge.dispute.created","created":1,
            "data":{"object":{"object":"dispute","payment_intent":null}}}"#,
        r#"{"id":"evt_d","object":"v2.core.event","type":"v1.charge.refunded",
            "created":"2026-11-28T10:00:00.000Z","related_object":{"id":"ch_1","type":"charge"}}"#,
    ];
    for body in odd {
        for _ in 0..2 {
            assert_eq!(stripe(body).await, 200, "{body}");
        }
    }
    assert_eq!(shown("stripe").await, odd.len(), "each once: {:#}", all().await);
    // A thin event that names the payment counts like any other.
    let intent = server.sql("SELECT gateway_id FROM payments WHERE status = 'succeeded'");
    let thin = json!({
        "id": "evt_thin", "object": "v2.core.event", "type": "v1.payment_intent.succeeded",
        "created": "2026-11-28T10:00:00.000Z",
        "related_object": { "id": intent.trim(), "type": "payment_intent" },
    });
    assert_eq!(stripe(&thin.to_string()).await, 200);
    assert_eq!(count(&server, "gateway_notices WHERE id = 'evt_thin' AND intent LIKE 'pi_%'"), 1);
    assert_eq!(shown("stripe").await, odd.len());
    let refused = once(
        notice(&server, "stripe", odd[0])
            .header("Stripe-Signature", signed(odd[0], "other", now())),
    )
    .await;
    assert_eq!(refused.status, 400, "{}", refused.body);

    // One bad detail beside a good one: the good one counts.
    let secret = EASYPOST.replace('\u{e9}', "e\u{301}");
    let easypost = async |body: &Value| {
        let body = body.to_string();
        let header = format!("hmac-sha256-hex={}", hmac(&secret, &body));
        once(notice(&server, "easypost", &body).header("X-Hmac-Signature", header)).await.status
    };
    let state = look(&server, "easypost", "/_control/state").await;
    let last = state["events"].as_array().and_then(|events| events.last()).expect("an event");
    let mut event: Value = serde_json::from_str(&text(last, "body")).expect("an event");
    let good = json!({ "status": "out_for_delivery", "datetime": "2199-01-01T10:00:00Z" });
    event["id"] = json!("evt_beside");
    event["result"]["tracking_details"] = json!([null, { "status": 7 }, good]);
    assert_eq!(easypost(&event).await, 200);
    let found = patient.get(&format!("/api/shipments/{tracking}")).await;
    assert_eq!(found["shipment"]["status"], "out_for_delivery", "{found}");
    assert_eq!(shown("easypost").await, 1);
    // No details at all: the tracker speaks through its own status.
    event["id"] = json!("evt_null");
    event["result"]["tracking_details"] = Value::Null;
    event["result"]["status"] = json!("delivered");
    event["result"]["updated_at"] = json!("2199-01-02T10:00:00Z");
    assert_eq!(easypost(&event).await, 200);
    let found = patient.get(&format!("/api/shipments/{tracking}")).await;
    assert_eq!(found["shipment"]["status"], "delivered", "{found}");
    for (number, body) in [
        json!([]),
        json!({ "id": "evt_x" }),
        json!({
            "id": "evt_y", "description": "tracker.updated", "result": null,
        }),
    ]
    .iter()
    .enumerate()
    {
        assert_eq!(easypost(body).await, 200, "{body}");
        assert_eq!(shown("easypost").await, number + 2, "{body}");
    }

    // A message that Salus does not know is answered with an Error, and a person
    // reads it.
    let basic = format!("Basic {}", BASE64_STANDARD.encode(format!("pharmacy:{ERX}")));
    let renewal = "<Message><Header><MessageID>r1</MessageID></Header><Body><RxRenewalRequest/>\
                   </Body></Message>";
    let nul = renewal.replace("r1", "r1&#0;");
    for body in [renewal.as_bytes(), nul.as_bytes(), b"no message", b"\xff\xfe"] {
        let sent = reqwest::Client::new()
            .post(format!("{}/webhooks/erx", server.url()))
            .header("Content-Type", "application/xml")
            .header("Authorization", &basic)
            .body(body.to_vec());
        let answer = sent.send().await.expect("an answer");
        assert_eq!(answer.status().as_u16(), 200);
        assert!(answer.text().await.expect("a message").contains("<Error>"));
    }
    assert_eq!(shown("erx").await, 4);
    let odd = [
        "{",
        "[]",
        r#"{"event":"connectionCreated"}"#,
        r#"{"sessionId":"s\u0000","event":"connectionCreated"}"#,
        r#"{"sessionId":"s","projectId":"1","event":"connectionCreated"}"#,
    ];
    for body in odd {
        let path = format!("{}/webhooks/opentok?secret={OPENTOK}", server.url());
        let sent = reqwest::Client::new().post(path).body(body.to_owned());
        let sent = sent.header("Content-Type", "application/json");
        assert_eq!(once(sent).await.status, 200, "{body}");
    }
    assert_eq!(shown("opentok").await, odd.len());

    // Somebody reads one and settles it.
    let found = all().await;
    let mut erx = found.as_array().expect("notices").iter().filter(|one| one["vendor"] == "erx");
    let path = format!("/api/admin/unread-notices/{}", text(erx.next().expect("one"), "id"));
    let read = admin.get(&path).await;
    assert_eq!(read["body"], json!(renewal), "{read}");
    let complete = format!("{path}/complete");
    let short = once(admin.ask(Method::POST, &complete).json(&json!({ "note": " " }))).await;
    assert_eq!(
        short.problem(),
        (422, "invalid_body", vec!["note required".to_owned()]),
        "{}",
        short.body
    );
    let note = json!({ "note": "Phoned the pharmacy." });
    let done = once(admin.ask(Method::POST, &complete).json(&note)).await;
    assert_eq!((done.status, &done.body["note"]), (200, &note["note"]), "{}", done.body);
    let again = once(admin.ask(Method::POST, &complete).json(&note)).await;
    assert_eq!(again.problem(), (409, "compliance.notice_done", vec![]), "{}", again.body);
    assert_eq!(shown("erx").await, 3);
    let nobody = "/api/admin/unread-notices/0192f0c1-a0b0-7c00-8000-00000000000a";
    assert_eq!(once(admin.ask(Method::GET, nobody)).await.status, 404);
    let leaked = "unread_notices WHERE position('RxRenewal' in encode(body, 'escape')) > 0";
    assert_eq!(count(&server, leaked), 0, "it is sealed");
}

pub async fn control(server: &Server, vendor: &str, path: &str, order: Value) {
    let answer = server.client.emulator_call(vendor, Method::POST, path, Some(order)).await;
    answer.expect("the emulator").done(path).expect("an order that is taken");
}

fn count(server: &Server, what: &str) -> i64 {
    server.sql(&format!("SELECT count(*) FROM {what}")).trim().parse().expect("a count")
}

fn now() -> i64 {
    salus::system::SystemClock.now().timestamp()
}

fn notice(server: &Server, vendor: &str, body: &str) -> RequestBuilder {
    let content = if vendor == "erx" { "application/xml" } else { "application/json" };
    reqwest::Client::new()
        .post(format!("{}/webhooks/{vendor}", server.url()))
        .header("Content-Type", content)
        .body(body.to_owned())
}

fn hex(bytes: &[u8]) -> String {
    bytes.iter().map(|byte| format!("{byte:02x}")).collect()
}

/// HMAC-SHA256 (RFC 2104), in hex.
fn hmac(secret: &str, message: &str) -> String {
    assert!(secret.len() <= 64, "a longer secret is hashed first");
    let pad = |with: u8| {
        let mut block = [with; 64];
        secret.bytes().enumerate().for_each(|(at, byte)| block[at] ^= byte);
        block
    };
    let inner = Sha256::new().chain_update(pad(0x36)).chain_update(message).finalize();
    hex(&Sha256::new().chain_update(pad(0x5c)).chain_update(inner).finalize())
}

#[test]
fn the_signature_of_these_tests_is_that_of_the_standard() {
    let expected = "5bdcc146bf60754e6a042426089575c75a003f089d2739839dec58b964ec3843";
    assert_eq!(hmac("Jefe", "what do ya want for nothing?"), expected);
}

/// Sends the same notice eight times at once.
async fn eight(send: impl Fn() -> RequestBuilder) {
    let all = futures::future::join_all((0..8).map(|_| once(send()))).await;
    let answers: Vec<u16> = all.iter().map(|seen| seen.status).collect();
    assert_eq!(answers, [200; 8], "{:?}", all.iter().map(|seen| &seen.body).collect::<Vec<_>>());
}

/// The Verify comes before the Status that it follows, and comes twice.
async fn of_the_pharmacy(patient: &Patient<'_>) {
    let server = patient.server;
    for fault in ["verify_first", "duplicate_verify"] {
        let order = json!({ "fault": fault, "times": 1 });
        control(server, "erx", "/_control/faults", order).await;
    }
    patient.submit().await;
    let prescription = patient.prescription().await;
    let message = salus_tests::eventually("both Verifies", SOON, || async {
        let messages = look(server, "erx", "/_control/messages").await;
        assert_eq!(messages.as_array().map(Vec::len), Some(1), "{messages}");
        (messages[0]["verify_attempts"] == 2).then(|| messages[0].clone())
    })
    .await;
    assert_eq!(message["deliveries"], 1, "{message}");
    settled(server).await;
    assert_eq!(count(server, "erx_received WHERE kind = 'verify'"), 1);
    let path = format!("/api/prescriptions/status/{}", text(&prescription, "id"));
    assert_eq!(patient.get(&path).await["status"], "active");

    let verify = |id: &str, relates_to: &str| {
        format!(
            "<Message><Header><MessageID>{id}</MessageID><RelatesToMessageID>{relates_to}\
             </RelatesToMessageID></Header><Body><Error><Code>900</Code><Description>No.\
             </Description></Error></Body></Message>"
        )
    };
    let ours = text(&message, "message_id");
    let basic = |user: &str, password: &str| {
        format!("Basic {}", BASE64_STANDARD.encode(format!("{user}:{password}")))
    };
    let (before, received) = (standing(server), count(server, "erx_received"));
    for credential in [
        basic("pharmacy", "wrong"),
        basic("salus", ERX),
        basic("pharmacy", ""),
        format!("Bearer {ERX}"),
        String::new(),
    ] {
        let forged = notice(server, "erx", &verify("forged", &ours));
        let seen = once(forged.header("Authorization", &credential)).await;
        let (status, kind, _) = seen.problem();
        assert_eq!((status, kind), (401, "unauthenticated"), "{credential}: {}", seen.body);
    }
    assert_eq!(count(server, "erx_received"), received, "a forged message was kept");

    // Genuine ones that are late, of nobody we know, or no message at all are
    // answered, so that they are not sent for ever.
    let genuine = basic("pharmacy", ERX);
    for (body, accepted) in [
        (verify("late", &ours), true),
        (verify("late", &ours), true),
        (verify("of-nobody", "0192f0c1a0b07c00800000000000000a"), false),
        ("<Message><Header>".to_owned(), false),
        ("no message".to_owned(), false),
    ] {
        let sent = notice(server, "erx", &body).header("Authorization", &genuine).send().await;
        let answer = sent.expect("an answer");
        assert_eq!(answer.status().as_u16(), 200, "{body}");
        let answer = answer.text().await.expect("a message");
        assert_eq!(answer.contains("<Status>"), accepted, "{body}: {answer}");
        assert_eq!(answer.contains("<Error>"), !accepted, "{body}: {answer}");
    }
    assert_eq!(count(server, "erx_received"), received + 1);
    settled(server).await;
    assert_eq!(standing(server), before, "an Error after the Verify was believed");
}

fn signed(body: &str, secret: &str, at: i64) -> String {
    format!("t={at},v1={}", hmac(secret, &format!("{at}.{body}")))
}

/// A declined charge, a second one with another card, and all the notices of
/// both in reverse once the second is through.
async fn of_the_gateway(patient: &Patient<'_>) {
    let server = patient.server;
    control(server, "stripe", "/_control/webhooks", json!({ "held": true })).await;
    patient.card("declined", "pm_card_chargeCustomerFail").await;
    let price = patient.prices().await.remove(0);
    let subscription = patient.subscribe("subscribe", &price).await;
    assert!(subscription.status < 300, "{}", subscription.body);
    payment(server, "failed").await;
    let good = patient.card("good", "pm_card_visa").await;
    let default = patient
        .ask(Method::PUT, &format!("/api/payment-methods/{}", text(&good, "id")))
        .json(&json!({ "is_default": true }));
    let seen = once(default).await;
    assert_eq!(seen.status, 200, "{}", seen.body);
    payment(server, "confirming").await;

    // The reply said that the money moved; only the notice makes it certain.
    let body = event(server, "payment_intent.succeeded").await;
    let before = standing(server);
    let altered = body.replace("payment_intent.succeeded", "payment_intent.canceled");
    assert_ne!(altered, body);
    let at = now();
    let mac = hmac(STRIPE, &format!("{at}.{body}"));
    for (why, body, header) in [
        ("another secret", &body, signed(&body, "whsec_of_another", at)),
        ("another body", &altered, signed(&body, STRIPE, at)),
        ("too old", &body, signed(&body, STRIPE, at - 310)),
        ("of the future", &body, signed(&body, STRIPE, at + 310)),
        ("another time", &body, format!("t={},v1={mac}", at + 1)),
        ("another scheme", &body, format!("t={at},v0={mac}")),
        ("no time", &body, format!("v1={mac}")),
        ("no signature", &body, String::new()),
    ] {
        let seen = once(notice(server, "stripe", body).header("Stripe-Signature", header)).await;
        let problem = seen.problem();
        assert_eq!(problem, (400, "billing.invalid_notice", vec![]), "{why}: {}", seen.body);
    }
    assert_eq!(count(server, "gateway_notices"), 0, "a forged notice was kept");
    settled(server).await;
    assert_eq!(standing(server), before);
    assert_eq!(patient.invoice("open").await["subscription_id"], subscription.body["id"]);

    let order = json!({ "held": false, "reverse": true });
    control(server, "stripe", "/_control/webhooks", order).await;
    delivered(server, "stripe").await;
    let invoice = patient.invoice("paid").await;
    let path = format!("/api/subscriptions/{}", text(&subscription.body, "id"));
    salus_tests::eventually("an active subscription", SOON, || async {
        (patient.get(&path).await["status"] == "active").then_some(())
    })
    .await;
    settled(server).await;
    assert_eq!(patient.get(&path).await["status"], "active", "the late failure was believed");
    assert_eq!(count(server, "payments WHERE status = 'succeeded'"), 1);
    assert_eq!(count(server, "payments WHERE status = 'failed'"), 1);
    charged_once(patient, &invoice).await;

    // The same notice again, and the same news under other ids.
    patient.shipment().await;
    settled(server).await;
    let (before, notices) = (standing(server), count(server, "gateway_notices"));
    eight(|| notice(server, "stripe", &body).header("Stripe-Signature", signed(&body, STRIPE, at)))
        .await;
    let id = serde_json::from_str::<Value>(&body).expect("an event")["id"].clone();
    let id = id.as_str().expect("an id");
    for again in 0..3 {
        let body = body.replace(id, &format!("{id}_{again}"));
        let header = signed(&body, STRIPE, at);
        let seen = once(notice(server, "stripe", &body).header("Stripe-Signature", header)).await;
        assert_eq!(seen.status, 200, "{}", seen.body);
    }
    // And news of a payment that nobody made.
    let unknown = json!({
        "id": "evt_of_nothing", "object": "event", "type": "payment_intent.succeeded",
        "created": at, "data": { "object": { "id": "pi_of_nothing", "object": "payment_intent" } },
    })
    .to_string();
    let header = signed(&unknown, STRIPE, at);
    let seen = once(notice(server, "stripe", &unknown).header("Stripe-Signature", header)).await;
    assert_eq!(seen.status, 200, "{}", seen.body);
    settled(server).await;
    assert_eq!(count(server, "gateway_notices"), notices + 4);
    assert_eq!(standing(server), before);
    assert_eq!(count(server, "ledger_transactions WHERE kind = 'payment_received'"), 1);
    charged_once(patient, &invoice).await;
}

async fn payment(server: &Server, status: &str) {
    salus_tests::eventually(&format!("a payment that is {status}"), SOON, || async {
        (count(server, &format!("payments WHERE status = '{status}'")) == 1).then_some(())
    })
    .await;
}

/// The only event of that kind, as it is sent.
async fn event(server: &Server, kind: &str) -> String {
    let state = look(server, "stripe", "/_control/state").await;
    let bodies: Vec<String> = state["events"]
        .as_array()
        .expect("events")
        .iter()
        .map(|event| text(event, "body"))
        .filter(|body| body.contains(&format!("\"type\":\"{kind}\"")))
        .collect();
    assert_eq!(bodies.len(), 1, "{bodies:?}");
    bodies.into_iter().next().expect("one")
}

async fn charged_once(patient: &Patient<'_>, invoice: &Value) {
    let path = format!("/_control/charges?invoice_id={}", text(invoice, "id"));
    let charges = look(patient.server, "stripe", &path).await;
    assert_eq!(charges["charges"].as_array().map(Vec::len), Some(1), "{charges:#}");
    assert_eq!(charges["charges"][0]["amount"], invoice["total"]["minor"]);
}

/// The box has arrived before the carrier tells that it was on its way.
async fn of_the_carrier(patient: &Patient<'_>) {
    let server = patient.server;
    let tracking = text(&patient.shipment().await, "tracking_number");
    let status = || async {
        let found = patient.get(&format!("/api/shipments/{tracking}")).await;
        (text(&found["shipment"], "status"), found["history"].as_array().map_or(0, Vec::len))
    };
    let told = |status: &'static str, ago: i64| {
        let at = salus::system::SystemClock.now() - chrono::TimeDelta::minutes(ago);
        let order = json!({ "tracking_code": tracking, "status": status, "datetime": at });
        control(server, "easypost", "/_control/trackers", order)
    };
    told("delivered", 30).await;
    salus_tests::eventually("the delivery", SOON, || async {
        (status().await.0 == "delivered").then_some(())
    })
    .await;
    let known = status().await.1;
    // Late news of earlier, and a scan that comes after the delivery.
    told("in_transit", 120).await;
    told("out_for_delivery", 60).await;
    told("in_transit", 10).await;
    delivered(server, "easypost").await;
    settled(server).await;
    assert_eq!(status().await, ("delivered".to_owned(), known + 3));

    let state = look(server, "easypost", "/_control/state").await;
    let last = state["events"].as_array().and_then(|events| events.last()).expect("an event");
    let genuine = text(last, "body");
    let returned = genuine.replace("in_transit", "return_to_sender").replace("evt_", "evt_f");
    assert_ne!(returned, genuine);
    // The vendor decomposes the secret before it signs with it.
    let secret = EASYPOST.replace('\u{e9}', "e\u{301}");
    let by = |secret: &str, body: &str| format!("hmac-sha256-hex={}", hmac(secret, body));
    let rows =
        || (count(server, "carrier_events"), count(server, "shipment_tracking"), standing(server));
    let before = rows();
    for (why, header) in [
        ("another secret", by("another", &returned)),
        ("another body", by(&secret, &genuine)),
        ("no scheme", hmac(&secret, &returned)),
        ("cut off", by(&secret, &returned)[..60].to_owned()),
        ("no signature", String::new()),
    ] {
        let forged = notice(server, "easypost", &returned).header("X-Hmac-Signature", header);
        let seen = once(forged).await;
        let problem = seen.problem();
        assert_eq!(problem, (401, "pharmacy.webhook_signature", vec![]), "{why}: {}", seen.body);
    }
    let seen = once(notice(server, "easypost", &returned)).await;
    assert_eq!(seen.problem().0, 401, "{}", seen.body);
    settled(server).await;
    assert_eq!(rows(), before, "a forged notice counted");

    eight(|| {
        let header = by(&secret, &genuine);
        notice(server, "easypost", &genuine).header("X-Hmac-Signature", header)
    })
    .await;
    settled(server).await;
    assert_eq!(rows(), before, "a notice counted again");
}

/// A consultation begins when the vendor says that somebody has connected.
async fn of_the_video_vendor(patient: &Patient<'_>) {
    let server = patient.server;
    let provider = text(&patient.plan().await, "provider_id");
    let consultation = patient.consultation(&provider).await;
    let path = format!("/api/consultations/video/{}", text(&consultation, "id"));
    let admission = once(patient.ask(Method::POST, &format!("{path}/join"))).await;
    assert_eq!(admission.status, 200, "{}", admission.body);
    let body = json!({
        "sessionId": admission.body["vendor_session_id"], "projectId": "47000001",
        "event": "connectionCreated", "timestamp": now() * 1000,
        "connection": { "id": "1", "createdAt": now() * 1000, "data": "" },
    })
    .to_string();
    let bearer = |secret: &str, body: &str, at: i64| {
        let claims = json!({
            "iss": "Vonage", "iat": at, "jti": "1", "api_key": "47000001",
            "payload_hash": hex(&Sha256::digest(body)),
        });
        let key = EncodingKey::from_secret(secret.as_bytes());
        let token = jsonwebtoken::encode(&Header::default(), &claims, &key).expect("a token");
        format!("Bearer {token}")
    };
    let call = |authorization: Option<String>| {
        let request = notice(server, "opentok", &body);
        once(match authorization {
            Some(authorization) => request.header("Authorization", authorization),
            None => request,
        })
    };
    let refused = |seen: Seen, why: &str| {
        let problem = seen.problem();
        assert_eq!(problem, (401, "care.bad_signature", vec![]), "{why}: {}", seen.body);
    };
    refused(call(None).await, "unsigned");
    for (why, authorization) in [
        ("another secret", bearer("another", &body, now())),
        ("another body", bearer(OPENTOK, "{}", now())),
        ("too old", bearer(OPENTOK, &body, now() - 310)),
        ("of the future", bearer(OPENTOK, &body, now() + 310)),
        ("the secret itself", format!("Bearer {OPENTOK}")),
    ] {
        refused(call(Some(authorization)).await, why);
    }
    assert_eq!(patient.get(&path).await["status"], "scheduled");
    for _ in 0..2 {
        let seen = call(Some(bearer(OPENTOK, &body, now()))).await;
        assert_eq!(seen.status, 200, "{}", seen.body);
        assert_eq!(patient.get(&path).await["status"], "in_progress");
    }
    assert_eq!(count(server, "care_consultations WHERE version = 3"), 1, "begun once");
}
