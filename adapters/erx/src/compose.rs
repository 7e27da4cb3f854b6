//! Composing SCRIPT messages. Everything that goes in is escaped; what XML 1.0
//! cannot carry at all is replaced by U+FFFD, as a decoder would.

use std::{borrow::Cow, io};

use chrono::{DateTime, SecondsFormat, Utc};
use kernel::{Address, DeaSchedule, ErxMessageId, HumanName, Sex};
use pharmacy::{
    erx::{Acknowledgement, NewRx},
    prescription::Pharmacy,
};
use quick_xml::{
    Writer,
    escape::escape,
    events::{BytesDecl, BytesText, Event},
};

/// How this system names itself to the network.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Software {
    pub developer: String,
    pub product: String,
    pub version: String,
}

type Xml = Writer<Vec<u8>>;

/// A NewRx for one medication.
pub fn new_rx(rx: &NewRx, software: &Software) -> io::Result<String> {
    message(|xml| {
        element(xml, "Header", |xml| {
            qualified(xml, "To", "P", rx.pharmacy.ncpdp_id.as_str())?;
            qualified(xml, "From", "D", &rx.prescriber.spi)?;
            leaf(xml, "MessageID", &wire_id(rx.message))?;
            leaf(xml, "SentTime", &time(rx.sent_at))?;
            sender(xml, software)?;
            leaf(xml, "PrescriberOrderNumber", &rx.prescription.uuid().simple().to_string())
        })?;
        element(xml, "Body", |xml| {
            element(xml, "NewRx", |xml| {
                for allergy in &rx.allergies {
                    element(xml, "AllergyOrAdverseEvent", |xml| {
                        element(xml, "Allergies", |xml| {
                            element(xml, "DrugProductCoded", |xml| leaf(xml, "Text", allergy))
                        })
                    })?;
                }
                patient(xml, rx)?;
                pharmacy(xml, &rx.pharmacy)?;
                prescriber(xml, rx)?;
                medication(xml, rx)
            })
        })
    })
}

/// A Status for a message that came in, or an Error where it is refused.
pub fn acknowledgement(answer: &Acknowledgement, software: &Software) -> io::Result<String> {
    message(|xml| {
        element(xml, "Header", |xml| {
            leaf(xml, "MessageID", &wire_id(answer.id))?;
            if let Some(relates_to) = &answer.relates_to {
                leaf(xml, "RelatesToMessageID", relates_to)?;
            }
            leaf(xml, "SentTime", &time(answer.at))?;
            sender(xml, software)
        })?;
        element(xml, "Body", |xml| match &answer.refusal {
            None => element(xml, "Status", |xml| leaf(xml, "Code", "010")),
            Some(cause) => element(xml, "Error", |xml| {
                leaf(xml, "Code", "900")?;
                leaf(xml, "Description", cause)
            }),
        })
    })
}

/// An id as messages carry it: 32 characters, within the 35 that the field
/// takes.
pub(crate) fn wire_id(id: ErxMessageId) -> String {
    id.uuid().simple().to_string()
}

fn message(body: impl FnOnce(&mut Xml) -> io::Result<()>) -> io::Result<String> {
    let mut xml = Writer::new(Vec::new());
    xml.write_event(Event::Decl(BytesDecl::new("1.0", Some("UTF-8"), None)))?;
    xml.create_element("Message")
        .with_attribute(("DatatypesVersion", "20170715"))
        .with_attribute(("TransportVersion", "20170715"))
        .with_attribute(("TransactionDomain", "SCRIPT"))
        .with_attribute(("TransactionVersion", "20170715"))
        .with_attribute(("StructuresVersion", "20170715"))
        .with_attribute(("ECLVersion", "20170715"))
        .write_inner_content(body)?;
    String::from_utf8(xml.into_inner()).map_err(io::Error::other)
}

fn patient(xml: &mut Xml, rx: &NewRx) -> io::Result<()> {
    let patient = &rx.patient;
    element(xml, "Patient", |xml| {
        element(xml, "HumanPatient", |xml| {
            name(xml, &patient.name)?;
            leaf(xml, "Gender", gender(patient.sex))?;
            element(xml, "DateOfBirth", |xml| leaf(xml, "Date", &patient.birth_date.to_string()))?;
            address(xml, &patient.address)?;
            telephone(xml, patient.phone.as_str())
        })
    })
}

fn pharmacy(xml: &mut Xml, pharmacy: &Pharmacy) -> io::Result<()> {
    element(xml, "Pharmacy", |xml| {
        element(xml, "Identification", |xml| {
            leaf(xml, "NCPDPID", pharmacy.ncpdp_id.as_str())?;
            leaf(xml, "NPI", pharmacy.npi.as_str())
        })?;
        leaf(xml, "BusinessName", &pharmacy.name)?;
        address(xml, &pharmacy.address)?;
        telephone(xml, pharmacy.phone.as_str())
    })
}

fn prescriber(xml: &mut Xml, rx: &NewRx) -> io::Result<()> {
    let prescriber = &rx.prescriber;
    element(xml, "Prescriber", |xml| {
        element(xml, "NonVeterinarian", |xml| {
            element(xml, "Identification", |xml| {
                leaf(xml, "StateLicenseNumber", &prescriber.license_number)?;
                if let Some(dea) = &prescriber.dea {
                    leaf(xml, "DEANumber", dea.as_str())?;
                }
                leaf(xml, "NPI", prescriber.npi.as_str())
            })?;
            name(xml, &prescriber.name)?;
            address(xml, &prescriber.address)?;
            telephone(xml, prescriber.phone.as_str())
        })
    })
}

