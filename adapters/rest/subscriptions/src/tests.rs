//! Every operation is reached by its path, wants a token and wants the
//! permission; what the store answers is tested beside the stores.

use std::{collections::BTreeSet, sync::Arc};

use api::{Authenticator, Problem};
use async_trait::async_trait;
use kernel::{
    Actor, ActorKind, AssessmentId, CategoryId, PatientId, Permission, PriceId, RequestContext,
    TreatedWith, Uuid,
};
use poem::{
    EndpointExt as _, Route,
    endpoint::BoxEndpoint,
    http::{Method, StatusCode},
    test::TestClient,
};
use poem_openapi::OpenApiService;
use ports::PortError;
use serde_json::{Value, json};
use subscriptions::{
    Approvals, PatientZones, PaymentMethods, PriceTerms, Prices, SubscriptionsStore,
    SubscriptionsTx, Supply,
};

use super::{MissedPeriodsApi, SubscriptionsApi};

/// A store that nothing may reach, and other contexts that know nobody.
struct Unreachable;

#[async_trait]
impl SubscriptionsStore for Unreachable {
    async fn begin(&self, _: &Actor) -> ports::Result<Box<dyn SubscriptionsTx>> {
        Err(PortError::bug("the store was reached without a permission"))
    }
}

#[async_trait]
impl Approvals for Unreachable {
    async fn approved(&self, _: PatientId, _: CategoryId) -> ports::Result<Option<AssessmentId>> {
        Err(PortError::bug("approvals were asked for without a permission"))
    }

    async fn supply(&self, _: PatientId, _: CategoryId) -> ports::Result<Supply> {
        Err(PortError::bug("supplies were asked for without a permission"))
    }

    async fn treated(&self, _: PatientId, _: CategoryId) -> ports::Result<Option<TreatedWith>> {
        Err(PortError::bug("treatments were asked for without a permission"))
    }

    async fn is_stopped(&self, _: PatientId, _: CategoryId) -> ports::Result<bool> {
        Err(PortError::bug("treatments were asked for without a permission"))
    }
}

#[async_trait]
impl PaymentMethods for Unreachable {
    async fn has_default(&self, _: PatientId) -> ports::Result<bool> {
        Err(PortError::bug("payment methods were asked for without a permission"))
    }
}

#[async_trait]
impl Prices for Unreachable {
    async fn price(&self, _: PriceId) -> ports::Result<Option<PriceTerms>> {
        Err(PortError::bug("prices were asked for without a permission"))
    }
}

#[async_trait]
impl PatientZones for Unreachable {
    async fn zone(&self, _: PatientId) -> ports::Result<Option<chrono_tz::Tz>> {
        Err(PortError::bug("a zone was asked for without a permission"))
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
            "entitled" => BTreeSet::from([Permission::SubscribeOwn]),
            _ => BTreeSet::new(),
        };
        Ok(Actor { kind, permissions: Arc::new(permissions), request })
    }
}

fn client() -> TestClient<BoxEndpoint<'static>> {
    let (env, _) = salus_tests::test_env();
    let store = Arc::new(Unreachable);
    let apis = (
        MissedPeriodsApi { env: env.clone(), store: store.clone(), approvals: store.clone() },
        SubscriptionsApi {
            env,
            store: store.clone(),
            approvals: store.clone(),
            prices: store.clone(),
            zones: store.clone(),
            methods: store,
        },
    );
    let authenticator: Arc<dyn Authenticator> = Arc::new(Powerless);
    let service = OpenApiService::new(apis, "test", "1");
    TestClient::new(Route::new().nest("/", service).data(authenticator).boxed())
}

fn operations() -> Vec<(Method, String, Option<Value>)> {
    let id = Uuid::from_u128(7);
    let subscribe = json!({
        "price_id": id,
        "consent": {
            "accepted": true, "terms_version": "2026-01",
            "amount": { "minor": 4900, "currency": "USD" },
        },
    });
    vec![
        (Method::GET, "/api/missed-periods".to_owned(), None),
        (
            Method::POST,
            format!("/api/missed-periods/{id}/1"),
            Some(json!({ "decision": "waived", "reason": "Nothing was sent." })),
        ),
        (Method::POST, "/api/subscriptions".to_owned(), Some(subscribe)),
        (Method::GET, format!("/api/subscriptions/{id}"), None),
        (Method::GET, format!("/api/subscriptions/multi/{id}"), None),
        (
            Method::POST,
            format!("/api/subscriptions/{id}/cancel"),
            Some(json!({ "when": "period_end" })),
        ),
        (Method::GET, format!("/api/subscriptions/{id}/history"), None),
        (Method::GET, format!("/api/subscriptions/{id}/features"), None),
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
async fn a_subscription_is_started_with_an_idempotency_key() {
    let client = client();
    for (method, path, body) in operations() {
        if method == Method::POST && path.ends_with("subscriptions") {
            let request = client.request(method, &path).header("Authorization", "Bearer entitled");
            let answer = request.body_json(&body.unwrap()).send().await;
            assert_eq!(answer.0.status(), StatusCode::BAD_REQUEST, "{path}");
        }
    }
}
