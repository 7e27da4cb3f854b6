//! The data types that several resources use.

use chrono::{DateTime, NaiveDate, SecondsFormat, Utc};
use fhir_sdk::{
    Date, DateTime as FhirDateTime,
    r4b::types::{CodeableConcept, Coding, Identifier, Meta, Period, Quantity, Reference},
};
use kernel::{PatientId, code::system};
use records::{MappingError, sources::Clinician};
use serde::Serialize;
use serde_json::Value;
use uuid::Uuid;

/// Identifiers that are UUIDs, as FHIR wants them.
const URI: &str = "urn:ietf:rfc:3986";

/// Says what could not be built; the cause names fields and no values.
pub(super) fn unsayable<E: std::fmt::Display>(
    what: &'static str,
) -> impl FnOnce(E) -> MappingError {
    move |cause| MappingError(format!("{what}: {cause}"))
}

pub(super) fn json(resource: &impl Serialize) -> Result<Value, MappingError> {
    let mut value =
        serde_json::to_value(resource).map_err(unsayable("a resource does not serialize"))?;
    plain_numbers(&mut value);
    Ok(value)
}

/// The typed resources hold decimals as floats, and a whole float is written
/// with a decimal place. FHIR reads that as precision, so 90 must not become
/// 90.0.
fn plain_numbers(value: &mut Value) {
    match value {
        Value::Number(number) => {
            let whole = number.to_string().strip_suffix(".0").and_then(|text| text.parse().ok());
            if let Some(whole) = whole {
                *number = whole;
            }
        }
        Value::Array(values) => values.iter_mut().for_each(plain_numbers),
        Value::Object(members) => members.values_mut().for_each(plain_numbers),
        _ => {}
    }
}

pub(super) fn us_core(profile: &str) -> Result<Meta, MappingError> {
    let url = format!("http://hl7.org/fhir/us/core/StructureDefinition/us-core-{profile}");
    Meta::builder().profile(vec![Some(url)]).build().map_err(unsayable("a meta"))
}

pub(super) fn identifier(id: Uuid) -> Result<Identifier, MappingError> {
    Identifier::builder()
        .system(URI.to_owned())
        .value(format!("urn:uuid:{id}"))
        .build()
        .map_err(unsayable("an identifier"))
}

pub(super) fn patient_reference(patient: PatientId) -> Result<Reference, MappingError> {
    Reference::builder()
        .reference(format!("Patient/{patient}"))
        .build()
        .map_err(unsayable("a reference to a patient"))
}

/// Practitioners are not served, so the reference is a logical one: by NPI
/// where there is one, else by Salus' own id.
pub(super) fn clinician(clinician: &Clinician) -> Result<Reference, MappingError> {
    let known = match &clinician.npi {
        Some(npi) => Identifier::builder()
            .system(system::NPI.to_owned())
            .value(npi.to_string())
            .build()
            .map_err(unsayable("an NPI"))?,
        None => identifier(clinician.id.uuid())?,
    };
    Reference::builder()
        .r#type("Practitioner".to_owned())
        .identifier(known)
        .display(clinician.name.clone())
        .build()
        .map_err(unsayable("a reference to a practitioner"))
}

pub(super) fn coding(system: &str, code: &str, display: &str) -> Result<Coding, MappingError> {
    Coding::builder()
        .system(system.to_owned())
        .code(code.to_owned())
        .display(display.to_owned())
        .build()
        .map_err(unsayable("a coding"))
}

pub(super) fn kernel_coding(value: &kernel::Coding) -> Result<Coding, MappingError> {
    coding(&value.system, &value.code, &value.display)
}

/// A concept of one code, whose words are the code's.
pub(super) fn concept(value: &kernel::Coding) -> Result<CodeableConcept, MappingError> {
    CodeableConcept::builder()
        .coding(vec![Some(kernel_coding(value)?)])
        .text(value.display.clone())
        .build()
        .map_err(unsayable("a concept"))
}

pub(super) fn concepts(
    values: &[kernel::Coding],
) -> Result<Vec<Option<CodeableConcept>>, MappingError> {
    values.iter().map(|value| concept(value).map(Some)).collect()
}

/// A concept of FHIR's own terminology.
pub(super) fn hl7_concept(
    name: &str,
    code: &str,
    display: &str,
) -> Result<CodeableConcept, MappingError> {
    let system = format!("http://terminology.hl7.org/CodeSystem/{name}");
    CodeableConcept::builder()
        .coding(vec![Some(coding(&system, code, display)?)])
        .build()
        .map_err(unsayable("a concept"))
}

pub(super) fn text(words: &str) -> Result<CodeableConcept, MappingError> {
    CodeableConcept::builder().text(words.to_owned()).build().map_err(unsayable("a concept"))
}

pub(super) fn quantity(value: f64, unit: &str) -> Result<Quantity, MappingError> {
    Quantity::builder().value(value).unit(unit.to_owned()).build().map_err(unsayable("a quantity"))
}

pub(super) fn date(day: NaiveDate) -> Result<Date, MappingError> {
    day.format("%Y-%m-%d").to_string().parse().map_err(unsayable("a date"))
}

pub(super) fn time(time: DateTime<Utc>) -> Result<FhirDateTime, MappingError> {
    time.to_rfc3339_opts(SecondsFormat::Secs, true).parse().map_err(unsayable("a time"))
}

pub(super) fn period(
    start: DateTime<Utc>,
    end: Option<DateTime<Utc>>,
) -> Result<Period, MappingError> {
    let mut period = Period::builder().start(time(start)?);
    if let Some(end) = end {
        period = period.end(time(end)?);
    }
    period.build().map_err(unsayable("a period"))
}
