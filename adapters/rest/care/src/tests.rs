//! Every operation is reached by its path, wants a token and refuses who lacks
//! the permission; what the store answers is tested beside the stores.

use std::{
    collections::{BTreeMap, BTreeSet},
    sync::Arc,
};

use api::{Authenticator, Problem};
use async_trait::async_trait;
use care::{
    Archive, CallbackCredentials, CareStore, CareTx, Categories, CategoryTerms, ClientToken,
    ClinicalFacts, Colleague, IntakeReader, PatientFacts, ProviderDirectory, Sources, Standing,
    SubmittedResponse, TokenRequest, VideoCallback, VideoRooms, VisitCover, VisitCovers,
    portal::Inbox,
};
use chrono::{DateTime, Utc};
use kernel::{
    AccountId, Actor, ActorKind, CategoryId, FormResponseId, PatientId, Permission, ProviderId,
    RequestContext, UsState, Uuid,
};
use poem::{
    EndpointExt as _, Route,
    http::{Method, StatusCode},
    test::TestClient,
};
use poem_openapi::{OpenApiService, types::Example as _, types::ToJSON as _};
use ports::PortError;
use serde_json::{Value, json};

use super::*;

/// A store and its surroundings that nothing may reach.
struct Unreachable;

fn unreached<T>() -> ports::Result<T> {
    Err(PortError::bug("something was reached without a permission"))
}

#[async_trait]
impl CareStore for Unreachable {
    async fn begin(&self, _: &Actor) -> ports::Result<Box<dyn CareTx>> {
        unreached()
    }
}

#[async_trait]
impl IntakeReader for Unreachable {
    async fn submitted(&self, _: FormResponseId) -> ports::Result<Option<SubmittedResponse>> {
        unreached()
    }

    async fn asked(&self, _: FormResponseId) -> ports::Result<Option<Vec<care::AskedQuestion>>> {
        unreached()
    }
}

#[async_trait]
impl care::SafetyChecks for Unreachable {
    async fn alerts(
        &self,
        _: PatientId,
        _: &care::Treatment,
        _: Option<kernel::TreatmentPlanId>,
    ) -> ports::Result<Vec<care::SafetyAlert>> {
        unreached()
    }
}

#[async_trait]
impl PatientFacts for Unreachable {
    async fn facts(&self, _: PatientId) -> ports::Result<Option<ClinicalFacts>> {
        unreached()
    }

    async fn names(
        &self,
        _: &[PatientId],
    ) -> ports::Result<BTreeMap<PatientId, care::PatientName>> {
        unreached()
    }

    async fn states(&self, _: &[PatientId]) -> ports::Result<BTreeMap<PatientId, UsState>> {
        unreached()
    }
}

#[async_trait]
impl compliance::unread::UnreadStore for Unreachable {
    async fn begin(&self, _: &Actor) -> ports::Result<Box<dyn compliance::unread::UnreadTx>> {
        Err(PortError::bug("a notice was kept without a signature"))
    }
}

#[async_trait]
impl Inbox for Unreachable {
    async fn unread(&self, _: ProviderId) -> ports::Result<u64> {
        unreached()
    }
}

#[async_trait]
impl ProviderDirectory for Unreachable {
    async fn licensed_states(
        &self,
        _: ProviderId,
        _: DateTime<Utc>,
    ) -> ports::Result<Vec<UsState>> {
        unreached()
    }

    async fn licensed_providers(
        &self,
        _: UsState,
        _: DateTime<Utc>,
    ) -> ports::Result<Vec<ProviderId>> {
        unreached()
    }

    async fn access_reviewers(&self) -> ports::Result<Vec<AccountId>> {
        unreached()
    }

    async fn is_patient(&self, _: PatientId) -> ports::Result<bool> {
        unreached()
    }

    async fn is_provider(&self, _: ProviderId) -> ports::Result<bool> {
        unreached()
    }

    async fn at_work(
        &self,
        _: ProviderId,
        _: DateTime<Utc>,
        _: DateTime<Utc>,
    ) -> ports::Result<Option<bool>> {
        unreached()
    }

    async fn colleagues(&self, _: UsState, _: DateTime<Utc>) -> ports::Result<Vec<Colleague>> {
        unreached()
    }

    async fn standing(&self, _: ProviderId, _: DateTime<Utc>, _: u32) -> ports::Result<Standing> {
        unreached()
    }
}

