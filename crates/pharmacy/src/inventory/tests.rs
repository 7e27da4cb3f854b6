use chrono::TimeDelta;
use kernel::Uuid;
use proptest::prelude::*;

use super::*;

fn today() -> NaiveDate {
    NaiveDate::from_ymd_opt(2026, 11, 21).unwrap()
}

fn now() -> DateTime<Utc> {
    "2026-11-21T12:00:00Z".parse().unwrap()
}

fn lot(id: u128, days: i64, on_hand: i64) -> Lot {
    Lot {
        id: InventoryLotId(Uuid::from_u128(id)),
        number: format!("L{id}"),
        expires_on: today() + TimeDelta::days(days),
        on_hand,
        reserved: 0,
        received_at: now(),
    }
}

fn stock(lots: Vec<Lot>) -> Stock {
    let mut stock = Stock::empty(PharmacyId(Uuid::from_u128(9)), "00093736501".parse().unwrap());
    stock.lots = lots;
    stock
}

fn receipt() -> Receipt {
    Receipt {
        pharmacy: PharmacyId(Uuid::from_u128(9)),
        ndc: "00093736501".parse().unwrap(),
        lot_number: "A1".into(),
        expires_on: today() + TimeDelta::days(400),
        quantity: 30,
        reorder_level: Some(10),
    }
}

#[test]
fn the_lot_that_expires_first_goes_first_and_a_fill_may_span_lots() {
    let mut stock = stock(vec![lot(1, 300, 20), lot(2, 100, 20)]);
    let taken = stock.reserve(30, today()).unwrap();
    let id = |value| InventoryLotId(Uuid::from_u128(value));
    assert_eq!(
        taken,
        [Allocation { lot: id(2), quantity: 20 }, Allocation { lot: id(1), quantity: 10 }]
    );
    assert_eq!(stock.available(today()), 10);
}

#[test]
fn a_lot_close_to_its_expiry_is_not_sent() {
    let mut stock = stock(vec![lot(1, SHELF_LIFE_DAYS - 1, 50), lot(2, SHELF_LIFE_DAYS, 5)]);
    assert_eq!(stock.reserve(6, today()), Err(Shortage { wanted: 6, available: 5 }));
    assert!(stock.reserve(5, today()).is_ok());
}

#[test]
fn too_little_reserves_nothing() {
    let mut stock = stock(vec![lot(1, 300, 20)]);
    let before = stock.clone();
    assert!(stock.reserve(21, today()).is_err());
    assert!(stock.reserve(0, today()).is_err());
    assert_eq!(stock, before);
}

#[test]
fn what_was_never_reserved_cannot_leave() {
    let mut stock = stock(vec![lot(1, 300, 20)]);
    let allocation = Allocation { lot: stock.lots[0].id, quantity: 1 };
    assert!(stock.consume(&[allocation]).is_err());
    assert!(stock.release(&[allocation]).is_err());
}

#[test]
fn more_of_a_lot_is_added_to_it_but_not_with_another_expiry() {
    let mut stock = stock(Vec::new());
    let first = stock.receive(&receipt(), InventoryLotId(Uuid::from_u128(1)), now()).unwrap();
    let again = stock.receive(&receipt(), InventoryLotId(Uuid::from_u128(2)), now()).unwrap();
    assert_eq!((first, stock.on_hand(), stock.lots.len()), (again, 60, 1));
    let other = Receipt { expires_on: today() + TimeDelta::days(401), ..receipt() };
    assert!(stock.receive(&other, InventoryLotId(Uuid::from_u128(3)), now()).is_err());
}

#[test]
fn a_bad_receipt_names_every_field_at_fault() {
    let bad = Receipt {
        lot_number: " ".into(),
        quantity: 0,
        expires_on: today(),
        reorder_level: Some(-1),
        ..receipt()
    };
    let error =
        stock(Vec::new()).receive(&bad, InventoryLotId(Uuid::from_u128(1)), now()).unwrap_err();
    let PharmacyError::Invalid(fields) = error else { panic!("{error}") };
    let paths: Vec<&str> = fields.iter().map(|field| field.path.as_str()).collect();
    assert_eq!(paths, ["lot_number", "quantity", "expires_on", "reorder_level"]);
}

proptest! {
    #[test]
    fn whatever_happens_nothing_is_oversold(
        sizes in prop::collection::vec((0i64..400, 1i64..50), 1..6),
        steps in prop::collection::vec((0u8..3, 1i64..40), 1..60),
    ) {
        let lots = sizes.iter().enumerate().map(|(i, (days, size))| lot(i as u128, *days, *size));
        let mut stock = stock(lots.collect());
        let received = stock.on_hand();
        let mut held: Vec<Vec<Allocation>> = Vec::new();
        let mut gone = 0;
        for (step, quantity) in steps {
            match step {
                0 => held.extend(stock.reserve(quantity, today()).ok()),
                1 => if let Some(allocations) = held.pop() {
                    stock.release(&allocations).unwrap();
                },
                _ => if let Some(allocations) = held.pop() {
                    gone += allocations.iter().map(|each| each.quantity).sum::<i64>();
                    stock.consume(&allocations).unwrap();
                },
            }
            let holding: i64 = held.iter().flatten().map(|each| each.quantity).sum();
            prop_assert_eq!(stock.reserved(), holding);
            prop_assert_eq!(stock.on_hand(), received - gone);
            for lot in &stock.lots {
                prop_assert!(0 <= lot.reserved && lot.reserved <= lot.on_hand);
            }
        }
    }
}
