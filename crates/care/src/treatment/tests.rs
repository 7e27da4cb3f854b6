use kernel::{DeaSchedule, DomainError, Uuid};
use proptest::prelude::*;

use super::*;
use crate::dosing::{OverrideReason, TitrationStep};

fn limit() -> DoseLimit {
    DoseLimit {
        rxnorm: "312941".parse().unwrap(),
        display: "sertraline 50 MG Oral Tablet".into(),
        max_single: 200.0,
        max_daily: 200.0,
        unit: "mg".into(),
        reference: "Label, section 2".into(),
        strength: "50 MG".into(),
        schedule: DeaSchedule::None,
        ndcs: vec!["00049490066".parse().unwrap()],
        max_weekly: None,
        to_confirm: None,
        followed_by: None,
    }
}

pub fn treatment(dose: f64, frequency: u32, period: u32, period_unit: PeriodUnit) -> Treatment {
    Treatment {
        medication: Medication {
            rxnorm: "312941".parse().unwrap(),
            ndc: "00049490066".parse().unwrap(),
            display: "sertraline 50 MG Oral Tablet".into(),
        },
        dose: Dose { value: dose, unit: "mg".into() },
        sig: format!("Take {} tablets by mouth every morning.", dose / 50.0),
        frequency: Frequency { frequency, period, period_unit, as_needed: false },
        duration_days: 30,
        quantity: 30,
        quantity_unit: "tablet".into(),
        refills: 2,
        diagnosis: "F41.1".parse().unwrap(),
        titration: None,
        kidneys: None,
        overrides: Vec::new(),
    }
}

/// A plan that was just made.
pub fn plan() -> TreatmentPlan {
    TreatmentPlan::create(
        NewPlan {
            id: TreatmentPlanId(Uuid::from_u128(1)),
            patient: PatientId(Uuid::from_u128(2)),
            provider: ProviderId(Uuid::from_u128(1)),
            category: CategoryId(Uuid::from_u128(3)),
            assessment: None,
            automatic: false,
            treatment: treatment(50.0, 1, 1, PeriodUnit::D),
            reason: "Start.".into(),
        },
        DateTime::UNIX_EPOCH,
    )
}

pub fn any_treatment() -> impl Strategy<Value = Treatment> {
    let unit = prop_oneof![Just(PeriodUnit::H), Just(PeriodUnit::D), Just(PeriodUnit::Wk)];
    let words = prop_oneof![Just("tablet".to_owned()), Just("capsule".to_owned())];
    (1u32..200, 1u32..4, 1u32..8, unit, 0u32..12, words).prop_map(
        |(dose, frequency, period, unit, refills, quantity_unit)| Treatment {
            refills,
            quantity_unit,
            ..treatment(f64::from(dose), frequency, period, unit)
        },
    )
}

fn paths(result: Result<(), CareError>) -> Vec<String> {
    result
        .err()
        .map(|error| error.fields().iter().map(|field| field.path.clone()).collect())
        .unwrap_or_default()
}

#[test]
fn what_is_dispensed_is_what_is_checked() {
    let check = |ndc: &str, display: &str| {
        let mut treatment = treatment(50.0, 1, 1, PeriodUnit::D);
        treatment.medication.ndc = ndc.parse().unwrap();
        treatment.medication.display = display.into();
        paths(treatment.validate(Some(&limit()), "treatment"))
    };
    let name = "sertraline 50 MG Oral Tablet";
    assert_eq!(check("00049490066", name), [""; 0]);
    assert_eq!(check("00069421030", name), ["treatment.medication.ndc"]);
    for other in ["sertraline 100 MG Oral Tablet", "Xanax 2 MG"] {
        assert_eq!(check("00049490066", other), ["treatment.medication.display"]);
    }
}

