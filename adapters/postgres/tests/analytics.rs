use std::{collections::BTreeSet, num::NonZeroU32, sync::Arc, sync::Mutex};

use analytics::{
    AnalyticsStore, CategoryDecision, Cell, Charge, JourneyStage, Position, ReportSettings,
    Standing, SubscriptionFacts,
    category::{CategoryReport, category_report},
    projecting::project,
    reporting::revenue_report,
};
use async_trait::async_trait;
use chrono::{DateTime, NaiveDate, TimeZone as _, Utc};
use chrono_tz::Tz;
use kernel::{
    AccountId, Actor, ActorKind, CategoryId, Currency, DomainError as _, ErrorKind, Money,
    Permission, RequestContext, Role, SessionId, SubscriptionId,
};
use ports::{AuditAction, AuditEntry, Envelope, Event};
use salus_tests::Database;
use sea_orm::ConnectionTrait as _;

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
    project(&database.pg, facts, envelope).await.unwrap();
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
    tx.audit(AuditEntry::new(AuditAction::Update, "analytics_projection", 1));
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

/// Submissions of one category by patients of their own: when each was
/// submitted and decided, and how. The rows are those of intake and care, as
/// far as figures read them.
async fn submissions(database: &Database, rows: &[(&str, Option<&str>, &str)]) -> CategoryId {
    let category: CategoryId = database.env.fresh();
    let mut sql = "BEGIN; SET LOCAL session_replication_role = replica;".to_owned();
    for (submitted, decided, how) in rows {
        let (response, patient) = (database.env.ids.uuid(), database.env.ids.uuid());
        sql += &format!(
            "INSERT INTO intake_responses VALUES \
             ('{response}', '{patient}', '{category}', '{patient}', '', '{submitted}');"
        );
        let Some(decided) = decided else { continue };
        let (outcome, review, rest) = match *how {
            "auto_approved" | "refused" => (*how, "not_needed", "NULL, NULL, NULL, NULL, NULL"),
            "waiting" => ("in_review", "waiting", "'2026-04-01', NULL, NULL, NULL, NULL"),
            "approved" => (
                "in_review",
                "approved",
                "'2026-04-01', gen_random_uuid(), @, gen_random_uuid(), NULL",
            ),
            _ => ("in_review", "rejected", "'2026-04-01', gen_random_uuid(), @, NULL, 'other'"),
        };
        let rest = rest.replace('@', &format!("'{decided}'"));
        sql += &format!(
            "INSERT INTO care_assessments (id, patient_id, category_id, response_id, state, \
             decided_at, outcome, reasons, trace, priority, review, version, due_at, \
             review_provider_id, reviewed_at, treatment_plan_id, rejection_reason) VALUES \
             ('{response}', '{patient}', '{category}', '{response}', 'TX', '{}', '{outcome}', \
             '', '', 0, '{review}', 1, {rest});",
            if review == "not_needed" { decided } else { submitted }
        );
    }
    database.superuser().await.execute_unprepared(&(sql + "COMMIT;")).await.unwrap();
    category
}

async fn march(database: &Database, category: CategoryId, minimum: u64) -> CategoryReport {
    let day = |day| NaiveDate::from_ymd_opt(2026, 3, day);
    let actor = analyst(&[Permission::AnalyticsRead]);
    let (env, pg, settings) = (&database.env, &database.pg, settings(minimum));
    category_report(env, pg, &settings, &actor, category, (day(1), day(31))).await.unwrap()
}

