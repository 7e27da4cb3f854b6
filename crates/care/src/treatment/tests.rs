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
    }
}

proptest! {
    #[test]
    fn every_version_is_kept_in_order(doses in prop::collection::vec(1u32..200, 0..10)) {
        let author = ProviderId(Uuid::from_u128(1));
        let mut plan = plan();
        for (days, dose) in (31..).zip(&doses) {
            let before: Vec<_> = plan.versions().cloned().collect();
            plan = plan
                .modify(
                    Treatment {
                        duration_days: days,
                        ..treatment(f64::from(*dose), 1, 1, PeriodUnit::D)
                    },
                    author,
                    "Titration.",
                    DateTime::UNIX_EPOCH,
                )
                .unwrap();
            let after: Vec<_> = plan.versions().cloned().collect();
            prop_assert_eq!(&after[..before.len()], &before[..]);
            prop_assert_eq!(plan.current().treatment.dose.value, f64::from(*dose));
        }
        let numbers: Vec<u32> = plan.versions().map(|version| version.number).collect();
        prop_assert_eq!(numbers, (1..=doses.len() as u32 + 1).collect::<Vec<_>>());
    }
}
