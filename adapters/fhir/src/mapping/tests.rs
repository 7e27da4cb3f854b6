use chrono::DateTime;
use fhir_sdk::r4b::resources::Resource;
use kernel::{
    Address, Coding, ConsultationId, HumanName, PrescriptionId, ProviderId, Sex, UsState,
    code::system,
};
use records::{
    AllergyCategory, Criticality,
    sources::{Clinician, EncounterStatus, RequestStatus},
};
use serde_json::json;

use super::*;

fn id(number: u128) -> Uuid {
    Uuid::from_u128(number)
}

fn patient() -> PatientId {
    PatientId(id(1))
}

fn at() -> DateTime<Utc> {
    DateTime::from_timestamp(1_770_000_000, 123_456_000).unwrap()
}

fn doctor(npi: Option<&str>) -> Clinician {
    Clinician {
        id: ProviderId(id(2)),
        name: "Dr. Grace Hopper".into(),
        npi: npi.map(|npi| npi.parse().unwrap()),
    }
}

/// It is valid for its type and loses nothing when read back.
fn checked(value: Value) -> Value {
    let typed: Resource = serde_json::from_value(value.clone()).unwrap();
    assert_eq!(parts::json(&typed).unwrap(), value);
    assert!(!value.to_string().contains("null"), "FHIR has no nulls here: {value}");
    value
}

#[test]
fn a_patient_carries_what_us_core_asks_for() {
    let data = PatientData {
        patient: patient(),
        source_version: 1,
        active: true,
        name: HumanName { given: "Ada".into(), family: "Lovelace".into() },
        sex: Sex::Female,
        birth_date: "1985-12-10".parse().unwrap(),
        address: Some(Address {
            line1: "1 Main Street".into(),
            line2: Some("Unit 2".into()),
            city: "Boston".into(),
            state: UsState::Ma,
            postal_code: "02139".into(),
        }),
        phone: Some("+16175550123".parse().unwrap()),
        email: Some("ada@example.org".parse().unwrap()),
    };
    let json = checked(R4Mapper.patient(&data).unwrap());
    assert_eq!(json["identifier"][0]["value"], format!("urn:uuid:{}", id(1)));
    assert_eq!(json["gender"], "female");
    assert_eq!(json["birthDate"], "1985-12-10");
    assert_eq!(json["address"][0]["line"], json!(["1 Main Street", "Unit 2"]));
    assert_eq!(json["address"][0]["state"], "MA");
    assert_eq!(json["telecom"][1], json!({"system": "email", "value": "ada@example.org"}));
    let name = "Zoë <\"'&> 李小龙 👩🏽\u{200D}⚕\u{FE0F} می\u{200C}نا";
    let named = HumanName { given: name.into(), ..data.name.clone() };
    let json = checked(R4Mapper.patient(&PatientData { name: named, ..data.clone() }).unwrap());
    assert_eq!(json["name"][0]["given"], json!([name]));
    let bare = PatientData { address: None, phone: None, email: None, ..data };
    let json = checked(R4Mapper.patient(&bare).unwrap());
    assert!(json.get("telecom").is_none() && json.get("address").is_none());
}

#[test]
fn a_prescription_is_a_coded_order() {
    let data = PrescriptionData {
        prescription: PrescriptionId(id(3)),
        patient: patient(),
        source_version: 4,
        status: RequestStatus::OnHold,
        prescriber: doctor(Some("1234567893")),
        drug: Coding::new(system::RXNORM, "200172", "finasteride 1 MG Oral Tablet"),
        ndc: Some("00006007131".parse().unwrap()),
        authored_on: at(),
        directions: "Take one tablet a day.".into(),
        quantity: 90,
        quantity_unit: "tablet".into(),
        days_supply: 90,
        refills: 3,
        reasons: vec![Coding::new(system::ICD10CM, "L64.9", "Androgenic alopecia")],
    };
    let json = checked(R4Mapper.medication_request(&data).unwrap());
    assert_eq!(json["status"], "on-hold");
    assert_eq!(json["intent"], "order");
    let codings = &json["medicationCodeableConcept"]["coding"];
    assert_eq!(codings[0]["code"], "200172");
    assert_eq!(codings[1]["system"], system::NDC);
    assert_eq!(json["authoredOn"], "2026-02-02T02:40:00Z");
    assert_eq!(json["subject"]["reference"], format!("Patient/{}", id(1)));
    assert_eq!(json["requester"]["identifier"]["value"], "1234567893");
    assert_eq!(json["dosageInstruction"][0]["text"], "Take one tablet a day.");
    assert_eq!(json["dispenseRequest"]["numberOfRepeatsAllowed"], 3);
    assert_eq!(json["dispenseRequest"]["quantity"]["value"].to_string(), "90");
    assert_eq!(json["dispenseRequest"]["expectedSupplyDuration"]["code"], "d");
}

