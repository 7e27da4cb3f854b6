use chrono::{DateTime, Utc};
use kernel::PatientId;
use serde_json::Value;
use uuid::Uuid;

use crate::{
    Allergy, Medication,
    sources::{ConsultationData, PatientData, PrescriptionData},
};

/// What could not be said in FHIR. It names the place and never the value,
/// which may be PHI.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[error("{0}")]
pub struct MappingError(pub String);

/// Whether a statement of the patient still holds.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Standing {
    Current,
    /// The patient has taken it back.
    Withdrawn,
}

/// Writes the domain's facts as FHIR R4 JSON. The version and the time of the
/// last update are added afterwards.
pub trait FhirMapper: Send + Sync {
    fn patient(&self, data: &PatientData) -> Result<Value, MappingError>;

    fn medication_request(&self, data: &PrescriptionData) -> Result<Value, MappingError>;

    fn encounter(&self, data: &ConsultationData) -> Result<Value, MappingError>;

    fn allergy(
        &self,
        patient: PatientId,
        allergy: &Allergy,
        standing: Standing,
    ) -> Result<Value, MappingError>;

    /// The statement that the patient knows of no allergy.
    fn no_known_allergy(
        &self,
        patient: PatientId,
        id: Uuid,
        recorded_at: DateTime<Utc>,
        standing: Standing,
    ) -> Result<Value, MappingError>;

    fn medication_statement(
        &self,
        patient: PatientId,
        medication: &Medication,
        standing: Standing,
    ) -> Result<Value, MappingError>;
}
