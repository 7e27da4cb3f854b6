//! Requests that no operation takes: each is refused with a problem that names
//! what was wrong, and none is a failure of ours.

use ports::Clock as _;
use reqwest::{Method, header};
use serde_json::json;

use super::{once, partner::Partner, request, staff_token};
use crate::{authorization::patient, server::Server};

#[tokio::test(flavor = "multi_thread")]
async fn input_that_is_none_is_refused_by_name() {
    let server = Server::start();
    let session = patient(&server.client, "input").await;
    let token = session["access_token"].as_str().expect("a token");
    let admin = staff_token(&server, "admin@salus.example").await;
    let auditor = staff_token(&server, "auditor@salus.example").await;
    malformed(&server, token).await;
    what_a_path_does_not_have(&server, token).await;
    what_postgresql_cannot_hold(&server, token, &admin, &auditor).await;
    assertions(&server).await;
    user_agents(&server, &auditor).await;
}

/// What a client's own JWT may say of itself.
async fn assertions(server: &Server) {
    let partner = Partner::register(server).await;
    let at = |after: f64| json!(salus::system::SystemClock.now().timestamp() as f64 + after);
    let (before, soon) = (at(-0.5), at(60.25));
    let granted = partner.ask(json!({ "iat": before, "nbf": before, "exp": soon })).await;
    assert_eq!(granted.status, 200, "{}", granted.body);
    for claims in [
        json!({ "jti": "a\0b" }),
        json!({ "exp": 1e300 }),
        json!({ "nbf": i64::MAX }),
        json!({ "jti": "" }),
        json!({ "iss": "a\0b" }),
    ] {
        let refused = partner.ask(claims.clone()).await;
        assert_eq!(refused.status, 401, "{claims}: {}", refused.body);
        assert_eq!(refused.body["error"], "invalid_client");
    }
}

/// A name of the browser that is no ASCII, or not even a text, is kept as far
/// as it can be read.
async fn user_agents(server: &Server, auditor: &str) {
    for (name, kept) in
        [("Zürich/1.0".as_bytes(), "Zürich/1.0"), (b"Z\xfcrich/1.0", "Z\u{fffd}rich/1.0")]
    {
        let name = header::HeaderValue::from_bytes(name).expect("a header");
        let read = request(server, Method::GET, "/api/admin/audit-logs?limit=1", auditor);
        assert_eq!(once(read.header(header::USER_AGENT, name)).await.status, 200);
        let counted = format!("SELECT count(*) FROM audit_entries WHERE user_agent = '{kept}'");
        assert_ne!(server.sql(&counted).trim(), "0", "{kept}");
    }
}

async fn malformed(server: &Server, token: &str) {
    let put = |body: &'static str| {
        request(server, Method::PUT, "/api/profile/medications", token)
            .header(header::CONTENT_TYPE, "application/json")
            .body(body)
    };
    let seen = once(put("{\"items\": [")).await;
    assert_eq!(seen.problem(), (400, "malformed_json", vec![]), "{}", seen.body);
    assert!(seen.body["detail"].as_str().is_some_and(|detail| detail.contains("line 1")));
    let named = seen.headers["x-request-id"].to_str().expect("an id");
    assert_eq!(seen.body["request_id"], named);
    assert_eq!(seen.headers[header::CONTENT_TYPE], "application/problem+json");

    let seen = once(put("{} {}")).await;
    assert_eq!(seen.problem(), (400, "malformed_json", vec![]), "{}", seen.body);
    let twice = put(r#"{"none_known": true, "items": [{"drug": {"code": "1", "code": "2"}}]}"#);
    let seen = once(twice).await;
    let twice = [
        "items[0].drug.code repeated",
        "items[0].drug.system required",
        "items[0].drug.display required",
    ];
    let twice = twice.map(str::to_owned).to_vec();
    assert_eq!(seen.problem(), (422, "invalid_body", twice), "{}", seen.body);
    let seen = once(put("{\"items\": [{\"drug\": {\"system\": 5}}, 7]}")).await;
    let (status, kind, fields) = seen.problem();
    assert_eq!((status, kind), (422, "invalid_body"), "{}", seen.body);
    for wrong in ["items[0].drug.system wrong_type", "items[1] wrong_type"] {
        assert!(fields.iter().any(|field| field == wrong), "{wrong} is not among {fields:?}");
    }

    let text = request(server, Method::PUT, "/api/profile/medications", token)
        .header(header::CONTENT_TYPE, "text/plain")
        .body("{}");
    assert_eq!(once(text).await.problem().0, 415);
    let large = request(server, Method::PUT, "/api/profile/medications", token)
        .header(header::CONTENT_TYPE, "application/json")
        .body(format!("{{\"note\": \"{}\"}}", "x".repeat(3 << 20)));
    let seen = once(large).await;
    assert_eq!(seen.problem(), (413, "too_large", vec![]), "{}", seen.body);
}

