use std::{collections::BTreeSet, sync::Arc};

use async_trait::async_trait;
use chrono::{DateTime, TimeDelta, Utc};
use chrono_tz::Tz;
use kernel::{
    AccountId, Actor, ActorKind, AssessmentId, CategoryId, CoveredTreatment, DomainError as _,
    DoseAmount, DoseForm, ErrorKind, Feature, InvoiceId, Money, PatientId, Permission, PriceId,
    RequestContext, Role, SubscriptionId, TreatedWith, Uuid,
};
use ports::{IdempotencyKey, PortError};
use salus_postgres::Pg;
use salus_tests::Database;
use sea_orm::{ConnectionTrait as _, DbBackend, Statement};
use subscriptions::{
    Approvals, BillingInterval, ChangeReason, PatientZones, PaymentMethods, PriceTerms, Prices,
    Shop, StartSubscription, StateWord, Subscription, SubscriptionError, Supply, Tier,
    access::{self, AccessReason, Offer, OfferedPrice, Offers},
    handlers::{on_invoice_paid, on_payment_failed},
    manage,
    renewal::{RenewSubscription, renew},
    start::start,
    subscription::CancelWhen,
    treatment::{on_subscription_started, on_treatment_changed, on_treatment_plan_ended},
};

const CATEGORY: CategoryId = CategoryId(Uuid::from_u128(0xca));
const PRICE: PriceId = PriceId(Uuid::from_u128(0x70));

const FINASTERIDE: &str = "25025";

fn finasteride() -> CoveredTreatment {
    CoveredTreatment {
        drug: FINASTERIDE.parse().unwrap(),
        name: "finasteride".into(),
        form: DoseForm::OralTablet,
        unit: "mg".into(),
        doses: vec![DoseAmount::try_from(1.0).unwrap()],
    }
}

/// The other contexts, as this patient finds them.
struct Others {
    approved: bool,
    supply: Supply,
    amount: i64,
    months: u32,
    renews: bool,
    /// The RxNorm ingredient that the patient is treated with.
    drug: &'static str,
    stopped: bool,
    can_pay: bool,
}

#[async_trait]
impl Approvals for Others {
    async fn approved(
        &self,
        _: PatientId,
        category: CategoryId,
    ) -> ports::Result<Option<AssessmentId>> {
        let approved = self.approved && category == CATEGORY;
        Ok(approved.then(|| AssessmentId(Uuid::from_u128(0xa5))))
    }

    async fn supply(&self, _: PatientId, _: CategoryId) -> ports::Result<Supply> {
        Ok(self.supply)
    }

    async fn treated(&self, _: PatientId, _: CategoryId) -> ports::Result<Option<TreatedWith>> {
        let treated = TreatedWith {
            drugs: vec![self.drug.parse().unwrap()],
            form: Some(DoseForm::OralTablet),
            doses: Some(("mg".into(), vec![1.0])),
        };
        Ok((self.supply != Supply::NoPlan).then_some(treated))
    }

    async fn is_stopped(&self, _: PatientId, _: CategoryId) -> ports::Result<bool> {
        Ok(self.stopped)
    }
}

#[async_trait]
impl Prices for Others {
    async fn price(&self, price: PriceId) -> ports::Result<Option<PriceTerms>> {
        Ok((price == PRICE).then(|| PriceTerms {
            price,
            plan: Uuid::from_u128(0x91).into(),
            category: CATEGORY,
            version: 3,
            plan_name: "Essential".into(),
            amount: Money::usd(self.amount),
            interval: BillingInterval::of_months(self.months).unwrap(),
            tier: Tier::Standard,
            features: vec![
                Feature::new("messaging", "Messages").unwrap(),
                Feature::new("video", "Video").unwrap(),
            ],
            treatments: vec![finasteride()],
            renews: self.renews,
            on_sale: true,
        }))
    }
}

#[async_trait]
impl PaymentMethods for Others {
    async fn has_default(&self, _: PatientId) -> ports::Result<bool> {
        Ok(self.can_pay)
    }
}

#[async_trait]
impl PatientZones for Others {
    async fn zone(&self, _: PatientId) -> ports::Result<Option<Tz>> {
        Ok(Some(Tz::America__New_York))
    }
}

