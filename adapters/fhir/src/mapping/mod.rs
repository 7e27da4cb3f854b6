//! From the domain's facts to FHIR R4 resources in the flavour of US Core. A
//! response is not among them: intake writes it.

mod clinical;
mod medication;
mod parts;
mod patient;

use chrono::{DateTime, Utc};
use kernel::PatientId;
use records::{
    Allergy, FhirMapper, MappingError, Medication,
    mapper::Standing,
    sources::{ConsultationData, PatientData, PrescriptionData},
};
use serde_json::Value;
use uuid::Uuid;

/// The mapper on the typed resources of R4, which in these types are those of
/// R4B.
#[derive(Clone, Copy, Debug, Default)]
pub struct R4Mapper;

impl FhirMapper for R4Mapper {
    fn patient(&self, data: &PatientData) -> Result<Value, MappingError> {
        parts::json(&patient::patient(data)?)
    }

    fn medication_request(&self, data: &PrescriptionData) -> Result<Value, MappingError> {
        parts::json(&medication::medication_request(data)?)
    }

    fn encounter(&self, data: &ConsultationData) -> Result<Value, MappingError> {
        parts::json(&clinical::encounter(data)?)
    }

    fn allergy(
        &self,
        patient: PatientId,
        allergy: &Allergy,
        standing: Standing,
    ) -> Result<Value, MappingError> {
        parts::json(&clinical::allergy(patient, allergy, standing)?)
    }

    fn no_known_allergy(
        &self,
        patient: PatientId,
        id: Uuid,
        recorded_at: DateTime<Utc>,
        standing: Standing,
    ) -> Result<Value, MappingError> {
        parts::json(&clinical::no_known_allergy(patient, id, recorded_at, standing)?)
    }

    fn medication_statement(
        &self,
        patient: PatientId,
        medication: &Medication,
        standing: Standing,
    ) -> Result<Value, MappingError> {
        parts::json(&medication::medication_statement(patient, medication, standing)?)
    }
}

#[cfg(test)]
mod tests;
