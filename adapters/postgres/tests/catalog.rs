use std::sync::Arc;

use async_trait::async_trait;
use catalog::{
    ActivationWindow, ArticleSpec, Audience, BillingInterval, CatalogError, CategoryConfiguration,
    CategorySpec, Cohort, FlagSpec, Modality, PlanSpec, PriceSpec, Rollout, Standing, Tier,
    all_plans, articles, categories, category, compare_plans, create_plan, deactivate_plan, flags,
    plan, plans, price, revise_plan, save_category, seed_plan,
};
use chrono::TimeDelta;
use kernel::{
    AccountId, Actor, ActorKind, CategoryId, Feature, Money, Permission, PlanId, RequestContext,
    Role, Seen, SessionId, UsState, Uuid,
};
use ports::{Clock as _, PortError};
use salus_postgres::Pg;
use salus_tests::{Database, eventually};
use sea_orm::{ConnectionTrait as _, DbBackend, Statement};
use serde_json::{Value, json};
use tokio::sync::Semaphore;

const CATEGORY: CategoryId = CategoryId(Uuid::from_u128(1));

fn system() -> Actor {
    Actor::system("tests.catalog")
}

fn is_missing<T>(found: &Result<T, CatalogError>) -> bool {
    matches!(found, Err(CatalogError::Port(PortError::NotFound { .. })))
}

fn visitor() -> Actor {
    Actor::anonymous(RequestContext::default())
}

fn admin() -> Actor {
    Actor {
        kind: ActorKind::Account {
            account: AccountId(Uuid::from_u128(9)),
            session: SessionId(Uuid::from_u128(9)),
            roles: Arc::new([Role::Admin].into()),
        },
        permissions: Arc::new([Permission::CatalogAdminister].into()),
        request: RequestContext::default(),
    }
}

fn spec(name: &str, minor: i64) -> PlanSpec {
    PlanSpec {
        category: CATEGORY,
        name: name.into(),
        description: "Daily tablets.".into(),
        tier: Tier::Standard,
        features: vec![
            Feature::new("free_shipping", "Free shipping").unwrap(),
            Feature::new("messages", "Messages").unwrap(),
        ],
        treatments: vec![],
        comparison: vec![("Visits".into(), "Unlimited".into())],
        window: ActivationWindow::default(),
        active: true,
        prices: vec![
            PriceSpec { interval: BillingInterval::Monthly, amount: Money::usd(minor) },
            PriceSpec {
                interval: BillingInterval::Upfront { months: 6 },
                amount: Money::usd(minor * 5),
            },
        ],
    }
}

async fn with_category() -> Database {
    let database = Database::fresh().await;
    let category = CategorySpec {
        slug: "hair-loss".into(),
        name: "Hair loss".into(),
        description: "Androgenetic alopecia.".into(),
        active: true,
        configuration: CategoryConfiguration {
            required_modality: Modality::Asynchronous,
            minimum_age: 18,
            maximum_age: Some(65),
        },
    };
    save_category(&database.pg, &system(), CATEGORY, category).await.unwrap();
    database
}

#[tokio::test]
async fn a_plan_comes_back_as_it_was_written() {
    let database = with_category().await;
    let (env, pg) = (&database.env, &database.pg);
    let made = create_plan(env, pg, &admin(), spec("Finasteride", 2_500)).await.unwrap();
    assert_eq!(plan(env, pg, &visitor(), made.id).await.unwrap(), made);
    assert_eq!(
        plans(env, pg, &visitor(), Some(CATEGORY)).await.unwrap(),
        std::slice::from_ref(&made)
    );
    assert_eq!(plans(env, pg, &visitor(), Some(CategoryId(Uuid::nil()))).await.unwrap(), []);
    let quote = price(env, pg, &visitor(), made.prices[1].id).await.unwrap();
    assert_eq!(
        (quote.plan, quote.category_slug.as_str(), quote.interval, quote.amount, quote.offered),
        (made.id, "hair-loss", BillingInterval::Upfront { months: 6 }, Money::usd(12_500), true)
    );
}

