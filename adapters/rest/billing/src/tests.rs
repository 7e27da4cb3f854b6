//! Every operation is reached by its path, wants a token and wants the
//! permission, and the webhook wants a signature; what the store answers is
//! tested beside the stores.

use std::sync::Arc;

use api::{Authenticator, Problem};
use async_trait::async_trait;
use billing::{
    BillingStore, BillingTx, ChargeRequest, GatewayIntent, InvalidNotice, InvoiceDocument,
    InvoiceRenderer, NoticeVerifier, PaymentGateway, Subscriptions, contest::GatewayContest,
    gateway::Attached,
};
use chrono::{DateTime, Utc};
use kernel::{Actor, ActorKind, PatientId, PaymentId, PaymentMethodId, RequestContext, Uuid};
use poem::{
    EndpointExt as _, Route,
    http::{Method, StatusCode},
    test::TestClient,
};
use poem_openapi::OpenApiService;
use ports::{PortError, Result as PortResult};
use serde_json::{Value, json};

use super::{InvoicesApi, PaymentMethodsApi, StripeWebhookApi};

/// What nothing may reach.
struct Unreachable;

fn reached<T>() -> PortResult<T> {
    Err(PortError::bug("it was reached without a permission"))
}

#[async_trait]
impl BillingStore for Unreachable {
    async fn begin(&self, _: &Actor) -> PortResult<Box<dyn BillingTx>> {
        reached()
    }
}

#[async_trait]
impl PaymentGateway for Unreachable {
    async fn ensure_customer(&self, _: PatientId) -> PortResult<String> {
        reached()
    }

    async fn attach_payment_method(
        &self,
        _: PaymentMethodId,
        _: &str,
        _: &str,
    ) -> PortResult<Attached> {
        reached()
    }

    async fn detach_payment_method(&self, _: &str) -> PortResult<()> {
        reached()
    }

    async fn create_and_confirm_payment_intent(
        &self,
        _: &ChargeRequest,
    ) -> PortResult<GatewayIntent> {
        reached()
    }

    async fn retrieve_payment_intent(&self, _: &str) -> PortResult<GatewayIntent> {
        reached()
    }

    async fn find_payment_intent(
        &self,
        _: PaymentId,
        _: &str,
        _: DateTime<Utc>,
    ) -> PortResult<Option<GatewayIntent>> {
        reached()
    }

    async fn contests(&self, _: &str) -> PortResult<Vec<GatewayContest>> {
        reached()
    }

    async fn cancel_payment_intent(&self, _: &str) -> PortResult<GatewayIntent> {
        reached()
    }
}

#[async_trait]
impl Subscriptions for Unreachable {
    async fn has_live_subscription(&self, _: PatientId) -> PortResult<bool> {
        reached()
    }
}

#[async_trait]
impl InvoiceRenderer for Unreachable {
    async fn render(&self, _: &InvoiceDocument) -> PortResult<Vec<u8>> {
        reached()
    }
}

#[async_trait]
impl compliance::unread::UnreadStore for Unreachable {
    async fn begin(&self, _: &Actor) -> ports::Result<Box<dyn compliance::unread::UnreadTx>> {
        Err(PortError::bug("a notice was kept without a signature"))
    }
}

impl NoticeVerifier for Unreachable {
    fn verify(
        &self,
        _: &[u8],
        signature: &str,
        _: DateTime<Utc>,
    ) -> Result<billing::OpenedNotice, InvalidNotice> {
        Err(if signature.is_empty() {
            InvalidNotice::MalformedSignature
        } else {
            InvalidNotice::WrongSignature
        })
    }
}

/// Lets everyone in, with no permission at all.
struct Powerless;

#[async_trait]
impl Authenticator for Powerless {
    async fn authenticate(&self, _: &str, request: RequestContext) -> Result<Actor, Problem> {
        let kind = ActorKind::Account {
            account: Uuid::from_u128(1).into(),
            session: Uuid::from_u128(2).into(),
            roles: Arc::default(),
        };
        Ok(Actor { kind, permissions: Arc::default(), request })
    }
}

fn client() -> TestClient<impl poem::Endpoint> {
    let (env, _) = salus_tests::test_env();
    let nothing = Arc::new(Unreachable);
    let apis = (
        PaymentMethodsApi {
            env: env.clone(),
            store: nothing.clone(),
            gateway: nothing.clone(),
            subscriptions: nothing.clone(),
        },
        InvoicesApi { store: nothing.clone(), renderer: nothing.clone() },
        StripeWebhookApi {
            env,
            store: nothing.clone(),
            verifier: nothing.clone(),
            unread: nothing,
        },
    );
    let authenticator: Arc<dyn Authenticator> = Arc::new(Powerless);
    let service = OpenApiService::new(apis, "test", "1");
    TestClient::new(Route::new().nest("/", service).data(authenticator))
}

#[tokio::test]
async fn every_operation_wants_a_token_and_its_permission() {
    let client = client();
    let id = Uuid::from_u128(7);
    let add = json!({ "payment_method": "pm_card_visa" });
    let operations: Vec<(Method, String, Option<Value>)> = vec![
        (Method::GET, "/api/payment-methods".to_owned(), None),
        (Method::POST, "/api/payment-methods".to_owned(), Some(add)),
        (Method::PUT, format!("/api/payment-methods/{id}"), Some(json!({ "is_default": true }))),
        (Method::DELETE, format!("/api/payment-methods/{id}"), None),
        (Method::GET, format!("/api/invoices/{id}"), None),
        (Method::GET, format!("/api/invoices/{id}/pdf"), None),
        (Method::GET, format!("/api/invoices/history/{id}"), None),
        (Method::GET, format!("/api/billing/history/{id}"), None),
        (Method::GET, format!("/api/billing/transactions/{id}"), None),
    ];
    for (method, path, body) in operations {
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
async fn a_notice_without_a_valid_signature_is_a_bad_request() {
    let client = client();
    for signature in [None, Some("t=1,v1=00")] {
        let mut request = client.post("/webhooks/stripe").body_json(&json!({ "id": "evt_1" }));
        if let Some(signature) = signature {
            request = request.header("Stripe-Signature", signature);
        }
        let answer = request.send().await;
        answer.assert_status(StatusCode::BAD_REQUEST);
        answer.assert_content_type("application/problem+json");
    }
}