fn patient(number: u128) -> Actor {
    let kind = ActorKind::Account {
        account: AccountId(Uuid::from_u128(number)),
        session: Uuid::from_u128(number + 1000).into(),
        roles: Arc::new(BTreeSet::from([Role::Patient])),
    };
    let request = RequestContext {
        ip: Some("203.0.113.7".parse().unwrap()),
        user_agent: Some("tests".into()),
        ..RequestContext::default()
    };
    Actor { kind, permissions: Arc::new(BTreeSet::from([Permission::SubscribeOwn])), request }
}

fn key(text: &str) -> IdempotencyKey {
    IdempotencyKey { operation: "subscriptions.start", key: text.to_owned(), fingerprint: [7; 32] }
}

fn request() -> StartSubscription {
    StartSubscription {
        price: PRICE,
        consent_accepted: true,
        terms_version: "2026-01".into(),
        amount_shown: Money::usd(4900),
    }
}

async fn begin(
    database: &Database,
    others: &Others,
    actor: &Actor,
    name: &str,
) -> Result<Subscription, SubscriptionError> {
    let shop = Shop { approvals: others, prices: others, zones: others, methods: others };
    start(&database.env, &database.pg, shop, actor, &key(name), request()).await
}

const WILLING: Others = Others {
    approved: true,
    supply: Supply::Months(3),
    amount: 4900,
    months: 1,
    renews: true,
    drug: FINASTERIDE,
    stopped: false,
    can_pay: true,
};

async fn pay(database: &Database, subscription: SubscriptionId, invoice: InvoiceId) {
    on_invoice_paid(&database.env, &database.pg, subscription, invoice).await.unwrap();
}

async fn fail(database: &Database, subscription: SubscriptionId, invoice: InvoiceId) {
    on_payment_failed(&database.env, &database.pg, subscription, invoice).await.unwrap();
}

async fn count(database: &Database, sql: &str) -> i64 {
    let statement = Statement::from_string(DbBackend::Postgres, sql);
    let row = database.superuser().await.query_one_raw(statement).await.unwrap().unwrap();
    row.try_get_by_index(0).unwrap()
}

#[tokio::test]
async fn a_subscription_is_started_once_and_keeps_what_was_bought() {
    let database = Database::fresh().await;
    let ada = patient(1);
    let first = begin(&database, &WILLING, &ada, "k1").await.unwrap();
    assert_eq!(first.state.word(), StateWord::Pending);
    // The same request again is answered even though the price changed since.
    let changed = Others { approved: false, supply: Supply::NoPlan, amount: 9900, ..WILLING };
    let again = begin(&database, &changed, &ada, "k1").await.unwrap();
    assert_eq!(again.id, first.id);
    let stored = manage::read(&database.pg, &ada, first.id).await.unwrap();
    assert_eq!((stored.version, &stored), (1, &first));
    assert_eq!(stored.consent.ip.as_deref(), Some("203.0.113.7"));
    let events = "SELECT count(*) FROM outbox_events WHERE kind = 'subscription_started'";
    assert_eq!(count(&database, events).await, 1);
}

#[tokio::test]
async fn what_is_missing_is_said_and_nothing_is_kept() {
    let database = Database::fresh().await;
    let ada = patient(1);
    let unapproved = Others { approved: false, supply: Supply::NoPlan, ..WILLING };
    let refused = begin(&database, &unapproved, &ada, "k1").await;
    assert!(matches!(refused, Err(SubscriptionError::NotApproved)), "{refused:?}");
    let dearer = Others { amount: 5900, ..WILLING };
    let refused = begin(&database, &dearer, &ada, "k1").await;
    let Err(SubscriptionError::ConsentMissing(fields)) = refused else { panic!("{refused:?}") };
    assert_eq!(fields[0].path, "consent.amount");
    assert_eq!(count(&database, "SELECT count(*) FROM subscriptions").await, 0);
    // The key is free again, because nothing was made with it.
    begin(&database, &WILLING, &ada, "k1").await.unwrap();
}

