//! What a NewRx says, and the pre-flight that finds what it lacks before the
//! pharmacy does.

use chrono::{DateTime, NaiveDate, Utc};
use kernel::{
    Address, Dea, ErxMessageId, FieldError, HumanName, Npi, PhoneNumber, PrescriptionId, Sex,
    TextKind as _, UsState,
    text::{CodeDisplay, DrugDescription, PharmacyName, Strength},
};

use crate::prescription::{
    Diagnosis, Dosing, Medication, PatientDetails, Pharmacy, PrescriberDetails, Prescription,
};

/// The patient's part; everything in it is required.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct RxPatient {
    pub name: HumanName,
    pub birth_date: NaiveDate,
    pub sex: Sex,
    pub address: Address,
    pub phone: PhoneNumber,
}

/// The prescriber's part.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct RxPrescriber {
    pub name: HumanName,
    pub spi: String,
    pub npi: Npi,
    /// Only controlled substances need it.
    pub dea: Option<Dea>,
    pub license_state: UsState,
    pub license_number: String,
    pub address: Address,
    pub phone: PhoneNumber,
}

/// One prescription for one medication, ready to be composed.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct NewRx {
    pub message: ErxMessageId,
    pub prescription: PrescriptionId,
    pub sent_at: DateTime<Utc>,
    pub patient: RxPatient,
    pub pharmacy: Pharmacy,
    pub prescriber: RxPrescriber,
    pub medication: Medication,
    pub dosing: Dosing,
    pub diagnosis: Diagnosis,
    pub written_on: NaiveDate,
    /// Names of the patient's drug allergies, for the pharmacist.
    pub allergies: Vec<String>,
}

impl NewRx {
    /// Puts a message together. What is missing comes back as field codes, so
    /// that the form that can mend it knows where.
    pub fn assemble(
        prescription: &Prescription,
        message: ErxMessageId,
        patient: PatientDetails,
        prescriber: PrescriberDetails,
        pharmacy: Pharmacy,
        allergies: Vec<String>,
        now: DateTime<Utc>,
    ) -> Result<Self, Vec<FieldError>> {
        let mut missing = Vec::new();
        let patient = assemble_patient(patient, &mut missing);
        let state = patient.as_ref().map(|patient| patient.address.state);
        let prescriber = assemble_prescriber(prescriber, state, now, &mut missing);
        if let Err(errors) = pharmacy.address.validate() {
            missing.extend(errors.into_iter().map(|error| below("pharmacy", error)));
        }
        PharmacyName::check(&mut missing, "pharmacy.name", &pharmacy.name);
        if let Err(errors) = prescription.dosing.validate() {
            missing.extend(errors.into_iter().map(|error| below("medication", error)));
        }
        let medication = &prescription.medication;
        DrugDescription::check(&mut missing, "medication.display", &medication.display);
        Strength::check(&mut missing, "medication.strength", &medication.strength);
        for (index, allergy) in allergies.iter().enumerate() {
            CodeDisplay::check(&mut missing, &format!("patient.allergies[{index}]"), allergy);
        }
        match (patient, prescriber) {
            (Some(patient), Some(prescriber)) if missing.is_empty() => Ok(Self {
                message,
                prescription: prescription.id,
                sent_at: now,
                patient,
                pharmacy,
                prescriber,
                medication: prescription.medication.clone(),
                dosing: prescription.dosing.clone(),
                diagnosis: prescription.diagnosis.clone(),
                written_on: prescription.written_on,
                allergies,
            }),
            _ => Err(missing),
        }
    }
}

fn below(prefix: &str, error: FieldError) -> FieldError {
    FieldError { path: format!("{prefix}.{}", error.path), ..error }
}

fn required<T>(value: Option<T>, path: &str, missing: &mut Vec<FieldError>) -> Option<T> {
    if value.is_none() {
        missing.push(FieldError::required(path));
    }
    value
}

/// A name may have been kept before the rule for names was what it is.
fn check_name(name: Option<&HumanName>, prefix: &str, missing: &mut Vec<FieldError>) {
    let errors = name.and_then(|name| name.validate().err()).unwrap_or_default();
    missing.extend(errors.into_iter().map(|error| below(prefix, error)));
}

fn checked_address(
    address: Option<Address>,
    prefix: &str,
    missing: &mut Vec<FieldError>,
) -> Option<Address> {
    let address = required(address, &format!("{prefix}.address"), missing)?;
    match address.validate() {
        Ok(()) => Some(address),
        Err(errors) => {
            missing.extend(errors.into_iter().map(|error| below(prefix, error)));
            None
        }
    }
}

fn assemble_patient(details: PatientDetails, missing: &mut Vec<FieldError>) -> Option<RxPatient> {
    let PatientDetails { patient: _, name, birth_date, sex, address, phone } = details;
    let name = required(name, "patient.name", missing);
    check_name(name.as_ref(), "patient", missing);
    let birth_date = required(birth_date, "patient.birth_date", missing);
    let sex = required(sex, "patient.sex", missing);
    let address = checked_address(address, "patient", missing);
    let phone = required(phone, "patient.phone", missing);
    Some(RxPatient {
        name: name?,
        birth_date: birth_date?,
        sex: sex?,
        address: address?,
        phone: phone?,
    })
}

fn assemble_prescriber(
    details: PrescriberDetails,
    patient_state: Option<UsState>,
    now: DateTime<Utc>,
    missing: &mut Vec<FieldError>,
) -> Option<RxPrescriber> {
    let license = patient_state.and_then(|state| details.license_in(state, now).ok()).cloned();
    let PrescriberDetails { provider: _, name, npi, dea, spi, licenses: _, address, phone } =
        details;
    check_name(Some(&name), "prescriber", missing);
    let npi = required(npi, "prescriber.npi", missing);
    let spi = required(spi.filter(|spi| !spi.trim().is_empty()), "prescriber.spi", missing);
    let address = checked_address(address, "prescriber", missing);
    let phone = required(phone, "prescriber.phone", missing);
    if patient_state.is_some() && license.is_none() {
        missing.push(FieldError::new(
            "prescriber.license",
            "not_active",
            "The prescriber holds no active license in the patient's state.",
        ));
    }
    let license = license?;
    Some(RxPrescriber {
        name,
        spi: spi?,
        npi: npi?,
        dea,
        license_state: license.state,
        license_number: license.number,
        address: address?,
        phone: phone?,
    })
}
