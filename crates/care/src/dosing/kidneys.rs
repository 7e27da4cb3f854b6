//! What speaks against a dose when it is signed. The same rule that computes a
//! dose is held against the one that a provider has written, so that nothing
//! which was found on the way is passed over with the pen.

use chrono::{DateTime, NaiveDate, Utc};
use kernel::{FieldError, Sex, UsState};
use serde::{Deserialize, Serialize};

use super::{DoseAlert, DosingRule, Measurements, RenalEffect, compute, creatinine_clearance};
use crate::{CareError, ClinicalFacts, Treatment};

/// What is known of a patient's kidneys. It is kept with the version of the
/// treatment that was signed on it.
#[derive(Clone, Copy, Debug, PartialEq, Serialize, Deserialize)]
pub struct Kidneys {
    pub serum_creatinine_mg_dl: f64,
    pub weight_kg: f64,
    pub measured_on: NaiveDate,
}

impl Kidneys {
    /// For so many days a measurement tells something of today.
    const FRESH: i64 = 365;

    /// Checks what was measured; paths begin with `prefix`.
    pub fn validate(&self, today: NaiveDate, prefix: &str) -> Result<(), CareError> {
        let body = Measurements {
            age: 0,
            sex: Sex::Unknown,
            weight_kg: Some(self.weight_kg),
            height_cm: None,
            serum_creatinine_mg_dl: Some(self.serum_creatinine_mg_dl),
        };
        let mut errors = match body.validate() {
            Err(CareError::Invalid(errors)) => errors,
            _ => Vec::new(),
        };
        for error in &mut errors {
            error.path = format!("{prefix}.{}", error.path);
        }
        if self.measured_on > today {
            let path = format!("{prefix}.measured_on");
            errors.push(FieldError::new(path, "in_the_future", "A day that is past, or today."));
        }
        if errors.is_empty() { Ok(()) } else { Err(CareError::Invalid(errors)) }
    }

    fn is_fresh(&self, today: NaiveDate) -> bool {
        (today - self.measured_on).num_days() <= Self::FRESH
    }
}

/// Who signs for whom, as far as doses depend on it.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Body {
    pub age: u32,
    pub sex: Sex,
    pub state: UsState,
    /// Where the patient is.
    pub today: NaiveDate,
}

impl Body {
    pub fn of(facts: &ClinicalFacts, now: DateTime<Utc>) -> Self {
        let state: UsState = facts.state;
        let today = now.with_timezone(&state.zone()).date_naive();
        Self { age: facts.age(now).years, sex: facts.sex, state, today }
    }
}