#[tokio::test]
async fn sixteen_requests_at_once_leave_one_live_subscription() {
    let database = Arc::new(Database::fresh().await);
    let tasks: Vec<_> = (0..16)
        .map(|number| {
            let database = database.clone();
            tokio::spawn(async move {
                begin(&database, &WILLING, &patient(1), &format!("k{number}")).await
            })
        })
        .collect();
    let mut started = 0;
    for task in tasks {
        match task.await.unwrap() {
            Ok(_) => started += 1,
            Err(SubscriptionError::AlreadySubscribed) => {}
            Err(other) => panic!("{other:?}"),
        }
    }
    assert_eq!(started, 1);
    let ada = patient(1);
    let only = manage::read_all(&database.pg, &ada, PatientId(Uuid::from_u128(1))).await.unwrap();
    manage::cancel(&database.env, &database.pg, &ada, only[0].id, CancelWhen::Now).await.unwrap();
    begin(&database, &WILLING, &ada, "later").await.unwrap();
}

#[tokio::test]
async fn another_patients_subscription_does_not_exist_and_the_attempt_is_recorded() {
    let database = Database::fresh().await;
    let id = begin(&database, &WILLING, &patient(1), "k1").await.unwrap().id;
    let eve = patient(2);
    let read = manage::read(&database.pg, &eve, id).await;
    assert!(matches!(read, Err(SubscriptionError::NotFound)), "{read:?}");
    let canceled = manage::cancel(&database.env, &database.pg, &eve, id, CancelWhen::Now).await;
    assert!(matches!(canceled, Err(SubscriptionError::NotFound)), "{canceled:?}");
    let listed = manage::read_all(&database.pg, &eve, PatientId(Uuid::from_u128(1))).await;
    assert!(matches!(listed, Err(SubscriptionError::NotFound)), "{listed:?}");
    let denied = "SELECT count(*) FROM audit_entries WHERE outcome = 'denied'";
    assert_eq!(count(&database, denied).await, 3);
    let none = "SELECT count(*) FROM subscriptions WHERE state = 'canceled'";
    assert_eq!(count(&database, none).await, 0);
}

#[tokio::test]
async fn row_level_security_hides_what_a_query_forgot_to_scope() {
    let database = Database::fresh().await;
    begin(&database, &WILLING, &patient(1), "k1").await.unwrap();
    for (actor, expected) in [(patient(1), 1i64), (patient(2), 0)] {
        let tx = database.pg.open(&actor).await.unwrap();
        let sql = "SELECT count(*) FROM subscription_changes";
        let statement = Statement::from_string(DbBackend::Postgres, sql);
        let row = tx.read().query_one_raw(statement).await.unwrap().unwrap();
        assert_eq!(row.try_get_by_index::<i64>(0).unwrap(), expected);
    }
}

#[tokio::test]
async fn payments_move_it_in_whatever_order_they_are_told() {
    let database = Database::fresh().await;
    let ada = patient(1);
    let id = begin(&database, &WILLING, &ada, "k1").await.unwrap().id;
    let (first, second): (InvoiceId, InvoiceId) = (database.env.fresh(), database.env.fresh());
    pay(&database, id, first).await;
    pay(&database, id, first).await;
    // The failure before that payment arrives late.
    fail(&database, id, first).await;
    let state = async || manage::read(&database.pg, &ada, id).await.unwrap().state.word();
    assert_eq!(state().await, StateWord::Active);
    fail(&database, id, second).await;
    assert_eq!(state().await, StateWord::PastDue);
    pay(&database, id, second).await;
    assert_eq!(state().await, StateWord::Active);
    let activated = "SELECT count(*) FROM outbox_events WHERE kind = 'subscription_activated'";
    assert_eq!(count(&database, activated).await, 1);
    let history = manage::history(&database.pg, &ada, id).await.unwrap();
    let reasons: Vec<ChangeReason> = history.iter().map(|change| change.reason).collect();
    assert_eq!(
        reasons,
        [
            ChangeReason::Started,
            ChangeReason::FirstInvoicePaid,
            ChangeReason::PaymentFailed,
            ChangeReason::PaymentRecovered
        ]
    );
}

