use api::{Mirror, Text};
use chrono::{DateTime, NaiveDate, Utc};
use kernel::{
    Coding, Uuid,
    text::{CodeDisplay, PatientWords},
};
use poem_openapi::{Enum, Object};
use records::{
    Allergy, AllergyCategory, AllergyInput, Claim, Criticality, Medication, MedicationInput,
    Reported,
};

/// A code of a code system, as FHIR has it.
#[derive(Clone, Debug, Object)]
#[oai(rename = "ClinicalCoding", remote = "Coding")]
pub(super) struct CodingView {
    /// The URI of the code system: RxNorm is
    /// `http://www.nlm.nih.gov/research/umls/rxnorm` and SNOMED CT
    /// `http://snomed.info/sct`.
    #[oai(validator(max_length = 200))]
    system: String,
    #[oai(validator(min_length = 1, max_length = 40))]
    code: String,
    /// The words of the code.
    display: Text<CodeDisplay>,
}

/// Whether the patient was asked, and what came of it.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Enum)]
#[oai(rename_all = "snake_case")]
pub(super) enum ReportedStatus {
    NotAsked,
    NoneKnown,
    Known,
}

fn said<T, V: From<T>>(reported: Reported<T>) -> (ReportedStatus, Vec<V>) {
    match reported {
        Reported::NotAsked => (ReportedStatus::NotAsked, Vec::new()),
        Reported::NoneKnown => (ReportedStatus::NoneKnown, Vec::new()),
        Reported::Known(items) => {
            (ReportedStatus::Known, items.into_iter().map(Into::into).collect())
        }
    }
}

/// An allergy that the patient reported.
#[derive(Clone, Debug, Object, Mirror)]
#[oai(rename = "Allergy")]
#[mirror(from = Allergy)]
pub(super) struct AllergyView {
    /// The id of its AllergyIntolerance resource.
    id: Uuid,
    substance: CodingView,
    category: AllergyCategory,
    criticality: Option<Criticality>,
    /// What happened, in the patient's words.
    reaction: Option<String>,
    recorded_at: DateTime<Utc>,
}

#[derive(Clone, Debug, Object)]
#[oai(rename = "Allergies")]
pub(super) struct AllergiesView {
    status: ReportedStatus,
    items: Vec<AllergyView>,
}

impl From<Reported<Allergy>> for AllergiesView {
    fn from(value: Reported<Allergy>) -> Self {
        let (status, items) = said(value);
        Self { status, items }
    }
}

/// An allergy as it is reported.
#[derive(Clone, Debug, Object, Mirror)]
#[mirror(into = AllergyInput)]
pub(super) struct AllergyReport {
    substance: CodingView,
    category: AllergyCategory,
    criticality: Option<Criticality>,
    /// What happened, in one's own words.
    reaction: Option<Text<PatientWords>>,
}

#[derive(Clone, Debug, Object, Mirror)]
#[oai(example)]
#[mirror(into = Claim<AllergyInput>)]
pub(super) struct AllergiesRequest {
    /// There is no known allergy.
    #[oai(default)]
    none_known: bool,
    #[oai(default, validator(max_items = 100))]
    items: Vec<AllergyReport>,
}

api::example!(AllergiesRequest {
    none_known: false,
    items: vec![AllergyReport {
        substance: Coding::new(kernel::code::system::RXNORM, "7984", "Penicillin V").into(),
        category: AllergyCategory::Medication,
        criticality: Some(Criticality::High),
        reaction: Some("A rash all over.".into()),
    }],
});

/// A medication that the patient takes.
#[derive(Clone, Debug, Object, Mirror)]
#[oai(rename = "ReportedMedication")]
#[mirror(from = Medication)]
pub(super) struct MedicationView {
    /// The id of its MedicationStatement resource.
    id: Uuid,
    drug: CodingView,
    /// How it is taken, in the patient's words.
    dosage: Option<String>,
    started_on: Option<NaiveDate>,
    recorded_at: DateTime<Utc>,
}

#[derive(Clone, Debug, Object)]
#[oai(rename = "ReportedMedications")]
pub(super) struct MedicationsView {
    status: ReportedStatus,
    items: Vec<MedicationView>,
}

impl From<Reported<Medication>> for MedicationsView {
    fn from(value: Reported<Medication>) -> Self {
        let (status, items) = said(value);
        Self { status, items }
    }
}

/// A medication as it is reported.
#[derive(Clone, Debug, Object, Mirror)]
#[mirror(into = MedicationInput)]
pub(super) struct MedicationReport {
    drug: CodingView,
    /// How it is taken, in one's own words.
    dosage: Option<Text<PatientWords>>,
    started_on: Option<NaiveDate>,
}

#[derive(Clone, Debug, Object, Mirror)]
#[oai(example)]
#[mirror(into = Claim<MedicationInput>)]
pub(super) struct MedicationsRequest {
    /// No medication is taken.
    #[oai(default)]
    none_known: bool,
    #[oai(default, validator(max_items = 100))]
    items: Vec<MedicationReport>,
}

impl poem_openapi::types::Example for MedicationsRequest {
    fn example() -> Self {
        let drug =
            Coding::new(kernel::code::system::RXNORM, "314076", "lisinopril 10 MG Oral Tablet");
        Self {
            none_known: false,
            items: vec![MedicationReport {
                drug: drug.into(),
                dosage: Some("One tablet in the morning.".into()),
                started_on: None,
            }],
        }
    }
}