#[test]
fn a_consultation_is_a_virtual_encounter() {
    let mut data = ConsultationData {
        consultation: ConsultationId(id(4)),
        patient: patient(),
        source_version: 1,
        status: EncounterStatus::InProgress,
        clinician: doctor(None),
        start: at(),
        end: None,
        reasons: vec![],
    };
    let json = checked(R4Mapper.encounter(&data).unwrap());
    assert_eq!(json["class"]["code"], "VR");
    assert_eq!(json["status"], "in-progress");
    assert!(json["period"].get("end").is_none());
    let participant = &json["participant"][0]["individual"];
    assert_eq!(participant["identifier"]["value"], format!("urn:uuid:{}", id(2)));
    data.end = Some(at());
    data.status = EncounterStatus::Finished;
    let json = checked(R4Mapper.encounter(&data).unwrap());
    assert_eq!(json["period"]["end"], "2026-02-02T02:40:00Z");
}

#[test]
fn an_allergy_that_was_taken_back_has_no_clinical_status() {
    let allergy = Allergy {
        id: id(7),
        substance: Coding::new(system::RXNORM, "7984", "Penicillin V"),
        category: AllergyCategory::Medication,
        criticality: Some(Criticality::UnableToAssess),
        reaction: Some("a rash".into()),
        recorded_at: at(),
    };
    let json = checked(R4Mapper.allergy(patient(), &allergy, Standing::Current).unwrap());
    assert_eq!(json["clinicalStatus"]["coding"][0]["code"], "active");
    assert_eq!(json["criticality"], "unable-to-assess");
    assert_eq!(json["category"], json!(["medication"]));
    assert_eq!(json["reaction"][0]["manifestation"][0]["text"], "a rash");
    let json = checked(R4Mapper.allergy(patient(), &allergy, Standing::Withdrawn).unwrap());
    assert!(json.get("clinicalStatus").is_none());
    assert_eq!(json["verificationStatus"]["coding"][0]["code"], "entered-in-error");
    let none = R4Mapper.no_known_allergy(patient(), id(8), at(), Standing::Current).unwrap();
    assert_eq!(checked(none)["code"]["coding"][0]["code"], "716186003");
}

#[test]
fn a_medication_that_is_no_longer_taken_is_stopped() {
    let medication = Medication {
        id: id(9),
        drug: Coding::new(system::RXNORM, "198039", "nitroglycerin 0.4 MG Sublingual Tablet"),
        dosage: None,
        started_on: Some("2024-05-01".parse().unwrap()),
        recorded_at: at(),
    };
    let map = |medication: &Medication, standing| {
        checked(R4Mapper.medication_statement(patient(), medication, standing).unwrap())
    };
    let json = map(&medication, Standing::Current);
    assert_eq!(json["status"], "active");
    assert_eq!(json["effectivePeriod"]["start"], "2024-05-01");
    assert_eq!(json["category"]["coding"][0]["code"], "patientspecified");
    let vague = Medication { started_on: None, dosage: Some("as needed".into()), ..medication };
    let json = map(&vague, Standing::Withdrawn);
    assert_eq!(
        (json["status"].as_str(), json["dosage"][0]["text"].as_str()),
        (Some("stopped"), Some("as needed"))
    );
}