#[tokio::test]
async fn a_period_begins_once_however_often_the_job_runs() {
    let database = Arc::new(Database::fresh().await);
    let ada = patient(1);
    database.clock.set("2026-01-31T15:00:00Z".parse::<DateTime<Utc>>().unwrap());
    let id = begin(&database, &WILLING, &ada, "k1").await.unwrap().id;
    pay(&database, id, database.env.fresh()).await;
    let job = RenewSubscription { subscription: id, period_index: 1 };
    let early = renew(&database.env, &database.pg, &WILLING, job.clone()).await;
    assert!(matches!(early, Err(SubscriptionError::NotDue)), "{early:?}");
    database.clock.set("2026-02-28T05:00:00Z".parse::<DateTime<Utc>>().unwrap());
    let runs: Vec<_> = (0..8)
        .map(|_| {
            let (database, job) = (database.clone(), job.clone());
            tokio::spawn(async move { renew(&database.env, &database.pg, &WILLING, job).await })
        })
        .collect();
    for run in runs {
        match run.await.unwrap() {
            Ok(()) | Err(SubscriptionError::Port(PortError::Conflict(_))) => {}
            Err(other) => panic!("{other:?}"),
        }
    }
    let renewed = manage::read(&database.pg, &ada, id).await.unwrap();
    assert_eq!(renewed.period.index, 1);
    assert_eq!(renewed.period.end.to_rfc3339(), "2026-03-31T04:00:00+00:00");
    let begun = "SELECT count(*) FROM outbox_events WHERE kind = 'subscription_period_started'";
    assert_eq!(count(&database, begun).await, 1);
    assert_eq!(count(&database, "SELECT count(*) FROM subscription_periods").await, 2);
}

#[tokio::test]
async fn one_that_is_canceled_for_its_period_end_ends_there() {
    let database = Database::fresh().await;
    let ada = patient(1);
    let id = begin(&database, &WILLING, &ada, "k1").await.unwrap().id;
    pay(&database, id, database.env.fresh()).await;
    for _ in 0..2 {
        let canceled =
            manage::cancel(&database.env, &database.pg, &ada, id, CancelWhen::PeriodEnd).await;
        assert!(canceled.unwrap().entitles(database.env.now()));
    }
    database.clock.advance(TimeDelta::days(32));
    let job = RenewSubscription { subscription: id, period_index: 1 };
    renew(&database.env, &database.pg, &WILLING, job.clone()).await.unwrap();
    renew(&database.env, &database.pg, &WILLING, job).await.unwrap();
    let ended = manage::read(&database.pg, &ada, id).await.unwrap();
    assert_eq!((ended.state.word(), ended.period.index), (StateWord::Canceled, 0));
    let told = "SELECT count(*) FROM outbox_events WHERE kind = 'subscription_canceled'";
    assert_eq!(count(&database, told).await, 1);
}

/// The real catalogue, as the two ports of subscriptions see it.
struct Catalogue<'a>(&'a Database);

fn tier(tier: catalog::Tier) -> Tier {
    tier.to_string().parse().unwrap()
}

#[async_trait]
impl Prices for Catalogue<'_> {
    async fn price(&self, price: PriceId) -> ports::Result<Option<PriceTerms>> {
        let system = Actor::system("tests.catalogue");
        let found = catalog::price(&self.0.env, &self.0.pg, &system, price).await.unwrap();
        Ok(Some(PriceTerms {
            price: found.price,
            plan: found.plan,
            category: found.category,
            version: i32::try_from(found.plan_version).unwrap(),
            plan_name: found.plan_name,
            amount: found.amount,
            interval: BillingInterval::MONTH,
            tier: tier(found.tier),
            features: found.features,
            treatments: found.treatments,
            renews: true,
            on_sale: found.offered,
        }))
    }
}

#[async_trait]
impl Offers for Catalogue<'_> {
    async fn offers(&self, category: Option<CategoryId>) -> ports::Result<Vec<Offer>> {
        let system = Actor::system("tests.catalogue");
        let plans = catalog::plans(&self.0.env, &self.0.pg, &system, category).await.unwrap();
        let offer = |plan: catalog::Plan| Offer {
            prices: plan
                .offered_prices()
                .map(|price| OfferedPrice {
                    price: price.id,
                    interval: BillingInterval::MONTH,
                    amount: price.amount,
                    renews: true,
                })
                .collect(),
            plan: plan.id,
            name: plan.name,
            category: plan.category,
            category_name: "Hair loss".into(),
            tier: tier(plan.tier),
            features: plan.features,
            treatments: plan.treatments,
        };
        Ok(plans.into_iter().map(offer).collect())
    }
}

