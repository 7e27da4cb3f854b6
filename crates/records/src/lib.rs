//! Records: the clinical record as versioned FHIR resources, and what patients
//! say of their allergies and medications. It owns versions, search tokens and
//! who reaches which resource, and it knows nothing of FHIR's data types: the
//! [`FhirMapper`] writes the JSON, and other contexts' facts come in through
//! [`sources`].
//!
//! # Handlers
//!
//! | event | handler |
//! |---|---|
//! | `PatientProfileChanged` | [`projections::on_patient_profile_changed`] |
//! | `ResponseSubmitted` | [`projections::on_response_submitted`] |
//! | `PrescriptionChanged` | [`projections::on_prescription_changed`] |
//! | `ConsultationChanged` | [`projections::on_consultation_changed`] |
//!
//! It emits `ClinicalRecordChanged`. Its job [`Reindex`] writes the search tokens
//! of earlier versions of Salus anew.

pub mod access;
pub mod clinical;
pub mod error;
pub mod mapper;
pub mod projections;
pub mod read;
pub mod reindex;
pub mod reported;
pub mod resource;
pub mod sources;
pub mod store;

pub use access::{Interaction, Reach};
pub use clinical::{
    Allergy, AllergyCategory, AllergyInput, Claim, ClinicalProfile, ClinicalSummary, Criticality,
    Medication, MedicationInput, Reported,
};
pub use error::RecordsError;
pub use mapper::{FhirMapper, MappingError};
pub use read::{Found, read_file, read_resource, search_resources};
pub use reindex::{Reindex, reindex};
pub use reported::{
    allergies, clinical_summary, medications, report_allergies, report_medications,
};
pub use resource::{Draft, Resource, ResourceType, Sought, Token};
pub use store::{RecordsStore, RecordsTx, Search};