#[tokio::test]
async fn a_retired_price_is_still_read_and_no_longer_offered() {
    let database = with_category().await;
    let (env, pg) = (&database.env, &database.pg);
    let made = create_plan(env, pg, &admin(), spec("Finasteride", 2_500)).await.unwrap();
    let revised =
        revise_plan(env, pg, &admin(), made.id, 1, spec("Finasteride", 2_900)).await.unwrap();
    assert_eq!(plan(env, pg, &visitor(), made.id).await.unwrap(), revised);
    let old = price(env, pg, &system(), made.prices[0].id).await.unwrap();
    assert_eq!((old.amount, old.offered, old.plan_version), (Money::usd(2_500), false, 2));

    let pool = database.superuser().await;
    for sql in ["UPDATE catalog_prices SET amount_minor = 1", "DELETE FROM catalog_prices"] {
        let refused = pool.execute_unprepared(sql).await.unwrap_err().to_string();
        assert!(refused.contains("a price never changes"), "{refused}");
    }
}

#[tokio::test]
async fn of_two_changes_from_one_version_the_second_is_told() {
    let database = with_category().await;
    let (env, pg) = (&database.env, &database.pg);
    let made = create_plan(env, pg, &admin(), spec("Finasteride", 2_500)).await.unwrap();
    let actor = admin();
    let (first, second) = tokio::join!(
        revise_plan(env, pg, &actor, made.id, 1, spec("One", 2_600)),
        revise_plan(env, pg, &actor, made.id, 1, spec("Two", 2_700)),
    );
    let (won, lost) = if first.is_ok() { (first, second) } else { (second, first) };
    let won = won.unwrap();
    let Err(CatalogError::Port(PortError::Stale(told))) = lost else { panic!("{lost:?}") };
    assert!(told[0].message.contains("version 2 is the current one"), "{}", told[0].message);
    // What the winner changed is told with its old and its new value.
    let name = told.iter().find(|field| field.path == "name").unwrap();
    assert_eq!(name.message, format!("\"Finasteride\" → \"{}\"", won.name));
    assert!(told.iter().any(|field| field.path == "prices.monthly"), "{told:?}");
    assert_eq!(plan(env, pg, &admin(), made.id).await.unwrap(), won);

    // Whoever comes later still hears it, also over several versions.
    let third = revise_plan(env, pg, &actor, made.id, Seen::Any, spec("Three", 2_700)).await;
    assert_eq!(third.unwrap().version, 3);
    let late = deactivate_plan(pg, &actor, made.id, 1).await;
    let Err(CatalogError::Port(PortError::Stale(told))) = late else { panic!("{late:?}") };
    let name = told.iter().find(|field| field.path == "name").unwrap();
    assert_eq!(name.message, "\"Finasteride\" → \"Three\"");
    let nothing = deactivate_plan(pg, &actor, made.id, Seen::OneOf(vec![])).await;
    assert!(matches!(nothing, Err(CatalogError::Port(PortError::Stale(_)))), "{nothing:?}");
}

#[tokio::test]
async fn a_plan_is_never_read_with_the_prices_of_another_version() {
    let database = with_category().await;
    let (env, pg) = (&database.env, &database.pg);
    let made = create_plan(env, pg, &admin(), spec("2500", 2_500)).await.unwrap();
    let written = async {
        for minor in 2_501..2_541 {
            let changed = spec(&minor.to_string(), minor);
            revise_plan(env, pg, &admin(), made.id, Seen::Any, changed).await.unwrap();
        }
    };
    let read = async {
        loop {
            let seen = plan(env, pg, &admin(), made.id).await.unwrap();
            let price = seen.offered_prices().next().unwrap().amount.minor;
            assert_eq!(price.to_string(), seen.name, "a version is read as a whole");
        }
    };
    tokio::select! { () = written => {}, () = read => {} }
}

async fn json_of(database: &Database, sql: &str) -> Value {
    let statement = Statement::from_string(DbBackend::Postgres, sql);
    let row = database.superuser().await.query_one_raw(statement).await.unwrap().unwrap();
    row.try_get_by_index(0).unwrap()
}

