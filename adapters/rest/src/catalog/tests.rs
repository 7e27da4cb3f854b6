//! The catalog over HTTP: what is public, what takes a permission, how a
//! version travels. What the store answers is tested beside the stores.

use std::sync::{Arc, Mutex};

use async_trait::async_trait;
use catalog::{
    Article, Audience, CatalogStore, CatalogTx, Category, CategoryConfiguration, EntryKind,
    FeatureFlag, Modality, Plan, PlanFilter, Revision, Rollout, Shown, Standing,
};
use kernel::{
    Actor, ActorKind, ArticleId, CategoryId, FeatureFlagId, Permission, PlanId, PriceId,
    RequestContext, Role, Uuid,
};
use poem::{
    EndpointExt as _, Route,
    endpoint::BoxEndpoint,
    http::{Method, StatusCode},
    test::TestClient,
};
use poem_openapi::OpenApiService;
use ports::{AuditEntry, Event, Hearing, IdempotencyKey, JobRequest, UnitOfWork};
use serde_json::{Value, json};

use super::{ArticlesApi, CategoriesApi, FlagsApi, PlansApi};
use crate::core::{Authenticator, Problem};

/// A catalog in memory with one category; it commits at once.
#[derive(Clone, Default)]
struct Shelf(
    Arc<Mutex<Vec<Plan>>>,
    Arc<Mutex<Vec<FeatureFlag>>>,
    Arc<Mutex<Vec<Revision>>>,
    Arc<Mutex<Vec<Article>>>,
);

#[async_trait]
impl Audience for Shelf {
    async fn standing(&self, _: &Actor) -> ports::Result<Standing> {
        Ok(Standing::default())
    }
}

const CATEGORY: CategoryId = CategoryId(Uuid::from_u128(1));

#[async_trait]
impl CatalogStore for Shelf {
    async fn begin(&self, _: &Actor) -> ports::Result<Box<dyn CatalogTx>> {
        Ok(Box::new(self.clone()))
    }
}

#[async_trait]
impl UnitOfWork for Shelf {
    fn emit(&mut self, _: Event) {}

    fn audit(&mut self, _: AuditEntry) {}

    fn enqueue(&mut self, _: JobRequest) {}

    async fn claim(&mut self, _: &IdempotencyKey, _: Uuid) -> ports::Result<Option<Uuid>> {
        Ok(None)
    }

    async fn commit(self: Box<Self>) -> ports::Result<()> {
        Ok(())
    }
}

impl Shelf {
    fn all(&self) -> std::sync::MutexGuard<'_, Vec<Plan>> {
        self.0.lock().expect("the shelf's lock")
    }
}

#[async_trait]
impl CatalogTx for Shelf {
    async fn categories(&mut self, _: bool) -> ports::Result<Vec<Category>> {
        Ok(self.category(CATEGORY).await?.into_iter().collect())
    }

    async fn category(&mut self, id: CategoryId) -> ports::Result<Option<Category>> {
        Ok((id == CATEGORY).then(|| Category {
            id,
            slug: "hair-loss".into(),
            name: "Hair loss".into(),
            description: "Androgenetic alopecia.".into(),
            active: true,
            configuration: CategoryConfiguration {
                required_modality: Modality::Asynchronous,
                minimum_age: 18,
                maximum_age: None,
            },
            version: 1,
        }))
    }

    async fn insert_category(&mut self, _: &Category) -> ports::Result<()> {
        Ok(())
    }

    async fn save_category(&mut self, _: &Category) -> ports::Result<()> {
        Ok(())
    }

    async fn plans(&mut self, filter: PlanFilter) -> ports::Result<Vec<Plan>> {
        let offered = |plan: &&Plan| filter.offered_at.is_none_or(|at| plan.is_offered(at));
        Ok(self.all().iter().filter(offered).cloned().collect())
    }

    async fn plan(&mut self, id: PlanId) -> ports::Result<Option<Plan>> {
        Ok(self.all().iter().find(|plan| plan.id == id).cloned())
    }

    async fn plan_of_price(&mut self, id: PriceId) -> ports::Result<Option<Plan>> {
        Ok(self.all().iter().find(|plan| plan.price(id).is_some()).cloned())
    }

    async fn insert_plan(&mut self, plan: &Plan) -> ports::Result<()> {
        self.all().push(plan.clone());
        Ok(())
    }

    async fn save_plan(&mut self, plan: &Plan) -> ports::Result<()> {
        let mut all = self.all();
        all.retain(|other| other.id != plan.id);
        all.push(plan.clone());
        Ok(())
    }