#[test]
fn the_maximum_dose_is_held_a_time_and_a_day() {
    let check = |treatment: Treatment| paths(treatment.validate(Some(&limit()), "treatment"));
    assert_eq!(check(treatment(50.0, 1, 1, PeriodUnit::D)), [""; 0]);
    assert_eq!(check(treatment(200.0, 1, 1, PeriodUnit::D)), [""; 0]);
    assert_eq!(check(treatment(250.0, 1, 7, PeriodUnit::D)), ["treatment.dose.value"]);
    assert_eq!(check(treatment(150.0, 2, 1, PeriodUnit::D)), ["treatment.frequency"]);
    assert_eq!(check(treatment(50.0, 1, 4, PeriodUnit::H)), ["treatment.frequency"]);
    assert_eq!(check(treatment(200.0, 7, 1, PeriodUnit::Wk)), [""; 0]);
}

#[test]
fn every_step_is_held_against_the_maximum_and_an_override_is_said_aloud() {
    let mut rising = treatment(50.0, 1, 1, PeriodUnit::D);
    let step = |dose, days| TitrationStep { dose, days };
    let steps = vec![step(50.0, Some(7)), step(250.0, None)];
    rising.titration = Some(Titration { starts_on: NaiveDate::default(), steps });
    let found = paths(rising.validate(Some(&limit()), "treatment"));
    assert_eq!(found, ["treatment.dose.value", "treatment.frequency"]);
    assert!(rising.exceeds(&limit()));
    let (reason, note) = (OverrideReason::SpecialistAdvice, None);
    rising.overrides = vec![DoseOverride { alert: DoseAlert::AboveMaximum, reason, note }];
    assert_eq!(paths(rising.validate(Some(&limit()), "treatment")), [""; 0]);
    assert_eq!(rising.overridden(), ["above_maximum: specialist_advice"]);
    // A drug without a maximum stays off the formulary, whatever is overridden.
    assert_eq!(paths(rising.validate(None, "treatment")), ["treatment.medication.rxnorm"]);
}

#[test]
fn a_treatment_that_was_stored_before_there_were_titrations_reads_the_same() {
    let plain = treatment(50.0, 2, 1, PeriodUnit::D);
    let stored = serde_json::to_value(&plain).unwrap();
    assert!(stored.get("titration").is_none() && stored.get("overrides").is_none());
    assert_eq!(serde_json::from_value::<Treatment>(stored).unwrap(), plain);
    let timing = serde_json::json!({
        "repeat": { "frequency": 2, "period": 1, "periodUnit": "d" }
    });
    assert_eq!(plain.frequency.timing(), timing);
}

#[test]
fn another_unit_or_an_unknown_drug_is_refused() {
    let mut grams = treatment(1.0, 1, 1, PeriodUnit::D);
    grams.dose.unit = "g".into();
    assert_eq!(paths(grams.validate(Some(&limit()), "treatment")), ["treatment.dose.unit"]);
    let unknown = treatment(50.0, 1, 1, PeriodUnit::D);
    assert_eq!(paths(unknown.validate(None, "treatment")), ["treatment.medication.rxnorm"]);
}

#[test]
fn a_dose_that_is_no_number_is_refused() {
    for value in [0.0, -5.0, f64::NAN, f64::INFINITY] {
        let result = treatment(value, 1, 1, PeriodUnit::D).validate(Some(&limit()), "t");
        assert_eq!(paths(result), ["t.dose.value"], "{value}");
        // The package says nothing of the dose of a gel.
        let gel = DoseLimit { strength: String::new(), ..limit() };
        let result = treatment(value, 1, 1, PeriodUnit::D).validate(Some(&gel), "t");
        assert_eq!(paths(result), ["t.dose.value"], "{value}");
    }
}