#[tokio::test]
async fn an_edit_of_a_plan_is_audited_with_what_has_changed_alone() {
    let database = with_category().await;
    let (env, pg) = (&database.env, &database.pg);
    let made = create_plan(env, pg, &admin(), spec("Finasteride", 2_500)).await.unwrap();
    let mut change = spec("Finasteride", 2_900);
    change.tier = Tier::Premium;
    change.features.remove(0);
    revise_plan(env, pg, &admin(), made.id, 1, change).await.unwrap();
    let sql = "SELECT detail FROM audit_entries WHERE entity = 'plan' AND action = 'update'";
    let detail = json_of(&database, sql).await;
    let changed = json!({
        "features[0].code": { "old": "free_shipping", "new": "messages" },
        "features[0].label": { "old": "Free shipping", "new": "Messages" },
        "features[1].code": { "old": "messages" },
        "features[1].label": { "old": "Messages" },
        "prices.monthly": { "old": "25.00 USD", "new": "29.00 USD" },
        "prices.upfront_6": { "old": "125.00 USD", "new": "145.00 USD" },
        "tier": { "old": "standard", "new": "premium" },
    });
    assert_eq!(detail, json!({ "version": 2, "changed": changed }));
}

#[tokio::test]
async fn an_administrator_compares_what_is_not_offered_only_when_asked_to() {
    let database = with_category().await;
    let (env, pg) = (&database.env, &database.pg);
    let one = create_plan(env, pg, &admin(), spec("One", 2_500)).await.unwrap();
    let two = create_plan(env, pg, &admin(), spec("Two", 3_500)).await.unwrap();
    let ids = [one.id, two.id];
    assert!(compare_plans(env, pg, &visitor(), &ids, false).await.is_ok());
    deactivate_plan(pg, &admin(), two.id, 1).await.unwrap();
    for actor in [visitor(), admin()] {
        let hidden = compare_plans(env, pg, &actor, &ids, false).await;
        assert!(is_missing(&hidden), "{hidden:?}");
    }
    let forbidden = compare_plans(env, pg, &visitor(), &ids, true).await;
    assert!(matches!(forbidden, Err(CatalogError::Forbidden(_))), "{forbidden:?}");
    let compared = compare_plans(env, pg, &admin(), &ids, true).await.unwrap();
    assert_eq!(compared.plans.len(), 2);
    let codes: Vec<_> = compared.features.iter().map(|row| row.feature.code.as_str()).collect();
    assert_eq!(codes, ["free_shipping", "messages"]);
}

#[tokio::test]
async fn the_table_refuses_a_feature_without_a_proper_code() {
    let database = with_category().await;
    create_plan(&database.env, &database.pg, &admin(), spec("Finasteride", 2_500)).await.unwrap();
    let pool = database.superuser().await;
    for features in ["[{\"code\": \"A b\", \"label\": \"x\"}]", "[\"Free shipping\"]", "{}"] {
        let uncoded = format!("UPDATE catalog_plans SET features = '{features}'");
        let refused = pool.execute_unprepared(&uncoded).await.unwrap_err().to_string();
        assert!(refused.contains("catalog_plans_features_coded"), "{features}: {refused}");
    }
}

/// Everybody lives in Texas.
struct Texans;

#[async_trait]
impl Audience for Texans {
    async fn standing(&self, _: &Actor) -> ports::Result<Standing> {
        Ok(Standing { state: Some(UsState::Tx), ..Standing::default() })
    }
}

fn flag(percentage: u8, state: UsState) -> FlagSpec {
    FlagSpec {
        key: "refill_reminders".parse().unwrap(),
        description: "Reminds patients of refills.".into(),
        enabled: true,
        percentage,
        cohorts: vec![Cohort { states: [state].into(), ..Cohort::default() }],
        accounts: [AccountId(Uuid::from_u128(4))].into(),
    }
}

/// Listens on behalf of a node. Each permit is a notice that it heard; the first says
/// that it listens.
fn listening(pg: &Pg, node: &Rollout) -> (Arc<Semaphore>, impl AsyncFnOnce()) {
    let (stop, stopped) = tokio::sync::watch::channel(false);
    let heard = Arc::new(Semaphore::new(0));
    let task = tokio::spawn({
        let (pg, node, heard) = (pg.clone(), node.clone(), heard.clone());
        async move {
            let forget = || {
                node.forget();
                heard.add_permits(1);
            };
            pg.on_notice(&["salus_feature_flags"], forget, stopped).await;
        }
    });
    (heard, async move || {
        stop.send_replace(true);
        task.await.unwrap();
    })
}

