//! Every operation is reached by its path, wants a token and wants the
//! permission; what the store answers is tested beside the stores.

use std::sync::Arc;

use analytics::{AnalyticsStore, AnalyticsTx, ReportSettings};
use api::{Authenticator, Problem};
use async_trait::async_trait;
use catalog::{CatalogStore, CatalogTx};
use kernel::{Actor, ActorKind, RequestContext, Uuid};
use poem::{EndpointExt as _, Route, http::StatusCode, test::TestClient};
use poem_openapi::OpenApiService;
use ports::PortError;

use super::AnalyticsApi;

/// A store that nothing may reach.
struct Unreachable;

#[async_trait]
impl CatalogStore for Unreachable {
    async fn begin(&self, _: &Actor) -> ports::Result<Box<dyn CatalogTx>> {
        Err(PortError::bug("the store was reached without a permission"))
    }
}

#[async_trait]
impl AnalyticsStore for Unreachable {
    async fn begin(&self, _: &Actor) -> ports::Result<Box<dyn AnalyticsTx>> {
        Err(PortError::bug("the store was reached without a permission"))
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

#[tokio::test]
async fn every_operation_wants_a_token_and_its_permission() {
    let (env, _) = salus_tests::test_env();
    let store = Arc::new(Unreachable);
    let settings = ReportSettings { minimum_cell: 11, zone: chrono_tz::Tz::UTC };
    let analytics = AnalyticsApi { env, store: store.clone(), catalog: store, settings };
    let authenticator: Arc<dyn Authenticator> = Arc::new(Powerless);
    let service = OpenApiService::new(analytics, "test", "1");
    let client = TestClient::new(Route::new().nest("/", service).data(authenticator));
    let category = Uuid::from_u128(7);
    for path in [
        "/api/analytics/subscriptions/revenue".to_owned(),
        format!("/api/admin/categories/{category}/analytics"),
    ] {
        let anonymous = client.get(&path).send().await;
        assert_eq!(anonymous.0.status(), StatusCode::UNAUTHORIZED, "{path}");
        let powerless = client.get(&path).header("Authorization", "Bearer x").send().await;
        assert_eq!(powerless.0.status(), StatusCode::FORBIDDEN, "{path}");
    }
}