async fn what_a_path_does_not_have(server: &Server, token: &str) {
    let seen = once(request(server, Method::GET, "/api/nothing", token)).await;
    assert_eq!(seen.problem(), (404, "not_found", vec![]), "{}", seen.body);
    let seen = once(request(server, Method::DELETE, "/api/profile", token)).await;
    assert_eq!(seen.problem(), (405, "method_not_allowed", vec![]), "{}", seen.body);
    assert_eq!(seen.body["status"], 405);
    assert_eq!(seen.headers[header::ALLOW], "GET, PUT");
    for path in ["/health", "/health/ready", "/fhir/Patient", "/fhir/metadata", "/fhir/Binary/7"] {
        let seen = once(request(server, Method::DELETE, path, token)).await;
        assert_eq!(seen.status, 405, "{path}: {}", seen.body);
        assert_eq!(seen.headers[header::ALLOW], "GET, HEAD", "{path}");
    }
    // Bytes that are no UTF-8, which the framework does not route.
    for path in ["/fhir/%FF", "/fhir/Patient/%FF", "/fhir/Patient/%FF/x"] {
        let seen = once(request(server, Method::GET, path, token)).await;
        assert_eq!(seen.body["resourceType"], "OperationOutcome", "{path}: {}", seen.body);
        assert!(matches!(seen.status, 400 | 404), "{path}: {}", seen.status);
    }
    let nobody = "01a1fc96-34c8-705d-a14e-eca331c44625";
    for path in ["plans", "categories", "invoices", "assessments", "forms/responses"] {
        let seen = once(request(server, Method::GET, &format!("/api/{path}/{nobody}"), token));
        let seen = seen.await;
        assert_eq!(seen.status, 404, "{path}: {}", seen.body);
        let seen = once(request(server, Method::GET, &format!("/api/{path}/no-id"), token)).await;
        assert!(matches!(seen.status, 400 | 404), "{path}: {} {}", seen.status, seen.body);
    }
    let path = "/api/prescriptions?cursor=forged";
    let seen = once(request(server, Method::GET, path, token)).await;
    assert_eq!(seen.problem(), (422, "invalid", vec!["cursor invalid".to_owned()]));
    for limit in ["0", "201"] {
        let path = format!("/api/prescriptions?limit={limit}");
        let seen = once(request(server, Method::GET, &path, token)).await;
        let named = vec!["limit out_of_range".to_owned()];
        assert_eq!(seen.problem(), (422, "invalid_query", named), "{limit}");
    }
}

async fn what_postgresql_cannot_hold(server: &Server, token: &str, admin: &str, auditor: &str) {
    for (path, token, field) in [
        ("/api/admin/audit-logs?entity=a%00b", auditor, "entity nul_character"),
        ("/api/admin/audit-logs?from=%2B12345-01-01T00:00:00Z", auditor, "from out_of_range"),
        ("/api/analytics/subscriptions/revenue?from=-262143-01-01", admin, "from out_of_range"),
    ] {
        let seen = once(request(server, Method::GET, path, token)).await;
        let expected = (422, "invalid_query", vec![field.to_owned()]);
        assert_eq!(seen.problem(), expected, "{path}: {}", seen.body);
    }
    let form = json!({
        "category_id": "01a1fc96-34c8-705d-a14e-eca331c44625",
        "title": "Sleep\0", "items": [{ "link_id": "a\0", "type": "text", "text": "\0" }],
    });
    let seen = once(request(server, Method::POST, "/api/admin/forms", admin).json(&form)).await;
    let (status, _, mut fields) = seen.problem();
    fields.sort();
    let wrong = [
        "items[0].link_id nul_character",
        "items[0].text nul_character",
        "slug required",
        "title nul_character",
    ];
    assert_eq!((status, fields), (422, wrong.map(str::to_owned).to_vec()), "{}", seen.body);
    let far = json!({ "items": [{
        "drug": { "system": "http://www.nlm.nih.gov/research/umls/rxnorm", "code": "198039", "display": "Nitroglycerin" },
        "started_on": "+99999-01-01",
    }] });
    let seen = once(request(server, Method::PUT, "/api/profile/medications", token).json(&far));
    let seen = seen.await;
    let (status, _, fields) = seen.problem();
    assert_eq!(status, 422, "{}", seen.body);
    assert!(fields.contains(&"items[0].started_on format".to_owned()), "{fields:?}");
}