/// What a drug's rule says against a treatment.
pub fn objections(rule: &DosingRule, treatment: &Treatment, body: Body) -> Vec<DoseAlert> {
    let mut found = Vec::new();
    if !rule.fits_age(body.age) {
        found.push(DoseAlert::AgeLimit);
    }
    if rule.renal.is_empty() {
        return found;
    }
    // The formula was found on adults.
    let known = treatment.kidneys.filter(|kidneys| kidneys.is_fresh(body.today) && body.age >= 18);
    let Some(kidneys) = known else {
        found.push(DoseAlert::RenalFunctionUnknown);
        return found;
    };
    let clearance =
        creatinine_clearance(body.age, body.sex, kidneys.weight_kg, kidneys.serum_creatinine_mg_dl);
    let holds = rule.renal.iter().filter(|band| clearance < band.below);
    let Some(band) = holds.min_by(|one, other| one.below.total_cmp(&other.below)) else {
        return found;
    };
    let most = match band.effect {
        RenalEffect::Contraindicated => {
            found.push(DoseAlert::RenalContraindication);
            return found;
        }
        RenalEffect::AtMost { amount } => Some(amount),
        RenalEffect::Multiply { .. } => {
            let measured = Measurements {
                age: body.age,
                sex: body.sex,
                weight_kg: Some(kidneys.weight_kg),
                height_cm: None,
                serum_creatinine_mg_dl: Some(kidneys.serum_creatinine_mg_dl),
            };
            compute(rule, &measured).ok().map(|computed| computed.dose.value)
        }
    };
    // Where it cannot be told how much is too much, it counts as too much.
    let fits = rule.unit == treatment.dose.unit
        && most.is_some_and(|most| treatment.largest() <= most * 1.000_001);
    if !fits {
        found.push(DoseAlert::AboveRenalDose);
    }
    found
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::{
        Dose, PeriodUnit,
        dosing::{Method, RenalBand, Rounding},
        treatment::tests::treatment,
    };

    fn rule(renal: Vec<RenalBand>) -> DosingRule {
        DosingRule {
            rxnorm: "213270".parse().unwrap(),
            unit: "mg".into(),
            method: Method::Fixed { amount: 50.0 },
            increment: 25.0,
            rounding: Rounding::Down,
            max_dose: None,
            min_age: Some(18),
            max_age: None,
            renal,
            schedule: Vec::new(),
            reference: "Label, section 2".into(),
        }
    }

    fn bands() -> Vec<RenalBand> {
        vec![
            RenalBand { below: 60.0, effect: RenalEffect::Multiply { factor: 0.5 } },
            RenalBand { below: 30.0, effect: RenalEffect::AtMost { amount: 12.5 } },
            RenalBand { below: 15.0, effect: RenalEffect::Contraindicated },
        ]
    }

    fn day(text: &str) -> NaiveDate {
        text.parse().unwrap()
    }

    fn body(age: u32) -> Body {
        Body { age, sex: Sex::Male, state: UsState::Ma, today: day("2026-03-02") }
    }

    /// At 40 years and 72 kg the clearance is 100 over the creatinine.
    fn of(dose: f64, creatinine: Option<f64>, measured_on: &str) -> Treatment {
        let mut written = treatment(dose, 1, 1, PeriodUnit::D);
        written.dose = Dose { value: dose, unit: "mg".into() };
        written.kidneys = creatinine.map(|serum_creatinine_mg_dl| Kidneys {
            serum_creatinine_mg_dl,
            weight_kg: 72.0,
            measured_on: day(measured_on),
        });
        written
    }

    #[test]
    fn a_dose_that_the_kidneys_do_not_allow_is_not_signed_in_silence() {
        let found = |dose, creatinine| {
            let written = of(dose, creatinine, "2026-02-01");
            objections(&rule(bands()), &written, body(40))
        };
        assert_eq!(found(50.0, None), [DoseAlert::RenalFunctionUnknown]);
        assert_eq!(found(50.0, Some(1.0)), []);
        assert_eq!(found(50.0, Some(2.0)), [DoseAlert::AboveRenalDose]);
        assert_eq!(found(25.0, Some(2.0)), []);
        assert_eq!(found(25.0, Some(4.0)), [DoseAlert::AboveRenalDose]);
        assert_eq!(found(12.5, Some(4.0)), []);
        assert_eq!(found(1.0, Some(8.0)), [DoseAlert::RenalContraindication]);
        for alert in [
            DoseAlert::RenalFunctionUnknown,
            DoseAlert::AboveRenalDose,
            DoseAlert::RenalContraindication,
        ] {
            assert!(alert.blocks(), "{alert}");
        }
        let mut grams = of(0.05, Some(2.0), "2026-02-01");
        grams.dose.unit = "g".into();
        let odd = objections(&rule(bands()), &grams, body(40));
        assert_eq!(odd, [DoseAlert::AboveRenalDose], "units that differ cannot be compared");
        assert_eq!(objections(&rule(Vec::new()), &of(50.0, None, "2026-02-01"), body(40)), []);
    }

    #[test]
    fn an_old_measurement_and_a_child_s_say_nothing_of_the_kidneys() {
        let fresh = |measured_on, age| {
            let written = of(25.0, Some(1.0), measured_on);
            objections(&rule(bands()), &written, body(age))
        };
        assert_eq!(fresh("2025-03-02", 40), []);
        assert_eq!(fresh("2025-03-01", 40), [DoseAlert::RenalFunctionUnknown]);
        assert_eq!(fresh("2026-02-01", 17), [DoseAlert::AgeLimit, DoseAlert::RenalFunctionUnknown]);
        let kidneys = of(25.0, Some(90.0), "2026-03-03").kidneys.unwrap();
        let Err(CareError::Invalid(errors)) = kidneys.validate(day("2026-03-02"), "kidneys") else {
            panic!("it is refused");
        };
        let paths: Vec<&str> = errors.iter().map(|error| error.path.as_str()).collect();
        assert_eq!(paths, ["kidneys.serum_creatinine_mg_dl", "kidneys.measured_on"]);
    }

    #[test]
    fn the_bounds_are_those_of_the_rule() {
        let found = |dose, age, creatinine| {
            objections(&rule(bands()), &of(dose, Some(creatinine), "2026-02-01"), body(age))
        };
        // At 80 years and 72 kg the clearance is 60 over the creatinine.
        assert_eq!(found(50.0, 80, 1.0), [], "the band is below 60");
        assert_eq!(found(50.0, 80, 1.1), [DoseAlert::AboveRenalDose]);
        assert_eq!(found(25.5, 80, 1.5), [DoseAlert::AboveRenalDose], "half of 50 is 25");
        let at_most = RenalBand { below: 60.0, effect: RenalEffect::AtMost { amount: 12.5 } };
        for (creatinine, expected) in [(1.0, vec![]), (1.1, vec![DoseAlert::AboveRenalDose])] {
            let written = of(50.0, Some(creatinine), "2026-02-01");
            assert_eq!(objections(&rule(vec![at_most]), &written, body(80)), expected);
        }
        assert_eq!(found(50.0, 18, 1.0), [], "an adult");
        let today = day("2026-03-02");
        for (measured_on, sound) in
            [("2026-03-01", true), ("2026-03-02", true), ("2026-03-03", false)]
        {
            let kidneys = of(25.0, Some(1.0), measured_on).kidneys.unwrap();
            assert_eq!(kidneys.validate(today, "kidneys").is_ok(), sound, "{measured_on}");
        }
    }
}
