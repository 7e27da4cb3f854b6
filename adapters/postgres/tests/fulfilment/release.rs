//! Fills are released one by one, and never while the patient still has enough.

use super::*;

async fn release(database: &Arc<Database>, number: u128) {
    for _ in 0..2 {
        look(database, number).await;
    }
}

/// When the job that looks at the fills again is to run, in hours from now.
pub(super) async fn looked_at_again_in(database: &Database) -> Vec<i64> {
    let sql = "SELECT run_at FROM graphile_worker.jobs WHERE key LIKE 'pharmacy.release_fills:%'";
    let statement = Statement::from_string(DbBackend::Postgres, sql);
    let rows = database.superuser().await.query_all_raw(statement).await.unwrap();
    rows.iter()
        .map(|row| row.try_get_by_index::<DateTime<Utc>>(0).unwrap())
        .map(|at| (at - database.env.now()).num_hours())
        .collect()
}

/// Ships whatever is reserved.
async fn ship(database: &Arc<Database>, carrier: &Carrier) -> usize {
    let reserved = dispatches(database, Some(DispatchState::Reserved)).await;
    for dispatch in &reserved {
        label(database, carrier, dispatch.id).await.unwrap();
    }
    reserved.len()
}

#[tokio::test]
async fn six_invoices_at_once_are_one_fill_and_the_next_waits_for_its_day() {
    let database = stocked(300).await;
    let carrier = Carrier::new(Mood::Obliging);
    prescription(&database, 1, 30).await;
    for _ in 0..6 {
        paid(&database, 1, database.env.fresh()).await.unwrap();
    }
    assert_eq!(ship(&database, &carrier).await, 1);
    release(&database, 1).await;
    assert_eq!(due(&database).await.unwrap(), []);
    assert_eq!(looked_at_again_in(&database).await, [24 * 24]);

    database.clock.advance(TimeDelta::days(24) - TimeDelta::seconds(1));
    release(&database, 1).await;
    assert!(dispatches(&database, None).await.is_empty(), "a second too soon");
    database.clock.advance(TimeDelta::seconds(1));
    release(&database, 1).await;
    let due = dispatches(&database, Some(DispatchState::Reserved)).await;
    assert_eq!(due.iter().map(|each| each.fill_number).collect::<Vec<_>>(), [2]);
}

#[tokio::test]
async fn another_prescription_of_the_same_drug_does_not_get_round_it() {
    let database = stocked(300).await;
    let carrier = Carrier::new(Mood::Obliging);
    prescription(&database, 1, 30).await;
    paid(&database, 1, database.env.fresh()).await.unwrap();
    assert_eq!(ship(&database, &carrier).await, 1);
    let second = prescription(&database, 1, 30).await;
    told(&database, 1, second, PrescriptionStatusWord::Active).await.unwrap();
    paid(&database, 1, database.env.fresh()).await.unwrap();
    assert!(dispatches(&database, None).await.is_empty());
    // Somebody else has had none of it.
    prescription(&database, 2, 30).await;
    paid(&database, 2, database.env.fresh()).await.unwrap();
    assert_eq!(ship(&database, &carrier).await, 1);
}

#[tokio::test]
async fn what_waits_for_stock_counts_from_the_day_on_which_it_leaves() {
    let database = stocked(0).await;
    let carrier = Carrier::new(Mood::Obliging);
    prescription(&database, 1, 30).await;
    for _ in 0..2 {
        paid(&database, 1, database.env.fresh()).await.unwrap();
    }
    database.clock.advance(TimeDelta::days(20));
    restock(&database, 300).await;
    assert_eq!(ship(&database, &carrier).await, 1);
    database.clock.advance(TimeDelta::days(4));
    release(&database, 1).await;
    assert!(dispatches(&database, None).await.is_empty(), "it left four days ago");
    assert_eq!(looked_at_again_in(&database).await, [20 * 24]);
    database.clock.advance(TimeDelta::days(20));
    release(&database, 1).await;
    assert_eq!(ship(&database, &carrier).await, 1);
}

#[tokio::test]
async fn a_quarter_that_is_paid_at_once_is_released_month_by_month() {
    let database = stocked(300).await;
    let carrier = Carrier::new(Mood::Obliging);
    prescription(&database, 1, 30).await;
    let invoice = database.env.fresh();
    for _ in 0..2 {
        paid_for(&database, 1, invoice, 3).await.unwrap();
    }
    assert_eq!(count(&database, "SELECT count(*) FROM paid_fills").await, 3);
    assert_eq!(ship(&database, &carrier).await, 1);
    // The supply would allow it on day 24; the second month has not begun.
    database.clock.advance(TimeDelta::days(26));
    release(&database, 1).await;
    assert_eq!(ship(&database, &carrier).await, 0);
    database.clock.advance(TimeDelta::days(6));
    release(&database, 1).await;
    assert_eq!(ship(&database, &carrier).await, 1);
    // The prescription allows two fills; the third waits for the next one.
    database.clock.advance(TimeDelta::days(32));
    release(&database, 1).await;
    assert_eq!(ship(&database, &carrier).await, 0);
    let next = prescription(&database, 1, 30).await;
    told(&database, 1, next, PrescriptionStatusWord::Active).await.unwrap();
    assert_eq!(ship(&database, &carrier).await, 1);
    let shipped = dispatches(&database, Some(DispatchState::Shipped)).await;
    let fills: BTreeSet<u32> = shipped.iter().map(|each| each.paid_fill).collect();
    assert_eq!(fills, BTreeSet::from([1, 2, 3]));
    assert!(shipped.iter().all(|each| each.invoice == invoice));
}
