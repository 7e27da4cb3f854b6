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
    let mut dispatch = waiting();
    let allocation = Allocation { lot: id::<InventoryLotId>(8), quantity: 30 };
    dispatch.reserve(vec![allocation], now()).unwrap();
    dispatch
}

fn labelling() -> Dispatch {
    let mut dispatch = reserved();
    dispatch.label(id(9), now()).unwrap();
    dispatch
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
    let mut dispatch = reserved();
    dispatch.pick(now()).unwrap();
    dispatch.label(id(9), now()).unwrap();
    dispatch.ship(now()).unwrap();
    assert!(!dispatch.state.is_open());
    for state in [DispatchState::Delivered, DispatchState::Returned] {
        dispatch.track(state, now());
        assert_eq!(dispatch.state, state);
    }
}

#[test]
fn it_cannot_be_shipped_without_a_label_nor_twice() {
    assert!(reserved().ship(now()).is_err());
    let mut shipped = labelling();
    shipped.ship(now()).unwrap();
    assert!(shipped.ship(now()).is_err());
    assert!(shipped.label(id(9), now()).is_err());
}

#[test]
fn canceling_gives_the_units_back_but_not_once_the_carrier_may_know() {
    let mut cancelled = reserved();
    let released = cancelled.cancel(now()).unwrap();
    assert_eq!((cancelled.state, released.len()), (DispatchState::Cancelled, 1));
    assert!(cancelled.allocations.is_empty());
    let mut held = labelling();
    assert!(held.cancel(now()).is_err());
    held.hold(HoldReason::CarrierRefused, now()).unwrap();
    assert_eq!(held.shipment, None);
    assert!(held.cancel(now()).is_ok());
    let mut held = reserved();
    held.hold(HoldReason::NoDeliveryAddress, now()).unwrap();
    assert!(held.clone().cancel(now()).is_ok());
    held.resume(now()).unwrap();
    assert_eq!(held.hold_reason, None);
}

#[test]
fn a_tracker_does_not_move_what_has_not_left() {
    let mut same = reserved();
    same.track(DispatchState::Delivered, now());
    assert_eq!(same.state, DispatchState::Reserved);
}
