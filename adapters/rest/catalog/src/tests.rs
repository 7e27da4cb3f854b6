//! The catalog over HTTP: what is public, what takes a permission, how a
//! version travels. What the store answers is tested beside the stores.

use std::sync::Arc;

use api::{Authenticator, Problem};
use async_trait::async_trait;
use catalog::{
    Audience, CategoryConfiguration, CategorySpec, Modality, Rollout, Shown, Standing,
    save_category,
};
use kernel::{Actor, ActorKind, CategoryId, Permission, RequestContext, Role, Uuid};
use poem::{EndpointExt as _, Route, endpoint::BoxEndpoint, http::StatusCode};
use poem_openapi::OpenApiService;
use ports::Hearing;
use salus_tests::{Database, http::TestClient};
use serde_json::{Value, json};

use super::{ArticlesApi, CategoriesApi, FlagsApi, PlansApi};

const CATEGORY: CategoryId = CategoryId(Uuid::from_u128(1));

/// Nobody has a plan.
struct Unsubscribed;

#[async_trait]
impl Audience for Unsubscribed {
    async fn standing(&self, _: &Actor) -> ports::Result<Standing> {
        Ok(Standing::default())
    }
}

/// The token names the permission: `admin` has it, anybody else has none.
struct ByName;

#[async_trait]
impl Authenticator for ByName {
    async fn authenticate(&self, token: &str, request: RequestContext) -> Result<Actor, Problem> {
        let kind = ActorKind::Account {
            account: Uuid::from_u128(1).into(),
            session: Uuid::from_u128(2).into(),
            roles: Arc::new([Role::Admin].into()),
        };
        let permissions = match token {
            "admin" => [Permission::CatalogAdminister].into(),
            _ => [].into(),
        };
        Ok(Actor { kind, permissions: Arc::new(permissions), request })
    }
}

/// The catalog with one category, over HTTP. The database goes with its handle.
async fn client() -> (TestClient<BoxEndpoint<'static>>, Database) {
    let database = Database::fresh().await;
    let category = CategorySpec {
        slug: "hair-loss".into(),
        name: "Hair loss".into(),
        description: "Androgenetic alopecia.".into(),
        active: true,
        configuration: CategoryConfiguration {
            required_modality: Modality::Asynchronous,
            minimum_age: 18,
            maximum_age: None,
        },
    };
    let system = Actor::system("tests.catalog");
    save_category(&database.pg, &system, CATEGORY, category).await.unwrap();
    let (env, store) = (database.env.clone(), Arc::new(database.pg.clone()));
    let audience = Arc::new(Unsubscribed);
    let rollout = Rollout::new(store.clone(), audience.clone(), Hearing::default());
    let apis = (
        CategoriesApi {
            env: env.clone(),
            store: store.clone(),
            shown: Shown::new(store.clone(), Hearing::default()),
        },
        PlansApi { env: env.clone(), store: store.clone() },
        FlagsApi { env: env.clone(), store: store.clone(), rollout },
        ArticlesApi { env, store, audience },
    );
    let authenticator: Arc<dyn Authenticator> = Arc::new(ByName);
    let service = OpenApiService::new(apis, "test", "1");
    (TestClient::new(Route::new().nest("/", service).data(authenticator).boxed()), database)
}

fn request(minor: i64) -> Value {
    json!({
        "category_id": CATEGORY.uuid(), "name": "Essential", "description": "Daily tablets.",
        "tier": "basic",
        "prices": [
            { "interval": "monthly", "amount": { "minor": minor, "currency": "USD" } },
            { "interval": "upfront", "months": 6, "amount": { "minor": 9000, "currency": "USD" } },
        ],
    })
}