#[tokio::test]
async fn another_node_hears_of_an_edited_flag() {
    let database = Database::fresh().await;
    let (env, pg) = (&database.env, &database.pg);
    let node = || Rollout::new(Arc::new(pg.clone()), Arc::new(Texans), pg.hearing().clone());
    let (here, there) = (node(), node());
    let (heard, stop) = listening(pg, &there);
    // The first call says that it listens, the second is the notice.
    heard.acquire().await.unwrap().forget();
    assert!(there.own(&admin()).await.unwrap().is_empty());
    let made = flags::create(env, pg, &here, &admin(), flag(100, UsState::Tx)).await.unwrap();
    tokio::time::timeout(std::time::Duration::from_secs(30), heard.acquire())
        .await
        .expect("a notice")
        .unwrap()
        .forget();
    assert_eq!(there.own(&admin()).await.unwrap(), [made.key]);
    stop().await;
}

/// While a node does not listen, a notice is lost for good.
#[tokio::test]
async fn a_node_whose_listener_was_cut_off_sees_what_it_has_missed() {
    let database = Database::fresh().await;
    let (env, pg) = (&database.env, &database.pg);
    let node = || Rollout::new(Arc::new(pg.clone()), Arc::new(Texans), pg.hearing().clone());
    let (here, there) = (node(), node());
    let (heard, stop) = listening(pg, &there);
    heard.acquire().await.unwrap().forget();
    assert!(there.own(&admin()).await.unwrap().is_empty());

    let superuser = database.superuser().await;
    let cut = "SELECT pg_terminate_backend(pid) FROM pg_stat_activity \
               WHERE datname = current_database() AND query LIKE 'LISTEN%'";
    superuser.execute_unprepared(cut).await.unwrap();
    // The listener reconnects after a pause, so this NOTIFY is lost.
    let made = flags::create(env, pg, &here, &admin(), flag(100, UsState::Tx)).await.unwrap();
    let patience = std::time::Duration::from_secs(30);
    eventually("what the other node changed", patience, async || {
        (there.own(&admin()).await.unwrap() == [made.key.clone()]).then_some(())
    })
    .await;
    stop().await;
}

#[tokio::test]
async fn a_flag_is_made_changed_and_deleted_and_each_is_seen_at_once() {
    let database = Database::fresh().await;
    let (env, pg) = (&database.env, &database.pg);
    let rollout = Rollout::new(Arc::new(pg.clone()), Arc::new(Texans), pg.hearing().clone());
    let own = async || rollout.own(&admin()).await.unwrap();
    assert!(own().await.is_empty());

    let spec = flag(100, UsState::Ny);
    let made = flags::create(env, pg, &rollout, &admin(), spec.clone()).await.unwrap();
    assert_eq!(flags::one(pg, &admin(), made.id).await.unwrap(), made);
    assert!(own().await.is_empty(), "nobody lives in New York");
    let again = flags::create(env, pg, &rollout, &admin(), spec).await;
    assert!(matches!(again, Err(CatalogError::KeyTaken)), "{again:?}");
    let denied = flags::all(pg, &visitor()).await;
    assert!(matches!(denied, Err(CatalogError::Forbidden(_))), "{denied:?}");
    let stranger = rollout.own(&visitor()).await;
    assert!(matches!(stranger, Err(CatalogError::AccountRequired)), "{stranger:?}");

    let change = flag(100, UsState::Tx);
    let actor = admin();
    let (first, second) = tokio::join!(
        flags::revise(pg, &rollout, &actor, made.id, 1, change.clone()),
        flags::revise(pg, &rollout, &actor, made.id, 1, flag(99, UsState::Tx)),
    );
    let (won, lost) = if first.is_ok() { (first, second) } else { (second, first) };
    let Err(CatalogError::Port(PortError::Stale(told))) = lost else { panic!("{lost:?}") };
    assert!(told.iter().any(|field| field.path == "cohorts[0].states"), "{told:?}");
    let won = won.unwrap();
    assert_eq!(flags::all(pg, &admin()).await.unwrap(), std::slice::from_ref(&won));
    flags::revise(pg, &rollout, &admin(), made.id, won.version, change).await.unwrap();
    assert_eq!(own().await, std::slice::from_ref(&made.key));
    let known = rollout.is_on(&admin(), &made.key).await.unwrap();
    let unknown = rollout.is_on(&admin(), &"no_such_flag".parse().unwrap()).await.unwrap();
    assert!(known && !unknown);

    let sql = "SELECT detail FROM audit_entries WHERE entity = 'feature_flag' \
               AND action = 'update' ORDER BY seq LIMIT 1";
    let detail = json_of(&database, sql).await;
    let states = &detail["changed"]["cohorts[0].states"];
    assert_eq!(*states, json!({ "old": ["NY"], "new": ["TX"] }));

    let early = flags::delete(pg, &rollout, &admin(), made.id, 1).await;
    assert!(matches!(early, Err(CatalogError::Port(PortError::Stale(_)))), "{early:?}");
    flags::delete(pg, &rollout, &admin(), made.id, Seen::Any).await.unwrap();
    assert!(own().await.is_empty());
    let gone = flags::one(pg, &admin(), made.id).await;
    assert!(is_missing(&gone), "{gone:?}");
}

