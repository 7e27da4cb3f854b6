use api::Text;
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
#[oai(rename = "ClinicalCoding")]
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

impl From<Coding> for CodingView {
    fn from(value: Coding) -> Self {
        Self { system: value.system, code: value.code, display: value.display.into() }
    }
}

impl From<CodingView> for Coding {
    fn from(value: CodingView) -> Self {
        Coding::new(value.system, value.code, value.display)
    }
}

/// Whether the patient was asked, and what came of it.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Enum)]
#[oai(rename_all = "snake_case")]
pub(super) enum ReportedStatus {
    NotAsked,
    NoneKnown,
    Known,
}

fn status<T>(reported: &Reported<T>) -> ReportedStatus {
    match reported {
        Reported::NotAsked => ReportedStatus::NotAsked,
        Reported::NoneKnown => ReportedStatus::NoneKnown,
        Reported::Known(_) => ReportedStatus::Known,
    }
}

fn items<T>(reported: Reported<T>) -> Vec<T> {
    match reported {
        Reported::Known(items) => items,
        Reported::NotAsked | Reported::NoneKnown => Vec::new(),
    }
}

#[derive(Clone, Copy, Debug, PartialEq, Eq, Enum)]
#[oai(rename = "AllergyCategory", rename_all = "lowercase")]
pub(super) enum CategoryView {
    Food,
    Medication,
    Environment,
    Biologic,
}

impl From<CategoryView> for AllergyCategory {
    fn from(value: CategoryView) -> Self {
        match value {
            CategoryView::Food => Self::Food,
            CategoryView::Medication => Self::Medication,
            CategoryView::Environment => Self::Environment,
            CategoryView::Biologic => Self::Biologic,
        }
    }
}

impl From<AllergyCategory> for CategoryView {
    fn from(value: AllergyCategory) -> Self {
        match value {
            AllergyCategory::Food => Self::Food,
            AllergyCategory::Medication => Self::Medication,
            AllergyCategory::Environment => Self::Environment,
            AllergyCategory::Biologic => Self::Biologic,
        }
    }
}

/// How bad another exposure may become.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Enum)]
#[oai(rename = "AllergyCriticality", rename_all = "kebab-case")]
pub(super) enum CriticalityView {
    Low,
    High,
    UnableToAssess,
}

impl From<CriticalityView> for Criticality {
    fn from(value: CriticalityView) -> Self {
        match value {
            CriticalityView::Low => Self::Low,
            CriticalityView::High => Self::High,
            CriticalityView::UnableToAssess => Self::UnableToAssess,
        }
    }
}

impl From<Criticality> for CriticalityView {
    fn from(value: Criticality) -> Self {
        match value {
            Criticality::Low => Self::Low,
            Criticality::High => Self::High,
            Criticality::UnableToAssess => Self::UnableToAssess,
        }
    }
}

/// An allergy that the patient reported.
#[derive(Clone, Debug, Object)]
#[oai(rename = "Allergy")]
pub(super) struct AllergyView {
    /// The id of its AllergyIntolerance resource.
    id: Uuid,
    substance: CodingView,
    category: CategoryView,
    criticality: Option<CriticalityView>,
    /// What happened, in the patient's words.
    reaction: Option<String>,
    recorded_at: DateTime<Utc>,
}

impl From<Allergy> for AllergyView {
    fn from(value: Allergy) -> Self {
        Self {
            id: value.id,
            substance: value.substance.into(),
            category: value.category.into(),
            criticality: value.criticality.map(Into::into),
            reaction: value.reaction,
            recorded_at: value.recorded_at,
        }
    }
}

#[derive(Clone, Debug, Object)]
#[oai(rename = "Allergies")]
pub(super) struct AllergiesView {
    status: ReportedStatus,
    items: Vec<AllergyView>,
}

impl From<Reported<Allergy>> for AllergiesView {
    fn from(value: Reported<Allergy>) -> Self {
        Self { status: status(&value), items: items(value).into_iter().map(Into::into).collect() }
    }
}

/// An allergy as it is reported.
#[derive(Clone, Debug, Object)]
pub(super) struct AllergyReport {
    substance: CodingView,
    category: CategoryView,
    criticality: Option<CriticalityView>,
    /// What happened, in one's own words.
    reaction: Option<Text<PatientWords>>,
}

#[derive(Clone, Debug, Object)]
#[oai(example)]
pub(super) struct AllergiesRequest {
    /// There is no known allergy.
    #[oai(default)]
    none_known: bool,
    #[oai(default, validator(max_items = 100))]
    items: Vec<AllergyReport>,
}

impl poem_openapi::types::Example for AllergiesRequest {
    fn example() -> Self {
        Self {
            none_known: false,
            items: vec![AllergyReport {
                substance: Coding::new(kernel::code::system::RXNORM, "7984", "Penicillin V").into(),
                category: CategoryView::Medication,
                criticality: Some(CriticalityView::High),
                reaction: Some("A rash all over.".into()),
            }],
        }
    }
}

impl From<AllergiesRequest> for Claim<AllergyInput> {
    fn from(value: AllergiesRequest) -> Self {
        let items = value.items.into_iter().map(|item| AllergyInput {
            substance: item.substance.into(),
            category: item.category.into(),
            criticality: item.criticality.map(Into::into),
            reaction: item.reaction.map(Into::into),
        });
        Self { none_known: value.none_known, items: items.collect() }
    }
}

/// A medication that the patient takes.
#[derive(Clone, Debug, Object)]
#[oai(rename = "ReportedMedication")]
pub(super) struct MedicationView {
    /// The id of its MedicationStatement resource.
    id: Uuid,
    drug: CodingView,
    /// How it is taken, in the patient's words.
    dosage: Option<String>,
    started_on: Option<NaiveDate>,
    recorded_at: DateTime<Utc>,
}

impl From<Medication> for MedicationView {
    fn from(value: Medication) -> Self {
        Self {
            id: value.id,
            drug: value.drug.into(),
            dosage: value.dosage,
            started_on: value.started_on,
            recorded_at: value.recorded_at,
        }
    }
}

#[derive(Clone, Debug, Object)]
#[oai(rename = "ReportedMedications")]
pub(super) struct MedicationsView {
    status: ReportedStatus,
    items: Vec<MedicationView>,
}

impl From<Reported<Medication>> for MedicationsView {
    fn from(value: Reported<Medication>) -> Self {
        Self { status: status(&value), items: items(value).into_iter().map(Into::into).collect() }
    }
}

/// A medication as it is reported.
#[derive(Clone, Debug, Object)]
pub(super) struct MedicationReport {
    drug: CodingView,
    /// How it is taken, in one's own words.
    dosage: Option<Text<PatientWords>>,
    started_on: Option<NaiveDate>,
}

#[derive(Clone, Debug, Object)]
#[oai(example)]
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

impl From<MedicationsRequest> for Claim<MedicationInput> {
    fn from(value: MedicationsRequest) -> Self {
        let items = value.items.into_iter().map(|item| MedicationInput {
            drug: item.drug.into(),
            dosage: item.dosage.map(Into::into),
            started_on: item.started_on,
        });
        Self { none_known: value.none_known, items: items.collect() }
    }
}