#[tokio::test]
async fn a_plan_is_made_read_changed_and_taken_off_with_its_tag() {
    let (client, _database) = client().await;
    let made = client
        .post("/api/plans")
        .header("Authorization", "Bearer admin")
        .body_json(&request(2_500))
        .send()
        .await;
    made.assert_status(StatusCode::CREATED);
    made.assert_header("ETag", "\"1\"");
    let place = made.0.headers()["Location"].to_str().expect("a text").to_owned();

    let read = client.get(&place).send().await;
    read.assert_status_is_ok();
    let plan = read.json().await;
    let prices = plan.value().object().get("prices").object_array();
    assert_eq!(prices.len(), 2);
    assert_eq!(prices[1].get("months").i64(), 6);
    client.get("/api/plans").send().await.assert_status_is_ok();

    let admin_place = place.replace("/api/plans", "/api/admin/plans");
    let change = |tag: &'static str, minor| {
        client
            .put(&admin_place)
            .header("Authorization", "Bearer admin")
            .header("If-Match", tag)
            .body_json(&request(minor))
            .send()
    };
    let changed = change("\"1\"", 2_900).await;
    changed.assert_status_is_ok();
    changed.assert_header("ETag", "\"2\"");
    let lost = change("\"1\"", 3_100).await;
    lost.assert_status(StatusCode::PRECONDITION_FAILED);
    // The loser hears what the winner changed.
    let problem = lost.json().await;
    let errors = problem.value().object().get("errors").object_array();
    assert_eq!(errors[1].get("path").string(), "prices.monthly");
    assert_eq!(errors[1].get("message").string(), "\"25.00 USD\" → \"29.00 USD\"");
    change("W/\"2\"", 3_100).await.assert_status(StatusCode::PRECONDITION_FAILED);
    change("\"of another kind\"", 3_100).await.assert_status(StatusCode::BAD_REQUEST);
    change("seven", 3_100).await.assert_status(StatusCode::BAD_REQUEST);

    // The public sees what is offered, administrators what ever was.
    let public = client.get(&place).send().await.json().await;
    assert_eq!(public.value().object().get("prices").array().len(), 2);
    let all = client.get("/api/admin/plans").header("Authorization", "Bearer admin").send().await;
    let all = all.json().await;
    let plans = all.value().object().get("plans").object_array();
    assert_eq!(plans[0].get("prices").array().len(), 3);

    let any = change("*", 3_100).await;
    any.assert_status_is_ok();
    any.assert_header("ETag", "\"3\"");
    let off = client
        .delete(&admin_place)
        .header("Authorization", "Bearer admin")
        .header("If-Match", "\"2\", \"3\"")
        .send()
        .await;
    off.assert_status_is_ok();
    client.get(&place).send().await.assert_status(StatusCode::NOT_FOUND);
}

#[tokio::test]
async fn a_bad_price_is_named_by_its_path() {
    let (client, _database) = client().await;
    let mut bad = request(2_500);
    bad["prices"][1] =
        json!({ "interval": "upfront", "amount": { "minor": 1, "currency": "USD" } });
    let answer = client
        .post("/api/plans")
        .header("Authorization", "Bearer admin")
        .body_json(&bad)
        .send()
        .await;
    answer.assert_status(StatusCode::UNPROCESSABLE_ENTITY);
    let problem = answer.json().await;
    let errors = problem.value().object().get("errors").object_array();
    assert_eq!(errors[0].get("path").string(), "prices[1].months");
}

#[tokio::test]
async fn categories_are_public() {
    let (client, _database) = client().await;
    let list = client.get("/api/categories").send().await;
    list.assert_status_is_ok();
    let one = client.get(format!("/api/categories/{}", CATEGORY)).send().await;
    one.assert_json(json!({
        "id": CATEGORY.uuid(), "slug": "hair-loss", "name": "Hair loss",
        "description": "Androgenetic alopecia.", "required_modality": "asynchronous", "active": true,
        "minimum_age": 18, "maximum_age": null, "version": 1,
    }))
    .await;
    let none = client.get(format!("/api/categories/{}", Uuid::nil())).send().await;
    none.assert_status(StatusCode::NOT_FOUND);
}

#[tokio::test]
async fn an_article_of_a_tier_is_named_to_all_and_read_by_some() {
    let (client, _database) = client().await;
    let article = json!({
        "category_id": CATEGORY.uuid(), "title": "What to expect", "summary": "The first months.",
        "body": "Hair grows *slowly*.", "minimum_tier": "standard", "published": true,
    });
    let make = |token: &'static str| {
        client
            .post("/api/admin/articles")
            .header("Authorization", format!("Bearer {token}"))
            .body_json(&article)
            .send()
    };
    make("nobody").await.assert_status(StatusCode::FORBIDDEN);
    let made = make("admin").await;
    made.assert_status(StatusCode::CREATED);
    let place = made.0.headers()["Location"].to_str().expect("a text").to_owned();
    let get = |path: String, token: &'static str| {
        client.get(path).header("Authorization", format!("Bearer {token}")).send()
    };
    get(place.clone(), "admin").await.assert_status_is_ok();
    let locked = get(place, "nobody").await;
    locked.assert_status(StatusCode::FORBIDDEN);
    let problem = locked.json().await;
    let kind = problem.value().object().get("type").string();
    assert_eq!(kind, "urn:salus:problem:catalog.article_locked");
    let list = get(format!("/api/categories/{CATEGORY}/articles"), "nobody").await.json().await;
    let listed = list.value().object().get("articles").object_array();
    assert_eq!((listed.len(), listed[0].get("open").bool()), (1, false));
    assert!(listed[0].get_opt("body").is_none());
}
