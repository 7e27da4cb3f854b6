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