/// Every field with the values at its bounds: the last that is allowed and the
/// first that is not.
#[test]
fn a_treatment_is_refused_by_the_field_that_is_out_of_bounds() {
    let check = |of: &str, change: &dyn Fn(&mut Treatment), field: Option<&str>| {
        let mut written = treatment(50.0, 1, 1, PeriodUnit::D);
        change(&mut written);
        let display = written.medication.display.clone();
        let limit = DoseLimit { display, max_daily: 1e6, ..limit() };
        let expected = Vec::from_iter(field.map(|field| format!("treatment.{field}")));
        assert_eq!(paths(written.validate(Some(&limit), "treatment")), expected, "{of}");
    };
    check("as it is", &|_| {}, None);
    for (text, sound) in [(" ".into(), false), ("d".repeat(105), true), ("d".repeat(106), false)] {
        let field = (!sound).then_some("medication.display");
        check(&text, &|written| written.medication.display = String::clone(&text), field);
    }
    for (text, sound) in [(" ".into(), false), ("é".repeat(1000), true), ("é".repeat(1001), false)]
    {
        let field = (!sound).then_some("sig");
        check(&text, &|written| written.sig = String::clone(&text), field);
    }
    for (number, sound) in [(0, false), (1, true), (24, true), (25, false)] {
        let field = (!sound).then_some("frequency.frequency");
        check("frequency", &|written| written.frequency.frequency = number, field);
    }
    for (number, sound) in [(0, false), (1, true), (90, true), (91, false)] {
        let field = (!sound).then_some("frequency.period");
        check("period", &|written| written.frequency.period = number, field);
    }
    for (days, sound) in [(0, false), (1, true), (365, true), (366, false)] {
        let field = (!sound).then_some("duration_days");
        check("days", &|written| written.duration_days = days, field);
    }
    for (quantity, sound) in [(0, false), (1, true), (1000, true), (1001, false)] {
        let field = (!sound).then_some("quantity");
        check("quantity", &|written| written.quantity = quantity, field);
    }
    for (word, sound) in [("tablet", true), ("g", true), ("crate", false)] {
        let field = (!sound).then_some("quantity_unit");
        check(word, &|written| written.quantity_unit = word.into(), field);
    }
    for (refills, sound) in [(0, true), (11, true), (12, false)] {
        let field = (!sound).then_some("refills");
        check("refills", &|written| written.refills = refills, field);
    }
}

/// The limit is 200 mg at a time and 300 mg a day; a sum of parts may miss it by a
/// millionth.
#[test]
fn the_maximum_itself_is_allowed_and_what_is_above_it_is_not() {
    let limit = DoseLimit { max_daily: 300.0, strength: String::new(), ..limit() };
    for (dose, a_day, refused) in [
        (200.0, 1, None),
        (200.0 * SLACK, 1, None),
        (200.5, 1, Some("treatment.dose.value")),
        (201.0, 1, Some("treatment.dose.value")),
        (150.0, 2, None),
        (150.25, 2, Some("treatment.frequency")),
        (100.0, 3, None),
        (75.1, 4, Some("treatment.frequency")),
        (10.0, 24, None),
    ] {
        let mut written = treatment(dose, a_day, 1, PeriodUnit::D);
        written.sig = "As directed.".into();
        assert_eq!(paths(written.validate(Some(&limit), "treatment")), Vec::from_iter(refused));
        assert_eq!(written.exceeds(&limit), refused.is_some(), "{dose} {a_day} times a day");
    }
    let daily = DoseLimit { max_single: 1000.0, ..limit };
    for (dose, exceeds) in [(300.0, false), (300.0 * SLACK, false), (300.5, true), (301.0, true)] {
        let written = treatment(dose, 1, 1, PeriodUnit::D);
        let above = ["treatment.frequency"];
        let expected = if exceeds { &above[..] } else { &[] };
        assert_eq!(paths(written.validate(Some(&daily), "treatment")), expected, "{dose}");
        assert_eq!(written.exceeds(&daily), exceeds, "{dose}");
    }
}