#[async_trait]
impl Categories for Unreachable {
    async fn terms(&self, _: CategoryId) -> ports::Result<Option<CategoryTerms>> {
        unreached()
    }
}

#[async_trait]
impl VisitCovers for Unreachable {
    async fn video_visits(&self, _: PatientId, _: Option<CategoryId>) -> ports::Result<VisitCover> {
        unreached()
    }
}

#[async_trait]
impl VideoRooms for Unreachable {
    async fn create_session(&self) -> ports::Result<String> {
        unreached()
    }

    fn client_token(&self, _: &TokenRequest) -> ports::Result<ClientToken> {
        unreached()
    }

    async fn start_archive(&self, _: &str, _: &str) -> ports::Result<Archive> {
        unreached()
    }

    async fn stop_archive(&self, _: &str) -> ports::Result<Archive> {
        unreached()
    }

    fn read_callback(
        &self,
        _: &CallbackCredentials,
        _: &[u8],
        _: DateTime<Utc>,
    ) -> ports::Result<Option<VideoCallback>> {
        Ok(None)
    }
}

/// Lets everyone in, with no role and no permission at all.
struct Powerless;

#[async_trait]
impl Authenticator for Powerless {
    async fn authenticate(&self, token: &str, request: RequestContext) -> Result<Actor, Problem> {
        let kind = ActorKind::Account {
            account: Uuid::from_u128(1).into(),
            session: Uuid::from_u128(2).into(),
            roles: Arc::default(),
        };
        let permissions = match token {
            "entitled" => BTreeSet::from([
                Permission::ReviewWork,
                Permission::TreatmentWrite,
                Permission::ConsultationOwn,
            ]),
            _ => BTreeSet::new(),
        };
        Ok(Actor { kind, permissions: Arc::new(permissions), request })
    }
}

fn client() -> TestClient<impl poem::Endpoint> {
    let (env, _) = salus_tests::test_env();
    let store: Arc<dyn CareStore> = Arc::new(Unreachable);
    let rooms: Arc<dyn VideoRooms> = Arc::new(Unreachable);
    let sources = Sources {
        intake: Arc::new(Unreachable),
        facts: Arc::new(Unreachable),
        directory: Arc::new(Unreachable),
        covers: Arc::new(Unreachable),
        safety: Arc::new(Unreachable),
    };
    let service = OpenApiService::new(
        (
            AssessmentsApi { store: store.clone() },
            ReviewsApi { env: env.clone(), store: store.clone(), sources: sources.clone() },
            PlansApi { env: env.clone(), store: store.clone(), sources: sources.clone() },
            WholeReviewApi { env: env.clone(), store: store.clone(), sources: sources.clone() },
            InformationApi { env: env.clone(), store: store.clone(), sources: sources.clone() },
            HandoverApi { env: env.clone(), store: store.clone(), sources: sources.clone() },
            AssignmentApi { env: env.clone(), store: store.clone(), sources: sources.clone() },
            TasksApi { env: env.clone(), store: store.clone(), sources: sources.clone() },
            PortalApi {
                env: env.clone(),
                store: store.clone(),
                sources: sources.clone(),
                inbox: Arc::new(Unreachable),
            },
            DosingApi { env: env.clone(), store: store.clone(), sources: sources.clone() },
            ConsultationsApi {
                env: env.clone(),
                store: store.clone(),
                sources,
                rooms: rooms.clone(),
            },
            VideoWebhookApi { env, store, rooms, unread: Arc::new(Unreachable) },
        ),
        "Salus",
        "0",
    );
    let authenticator: Arc<dyn Authenticator> = Arc::new(Powerless);
    TestClient::new(Route::new().nest("/", service).data(authenticator))
}

