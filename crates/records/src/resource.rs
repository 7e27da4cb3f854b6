//! A FHIR resource with its versions, and the tokens by which it is found.

use chrono::{DateTime, SecondsFormat, Utc};
use kernel::PatientId;
use serde_json::{Map, Value, json};
use strum::{Display, EnumIter, EnumString, IntoStaticStr};
use uuid::Uuid;

/// The types that Salus keeps, by their FHIR names.
#[derive(
    Clone,
    Copy,
    Debug,
    PartialEq,
    Eq,
    PartialOrd,
    Ord,
    Hash,
    Display,
    EnumIter,
    EnumString,
    IntoStaticStr,
)]
pub enum ResourceType {
    Patient,
    QuestionnaireResponse,
    MedicationRequest,
    Encounter,
    AllergyIntolerance,
    MedicationStatement,
}

/// One version of a resource. A resource's id is the id of what it was made
/// from.
#[derive(Clone, Debug, PartialEq)]
pub struct Resource {
    pub kind: ResourceType,
    pub id: Uuid,
    /// From 1 on, without gaps.
    pub version: i64,
    pub patient: PatientId,
    pub last_updated: DateTime<Utc>,
    pub deleted: bool,
    /// The version of what it was made from.
    pub source_version: i64,
    /// The JSON as it is served, with its id and its `meta`.
    pub content: Value,
}

/// A resource as it is to become, before it has a version.
#[derive(Clone, Debug, PartialEq)]
pub struct Draft {
    pub kind: ResourceType,
    pub id: Uuid,
    pub patient: PatientId,
    pub source_version: i64,
    pub content: Value,
}

impl Draft {
    /// The next version, or `None` where there is nothing new: events come
    /// twice and out of order, so an older source and an equal content change
    /// nothing.
    pub fn after(self, current: Option<&Resource>, now: DateTime<Utc>) -> Option<Resource> {
        if let Some(current) = current {
            let stale = self.source_version < current.source_version;
            let same = !current.deleted && without_version(&current.content) == self.unversioned();
            if stale || same {
                return None;
            }
        }
        let version = current.map_or(1, |current| current.version + 1);
        let mut resource = Resource {
            kind: self.kind,
            id: self.id,
            version,
            patient: self.patient,
            last_updated: now,
            deleted: false,
            source_version: self.source_version,
            content: self.content,
        };
        resource.stamp();
        Some(resource)
    }

    fn unversioned(&self) -> Value {
        let mut content = without_version(&self.content);
        content["resourceType"] = json!(self.kind.to_string());
        content["id"] = json!(self.id.to_string());
        content
    }
}

impl Resource {
    /// Names files by their place on the FHIR surface. Versions of before they
    /// were served there link to the operation that reads a photo, which the
    /// tokens of FHIR clients do not open.
    pub fn relink(&mut self) {
        if self.kind == ResourceType::QuestionnaireResponse {
            relink(&mut self.content["item"]);
        }
    }

    fn stamp(&mut self) {
        self.content["resourceType"] = json!(self.kind.to_string());
        self.content["id"] = json!(self.id.to_string());
        if !self.content["meta"].is_object() {
            self.content["meta"] = Value::Object(Map::new());
        }
        self.content["meta"]["versionId"] = json!(self.version.to_string());
        self.content["meta"]["lastUpdated"] =
            json!(self.last_updated.to_rfc3339_opts(SecondsFormat::Millis, true));
    }

    /// What the resource can be found by.
    pub fn tokens(&self) -> Vec<Token> {
        let content = &self.content;
        let mut tokens = Vec::new();
        if let Some(status) = content["status"].as_str() {
            tokens.push(Token::clear("status", status.to_owned()));
            tokens.extend(
                status_system(self.kind).map(|system| Token::clear("status", format!("{system}|"))),
            );
        }
        let code = match self.kind {
            ResourceType::AllergyIntolerance => Some(&content["code"]),
            ResourceType::MedicationRequest | ResourceType::MedicationStatement => {
                Some(&content["medicationCodeableConcept"])
            }
            _ => None,
        };
        for coding in code.and_then(|code| code["coding"].as_array()).into_iter().flatten() {
            tokens.extend(token_forms("code", &coding["system"], &coding["code"]));
        }
        if self.kind == ResourceType::Patient {
            for identifier in content["identifier"].as_array().into_iter().flatten() {
                let (system, value) = (&identifier["system"], &identifier["value"]);
                tokens.extend(token_forms("identifier", system, value));
            }
        }
        tokens.sort_unstable();
        tokens.dedup();
        tokens
    }
}