/// Half a milligram at most at a time, one a day and two a week.
#[test]
fn the_maximum_of_a_week_is_held_where_the_drug_has_one() {
    let mut limit = DoseLimit {
        max_single: 0.5,
        max_daily: 1.0,
        max_weekly: Some(2.0),
        strength: String::new(),
        ..limit()
    };
    for (dose, a_week, exceeds) in [
        (0.5, 4, false),
        (0.5 * SLACK, 4, false),
        (0.5, 5, true),
        (0.25, 8, false),
        (0.25, 9, true),
        (0.1, 1, false),
    ] {
        let mut written = treatment(dose, a_week, 1, PeriodUnit::Wk);
        written.sig = "As directed.".into();
        let expected = if exceeds { &["treatment.frequency"][..] } else { &[] };
        assert_eq!(paths(written.validate(Some(&limit), "treatment")), expected, "{dose} {a_week}");
        assert_eq!(written.exceeds(&limit), exceeds, "{dose} {a_week} times a week");
    }
    limit.max_weekly = None;
    assert!(!treatment(0.5, 9, 1, PeriodUnit::Wk).exceeds(&limit));
}

#[test]
fn what_is_only_shown_may_exceed_the_maximum_and_keeps_every_other_rule() {
    let above = treatment(250.0, 1, 1, PeriodUnit::D);
    assert!(above.validate(Some(&limit()), "treatment").is_err());
    assert!(above.validate_shape(Some(&limit()), "treatment").is_ok());
    let wordless = Treatment { sig: String::new(), ..above };
    assert_eq!(paths(wordless.validate_shape(Some(&limit()), "treatment")), ["treatment.sig"]);
}

#[test]
fn an_override_of_something_else_does_not_lift_the_maximum() {
    let mut written = treatment(250.0, 1, 1, PeriodUnit::D);
    for (alert, refused) in [
        (DoseAlert::AgeLimit, &["treatment.dose.value", "treatment.frequency"][..]),
        (DoseAlert::AboveMaximum, &[]),
    ] {
        let (reason, note) = (OverrideReason::SpecialistAdvice, None);
        written.overrides = vec![DoseOverride { alert, reason, note }];
        assert_eq!(paths(written.validate(Some(&limit()), "treatment")), refused, "{alert}");
    }
}

/// The tablet has 50 mg.
#[test]
fn the_sig_tells_the_units_that_make_the_dose() {
    let check = |dose: f64, sig: &str| {
        let mut written = treatment(dose, 1, 1, PeriodUnit::D);
        written.sig = sig.into();
        paths(written.validate(Some(&limit()), "treatment"))
    };
    for sig in ["Take 1 tablet daily.", "Take one tablet daily.", "As directed."] {
        assert_eq!(check(50.0, sig), [""; 0], "{sig}");
    }
    assert_eq!(check(75.0, "Take 1.5 tablets daily."), [""; 0]);
    assert_eq!(check(50.0, "Take 2 tablets daily."), ["treatment.sig"]);
    assert_eq!(check(100.0, "Take 1 tablet daily."), ["treatment.sig"]);
    assert_eq!(check(60.0, "As directed."), ["treatment.dose.value"], "it cannot be broken so");
    // The steps of a titration have packages of their own.
    let mut rising = treatment(60.0, 1, 1, PeriodUnit::D);
    let step = |dose, days| TitrationStep { dose, days };
    let steps = vec![step(60.0, Some(7)), step(70.0, None)];
    rising.titration = Some(Titration { starts_on: NaiveDate::default(), steps });
    assert_eq!(paths(rising.validate(Some(&limit()), "treatment")), [""; 0]);
    // Another unit is told as such, and not counted in tablets.
    let mut grams = treatment(60.0, 1, 1, PeriodUnit::D);
    grams.dose.unit = "g".into();
    assert_eq!(paths(grams.validate(Some(&limit()), "treatment")), ["treatment.dose.unit"]);
}

