//! SCRIPT as the pharmacy's side reads and writes it: a flat table of paths,
//! which is enough to see what a message holds and what it lacks.

use std::{collections::BTreeMap, fmt::Write as _};

use quick_xml::{
    Reader,
    escape::{escape, resolve_predefined_entity},
    events::Event,
};

/// The first text at each path of a message, and every path there is.
#[derive(Debug, Default)]
pub struct Fields {
    texts: BTreeMap<String, String>,
}

impl Fields {
    pub fn read(text: &str) -> Result<Self, String> {
        let mut reader = Reader::from_str(text);
        let mut fields = Self::default();
        let mut path: Vec<String> = Vec::new();
        let mut seen_root = false;
        loop {
            match reader.read_event().map_err(|error| error.to_string())? {
                Event::Start(start) => {
                    if path.is_empty() && seen_root {
                        return Err("there is more than one root".to_owned());
                    }
                    seen_root = true;
                    path.push(AsRef::<str>::as_ref(&start.local_name()).to_owned());
                    fields.texts.entry(path.join("/")).or_default();
                }
                Event::Empty(start) => {
                    let name = AsRef::<str>::as_ref(&start.local_name()).to_owned();
                    let below = path.join("/");
                    let whole = if below.is_empty() { name } else { format!("{below}/{name}") };
                    fields.texts.entry(whole).or_default();
                }
                Event::End(_) => {
                    path.pop();
                }
                Event::Text(text) => fields.append(&path, &text.xml10_content()),
                Event::CData(text) => fields.append(&path, &text.xml10_content()),
                Event::GeneralRef(reference) => {
                    let text = match reference.resolve_char_ref() {
                        Ok(Some(character)) => character.to_string(),
                        Ok(None) => resolve_predefined_entity(&reference.xml10_content())
                            .ok_or("there is an unknown entity")?
                            .to_owned(),
                        Err(error) => return Err(error.to_string()),
                    };
                    fields.append(&path, &text);
                }
                Event::DocType(_) => return Err("document types are not taken".to_owned()),
                Event::Eof => break,
                _ => {}
            }
        }
        if path.is_empty() && seen_root {
            Ok(fields)
        } else {
            Err("the message is cut short".to_owned())
        }
    }

    fn append(&mut self, path: &[String], text: &str) {
        if let Some(held) = self.texts.get_mut(&path.join("/")) {
            held.push_str(text);
        }
    }

    pub fn has(&self, path: &str) -> bool {
        self.texts.contains_key(path)
    }

    pub fn get(&self, path: &str) -> Option<&str> {
        self.texts.get(path).map(|text| text.trim()).filter(|text| !text.is_empty())
    }
}

/// Why a message is refused.
#[derive(Debug, PartialEq, Eq)]
pub struct Problem {
    pub description_code: &'static str,
    pub description: String,
}

/// What every NewRx must hold, below `Message`.
const REQUIRED: &[&str] = &[
    "Header/To",
    "Header/From",
    "Header/MessageID",
    "Header/SentTime",
    "Header/PrescriberOrderNumber",
    "Body/NewRx/Patient/HumanPatient/Name/LastName",
    "Body/NewRx/Patient/HumanPatient/Name/FirstName",
    "Body/NewRx/Patient/HumanPatient/Gender",
    "Body/NewRx/Patient/HumanPatient/DateOfBirth/Date",
    "Body/NewRx/Patient/HumanPatient/Address/AddressLine1",
    "Body/NewRx/Patient/HumanPatient/Address/City",
    "Body/NewRx/Patient/HumanPatient/Address/StateProvince",
    "Body/NewRx/Patient/HumanPatient/Address/PostalCode",
    "Body/NewRx/Patient/HumanPatient/Address/CountryCode",
    "Body/NewRx/Patient/HumanPatient/CommunicationNumbers/PrimaryTelephone/Number",
    "Body/NewRx/Pharmacy/Identification/NCPDPID",
    "Body/NewRx/Pharmacy/BusinessName",
    "Body/NewRx/Prescriber/NonVeterinarian/Identification/NPI",
    "Body/NewRx/Prescriber/NonVeterinarian/Identification/StateLicenseNumber",
    "Body/NewRx/Prescriber/NonVeterinarian/Name/LastName",
    "Body/NewRx/Prescriber/NonVeterinarian/Address/CountryCode",
    "Body/NewRx/Prescriber/NonVeterinarian/CommunicationNumbers/PrimaryTelephone/Number",
    "Body/NewRx/MedicationPrescribed/DrugDescription",
    "Body/NewRx/MedicationPrescribed/DrugCoded/ProductCode/Code",
    "Body/NewRx/MedicationPrescribed/Quantity/Value",
    "Body/NewRx/MedicationPrescribed/Quantity/CodeListQualifier",
    "Body/NewRx/MedicationPrescribed/Quantity/QuantityUnitOfMeasure/Code",
    "Body/NewRx/MedicationPrescribed/WrittenDate/Date",
    "Body/NewRx/MedicationPrescribed/Substitutions",
    "Body/NewRx/MedicationPrescribed/NumberOfRefills",
    "Body/NewRx/MedicationPrescribed/Sig/SigText",
];

/// The unit codes that this pharmacy dispenses in.
const UNITS: &[&str] = &["C48542", "C48480", "C28254", "C48155", "C64933"];