/// A word by which a resource is found: a search parameter and its value, as
/// `code`, `system|code` or `system|`, or `|code` where there is no system.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub struct Token {
    pub parameter: &'static str,
    pub value: String,
    /// It tells something of the patient, so that only its blind index may be
    /// kept.
    pub sensitive: bool,
}

/// Counts up when resources get further tokens, so that those of before are
/// indexed again.
pub const INDEX: i16 = 2;

/// A coded value as a search names it.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Sought {
    /// The code, of whichever system.
    Code(String),
    /// The code of this system.
    Of { system: String, code: String },
    /// The code where it has no system.
    Bare(String),
    /// Any code of this system.
    System(String),
}

impl Token {
    fn clear(parameter: &'static str, value: String) -> Self {
        Self { parameter, value, sensitive: false }
    }

    fn sensitive(parameter: &'static str, value: String) -> Self {
        Self { parameter, value, sensitive: true }
    }

    /// The token that a search looks for; `None` where resources of this type
    /// are not searched by the parameter.
    pub fn sought(kind: ResourceType, parameter: &str, value: &Sought) -> Option<Self> {
        let (_, name) = SEARCHED.iter().find(|(of, name)| *of == kind && *name == parameter)?;
        Some(if *name == "status" {
            Self::clear(
                name,
                match value {
                    // A status has no system of its own, only that of the
                    // values that FHIR allows.
                    Sought::Code(code) | Sought::Bare(code) => code.clone(),
                    Sought::Of { system, code } if status_system(kind) == Some(system) => {
                        code.clone()
                    }
                    Sought::Of { system, code } => format!("{system}|{code}"),
                    Sought::System(system) => format!("{system}|"),
                },
            )
        } else {
            Self::sensitive(
                name,
                match value {
                    Sought::Code(code) => code.clone(),
                    Sought::Of { system, code } => format!("{system}|{code}"),
                    Sought::Bare(code) => format!("|{code}"),
                    Sought::System(system) => format!("{system}|"),
                },
            )
        })
    }
}

/// Where FHIR defines the values of a type's status.
fn status_system(kind: ResourceType) -> Option<&'static str> {
    match kind {
        ResourceType::QuestionnaireResponse => {
            Some("http://hl7.org/fhir/questionnaire-answers-status")
        }
        ResourceType::MedicationRequest => {
            Some("http://hl7.org/fhir/CodeSystem/medicationrequest-status")
        }
        ResourceType::Encounter => Some("http://hl7.org/fhir/encounter-status"),
        ResourceType::MedicationStatement => {
            Some("http://hl7.org/fhir/CodeSystem/medication-statement-status")
        }
        ResourceType::Patient | ResourceType::AllergyIntolerance => None,
    }
}

/// The token parameters of each type, besides those that all types have.
pub const SEARCHED: [(ResourceType, &str); 8] = [
    (ResourceType::Patient, "identifier"),
    (ResourceType::QuestionnaireResponse, "status"),
    (ResourceType::MedicationRequest, "status"),
    (ResourceType::MedicationRequest, "code"),
    (ResourceType::Encounter, "status"),
    (ResourceType::AllergyIntolerance, "code"),
    (ResourceType::MedicationStatement, "status"),
    (ResourceType::MedicationStatement, "code"),
];

fn token_forms(parameter: &'static str, system: &Value, code: &Value) -> Vec<Token> {
    let Some(code) = code.as_str() else { return Vec::new() };
    let mut forms = vec![Token::sensitive(parameter, code.to_owned())];
    match system.as_str() {
        Some(system) => {
            forms.push(Token::sensitive(parameter, format!("{system}|{code}")));
            forms.push(Token::sensitive(parameter, format!("{system}|")));
        }
        None => forms.push(Token::sensitive(parameter, format!("|{code}"))),
    }
    forms
}

/// The address of a file, as a resource links to it.
pub fn file_link(id: impl std::fmt::Display) -> String {
    format!("Binary/{id}")
}

fn relink(value: &mut Value) {
    match value {
        Value::Array(list) => list.iter_mut().for_each(relink),
        Value::Object(object) => {
            for (name, inner) in object {
                if name != "valueAttachment" {
                    relink(inner);
                } else if let Some(id) =
                    inner["url"].as_str().and_then(|url| url.strip_prefix("/api/photos/"))
                {
                    inner["url"] = json!(file_link(id));
                }
            }
        }
        _ => {}
    }
}

