//! What the server says of itself; it lists what works and nothing else.

use records::{ResourceType, resource::SEARCHED};
use serde_json::{Value, json};
use strum::IntoEnumIterator as _;

use crate::{query::by_patient, routes::BINARY};

/// The CapabilityStatement of the server at `base`.
pub fn statement(base: &str, token_url: &str) -> Value {
    let mut resources: Vec<Value> = ResourceType::iter().map(resource).collect();
    resources.push(json!({
        "type": BINARY,
        "documentation": "Photos in a QuestionnaireResponse, for clients that may read the response. The answer is the image itself, or a Binary resource when the client asks for FHIR JSON.",
        "interaction": [{"code": "read"}],
        "versioning": "no-version",
        "conditionalRead": "not-match",
    }));
    json!({
        "resourceType": "CapabilityStatement",
        "name": "Salus",
        "title": "Salus FHIR R4 read and search",
        "status": "active",
        "date": "2026-03-02",
        "publisher": "Salus",
        "kind": "instance",
        "software": {"name": "Salus", "version": env!("CARGO_PKG_VERSION")},
        "implementation": {"description": "The clinical record of Salus", "url": base},
        "fhirVersion": "4.0.1",
        "format": ["application/fhir+json", "json"],
        "rest": [{
            "mode": "server",
            "security": {
                "extension": [{
                    "url": "http://fhir-registry.smarthealthit.org/StructureDefinition/oauth-uris",
                    "extension": [{"url": "token", "valueUri": token_url}],
                }],
                "service": [{
                    "coding": [{
                        "system": "http://terminology.hl7.org/CodeSystem/restful-security-service",
                        "code": "SMART-on-FHIR",
                    }],
                }],
                "description": "SMART Backend Services with private_key_jwt; patients use the access token of their account.",
            },
            "resource": resources,
        }],
    })
}

fn resource(kind: ResourceType) -> Value {
    let mut search = vec![
        parameter("_id", "token", None),
        parameter(
            "_lastUpdated",
            "date",
            Some("With the prefixes eq, gt, ge, lt, le, sa and eb; without a zone in UTC."),
        ),
    ];
    for name in ["patient", "subject"] {
        if by_patient(kind, name) {
            search.push(parameter(
                name,
                "reference",
                Some("As an id, Patient/id, or its address on this server."),
            ));
        }
    }
    for (of, name) in SEARCHED {
        if of == kind {
            search.push(parameter(name, "token", Some("As code, system|code, system| or |code.")));
        }
    }
    let mut resource = json!({
        "type": kind.to_string(),
        "interaction": [{"code": "read"}, {"code": "search-type"}],
        "versioning": "versioned",
        "conditionalRead": "not-match",
        "searchParam": search,
    });
    if let Some(profile) = profile(kind) {
        resource["supportedProfile"] = json!([profile]);
    }
    resource
}

fn parameter(name: &str, kind: &str, documentation: Option<&str>) -> Value {
    let mut parameter = json!({"name": name, "type": kind});
    if let Some(words) = documentation {
        parameter["documentation"] = json!(words);
    }
    parameter
}

fn profile(kind: ResourceType) -> Option<String> {
    let name = match kind {
        ResourceType::Patient => "patient",
        ResourceType::MedicationRequest => "medicationrequest",
        ResourceType::Encounter => "encounter",
        ResourceType::AllergyIntolerance => "allergyintolerance",
        ResourceType::QuestionnaireResponse | ResourceType::MedicationStatement => return None,
    };
    Some(format!("http://hl7.org/fhir/us/core/StructureDefinition/us-core-{name}"))
}

/// The SMART configuration.
pub fn smart_configuration(token_url: &str) -> Value {
    let mut scopes = vec!["system/*.read".to_owned(), "system/*.rs".to_owned()];
    for kind in ResourceType::iter() {
        scopes.push(format!("system/{kind}.read"));
        scopes.push(format!("system/{kind}.rs"));
    }
    json!({
        "token_endpoint": token_url,
        "grant_types_supported": ["client_credentials"],
        "token_endpoint_auth_methods_supported": ["private_key_jwt"],
        "token_endpoint_auth_signing_alg_values_supported": ALGORITHMS,
        "scopes_supported": scopes,
        "capabilities": ["client-confidential-asymmetric", "permission-v1", "permission-v2"],
    })
}

/// The algorithms that identity takes of a client's assertion.
const ALGORITHMS: [&str; 2] = ["RS384", "ES384"];

#[cfg(test)]
mod tests {
    use fhir_sdk::r4b::resources::CapabilityStatement;

    use super::*;

    const CHECKED_IN: &str = include_str!("../capability-statement.json");

    #[test]
    fn the_statement_is_the_one_that_is_checked_in() {
        let statement =
            statement("https://salus.example/fhir", "https://salus.example/oauth/token");
        let typed: CapabilityStatement = serde_json::from_value(statement.clone()).unwrap();
        assert_eq!(typed.rest.len(), 1);
        if std::env::var_os("SALUS_WRITE_CONTRACTS").is_some() {
            let path = concat!(env!("CARGO_MANIFEST_DIR"), "/capability-statement.json");
            let text = serde_json::to_string_pretty(&statement).unwrap() + "\n";
            std::fs::write(path, text).unwrap();
        } else {
            let expected: Value = serde_json::from_str(CHECKED_IN).unwrap();
            assert_eq!(
                statement, expected,
                "capability-statement.json is out of date; run this test with SALUS_WRITE_CONTRACTS=1"
            );
        }
    }
}
