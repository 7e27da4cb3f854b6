//! What belongs to another does not exist: the answer is the one that an id
//! gets which nobody has, and whoever asked stands in the audit log.

use reqwest::Method;
use serde_json::{Value, json};

use super::{
    once,
    patient::{Patient, SOON, text},
    request, staff_token,
};
use crate::server::Server;

/// An id that nobody has.
const NOBODY: &str = "01a1fc96-34c8-705d-a14e-eca331c44625";

/// One attempt: the method, the path with `{}` for the id, the body, and what
/// the audit log calls the thing.
type Attempt = (Method, &'static str, Value, &'static str);

#[tokio::test(flavor = "multi_thread")]
async fn what_is_anothers_does_not_exist_and_the_attempt_is_on_record() {
    let server = Server::start();
    let owner = Patient::arrive(&server, "owner").await;
    let things = everything_of(&owner).await;
    let thing = |name: &str| things[name].as_str().expect(name);
    let before = snapshot(&server);

    let stranger = Patient::arrive(&server, "stranger").await;
    let auditor = staff_token(&server, "auditor@salus.example").await;
    let none = || Value::Null;
    let (get, post, put) = (|| Method::GET, || Method::POST, || Method::PUT);
    let attempts: Vec<(&str, Attempt)> = vec![
        ("response", (get(), "/api/forms/responses/{}", none(), "form_response")),
        ("photo", (get(), "/api/photos/{}", none(), "form_photo")),
        ("photo", (Method::DELETE, "/api/photos/{}", none(), "form_photo")),
        ("assessment", (get(), "/api/assessments/{}", none(), "assessment")),
        ("patient", (get(), "/api/treatment-plans/{}", none(), "treatment_plans")),
        ("prescription", (get(), "/api/prescriptions/status/{}", none(), "prescription")),
        ("tracking", (get(), "/api/shipments/{}", none(), "shipment")),
        ("shipment", (post(), "/api/shipments/{}/confirm", none(), "shipment")),
        ("subscription", (get(), "/api/subscriptions/{}", none(), "subscription")),
        ("subscription", (get(), "/api/subscriptions/{}/history", none(), "subscription")),
        ("subscription", (get(), "/api/subscriptions/{}/features", none(), "subscription")),
        (
            "subscription",
            (post(), "/api/subscriptions/{}/cancel", json!({ "when": "now" }), "subscription"),
        ),
        ("invoice", (get(), "/api/invoices/{}", none(), "invoice")),
        ("invoice", (get(), "/api/invoices/{}/pdf", none(), "invoice")),
        (
            "card",
            (put(), "/api/payment-methods/{}", json!({ "is_default": true }), "payment_method"),
        ),
        ("card", (Method::DELETE, "/api/payment-methods/{}", none(), "payment_method")),
        ("thread", (get(), "/api/messages/{}", none(), "message_thread")),
        ("message", (put(), "/api/messages/{}/read", none(), "message")),
        ("consultation", (get(), "/api/consultations/video/{}", none(), "consultation")),
        ("consultation", (post(), "/api/consultations/video/{}/join", none(), "consultation")),
        ("consultation", (get(), "/api/consultations/video/{}/notes", none(), "consultation")),
        ("notification", (put(), "/api/notifications/{}/read", none(), "notification")),
    ];
    for (name, attempt) in &attempts {
        refused(&server, &stranger.token, &stranger.id, &auditor, thing(name), attempt).await;
    }
    // The thread is named in the body, not in the path.
    let reply = json!({ "thread_id": thing("thread"), "body": "Who is there?" });
    let seen = stranger.post("/api/messages/send", "reply", &reply).await;
    assert_eq!(seen.status, 404, "{}", seen.body);
    let entry = last_denied(&server, &auditor, &stranger.id).await;
    assert_eq!(entry["entity_id"], thing("thread"), "{entry}");

    // A provider who does not treat the owner is as much of a stranger.
    let other = super::session(&server, "tobias.okonkwo@salus.example", crate::server::PASSWORD);
    let other = other.await;
    let (id, token) = (text(&other, "account_id"), text(&other, "access_token"));
    let notes = json!({ "notes": "Nothing to see.", "complete": true });
    for (name, attempt) in [
        ("response", (get(), "/api/forms/responses/{}", none(), "form_response")),
        ("photo", (get(), "/api/photos/{}", none(), "form_photo")),
        ("patient", (get(), "/api/treatment-plans/{}", none(), "treatment_plans")),
        ("patient", (get(), "/api/providers/patients/{}/eligibility", none(), "eligibility")),
        ("prescription", (get(), "/api/prescriptions/status/{}", none(), "prescription")),
        ("thread", (get(), "/api/messages/{}", none(), "message_thread")),
        ("consultation", (get(), "/api/consultations/video/{}", none(), "consultation")),
        ("consultation", (put(), "/api/consultations/video/{}/notes", notes, "consultation")),
    ] {
        refused(&server, &token, &id, &auditor, thing(name), &attempt).await;
    }

    assert_eq!(snapshot(&server), before, "an attempt changed something");
    for (name, (method, path, ..)) in &attempts {
        if *method == Method::GET {
            let path = path.replace("{}", thing(name));
            let seen = once(owner.ask(Method::GET, &path)).await;
            // The owner's consultation has no notes yet.
            let there = seen.status == 200 || path.ends_with("/notes") && seen.status == 404;
            assert!(there, "the owner lost {path}: {}", seen.body);
        }
    }
    assert!(server.command(&["audit", "verify"]).status.success());
}

