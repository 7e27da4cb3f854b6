use chrono::TimeDelta;
use kernel::{Currency, Money, Uuid};
use proptest::prelude::*;

use super::*;
use crate::BillingInterval;

fn price(interval: BillingInterval, minor: i64) -> PriceSpec {
    PriceSpec { interval, amount: Money::usd(minor) }
}

fn spec(prices: Vec<PriceSpec>) -> PlanSpec {
    PlanSpec {
        category: CategoryId(Uuid::nil()),
        name: "Finasteride".into(),
        description: "Daily tablets.".into(),
        tier: Tier::Basic,
        features: vec![Feature::new("free_shipping", "Free shipping").unwrap()],
        treatments: vec![],
        comparison: vec![("Visits".into(), "Unlimited".into())],
        window: ActivationWindow::default(),
        active: true,
        prices,
    }
}

/// Ids that count up, so that a test can tell a new price from an old one.
fn counting() -> impl FnMut(&PriceSpec) -> PriceId {
    let mut next = 0;
    move |_| {
        next += 1;
        PriceId(Uuid::from_u128(next))
    }
}

fn plan() -> Plan {
    let prices =
        vec![price(BillingInterval::Monthly, 2_500), price(BillingInterval::Yearly, 24_000)];
    Plan::create(PlanId(Uuid::nil()), spec(prices), counting()).unwrap()
}

#[test]
fn a_new_amount_is_a_new_price_and_the_old_one_stays_readable() {
    let before = plan();
    let fresh = PriceId(Uuid::from_u128(99));
    let mut after = before.clone();
    after
        .revise(
            spec(vec![
                price(BillingInterval::Monthly, 2_900),
                price(BillingInterval::Yearly, 24_000),
            ]),
            |_| fresh,
        )
        .unwrap();
    let old = after.price(before.prices[0].id).unwrap();
    assert_eq!((old.amount, old.active), (Money::usd(2_500), false));
    assert_eq!(after.price(before.prices[1].id), Some(&before.prices[1]));
    assert_eq!(after.price(fresh).unwrap().amount, Money::usd(2_900));
}

#[test]
fn going_back_to_a_retired_amount_makes_a_price_of_its_own() {
    let mut plan = plan();
    for (id, minor) in [(50, 2_900), (51, 2_500)] {
        let spec = spec(vec![price(BillingInterval::Monthly, minor)]);
        plan.revise(spec, |_| PriceId(Uuid::from_u128(id))).unwrap();
    }
    let offered: Vec<_> = plan.offered_prices().map(|price| price.id.0.as_u128()).collect();
    assert_eq!(offered, [51]);
}

#[test]
fn a_plan_is_offered_from_its_first_moment_and_not_at_its_last() {
    let from = DateTime::<Utc>::UNIX_EPOCH;
    let until = from + TimeDelta::days(1);
    let window = ActivationWindow { from: Some(from), until: Some(until) };
    let plan = Plan { window, ..plan() };
    assert!(plan.is_offered(from));
    assert!(!plan.is_offered(until));
    assert!(!plan.is_offered(from - TimeDelta::seconds(1)));
    assert!(!Plan { active: false, ..plan }.is_offered(from));
}

#[test]
fn broken_prices_are_named_by_their_paths() {
    let bad = spec(vec![
        price(BillingInterval::Monthly, 0),
        PriceSpec { interval: BillingInterval::Monthly, amount: Money::new(50, Currency::Eur) },
    ]);
    let Err(CatalogError::Invalid(fields)) = Plan::create(PlanId(Uuid::nil()), bad, counting())
    else {
        panic!("it was taken");
    };
    let paths: Vec<_> = fields.iter().map(|field| field.path.as_str()).collect();
    assert_eq!(
        paths,
        ["prices[0].amount.minor", "prices[1].amount.currency", "prices[1].interval"]
    );
}

#[test]
fn a_price_is_at_least_what_the_gateway_charges() {
    for (currency, least) in
        [(Currency::Usd, 50), (Currency::Cad, 50), (Currency::Eur, 50), (Currency::Gbp, 30)]
    {
        for (minor, taken) in [(least, true), (least - 1, false)] {
            let amount = Money::new(minor, currency);
            let offered = spec(vec![PriceSpec { interval: BillingInterval::Monthly, amount }]);
            let made = Plan::create(PlanId(Uuid::nil()), offered, counting());
            assert_eq!(made.is_ok(), taken, "{minor} {currency:?}");
        }
    }
}

#[test]
fn a_feature_code_and_a_comparison_label_stand_once() {
    let mut twice = spec(vec![price(BillingInterval::Monthly, 2_500)]);
    twice.features.push(Feature::new("free_shipping", "Shipped for nothing").unwrap());
    twice.comparison.push(("visits ".into(), "None".into()));
    let Err(CatalogError::Invalid(fields)) = Plan::create(PlanId(Uuid::nil()), twice, counting())
    else {
        panic!("it was taken");
    };
    let told: Vec<_> =
        fields.iter().map(|field| (field.path.as_str(), field.code.as_str())).collect();
    assert_eq!(told, [("features[1].code", "duplicate"), ("comparison[1].label", "duplicate")]);
    assert!(fields[0].message.contains("free_shipping"), "{}", fields[0].message);
    assert!(fields[1].message.contains("visits"), "{}", fields[1].message);
}

#[test]
fn a_plan_does_not_change_its_category() {
    let mut moved = spec(vec![price(BillingInterval::Monthly, 2_500)]);
    moved.category = CategoryId(Uuid::from_u128(7));
    assert!(matches!(plan().revise(moved, counting()), Err(CatalogError::Invalid(_))));
}

proptest! {
    /// Whatever is revised, no price that was ever offered changes its amount
    /// or disappears, and what is offered is what was asked for.
    #[test]
    fn no_price_ever_changes(
        revisions in prop::collection::vec(
            prop::collection::btree_map(0u8..4, 50i64..54, 1..4), 1..6,
        ),
    ) {
        let mut ids = counting();
        let specs = |chosen: &std::collections::BTreeMap<u8, i64>| {
            chosen.iter().map(|(interval, minor)| price(
                match interval {
                    0 => BillingInterval::Monthly,
                    1 => BillingInterval::Quarterly,
                    2 => BillingInterval::Yearly,
                    _ => BillingInterval::Upfront { months: 6 },
                },
                *minor,
            )).collect::<Vec<_>>()
        };
        let first = spec(specs(&revisions[0]));
        let mut plan = Plan::create(PlanId(Uuid::nil()), first, &mut ids).unwrap();
        for revision in &revisions[1..] {
            let wanted = specs(revision);
            let mut next = plan.clone();
            next.revise(spec(wanted.clone()), &mut ids).unwrap();
            for old in &plan.prices {
                let kept = next.price(old.id).unwrap();
                prop_assert_eq!((kept.interval, kept.amount), (old.interval, old.amount));
            }
            let mut offered: Vec<_> =
                next.offered_prices().map(|price| (price.interval, price.amount.minor)).collect();
            offered.sort();
            let mut asked: Vec<_> =
                wanted.iter().map(|price| (price.interval, price.amount.minor)).collect();
            asked.sort();
            prop_assert_eq!(offered, asked);
            plan = next;
        }
    }
}
