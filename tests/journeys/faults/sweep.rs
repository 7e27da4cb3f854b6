//! Every operation of the document with requests that are nearly right: one
//! value of the body, the path or the query is what nobody means. Whatever the
//! operation makes of it, it is never a failure of ours, and every refusal is a
//! problem under the request's id.

use std::{
    collections::BTreeMap,
    sync::atomic::{AtomicU64, Ordering},
};

use futures::StreamExt as _;
use reqwest::{RequestBuilder, header};
use serde_json::{Value, json};
use walk::client::with_file;

use super::{
    Seen, once,
    patient::{Patient, text},
    session,
    strangers::everything_of,
};
use crate::{
    authorization::{Operation, STRANGER, TABLE, Who, document, operations},
    server::{PASSWORD, Server},
};

/// How many requests are under way at once.
const AT_ONCE: usize = 6;

#[tokio::test(flavor = "multi_thread")]
async fn no_operation_fails_over_input_that_nobody_means() {
    let server = Server::start();
    let patient = Patient::arrive(&server, "sweep").await;
    let things = things_of(&patient).await;
    let mut tokens = BTreeMap::new();
    for (email, role) in seeds::identity::sign_ins() {
        let session = session(&server, email, PASSWORD).await;
        // Of the providers the first treats the patient.
        tokens.entry(role.to_string()).or_insert_with(|| text(&session, "access_token"));
    }
    tokens.insert("patient".to_owned(), patient.token.clone());

    let document = document();
    let http = reqwest::Client::new();
    let mut requests = Vec::new();
    for operation in operations(&document) {
        // It would end the session that the others need.
        if operation.id == "logout" {
            continue;
        }
        let method = operation.method.as_str().to_lowercase();
        let description = &document["paths"][&operation.path][&method];
        let sweep = Sweep {
            server: &server,
            http: &http,
            token: token(&operation, &tokens),
            path: filled(&operation.path, id_for(&operation, &things)),
            operation: Operation {
                body: whole_body(description)
                    .map(|schema| with_ids(whole(&document, schema, 0), &things)),
                ..operation
            },
        };
        sweep.paths(&mut requests);
        sweep.queries(&description["parameters"], &mut requests);
        sweep.bodies(&mut requests);
    }
    let count = requests.len();
    assert!(count > 2_000, "{count} requests are no sweep");
    let wrong: Vec<String> = futures::stream::iter(requests)
        .map(|(what, request)| async move {
            let seen = once(request).await;
            fault(&what, &seen).map(|fault| format!("{what}: {fault}"))
        })
        .buffer_unordered(AT_ONCE)
        .filter_map(|wrong| async move { wrong })
        .collect()
        .await;
    let shown = &wrong[..wrong.len().min(40)];
    assert!(wrong.is_empty(), "{} of {count} are wrong: {shown:#?}", wrong.len());
    let health = once(http.get(format!("{}/health", server.internal()))).await;
    assert_eq!(health.status, 200, "{}", health.body);
}

/// What is wrong with an answer, if anything is.
/// What no list takes for its page.
const NO_PAGE: [&str; 4] = ["?limit=0", "?limit=201", "?limit=-1", "?cursor=no-cursor"];

fn fault(what: &str, seen: &Seen) -> Option<String> {
    if NO_PAGE.iter().any(|page| what.ends_with(page)) && seen.status < 400 {
        return Some(format!("{} was taken", seen.status));
    }
    if seen.status >= 500 {
        return Some(format!("{} {}", seen.status, seen.body));
    }
    // The token endpoint answers as RFC 6749 wants it, with `error`.
    let by_oauth = what.starts_with("issueClientToken") && seen.body["error"].is_string();
    if seen.status < 400 || by_oauth {
        return None;
    }
    let named = seen.headers.get("x-request-id").and_then(|id| id.to_str().ok());
    let sound = seen.headers.get(header::CONTENT_TYPE).is_some_and(|kind| kind == PROBLEM)
        && seen.body["type"].as_str().is_some_and(|kind| kind.starts_with("urn:salus:problem:"))
        && seen.body["status"] == seen.status
        && named.is_some()
        && seen.body["request_id"].as_str() == named;
    (!sound).then(|| format!("{} is no problem: {}", seen.status, seen.body))
}

