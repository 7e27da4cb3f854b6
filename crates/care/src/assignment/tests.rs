use chrono::TimeZone as _;
use kernel::Uuid;
use proptest::prelude::*;

use super::*;

const HAIR: CategoryId = CategoryId(Uuid::from_u128(0xa1));
const MIND: CategoryId = CategoryId(Uuid::from_u128(0xb2));

fn id(number: u128) -> ProviderId {
    ProviderId(Uuid::from_u128(number))
}

fn hour(hour: u32) -> DateTime<Utc> {
    Utc.with_ymd_and_hms(2026, 3, 2, hour, 0, 0).unwrap()
}

fn colleague(number: u128) -> Colleague {
    Colleague {
        provider: id(number),
        licensed_in: vec![UsState::Ma],
        specialities: [Speciality::FamilyMedicine].into(),
        on_duty: None,
    }
}

fn load(number: u128, held: u32, last: Option<u32>) -> Load {
    Load { provider: id(number), held, last: last.map(hour), had_it: false }
}

fn wanted(category: CategoryId) -> Wanted {
    Wanted { category, state: UsState::Ma }
}

#[test]
fn the_least_loaded_comes_first_and_of_equals_who_waited_longest() {
    let colleagues = [colleague(1), colleague(2), colleague(3)];
    let policy = AssignmentPolicy::default();
    let pick = |loads: [Load; 3]| choose(&policy, wanted(HAIR), &colleagues, &loads);
    let longest = pick([load(1, 2, Some(8)), load(2, 1, Some(11)), load(3, 1, Some(10))]);
    assert_eq!(longest, Some(id(3)));
    let never = pick([load(1, 1, Some(1)), load(2, 1, None), load(3, 1, Some(2))]);
    assert_eq!(never, Some(id(2)));
    let full = pick([load(1, 20, None), load(2, 21, None), load(3, 20, None)]);
    assert_eq!(full, None);
}

#[test]
fn a_speciality_counts_where_the_category_names_one() {
    let mut psychiatrist = colleague(2);
    psychiatrist.specialities = [Speciality::Psychiatry].into();
    let colleagues = [colleague(1), psychiatrist];
    let loads = [load(1, 0, None), load(2, 5, None)];
    let mut policy = AssignmentPolicy::default();
    let asked = [Speciality::Psychiatry, Speciality::NursePractitionerMentalHealth];
    policy.specialities.insert(MIND, asked.into());
    assert_eq!(choose(&policy, wanted(MIND), &colleagues, &loads), Some(id(2)));
    assert_eq!(choose(&policy, wanted(HAIR), &colleagues, &loads), Some(id(1)));
    assert_eq!(choose(&policy, wanted(MIND), &colleagues[..1], &loads), None);
}

#[test]
fn hours_keep_out_who_named_them_and_only_where_the_clinic_says_so() {
    let mut away = colleague(1);
    away.on_duty = Some(false);
    let loads = [load(1, 0, None), load(2, 3, None)];
    let mut policy = AssignmentPolicy::default();
    let both = [away, colleague(2)];
    assert_eq!(choose(&policy, wanted(HAIR), &both, &loads), Some(id(2)));
    policy.within_hours = false;
    assert_eq!(choose(&policy, wanted(HAIR), &both, &loads), Some(id(1)));
}

#[test]
fn who_let_a_review_go_is_not_given_it_again() {
    let colleagues = [colleague(1), colleague(2)];
    let policy = AssignmentPolicy::default();
    let had = |number| Load { had_it: true, ..load(number, 0, None) };
    let once = [had(1), load(2, 9, Some(9))];
    assert_eq!(choose(&policy, wanted(HAIR), &colleagues, &once), Some(id(2)));
    assert_eq!(choose(&policy, wanted(HAIR), &colleagues, &[had(1), had(2)]), None);
}

