//! The FHIR surface over the real store.

use std::{collections::BTreeSet, sync::Arc};

use async_trait::async_trait;
use kernel::{
    AccountId, Actor, ActorKind, ApiClientId, Coding, FormResponseId, HumanName, PatientId,
    Permission, PhotoId, ProviderId, RequestContext, Role, SessionId, Sex, Uuid, code::system,
};
use poem::{IntoEndpoint as _, Route, http::StatusCode};
use ports::Panel;
use records::{
    Claim, MedicationInput,
    projections::{on_patient_profile_changed, on_response_submitted},
    report_medications,
    sources::{FileSource, HeldFile, PatientData, PatientSource, ResponseData, ResponseSource},
};
use salus_fhir::{Authenticate, FhirServer, R4Mapper, Unauthenticated, routes};
use salus_tests::{
    Database,
    http::{TestClient, TestResponse},
};
use sea_orm::{ConnectionTrait as _, DbBackend, Statement};
use serde_json::{Value, json};

/// Takes the token for what it says: `client <scopes>`, `patient <number>` or
/// `provider`.
struct Tokens;

#[async_trait]
impl Authenticate for Tokens {
    async fn authenticate(
        &self,
        bearer: &str,
        request: RequestContext,
    ) -> Result<Actor, Unauthenticated> {
        let account = |number, role, permission| {
            let kind = ActorKind::Account {
                account: AccountId(Uuid::from_u128(number)),
                session: SessionId(Uuid::from_u128(1)),
                roles: Arc::new(BTreeSet::from([role])),
            };
            (kind, BTreeSet::from([permission]))
        };
        let (kind, permissions) = match bearer.split_once(' ') {
            Some(("client", scopes)) => {
                let scopes = scopes.split(' ').map(str::to_owned).collect();
                let client = ApiClientId(Uuid::from_u128(5));
                (ActorKind::Client { client, scopes: Arc::new(scopes) }, BTreeSet::new())
            }
            Some(("patient", number)) => {
                account(number.parse().unwrap(), Role::Patient, Permission::ProfileOwn)
            }
            None if bearer == "provider" => account(9, Role::Provider, Permission::PatientRead),
            _ => return Err(Unauthenticated::NoValidToken),
        };
        Ok(Actor { kind, permissions: Arc::new(permissions), request })
    }
}

struct FirstPatient;

#[async_trait]
impl Panel for FirstPatient {
    async fn treats(&self, _: ProviderId, patient: PatientId) -> ports::Result<bool> {
        Ok(patient == PatientId(Uuid::from_u128(1)))
    }
}

struct Profiles;

#[async_trait]
impl PatientSource for Profiles {
    async fn patient(&self, patient: PatientId) -> ports::Result<Option<PatientData>> {
        Ok(Some(PatientData {
            patient,
            source_version: 1,
            active: true,
            name: HumanName { given: "Ada".into(), family: "Lovelace".into() },
            sex: Sex::Female,
            birth_date: "1985-12-10".parse().unwrap(),
            address: None,
            phone: None,
            email: None,
        }))
    }
}

/// A response of each patient, which the patient's own form gave; that of
/// number n holds the photo of number n.
struct Responses;

#[async_trait]
impl ResponseSource for Responses {
    async fn response(&self, id: FormResponseId) -> ports::Result<Option<ResponseData>> {
        let patient = PatientId(id.uuid());
        let photo = json!({ "url": format!("/api/photos/{id}"), "contentType": "image/png" });
        Ok(Some(ResponseData {
            patient,
            source_version: 1,
            content: json!({
                "resourceType": "QuestionnaireResponse",
                "id": id.to_string(),
                "questionnaire": format!("urn:uuid:{}", Uuid::from_u128(1)),
                "status": "completed",
                "subject": { "reference": format!("Patient/{patient}") },
                "authored": "2026-03-01T00:00:00Z",
                "item": [{ "linkId": "photo", "answer": [{ "valueAttachment": photo }] }],
            }),
        }))
    }
}

struct Photos;

#[async_trait]
impl FileSource for Photos {
    async fn file(&self, id: PhotoId) -> ports::Result<Option<HeldFile>> {
        Ok((id != PhotoId(Uuid::from_u128(99))).then(|| HeldFile {
            id,
            response: FormResponseId(id.uuid()),
            content_type: "image/png".into(),
            created_at: "2026-03-01T00:00:00Z".parse().unwrap(),
        }))
    }