#[tokio::test]
async fn names_are_taken_once_in_a_category_whatever_their_case() {
    let database = with_category().await;
    let (env, pg) = (&database.env, &database.pg);
    create_plan(env, pg, &admin(), spec("Finasteride", 2_500)).await.unwrap();
    let again = create_plan(env, pg, &admin(), spec("finasteride", 1_000)).await;
    assert!(matches!(again, Err(CatalogError::NameTaken)), "{again:?}");
    let elsewhere = PlanSpec { category: CategoryId(Uuid::nil()), ..spec("Other", 1_000) };
    let nowhere = create_plan(env, pg, &admin(), elsewhere).await;
    assert!(is_missing(&nowhere), "{nowhere:?}");
}

#[tokio::test]
async fn what_is_not_offered_exists_for_administrators_only() {
    let database = with_category().await;
    let (env, pg) = (&database.env, &database.pg);
    let made = create_plan(env, pg, &admin(), spec("Finasteride", 2_500)).await.unwrap();
    let soon =
        ActivationWindow { from: Some(database.clock.now() + TimeDelta::days(1)), until: None };
    let later = PlanSpec { window: soon, ..spec("Later", 3_000) };
    let later = create_plan(env, pg, &admin(), later).await.unwrap();
    deactivate_plan(pg, &admin(), made.id, 1).await.unwrap();

    assert_eq!(plans(env, pg, &visitor(), None).await.unwrap(), []);
    for id in [made.id, later.id] {
        let hidden = plan(env, pg, &visitor(), id).await;
        assert!(is_missing(&hidden), "{hidden:?}");
    }
    assert_eq!(all_plans(pg, &admin(), None).await.unwrap().len(), 2);
    database.clock.advance(TimeDelta::days(2));
    assert_eq!(plans(env, pg, &visitor(), None).await.unwrap(), [later]);

    let mut off = category(pg, &visitor(), CATEGORY).await.unwrap();
    off.active = false;
    let off = CategorySpec {
        slug: off.slug,
        name: off.name,
        description: off.description,
        active: false,
        configuration: off.configuration,
    };
    save_category(pg, &admin(), CATEGORY, off).await.unwrap();
    assert_eq!(plans(env, pg, &visitor(), None).await.unwrap(), []);
    assert_eq!(categories(pg, &visitor()).await.unwrap(), []);
    assert_eq!(categories(pg, &admin()).await.unwrap().len(), 1);
}

#[tokio::test]
async fn only_administrators_change_it() {
    let database = with_category().await;
    let (env, pg) = (&database.env, &database.pg);
    let made = create_plan(env, pg, &visitor(), spec("Finasteride", 2_500)).await;
    assert!(matches!(made, Err(CatalogError::Forbidden(_))), "{made:?}");
    let listed = all_plans(pg, &visitor(), None).await;
    assert!(matches!(listed, Err(CatalogError::Forbidden(_))), "{listed:?}");
}

#[tokio::test]
async fn a_seed_is_sown_once() {
    let database = with_category().await;
    let pg = &database.pg;
    let id = PlanId(Uuid::from_u128(77));
    let first = seed_plan(pg, &system(), id, spec("Finasteride", 2_500)).await.unwrap();
    let second = seed_plan(pg, &system(), id, spec("Finasteride", 9_900)).await.unwrap();
    assert_eq!(first, second);
}

