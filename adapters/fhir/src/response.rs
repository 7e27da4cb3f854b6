//! Answers in FHIR's media type.

use poem::{
    Response,
    http::{HeaderValue, StatusCode, header},
};
use records::{Found, Resource, ResourceType};
use serde_json::{Value, json};

pub(crate) fn fhir_json(status: StatusCode, body: &Value) -> Response {
    Response::builder()
        .status(status)
        .content_type("application/fhir+json; charset=utf-8")
        .body(body.to_string())
}

pub(crate) fn etag(resource: &Resource) -> String {
    format!("W/\"{}\"", resource.version)
}

/// A resource with its version and the time of its last change in the headers.
pub(crate) fn resource(resource: &Resource) -> Response {
    let mut response = fhir_json(StatusCode::OK, &resource.content);
    // HTTP's own form of a time.
    let modified = resource.last_updated.format("%a, %d %b %Y %H:%M:%S GMT").to_string();
    for (name, value) in [(header::ETAG, etag(resource)), (header::LAST_MODIFIED, modified)] {
        if let Ok(value) = HeaderValue::from_str(&value) {
            response.headers_mut().insert(name, value);
        }
    }
    response
}

/// What was found, as a searchset.
pub(crate) fn searchset(
    base: &str,
    kind: ResourceType,
    found: &Found,
    this: &str,
    next: Option<&str>,
) -> Value {
    let link = |relation: &str, query: &str| {
        let mark = if query.is_empty() { "" } else { "?" };
        json!({"relation": relation, "url": format!("{base}/{kind}{mark}{query}")})
    };
    let mut links = vec![link("self", this)];
    links.extend(next.map(|query| link("next", query)));
    let mut bundle = json!({
        "resourceType": "Bundle",
        "type": "searchset",
        "total": found.total,
        "link": links,
    });
    // FHIR has no empty lists.
    if !found.resources.is_empty() {
        bundle["entry"] = found
            .resources
            .iter()
            .map(|resource| {
                json!({
                    "fullUrl": format!("{base}/{kind}/{}", resource.id),
                    "resource": resource.content,
                    "search": {"mode": "match"},
                })
            })
            .collect();
    }
    bundle
}
