use anyhow::{Context as _, bail};
use base64::{Engine as _, prelude::BASE64_URL_SAFE_NO_PAD};
use jsonwebtoken::{Algorithm, EncodingKey, Header};
use p384::{
    SecretKey,
    elliptic_curve::sec1::ToSec1Point as _,
    pkcs8::{EncodePrivateKey as _, LineEnding},
};
use ports::Env;
use serde_json::{Value, json};

use super::care::somebody_with_visits;
use crate::{World, client::text};

/// An EHR partner: a key of its own, registered by its public half.
struct Partner {
    key: EncodingKey,
    jwk: Value,
}

impl Partner {
    fn new(env: &Env) -> anyhow::Result<Self> {
        let mut bytes = [0u8; 48];
        bytes[16..].copy_from_slice(&env.ids.secret());
        let secret = SecretKey::from_slice(&bytes)?;
        let point = secret.public_key().to_sec1_point(false);
        let coordinate = |bytes: Option<&[u8]>| {
            bytes.map(|bytes| BASE64_URL_SAFE_NO_PAD.encode(bytes)).context("a coordinate")
        };
        let jwk = json!({
            "kty": "EC", "crv": "P-384", "alg": "ES384", "use": "sig", "kid": "demo",
            "x": coordinate(point.x().map(|x| &x[..]))?,
            "y": coordinate(point.y().map(|y| &y[..]))?,
        });
        let pem = secret.to_pkcs8_pem(LineEnding::LF)?;
        Ok(Self { key: EncodingKey::from_ec_pem(pem.as_bytes())?, jwk })
    }

    /// The assertion that `private_key_jwt` asks for.
    fn assertion(&self, env: &Env, client_id: &str, audience: &str) -> anyhow::Result<String> {
        let now = env.now().timestamp();
        let claims = json!({
            "iss": client_id, "sub": client_id, "aud": audience,
            "iat": now, "exp": now + 120, "jti": env.ids.uuid(),
        });
        let mut header = Header::new(Algorithm::ES384);
        header.kid = Some("demo".to_owned());
        Ok(jsonwebtoken::encode(&header, &claims, &self.key)?)
    }
}

pub async fn fhir(world: &mut World) -> anyhow::Result<()> {
    let smart = world
        .client
        .get("/fhir/.well-known/smart-configuration")
        .send()
        .await?
        .expect(200, "reading the SMART configuration")?
        .json()?;
    let token_url = text(&smart, "/token_endpoint")?;
    let partner = Partner::new(&world.env)?;
    let admin = world.admin.as_ref().context("an administrator")?;
    let registered = world
        .client
        .post(
            "/api/admin/clients",
            json!({
                "name": format!("Demo EHR {}", world.run),
                "jwks": { "keys": [partner.jwk] },
                "scopes": ["system/*.read"],
            }),
        )
        .token(&admin.token)
        .send()
        .await?
        .done("registering the partner")?
        .json()?;
    let client_id = text(&registered, "/id")?;
    let assertion = partner.assertion(&world.env, &client_id, &token_url)?;
    let form = [
        ("grant_type", "client_credentials"),
        ("scope", "system/*.read"),
        ("client_assertion_type", "urn:ietf:params:oauth:client-assertion-type:jwt-bearer"),
        ("client_assertion", assertion.as_str()),
    ];
    let granted = world
        .client
        .post_form("/oauth/token", &form)
        .send()
        .await?
        .expect(200, "a token")?
        .json()?;
    let token = text(&granted, "/access_token")?;
    world.save("fhir-token.txt", token.as_bytes())?;
    // It is a token for FHIR, and opens nothing else.
    let elsewhere = world.client.get("/api/auth/permissions").token(&token).send().await?;
    elsewhere.expect(401, "a client's token outside FHIR")?;
    let replayed = world.client.post_form("/oauth/token", &form).send().await?;
    if replayed.status.is_success() {
        bail!("an assertion was good twice");
    }

    // Who was met has an encounter on the record as well.
    let walk = &somebody_with_visits(world).await?;
    let patient = world.get(format!("/fhir/Patient/{}", walk.patient_id), &token).await?;
    if patient["birthDate"] != walk.person.profile()["birth_date"] {
        bail!("the patient is another: {patient}");
    }
    let mut entries = vec![json!({ "resource": patient })];
    for kind in ["QuestionnaireResponse", "MedicationRequest", "Encounter"] {
        let bundle = world.get(format!("/fhir/{kind}?patient={}", walk.patient_id), &token).await?;
        let found = bundle["entry"].as_array().cloned().unwrap_or_default();
        if found.is_empty() {
            bail!("no {kind} of the patient is there");
        }
        if found.iter().any(|entry| entry["resource"]["resourceType"] != kind) {
            bail!("a search for {kind} found something else");
        }
        let id = text(&found[0], "/resource/id")?;
        let read = world.get(format!("/fhir/{kind}/{id}"), &token).await?;
        if read["id"] != found[0]["resource"]["id"] {
            bail!("reading {kind}/{id} gave another");
        }
        entries.extend(found.into_iter().map(|entry| json!({ "resource": entry["resource"] })));
    }
    let refused = world.client.get(format!("/fhir/Patient/{}", walk.patient_id)).send().await?;
    if refused.status.as_u16() != 401 || refused.json()?["resourceType"] != "OperationOutcome" {
        bail!("without a token the answer was {}", refused.status);
    }
    let count = entries.len();
    let bundle = json!({ "resourceType": "Bundle", "type": "collection", "entry": entries });
    world.save("fhir-bundle.json", serde_json::to_string_pretty(&bundle)?.as_bytes())?;
    world.report.detail(&format!("{count} resources read with a backend-services token"));
    Ok(())
}

pub async fn audit(world: &mut World) -> anyhow::Result<()> {
    let auditor = world.auditor.as_ref().context("an auditor")?;
    let walk = world.walks.iter().find(|walk| walk.dispensed()).context("a patient")?;
    let path = format!("/api/admin/audit-logs/{}?limit=200", walk.patient_id);
    let trail = world.get(path.clone(), &auditor.token).await?;
    let entries = trail["items"].as_array().map_or(0, Vec::len);
    if entries < 20 {
        bail!("the trail of a whole journey has {entries} entries");
    }
    let refused = world.client.get(path).token(&walk.token).send().await?;
    if refused.status.as_u16() != 403 {
        bail!("a patient got {} for the audit log", refused.status);
    }
    let csv = world
        .client
        .post("/api/admin/audit-logs/export", json!({ "patient": walk.patient_id }))
        .token(&auditor.token)
        .send()
        .await?
        .expect(200, "exporting the trail")?;
    let lines = csv.bytes.split(|byte| *byte == b'\n').filter(|line| !line.is_empty()).count();
    if lines < entries {
        bail!("the export has {lines} lines, the trail {entries} entries");
    }
    world.save("audit.csv", &csv.bytes)?;
    world.report.detail(&format!("the trail of one patient: {} lines in audit.csv", lines - 1));
    match &world.data_dir {
        Some(data_dir) => {
            let output = tokio::process::Command::new(std::env::current_exe()?)
                .arg("audit")
                .arg("verify")
                .arg("--data-dir")
                .arg(data_dir)
                .output()
                .await?;
            let said = String::from_utf8_lossy(&output.stdout);
            world.report.detail(said.trim());
            if !output.status.success() {
                bail!("the chain is not intact: {said}");
            }
        }
        None => world.report.detail(
            "run `salus audit verify` beside the server to prove the chain; its data folder is not here",
        ),
    }
    Ok(())
}
