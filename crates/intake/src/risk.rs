//! The ten-year risk of a first hard atherosclerotic cardiovascular event by
//! the pooled cohort equations (2013 ACC/AHA guideline on the assessment of
//! cardiovascular risk, appendix 7). The figures are those of its table A.

use kernel::Sex;
use serde::{Deserialize, Serialize};

/// Which of the two sets of equations holds. The cohorts behind them knew no
/// others; the guideline uses the first for everybody else.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Cohort {
    White,
    AfricanAmerican,
}

#[derive(Clone, Copy, Debug, PartialEq)]
pub struct RiskFactors {
    pub sex: Sex,
    /// In completed years.
    pub age: u16,
    pub cohort: Cohort,
    /// In mg/dL.
    pub total_cholesterol: f64,
    /// In mg/dL.
    pub hdl_cholesterol: f64,
    /// In mm[Hg].
    pub systolic_pressure: f64,
    pub treated_hypertension: bool,
    pub diabetes: bool,
    pub smoker: bool,
}

struct Equation {
    age: f64,
    age_squared: f64,
    cholesterol: f64,
    age_cholesterol: f64,
    hdl: f64,
    age_hdl: f64,
    treated: (f64, f64),
    untreated: (f64, f64),
    smoker: f64,
    age_smoker: f64,
    diabetes: f64,
    mean: f64,
    survival: f64,
}

const WHITE_WOMEN: Equation = Equation {
    age: -29.799,
    age_squared: 4.884,
    cholesterol: 13.540,
    age_cholesterol: -3.114,
    hdl: -13.578,
    age_hdl: 3.149,
    treated: (2.019, 0.0),
    untreated: (1.957, 0.0),
    smoker: 7.574,
    age_smoker: -1.665,
    diabetes: 0.661,
    mean: -29.18,
    survival: 0.9665,
};

const AFRICAN_AMERICAN_WOMEN: Equation = Equation {
    age: 17.114,
    age_squared: 0.0,
    cholesterol: 0.940,
    age_cholesterol: 0.0,
    hdl: -18.920,
    age_hdl: 4.475,
    treated: (29.291, -6.432),
    untreated: (27.820, -6.087),
    smoker: 0.691,
    age_smoker: 0.0,
    diabetes: 0.874,
    mean: 86.61,
    survival: 0.9533,
};

const WHITE_MEN: Equation = Equation {
    age: 12.344,
    age_squared: 0.0,
    cholesterol: 11.853,
    age_cholesterol: -2.664,
    hdl: -7.990,
    age_hdl: 1.769,
    treated: (1.797, 0.0),
    untreated: (1.764, 0.0),
    smoker: 7.837,
    age_smoker: -1.795,
    diabetes: 0.658,
    mean: 61.18,
    survival: 0.9144,
};

const AFRICAN_AMERICAN_MEN: Equation = Equation {
    age: 2.469,
    age_squared: 0.0,
    cholesterol: 0.302,
    age_cholesterol: 0.0,
    hdl: -0.307,
    age_hdl: 0.0,
    treated: (1.916, 0.0),
    untreated: (1.809, 0.0),
    smoker: 0.549,
    age_smoker: 0.0,
    diabetes: 0.645,
    mean: 19.54,
    survival: 0.8954,
};

/// The risk in per cent, to one decimal. There is none outside of what the
/// equations were made for: 40 to 79 years, a total cholesterol of 130 to 320,
/// an HDL cholesterol of 20 to 100 and a systolic pressure of 90 to 200; and
/// none for a sex that they do not know.
pub fn ten_year_risk(factors: &RiskFactors) -> Option<f64> {
    let known = (40..=79).contains(&factors.age)
        && (130.0..=320.0).contains(&factors.total_cholesterol)
        && (20.0..=100.0).contains(&factors.hdl_cholesterol)
        && (90.0..=200.0).contains(&factors.systolic_pressure);
    if !known {
        return None;
    }
    let equation = match (factors.sex, factors.cohort) {
        (Sex::Female, Cohort::White) => WHITE_WOMEN,
        (Sex::Female, Cohort::AfricanAmerican) => AFRICAN_AMERICAN_WOMEN,
        (Sex::Male, Cohort::White) => WHITE_MEN,
        (Sex::Male, Cohort::AfricanAmerican) => AFRICAN_AMERICAN_MEN,
        _ => return None,
    };
    let age = f64::from(factors.age).ln();
    let (cholesterol, hdl) = (factors.total_cholesterol.ln(), factors.hdl_cholesterol.ln());
    let pressure = factors.systolic_pressure.ln();
    let (alone, with_age) =
        if factors.treated_hypertension { equation.treated } else { equation.untreated };
    let smoker = f64::from(u8::from(factors.smoker));
    let diabetes = f64::from(u8::from(factors.diabetes));
    let sum = equation.age * age
        + equation.age_squared * age * age
        + equation.cholesterol * cholesterol
        + equation.age_cholesterol * age * cholesterol
        + equation.hdl * hdl
        + equation.age_hdl * age * hdl
        + alone * pressure
        + with_age * age * pressure
        + equation.smoker * smoker
        + equation.age_smoker * age * smoker
        + equation.diabetes * diabetes;
    let risk = 1.0 - equation.survival.powf((sum - equation.mean).exp());
    Some((risk * 1_000.0).round() / 10.0)
}

#[cfg(test)]
mod tests {
    use super::*;

    /// The person whose risk the guideline's appendix works out by hand.
    fn example(sex: Sex, cohort: Cohort) -> RiskFactors {
        RiskFactors {
            sex,
            age: 55,
            cohort,
            total_cholesterol: 213.0,
            hdl_cholesterol: 50.0,
            systolic_pressure: 120.0,
            treated_hypertension: false,
            diabetes: false,
            smoker: false,
        }
    }

    /// The appendix rounds every term of its sums, which for one of the four
    /// makes the last digit one less than the sum of the terms as they are.
    #[test]
    fn the_guidelines_own_examples_come_out() {
        for (sex, cohort, published) in [
            (Sex::Female, Cohort::White, 2.1),
            (Sex::Female, Cohort::AfricanAmerican, 3.0),
            (Sex::Male, Cohort::White, 5.3),
            (Sex::Male, Cohort::AfricanAmerican, 6.1),
        ] {
            let risk = ten_year_risk(&example(sex, cohort)).unwrap();
            assert!((risk - published).abs() < 0.11, "{sex} {cohort:?}: {risk}");
        }
    }

    #[test]
    fn every_risk_factor_raises_it() {
        let base = example(Sex::Female, Cohort::AfricanAmerican);
        let risk = ten_year_risk(&base).unwrap();
        for worse in [
            RiskFactors { smoker: true, ..base },
            RiskFactors { diabetes: true, ..base },
            RiskFactors { treated_hypertension: true, ..base },
            RiskFactors { systolic_pressure: 160.0, ..base },
            RiskFactors { age: 65, ..base },
        ] {
            assert!(ten_year_risk(&worse).unwrap() > risk, "{worse:?}");
        }
    }

    #[test]
    fn outside_of_what_it_was_made_for_there_is_none() {
        let base = example(Sex::Male, Cohort::White);
        for outside in [
            RiskFactors { age: 39, ..base },
            RiskFactors { age: 80, ..base },
            RiskFactors { total_cholesterol: 129.0, ..base },
            RiskFactors { hdl_cholesterol: 101.0, ..base },
            RiskFactors { systolic_pressure: 201.0, ..base },
            RiskFactors { sex: Sex::Other, ..base },
        ] {
            assert_eq!(ten_year_risk(&outside), None, "{outside:?}");
        }
    }
}
