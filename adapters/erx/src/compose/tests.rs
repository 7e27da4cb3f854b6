use chrono::{NaiveDate, TimeZone as _};
use kernel::{QuantityUnit, UsState, Uuid};
use pharmacy::{
    erx::new_rx::{RxPatient, RxPrescriber},
    prescription::{Amount, Diagnosis, Dosing, Medication},
};
use proptest::prelude::*;

use super::*;
use crate::tree::Element;

fn software() -> Software {
    Software { developer: "Salus".into(), product: "Salus".into(), version: "1".into() }
}

fn plain_address() -> Address {
    Address {
        line1: "1 Main Street".into(),
        line2: Some("Apt 2".into()),
        city: "Boston".into(),
        state: UsState::Ma,
        postal_code: "02110".into(),
    }
}

fn plain() -> NewRx {
    NewRx {
        message: Uuid::from_u128(10).into(),
        prescription: Uuid::from_u128(11).into(),
        sent_at: Utc.with_ymd_and_hms(2026, 3, 1, 12, 0, 0).unwrap(),
        patient: RxPatient {
            name: HumanName { given: "Ada".into(), family: "Example".into() },
            birth_date: NaiveDate::from_ymd_opt(1980, 5, 17).unwrap(),
            sex: Sex::Female,
            address: plain_address(),
            phone: "+16175550100".parse().unwrap(),
        },
        pharmacy: Pharmacy {
            id: Uuid::from_u128(12).into(),
            ncpdp_id: "1234567".parse().unwrap(),
            npi: "1234567893".parse().unwrap(),
            name: "Example Pharmacy".into(),
            address: plain_address(),
            phone: "+16175550199".parse().unwrap(),
            mail_order: true,
            active: true,
            dea: None,
            licensed_in: [UsState::Ma].into(),
            version: 1,
        },
        prescriber: RxPrescriber {
            name: HumanName { given: "Grace".into(), family: "Example".into() },
            spi: "6301875277001".into(),
            npi: "1234567893".parse().unwrap(),
            dea: Some("AB1234563".parse().unwrap()),
            license_state: UsState::Ma,
            license_number: "MA12345".into(),
            address: plain_address(),
            phone: "+16175550101".parse().unwrap(),
        },
        medication: Medication {
            rxnorm: "314076".parse().unwrap(),
            ndc: "00000000000".parse().unwrap(),
            display: "lisinopril 10 MG Oral Tablet".into(),
            strength: "10 MG".into(),
            schedule: DeaSchedule::None,
        },
        dosing: Dosing {
            sig: "Take one tablet daily.".into(),
            quantity: Amount::whole(30).unwrap(),
            unit: QuantityUnit::Tablet,
            days_supply: 30,
            refills: 2,
        },
        diagnosis: Diagnosis { code: "I10".parse().unwrap(), display: "Hypertension".into() },
        written_on: NaiveDate::from_ymd_opt(2026, 3, 1).unwrap(),
        allergies: Vec::new(),
    }
}

#[test]
fn a_medication_has_its_parts_in_the_order_of_the_wire() {
    let text = new_rx(&plain(), &software()).unwrap();
    let root = Element::parse(&text).unwrap();
    let medication = root.at("Body/NewRx/MedicationPrescribed").unwrap();
    let names: Vec<&str> = medication.children.iter().map(|child| child.name.as_str()).collect();
    assert_eq!(
        names,
        [
            "DrugDescription",
            "DrugCoded",
            "Quantity",
            "DaysSupply",
            "WrittenDate",
            "Substitutions",
            "NumberOfRefills",
            "Diagnosis",
            "Sig"
        ]
    );
    for (path, expected) in [
        ("Header/To", "1234567"),
        ("Header/From", "6301875277001"),
        ("Header/MessageID", "0000000000000000000000000000000a"),
        ("Header/SentTime", "2026-03-01T12:00:00.000Z"),
        ("Body/NewRx/Patient/HumanPatient/Address/CountryCode", "US"),
        (
            "Body/NewRx/Patient/HumanPatient/CommunicationNumbers/PrimaryTelephone/Number",
            "6175550100",
        ),
        ("Body/NewRx/Prescriber/NonVeterinarian/Identification/DEANumber", "AB1234563"),
        ("Body/NewRx/MedicationPrescribed/DrugCoded/DEASchedule/Code", "C38046"),
        ("Body/NewRx/MedicationPrescribed/DrugCoded/DrugDBCode/Qualifier", "SCD"),
        ("Body/NewRx/MedicationPrescribed/Quantity/QuantityUnitOfMeasure/Code", "C48542"),
        ("Body/NewRx/MedicationPrescribed/Diagnosis/Primary/Code", "I10"),
    ] {
        assert_eq!(root.text_at(path), Some(expected), "{path}");
    }
    assert!(text.contains("<To Qualifier=\"P\">"));
    assert!(text.contains("<From Qualifier=\"D\">"));
}

