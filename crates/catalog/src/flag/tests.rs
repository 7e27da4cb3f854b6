use kernel::Uuid;
use proptest::prelude::*;

use super::*;

fn spec(percentage: u8) -> FlagSpec {
    FlagSpec {
        key: "new_checkout".parse().unwrap(),
        description: "The checkout on one page.".into(),
        enabled: true,
        percentage,
        cohorts: vec![],
        accounts: BTreeSet::new(),
    }
}

fn flag(spec: FlagSpec) -> FeatureFlag {
    FeatureFlag::create(FeatureFlagId(Uuid::nil()), spec).unwrap()
}

fn account(number: u128) -> AccountId {
    AccountId(Uuid::from_u128(number))
}

fn subject(number: u128) -> Subject {
    Subject {
        account: account(number),
        roles: [Role::Patient].into(),
        standing: Standing {
            state: Some(UsState::Tx),
            plans: [PlanId(Uuid::from_u128(5))].into(),
            categories: [CategoryId(Uuid::from_u128(6))].into(),
            tiers: BTreeMap::new(),
        },
    }
}

#[test]
fn nobody_at_zero_everybody_at_a_hundred_and_nobody_when_it_is_off() {
    for number in 0..500 {
        assert!(!flag(spec(0)).is_on(&subject(number)));
        assert!(flag(spec(100)).is_on(&subject(number)));
        assert!(!flag(FlagSpec { enabled: false, ..spec(100) }).is_on(&subject(number)));
    }
}

#[test]
fn a_share_is_about_as_large_as_it_says() {
    let on = (0..20_000).filter(|number| flag(spec(30)).is_on(&subject(*number))).count();
    // Four standard deviations of a fair draw are 260.
    assert!(on.abs_diff(6_000) < 260, "{on} of 20,000 are 30 percent");
}

#[test]
fn the_buckets_of_a_key_never_change() {
    // Whoever has a flag keeps it over releases; these are the values of the
    // first one.
    let key: FeatureCode = "new_checkout".parse().unwrap();
    let buckets: Vec<_> = (1..4).map(|n| FeatureFlag::bucket(&key, account(n))).collect();
    assert_eq!(buckets, KNOWN);
    let other: FeatureCode = "new_menu".parse().unwrap();
    assert_ne!(FeatureFlag::bucket(&other, account(1)), KNOWN[0]);
}

const KNOWN: [u64; 3] = [9505, 9738, 7721];

#[test]
fn a_cohort_wants_every_condition_and_one_cohort_is_enough() {
    let on = |cohorts: Vec<Cohort>| flag(FlagSpec { cohorts, ..spec(100) }).is_on(&subject(1));
    let texas = || Cohort { states: [UsState::Tx].into(), ..Cohort::default() };
    let staff = || Cohort { roles: [Role::Support].into(), ..Cohort::default() };
    assert!(on(vec![texas()]));
    assert!(!on(vec![staff()]));
    assert!(on(vec![staff(), texas()]));
    assert!(!on(vec![Cohort { roles: [Role::Support].into(), ..texas() }]));
    let plan = |number| Cohort {
        plans: [PlanId(Uuid::from_u128(number))].into(),
        categories: [CategoryId(Uuid::from_u128(6))].into(),
        ..Cohort::default()
    };
    assert!(on(vec![plan(5)]) && !on(vec![plan(6)]));
    let mut homeless = subject(1);
    homeless.standing.state = None;
    assert!(!flag(FlagSpec { cohorts: vec![texas()], ..spec(100) }).is_on(&homeless));
}

#[test]
fn a_named_account_has_it_whatever_the_rest_says() {
    let cohorts = vec![Cohort { states: [UsState::Ny].into(), ..Cohort::default() }];
    let named = FlagSpec { accounts: [account(1)].into(), cohorts, ..spec(0) };
    assert!(flag(named.clone()).is_on(&subject(1)));
    assert!(!flag(named.clone()).is_on(&subject(2)));
    assert!(!flag(FlagSpec { enabled: false, ..named }).is_on(&subject(1)));
}

#[test]
fn a_flag_keeps_its_key_and_every_fault_is_named() {
    let mut made = flag(spec(10));
    let moved = FlagSpec { key: "another".parse().unwrap(), ..spec(10) };
    assert!(matches!(made.revise(moved), Err(CatalogError::Invalid(_))));
    let bad = FlagSpec { description: " ".into(), cohorts: vec![Cohort::default()], ..spec(101) };
    let Err(CatalogError::Invalid(fields)) = made.revise(bad) else { panic!("it was taken") };
    let paths: Vec<_> = fields.iter().map(|field| field.path.as_str()).collect();
    assert_eq!(paths, ["description", "percentage", "cohorts[0]"]);
}

proptest! {
    /// Whoever has a flag keeps it when the percentage is raised, whatever the
    /// cohorts say.
    #[test]
    fn raising_the_percentage_only_adds_accounts(
        number: u128, low in 0u8..=100, more in 0u8..=100, limited: bool,
    ) {
        let high = low.saturating_add(more).min(100);
        let cohorts = if limited {
            vec![Cohort { states: [UsState::Tx].into(), ..Cohort::default() }]
        } else {
            vec![]
        };
        let on = |percentage| {
            flag(FlagSpec { cohorts: cohorts.clone(), ..spec(percentage) }).is_on(&subject(number))
        };
        prop_assert!(!on(low) || on(high));
        prop_assert_eq!(on(low), on(low));
    }
}