#[test]
fn the_dose_of_a_day_is_that_of_the_step_or_else_the_one_dose() {
    let day = |text: &str| text.parse::<NaiveDate>().unwrap();
    let mut written = treatment(50.0, 1, 1, PeriodUnit::D);
    let always = DoseOn { step: None, dose: 50.0, from: None, until: None };
    assert_eq!(written.on(day("2026-03-02")), Some(always));
    let step = |dose, days| TitrationStep { dose, days };
    let steps = vec![step(50.0, Some(7)), step(100.0, None)];
    written.titration = Some(Titration { starts_on: day("2026-03-02"), steps });
    let dose = |text| written.on(day(text)).map(|on| on.dose);
    assert_eq!(dose("2026-03-01"), None);
    assert_eq!(dose("2026-03-08"), Some(50.0));
    assert_eq!(dose("2026-03-09"), Some(100.0));
}

#[test]
fn a_plan_is_outdated_for_who_saw_an_earlier_version() {
    let changed = treatment(100.0, 1, 1, PeriodUnit::D);
    let author = ProviderId(Uuid::from_u128(1));
    let mut plan = plan();
    plan.modify(changed, author, "More.", DateTime::UNIX_EPOCH).unwrap();
    for (version, outdated) in [(0, false), (1, true), (2, false), (3, false)] {
        assert_eq!(plan.is_outdated(version), outdated, "{version}");
    }
}

#[test]
fn a_plan_was_taken_back_when_it_was_revoked_and_not_replaced() {
    for (status, reason, taken_back) in [
        (PlanStatus::Active, None, false),
        (PlanStatus::Completed, Some(EndReason::GoalReached), false),
        (PlanStatus::Revoked, Some(EndReason::AdverseReaction), true),
        (PlanStatus::Revoked, Some(EndReason::Superseded), false),
        (PlanStatus::Revoked, None, true),
    ] {
        let ended = reason.map(|reason| PlanEnding {
            at: DateTime::UNIX_EPOCH,
            by: None,
            reason,
            note: None,
            superseded_by: None,
        });
        let plan = TreatmentPlan { status, ended, ..plan() };
        assert_eq!(plan.was_taken_back(), taken_back, "{status}: {reason:?}");
    }
}

#[test]
fn a_plan_is_changed_with_a_reason_and_only_while_it_is_active() {
    let change = |mut plan: TreatmentPlan, dose: f64, reason: &str| {
        let author = ProviderId(Uuid::from_u128(1));
        plan.modify(treatment(dose, 1, 1, PeriodUnit::D), author, reason, DateTime::UNIX_EPOCH)
    };
    for (reason, sound) in [
        (String::new(), false),
        (" ".into(), false),
        ("é".repeat(1000), true),
        ("é".repeat(1001), false),
    ] {
        let expected = if sound { &[][..] } else { &["reason"] };
        assert_eq!(paths(change(plan(), 100.0, &reason)), expected);
    }
    assert_eq!(paths(change(plan(), 50.0, "The same.")), ["treatment"]);
    for status in [PlanStatus::Completed, PlanStatus::Revoked] {
        let ended = TreatmentPlan { status, ..plan() };
        assert!(matches!(change(ended, 100.0, "More."), Err(CareError::PlanNotActive)));
    }
}

proptest! {
    #[test]
    fn every_version_is_kept_in_order(doses in prop::collection::vec(1u32..200, 0..10)) {
        let author = ProviderId(Uuid::from_u128(1));
        let mut plan = plan();
        for (days, dose) in (31..).zip(&doses) {
            let before: Vec<_> = plan.versions().cloned().collect();
            let next = Treatment {
                duration_days: days,
                ..treatment(f64::from(*dose), 1, 1, PeriodUnit::D)
            };
            plan.modify(next, author, "Titration.", DateTime::UNIX_EPOCH).unwrap();
            let after: Vec<_> = plan.versions().cloned().collect();
            prop_assert_eq!(&after[..before.len()], &before[..]);
            prop_assert_eq!(plan.current().treatment.dose.value, f64::from(*dose));
        }
        let numbers: Vec<u32> = plan.versions().map(|version| version.number).collect();
        prop_assert_eq!(numbers, (1..=doses.len() as u32 + 1).collect::<Vec<_>>());
    }
}
