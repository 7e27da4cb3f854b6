//! What is stopped is not sold, and what was missed is not charged unasked.

use kernel::PageRequest;
use subscriptions::missed::{MissedDecision, MissedPeriod, decide, list};

use super::*;

fn staff() -> Actor {
    let mut actor = patient(0x57aff);
    actor.permissions =
        Arc::new(BTreeSet::from([Permission::SubscriptionReadAny, Permission::BillingAdminister]));
    if let ActorKind::Account { roles, .. } = &mut actor.kind {
        *roles = Arc::new(BTreeSet::from([Role::Admin]));
    }
    actor
}

async fn started_periods(database: &Database) -> i64 {
    let sql = "SELECT count(*) FROM outbox_events WHERE kind = 'subscription_period_started'";
    let statement = Statement::from_string(DbBackend::Postgres, sql);
    let row = database.superuser().await.query_one_raw(statement).await.unwrap().unwrap();
    row.try_get_by_index(0).unwrap()
}

async fn waiting(database: &Database) -> Vec<MissedPeriod> {
    list(&database.pg, &staff(), &PageRequest::default()).await.unwrap().items
}

async fn active(database: &Database) -> Subscription {
    let bought = begin(database, &WILLING, &patient(1), "buy").await.unwrap();
    pay(database, bought.id, database.env.fresh()).await;
    bought
}

#[tokio::test]
async fn nothing_is_sold_while_the_treatment_is_stopped_or_nothing_can_pay() {
    let database = Database::fresh().await;
    let stopped = Others { stopped: true, ..WILLING };
    let refused = begin(&database, &stopped, &patient(1), "buy").await.unwrap_err();
    assert_eq!(refused.code(), "subscriptions.treatment_stopped");
    assert_eq!(refused.kind(), ErrorKind::Conflict);
    let poor = Others { can_pay: false, ..WILLING };
    let refused = begin(&database, &poor, &patient(1), "buy").await.unwrap_err();
    assert_eq!(refused.code(), "subscriptions.no_payment_method");
    assert_eq!(refused.kind(), ErrorKind::Conflict);
    // The key was not used up by it.
    begin(&database, &WILLING, &patient(1), "buy").await.unwrap();
}

#[tokio::test]
async fn nine_missed_months_are_one_renewal_and_eight_decisions() {
    let database = Database::fresh().await;
    let bought = active(&database).await;
    database.clock.advance(TimeDelta::days(9 * 31));
    let job = RenewSubscription { subscription: bought.id, period_index: 1 };
    for _ in 0..3 {
        renew(&database.env, &database.pg, &WILLING, job.clone()).await.unwrap();
    }
    assert_eq!(started_periods(&database).await, 1, "the current period alone is billed");
    let now = manage::read(&database.pg, &patient(1), bought.id).await.unwrap();
    assert!(now.period.contains(database.env.now()));
    let missed = waiting(&database).await;
    let indexes: Vec<u32> = missed.iter().map(|one| one.period.index).collect();
    assert_eq!(indexes, (1..now.period.index).collect::<Vec<_>>());
    assert_eq!(missed[0].period.start, bought.period.end);
    let (mut walked, mut cursor) = (Vec::new(), None);
    loop {
        let page = PageRequest::new(Some(3), cursor);
        let found = list(&database.pg, &staff(), &page).await.unwrap();
        walked.extend(found.items);
        cursor = found.next;
        if cursor.is_none() {
            break;
        }
    }
    assert_eq!(walked, missed, "page by page they are the same");
    // A patient sees nothing of it.
    let denied = list(&database.pg, &patient(1), &PageRequest::default()).await;
    assert!(matches!(denied, Err(SubscriptionError::Forbidden(_))));

    let env = &database.env;
    let settle = async |index: u32, decision, reason: &str, others: &Others| {
        let about = (bought.id, index);
        decide(env, &database.pg, others, &staff(), about, (decision, reason)).await
    };
    let reason = "Nothing was sent in the outage.";
    assert!(settle(1, MissedDecision::Waived, "no", &WILLING).await.is_err());
    settle(1, MissedDecision::Waived, reason, &WILLING).await.unwrap();
    let again = settle(1, MissedDecision::Charged, reason, &WILLING).await.unwrap_err();
    assert_eq!(again.code(), "subscriptions.already_decided");
    assert_eq!(started_periods(&database).await, 1);
    // What cannot be sent is not charged either.
    let used_up = Others { supply: Supply::NoFillLeft, ..WILLING };
    let refused = settle(2, MissedDecision::Charged, reason, &used_up).await.unwrap_err();
    assert_eq!(refused.code(), "subscriptions.no_fill_left");
    let charged = settle(2, MissedDecision::Charged, reason, &WILLING).await.unwrap();
    assert_eq!(charged.decided.unwrap().reason, reason);
    assert_eq!(started_periods(&database).await, 2);
    assert_eq!(waiting(&database).await.len(), missed.len() - 2);
    for nowhere in [99, u32::MAX] {
        let unknown = settle(nowhere, MissedDecision::Waived, reason, &WILLING).await.unwrap_err();
        assert_eq!(unknown.code(), "subscriptions.not_found");
    }
}

#[tokio::test]
async fn a_renewal_waits_while_the_treatment_is_stopped() {
    let database = Database::fresh().await;
    let bought = active(&database).await;
    database.clock.set(bought.period.end);
    let job = RenewSubscription { subscription: bought.id, period_index: 1 };
    let stopped = Others { stopped: true, ..WILLING };
    renew(&database.env, &database.pg, &stopped, job.clone()).await.unwrap();
    assert_eq!(started_periods(&database).await, 0);
    let sql = "SELECT run_at FROM graphile_worker.jobs WHERE key LIKE '%subscriptions.renew/%'";
    let statement = Statement::from_string(DbBackend::Postgres, sql);
    let row = database.superuser().await.query_one_raw(statement).await.unwrap().unwrap();
    let at: DateTime<Utc> = row.try_get_by_index(0).unwrap();
    assert_eq!(at - database.env.now(), TimeDelta::hours(6));
    renew(&database.env, &database.pg, &WILLING, job).await.unwrap();
    assert_eq!(started_periods(&database).await, 1);
    assert!(waiting(&database).await.is_empty());
}
