use std::sync::Arc;

use catalog::{
    ActivationWindow, BillingInterval, CatalogError, CategoryConfiguration, CategorySpec, Modality,
    PlanSpec, PriceSpec, Tier, all_plans, categories, category, create_plan, deactivate_plan, plan,
    plans, price, revise_plan, save_category, seed_plan,
};
use chrono::TimeDelta;
use kernel::{
    AccountId, Actor, ActorKind, CategoryId, Money, Permission, PlanId, RequestContext, Role,
    SessionId, Uuid,
};
use ports::Clock as _;
use salus_tests::Database;
use sea_orm::ConnectionTrait as _;

const CATEGORY: CategoryId = CategoryId(Uuid::from_u128(1));

fn system() -> Actor {
    Actor::system("tests.catalog")
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
        features: vec!["Free shipping".into(), "Messages".into()],
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
    assert!(matches!(lost, Err(CatalogError::VersionMismatch(_))), "{lost:?}");
    assert_eq!(plan(env, pg, &admin(), made.id).await.unwrap(), won.unwrap());
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
    assert!(matches!(nowhere, Err(CatalogError::CategoryNotFound)), "{nowhere:?}");
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
        assert!(matches!(hidden, Err(CatalogError::PlanNotFound)), "{hidden:?}");
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
    let Err(CatalogError::VersionMismatch(fields)) = lost else { panic!("{lost:?}") };
    assert!(fields[0].message.contains("2 is the current one"), "{}", fields[0].message);
}