fn without_version(content: &Value) -> Value {
    let mut content = content.clone();
    if let Some(meta) = content.get_mut("meta").and_then(Value::as_object_mut) {
        meta.remove("versionId");
        meta.remove("lastUpdated");
        if meta.is_empty()
            && let Some(content) = content.as_object_mut()
        {
            content.remove("meta");
        }
    }
    content
}

#[cfg(test)]
mod tests {
    use super::*;

    fn draft(source_version: i64, status: &str) -> Draft {
        Draft {
            kind: ResourceType::MedicationRequest,
            id: Uuid::from_u128(7),
            patient: PatientId(Uuid::from_u128(1)),
            source_version,
            content: json!({
                "status": status,
                "meta": {"profile": ["p"]},
                "medicationCodeableConcept": {"coding": [{"system": "s", "code": "c"}]},
            }),
        }
    }

    fn at(seconds: i64) -> DateTime<Utc> {
        DateTime::from_timestamp(1_770_000_000 + seconds, 0).unwrap()
    }

    #[test]
    fn a_change_is_a_new_version_and_a_repetition_is_none() {
        let first = draft(1, "active").after(None, at(0)).unwrap();
        assert_eq!(first.version, 1);
        assert_eq!(first.content["meta"]["versionId"], "1");
        assert_eq!(first.content["meta"]["lastUpdated"], "2026-02-02T02:40:00.000Z");
        assert_eq!(first.content["meta"]["profile"][0], "p");
        assert_eq!(first.content["resourceType"], "MedicationRequest");
        assert_eq!(draft(1, "active").after(Some(&first), at(1)), None);
        assert_eq!(draft(2, "active").after(Some(&first), at(1)), None);
        let second = draft(2, "completed").after(Some(&first), at(1)).unwrap();
        assert_eq!((second.version, second.last_updated), (2, at(1)));
        assert_eq!(draft(1, "active").after(Some(&second), at(2)), None, "it is older");
    }

    #[test]
    fn a_code_is_found_with_and_without_its_system_and_never_in_the_clear() {
        let resource = draft(1, "active").after(None, at(0)).unwrap();
        let tokens = resource.tokens();
        assert!(tokens.contains(&Token::clear("status", "active".into())));
        let of = |system: &str, code: &str| Sought::Of { system: system.into(), code: code.into() };
        let sought = |parameter, value| Token::sought(resource.kind, parameter, &value).unwrap();
        for (value, found) in [
            (Sought::Code("c".into()), true),
            (of("s", "c"), true),
            (Sought::System("s".into()), true),
            (of("t", "c"), false),
            (Sought::System("t".into()), false),
            (Sought::Bare("c".into()), false),
        ] {
            let sought = sought("code", value);
            assert_eq!((sought.sensitive, tokens.contains(&sought)), (true, found), "{sought:?}");
        }
        let statuses = "http://hl7.org/fhir/CodeSystem/medicationrequest-status";
        for (value, found) in [
            (Sought::Code("active".into()), true),
            (Sought::Bare("active".into()), true),
            (of(statuses, "active"), true),
            (Sought::System(statuses.into()), true),
            (of("urn:other", "active"), false),
            (Sought::System("urn:other".into()), false),
        ] {
            let sought = sought("status", value);
            assert_eq!(tokens.contains(&sought), found, "{sought:?}");
        }
        let code = Sought::Code("c".into());
        assert_eq!(Token::sought(ResourceType::Encounter, "code", &code), None);
        let bare = token_forms("code", &Value::Null, &json!("c"));
        assert!(bare.contains(&sought("code", Sought::Bare("c".into()))));
    }

    #[test]
    fn a_photo_is_linked_to_where_it_is_served() {
        let mut resource = draft(1, "completed").after(None, at(0)).unwrap();
        resource.kind = ResourceType::QuestionnaireResponse;
        let answers = |url: &str| {
            json!([{"linkId": "a", "item": [{"answer": [{"valueAttachment": {"url": url}}]}],
                    "answer": [{"valueString": "/api/photos/7"}]}])
        };
        for (before, after) in [
            ("/api/photos/7", "Binary/7"),
            ("Binary/7", "Binary/7"),
            ("https://elsewhere.example/api/photos/7", "https://elsewhere.example/api/photos/7"),
        ] {
            resource.content["item"] = answers(before);
            resource.relink();
            assert_eq!(resource.content["item"], answers(after));
        }
    }
}