const PROBLEM: &str = "application/problem+json";

/// The token of somebody who may call the operation.
pub(super) fn token<'a>(
    operation: &Operation,
    tokens: &'a BTreeMap<String, String>,
) -> Option<&'a str> {
    let row = TABLE.iter().find(|(id, _)| *id == operation.id);
    let role = match row.map(|(_, who)| *who) {
        Some(Who::Roles(roles)) => roles[0],
        Some(Who::Anyone) => "patient",
        _ => return None,
    };
    tokens.get(role).map(String::as_str)
}

type Requests = Vec<(String, RequestBuilder)>;

struct Sweep<'a> {
    server: &'a Server,
    http: &'a reqwest::Client,
    token: Option<&'a str>,
    operation: Operation,
    /// The operation's path with the id of something that is there.
    path: String,
}

/// Texts that no parameter means, as they stand in an address.
const ODD: [&str; 9] = [
    "",
    "0",
    "-1",
    "99999999999999999999",
    "%ff",
    "%F0%9F%92%8A",
    "..%2f..%2fetc",
    "0001-01-01",
    "9999-12-31T23:59:59Z",
];

impl Sweep<'_> {
    fn request(&self, path: &str) -> RequestBuilder {
        let url = format!("{}{path}", self.server.url());
        let mut request = self.http.request(self.operation.method.clone(), url);
        for name in &self.operation.headers {
            // A key that came before would be answered without a look.
            let value = if name == "If-Match" { "\"1\"" } else { &next().to_string() };
            request = request.header(name, value);
        }
        match self.token {
            Some(token) => request.bearer_auth(token),
            None => request,
        }
    }

    /// With the operation's own body, where it has one.
    fn proper(&self, path: &str) -> RequestBuilder {
        let request = self.request(path);
        match (&self.operation.body, &self.operation.file) {
            (Some(body), _) => request.json(body),
            (None, Some(file)) => with_file(request, file, b"a file"),
            (None, None) => request,
        }
    }

    fn paths(&self, requests: &mut Requests) {
        if !self.operation.path.contains('{') {
            return;
        }
        let long = "x".repeat(3_000);
        for odd in ODD.iter().copied().chain([long.as_str()]) {
            let path = filled(&self.operation.path, odd);
            let what = format!("{} at {:.80}", self.operation.id, path);
            requests.push((what, self.proper(&path)));
        }
    }

    fn queries(&self, parameters: &Value, requests: &mut Requests) {
        let has = |name: &str| {
            let mut all = parameters.as_array().into_iter().flatten();
            all.any(|parameter| parameter["in"] == "query" && parameter["name"] == name)
        };
        for page in NO_PAGE {
            if has(&page[1..page.find('=').unwrap_or(page.len())]) {
                let path = format!("{}{page}", self.path);
                requests.push((format!("{} at {path}", self.operation.id), self.proper(&path)));
            }
        }
        let long = "x".repeat(3_000);
        let parameters = parameters.as_array().into_iter().flatten();
        for parameter in parameters.filter(|parameter| parameter["in"] == "query") {
            let name = parameter["name"].as_str().expect("a name");
            // Cursors are often numbers, or times and ids in base64.
            let forged = ["9223372036854775807", "bm90LWEtY3Vyc29y", STRANGER];
            for odd in ODD.iter().copied().chain(forged).chain([long.as_str()]) {
                let path = format!("{}?{name}={odd}", self.path);
                let what = format!("{} at {:.120}", self.operation.id, path);
                requests.push((what, self.proper(&path)));
            }
        }
    }

    fn bodies(&self, requests: &mut Requests) {
        let Some(body) = &self.operation.body else { return };
        for (place, mut variant) in variants(body) {
            // A name or an address that is taken would hide what comes after.
            for name in ["name", "email"] {
                if variant[name].is_string() && variant[name] == body[name] {
                    variant[name] = json!(format!("{}{}", next(), text(body, name)));
                }
            }
            let what = format!("{} with {place}", self.operation.id);
            requests.push((what, self.request(&self.path).json(&variant)));
        }
        let deep = "[".repeat(200_000);
        for (what, raw) in [
            ("nothing", &b""[..]),
            ("no UTF-8", b"{\"a\": \"\xff\xfe\"}"),
            ("half a pair", b"{\"a\": \"\\ud800\"}"),
            ("a number without end", b"{\"a\": 1e999}"),
            ("a name twice", b"{\"email\": 1, \"email\": 2}"),
            ("a mark of order", b"\xef\xbb\xbf{}"),
            ("depth", deep.as_bytes()),
        ] {
            let request = self.request(&self.path);
            let request = request.header(header::CONTENT_TYPE, "application/json");
            let what = format!("{} with {what}", self.operation.id);
            requests.push((what, request.body(raw.to_vec())));
        }
    }
}