/// Text as an attacker or a careless hand would write it.
fn hostile() -> impl Strategy<Value = String> {
    prop_oneof![
        any::<String>(),
        "[<>&'\"\\]\\[\r\n\t ;#x0-9a-z!?/-]{0,40}",
        Just("]]></SigText><Sig>".to_owned()),
        Just("<!DOCTYPE a [<!ENTITY b 'c'>]>&b;".to_owned()),
        Just("&amp;#0;\u{0}\u{b}\u{fffe}\r\n".to_owned()),
    ]
}

proptest! {
    #[test]
    fn hostile_text_arrives_as_it_left(
        given in hostile(),
        family in hostile(),
        line in hostile(),
        sig in hostile(),
        drug in hostile(),
        allergy in hostile(),
    ) {
        let mut rx = plain();
        rx.patient.name = HumanName { given: given.clone(), family: family.clone() };
        rx.patient.address.line1 = line.clone();
        rx.dosing.sig = sig.clone();
        rx.medication.display = drug.clone();
        rx.allergies = vec![allergy.clone()];
        let text = new_rx(&rx, &software()).unwrap();
        let root = Element::parse(&text).unwrap();
        let patient = root.at("Body/NewRx/Patient/HumanPatient").unwrap();
        let medication = root.at("Body/NewRx/MedicationPrescribed").unwrap();
        for (element, expected) in [
            (patient.at("Name/FirstName"), &given),
            (patient.at("Name/LastName"), &family),
            (patient.at("Address/AddressLine1"), &line),
            (medication.at("Sig/SigText"), &sig),
            (medication.at("DrugDescription"), &drug),
            (root.at("Body/NewRx/AllergyOrAdverseEvent/Allergies/DrugProductCoded/Text"), &allergy),
        ] {
            let element = element.unwrap();
            prop_assert!(element.children.is_empty());
            prop_assert_eq!(element.text.clone(), printable(expected).into_owned());
        }
        // Nothing that was written into a text became structure.
        prop_assert_eq!(root.at("Body/NewRx").unwrap().children.len(), 5);
    }

    #[test]
    fn an_answer_relates_to_whatever_id_came(id in hostile(), cause in proptest::option::of(hostile())) {
        let answer = Acknowledgement {
            id: Uuid::from_u128(5).into(),
            relates_to: Some(id.clone()),
            at: Utc.with_ymd_and_hms(2026, 3, 1, 12, 0, 0).unwrap(),
            refusal: cause.clone(),
        };
        let root = Element::parse(&acknowledgement(&answer, &software()).unwrap()).unwrap();
        let related = root.at("Header/RelatesToMessageID").unwrap();
        prop_assert_eq!(related.text.clone(), printable(&id).into_owned());
        match cause {
            None => prop_assert_eq!(root.text_at("Body/Status/Code"), Some("010")),
            Some(cause) => {
                let told = root.at("Body/Error/Description").unwrap();
                prop_assert_eq!(told.text.clone(), printable(&cause).into_owned());
            }
        }
    }
}
