use chrono::{DateTime, Utc};
use fhir_sdk::r4b::{
    codes::{
        AllergyIntoleranceCategory, AllergyIntoleranceCriticality, AllergyIntoleranceType,
        EncounterStatus,
    },
    resources::{AllergyIntolerance, AllergyIntoleranceReaction, Encounter, EncounterParticipant},
};
use kernel::{Coding, PatientId, code::system};
use records::{Allergy, AllergyCategory, Criticality, MappingError, mapper::Standing, sources};
use uuid::Uuid;

use super::parts::{
    clinician, coding, concept, concepts, hl7_concept, identifier, patient_reference, period, text,
    time, unsayable, us_core,
};

pub(super) fn encounter(data: &sources::ConsultationData) -> Result<Encounter, MappingError> {
    let status = match data.status {
        sources::EncounterStatus::Planned => EncounterStatus::Planned,
        sources::EncounterStatus::Arrived => EncounterStatus::Arrived,
        sources::EncounterStatus::InProgress => EncounterStatus::InProgress,
        sources::EncounterStatus::Finished => EncounterStatus::Finished,
        sources::EncounterStatus::Cancelled => EncounterStatus::Cancelled,
    };
    let participant = EncounterParticipant::builder()
        .r#type(vec![Some(hl7_concept("v3-ParticipationType", "PPRF", "primary performer")?)])
        .individual(clinician(&data.clinician)?)
        .build()
        .map_err(unsayable("a participant"))?;
    let telemedicine = Coding::new(
        system::SNOMED,
        "448337001",
        "Telemedicine consultation with patient (procedure)",
    );
    Encounter::builder()
        .id(data.consultation.to_string())
        .meta(us_core("encounter")?)
        .identifier(vec![Some(identifier(data.consultation.uuid())?)])
        .status(status)
        .class(coding("http://terminology.hl7.org/CodeSystem/v3-ActCode", "VR", "virtual")?)
        .r#type(vec![Some(concept(&telemedicine)?)])
        .subject(patient_reference(data.patient)?)
        .participant(vec![Some(participant)])
        .period(period(data.start, data.end)?)
        .reason_code(concepts(&data.reasons)?)
        .build()
        .map_err(unsayable("an Encounter"))
}

pub(super) fn allergy(
    patient: PatientId,
    allergy: &Allergy,
    standing: Standing,
) -> Result<AllergyIntolerance, MappingError> {
    let category = match allergy.category {
        AllergyCategory::Food => AllergyIntoleranceCategory::Food,
        AllergyCategory::Medication => AllergyIntoleranceCategory::Medication,
        AllergyCategory::Environment => AllergyIntoleranceCategory::Environment,
        AllergyCategory::Biologic => AllergyIntoleranceCategory::Biologic,
    };
    let mut resource =
        statement(patient, allergy.id, &allergy.substance, allergy.recorded_at, standing)?;
    resource.r#type = Some(AllergyIntoleranceType::Allergy);
    resource.category = vec![Some(category)];
    resource.criticality = allergy.criticality.map(|criticality| match criticality {
        Criticality::Low => AllergyIntoleranceCriticality::Low,
        Criticality::High => AllergyIntoleranceCriticality::High,
        Criticality::UnableToAssess => AllergyIntoleranceCriticality::UnableToAssess,
    });
    if let Some(words) = &allergy.reaction {
        let reaction = AllergyIntoleranceReaction::builder()
            .manifestation(vec![Some(text(words)?)])
            .build()
            .map_err(unsayable("a reaction"))?;
        resource.reaction = vec![Some(reaction)];
    }
    Ok(resource)
}

pub(super) fn no_known_allergy(
    patient: PatientId,
    id: Uuid,
    recorded_at: DateTime<Utc>,
    standing: Standing,
) -> Result<AllergyIntolerance, MappingError> {
    let none = Coding::new(system::SNOMED, "716186003", "No known allergy (situation)");
    statement(patient, id, &none, recorded_at, standing)
}

/// A statement that was taken back is entered in error, and then FHIR forbids
/// a clinical status.
fn statement(
    patient: PatientId,
    id: Uuid,
    what: &Coding,
    recorded_at: DateTime<Utc>,
    standing: Standing,
) -> Result<AllergyIntolerance, MappingError> {
    let resource = AllergyIntolerance::builder()
        .id(id.to_string())
        .meta(us_core("allergyintolerance")?)
        .identifier(vec![Some(identifier(id)?)])
        .code(concept(what)?)
        .patient(patient_reference(patient)?)
        .asserter(patient_reference(patient)?)
        .recorded_date(time(recorded_at)?);
    let verification =
        |code, display| hl7_concept("allergyintolerance-verification", code, display);
    let resource = match standing {
        Standing::Current => resource
            .clinical_status(hl7_concept("allergyintolerance-clinical", "active", "Active")?)
            .verification_status(verification("unconfirmed", "Unconfirmed")?),
        Standing::Withdrawn => {
            resource.verification_status(verification("entered-in-error", "Entered in Error")?)
        }
    };
    resource.build().map_err(unsayable("an AllergyIntolerance"))
}
