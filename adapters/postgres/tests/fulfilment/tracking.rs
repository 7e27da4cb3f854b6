//! What carriers report of a parcel.

use super::*;

#[tokio::test]
async fn webhooks_count_once_and_in_the_carriers_own_order() {
    let database = stocked(60).await;
    let carrier = Carrier::new(Mood::Obliging);
    let dispatch = reserved(&database, 1).await;
    label(&database, &carrier, dispatch).await.unwrap();
    let shipment = shipments(&database, 1).await.remove(0);
    let take = async |event| receive(&database.env, &database.pg, event).await.unwrap();
    let delivered = event("evt_2", &shipment, TrackingStatus::Delivered, 60);
    assert_eq!(take(delivered.clone()).await, Received::Applied);
    assert_eq!(take(delivered).await, Received::Repeated);
    let late = event("evt_1", &shipment, TrackingStatus::InTransit, 30);
    assert_eq!(take(late).await, Received::Applied);
    let now = shipments(&database, 1).await.remove(0);
    assert_eq!((now.status, now.status_at), (TrackingStatus::Delivered, Some(minute(60))));
    assert_eq!(dispatches(&database, Some(DispatchState::Delivered)).await.len(), 1);
    let found = by_tracking_number(&database.pg, &patient(1), "94001").await.unwrap();
    let said: Vec<TrackingStatus> = found.history.iter().map(|each| each.status).collect();
    assert_eq!(said, [TrackingStatus::InTransit, TrackingStatus::Delivered]);
    let events = "SELECT count(*) FROM outbox_events WHERE kind = 'shipment_changed'";
    assert_eq!(count(&database, events).await, 2);
}

#[tokio::test]
async fn an_event_before_its_label_is_stored_counts_when_it_comes_again() {
    let database = stocked(60).await;
    let carrier = Carrier::new(Mood::Obliging);
    let dispatch = reserved(&database, 1).await;
    let early = CarrierEvent { id: "evt_1".into(), tracker: Some(state("trk_unknown", &[])) };
    for _ in 0..2 {
        let received = receive(&database.env, &database.pg, early.clone()).await.unwrap();
        assert_eq!(received, Received::NotOurs);
    }
    label(&database, &carrier, dispatch).await.unwrap();
    let shipment = shipments(&database, 1).await.remove(0);
    let again = event("evt_1", &shipment, TrackingStatus::InTransit, 5);
    let received = receive(&database.env, &database.pg, again).await.unwrap();
    assert_eq!(received, Received::Applied);
}

#[tokio::test]
async fn a_lost_webhook_is_made_good_by_reading_the_tracker() {
    let database = stocked(60).await;
    let carrier = Carrier::new(Mood::Obliging);
    let dispatch = reserved(&database, 1).await;
    label(&database, &carrier, dispatch).await.unwrap();
    let shipment = shipments(&database, 1).await.remove(0);
    let waiting = "SELECT count(*) FROM graphile_worker.jobs \
         WHERE key LIKE 'pharmacy.refresh_tracking:%'";
    assert_eq!(count(&database, waiting).await, 1);
    *carrier.tracking.lock().unwrap() = vec![
        TrackingUpdate { status: TrackingStatus::PreTransit, at: minute(1) },
        TrackingUpdate { status: TrackingStatus::OutForDelivery, at: minute(9) },
    ];
    let job = RefreshTracking { shipment: shipment.id };
    for _ in 0..2 {
        refresh_tracking(&database.env, &database.pg, &carrier, job).await.unwrap();
    }
    let now = shipments(&database, 1).await.remove(0);
    assert_eq!(now.status, TrackingStatus::OutForDelivery);
    let events = "SELECT count(*) FROM outbox_events WHERE kind = 'shipment_changed'";
    assert_eq!(count(&database, events).await, 2);
}

#[tokio::test]
async fn a_tracking_number_that_comes_again_belongs_to_each_ones_own_box() {
    let database = stocked(90).await;
    let carrier = Carrier::new(Mood::Obliging);
    for number in [1, 2] {
        let dispatch = reserved(&database, number).await;
        label(&database, &carrier, dispatch).await.unwrap();
    }
    let (one, two) = (shipments(&database, 1).await.remove(0), shipments(&database, 2).await);
    let event = event("evt_1", &one, TrackingStatus::Delivered, 5);
    receive(&database.env, &database.pg, event).await.unwrap();
    let found = by_tracking_number(&database.pg, &patient(2), "94001").await.unwrap();
    assert_eq!(found.shipment.id, two[0].id);
    assert_eq!(found.shipment.status, TrackingStatus::Unknown);
    let nobody = by_tracking_number(&database.pg, &patient(3), "94001").await;
    assert!(nobody.is_err_and(is_missing));
}