    async fn flags(&mut self) -> ports::Result<Vec<FeatureFlag>> {
        Ok(self.1.lock().expect("the flags").clone())
    }

    async fn flag(&mut self, id: FeatureFlagId) -> ports::Result<Option<FeatureFlag>> {
        Ok(self.flags().await?.into_iter().find(|flag| flag.id == id))
    }

    async fn insert_flag(&mut self, flag: &FeatureFlag) -> ports::Result<()> {
        self.1.lock().expect("the flags").push(flag.clone());
        Ok(())
    }

    async fn save_flag(&mut self, flag: &FeatureFlag) -> ports::Result<()> {
        self.delete_flag(flag).await?;
        self.insert_flag(flag).await
    }

    async fn delete_flag(&mut self, flag: &FeatureFlag) -> ports::Result<()> {
        self.1.lock().expect("the flags").retain(|other| other.id != flag.id);
        Ok(())
    }

    async fn articles(&mut self, category: CategoryId) -> ports::Result<Vec<Article>> {
        let all = self.3.lock().expect("the articles");
        Ok(all.iter().filter(|article| article.category == category).cloned().collect())
    }

    async fn article(&mut self, id: ArticleId) -> ports::Result<Option<Article>> {
        let all = self.3.lock().expect("the articles");
        Ok(all.iter().find(|article| article.id == id).cloned())
    }

    async fn insert_article(&mut self, article: &Article) -> ports::Result<()> {
        self.3.lock().expect("the articles").push(article.clone());
        Ok(())
    }

    async fn save_article(&mut self, article: &Article) -> ports::Result<()> {
        self.delete_article(article).await?;
        self.insert_article(article).await
    }

    async fn delete_article(&mut self, article: &Article) -> ports::Result<()> {
        self.3.lock().expect("the articles").retain(|other| other.id != article.id);
        Ok(())
    }

    async fn keep_revision(&mut self, revision: &Revision) -> ports::Result<()> {
        self.2.lock().expect("the revisions").push(revision.clone());
        Ok(())
    }

    async fn revision(
        &mut self,
        kind: EntryKind,
        entry: Uuid,
        version: i64,
    ) -> ports::Result<Option<Revision>> {
        let kept = self.2.lock().expect("the revisions");
        let this = |revision: &&Revision| {
            (revision.kind, revision.entry, revision.version) == (kind, entry, version)
        };
        Ok(kept.iter().find(this).cloned())
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

fn client() -> TestClient<BoxEndpoint<'static>> {
    let (env, _) = salus_tests::test_env();
    let store = Arc::new(Shelf::default());
    let rollout = Rollout::new(store.clone(), store.clone(), Hearing::default());
    let apis = (
        CategoriesApi {
            env: env.clone(),
            store: store.clone(),
            shown: Shown::new(store.clone(), Hearing::default()),
        },
        PlansApi { env: env.clone(), store: store.clone() },
        FlagsApi { env: env.clone(), store: store.clone(), rollout },
        ArticlesApi { env, store: store.clone(), audience: store },
    );
    let authenticator: Arc<dyn Authenticator> = Arc::new(ByName);
    let service = OpenApiService::new(apis, "test", "1");
    TestClient::new(Route::new().nest("/", service).data(authenticator).boxed())
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
async fn changing_it_wants_a_token_and_the_permission() {
    let client = client();
    let id = Uuid::from_u128(7);
    for (method, path, body) in [
        (Method::POST, "/api/plans".to_owned(), Some(request(1))),
        (Method::PUT, format!("/api/plans/{id}"), Some(request(1))),
        (Method::GET, "/api/admin/plans".to_owned(), None),
        (Method::POST, "/api/admin/plans".to_owned(), Some(request(1))),
        (Method::PUT, format!("/api/admin/plans/{id}"), Some(request(1))),
        (Method::DELETE, format!("/api/admin/plans/{id}"), None),
    ] {
        let send = || {
            let request = client.request(method.clone(), &path).header("If-Match", "\"1\"");
            match &body {
                Some(body) => request.body_json(body),
                None => request,
            }
        };
        let anonymous = send().send().await;
        assert_eq!(anonymous.0.status(), StatusCode::UNAUTHORIZED, "{method} {path}");
        let powerless = send().header("Authorization", "Bearer nobody").send().await;
        assert_eq!(powerless.0.status(), StatusCode::FORBIDDEN, "{method} {path}");
    }
}

#[tokio::test]
async fn a_plan_is_made_read_changed_and_taken_off_with_its_tag() {
    let client = client();
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

    let any = change("*", 2_900).await;
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
    let client = client();
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
    let client = client();
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
    let client = client();
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