/// The operations that want a permission or a role, with a body that parses.
fn operations() -> Vec<(Method, String, Option<Value>)> {
    let id = Uuid::from_u128(7);
    let treatment = TreatmentBody::example().to_json().unwrap();
    let booking = BookConsultation::example().to_json().unwrap();
    let plan = json!({
        "patient_id": id, "category_id": id, "treatment": treatment, "reason": "Continue.",
    });
    let review = |what: &str| format!("/api/providers/reviews/{id}/{what}");
    vec![
        (Method::GET, "/api/assessments".into(), None),
        (Method::GET, format!("/api/assessments/{id}"), None),
        (Method::GET, "/api/providers/review-queue".into(), None),
        (Method::POST, review("claim"), None),
        (Method::POST, review("release"), None),
        (Method::POST, review("approve"), Some(json!({ "version": "as-read" }))),
        (Method::GET, format!("/api/providers/reviews/{id}"), None),
        (Method::POST, review("proposal"), Some(json!({ "treatment": treatment }))),
        (Method::POST, review("reject"), Some(json!({ "reason": "other" }))),
        (Method::GET, format!("/api/providers/patients/{id}/eligibility"), None),
        (Method::POST, review("request-information"), Some(json!({ "question": "Since when?" }))),
        (Method::POST, review("reassign"), Some(json!({ "provider_id": id }))),
        (
            Method::POST,
            format!("/api/assessments/{id}/information"),
            Some(json!({ "answer": "Since May." })),
        ),
        (Method::GET, format!("/api/assessments/{id}/information"), None),
        (Method::GET, "/api/providers/dashboard".into(), None),
        (Method::GET, "/api/providers/patients".into(), None),
        (Method::GET, "/api/providers/tasks".into(), None),
        (
            Method::PUT,
            format!("/api/providers/tasks/{id}"),
            Some(json!({ "status": "done", "note": "Called." })),
        ),
        (Method::GET, "/api/admin/assignment-policy".into(), None),
        (Method::POST, "/api/admin/reviews/assign".into(), None),
        (Method::GET, "/api/admin/handovers".into(), None),
        (Method::POST, format!("/api/admin/providers/{id}/handover"), Some(json!({}))),
        (Method::POST, "/api/treatment-plans".into(), Some(plan)),
        (
            Method::PUT,
            format!("/api/treatment-plans/{id}"),
            Some(json!({ "treatment": treatment, "reason": "Another." })),
        ),
        (
            Method::POST,
            format!("/api/treatment-plans/{id}/modify"),
            Some(json!({ "refills": 1, "reason": "Fewer." })),
        ),
        (
            Method::POST,
            format!("/api/treatment-plans/{id}/revoke"),
            Some(json!({ "reason": "adverse_reaction" })),
        ),
        (Method::POST, format!("/api/treatment-plans/{id}/complete"), Some(json!({}))),
        (
            Method::POST,
            format!("/api/providers/patients/{id}/dose"),
            ComputeDose::example().to_json(),
        ),
        (Method::GET, "/api/admin/dosing-rules/213270".into(), None),
        (Method::PUT, "/api/admin/dosing-rules/213270".into(), DosingRuleBody::example().to_json()),
        (Method::POST, "/api/consultations/video/create".into(), Some(booking)),
        (Method::GET, "/api/consultations/video".into(), None),
        (
            Method::PUT,
            format!("/api/consultations/video/{id}/notes"),
            Some(json!({ "notes": "Seen." })),
        ),
    ]
}

#[tokio::test]
async fn every_operation_wants_a_token_and_its_permission() {
    let client = client();
    for (method, path, body) in operations() {
        for (token, expected) in
            [(None, StatusCode::UNAUTHORIZED), (Some("any"), StatusCode::FORBIDDEN)]
        {
            let mut request =
                client.request(method.clone(), &path).header("Idempotency-Key", "a-key");
            request = request.header("If-Match", "\"1\"");
            if let Some(token) = token {
                request = request.header("Authorization", format!("Bearer {token}"));
            }
            if let Some(body) = &body {
                request = request.body_json(body);
            }
            let response = request.send().await;
            assert_eq!(response.0.status(), expected, "{method} {path} with {token:?}");
        }
    }
}

#[tokio::test]
async fn operations_that_make_medicine_want_an_idempotency_key() {
    let client = client();
    let keyed = ["/approve", "/treatment-plans", "/video/create"];
    for (method, path, body) in operations() {
        if !keyed.iter().any(|end| path.ends_with(end)) {
            continue;
        }
        let request =
            client.request(method.clone(), &path).header("Authorization", "Bearer entitled");
        let response = request.body_json(&body).send().await;
        assert_eq!(response.0.status(), StatusCode::BAD_REQUEST, "{method} {path}");
    }
}

#[tokio::test]
async fn a_version_that_is_no_number_is_refused_before_anything_is_read() {
    let id = Uuid::from_u128(7);
    let response = client()
        .post(format!("/api/treatment-plans/{id}/complete"))
        .header("Authorization", "Bearer entitled")
        .header("If-Match", "latest")
        .body_json(&json!({}))
        .send()
        .await;
    assert_eq!(response.0.status(), StatusCode::BAD_REQUEST);
}

