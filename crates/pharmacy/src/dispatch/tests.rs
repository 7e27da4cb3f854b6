use kernel::{InventoryLotId, SubscriptionId, Uuid};

use super::*;

fn id<T: From<Uuid>>(value: u128) -> T {
    T::from(Uuid::from_u128(value))
}

fn now() -> DateTime<Utc> {
    "2026-11-21T12:00:00Z".parse().unwrap()
}

fn paid() -> PaidFill {
    PaidFill {
        invoice: id(1),
        subscription: id::<SubscriptionId>(2),
        patient: id(3),
        category: id(4),
        paid_at: now(),
        number: 1,
        scheduled_for: now(),
        due_at: now(),
    }
}

fn fillable(fills_allowed: u32) -> Fillable {
    Fillable {
        prescription: id(5),
        pharmacy: id(6),
        ndc: "00093736501".parse().unwrap(),
        quantity: 30,
        fills_allowed,
        days_supply: 30,
    }
}

fn waiting() -> Dispatch {
    Dispatch::next(id(7), &paid(), &fillable(3), &[], now()).unwrap()
}

fn reserved() -> Dispatch {
    let allocation = Allocation { lot: id::<InventoryLotId>(8), quantity: 30 };
    waiting().reserved(vec![allocation], now()).unwrap()
}

#[test]
fn a_fill_takes_the_lowest_free_number_and_none_beyond_the_refills() {
    let next = |taken: &[u32]| {
        Dispatch::next(id(7), &paid(), &fillable(3), taken, now())
            .map(|dispatch| dispatch.fill_number)
    };
    assert_eq!(next(&[]), Some(1));
    assert_eq!(next(&[1]), Some(2));
    assert_eq!(next(&[1, 3]), Some(2));
    assert_eq!(next(&[1, 2, 3]), None);
}

#[test]
fn a_supply_for_three_months_serves_three_paid_fills_of_its_own_invoice() {
    let long = Fillable { days_supply: 90, ..fillable(3) };
    let dispatch = Dispatch::next(id(7), &paid(), &long, &[], now()).unwrap();
    let fill = |invoice, number| PaidFill { invoice: id(invoice), number, ..paid() };
    let served: Vec<u32> = (1..=5).filter(|number| dispatch.serves(&fill(1, *number))).collect();
    assert_eq!(served, [1, 2, 3]);
    assert!(!dispatch.serves(&fill(2, 1)));
}

#[test]
fn the_way_from_the_shelf_to_the_door() {
    let shipped = reserved()
        .picked(now())
        .and_then(|d| d.labelling(id(9), now()))
        .and_then(|d| d.shipped(now()))
        .unwrap();
    assert!(!shipped.state.is_open());
    let delivered = shipped.tracked(DispatchState::Delivered, now());
    assert_eq!(delivered.state, DispatchState::Delivered);
    assert_eq!(delivered.tracked(DispatchState::Returned, now()).state, DispatchState::Returned);
}

#[test]
fn it_cannot_be_shipped_without_a_label_nor_twice() {
    assert!(reserved().shipped(now()).is_err());
    let shipped = reserved().labelling(id(9), now()).unwrap().shipped(now()).unwrap();
    assert!(shipped.clone().shipped(now()).is_err());
    assert!(shipped.labelling(id(9), now()).is_err());
}

#[test]
fn canceling_gives_the_units_back_but_not_once_the_carrier_may_know() {
    let (cancelled, released) = reserved().cancelled(now()).unwrap();
    assert_eq!((cancelled.state, released.len()), (DispatchState::Cancelled, 1));
    assert!(cancelled.allocations.is_empty());
    let labelling = reserved().labelling(id(9), now()).unwrap();
    assert!(labelling.clone().cancelled(now()).is_err());
    let held = labelling.on_hold(HoldReason::CarrierRefused, now()).unwrap();
    assert_eq!(held.shipment, None);
    assert!(held.cancelled(now()).is_ok());
    let held = reserved().on_hold(HoldReason::NoDeliveryAddress, now()).unwrap();
    assert!(held.clone().cancelled(now()).is_ok());
    assert_eq!(held.resumed(now()).unwrap().hold_reason, None);
}

#[test]
fn a_tracker_does_not_move_what_has_not_left() {
    let same = reserved().tracked(DispatchState::Delivered, now());
    assert_eq!(same.state, DispatchState::Reserved);
}