#[test]
fn a_policy_that_holds_nothing_or_forever_is_refused() {
    assert!(AssignmentPolicy::default().validate().is_ok());
    let mut odd = AssignmentPolicy { hold_minutes: 5, most_held: 0, ..Default::default() };
    odd.specialities.insert(HAIR, BTreeSet::new());
    let Err(CareError::Invalid(errors)) = odd.validate() else { panic!("it is refused") };
    let paths: Vec<&str> = errors.iter().map(|error| error.path.as_str()).collect();
    assert_eq!(paths, ["hold_minutes", "most_held", "categories[0].specialities"]);
}

fn colleagues() -> impl Strategy<Value = Vec<Colleague>> {
    let states = prop::sample::subsequence(vec![UsState::Ma, UsState::Ny, UsState::Tx], 0..=3);
    let skills = prop::sample::subsequence(
        vec![Speciality::FamilyMedicine, Speciality::Psychiatry, Speciality::Dermatology],
        0..=3,
    );
    let one = (states, skills, prop::option::of(any::<bool>()));
    prop::collection::vec(one, 0..8).prop_map(|drawn| {
        drawn
            .into_iter()
            .enumerate()
            .map(|(index, (licensed_in, specialities, on_duty))| Colleague {
                provider: id(index as u128 + 1),
                licensed_in,
                specialities: specialities.into_iter().collect(),
                on_duty,
            })
            .collect()
    })
}

proptest! {
    #[test]
    fn whoever_is_chosen_may_decide_it_and_nobody_fit_holds_fewer(
        colleagues in colleagues(),
        held in prop::collection::vec((0u32..6, prop::option::of(0u32..24), any::<bool>()), 8),
        within_hours in any::<bool>(),
        asks in any::<bool>(),
    ) {
        let mut policy = AssignmentPolicy { within_hours, most_held: 4, ..Default::default() };
        if asks {
            policy.specialities.insert(MIND, [Speciality::Psychiatry].into());
        }
        let loads: Vec<Load> = colleagues
            .iter()
            .zip(&held)
            .map(|(one, (held, last, had_it))| Load {
                provider: one.provider,
                held: *held,
                last: last.map(hour),
                had_it: *had_it,
            })
            .collect();
        let fits = |one: &Colleague, load: &Load| {
            one.licensed_in.contains(&UsState::Ma)
                && (!asks || one.specialities.contains(&Speciality::Psychiatry))
                && (!within_hours || one.on_duty != Some(false))
                && load.held < 4
                && !load.had_it
        };
        let fit: Vec<&Load> = colleagues
            .iter()
            .zip(&loads)
            .filter(|(one, load)| fits(one, load))
            .map(|(_, load)| load)
            .collect();
        match choose(&policy, wanted(MIND), &colleagues, &loads) {
            None => prop_assert!(fit.is_empty()),
            Some(chosen) => {
                let found = fit.iter().find(|load| load.provider == chosen);
                let found = found.expect("only who fits is chosen");
                prop_assert!(fit.iter().all(|other| found.held <= other.held));
            }
        }
    }

    #[test]
    fn equals_are_given_reviews_in_turn_so_that_no_two_differ_by_more_than_one(
        many in 1usize..9,
        reviews in 0usize..60,
        done in prop::collection::vec(any::<bool>(), 60),
    ) {
        let policy = AssignmentPolicy { most_held: 500, ..Default::default() };
        let colleagues: Vec<Colleague> = (1..=many).map(|n| colleague(n as u128)).collect();
        let mut loads: Vec<Load> = (1..=many).map(|n| load(n as u128, 0, None)).collect();
        let (mut given, mut now) = (vec![0usize; many], hour(0));
        for (_, round_is_done) in (0..reviews).zip(done) {
            let chosen = choose(&policy, wanted(HAIR), &colleagues, &loads).expect("all are fit");
            let at = loads.iter().position(|load| load.provider == chosen).expect("one of them");
            given[at] += 1;
            loads[at].held += 1;
            loads[at].last = Some(now);
            now += Duration::seconds(1);
            let (most, least) = (given.iter().max(), given.iter().min());
            prop_assert!(most.zip(least).is_none_or(|(most, least)| most - least <= 1));
            // Everybody may decide all that they hold; the turns go on.
            if round_is_done {
                loads.iter_mut().for_each(|load| load.held = 0);
            }
        }
    }
}
