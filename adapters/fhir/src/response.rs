//! Answers in FHIR's media type.

use chrono::{DateTime, Utc};
use poem::{
    Request, Response,
    http::{HeaderValue, StatusCode, header},
};
use records::{Found, Resource, ResourceType};
use serde_json::{Value, json};

use crate::shape::Shape;

pub(crate) fn fhir_json(status: StatusCode, body: String) -> Response {
    Response::builder()
        .status(status)
        .content_type("application/fhir+json; charset=utf-8")
        .body(body)
}

/// Says of which version the answer is and when it was written. A client that
/// has it already gets no body.
pub(crate) fn versioned(
    request: &Request,
    version: &str,
    modified: DateTime<Utc>,
    mut response: Response,
) -> Response {
    // HTTP's own form of a time.
    let modified = modified.format("%a, %d %b %Y %H:%M:%S GMT").to_string();
    let tag = format!("W/\"{version}\"");
    for (name, value) in [(header::ETAG, tag), (header::LAST_MODIFIED, modified)] {
        if let Ok(value) = HeaderValue::from_str(&value) {
            response.headers_mut().insert(name, value);
        }
    }
    let headers = request.headers().get_all(header::IF_NONE_MATCH).iter();
    let tags: Vec<&str> = headers.filter_map(|value| value.to_str().ok()).collect();
    if has(&tags.join(","), version) {
        response.set_status(StatusCode::NOT_MODIFIED);
        response.take_body();
    }
    response
}

/// Whether an `If-None-Match` names the version: `*`, or a list of entity
/// tags, which are compared weakly (RFC 9110, 13.1.2).
fn has(tags: &str, version: &str) -> bool {
    let mut rest = tags.trim();
    if rest == "*" {
        return true;
    }
    loop {
        rest = rest.trim_start_matches([' ', '\t', ',']);
        let tag = rest.strip_prefix("W/").unwrap_or(rest);
        let Some((opaque, after)) = tag.strip_prefix('"').and_then(|tag| tag.split_once('"'))
        else {
            return false;
        };
        if opaque == version {
            return true;
        }
        rest = after;
    }
}

/// What was found, as a searchset.
pub(crate) fn searchset(
    base: &str,
    kind: ResourceType,
    found: &Found,
    shape: &Shape,
    total: bool,
    (this, next): (&str, Option<&str>),
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
        "link": links,
    });
    if total {
        bundle["total"] = json!(found.total);
    }
    // FHIR has no empty lists.
    if !found.resources.is_empty() {
        bundle["entry"] = found
            .resources
            .iter()
            .map(|resource: &Resource| {
                json!({
                    "fullUrl": format!("{base}/{kind}/{}", resource.id),
                    "resource": shape.reduce(kind, &resource.content),
                    "search": {"mode": "match"},
                })
            })
            .collect();
    }
    bundle
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_tag_matches_alone_in_a_list_and_weakly() {
        for tags in
            ["W/\"2\"", "\"2\"", "\"1\", W/\"2\"", "\"1\",\"2\" ,\"3\"", "*", "\"a,b\", \"2\""]
        {
            assert!(has(tags, "2"), "{tags}");
        }
        for tags in ["", "2", "\"1\"", "W/\"22\"", "\"2", "\"1\" \"", "w/\"2\""] {
            assert!(!has(tags, "2"), "{tags}");
        }
    }
}