fn medication(xml: &mut Xml, rx: &NewRx) -> io::Result<()> {
    element(xml, "MedicationPrescribed", |xml| {
        leaf(xml, "DrugDescription", &rx.medication.display)?;
        element(xml, "DrugCoded", |xml| {
            coded(xml, "ProductCode", rx.medication.ndc.as_str(), "ND")?;
            element(xml, "Strength", |xml| leaf(xml, "StrengthValue", &rx.medication.strength))?;
            coded(xml, "DrugDBCode", rx.medication.rxnorm.as_str(), term_type(rx))?;
            element(xml, "DEASchedule", |xml| leaf(xml, "Code", dea(rx.medication.schedule)))
        })?;
        element(xml, "Quantity", |xml| {
            leaf(xml, "Value", &rx.dosing.quantity.to_string())?;
            leaf(xml, "CodeListQualifier", "38")?;
            element(xml, "QuantityUnitOfMeasure", |xml| leaf(xml, "Code", rx.dosing.unit.ncpdp()))
        })?;
        leaf(xml, "DaysSupply", &rx.dosing.days_supply.to_string())?;
        element(xml, "WrittenDate", |xml| leaf(xml, "Date", &rx.written_on.to_string()))?;
        leaf(xml, "Substitutions", "0")?;
        leaf(xml, "NumberOfRefills", &rx.dosing.refills.to_string())?;
        element(xml, "Diagnosis", |xml| {
            element(xml, "Primary", |xml| {
                leaf(xml, "Code", rx.diagnosis.code.as_str())?;
                leaf(xml, "Qualifier", "ABF")?;
                leaf(xml, "Description", &rx.diagnosis.display)
            })
        })?;
        element(xml, "Sig", |xml| leaf(xml, "SigText", &rx.dosing.sig))
    })
}

/// RxNorm writes the brand of a branded drug in brackets at the end of its
/// name; a drug without one is a clinical drug.
fn term_type(rx: &NewRx) -> &'static str {
    if rx.medication.display.trim_end().ends_with(']') { "SBD" } else { "SCD" }
}

fn gender(sex: Sex) -> &'static str {
    match sex {
        Sex::Male => "M",
        Sex::Female => "F",
        Sex::Other | Sex::Unknown => "U",
    }
}

/// The codes of the NCI thesaurus for the schedules.
fn dea(schedule: DeaSchedule) -> &'static str {
    match schedule {
        DeaSchedule::None => "C38046",
        DeaSchedule::Ii => "C48675",
        DeaSchedule::Iii => "C48676",
        DeaSchedule::Iv => "C48677",
        DeaSchedule::V => "C48679",
    }
}

fn name(xml: &mut Xml, name: &HumanName) -> io::Result<()> {
    element(xml, "Name", |xml| {
        leaf(xml, "LastName", &name.family)?;
        leaf(xml, "FirstName", &name.given)
    })
}

fn address(xml: &mut Xml, address: &Address) -> io::Result<()> {
    element(xml, "Address", |xml| {
        leaf(xml, "AddressLine1", &address.line1)?;
        if let Some(line2) = &address.line2 {
            leaf(xml, "AddressLine2", line2)?;
        }
        leaf(xml, "City", &address.city)?;
        leaf(xml, "StateProvince", &address.state.to_string())?;
        leaf(xml, "PostalCode", &address.postal_code)?;
        leaf(xml, "CountryCode", Address::COUNTRY)
    })
}

/// A telephone number without the country code, as the network writes it.
fn telephone(xml: &mut Xml, number: &str) -> io::Result<()> {
    let national = number.strip_prefix("+1").unwrap_or(number);
    element(xml, "CommunicationNumbers", |xml| {
        element(xml, "PrimaryTelephone", |xml| leaf(xml, "Number", national))
    })
}

fn sender(xml: &mut Xml, software: &Software) -> io::Result<()> {
    element(xml, "SenderSoftware", |xml| {
        leaf(xml, "SenderSoftwareDeveloper", &software.developer)?;
        leaf(xml, "SenderSoftwareProduct", &software.product)?;
        leaf(xml, "SenderSoftwareVersionRelease", &software.version)
    })
}

fn coded(xml: &mut Xml, outer: &str, code: &str, qualifier: &str) -> io::Result<()> {
    element(xml, outer, |xml| {
        leaf(xml, "Code", code)?;
        leaf(xml, "Qualifier", qualifier)
    })
}

fn qualified(xml: &mut Xml, outer: &str, qualifier: &str, value: &str) -> io::Result<()> {
    xml.create_element(outer)
        .with_attribute(("Qualifier", qualifier))
        .write_text_content(text(value))?;
    Ok(())
}

fn element(
    xml: &mut Xml,
    name: &str,
    inner: impl FnOnce(&mut Xml) -> io::Result<()>,
) -> io::Result<()> {
    xml.create_element(name).write_inner_content(inner)?;
    Ok(())
}

fn leaf(xml: &mut Xml, name: &str, value: &str) -> io::Result<()> {
    xml.create_element(name).write_text_content(text(value))?;
    Ok(())
}

fn text(value: &str) -> BytesText<'static> {
    BytesText::from_escaped(escape(printable(value)).into_owned())
}

/// The text with what XML 1.0 forbids replaced.
pub(crate) fn printable(value: &str) -> Cow<'_, str> {
    let allowed = |c: char| matches!(c, '\t' | '\n' | '\r' | ' '..='\u{D7FF}' | '\u{E000}'..='\u{FFFD}' | '\u{10000}'..);
    if value.chars().all(allowed) {
        Cow::Borrowed(value)
    } else {
        value.chars().map(|c| if allowed(c) { c } else { '\u{FFFD}' }).collect::<String>().into()
    }
}

fn time(at: DateTime<Utc>) -> String {
    at.to_rfc3339_opts(SecondsFormat::Millis, true)
}

#[cfg(test)]
mod tests;
