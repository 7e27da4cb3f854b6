use chrono::TimeDelta;
use kernel::{Address, HumanName, Money, UsState, Uuid};
use proptest::prelude::*;

use super::*;

fn id<T: From<Uuid>>(value: u128) -> T {
    T::from(Uuid::from_u128(value))
}

fn at(minutes: i64) -> DateTime<Utc> {
    "2026-11-21T12:00:00Z".parse::<DateTime<Utc>>().unwrap() + TimeDelta::minutes(minutes)
}

fn shipment() -> Shipment {
    let label = Label {
        id: "pl_1".into(),
        url: "https://labels.example/pl_1.png".into(),
        carrier: "USPS".into(),
        service: "GroundAdvantage".into(),
        tracking_number: "9400100000000000000001".into(),
        tracker_id: "trk_1".into(),
        cost: Money::usd(612),
    };
    Shipment {
        id: id(1),
        dispatch: id(2),
        prescription: id(3),
        patient: id(4),
        recipient: DeliveryAddress {
            name: HumanName { given: "Ada".into(), family: "Example".into() },
            address: Address {
                line1: "1 Main Street".into(),
                line2: None,
                city: "Boston".into(),
                state: UsState::Ma,
                postal_code: "02108".into(),
            },
            phone: None,
        },
        carrier_shipment: Some("shp_1".into()),
        label: Some(label),
        status: TrackingStatus::Unknown,
        status_at: None,
        confirmed_at: None,
        created_at: at(0),
        shipped_at: Some(at(0)),
        version: 1,
    }
}

fn update(status: TrackingStatus, minutes: i64) -> TrackingUpdate {
    TrackingUpdate { status, at: at(minutes) }
}

#[test]
fn a_late_statement_never_moves_a_delivered_box_back() {
    let mut box_ = shipment();
    assert!(box_.track(update(TrackingStatus::Delivered, 60)));
    assert!(!box_.track(update(TrackingStatus::InTransit, 30)));
    assert!(!box_.track(update(TrackingStatus::InTransit, 90)));
    assert_eq!(box_.status, TrackingStatus::Delivered);
    assert_eq!(box_.status_at, Some(at(60)));
}

#[test]
fn a_second_attempt_at_delivery_is_no_step_back() {
    let mut box_ = shipment();
    box_.track(update(TrackingStatus::OutForDelivery, 60));
    assert!(box_.track(update(TrackingStatus::InTransit, 600)));
    assert!(!box_.track(update(TrackingStatus::OutForDelivery, 60)));
    assert_eq!(box_.status, TrackingStatus::InTransit);
}

#[test]
fn a_returned_box_that_arrives_at_the_sender_was_not_delivered() {
    let mut box_ = shipment();
    box_.track(update(TrackingStatus::ReturnToSender, 60));
    assert!(!box_.track(update(TrackingStatus::Delivered, 900)));
    assert_eq!(box_.dispatch_state(), Some(DispatchState::Returned));
    assert!(box_.confirm(at(1000)).is_err());
}

#[test]
fn the_same_status_again_only_moves_its_time() {
    let mut box_ = shipment();
    assert!(box_.track(update(TrackingStatus::InTransit, 10)));
    assert!(!box_.track(update(TrackingStatus::InTransit, 20)));
    assert_eq!(box_.status_at, Some(at(20)));
}

#[test]
fn confirming_delivers_once() {
    let mut confirmed = shipment();
    confirmed.confirm(at(100)).unwrap();
    assert_eq!(confirmed.status, TrackingStatus::Delivered);
    let mut again = confirmed.clone();
    again.confirm(at(200)).unwrap();
    assert_eq!(again, confirmed);
    let mut unlabelled = Shipment { label: None, ..shipment() };
    assert!(unlabelled.confirm(at(100)).is_err());
}

fn statuses() -> impl Strategy<Value = TrackingStatus> {
    prop::sample::select(vec![
        TrackingStatus::PreTransit,
        TrackingStatus::InTransit,
        TrackingStatus::OutForDelivery,
        TrackingStatus::AvailableForPickup,
        TrackingStatus::Delivered,
        TrackingStatus::ReturnToSender,
        TrackingStatus::Failure,
        TrackingStatus::Cancelled,
        TrackingStatus::Error,
    ])
}

proptest! {
    #[test]
    fn the_order_of_arrival_does_not_matter(
        (updates, shuffled) in prop::collection::vec((statuses(), 0i64..50), 1..12)
            .prop_flat_map(|updates| (Just(updates.clone()), Just(updates).prop_shuffle())),
    ) {
        let settle = |updates: &[(TrackingStatus, i64)]| {
            let mut box_ = shipment();
            for (status, minutes) in updates {
                box_.track(update(*status, *minutes));
                // Every webhook comes twice.
                box_.track(update(*status, *minutes));
            }
            box_
        };
        prop_assert_eq!(settle(&updates), settle(&shuffled));
    }
}