#[tokio::test]
async fn a_callback_without_a_proof_is_refused() {
    let response =
        client().post("/webhooks/opentok").content_type("application/json").body("{}").send().await;
    assert_eq!(response.0.status(), StatusCode::UNAUTHORIZED);
}

#[tokio::test]
async fn bad_codes_are_named_by_their_paths_beside_bad_text() {
    let mut body = CreatePlan::example().to_json().unwrap();
    body["treatment"]["medication"]["ndc"] = json!("0069421030");
    body["treatment"]["medication"]["rxnorm"] = json!("sildenafil");
    body["treatment"]["diagnosis"] = json!("hair");
    body["treatment"]["refills"] = json!(5_000_000_000_i64);
    body["reason"] = json!("5\u{200B} mg");
    let client = client();
    let request = client.post("/api/treatment-plans").header("Authorization", "Bearer entitled");
    let response = request.header("Idempotency-Key", "a-key").body_json(&body).send().await;
    assert_eq!(response.0.status(), StatusCode::UNPROCESSABLE_ENTITY);
    let problem = response.json().await;
    let errors = problem.value().object().get("errors").object_array();
    let told: Vec<String> = errors
        .iter()
        .map(|error| format!("{} {}", error.get("path").string(), error.get("code").string()))
        .collect();
    assert_eq!(
        told,
        [
            "treatment.medication.rxnorm invalid",
            "treatment.medication.ndc invalid",
            "treatment.refills out_of_range",
            "treatment.diagnosis invalid",
            "reason character",
        ]
    );
}

/// Knows one patient by name, and counts how often it is asked.
#[derive(Default)]
struct OneName(std::sync::Mutex<Vec<Vec<PatientId>>>);

const ADA: PatientId = PatientId(Uuid::from_u128(0xada));

#[async_trait]
impl PatientFacts for OneName {
    async fn facts(&self, _: PatientId) -> ports::Result<Option<ClinicalFacts>> {
        unreached()
    }

    async fn names(
        &self,
        patients: &[PatientId],
    ) -> ports::Result<BTreeMap<PatientId, care::PatientName>> {
        self.0.lock().unwrap().push(patients.to_vec());
        let name = kernel::HumanName { given: "Ada".into(), family: "Quill".into() };
        let birth_date = chrono::NaiveDate::from_ymd_opt(1990, 5, 17).unwrap();
        Ok([(ADA, care::PatientName { name, birth_date })].into())
    }

    async fn states(&self, _: &[PatientId]) -> ports::Result<BTreeMap<PatientId, UsState>> {
        unreached()
    }
}

#[tokio::test]
async fn a_list_asks_once_for_the_names_of_its_patients_and_shows_them() {
    let asked = Arc::new(OneName::default());
    let sources = Sources {
        intake: Arc::new(Unreachable),
        facts: asked.clone(),
        directory: Arc::new(Unreachable),
        covers: Arc::new(Unreachable),
        safety: Arc::new(Unreachable),
    };
    let nobody = PatientId(Uuid::from_u128(0xe7e));
    let names = super::names::Names::of(&sources, [nobody, ADA, nobody, ADA]).await.unwrap();
    assert_eq!(*asked.0.lock().unwrap(), [vec![ADA, nobody]]);
    super::names::Names::of(&sources, []).await.unwrap();
    assert_eq!(asked.0.lock().unwrap().len(), 1, "an empty list asks for nobody");

    let now = DateTime::UNIX_EPOCH;
    let task = |patient| care::Task {
        id: Uuid::from_u128(1).into(),
        kind: care::TaskKind::UrgentReview,
        provider: None,
        patient,
        state: Some(UsState::Ma),
        subject: Uuid::from_u128(2),
        created_at: now,
        due_at: now,
        snoozed_until: None,
        ended: None,
        version: 1,
    };
    let shown = |patient| TaskView::of(task(patient), now, &names).to_json().unwrap();
    let named = json!({ "given": "Ada", "family": "Quill", "birth_date": "1990-05-17" });
    assert_eq!((&shown(ADA)["patient"], &shown(ADA)["patient_id"]), (&named, &json!(ADA.uuid())));
    assert_eq!(shown(nobody)["patient"], Value::Null);
}