fn plan_spec(tier: catalog::Tier, feature: &str, minor: i64) -> catalog::PlanSpec {
    catalog::PlanSpec {
        category: CATEGORY,
        name: format!("With {feature}"),
        description: "Daily tablets.".into(),
        tier,
        features: vec![Feature::new(feature, feature).unwrap()],
        treatments: vec![finasteride()],
        comparison: vec![],
        window: catalog::ActivationWindow::default(),
        active: true,
        prices: vec![catalog::PriceSpec {
            interval: catalog::BillingInterval::Monthly,
            amount: Money::usd(minor),
        }],
    }
}

/// The category whose plans are sold here.
async fn category(pg: &Pg, system: &Actor) {
    let spec = catalog::CategorySpec {
        slug: "hair-loss".into(),
        name: "Hair loss".into(),
        description: "Androgenetic alopecia.".into(),
        active: true,
        configuration: catalog::CategoryConfiguration {
            required_modality: catalog::Modality::Asynchronous,
            minimum_age: 18,
            maximum_age: None,
        },
    };
    catalog::save_category(pg, system, CATEGORY, spec).await.unwrap();
}

#[tokio::test]
async fn editing_a_plan_changes_nothing_for_who_bought_it_before() {
    let database = Database::fresh().await;
    let (env, pg) = (&database.env, &database.pg);
    let system = Actor::system("tests.catalogue");
    category(pg, &system).await;
    let first = plan_spec(catalog::Tier::Basic, "messages", 4900);
    let plan = catalog::create_plan(env, pg, &system, first).await.unwrap();
    let catalogue = Catalogue(&database);
    let buy = async |number: u128, price: PriceId, minor: i64| {
        let shop =
            Shop { approvals: &WILLING, prices: &catalogue, zones: &WILLING, methods: &WILLING };
        let request = StartSubscription { price, amount_shown: Money::usd(minor), ..request() };
        let bought = start(env, pg, shop, &patient(number), &key("buy"), request).await.unwrap();
        pay(&database, bought.id, env.fresh()).await;
        bought.id
    };
    let early = buy(1, plan.prices[0].id, 4900).await;
    let before = manage::read(pg, &patient(1), early).await.unwrap();

    // Another name, tier, feature and price: another offer altogether.
    let second = plan_spec(catalog::Tier::Premium, "video_visits", 9900);
    let edited = catalog::revise_plan(env, pg, &system, plan.id, 1, second).await.unwrap();
    let late = buy(2, edited.prices[1].id, 9900).await;

    let after = manage::read(pg, &patient(1), early).await.unwrap();
    assert_eq!(after, before);
    assert_eq!((after.tier, after.amount, after.price_version), (Tier::Basic, Money::usd(4900), 1));
    let bought = manage::read(pg, &patient(2), late).await.unwrap();
    assert_eq!(
        (bought.tier, bought.amount, bought.price_version),
        (Tier::Premium, Money::usd(9900), 2)
    );

    let highest = async |number: u128| {
        let patient = PatientId(Uuid::from_u128(number));
        access::highest_tier(env, pg, patient).await.unwrap()
    };
    assert_eq!((highest(1).await, highest(2).await), (Some(Tier::Basic), Some(Tier::Premium)));
    let reason = async |number: u128, feature: &str| {
        let feature = feature.parse().unwrap();
        let actor = patient(number);
        access::validate(env, pg, &catalogue, &actor, &feature, None).await.unwrap().reason
    };
    assert_eq!(reason(1, "messages").await, AccessReason::Entitled);
    assert_eq!(reason(1, "video_visits").await, AccessReason::UpgradeRequired);
    assert_eq!(reason(2, "video_visits").await, AccessReason::Entitled);
    // The plan as it is now is above what was bought, and so is an upgrade.
    let feature = "video_visits".parse().unwrap();
    let prompt =
        access::upgrade_prompt(env, pg, &catalogue, &WILLING, &patient(1), (&feature, None)).await;
    let prompt = prompt.unwrap();
    assert_eq!(prompt.plans.iter().map(|offer| offer.plan).collect::<Vec<_>>(), [plan.id]);

    // The next period is that of the same purchase.
    let end = before.period.end;
    database.clock.set(end);
    let job = RenewSubscription { subscription: early, period_index: 1 };
    renew(env, pg, &WILLING, job).await.unwrap();
    let renewed = manage::read(pg, &patient(1), early).await.unwrap();
    assert_eq!(
        (renewed.price, renewed.amount, renewed.tier, &renewed.features),
        (before.price, before.amount, before.tier, &before.features)
    );

    // One that ends with its period opens nothing from that moment on, also
    // while the job that closes it has not run.
    let end = renewed.period.end;
    manage::cancel(env, pg, &patient(1), early, CancelWhen::PeriodEnd).await.unwrap();
    assert_eq!(reason(1, "messages").await, AccessReason::Entitled);
    database.clock.set(end);
    assert_eq!(reason(1, "messages").await, AccessReason::SubscriptionInactive);
    assert_eq!(highest(1).await, None);
}