pub fn validate_new_rx(fields: &Fields) -> Result<(), Problem> {
    let refuse = |code, description: String| Err(Problem { description_code: code, description });
    if !fields.has("Message/Body/NewRx") {
        return refuse("1000", "only NewRx is taken here".to_owned());
    }
    for path in REQUIRED {
        if fields.get(&format!("Message/{path}")).is_none() {
            return refuse("2000", format!("{path} is missing"));
        }
    }
    let text = |path: &str| fields.get(&format!("Message/{path}")).unwrap_or_default();
    let digits = |value: &str, count: usize| {
        value.len() == count && value.bytes().all(|byte| byte.is_ascii_digit())
    };
    if text("Header/MessageID").chars().count() > 35 {
        return refuse("2001", "Header/MessageID is longer than 35 characters".to_owned());
    }
    let ncpdp_id = text("Body/NewRx/Pharmacy/Identification/NCPDPID");
    if !digits(ncpdp_id, 7) || ncpdp_id != text("Header/To") {
        return refuse("2002", "the NCPDP id is not that of the addressee".to_owned());
    }
    if !digits(text("Body/NewRx/Prescriber/NonVeterinarian/Identification/NPI"), 10) {
        return refuse("2003", "the prescriber's NPI has not ten digits".to_owned());
    }
    if !digits(text("Body/NewRx/MedicationPrescribed/DrugCoded/ProductCode/Code"), 11) {
        return refuse("2004", "the product code is no NDC of eleven digits".to_owned());
    }
    if !UNITS.contains(&text("Body/NewRx/MedicationPrescribed/Quantity/QuantityUnitOfMeasure/Code"))
    {
        return refuse("2005", "the unit of measure is not known".to_owned());
    }
    let quantity = text("Body/NewRx/MedicationPrescribed/Quantity/Value");
    if !quantity.bytes().all(|byte| byte.is_ascii_digit() || byte == b'.')
        || !quantity.bytes().any(|byte| (b'1'..=b'9').contains(&byte))
    {
        return refuse("2006", "the quantity is no positive number".to_owned());
    }
    let schedule = text("Body/NewRx/MedicationPrescribed/DrugCoded/DEASchedule/Code");
    if !matches!(schedule, "" | "C38046")
        && fields
            .get("Message/Body/NewRx/Prescriber/NonVeterinarian/Identification/DEANumber")
            .is_none()
    {
        return refuse("2007", "a controlled substance needs a DEA number".to_owned());
    }
    Ok(())
}

/// A message of the pharmacy that answers one of the sender's.
#[derive(Debug)]
pub struct Outgoing {
    pub message_id: String,
    pub relates_to: String,
    pub sent_at: String,
}

impl Outgoing {
    pub fn status(&self) -> String {
        self.wrap("<Status><Code>010</Code></Status>")
    }

    pub fn error(&self, problem: &Problem) -> String {
        self.wrap(&format!(
            "<Error><Code>900</Code><DescriptionCode>{}</DescriptionCode>\
             <Description>{}</Description></Error>",
            problem.description_code,
            escape(problem.description.as_str())
        ))
    }

    pub fn verify(&self) -> String {
        self.wrap("<Verify><VerifyStatus><Code>010</Code></VerifyStatus></Verify>")
    }

    fn wrap(&self, body: &str) -> String {
        let mut text = String::from("<?xml version=\"1.0\" encoding=\"UTF-8\"?>\n");
        let _ = write!(
            text,
            "<Message DatatypesVersion=\"20170715\" TransportVersion=\"20170715\" \
             TransactionDomain=\"SCRIPT\" TransactionVersion=\"20170715\" \
             StructuresVersion=\"20170715\" ECLVersion=\"20170715\">\n  <Header>\n    \
             <MessageID>{}</MessageID>\n    <RelatesToMessageID>{}</RelatesToMessageID>\n    \
             <SentTime>{}</SentTime>\n  </Header>\n  <Body>{body}</Body>\n</Message>\n",
            escape(self.message_id.as_str()),
            escape(self.relates_to.as_str()),
            self.sent_at,
        );
        text
    }
}

/// The answer to what cannot even be read.
pub fn unreadable(cause: &str, sent_at: &str) -> String {
    format!(
        "<?xml version=\"1.0\" encoding=\"UTF-8\"?>\n<Message TransactionDomain=\"SCRIPT\">\
         <Header><MessageID>unreadable</MessageID><SentTime>{sent_at}</SentTime></Header>\
         <Body><Error><Code>900</Code><DescriptionCode>1001</DescriptionCode>\
         <Description>{}</Description></Error></Body></Message>",
        escape(cause)
    )
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn texts_are_found_by_their_paths() {
        let fields = Fields::read(
            "<m:Message xmlns:m='x'><Header><MessageID>a&amp;b</MessageID><Empty/></Header></m:Message>",
        )
        .unwrap();
        assert_eq!(fields.get("Message/Header/MessageID"), Some("a&b"));
        assert!(fields.has("Message/Header/Empty"));
        assert_eq!(fields.get("Message/Header/Empty"), None);
        for bad in ["", "<a>", "<a></b>", "<a/", "<!DOCTYPE a><a/>"] {
            assert!(Fields::read(bad).is_err(), "{bad}");
        }
    }

    #[test]
    fn a_message_that_lacks_a_field_is_told_which() {
        let fields = Fields::read("<Message><Body><NewRx/></Body></Message>").unwrap();
        let problem = validate_new_rx(&fields).unwrap_err();
        assert_eq!(problem.description_code, "2000");
        assert!(problem.description.contains("Header/To"));
    }
}