/// Walks the owner through the journey and names everything that came of it.
pub async fn everything_of(owner: &Patient<'_>) -> Value {
    let response = owner.submit().await;
    let plan = owner.plan().await;
    let prescription = owner.prescription().await;
    let card = owner.card("card", "pm_card_visa").await;
    let prices = owner.prices().await;
    let subscribed = owner.subscribe("subscribe", &prices[0]).await;
    assert!(subscribed.status < 300, "{}", subscribed.body);
    let invoice = owner.invoice("paid").await;
    let shipment = owner.shipment().await;
    let provider = text(&plan, "provider_id");
    let message = json!({ "recipient_id": provider, "topic": "treatment", "body": "Good day." });
    let message = owner.post("/api/messages/send", "message", &message).await;
    assert!(message.status < 300, "{}", message.body);
    let consultation = owner.consultation(&provider).await;
    let assessments = owner.get("/api/assessments").await;
    let notification = salus_tests::eventually("a notification", SOON, || async {
        let inbox = owner.get(&format!("/api/notifications/{}", owner.id)).await;
        inbox["notifications"].get(0).map(|one| text(one, "id"))
    })
    .await;
    json!({
        "patient": owner.id,
        "response": response["id"],
        "photo": response["photos"][0]["id"],
        "assessment": assessments["assessments"][0]["id"],
        "prescription": prescription["id"],
        "card": card["id"],
        "subscription": subscribed.body["id"],
        "invoice": invoice["id"],
        "shipment": shipment["id"],
        "tracking": shipment["tracking_number"],
        "thread": message.body["thread_id"],
        "message": message.body["id"],
        "consultation": consultation["id"],
        "notification": notification,
    })
}

/// Asks for a thing and for one that nobody has, and holds the two answers
/// against each other and the first against the audit log.
async fn refused(
    server: &Server,
    token: &str,
    who: &str,
    auditor: &str,
    id: &str,
    (method, path, body, entity): &Attempt,
) {
    let ask = |id: &str| {
        let request = request(server, method.clone(), &path.replace("{}", id), token);
        once(if body.is_null() { request } else { request.json(body) })
    };
    let unknown = ask(if path.starts_with("/api/shipments/{}") && !path.ends_with("confirm") {
        "9400199999999999999999"
    } else {
        NOBODY
    });
    let unknown = unknown.await;
    let seen = ask(id).await;
    assert_eq!(seen.status, 404, "{method} {path}: {}", seen.body);
    assert_eq!(seen.problem(), unknown.problem(), "{method} {path} tells that it exists");
    assert_eq!(seen.body["detail"], unknown.body["detail"], "{method} {path} tells");

    let entry = last_denied(server, auditor, who).await;
    assert_eq!(entry["request_id"], seen.body["request_id"], "{method} {path}: {entry}");
    assert_eq!(entry["entity"], *entity, "{method} {path}: {entry}");
    // A tracking number is what somebody typed, and stays out of the log.
    let named = entry["entity_id"] == id || entry["entity_id"] == "by_tracking_number";
    assert!(named, "{method} {path}: {entry}");
}

/// The newest entry of somebody's acts, which has to be a denied one.
async fn last_denied(server: &Server, auditor: &str, who: &str) -> Value {
    let path = format!("/api/admin/audit-logs?actor={who}&limit=1");
    let found = once(request(server, Method::GET, &path, auditor)).await;
    assert_eq!(found.status, 200, "{}", found.body);
    let entry = found.body["items"][0].clone();
    assert_eq!(entry["outcome"], "denied", "{entry}");
    entry
}

/// What a stranger could have changed.
fn snapshot(server: &Server) -> String {
    super::vendors::standing(server)
        + &server.sql(
            "SELECT 'card', id, status, version FROM payment_methods \
             UNION ALL SELECT 'message', id, read_at::text, version FROM messages \
             UNION ALL SELECT 'consultation', id, status, version FROM care_consultations \
             ORDER BY 1, 2",
        )
}