pub(super) fn next() -> u64 {
    static COUNT: AtomicU64 = AtomicU64::new(0);
    COUNT.fetch_add(1, Ordering::Relaxed)
}

/// Everything that the patient has and the shop around it, by name.
async fn things_of(patient: &Patient<'_>) -> Value {
    let mut things = everything_of(patient).await;
    let prices = patient.prices().await;
    let pharmacies = patient.get("/api/pharmacies").await;
    let shipment = patient.shipment().await;
    let plan = patient.plan().await;
    let plans = patient.get("/api/plans").await;
    let category = patient.category().await;
    let form = patient.get(&format!("/api/forms/categories/{category}")).await;
    things["price"] = prices[0]["id"].clone();
    things["category"] = json!(category);
    things["plan"] = plans["plans"][0]["id"].clone();
    things["pharmacy"] = pharmacies["items"][0]["id"].clone();
    things["dispatch"] = shipment["dispatch_id"].clone();
    things["treatment_plan"] = plan["id"].clone();
    things["provider"] = plan["provider_id"].clone();
    things["form_version"] = form["id"].clone();
    // Accounts whose roles and licenses no other step of this test uses.
    things["account"] = json!(seeds::identity::SUPPORT);
    things["other_provider"] = json!(seeds::identity::SOUTH);
    for (name, thing) in things.as_object().expect("things") {
        assert!(thing.is_string(), "there is no {name}");
    }
    things
}

/// The schema of an operation's JSON body.
pub(super) fn whole_body(description: &Value) -> Option<&Value> {
    let content = description["requestBody"]["content"].as_object()?;
    content.iter().find(|(kind, _)| kind.contains("json")).map(|(_, media)| &media["schema"])
}

/// A value that fits the schema: its example, else one with everything that may
/// be there, and one entry in each list.
fn whole(document: &Value, schema: &Value, depth: usize) -> Value {
    if let Some(name) = schema["$ref"].as_str() {
        let name = name.rsplit('/').next().expect("a name");
        return whole(document, &document["components"]["schemas"][name], depth);
    }
    if !schema["example"].is_null() {
        return schema["example"].clone();
    }
    for many in ["allOf", "oneOf", "anyOf"] {
        if let Some(first) = schema[many].get(0) {
            return whole(document, first, depth);
        }
    }
    if let Some(first) = schema["enum"].get(0) {
        return first.clone();
    }
    match schema["type"].as_str() {
        // Items of forms hold items.
        Some("object" | "array") if depth > 6 => Value::Null,
        Some("object") => schema["properties"]
            .as_object()
            .into_iter()
            .flatten()
            .map(|(name, property)| (name.clone(), whole(document, property, depth + 1)))
            .collect::<serde_json::Map<_, _>>()
            .into(),
        Some("array") => json!([whole(document, &schema["items"], depth + 1)]),
        Some("boolean") => json!(true),
        Some("integer" | "number") => json!(schema["minimum"].as_f64().unwrap_or(1.0) as i64),
        _ => match schema["format"].as_str() {
            Some("uuid") => json!(STRANGER),
            Some("date") => json!("2026-12-01"),
            Some("date-time") => json!("2026-12-01T12:00:00Z"),
            _ => {
                let least = schema["minLength"].as_u64().unwrap_or(12).max(1);
                let most = schema["maxLength"].as_u64().unwrap_or(least);
                json!("x".repeat(least.min(most) as usize))
            }
        },
    }
}

