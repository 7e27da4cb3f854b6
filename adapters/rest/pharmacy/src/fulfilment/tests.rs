//! Every operation is reached by its path, wants a token and wants the
//! permission; what the store answers is tested beside the stores.

use std::{collections::BTreeSet, sync::Arc};

use api::{Authenticator, Problem};
use async_trait::async_trait;
use kernel::{
    Actor, ActorKind, CategoryId, InvoiceId, PatientId, Permission, ProviderId, RequestContext,
    Uuid,
};
use pharmacy::{
    dispatch::{
        checks::{FillChecks, FillCircumstances},
        hold::{Contest, PrescriberStanding, TreatmentStanding},
    },
    fulfilment::{BadSignature, CarrierWebhooks, FulfilmentStore, FulfilmentTx, OpenedWebhook},
    safety::{ClinicalFacts, ClinicalRecord, CuratedInteractions},
};
use poem::{
    EndpointExt as _, Route,
    endpoint::BoxEndpoint,
    http::{Method, StatusCode},
    test::TestClient,
};
use poem_openapi::OpenApiService;
use ports::{Panel, PortError};
use serde_json::{Value, json};

use super::{CarrierWebhookApi, DispatchApi, HeldFillsApi, InventoryApi, ShipmentsApi};

/// A store that nothing may reach, and other contexts that know nobody.
struct Unreachable;

#[async_trait]
impl FulfilmentStore for Unreachable {
    async fn begin(&self, _: &Actor) -> ports::Result<Box<dyn FulfilmentTx>> {
        Err(PortError::bug("the store was reached without a permission"))
    }
}

#[async_trait]
impl Panel for Unreachable {
    async fn treats(&self, _: ProviderId, _: PatientId) -> ports::Result<bool> {
        Err(PortError::bug("a panel was asked for without a permission"))
    }
}

#[async_trait]
impl ClinicalRecord for Unreachable {
    async fn facts(&self, _: PatientId) -> ports::Result<ClinicalFacts> {
        Err(PortError::bug("a record was asked for without a permission"))
    }
}

#[async_trait]
impl FillCircumstances for Unreachable {
    async fn patient_active(&self, _: PatientId) -> ports::Result<bool> {
        Err(PortError::bug("an account was asked for without a permission"))
    }

    async fn treatment(&self, _: PatientId, _: CategoryId) -> ports::Result<TreatmentStanding> {
        Err(PortError::bug("a treatment was asked for without a permission"))
    }

    async fn prescriber(&self, _: ProviderId, _: PatientId) -> ports::Result<PrescriberStanding> {
        Err(PortError::bug("a prescriber was asked for without a permission"))
    }

    async fn contests(
        &self,
        _: PatientId,
        _: CategoryId,
    ) -> ports::Result<Vec<(InvoiceId, Contest)>> {
        Err(PortError::bug("a payment was asked for without a permission"))
    }
}

#[async_trait]
impl compliance::unread::UnreadStore for Unreachable {
    async fn begin(&self, _: &Actor) -> ports::Result<Box<dyn compliance::unread::UnreadTx>> {
        Err(PortError::bug("a notice was kept without a signature"))
    }
}

/// Knows one signature.
impl CarrierWebhooks for Unreachable {
    fn open(&self, _: &[u8], signature: Option<&str>) -> Result<OpenedWebhook, BadSignature> {
        match signature {
            Some("good") => Ok(OpenedWebhook { event: None, unread: None }),
            _ => Err(BadSignature),
        }
    }
}

/// Lets everyone in, with no permission at all but for the bearer of `entitled`.
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
            "entitled" => BTreeSet::from([Permission::PharmacyWork]),
            _ => BTreeSet::new(),
        };
        Ok(Actor { kind, permissions: Arc::new(permissions), request })
    }
}