#[tokio::test]
async fn nothing_is_sold_that_cannot_be_sent() {
    let database = Database::fresh().await;
    let ada = patient(1);
    for (supply, months, code) in [
        (Supply::NoPlan, 1, "subscriptions.not_treated"),
        (Supply::NoFillLeft, 1, "subscriptions.no_fill_left"),
        (Supply::Months(2), 3, "subscriptions.period_too_long"),
        (Supply::Months(11), 12, "subscriptions.period_too_long"),
    ] {
        let others = Others { supply, months, ..WILLING };
        let refused = begin(&database, &others, &ada, "k1").await.unwrap_err();
        assert_eq!((refused.kind(), refused.code()), (ErrorKind::Conflict, code));
    }
    assert_eq!(count(&database, "SELECT count(*) FROM subscriptions").await, 0);
    let just_enough = Others { supply: Supply::Months(3), months: 3, ..WILLING };
    begin(&database, &just_enough, &ada, "k1").await.unwrap();
}

#[tokio::test]
async fn what_is_bought_upfront_is_paid_once_and_runs_out() {
    let database = Database::fresh().await;
    let upfront = Others { renews: false, ..WILLING };
    let (ada, bo) = (patient(1), patient(2));
    let id = begin(&database, &upfront, &ada, "k1").await.unwrap().id;
    pay(&database, id, database.env.fresh()).await;
    let paid = manage::read(&database.pg, &ada, id).await.unwrap();
    assert!(paid.cancel_at_period_end);
    assert_eq!(paid.state.word(), StateWord::Active);
    let (env, pg) = (&database.env, &database.pg);
    let asked = manage::cancel(env, pg, &ada, id, CancelWhen::PeriodEnd).await.unwrap();
    assert_eq!(asked.version, paid.version, "it ends then anyway");
    database.clock.advance(TimeDelta::days(32));
    renew(env, pg, &upfront, RenewSubscription { subscription: id, period_index: 1 })
        .await
        .unwrap();
    let ended = manage::read(&database.pg, &ada, id).await.unwrap();
    assert_eq!(ended.state.word(), StateWord::Canceled);

    // What is not paid for yet does not wait for the end of its period.
    let unpaid = begin(&database, &upfront, &bo, "k2").await.unwrap().id;
    let gone = manage::cancel(env, pg, &bo, unpaid, CancelWhen::PeriodEnd).await.unwrap();
    assert_eq!(gone.state.word(), StateWord::Canceled);
}

/// Tells the subscriptions that the patient's plan has ended.
async fn end_treatment(database: &Database, others: &Others, number: u128) {
    let patient = PatientId(Uuid::from_u128(number));
    let (env, pg) = (&database.env, &database.pg);
    for _ in 0..2 {
        on_treatment_plan_ended(env, pg, others, patient, CATEGORY).await.unwrap();
    }
}

