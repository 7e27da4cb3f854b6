//! What care decides by that is data: the default treatment of a category,
//! the largest dose of a drug, and what a state allows.

use kernel::{
    CategoryId, DeaSchedule, FieldError, Ndc, RxNorm, TextKind as _, Word,
    text::{DrugDescription, Reference, Strength, ToConfirm, UnitOfMeasure},
};
use serde::{Deserialize, Serialize};

use crate::{CareError, Dose, Medication, Treatment};

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
        DrugDescription::check(&mut errors, "display", &self.display);
        UnitOfMeasure::check(&mut errors, "unit", &self.unit);
        Reference::check(&mut errors, "reference", &self.reference);
        Strength::check(&mut errors, "strength", &self.strength);
        if let Some(text) = &self.to_confirm {
            ToConfirm::check(&mut errors, "to_confirm", text);
        }
        let mut refuse =
            |path: &str, code: &str, text: &str| errors.push(FieldError::new(path, code, text));
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
        if !self.ndcs.is_empty() && self.strength.trim().is_empty() {
            refuse("strength", "required", "What is dispensed has a strength.");
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

    /// Whether it is not too much at a time. A unit that is not the limit's cannot
    /// be held against it, so it counts as too much until somebody looks.
    pub fn allows(&self, dose: &Dose) -> bool {
        self.unit == dose.unit && dose.value <= self.max_single
    }
}

/// How a state lets provider and patient establish their relation.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize, Word)]
#[word("StateModalityWord")]
#[serde(rename_all = "snake_case")]
pub enum Modality {
    /// A questionnaire that a provider answers for is enough.
    Asynchronous,
    /// Provider and patient must have met by video. It is what holds where
    /// nothing is known of a state.
    Video,
}

#[cfg(test)]
mod tests {
    use kernel::DomainError;

    use super::*;

    fn limit() -> DoseLimit {
        DoseLimit {
            rxnorm: "312941".parse().unwrap(),
            display: "sertraline 50 MG Oral Tablet".into(),
            max_single: 200.0,
            max_daily: 200.0,
            max_weekly: None,
            unit: "mg".into(),
            reference: "Label, section 2".into(),
            strength: "50 MG".into(),
            schedule: DeaSchedule::None,
            ndcs: vec!["00049490066".parse().unwrap()],
            followed_by: None,
            to_confirm: None,
        }
    }

    /// Every field with the values at its bounds: the last that is allowed and the
    /// first that is not.
    #[test]
    fn a_limit_is_refused_by_the_field_that_is_out_of_bounds() {
        let check = |of: &str, change: &dyn Fn(&mut DoseLimit), expected: &[&str]| {
            let mut limit = limit();
            change(&mut limit);
            let error = limit.validate().err();
            let fields = error.iter().flat_map(|error| error.fields());
            let paths: Vec<&str> = fields.map(|field| field.path.as_str()).collect();
            assert_eq!(paths, expected, "{of}");
        };
        check("as it is", &|_| {}, &[]);
        for (text, sound) in [
            ("é".repeat(105), true),
            ("é".repeat(106), false),
            (" ".into(), false),
            ("a\nb".into(), false),
        ] {
            let expected = if sound { &[][..] } else { &["display"] };
            check(&text, &|limit| limit.display = String::clone(&text), expected);
        }
        for (length, sound) in [(0, false), (20, true), (21, false)] {
            let expected = if sound { &[][..] } else { &["unit"] };
            check("unit", &|limit| limit.unit = "é".repeat(length), expected);
        }
        for (length, sound) in [(0, false), (500, true), (501, false)] {
            let expected = if sound { &[][..] } else { &["reference"] };
            check("reference", &|limit| limit.reference = "é".repeat(length), expected);
        }
        for (single, daily, expected) in [
            (200.0, 199.9, &["max_daily"][..]),
            (200.0, 200.0, &[]),
            (200.0, 400.0, &[]),
            (1_000_000.0, 1_000_000.0, &[]),
            (200.0, 1_000_000.5, &["max_daily"]),
            (1_000_000.5, 1_000_000.5, &["max_single", "max_daily"]),
            (0.0, 200.0, &["max_single"]),
            (-1.0, 200.0, &["max_single"]),
            (f64::NAN, 200.0, &["max_single"]),
            (0.001, f64::NAN, &["max_daily"]),
        ] {
            let change = |limit: &mut DoseLimit| {
                (limit.max_single, limit.max_daily) = (single, daily);
            };
            check(&format!("{single} at a time, {daily} a day"), &change, expected);
        }
        for (most, sound) in [
            (200.0, true),
            (199.9, false),
            (1_000_000.0, true),
            (1_000_000.5, false),
            (f64::NAN, false),
        ] {
            let expected = if sound { &[][..] } else { &["max_weekly"] };
            check("a week", &|limit| limit.max_weekly = Some(most), expected);
        }
        for (next, sound) in [("312940", true), ("312941", false)] {
            let expected = if sound { &[][..] } else { &["followed_by"] };
            check("next", &|limit| limit.followed_by = Some(next.parse().unwrap()), expected);
        }
        for (text, sound) in [
            (" ".into(), false),
            ("é".repeat(1000), true),
            ("é".repeat(1001), false),
            ("a\nb".to_owned(), false),
        ] {
            let expected = if sound { &[][..] } else { &["to_confirm"] };
            check("to confirm", &|limit| limit.to_confirm = Some(text.clone()), expected);
        }
        for (length, sound) in [(60, true), (61, false)] {
            let expected = if sound { &[][..] } else { &["strength"] };
            check("strength", &|limit| limit.strength = "é".repeat(length), expected);
        }
        let undispensed = |limit: &mut DoseLimit| {
            limit.strength = " ".into();
            limit.ndcs.clear();
        };
        check("nothing is dispensed", &undispensed, &[]);
        check("no strength", &|limit| limit.strength = " ".into(), &["strength"]);
        for (count, sound) in [(200, true), (201, false)] {
            let expected = if sound { &[][..] } else { &["ndcs"] };
            check("ndcs", &|limit| limit.ndcs = vec![limit.ndcs[0].clone(); count], expected);
        }
    }

    #[test]
    fn a_limit_is_for_one_drug_under_one_name_in_its_packages() {
        let of = |rxnorm: &str, display: &str, ndc: &str| Medication {
            rxnorm: rxnorm.parse().unwrap(),
            ndc: ndc.parse().unwrap(),
            display: display.into(),
        };
        let name = "sertraline 50 MG Oral Tablet";
        for (medication, lists) in [
            (of("312941", name, "00049490066"), true),
            (of("312940", name, "00049490066"), false),
            (of("312941", "Xanax", "00049490066"), false),
            (of("312941", name, "00069421030"), false),
        ] {
            assert_eq!(limit().lists(&medication), lists, "{medication:?}");
        }
    }

    #[test]
    fn a_dose_is_allowed_up_to_the_largest_in_the_unit_of_the_limit() {
        for (value, unit, allowed) in
            [(199.9, "mg", true), (200.0, "mg", true), (200.1, "mg", false), (0.2, "g", false)]
        {
            let dose = Dose { value, unit: unit.into() };
            assert_eq!(limit().allows(&dose), allowed, "{value} {unit}");
        }
    }
}