fn client() -> TestClient<BoxEndpoint<'static>> {
    let (env, _) = salus_tests::test_env();
    let store = Arc::new(Unreachable);
    let checks = FillChecks {
        circumstances: store.clone(),
        record: store.clone(),
        interactions: Arc::new(CuratedInteractions),
    };
    let apis = (
        InventoryApi { env: env.clone(), store: store.clone() },
        DispatchApi { env: env.clone(), store: store.clone(), checks: checks.clone() },
        HeldFillsApi { env: env.clone(), store: store.clone(), panel: store.clone(), checks },
        ShipmentsApi { env: env.clone(), store: store.clone() },
        CarrierWebhookApi { env, store: store.clone(), webhooks: store.clone(), unread: store },
    );
    let authenticator: Arc<dyn Authenticator> = Arc::new(Powerless);
    let service = OpenApiService::new(apis, "test", "1");
    TestClient::new(Route::new().nest("/", service).data(authenticator).boxed())
}

fn operations() -> Vec<(Method, String, Option<Value>)> {
    let id = Uuid::from_u128(7);
    let lot = json!({
        "pharmacy_id": id, "ndc": "00093736501", "lot_number": "A1",
        "expires_on": "2030-01-31", "quantity": 30,
    });
    vec![
        (Method::GET, "/api/pharmacy/inventory".to_owned(), None),
        (Method::POST, "/api/pharmacy/inventory".to_owned(), Some(lot)),
        (Method::POST, "/api/dispatch/auto".to_owned(), None),
        (Method::GET, "/api/dispatch/queue?status=on_hold".to_owned(), None),
        (Method::PUT, format!("/api/dispatch/{id}/status"), Some(json!({ "status": "picked" }))),
        (Method::GET, "/api/held-fills".to_owned(), None),
        (
            Method::POST,
            format!("/api/held-fills/{id}/release"),
            Some(json!({ "reason": "Spoke with the patient.", "grounds": [] })),
        ),
        (Method::GET, "/api/shipments/9400100000000000000001".to_owned(), None),
        (Method::GET, format!("/api/shipments/history/{id}"), None),
        (Method::POST, format!("/api/shipments/{id}/confirm"), None),
    ]
}

#[tokio::test]
async fn every_operation_wants_a_token_and_its_permission() {
    let client = client();
    for (method, path, body) in operations() {
        let request = || {
            let request = client.request(method.clone(), &path);
            let request = request.header("Idempotency-Key", "key-1");
            match &body {
                Some(body) => request.body_json(body),
                None => request,
            }
        };
        let anonymous = request().send().await;
        assert_eq!(anonymous.0.status(), StatusCode::UNAUTHORIZED, "{method} {path}");
        let powerless = request().header("Authorization", "Bearer x").send().await;
        assert_eq!(powerless.0.status(), StatusCode::FORBIDDEN, "{method} {path}");
    }
}

#[tokio::test]
async fn what_creates_medicine_wants_an_idempotency_key() {
    let client = client();
    for (method, path, body) in operations() {
        if method == Method::POST && path.ends_with("inventory") {
            let request = client.request(method, &path).header("Authorization", "Bearer entitled");
            let answer = request.body_json(&body.unwrap()).send().await;
            assert_eq!(answer.0.status(), StatusCode::BAD_REQUEST, "{path}");
        }
    }
}

#[tokio::test]
async fn a_notice_is_refused_by_its_signature_before_its_body_is_read() {
    let client = client();
    for (signature, expected) in
        [(None, StatusCode::UNAUTHORIZED), (Some("bad"), StatusCode::UNAUTHORIZED)]
    {
        let mut request = client.post("/webhooks/easypost").body_json(&json!({}));
        if let Some(signature) = signature {
            request = request.header("X-Hmac-Signature", signature);
        }
        let answer = request.send().await;
        answer.assert_status(expected);
        answer.assert_content_type("application/problem+json");
    }
    // Whatever is genuine is taken, so that nobody sends it for ever.
    let request = client.post("/webhooks/easypost").body_json(&json!({}));
    request.header("X-Hmac-Signature", "good").send().await.assert_status(StatusCode::OK);
}