#[tokio::test]
async fn a_subscription_does_not_outlive_its_treatment() {
    let database = Database::fresh().await;
    let over = Others { supply: Supply::NoPlan, ..WILLING };
    let (ada, bo) = (patient(1), patient(2));
    let paid = begin(&database, &WILLING, &ada, "k1").await.unwrap().id;
    pay(&database, paid, database.env.fresh()).await;
    let unpaid = begin(&database, &WILLING, &bo, "k2").await.unwrap().id;
    // A plan that gave way to another one stops nothing.
    end_treatment(&database, &WILLING, 1).await;
    assert!(!manage::read(&database.pg, &ada, paid).await.unwrap().cancel_at_period_end);
    end_treatment(&database, &over, 1).await;
    end_treatment(&database, &over, 2).await;
    let ending = manage::read(&database.pg, &ada, paid).await.unwrap();
    assert_eq!(ending.state.word(), StateWord::Active);
    assert!(ending.cancel_at_period_end);
    let ended = manage::read(&database.pg, &bo, unpaid).await.unwrap();
    assert_eq!(ended.state.word(), StateWord::Canceled);
    let told = "SELECT count(*) FROM outbox_events WHERE kind = 'subscription_stopped'";
    assert_eq!(count(&database, told).await, 2);
    let canceled = "SELECT count(*) FROM outbox_events WHERE kind = 'subscription_canceled'";
    assert_eq!(count(&database, canceled).await, 1);
    let history = manage::history(&database.pg, &ada, paid).await.unwrap();
    assert_eq!(history.last().unwrap().reason, ChangeReason::TreatmentEnded);
}

#[tokio::test]
async fn a_purchase_that_crossed_the_end_of_the_treatment_is_stopped() {
    let database = Database::fresh().await;
    let ada = patient(1);
    let id = begin(&database, &WILLING, &ada, "k1").await.unwrap().id;
    let over = Others { supply: Supply::NoPlan, ..WILLING };
    let patient = PatientId(Uuid::from_u128(1));
    let (env, pg) = (&database.env, &database.pg);
    on_subscription_started(env, pg, &over, patient, CATEGORY).await.unwrap();
    let ended = manage::read(&database.pg, &ada, id).await.unwrap();
    assert_eq!(ended.state.word(), StateWord::Canceled);
}

#[tokio::test]
async fn a_period_that_too_little_can_be_sent_for_does_not_begin() {
    for (months, left) in [(1, Supply::NoFillLeft), (3, Supply::Months(2))] {
        let database = Database::fresh().await;
        let ada = patient(1);
        let bought = Others { months, ..WILLING };
        let id = begin(&database, &bought, &ada, "k1").await.unwrap().id;
        pay(&database, id, database.env.fresh()).await;
        database.clock.advance(TimeDelta::days(32 * i64::from(months)));
        let job = RenewSubscription { subscription: id, period_index: 1 };
        let too_little = Others { supply: left, ..bought };
        renew(&database.env, &database.pg, &too_little, job).await.unwrap();
        let ended = manage::read(&database.pg, &ada, id).await.unwrap();
        assert_eq!((ended.state.word(), ended.period.index), (StateWord::Canceled, 0));
        let begun = "SELECT count(*) FROM outbox_events WHERE kind = 'subscription_period_started'";
        assert_eq!(count(&database, begun).await, 0);
    }
}

#[tokio::test]
async fn eight_cancellations_at_once_all_succeed_and_count_once() {
    let database = Arc::new(Database::fresh().await);
    let ada = patient(1);
    let id = begin(&database, &WILLING, &ada, "k1").await.unwrap().id;
    pay(&database, id, database.env.fresh()).await;
    for when in [CancelWhen::PeriodEnd, CancelWhen::Now] {
        let tasks: Vec<_> = (0..8)
            .map(|_| {
                let database = database.clone();
                tokio::spawn(async move {
                    let actor = patient(1);
                    manage::cancel(&database.env, &database.pg, &actor, id, when).await
                })
            })
            .collect();
        for task in tasks {
            let canceled = task.await.unwrap().unwrap();
            assert!(canceled.cancel_at_period_end);
        }
    }
    let history = manage::history(&database.pg, &ada, id).await.unwrap();
    let reasons: Vec<ChangeReason> = history.iter().skip(2).map(|change| change.reason).collect();
    assert_eq!(reasons, [ChangeReason::CancelRequested, ChangeReason::CanceledByPatient]);
    let told = "SELECT count(*) FROM outbox_events WHERE kind = 'subscription_canceled'";
    assert_eq!(count(&database, told).await, 1);
}

