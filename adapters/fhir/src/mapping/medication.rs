use fhir_sdk::r4b::{
    resources::{
        MedicationRequest, MedicationRequestDispenseRequest, MedicationRequestMedication,
        MedicationRequestReported, MedicationStatement, MedicationStatementEffective,
        MedicationStatementMedication,
    },
    types::{CodeableConcept, Dosage, Duration, Period},
};
use kernel::{PatientId, code::system};
use records::{
    MappingError, Medication,
    mapper::Standing,
    sources::{PrescriptionData, RequestStatus},
};

use super::parts::{
    clinician, coding, concept, concepts, date, hl7_concept, identifier, kernel_coding,
    patient_reference, quantity, time, unsayable, us_core,
};

pub(super) fn medication_request(
    data: &PrescriptionData,
) -> Result<MedicationRequest, MappingError> {
    let status = match data.status {
        RequestStatus::Draft => "draft",
        RequestStatus::OnHold => "on-hold",
        RequestStatus::Active => "active",
        RequestStatus::Completed => "completed",
        RequestStatus::Cancelled => "cancelled",
        RequestStatus::Stopped => "stopped",
        RequestStatus::Unknown => "unknown",
    };
    let mut codings = vec![Some(kernel_coding(&data.drug)?)];
    if let Some(ndc) = &data.ndc {
        codings.push(Some(coding(system::NDC, ndc.as_str(), &data.drug.display)?));
    }
    let medication = CodeableConcept::builder()
        .coding(codings)
        .text(data.drug.display.clone())
        .build()
        .map_err(unsayable("a medication"))?;
    let supply = Duration::builder()
        .value(f64::from(data.days_supply))
        .unit("day".to_owned())
        .system(system::UNITS.to_owned())
        .code("d".to_owned())
        .build()
        .map_err(unsayable("a duration"))?;
    let dispense = MedicationRequestDispenseRequest::builder()
        .number_of_repeats_allowed(data.refills)
        .quantity(quantity(f64::from(data.quantity), &data.quantity_unit)?)
        .expected_supply_duration(supply)
        .build()
        .map_err(unsayable("a dispense request"))?;
    MedicationRequest::builder()
        .id(data.prescription.to_string())
        .meta(us_core("medicationrequest")?)
        .identifier(vec![Some(identifier(data.prescription.uuid())?)])
        .status(status.to_owned())
        .intent("order".to_owned())
        .category(vec![Some(hl7_concept("medicationrequest-category", "community", "Community")?)])
        .reported(MedicationRequestReported::Boolean(false))
        .medication(MedicationRequestMedication::CodeableConcept(medication))
        .subject(patient_reference(data.patient)?)
        .authored_on(time(data.authored_on)?)
        .requester(clinician(&data.prescriber)?)
        .reason_code(concepts(&data.reasons)?)
        .dosage_instruction(vec![Some(dosage(&data.directions)?)])
        .dispense_request(dispense)
        .build()
        .map_err(unsayable("a MedicationRequest"))
}

pub(super) fn medication_statement(
    patient: PatientId,
    medication: &Medication,
    standing: Standing,
) -> Result<MedicationStatement, MappingError> {
    let status = match standing {
        Standing::Current => "active",
        Standing::Withdrawn => "stopped",
    };
    let mut statement = MedicationStatement::builder()
        .id(medication.id.to_string())
        .identifier(vec![Some(identifier(medication.id)?)])
        .status(status.to_owned())
        .category(hl7_concept(
            "medication-statement-category",
            "patientspecified",
            "Patient Specified",
        )?)
        .medication(MedicationStatementMedication::CodeableConcept(concept(&medication.drug)?))
        .subject(patient_reference(patient)?)
        .information_source(patient_reference(patient)?)
        .date_asserted(time(medication.recorded_at)?);
    if let Some(day) = medication.started_on {
        let start = fhir_sdk::DateTime::Date(date(day)?);
        let period = Period::builder().start(start).build().map_err(unsayable("a period"))?;
        statement = statement.effective(MedicationStatementEffective::Period(period));
    }
    if let Some(words) = &medication.dosage {
        statement = statement.dosage(vec![Some(dosage(words)?)]);
    }
    statement.build().map_err(unsayable("a MedicationStatement"))
}

fn dosage(words: &str) -> Result<Dosage, MappingError> {
    Dosage::builder().text(words.to_owned()).build().map_err(unsayable("a dosage"))
}