    async fn bytes(&self, _: PhotoId) -> ports::Result<Vec<u8>> {
        Ok(b"png".to_vec())
    }
}

struct Surface {
    database: Database,
    server: FhirServer,
}

impl Surface {
    /// Three patients, each with two medications.
    async fn new() -> Self {
        let database = Database::fresh().await;
        let (pg, env) = (&database.pg, &database.env);
        for number in 1..=3 {
            let patient = PatientId(Uuid::from_u128(number));
            on_patient_profile_changed(env, pg, &R4Mapper, &Profiles, patient).await.unwrap();
            let response = FormResponseId(Uuid::from_u128(number));
            on_response_submitted(env, pg, &Responses, response).await.unwrap();
            let token = format!("patient {number}");
            let actor = Tokens.authenticate(&token, RequestContext::default()).await.unwrap();
            let items = ["198039", "314076"].map(|code| MedicationInput {
                drug: Coding::new(system::RXNORM, code, "a drug"),
                dosage: None,
                started_on: None,
            });
            let claim = Claim { none_known: false, items: items.into() };
            report_medications(env, pg, &R4Mapper, &actor, claim).await.unwrap();
        }
        let server = FhirServer {
            store: Arc::new(pg.clone()),
            panel: Arc::new(FirstPatient),
            files: Arc::new(Photos),
            identity: Arc::new(Tokens),
            base_url: "https://salus.example/fhir".into(),
            token_url: "https://salus.example/oauth/token".into(),
            context: |_| RequestContext::default(),
        };
        Self { database, server }
    }

    async fn get(&self, token: &str, path: &str) -> TestResponse {
        let app = Route::new().nest("/fhir", routes(self.server.clone()).into_endpoint());
        let client = TestClient::new(app);
        let request = client.get(format!("/fhir{path}"));
        request.header("Authorization", format!("Bearer {token}")).send().await
    }

    async fn json(&self, token: &str, path: &str) -> (StatusCode, Value) {
        let response = self.get(token, path).await.0;
        let status = response.status();
        let kind = response.content_type().unwrap_or_default().to_owned();
        assert_eq!(kind, "application/fhir+json; charset=utf-8", "{path}");
        let body = response.into_body().into_string().await.unwrap();
        (status, serde_json::from_str(&body).unwrap())
    }

    async fn count(&self, condition: &str) -> i64 {
        let sql = format!("SELECT count(*) FROM audit_entries WHERE {condition}");
        let statement = Statement::from_string(DbBackend::Postgres, sql);
        let row = self.database.pg.pool().query_one_raw(statement).await.unwrap().unwrap();
        row.try_get_by_index(0).unwrap()
    }
}

fn ids(bundle: &Value) -> Vec<&str> {
    let entries = bundle["entry"].as_array().map(Vec::as_slice).unwrap_or_default();
    entries.iter().map(|entry| entry["resource"]["id"].as_str().unwrap()).collect()
}

fn link<'a>(bundle: &'a Value, relation: &str) -> Option<&'a str> {
    let links = bundle["link"].as_array().unwrap();
    let found = links.iter().find(|link| link["relation"] == relation)?;
    found["url"].as_str().unwrap().strip_prefix("https://salus.example/fhir")
}