/// The id that an operation's path means, by what stands before it.
fn id_for<'a>(operation: &Operation, things: &'a Value) -> &'a str {
    let path = operation.path.as_str();
    let name = match path {
        _ if operation.id == "replaceTreatmentPlan" => "treatment_plan",
        _ if path.contains("/licenses") => "other_provider",
        _ if path.contains("/accounts/") => "account",
        _ if path.contains("/dispatch/") => "dispatch",
        _ if path.contains("/reviews/") => "assessment",
        _ if path.contains("/assessments/") => "assessment",
        _ if path.contains("/consultations/") => "consultation",
        _ if path.contains("/prescriptions/") => "prescription",
        _ if path.contains("/payment-methods/") => "card",
        _ if path.contains("/forms/responses/") => "response",
        _ if path.contains("/photos/") => "photo",
        _ if path.contains("{category_id}") => "category",
        _ if path.contains("/categories/") => "category",
        _ if path == "/api/treatment-plans/{id}/modify" => "treatment_plan",
        _ if path.contains("/treatment-plans/") => "patient",
        _ if path.contains("/plans/") => "plan",
        _ if path.contains("{thread_id}") => "thread",
        _ if path.contains("/messages/{id}") => "message",
        _ if path.contains("/notifications/{id}") => "notification",
        _ if path.contains("/shipments/{id}") => "shipment",
        _ if path.contains("{tracking_number}") => "tracking",
        _ if path.contains("user") => "patient",
        _ if path.contains("/subscriptions/") => "subscription",
        _ if path.contains("/invoices/") => "invoice",
        _ => return STRANGER,
    };
    things[name].as_str().expect(name)
}

/// The body with ids of what is there.
fn with_ids(mut body: Value, things: &Value) -> Value {
    let Some(object) = body.as_object_mut() else { return body };
    for (field, value) in object.iter_mut() {
        let thing = match field.as_str() {
            "recipient_id" => "provider",
            "pharmacy" => "pharmacy",
            "email" => {
                *value = json!("sweep.somebody@patients.example");
                continue;
            }
            field => field.trim_end_matches("_id"),
        };
        if value.is_string() && things[thing].is_string() {
            *value = things[thing].clone();
        }
    }
    body
}

pub(super) fn filled(path: &str, id: &str) -> String {
    let mut filled = String::new();
    let mut rest = path;
    while let Some((before, after)) = rest.split_once('{') {
        let (name, after) = after.split_once('}').expect("a parameter's end");
        filled.push_str(before);
        filled.push_str(if name == "period_index" { "1" } else { id });
        rest = after;
    }
    filled + rest
}

/// The body with one value after another in the place of what it has, each
/// with a word on where and what.
fn variants(body: &Value) -> Vec<(String, Value)> {
    let mut places = vec![String::new()];
    collect(body, "", &mut places);
    let mut variants = Vec::new();
    for place in places {
        let at = body.pointer(&place).expect("a place of the body");
        for odd in odd_values(at) {
            let mut variant = body.clone();
            let shown = odd.to_string();
            let word = format!("{} at {place:?}", shown.chars().take(40).collect::<String>());
            *variant.pointer_mut(&place).expect("a place of the body") = odd;
            variants.push((word, variant));
        }
    }
    variants
}

