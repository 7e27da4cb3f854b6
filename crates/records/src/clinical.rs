//! What a patient says of their allergies and medications, in coded values.

use chrono::{DateTime, NaiveDate, Utc};
use kernel::{
    Coding, FieldError, PatientId, RxNorm, TextKind as _, Word,
    code::system,
    text::{CodeDisplay, PatientWords},
};
use uuid::Uuid;

/// FHIR's allergy-intolerance-category.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Word)]
pub enum AllergyCategory {
    Food,
    Medication,
    Environment,
    Biologic,
}

/// How bad another exposure may become: FHIR's allergy-intolerance-criticality.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Word)]
#[word("AllergyCriticality")]
pub enum Criticality {
    Low,
    High,
    #[word("unable-to-assess")]
    UnableToAssess,
}

#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Allergy {
    pub id: Uuid,
    /// RxNorm or SNOMED CT.
    pub substance: Coding,
    pub category: AllergyCategory,
    pub criticality: Option<Criticality>,
    /// What happened, in the patient's words.
    pub reaction: Option<String>,
    pub recorded_at: DateTime<Utc>,
}

#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Medication {
    pub id: Uuid,
    /// RxNorm.
    pub drug: Coding,
    /// How it is taken, in the patient's words.
    pub dosage: Option<String>,
    pub started_on: Option<NaiveDate>,
    pub recorded_at: DateTime<Utc>,
}

/// No answer is not the answer "none": a check that finds `NotAsked` has not
/// found the patient free of allergies.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Reported<T> {
    NotAsked,
    NoneKnown,
    Known(Vec<T>),
}

impl<T> Reported<T> {
    pub fn is_answered(&self) -> bool {
        !matches!(self, Self::NotAsked)
    }

    pub fn items(&self) -> &[T] {
        match self {
            Self::Known(items) => items,
            Self::NotAsked | Self::NoneKnown => &[],
        }
    }
}

/// What a patient claims: a list, or in so many words that there is nothing to
/// list.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Claim<T> {
    pub none_known: bool,
    pub items: Vec<T>,
}

impl<T> Claim<T> {
    /// The items; an empty list is taken only with the words.
    pub(crate) fn into_items(self) -> Result<Vec<T>, Vec<FieldError>> {
        let error = match (self.none_known, self.items.is_empty()) {
            (true, true) | (false, false) => return Ok(self.items),
            (true, false) => FieldError::new(
                "none_known",
                "contradiction",
                "It is either none or a list, not both.",
            ),
            (false, true) => FieldError::new(
                "items",
                "required",
                "List what is known, or set none_known to say that there is none.",
            ),
        };
        Err(vec![error])
    }
}

/// All that one patient has said.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct ClinicalProfile {
    pub patient: PatientId,
    pub version: i64,
    pub allergies: Reported<Allergy>,
    pub medications: Reported<Medication>,
}

/// What safety checks and clinicians need of the record.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct ClinicalSummary {
    pub patient: PatientId,
    pub allergies: Reported<Allergy>,
    pub active_medications: Reported<Medication>,
}

#[derive(Clone, Debug, PartialEq, Eq)]
pub struct AllergyInput {
    pub substance: Coding,
    pub category: AllergyCategory,
    pub criticality: Option<Criticality>,
    pub reaction: Option<String>,
}

#[derive(Clone, Debug, PartialEq, Eq)]
pub struct MedicationInput {
    pub drug: Coding,
    pub dosage: Option<String>,
    pub started_on: Option<NaiveDate>,
}

const MAX_ITEMS: usize = 100;

impl ClinicalProfile {
    pub fn new(patient: PatientId) -> Self {
        Self { patient, version: 0, allergies: Reported::NotAsked, medications: Reported::NotAsked }
    }

