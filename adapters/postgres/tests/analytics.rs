use std::{collections::BTreeSet, num::NonZeroU32, sync::Arc, sync::Mutex};

use analytics::{
    AnalyticsStore, Cell, Charge, JourneyStage, Position, ReportSettings, Standing,
    SubscriptionFacts,
    projecting::{HANDLER, project},
    reporting::revenue_report,
};
use async_trait::async_trait;
use chrono::{DateTime, NaiveDate, TimeZone as _, Utc};
use chrono_tz::Tz;
use kernel::{
    AccountId, Actor, ActorKind, CategoryId, Currency, DomainError as _, ErrorKind, Money,
    Permission, RequestContext, Role, SessionId, SubscriptionId,
};
use ports::{AuditAction, AuditEntry, Delivery, Envelope, Event};
use salus_tests::Database;

fn analyst(permissions: &[Permission]) -> Actor {
    Actor {
        kind: ActorKind::Account {
            account: AccountId(kernel::Uuid::from_u128(1)),
            session: SessionId(kernel::Uuid::from_u128(2)),
            roles: Arc::new(BTreeSet::from([Role::Admin])),
        },
        permissions: Arc::new(permissions.iter().copied().collect()),
        request: RequestContext::default(),
    }
}

fn settings(minimum_cell: u64) -> ReportSettings {
    ReportSettings { minimum_cell, zone: Tz::America__New_York }
}

struct Subscriptions(Mutex<Position>);

#[async_trait]
impl SubscriptionFacts for Subscriptions {
    async fn position(&self, _: SubscriptionId) -> ports::Result<Option<Position>> {
        Ok(Some(self.0.lock().unwrap().clone()))
    }
}

fn position(database: &Database, category: CategoryId, minor: i64, months: u32) -> Position {
    Position {
        subscription: database.env.fresh(),
        category,
        standing: Standing::Active,
        currency: Currency::Usd,
        charges: vec![Charge::Recurring {
            amount: Money::usd(minor),
            months: NonZeroU32::new(months).unwrap(),
        }],
    }
}

fn activated(database: &Database, position: &Position) -> Envelope {
    Envelope {
        id: database.env.fresh(),
        occurred_at: database.env.now(),
        event: Event::SubscriptionActivated {
            subscription: position.subscription,
            patient: database.env.fresh(),
            category: position.category,
        },
    }
}

async fn handle(database: &Database, facts: &Subscriptions, envelope: &Envelope) {
    let delivery = Delivery { event: envelope.id, handler: HANDLER };
    project(&database.pg, facts, delivery, envelope).await.unwrap();
}

#[tokio::test]
async fn revenue_follows_a_subscription_and_a_repeated_event_adds_nothing() {
    let database = Database::fresh().await;
    let category = database.env.fresh();
    let position = position(&database, category, 30_000, 3);
    let facts = Subscriptions(Mutex::new(position.clone()));
    let event = activated(&database, &position);
    handle(&database, &facts, &event).await;
    handle(&database, &facts, &event).await;

    let actor = analyst(&[Permission::AnalyticsRead]);
    let settings = settings(1);
    let report = || revenue_report(&database.env, &database.pg, &settings, &actor, None, None);
    let revenue = report().await.unwrap().monthly_recurring;
    let shown = Cell::Shown { value: Money::usd(10_000), people: 1 };
    assert_eq!(revenue[0].total, shown);
    assert_eq!(revenue[0].categories, [(category, shown)]);

    facts.0.lock().unwrap().standing = Standing::Paused;
    handle(&database, &facts, &activated(&database, &position)).await;
    assert!(report().await.unwrap().monthly_recurring.is_empty());
}

#[tokio::test]
async fn figures_about_too_few_are_withheld() {
    let database = Database::fresh().await;
    let (large, small): (CategoryId, CategoryId) = (database.env.fresh(), database.env.fresh());
    for (category, count) in [(large, 12), (small, 2)] {
        for _ in 0..count {
            let position = position(&database, category, 1_000, 1);
            let facts = Subscriptions(Mutex::new(position.clone()));
            handle(&database, &facts, &activated(&database, &position)).await;
        }
    }
    let actor = analyst(&[Permission::AnalyticsRead]);
    let report = revenue_report(&database.env, &database.pg, &settings(11), &actor, None, None)
        .await
        .unwrap();
    let revenue = &report.monthly_recurring[0];
    assert_eq!(revenue.total, Cell::Shown { value: Money::usd(14_000), people: 14 });
    assert!(revenue.categories.iter().all(|(_, cell)| *cell == Cell::Withheld));
    assert_eq!(report.journey.len(), 1);
    assert_eq!(report.journey[0].1, JourneyStage::Subscribed);
    assert_eq!(report.journey[0].2, Cell::Shown { value: (), people: 14 });
}

#[tokio::test]
async fn the_earliest_arrival_counts_on_the_local_day() {
    let database = Database::fresh().await;
    let patient = database.env.fresh();
    // Half past four in the morning in London is the evening before in New York.
    let at = |hour| -> DateTime<Utc> { Utc.with_ymd_and_hms(2026, 3, 2, hour, 30, 0).unwrap() };
    let system = Actor::system("tests.analytics");
    let mut tx = AnalyticsStore::begin(&database.pg, &system).await.unwrap();
    for hour in [9, 4, 20] {
        tx.reach(patient, JourneyStage::Registered, at(hour)).await.unwrap();
    }
    tx.audit(AuditEntry::new(AuditAction::Update, "analytics_projection", 1)).await.unwrap();
    tx.commit().await.unwrap();

    let mut tx = AnalyticsStore::begin(&database.pg, &system).await.unwrap();
    let first = NaiveDate::from_ymd_opt(2026, 3, 1).unwrap();
    let next = first.succ_opt().unwrap();
    let days = tx.journey(first, first, Tz::America__New_York).await.unwrap();
    assert_eq!((days.len(), days[0].day, days[0].people), (1, first, 1));
    assert!(tx.journey(next, next, Tz::America__New_York).await.unwrap().is_empty());
}

#[tokio::test]
async fn figures_need_their_permission_and_a_sensible_span() {
    let database = Database::fresh().await;
    let report = |actor: Actor, from, to| {
        let (env, pg) = (database.env.clone(), database.pg.clone());
        async move { revenue_report(&env, &pg, &settings(1), &actor, from, to).await }
    };
    let refused = report(analyst(&[]), None, None).await;
    assert_eq!(refused.unwrap_err().kind(), ErrorKind::Forbidden);
    let day = NaiveDate::from_ymd_opt(2026, 3, 1);
    let actor = || analyst(&[Permission::AnalyticsRead]);
    let backwards = report(actor(), day.and_then(|day| day.succ_opt()), day).await;
    assert_eq!(backwards.unwrap_err().kind(), ErrorKind::Invalid);
    assert!(report(actor(), day, day).await.is_ok());
}