#[tokio::test]
async fn a_partner_reads_and_searches_what_its_scopes_cover() {
    let surface = Surface::new().await;
    let token = "client system/Patient.read system/MedicationStatement.rs";
    let id = Uuid::from_u128(2);
    let response = surface.get(token, &format!("/Patient/{id}")).await;
    response.assert_status_is_ok();
    response.assert_header("etag", "W/\"1\"");
    response.assert_header("last-modified", "Mon, 02 Mar 2026 12:00:00 GMT");
    let (_, patient) = surface.json(token, &format!("/Patient/{id}")).await;
    assert_eq!(patient["name"][0]["family"], "Lovelace");
    assert_eq!(patient["meta"]["versionId"], "1");

    let query = format!("/MedicationStatement?patient=Patient/{id}&code=198039");
    let (status, bundle) = surface.json(token, &query).await;
    assert_eq!(
        (status, bundle["type"].as_str(), bundle["total"].as_u64()),
        (StatusCode::OK, Some("searchset"), Some(1))
    );
    let entry = &bundle["entry"][0];
    assert_eq!(entry["resource"]["subject"]["reference"], format!("Patient/{id}"));
    assert_eq!(
        entry["fullUrl"],
        format!("https://salus.example/fhir/MedicationStatement/{}", ids(&bundle)[0])
    );

    for path in ["/Encounter", &format!("/Encounter/{id}")] {
        let (status, outcome) = surface.json(token, path).await;
        assert_eq!(status, StatusCode::FORBIDDEN);
        assert_eq!(outcome["resourceType"], "OperationOutcome");
        assert_eq!(outcome["issue"][0]["code"], "forbidden");
    }
    let audited = format!("actor_kind = 'client' AND patient_id = '{id}'");
    assert_eq!(surface.count(&format!("{audited} AND action = 'read'")).await, 2);
    let returned = format!("{audited} AND detail -> 'returned' = '[\"{}\"]'", ids(&bundle)[0]);
    assert_eq!(surface.count(&returned).await, 1);
    assert_eq!(surface.count("outcome = 'denied' AND entity = 'Encounter'").await, 2);
}

#[tokio::test]
async fn the_next_links_walk_every_match_once() {
    let surface = Surface::new().await;
    let token = "client system/*.read";
    let mut path = "/MedicationStatement?_count=4&status=active".to_owned();
    let mut seen = Vec::new();
    loop {
        let (_, bundle) = surface.json(token, &path).await;
        assert_eq!(bundle["total"], 6);
        assert_eq!(link(&bundle, "self"), Some(path.as_str()));
        seen.extend(ids(&bundle).into_iter().map(str::to_owned));
        match link(&bundle, "next") {
            Some(next) => path = next.to_owned(),
            None => break,
        }
    }
    let count = seen.len();
    seen.sort_unstable();
    seen.dedup();
    assert_eq!((count, seen.len()), (6, 6));
    let (_, bundle) = surface.json(token, "/MedicationStatement?_count=0").await;
    assert_eq!((bundle["total"].as_u64(), bundle.get("entry")), (Some(6), None));
}

#[tokio::test]
async fn a_patient_and_a_provider_reach_their_own() {
    let surface = Surface::new().await;
    let (own, other) = (Uuid::from_u128(1), Uuid::from_u128(2));
    for token in ["patient 1", "provider"] {
        let (status, _) = surface.json(token, &format!("/Patient/{own}")).await;
        assert_eq!(status, StatusCode::OK, "{token}");
        let (status, outcome) = surface.json(token, &format!("/Patient/{other}")).await;
        assert_eq!(status, StatusCode::NOT_FOUND, "{token}");
        assert_eq!(outcome["issue"][0]["code"], "not-found");
        for (patient, total) in [(own, 2), (other, 0)] {
            let path = format!("/MedicationStatement?patient={patient}");
            let (_, bundle) = surface.json(token, &path).await;
            assert_eq!(bundle["total"], total, "{token}");
        }
    }
    let (_, bundle) = surface.json("patient 1", "/Patient").await;
    assert_eq!(ids(&bundle), [own.to_string()]);
    let (status, _) = surface.json("provider", &format!("/Patient?_id={own}")).await;
    assert_eq!(status, StatusCode::OK);
    let (status, _) = surface.json("provider", "/Patient").await;
    assert_eq!(status, StatusCode::BAD_REQUEST);
    assert_eq!(surface.count("outcome = 'denied'").await, 4);
}