    /// Replaces the allergies; none means that the patient knows of none. An
    /// allergy whose substance was known keeps its id.
    pub fn with_allergies(
        self,
        inputs: Vec<AllergyInput>,
        mut fresh: impl FnMut() -> Uuid,
        now: DateTime<Utc>,
    ) -> Result<Self, Vec<FieldError>> {
        let mut errors = check_list(inputs.iter().map(|input| &input.substance), "substance");
        for (index, input) in inputs.iter().enumerate() {
            let path = format!("items[{index}].substance");
            errors.extend(check_coding(&input.substance, &path, &[system::RXNORM, system::SNOMED]));
            let path = format!("items[{index}].reaction");
            errors.extend(check_words(input.reaction.as_deref(), &path));
        }
        if !errors.is_empty() {
            return Err(errors);
        }
        let allergies = inputs
            .into_iter()
            .map(|input| {
                let known = self
                    .allergies
                    .items()
                    .iter()
                    .find(|allergy| same_code(&allergy.substance, &input.substance));
                Allergy {
                    id: known.map_or_else(&mut fresh, |known| known.id),
                    recorded_at: known.map_or(now, |known| known.recorded_at),
                    substance: input.substance,
                    category: input.category,
                    criticality: input.criticality,
                    reaction: input.reaction,
                }
            })
            .collect();
        Ok(Self { version: self.version + 1, allergies: reported(allergies), ..self })
    }

    /// Replaces the medications; none means that the patient takes none. A
    /// medication whose drug was known keeps its id.
    pub fn with_medications(
        self,
        inputs: Vec<MedicationInput>,
        mut fresh: impl FnMut() -> Uuid,
        now: DateTime<Utc>,
    ) -> Result<Self, Vec<FieldError>> {
        let mut errors = check_list(inputs.iter().map(|input| &input.drug), "drug");
        for (index, input) in inputs.iter().enumerate() {
            let path = format!("items[{index}].drug");
            errors.extend(check_coding(&input.drug, &path, &[system::RXNORM]));
            let path = format!("items[{index}].dosage");
            errors.extend(check_words(input.dosage.as_deref(), &path));
            // A day of grace: it may already be tomorrow where the patient is.
            let latest = (now + chrono::TimeDelta::days(1)).date_naive();
            if input.started_on.is_some_and(|day| day > latest) {
                errors.push(FieldError::new(
                    format!("items[{index}].started_on"),
                    "in_the_future",
                    "A medication that is taken was not started in the future.",
                ));
            }
        }
        if !errors.is_empty() {
            return Err(errors);
        }
        let medications = inputs
            .into_iter()
            .map(|input| {
                let known = self
                    .medications
                    .items()
                    .iter()
                    .find(|medication| same_code(&medication.drug, &input.drug));
                Medication {
                    id: known.map_or_else(&mut fresh, |known| known.id),
                    recorded_at: known.map_or(now, |known| known.recorded_at),
                    drug: input.drug,
                    dosage: input.dosage,
                    started_on: input.started_on,
                }
            })
            .collect();
        Ok(Self { version: self.version + 1, medications: reported(medications), ..self })
    }
}

fn reported<T>(items: Vec<T>) -> Reported<T> {
    if items.is_empty() { Reported::NoneKnown } else { Reported::Known(items) }
}

fn same_code(a: &Coding, b: &Coding) -> bool {
    a.system == b.system && a.code == b.code
}

fn check_list<'a>(codings: impl Iterator<Item = &'a Coding>, field: &str) -> Vec<FieldError> {
    let codings: Vec<_> = codings.collect();
    let mut errors = Vec::new();
    if codings.len() > MAX_ITEMS {
        let message = format!("At most {MAX_ITEMS} items.");
        errors.push(FieldError::new("items", "too_many", message));
    }
    for (index, coding) in codings.iter().enumerate() {
        if codings[..index].iter().any(|other| same_code(other, coding)) {
            let path = format!("items[{index}].{field}.code");
            errors.push(FieldError::new(path, "duplicate", "This code is in the list already."));
        }
    }
    errors
}

fn check_coding(coding: &Coding, path: &str, systems: &[&str]) -> Vec<FieldError> {
    let mut errors = Vec::new();
    if !systems.contains(&coding.system.as_str()) {
        let message = format!("One of {}.", systems.join(" and "));
        errors.push(FieldError::new(format!("{path}.system"), "unknown_system", message));
    }
    let valid = match coding.system.as_str() {
        system::RXNORM => coding.code.parse::<RxNorm>().is_ok(),
        system::SNOMED => is_snomed(&coding.code),
        _ => true,
    };
    if !valid {
        let message = "This is not a code of its system.";
        errors.push(FieldError::new(format!("{path}.code"), "invalid", message));
    }
    CodeDisplay::check(&mut errors, &format!("{path}.display"), &coding.display);
    errors
}

fn check_words(words: Option<&str>, path: &str) -> Option<FieldError> {
    PatientWords::RULE.check(path, words?).err()
}

