//! Every operation is reached by its path, wants a token and wants the
//! permission; what the store answers is tested beside the stores.

use std::sync::Arc;

use api::{Authenticator, Problem};
use async_trait::async_trait;
use communication::{CareTeam, CommunicationStore, CommunicationTx, MailSettings, Templates};
use kernel::{Actor, ActorKind, PatientId, ProviderId, RequestContext, SubscriptionId, Uuid};
use poem::{
    EndpointExt as _, Route,
    http::{Method, StatusCode},
    test::TestClient,
};
use poem_openapi::OpenApiService;
use ports::PortError;
use serde_json::{Value, json};

use super::{MessagesApi, NotificationsApi};

/// A store that nothing may reach.
struct Unreachable;

#[async_trait]
impl CommunicationStore for Unreachable {
    async fn begin(&self, _: &Actor) -> ports::Result<Box<dyn CommunicationTx>> {
        Err(PortError::bug("the store was reached without a permission"))
    }
}

#[async_trait]
impl CareTeam for Unreachable {
    async fn includes(&self, _: PatientId, _: ProviderId) -> ports::Result<bool> {
        Ok(true)
    }

    async fn subscribed(&self, _: PatientId, _: SubscriptionId) -> ports::Result<bool> {
        Ok(true)
    }
}

/// Lets everyone in, with no permission at all.
struct Powerless;

#[async_trait]
impl Authenticator for Powerless {
    async fn authenticate(&self, _: &str, request: RequestContext) -> Result<Actor, Problem> {
        let account = Uuid::from_u128(1).into();
        let kind = ActorKind::Account {
            account,
            session: Uuid::from_u128(2).into(),
            roles: Arc::default(),
        };
        Ok(Actor { kind, permissions: Arc::default(), request })
    }
}

fn operations() -> Vec<(Method, String, Option<Value>)> {
    let id = Uuid::from_u128(7);
    let send = json!({ "thread_id": id, "body": "Hello" });
    vec![
        (Method::GET, format!("/api/messages/threads/{id}"), None),
        (Method::POST, "/api/messages/send".to_owned(), Some(send)),
        (Method::GET, format!("/api/messages/{id}"), None),
        (Method::PUT, format!("/api/messages/{id}/read"), None),
        (Method::GET, format!("/api/notifications/{id}"), None),
        (Method::PUT, format!("/api/notifications/{id}/read"), None),
        (
            Method::POST,
            "/api/notifications/preferences".to_owned(),
            Some(json!({ "preferences": [] })),
        ),
        (Method::GET, format!("/api/notifications/history/{id}"), None),
    ]
}

#[tokio::test]
async fn every_operation_wants_a_token_and_its_permission() {
    let (env, _) = salus_tests::test_env();
    let settings = MailSettings {
        product: "Salus".into(),
        sign_in_url: "https://salus.example.org".into(),
        preferences_url: "https://salus.example.org/settings".into(),
        message_id_domain: "mail.example.org".into(),
    };
    let templates = Arc::new(Templates::new(settings).unwrap());
    let store = Arc::new(Unreachable);
    let apis = (
        MessagesApi { env: env.clone(), store: store.clone(), care_team: store.clone() },
        NotificationsApi { env, store, templates },
    );
    let authenticator: Arc<dyn Authenticator> = Arc::new(Powerless);
    let service = OpenApiService::new(apis, "test", "1");
    let client = TestClient::new(Route::new().nest("/", service).data(authenticator));
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