fn collect(value: &Value, at: &str, places: &mut Vec<String>) {
    let mut visit = |name: &str, inner: &Value| {
        let place = format!("{at}/{}", name.replace('~', "~0").replace('/', "~1"));
        collect(inner, &place, places);
        places.push(place);
    };
    match value {
        Value::Object(object) => object.iter().for_each(|(name, inner)| visit(name, inner)),
        Value::Array(list) => list.iter().take(1).for_each(|inner| visit("0", inner)),
        _ => {}
    }
}

fn odd_values(value: &Value) -> Vec<Value> {
    let common = |odd: Value| vec![Value::Null, odd];
    match value {
        Value::String(text) => {
            let mut odd = common(json!(5));
            odd.extend(["", "\u{202e}\u{1f48a}\u{feff}\u{1b}[2J'; --"].map(Value::from));
            odd.extend([json!("\0"), json!("x".repeat(20_000))]);
            if text.parse::<kernel::Uuid>().is_ok() {
                odd.push(json!(STRANGER));
                odd.push(json!("ffffffff-ffff-ffff-ffff-ffffffffffff"));
            }
            if text.get(4..5) == Some("-") {
                for far in ["0001-01-01", "9999-12-31", "2026-02-30"] {
                    let rest = text.get(10..).unwrap_or_default();
                    odd.push(json!(format!("{far}{rest}")));
                }
            }
            odd
        }
        Value::Number(_) => {
            let mut odd = common(json!("1"));
            odd.extend([i64::MIN, -1, i64::MAX].map(Value::from));
            odd.extend([0.5, 1e300].map(Value::from));
            odd
        }
        Value::Array(list) => {
            let mut odd = common(json!({}));
            odd.push(json!([null, 5, "x", [], {}]));
            if let Some(first) = list.first() {
                odd.push(Value::Array(vec![first.clone(); 300]));
            }
            odd
        }
        Value::Object(_) => {
            let mut odd = common(json!([]));
            odd.push(json!({}));
            odd
        }
        _ => common(json!("true")),
    }
}

#[test]
fn a_failure_of_ours_and_a_refusal_without_its_request_are_wrong() {
    let seen = |status: u16, content: &'static str, body: Value| {
        let mut headers = header::HeaderMap::new();
        headers.insert("x-request-id", header::HeaderValue::from_static("7"));
        headers.insert(header::CONTENT_TYPE, header::HeaderValue::from_static(content));
        Seen { status, headers, body }
    };
    let body = |status: u16, id: &str| json!({ "type": "urn:salus:problem:invalid", "status": status, "request_id": id });
    assert_eq!(fault("a", &seen(422, PROBLEM, body(422, "7"))), None);
    assert_eq!(fault("a", &seen(200, "text/csv", Value::Null)), None);
    for wrong in [
        seen(500, PROBLEM, body(500, "7")),
        seen(422, PROBLEM, body(422, "8")),
        seen(422, PROBLEM, body(400, "7")),
        seen(422, "application/json", body(422, "7")),
        seen(401, PROBLEM, json!({ "error": "invalid_client" })),
    ] {
        assert!(fault("a", &wrong).is_some(), "{}", wrong.body);
    }
    let refused = json!({ "error": "invalid_client" });
    assert_eq!(fault("issueClientToken", &seen(401, "application/json", refused)), None);
}

#[test]
fn a_variant_differs_from_its_body_in_one_place() {
    let body = json!({ "a": 1, "b": ["x"], "c": { "d/e": true } });
    let all = variants(&body);
    for place in ["\"/a\"", "\"/b/0\"", "\"/c/d~1e\"", "\"\""] {
        assert!(all.iter().any(|(what, _)| what.ends_with(place)), "{place} is never odd");
    }
    assert!(all.iter().all(|(_, variant)| *variant != body));
    assert_eq!(filled("/a/{b}/c/{d}", "1"), "/a/1/c/1");
}