#[tokio::test]
async fn a_category_is_told_by_what_came_in_and_how_it_was_decided() {
    let database = Database::fresh().await;
    let category = submissions(
        &database,
        &[
            ("2026-03-10T10:00Z", Some("2026-03-10T10:00:10Z"), "auto_approved"),
            ("2026-03-10T10:00Z", Some("2026-03-10T12:00Z"), "approved"),
            ("2026-03-11T10:00Z", Some("2026-03-11T16:00Z"), "rejected"),
            ("2026-03-12T10:00Z", Some("2026-03-12T10:00:30Z"), "refused"),
            // Submitted before these days and decided within them.
            ("2026-02-27T10:00Z", Some("2026-03-01T10:00Z"), "approved"),
            // On the last evening of March in New York, and decided in April.
            ("2026-04-01T03:00Z", Some("2026-04-01T12:00Z"), "approved"),
            ("2026-03-20T10:00Z", Some("2026-03-20T10:00Z"), "waiting"),
            ("2026-03-21T10:00Z", None, ""),
        ],
    )
    .await;
    submissions(&database, &[("2026-03-10T10:00Z", Some("2026-03-10T10:00Z"), "refused")]).await;
    let report = march(&database, category, 1).await;
    assert_eq!(report.submissions, Cell::Shown { value: 7, people: 7 });
    let counts: Vec<_> =
        report.decisions.iter().map(|(how, cell)| (*how, cell.shown().unwrap().0)).collect();
    assert_eq!(
        counts,
        [
            (CategoryDecision::AutoApproved, 1),
            (CategoryDecision::Approved, 2),
            (CategoryDecision::Refused, 1),
            (CategoryDecision::Rejected, 1),
        ]
    );
    assert_eq!(report.approval_rate, Some(0.6));
    assert_eq!(report.median_to_decision, Some(chrono::TimeDelta::hours(2)));
    assert_eq!(report.cancellations, Cell::Shown { value: 0, people: 0 });
    // Of too few people nothing is told, neither the rate nor the time.
    let few = march(&database, category, 11).await;
    assert_eq!((few.submissions, few.approval_rate), (Cell::Withheld, None));
    assert_eq!(few.median_to_decision, None);
}

#[tokio::test]
async fn a_category_is_told_by_its_running_and_its_canceled_subscriptions() {
    let database = Database::fresh().await;
    let (category, other): (CategoryId, CategoryId) = (database.env.fresh(), database.env.fresh());
    for (category, minor, months) in [(category, 30_000, 3), (category, 2_000, 1), (other, 900, 1)]
    {
        let position = position(&database, category, minor, months);
        let facts = Subscriptions(Mutex::new(position.clone()));
        handle(&database, &facts, &activated(&database, &position)).await;
    }
    let mut sql = "BEGIN; SET LOCAL session_replication_role = replica;".to_owned();
    for (ended, begun) in
        [("2026-03-05T12:00Z", true), ("2026-03-06T12:00Z", false), ("2026-05-01T12:00Z", true)]
    {
        let (id, patient) = (database.env.ids.uuid(), database.env.ids.uuid());
        sql += &format!(
            "INSERT INTO subscriptions (id, patient_id, category_id, assessment_id, plan_id, \
             price_id, price_version, plan_name, tier, amount_minor, currency, interval_months, \
             features, zone, anchor_day, consent_terms_version, consent_amount_minor, \
             consent_currency, consent_interval_months, consent_accepted_at, state, state_since, \
             period_index, period_start, period_end, cancel_at_period_end, created_at, version) \
             VALUES ('{id}', '{patient}', '{category}', '{id}', '{id}', '{id}', 1, 'Plan', \
             'basic', 1, 'USD', 1, '[]', 'UTC', '2026-01-01', '1', 1, 'USD', 1, '2026-01-01', \
             'canceled', '{ended}', 0, '2026-01-01', '2026-02-01', false, '2026-01-01', 1);"
        );
        let word = if begun { "active" } else { "pending" };
        sql += &format!(
            "INSERT INTO subscription_changes (subscription_id, patient_id, changed_at, to_state, \
             reason, period_index, actor_kind) VALUES ('{id}', '{patient}', '2026-01-01', \
             '{word}', 'started', 0, 'system');"
        );
    }
    database.superuser().await.execute_unprepared(&(sql + "COMMIT;")).await.unwrap();

    let report = march(&database, category, 1).await;
    assert_eq!(report.cancellations, Cell::Shown { value: 1, people: 1 });
    let shown = Cell::Shown { value: Money::usd(12_000), people: 2 };
    assert_eq!(report.monthly_recurring, [(Currency::Usd, shown)]);
    let nobody = category_report(
        &database.env,
        &database.pg,
        &settings(1),
        &analyst(&[]),
        category,
        (None, None),
    )
    .await;
    assert_eq!(nobody.unwrap_err().kind(), ErrorKind::Forbidden);
}
