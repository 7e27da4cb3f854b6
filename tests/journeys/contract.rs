//! The OpenAPI document that is checked in, held against the code.

use std::{path::Path, process::Command};

use crate::server::SALUS;

fn checked_in() -> std::path::PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).join("../../adapters/rest/openapi.json")
}

#[test]
fn the_openapi_document_has_not_drifted() {
    let output = Command::new(SALUS)
        .arg("openapi")
        .env_remove("SALUS_WRITE_CONTRACTS")
        .output()
        .expect("running the binary");
    assert!(output.status.success());
    let now = String::from_utf8(output.stdout).expect("a text");
    if std::env::var_os("SALUS_WRITE_CONTRACTS").is_some() {
        std::fs::write(checked_in(), &now).expect("writing the document");
    }
    let then = std::fs::read_to_string(checked_in()).unwrap_or_default();
    assert!(
        now == then,
        "adapters/rest/openapi.json has drifted; SALUS_WRITE_CONTRACTS=1 ./test --test journeys \
         contract writes it anew"
    );
}

/// Webhooks have the bodies of their vendors, whose documents show them.
const OF_VENDORS: [&str; 3] = ["/webhooks/easypost", "/webhooks/opentok", "/webhooks/stripe"];

#[test]
fn every_operation_is_described_and_every_body_has_an_example() {
    let text = std::fs::read_to_string(checked_in()).unwrap();
    let document: serde_json::Value = serde_json::from_str(&text).unwrap();
    let mut missing = Vec::new();
    for (path, operations) in document["paths"].as_object().unwrap() {
        for (method, operation) in operations.as_object().unwrap() {
            for part in ["operationId", "summary", "description"] {
                if operation[part].as_str().is_none_or(str::is_empty) {
                    missing.push(format!("{method} {path}: {part}"));
                }
            }
            let has = |statuses: std::ops::RangeInclusive<u16>| {
                let answers = operation["responses"].as_object().unwrap();
                answers.keys().any(|status| status.parse().is_ok_and(|one| statuses.contains(&one)))
            };
            // Our own public keys are handed to everybody, whatever they ask.
            let refuses = path != "/.well-known/jwks.json";
            if !has(200..=299) || (refuses && !has(400..=599)) {
                missing.push(format!("{method} {path}: answers"));
            }
            let Some(contents) = operation["requestBody"]["content"].as_object() else { continue };
            for (kind, content) in contents {
                let schema = match content["schema"]["$ref"].as_str() {
                    Some(named) => {
                        document.pointer(named.trim_start_matches('#')).expect("a schema")
                    }
                    None => &content["schema"],
                };
                let is_binary = kind.starts_with("multipart/");
                if schema.get("example").is_none()
                    && !is_binary
                    && !OF_VENDORS.contains(&path.as_str())
                {
                    missing.push(format!("{method} {path}: example"));
                }
            }
        }
    }
    assert!(missing.is_empty(), "{missing:#?}");
}