/// A SNOMED CT identifier: 6 to 18 digits, the last of them Verhoeff's check
/// digit over the others.
fn is_snomed(code: &str) -> bool {
    if !(6..=18).contains(&code.len())
        || !code.bytes().all(|byte| byte.is_ascii_digit())
        || code.starts_with('0')
    {
        return false;
    }
    let check = code.bytes().rev().enumerate().fold(0, |check, (place, byte)| {
        let digit = (0..place % 8).fold(usize::from(byte - b'0'), |digit, _| PERMUTED[digit]);
        dihedral(check, digit)
    });
    check == 0
}

const PERMUTED: [usize; 10] = [1, 5, 7, 6, 2, 8, 3, 0, 9, 4];

/// The product of two elements of the dihedral group of order ten.
fn dihedral(a: usize, b: usize) -> usize {
    match (a < 5, b < 5) {
        (true, true) => (a + b) % 5,
        (true, false) => 5 + (a + b - 5) % 5,
        (false, true) => 5 + (a - 5 + 5 - b) % 5,
        (false, false) => (a - 5 + 5 - (b - 5)) % 5,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn now() -> DateTime<Utc> {
        DateTime::from_timestamp(1_770_000_000, 0).unwrap()
    }

    fn drug(code: &str) -> MedicationInput {
        MedicationInput {
            drug: Coding::new(system::RXNORM, code, "a drug"),
            dosage: None,
            started_on: None,
        }
    }

    fn allergy(code_system: &str, code: &str) -> AllergyInput {
        AllergyInput {
            substance: Coding::new(code_system, code, "a substance"),
            category: AllergyCategory::Medication,
            criticality: None,
            reaction: None,
        }
    }

    fn ids() -> impl FnMut() -> Uuid {
        let mut next = 0;
        move || {
            next += 1;
            Uuid::from_u128(next)
        }
    }

    #[test]
    fn a_known_drug_keeps_its_id_and_an_empty_list_says_none() {
        let mut fresh = ids();
        let profile = ClinicalProfile::new(PatientId(Uuid::from_u128(9)));
        assert_eq!(profile.medications, Reported::NotAsked);
        let profile =
            profile.with_medications(vec![drug("1"), drug("2")], &mut fresh, now()).unwrap();
        let kept = profile.medications.items()[1].clone();
        let later = now() + chrono::TimeDelta::days(3);
        let profile =
            profile.with_medications(vec![drug("3"), drug("2")], &mut fresh, later).unwrap();
        assert_eq!(profile.medications.items()[1], kept);
        assert_eq!(profile.medications.items()[0].recorded_at, later);
        assert_eq!(profile.allergies, Reported::NotAsked);
        let profile = profile.with_medications(vec![], &mut fresh, now()).unwrap();
        assert_eq!(profile.medications, Reported::NoneKnown);
        assert_eq!(profile.version, 3);
    }

    #[test]
    fn bad_input_is_named_by_its_path() {
        let profile = ClinicalProfile::new(PatientId(Uuid::from_u128(9)));
        let mut fresh = ids();
        let mut future = drug("1");
        future.started_on = now().date_naive().checked_add_days(chrono::Days::new(2));
        let mut wordless = drug("x1");
        wordless.drug.display = " ".into();
        wordless.dosage = Some("\u{7}".into());
        let inputs = vec![future, drug("1"), wordless];
        let errors = profile.clone().with_medications(inputs, &mut fresh, now()).unwrap_err();
        let paths: Vec<_> = errors.iter().map(|error| error.path.as_str()).collect();
        assert_eq!(
            paths,
            [
                "items[1].drug.code",
                "items[0].started_on",
                "items[2].drug.code",
                "items[2].drug.display",
                "items[2].dosage"
            ]
        );
        let inputs = vec![allergy("http://example.org", "1"), allergy(system::SNOMED, "91936006")];
        let errors = profile.with_allergies(inputs, fresh, now()).unwrap_err();
        let paths: Vec<_> = errors.iter().map(|error| error.path.as_str()).collect();
        assert_eq!(paths, ["items[0].substance.system", "items[1].substance.code"]);
    }

    #[test]
    fn a_snomed_code_needs_its_check_digit() {
        for good in ["716186003", "91936005", "300916003", "264287008", "138875005"] {
            assert!(is_snomed(good), "{good}");
        }
        for bad in ["716186004", "91963005", "12345", "0716186003", "71618600x"] {
            assert!(!is_snomed(bad), "{bad}");
        }
    }
}
