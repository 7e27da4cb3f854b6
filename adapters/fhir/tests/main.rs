//! The FHIR surface over the real store.

use std::{collections::BTreeSet, sync::Arc};

use async_trait::async_trait;
use kernel::{
    AccountId, Actor, ActorKind, ApiClientId, Coding, EventId, HumanName, PatientId, Permission,
    ProviderId, RequestContext, Role, SessionId, Sex, Uuid, code::system,
};
use poem::{
    IntoEndpoint as _, Route,
    http::StatusCode,
    test::{TestClient, TestResponse},
};
use ports::{Delivery, Panel};
use records::{
    Claim, MedicationInput,
    projections::on_patient_profile_changed,
    report_medications,
    sources::{PatientData, PatientSource},
};
use salus_fhir::{Authenticate, FhirServer, R4Mapper, Unauthenticated, routes};
use salus_tests::Database;
use sea_orm::{ConnectionTrait as _, DbBackend, Statement};
use serde_json::Value;

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
            let delivery = Delivery { event: env.fresh::<EventId>(), handler: "records.patient" };
            on_patient_profile_changed(env, pg, &R4Mapper, &Profiles, delivery, patient)
                .await
                .unwrap();
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
    response.assert_content_type("application/fhir+json; charset=utf-8");
}

#[tokio::test]
async fn what_the_client_has_is_not_sent_again() {
    let surface = Surface::new().await;
    let app = Route::new().nest("/fhir", routes(surface.server.clone()).into_endpoint());
    let client = TestClient::new(app);
    for (tag, expected) in [("W/\"1\"", StatusCode::NOT_MODIFIED), ("W/\"2\"", StatusCode::OK)] {
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
        for parameter in resource["searchParam"].as_array().unwrap() {
            let name = parameter["name"].as_str().unwrap();
            let value = if name == "_lastUpdated" { "2026" } else { "x" };
            let app = Route::new().nest("/fhir", routes(surface.server.clone()).into_endpoint());
            let response = TestClient::new(app)
                .get(format!("/fhir/{kind}?{name}={value}"))
                .header("Authorization", "Bearer client system/*.rs")
                .header("Prefer", "handling=strict")
                .send()
                .await;
            response.assert_status_is_ok();
        }
    }
    let response = surface.get("", "/.well-known/smart-configuration").await;
    let smart = response.json().await;
    smart.value().object().get("token_endpoint").assert_string("https://salus.example/oauth/token");
}