/// How often the outbox tells that a parcel is astray.
async fn told_astray(database: &Database) -> i64 {
    count(database, "SELECT count(*) FROM outbox_events WHERE kind = 'parcel_astray'").await
}

#[tokio::test]
async fn a_parcel_that_does_not_arrive_is_told_of_and_holds_the_next_fill_until_a_decision() {
    let database = stocked(300).await;
    let around = super::holds::around(&database);
    let carrier = Carrier::new(Mood::Obliging);
    let dispatch = reserved(&database, 1).await;
    label(&database, &carrier, dispatch).await.unwrap();
    super::holds::treats(&database, DOCTOR, 1).await;
    let shipment = shipments(&database, 1).await.remove(0);
    let take = async |id: &str, status, minutes| {
        let event = event(id, &shipment, status, minutes);
        assert_eq!(receive(&database.env, &database.pg, event).await.unwrap(), Received::Applied);
    };
    take("evt_1", TrackingStatus::InTransit, 10).await;
    assert_eq!(told_astray(&database).await, 0);
    take("evt_2", TrackingStatus::Failure, 20).await;
    take("evt_3", TrackingStatus::Failure, 30).await;
    assert_eq!(told_astray(&database).await, 1, "the same news");
    take("evt_4", TrackingStatus::ReturnToSender, 40).await;
    assert_eq!(told_astray(&database).await, 2);

    // What went back is no supply, so the next fill need not wait for it to be used up.
    paid(&database, 1, database.env.fresh()).await.unwrap();
    assert!(dispatches(&database, Some(DispatchState::Reserved)).await.is_empty());
    let hold = around.held().await.remove(0);
    let keys: Vec<String> = hold.grounds.iter().map(|ground| ground.key.clone()).collect();
    assert_eq!(keys, [format!("parcel_astray:{}:return_to_sender", shipment.id)]);
    // The pharmacy need not be phoned for it.
    let phoned = "SELECT count(*) FROM outbox_events WHERE kind = 'pharmacy_to_be_told'";
    assert_eq!(count(&database, phoned).await, 0);
    around.release(hold.id, &keys).await.unwrap();
    look(&database, 1).await;
    assert_eq!(dispatches(&database, Some(DispatchState::Reserved)).await.len(), 1);
    assert!(around.held().await.is_empty());
}

#[tokio::test]
async fn a_parcel_that_arrives_after_all_a_voided_label_and_a_refused_one_hold_nothing() {
    let database = stocked(300).await;
    let carrier = Carrier::new(Mood::Obliging);
    for number in [1, 2] {
        let dispatch = reserved(&database, number).await;
        label(&database, &carrier, dispatch).await.unwrap();
    }
    let one = shipments(&database, 1).await.remove(0);
    for (id, status, at) in
        [("evt_1", TrackingStatus::Error, 10), ("evt_2", TrackingStatus::Delivered, 20)]
    {
        receive(&database.env, &database.pg, event(id, &one, status, at)).await.unwrap();
    }
    assert_eq!(told_astray(&database).await, 1);

    // The other box has not left: its label was voided.
    let two = shipments(&database, 2).await.remove(0);
    let held = format!(
        "UPDATE dispatches SET state = 'on_hold', hold_reason = 'fill_held' WHERE id = '{}'",
        two.dispatch
    );
    database.superuser().await.execute_unprepared(&held).await.unwrap();
    let voided = event("evt_3", &two, TrackingStatus::Cancelled, 10);
    receive(&database.env, &database.pg, voided).await.unwrap();
    assert_eq!(told_astray(&database).await, 1);

    // The carrier refused the first attempt for a third box, which left later.
    let refusing = Carrier::new(Mood::Refuses);
    let third = reserved(&database, 3).await;
    label(&database, &refusing, third).await.unwrap();
    order(&database.env, &database.pg, &pharmacist(), third, DispatchOrder::Resume).await.unwrap();
    label(&database, &carrier, third).await.unwrap();
    let refused = "SELECT count(*) FROM shipments WHERE status = 'cancelled' AND label_id IS NULL";
    assert_eq!(count(&database, refused).await, 1);

    database.clock.advance(TimeDelta::days(31));
    for number in [1, 2, 3] {
        paid(&database, number, database.env.fresh()).await.unwrap();
    }
    let due = dispatches(&database, Some(DispatchState::Reserved)).await;
    for number in [1, 3] {
        assert!(due.iter().any(|one| one.patient == patient_id(number)), "{number}: {due:?}");
    }
    assert!(super::holds::around(&database).held().await.is_empty());
}
