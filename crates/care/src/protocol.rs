//! What care decides by that is data: the default treatment of a category,
//! the largest dose of a drug, and what a state allows.

use kernel::{CategoryId, DeaSchedule, FieldError, Ndc, RxNorm};
use serde::{Deserialize, Serialize};
use strum::{Display, EnumString, IntoStaticStr};

use crate::{CareError, Medication, Treatment};

/// The treatment with which a category begins unless a provider chooses
/// otherwise.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct Protocol {
    pub category: CategoryId,
    pub treatment: Treatment,
}

/// One drug of the formulary: its largest dose, with the place where it is
/// written, and what is dispensed for it.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct DoseLimit {
    pub rxnorm: RxNorm,
    pub display: String,
    pub max_single: f64,
    pub max_daily: f64,
    /// The most of it in a week, for what is taken less often than daily; a
    /// daily maximum alone would let a weekly dose be taken every day.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub max_weekly: Option<f64>,
    /// The UCUM unit of all three.
    pub unit: String,
    pub reference: String,
    /// The strength of one unit, as in `50 MG`.
    pub strength: String,
    pub schedule: DeaSchedule,
    /// The packages that are this drug.
    pub ndcs: Vec<Ndc>,
    /// The drug of the next step, where this is one of the steps of a titration.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub followed_by: Option<RxNorm>,
    /// What of this entry no source has confirmed, for a pharmacist to look up
    /// before it is used on patients.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub to_confirm: Option<String>,
}

impl DoseLimit {
    const MOST_PACKAGES: usize = 200;
    /// No drug is given by more of any unit than this.
    const LARGEST: f64 = 1_000_000.0;

    /// # Errors
    /// [`CareError::Invalid`] names everything that is wrong.
    pub fn validate(&self) -> Result<(), CareError> {
        let mut errors = Vec::new();
        let mut refuse =
            |path: &str, code: &str, text: &str| errors.push(FieldError::new(path, code, text));
        let texts = [
            ("display", &self.display, 200),
            ("unit", &self.unit, 20),
            ("reference", &self.reference, 500),
        ];
        for (path, text, most) in texts {
            if text.trim().is_empty() {
                refuse(path, "required", "A value is needed here.");
            } else if text.chars().count() > most || text.chars().any(char::is_control) {
                refuse(path, "invalid", "This is too long, or has control characters.");
            }
        }
        let sound = |value: f64| value > 0.0 && value <= Self::LARGEST;
        if !sound(self.max_single) {
            refuse("max_single", "out_of_range", "More than nothing, and at most 1,000,000.");
        }
        if !sound(self.max_daily) || self.max_daily < self.max_single {
            refuse(
                "max_daily",
                "out_of_range",
                "At least the largest single dose, and at most 1,000,000.",
            );
        }
        if self.max_weekly.is_some_and(|most| !sound(most) || most < self.max_single) {
            refuse(
                "max_weekly",
                "out_of_range",
                "At least the largest single dose, and at most 1,000,000.",
            );
        }
        if self.followed_by.as_ref() == Some(&self.rxnorm) {
            refuse("followed_by", "invalid", "No step follows itself.");
        }
        if let Some(text) = &self.to_confirm
            && (text.trim().is_empty()
                || text.chars().count() > 1000
                || text.chars().any(char::is_control))
        {
            refuse("to_confirm", "invalid", "Between 1 and 1,000 characters.");
        }
        if !self.ndcs.is_empty() && self.strength.trim().is_empty() {
            refuse("strength", "required", "What is dispensed has a strength.");
        }
        if self.strength.chars().count() > 60 {
            refuse("strength", "too_long", "At most 60 characters.");
        }
        if self.ndcs.len() > Self::MOST_PACKAGES {
            refuse("ndcs", "too_many", "At most 200 packages.");
        }
        if errors.is_empty() { Ok(()) } else { Err(CareError::Invalid(errors)) }
    }

    /// Whether a medication is this drug in every respect, so that what is
    /// checked is what is dispensed.
    pub fn lists(&self, medication: &Medication) -> bool {
        self.rxnorm == medication.rxnorm
            && self.display == medication.display
            && self.ndcs.contains(&medication.ndc)
    }
}

/// How a state lets provider and patient establish their relation.
#[derive(
    Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize, Display, EnumString, IntoStaticStr,
)]
#[serde(rename_all = "snake_case")]
#[strum(serialize_all = "snake_case")]
pub enum Modality {
    /// A questionnaire that a provider answers for is enough.
    Asynchronous,
    /// Provider and patient must have met by video. It is what holds where
    /// nothing is known of a state.
    Video,
}