#[tokio::test]
async fn of_two_who_change_a_category_the_second_hears_of_the_first() {
    let database = Database::fresh().await;
    let (env, store) = (&database.env, &database.pg);
    let actor = Actor::system("tests.catalog");
    let spec = |slug: &str, name: &str| CategorySpec {
        slug: slug.into(),
        name: name.into(),
        description: "Acute and preventive treatment.".into(),
        active: true,
        configuration: CategoryConfiguration {
            required_modality: Modality::Asynchronous,
            minimum_age: 18,
            maximum_age: None,
        },
    };
    let made = catalog::create_category(env, store, &actor, spec("migraine", "Migraine"));
    let made = made.await.unwrap();
    let taken = catalog::create_category(env, store, &actor, spec("migraine", "Other")).await;
    assert!(matches!(taken, Err(CatalogError::SlugTaken)), "{taken:?}");

    let change = |name: &'static str| {
        let (id, spec) = (made.id, spec("migraine", name));
        async move {
            let actor = Actor::system("tests.catalog");
            catalog::revise_category(store, &actor, id, 1, spec).await
        }
    };
    let (first, second) = tokio::join!(change("Headache"), change("Migraines"));
    let (won, lost) = if first.is_ok() { (first, second) } else { (second, first) };
    assert_eq!(won.unwrap().version, 2);
    let Err(CatalogError::Port(PortError::Stale(fields))) = lost else { panic!("{lost:?}") };
    assert!(fields[0].message.contains("2 is the current one"), "{}", fields[0].message);
}

/// Has a plan of this tier in the category.
struct Subscriber(Tier);

#[async_trait]
impl Audience for Subscriber {
    async fn standing(&self, _: &Actor) -> ports::Result<Standing> {
        Ok(Standing { tiers: [(CATEGORY, self.0)].into(), ..Standing::default() })
    }
}

#[tokio::test]
async fn articles_are_read_from_a_tier_on_and_changed_by_version() {
    let database = with_category().await;
    let (env, pg) = (&database.env, &database.pg);
    let spec = |title: &str, minimum_tier, published| ArticleSpec {
        category: CATEGORY,
        title: title.into(),
        summary: "What to expect.".into(),
        body: "Hair grows *slowly*.".into(),
        minimum_tier,
        published,
    };
    let make = async |spec| articles::create(env, pg, &admin(), spec).await.unwrap();
    let all = make(spec("For all", None, true)).await;
    let some = make(spec("For some", Some(Tier::Standard), true)).await;
    let none = make(spec("Not yet", None, false)).await;

    let seen = async |tier, actor: Actor| -> Vec<(String, bool)> {
        let shown = articles::of_category(pg, &Subscriber(tier), &actor, CATEGORY).await.unwrap();
        shown.into_iter().map(|shown| (shown.article.spec.title, shown.open)).collect()
    };
    let titles = |some| vec![("For all".to_owned(), true), ("For some".to_owned(), some)];
    assert_eq!(seen(Tier::Basic, visitor()).await, titles(false));
    assert_eq!(seen(Tier::Premium, visitor()).await, titles(true));
    assert_eq!(seen(Tier::Basic, admin()).await.len(), 3);
    let read = async |tier, id| articles::read(pg, &Subscriber(tier), &visitor(), id).await;
    assert_eq!(read(Tier::Basic, all.id).await.unwrap(), all);
    let locked = read(Tier::Basic, some.id).await;
    assert!(matches!(locked, Err(CatalogError::ArticleLocked(Tier::Standard))), "{locked:?}");
    assert_eq!(read(Tier::Standard, some.id).await.unwrap(), some);
    let hidden = read(Tier::Premium, none.id).await;
    assert!(is_missing(&hidden), "{hidden:?}");

    let change = async |seen: i64, title| {
        articles::revise(pg, &admin(), all.id, seen, spec(title, None, true)).await
    };
    change(1, "For everybody").await.unwrap();
    let late = change(1, "For nobody").await;
    let Err(CatalogError::Port(PortError::Stale(told))) = late else { panic!("{late:?}") };
    assert_eq!(told[1].message, "\"For all\" → \"For everybody\"");
    let stale = articles::delete(pg, &admin(), all.id, 1).await;
    assert!(matches!(stale, Err(CatalogError::Port(PortError::Stale(_)))), "{stale:?}");
    articles::delete(pg, &admin(), all.id, 2).await.unwrap();
    let gone = read(Tier::Premium, all.id).await;
    assert!(is_missing(&gone), "{gone:?}");
}