#[tokio::test]
async fn every_failure_is_an_operation_outcome() {
    let surface = Surface::new().await;
    let token = "client system/*.read";
    for (token, path, expected, code) in [
        ("nonsense", "/Patient", StatusCode::UNAUTHORIZED, "login"),
        (token, "/Patient/not-a-uuid", StatusCode::NOT_FOUND, "not-found"),
        (
            token,
            "/Patient/00000000-0000-0000-0000-000000000099",
            StatusCode::NOT_FOUND,
            "not-found",
        ),
        (token, "/Observation", StatusCode::NOT_FOUND, "not-supported"),
        (token, "/Patient/1/2/3", StatusCode::NOT_FOUND, "not-found"),
        (token, "/Patient?_lastUpdated=soon", StatusCode::BAD_REQUEST, "invalid"),
        (token, "/Patient?_format=xml", StatusCode::NOT_ACCEPTABLE, "not-supported"),
        (token, "/Patient/1?_pretty=true&_pretty=false", StatusCode::BAD_REQUEST, "invalid"),
        (token, "/Patient?name=Lovelace", StatusCode::BAD_REQUEST, "not-supported"),
        (token, "/MedicationRequest?subject:Patient=x", StatusCode::BAD_REQUEST, "not-supported"),
        (token, "/Encounter?status=a%00", StatusCode::BAD_REQUEST, "invalid"),
        (
            token,
            "/Patient?_lastUpdated=+262142-12-31T23:59:59Z",
            StatusCode::BAD_REQUEST,
            "invalid",
        ),
        (token, "/Binary", StatusCode::BAD_REQUEST, "not-supported"),
        (token, "/metadata?_format=xml", StatusCode::NOT_ACCEPTABLE, "not-supported"),
    ] {
        let (status, outcome) = surface.json(token, path).await;
        assert_eq!(status, expected, "{path}");
        assert_eq!(outcome["issue"][0]["code"], code, "{path}");
    }
    let app = Route::new().nest("/fhir", routes(surface.server.clone()).into_endpoint());
    let client = TestClient::new(app);
    let response = client.get("/fhir/Patient").send().await;
    response.assert_status(StatusCode::UNAUTHORIZED);
    response.assert_header_exist("www-authenticate");
    let response = client.post("/fhir/Patient").send().await;
    response.assert_status(StatusCode::METHOD_NOT_ALLOWED);
    response.assert_header("allow", "GET, HEAD");
    response.assert_content_type("application/fhir+json; charset=utf-8");
}

#[tokio::test]
async fn an_answer_is_counted_shortened_and_written_as_asked() {
    let surface = Surface::new().await;
    let token = "client system/*.read";
    let (status, bundle) = surface.json(token, "/Patient?_summary=count").await;
    assert_eq!((status, bundle["total"].as_u64()), (StatusCode::OK, Some(3)));
    assert_eq!((bundle.get("entry"), link(&bundle, "next")), (None, None));
    assert_eq!(surface.count("detail ? 'returned'").await, 0, "nothing was shown");
    let (_, bundle) = surface.json(token, "/Patient?_elements=gender&_total=none").await;
    let patient = &bundle["entry"][0]["resource"];
    assert_eq!((&patient["gender"], bundle.get("total")), (&"female".into(), None));
    assert_eq!((patient.get("name"), patient.get("birthDate")), (None, None));
    assert_eq!(patient["meta"]["tag"][0]["code"], "SUBSETTED");
    // A plus that is not encoded, against an Accept that takes no JSON.
    let app = Route::new().nest("/fhir", routes(surface.server.clone()).into_endpoint());
    let client = TestClient::new(app);
    for (path, expected) in [
        ("/fhir/Patient?_format=application/fhir+json&_pretty=true", StatusCode::OK),
        ("/fhir/Patient", StatusCode::NOT_ACCEPTABLE),
    ] {
        let request = client.get(path).header("Authorization", format!("Bearer {token}"));
        let response = request.header("Accept", "application/fhir+xml").send().await;
        response.assert_status(expected);
    }
    let request = client.get("/fhir/Patient?name=x&_summary=count");
    let request = request.header("Authorization", format!("Bearer {token}"));
    let response = request.header("Prefer", "handling=lenient").send().await;
    let body = response.0.into_body().into_string().await.unwrap();
    assert!(
        body.contains("\"url\":\"https://salus.example/fhir/Patient?_summary=count\""),
        "{body}"
    );
}

