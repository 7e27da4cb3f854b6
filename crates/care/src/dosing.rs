//! How much of a drug a patient is to take: rules as data, and the arithmetic
//! on them. Everything here is pure; what a rule found is never dropped in
//! silence, it comes back as an alert.

mod compute;
mod kidneys;
mod rules;
mod schedule;

use chrono::NaiveDate;
use kernel::{
    FieldError, RxNorm, Sex, TextKind as _, Word,
    text::{OverrideNote, Reference, UnitOfMeasure},
};
use serde::{Deserialize, Serialize};

pub(crate) use self::compute::is_close;
pub use self::{
    compute::{ComputedDose, body_surface, compute, creatinine_clearance},
    kidneys::{Body, Kidneys, objections},
    rules::{DoseRequest, compute_for_patient, dose_on, rule, set_rule},
    schedule::{DoseOn, Titration, TitrationStep},
};
use crate::CareError;

/// How the body's surface is estimated from height and weight.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum SurfaceFormula {
    /// N Engl J Med 1987;317:1098.
    Mosteller,
    /// Arch Intern Med 1916;17:863.
    DuBois,
}

/// What a dose is derived from. Amounts are in the rule's unit.
#[derive(Clone, Copy, Debug, PartialEq, Serialize, Deserialize)]
#[serde(tag = "kind", rename_all = "snake_case")]
pub enum Method {
    Fixed { amount: f64 },
    PerKilogram { amount: f64 },
    PerSquareMetre { amount: f64, formula: SurfaceFormula },
}

impl Method {
    pub fn amount(self) -> f64 {
        match self {
            Self::Fixed { amount }
            | Self::PerKilogram { amount }
            | Self::PerSquareMetre { amount, .. } => amount,
        }
    }
}

/// How a dose meets what can be dispensed.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize, Word)]
#[word("RoundingWord")]
#[serde(rename_all = "snake_case")]
pub enum Rounding {
    Nearest,
    Down,
}

/// What reduced kidneys do to a dose.
#[derive(Clone, Copy, Debug, PartialEq, Serialize, Deserialize)]
#[serde(tag = "kind", rename_all = "snake_case")]
pub enum RenalEffect {
    Multiply { factor: f64 },
    AtMost { amount: f64 },
    Contraindicated,
}

/// Holds where the creatinine clearance is below this many mL/min; of several
/// that do, the lowest counts.
#[derive(Clone, Copy, Debug, PartialEq, Serialize, Deserialize)]
pub struct RenalBand {
    pub below: f64,
    pub effect: RenalEffect,
}

/// How one drug is dosed, with the place where it is written.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct DosingRule {
    pub rxnorm: RxNorm,
    /// The UCUM unit of every amount.
    pub unit: String,
    pub method: Method,
    /// The least amount that can be dispensed: a dose is a multiple of it.
    pub increment: f64,
    pub rounding: Rounding,
    /// No dose of this rule is larger, whatever the body weighs.
    pub max_dose: Option<f64>,
    /// In whole years, both included.
    pub min_age: Option<u32>,
    pub max_age: Option<u32>,
    pub renal: Vec<RenalBand>,
    /// The steps in which the dose changes, where the drug is titrated; the first
    /// is the dose of the method.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub schedule: Vec<TitrationStep>,
    pub reference: String,
}

impl DosingRule {
    pub fn validate(&self) -> Result<(), CareError> {
        let mut errors = Vec::new();
        UnitOfMeasure::check(&mut errors, "unit", &self.unit);
        Reference::check(&mut errors, "reference", &self.reference);
        let mut refuse = |path: &str, message: &str| {
            errors.push(FieldError::new(path, "out_of_range", message));
        };
        let sound = |value: f64| value.is_finite() && value > 0.0;
        let amount = self.method.amount();
        if !sound(amount) {
            refuse("amount", "More than nothing.");
        }
        if !sound(self.increment) {
            refuse("increment", "More than nothing.");
        }
        if self.max_dose.is_some_and(|most| !sound(most) || most < self.increment) {
            refuse("max_dose", "At least one increment.");
        }
        if let (Some(least), Some(most)) = (self.min_age, self.max_age)
            && least > most
        {
            refuse("max_age", "Not below the least age.");
        }
        for (index, band) in self.renal.iter().enumerate() {
            let effect_is_sound = match band.effect {
                RenalEffect::Multiply { factor } => sound(factor) && factor <= 1.0,
                RenalEffect::AtMost { amount } => sound(amount),
                RenalEffect::Contraindicated => true,
            };
            if !sound(band.below) || band.below > 200.0 {
                refuse(&format!("renal[{index}].below"), "Up to 200 mL/min.");
            }
            if !effect_is_sound {
                refuse(&format!("renal[{index}].value"), "A factor up to 1, or an amount.");
            }
        }
        if !self.schedule.is_empty() {
            let steps = self.schedule.clone();
            let titration = Titration { starts_on: NaiveDate::default(), steps };
            let mut found = Vec::new();
            titration.validate(amount, "schedule", &mut found);
            for (index, step) in self.schedule.iter().enumerate() {
                if self.max_dose.is_some_and(|most| step.dose > most) {
                    let path = format!("schedule.steps[{index}].dose");
                    let message = "Not above the rule's largest dose.";
                    found.push(FieldError::new(path, "out_of_range", message));
                }
            }
            errors.extend(found.into_iter().map(|error| {
                let path = error.path.replacen("schedule.steps", "schedule", 1);
                FieldError { path, ..error }
            }));
        }
        if errors.is_empty() { Ok(()) } else { Err(CareError::Invalid(errors)) }
    }

