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
    assert!(matches!(nobody, Err(PharmacyError::NotFound(_))), "{nobody:?}");
}