#[tokio::test]
async fn a_photo_is_a_binary_for_whoever_may_read_its_response() {
    let surface = Surface::new().await;
    let path = format!("/Binary/{}", Uuid::from_u128(1));
    let token = "client system/QuestionnaireResponse.rs";
    let (_, response) =
        surface.json(token, &format!("/QuestionnaireResponse/{}", Uuid::from_u128(1))).await;
    let linked = &response["item"][0]["answer"][0]["valueAttachment"]["url"];
    assert_eq!(linked, &path[1..], "relative to the base, as a reference");

    let native = surface.get(token, &path).await;
    native.assert_status_is_ok();
    native.assert_content_type("image/png");
    native.assert_header("etag", "W/\"1\"");
    native.assert_header(
        "x-security-context",
        format!("QuestionnaireResponse/{}", Uuid::from_u128(1)),
    );
    assert_eq!(native.0.into_body().into_vec().await.unwrap(), b"png");
    let (status, binary) = surface.json(token, &format!("{path}?_format=json")).await;
    assert_eq!((status, &binary["resourceType"]), (StatusCode::OK, &"Binary".into()));
    assert_eq!((&binary["contentType"], &binary["data"]), (&"image/png".into(), &"cG5n".into()));
    let context = &binary["securityContext"]["reference"];
    assert_eq!(context, &format!("QuestionnaireResponse/{}", Uuid::from_u128(1)));
    let app = Route::new().nest("/fhir", routes(surface.server.clone()).into_endpoint());
    let response = TestClient::new(app)
        .get(format!("/fhir{path}"))
        .header("Authorization", format!("Bearer {token}"))
        .header("Accept", "application/fhir+json")
        .send()
        .await;
    response.assert_content_type("application/fhir+json; charset=utf-8");

    for token in ["patient 1", "provider"] {
        surface.get(token, &path).await.assert_status_is_ok();
    }
    let other = format!("/Binary/{}", Uuid::from_u128(2));
    for (token, path, expected) in [
        ("patient 2", path.as_str(), StatusCode::NOT_FOUND),
        ("provider", &other, StatusCode::NOT_FOUND),
        ("client system/Binary.rs system/Patient.rs", &path, StatusCode::FORBIDDEN),
        // One of no response, and one whose response is not on the record.
        (token, &format!("/Binary/{}", Uuid::from_u128(99)), StatusCode::NOT_FOUND),
        (token, &format!("/Binary/{}", Uuid::from_u128(50)), StatusCode::NOT_FOUND),
        (token, "/Binary/x", StatusCode::NOT_FOUND),
        (token, &format!("{path}?_elements=data"), StatusCode::BAD_REQUEST),
    ] {
        let (status, outcome) = surface.json(token, path).await;
        assert_eq!(status, expected, "{token} {path}");
        assert_eq!(outcome["resourceType"], "OperationOutcome");
    }
    let read = format!(
        "entity = 'Binary' AND action = 'read' AND patient_id = '{}' AND outcome = 'success'",
        Uuid::from_u128(1)
    );
    assert_eq!(surface.count(&read).await, 5);
    assert_eq!(surface.count("entity = 'Binary' AND outcome = 'denied'").await, 5);
}

#[tokio::test]
async fn what_the_client_has_is_not_sent_again() {
    let surface = Surface::new().await;
    let app = Route::new().nest("/fhir", routes(surface.server.clone()).into_endpoint());
    let client = TestClient::new(app);
    for (tag, expected) in [
        ("W/\"1\"", StatusCode::NOT_MODIFIED),
        ("\"7\", \"1\"", StatusCode::NOT_MODIFIED),
        ("*", StatusCode::NOT_MODIFIED),
        ("W/\"2\"", StatusCode::OK),
    ] {
        let response = client
            .get(format!("/fhir/Patient/{}", Uuid::from_u128(1)))
            .header("Authorization", "Bearer client system/*.rs")
            .header("If-None-Match", tag)
            .send()
            .await;
        response.assert_status(expected);
    }
}

#[tokio::test]
async fn the_metadata_needs_no_token_and_names_what_is_served() {
    let surface = Surface::new().await;
    let (status, statement) = surface.json("", "/metadata").await;
    assert_eq!(status, StatusCode::OK);
    let resources = statement["rest"][0]["resource"].as_array().unwrap();
    // What the statement lists answers.
    for resource in resources {
        let kind = resource["type"].as_str().unwrap();
        for parameter in resource["searchParam"].as_array().into_iter().flatten() {
            let name = parameter["name"].as_str().unwrap();
            let value = if name == "_lastUpdated" { "2026" } else { "x" };
            let app = Route::new().nest("/fhir", routes(surface.server.clone()).into_endpoint());
            let response = TestClient::new(app)
                .get(format!("/fhir/{kind}?{name}={value}"))
                .header("Authorization", "Bearer client system/*.rs")
                .send()
                .await;
            response.assert_status_is_ok();
        }
    }
    let response = surface.get("", "/.well-known/smart-configuration").await;
    let smart = response.json().await;
    smart.value().object().get("token_endpoint").assert_string("https://salus.example/oauth/token");
}