const MINOXIDIL: Others = Others { drug: "6984", ..WILLING };

#[tokio::test]
async fn only_a_plan_that_pays_for_the_treatment_is_bought_and_renewed() {
    let database = Database::fresh().await;
    let (env, pg) = (&database.env, &database.pg);
    let refused = begin(&database, &MINOXIDIL, &patient(1), "other").await.unwrap_err();
    assert_eq!(
        (refused.kind(), refused.code()),
        (ErrorKind::Conflict, "subscriptions.plan_of_another_drug")
    );
    let bought = begin(&database, &WILLING, &patient(1), "fits").await.unwrap();
    assert_eq!(bought.covers, [finasteride()]);
    pay(&database, bought.id, env.fresh()).await;
    let stored = manage::read(pg, &patient(1), bought.id).await.unwrap();
    assert_eq!(stored.covers, [finasteride()], "what was bought is kept as it was");

    // A treatment that fits is no news; one that does not is.
    let told = async |others: &Others| {
        let patient = PatientId(Uuid::from_u128(1));
        on_treatment_changed(pg, others, patient, CATEGORY).await.unwrap();
        count(
            &database,
            "SELECT count(*) FROM outbox_events WHERE kind = 'subscription_mismatched'",
        )
        .await
    };
    assert_eq!(told(&WILLING).await, 0);
    assert_eq!(told(&MINOXIDIL).await, 1);

    database.clock.set(stored.period.end);
    let job = RenewSubscription { subscription: bought.id, period_index: 1 };
    renew(env, pg, &MINOXIDIL, job).await.unwrap();
    let ended = manage::read(pg, &patient(1), bought.id).await.unwrap();
    assert!(ended.is_canceled(), "{ended:?}");
    let history = manage::history(pg, &patient(1), bought.id).await.unwrap();
    assert_eq!(history.last().unwrap().reason, ChangeReason::TreatmentNotCovered);
    let stopped = "SELECT count(*) FROM outbox_events WHERE kind = 'subscription_stopped'";
    assert_eq!(count(&database, stopped).await, 1, "the patient is told");
}

#[tokio::test]
async fn a_checkout_is_offered_what_fits_and_an_upgrade_too() {
    let database = Database::fresh().await;
    let (env, pg) = (&database.env, &database.pg);
    let system = Actor::system("tests.catalogue");
    category(pg, &system).await;
    let dear = plan_spec(catalog::Tier::Premium, "video_visits", 9900);
    let cheap = plan_spec(catalog::Tier::Basic, "messages", 4900);
    let nameless = catalog::PlanSpec {
        treatments: Vec::new(),
        ..plan_spec(catalog::Tier::Basic, "none", 100)
    };
    let mut ids = Vec::new();
    for spec in [dear, cheap, nameless] {
        ids.push(catalog::create_plan(env, pg, &system, spec).await.unwrap().id);
    }
    let catalogue = Catalogue(&database);
    let fitting = async |others: &Others| {
        let found = access::fitting(pg, &catalogue, others, &patient(1), None).await.unwrap();
        found.iter().map(|offer| offer.plan).collect::<Vec<_>>()
    };
    assert_eq!(fitting(&WILLING).await, [ids[1], ids[0]]);
    assert_eq!(fitting(&MINOXIDIL).await, []);
    assert_eq!(fitting(&Others { supply: Supply::NoPlan, ..WILLING }).await, []);
    let feature = "video_visits".parse().unwrap();
    let upgrade = async |others: &Others| {
        let asked = (&feature, None);
        let prompt = access::upgrade_prompt(env, pg, &catalogue, others, &patient(1), asked).await;
        prompt.unwrap().plans.len()
    };
    let untreated = Others { supply: Supply::NoPlan, ..WILLING };
    assert_eq!(
        (upgrade(&WILLING).await, upgrade(&MINOXIDIL).await, upgrade(&untreated).await),
        (1, 0, 1)
    );
}

mod missed;