    /// Whether the rule is meant for somebody of that age.
    pub fn fits_age(&self, years: u32) -> bool {
        self.min_age.is_none_or(|least| years >= least)
            && self.max_age.is_none_or(|most| years <= most)
    }
}

/// What a dose is computed from.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct Measurements {
    pub age: u32,
    pub sex: Sex,
    pub weight_kg: Option<f64>,
    pub height_cm: Option<f64>,
    pub serum_creatinine_mg_dl: Option<f64>,
}

impl Measurements {
    /// A number that no body has is a slip of the pen, and not computed with.
    pub fn validate(&self) -> Result<(), CareError> {
        let ranges = [
            ("weight_kg", self.weight_kg, 0.5, 500.0),
            ("height_cm", self.height_cm, 20.0, 260.0),
            ("serum_creatinine_mg_dl", self.serum_creatinine_mg_dl, 0.1, 25.0),
        ];
        let errors: Vec<_> = ranges
            .into_iter()
            .filter(|(_, value, least, most)| {
                value.is_some_and(|value| !(*least..=*most).contains(&value))
            })
            .map(|(path, _, least, most)| {
                FieldError::new(path, "out_of_range", format!("Between {least} and {most}."))
            })
            .collect();
        if errors.is_empty() { Ok(()) } else { Err(CareError::Invalid(errors)) }
    }
}

/// What a provider has to know of a dose.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Serialize, Deserialize, Word)]
#[word("DoseAlertWord")]
#[serde(rename_all = "snake_case")]
pub enum DoseAlert {
    /// Above the drug's maximum, a time or a day.
    AboveMaximum,
    /// The drug is not meant for somebody of that age.
    AgeLimit,
    /// The creatinine clearance forbids the drug.
    RenalContraindication,
    /// Above what the creatinine clearance allows.
    AboveRenalDose,
    /// The dose depends on the kidneys, and nothing is known of them.
    RenalFunctionUnknown,
    /// It was lowered for the kidneys.
    RenalReduction,
    /// It was lowered to the rule's largest dose.
    Capped,
}

impl DoseAlert {
    /// Whether a dose with this alert is signed only with an override.
    pub fn blocks(self) -> bool {
        !matches!(self, Self::RenalReduction | Self::Capped)
    }
}

/// Why a provider goes on in spite of an alert.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize, Word)]
#[word("OverrideReasonWord")]
#[serde(rename_all = "snake_case")]
pub enum OverrideReason {
    BenefitOutweighsRisk,
    SpecialistAdvice,
    ToleratedBefore,
    /// The note says it in words.
    Other,
}

/// A provider takes an alert upon themselves. It is kept with the version of
/// the treatment that it was given for, and holds for no other.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct DoseOverride {
    pub alert: DoseAlert,
    pub reason: OverrideReason,
    pub note: Option<String>,
}

/// Holds overrides against the alerts that they are for: each alert that blocks
/// needs one, and there is none without an alert.
pub fn settle(found: &[DoseAlert], given: &[DoseOverride], prefix: &str) -> Result<(), CareError> {
    let mut errors = Vec::new();
    for alert in found.iter().filter(|alert| alert.blocks()) {
        if !given.iter().any(|given| given.alert == *alert) {
            let message = "This needs an override with a reason.";
            errors.push(FieldError::new(prefix, alert.to_string(), message));
        }
    }
    for (index, one) in given.iter().enumerate() {
        let path = format!("{prefix}[{index}]");
        let note_path = format!("{path}.note");
        let note = OverrideNote::take_optional(&note_path, one.note.as_deref());
        if !found.contains(&one.alert) {
            let message = "There is no such alert on this treatment.";
            errors.push(FieldError::new(path, "not_needed", message));
        } else if let Err(error) = note {
            errors.push(error);
        } else if one.reason == OverrideReason::Other && note == Ok(None) {
            let message = "The reason in words.";
            errors.push(FieldError::new(note_path, "required", message));
        }
    }
    if errors.is_empty() { Ok(()) } else { Err(CareError::Invalid(errors)) }
}

#[cfg(test)]
mod tests;
