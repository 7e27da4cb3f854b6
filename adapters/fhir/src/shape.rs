//! How much of what is found is shown, and how it is written.

use kernel::PhotoId;
use records::ResourceType;
use serde_json::{Value, json};

use crate::{accept, outcome::Failure};

/// What the parameters of the result ask for.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub(crate) struct Shape {
    pub(crate) pretty: bool,
    /// Which form was named, so that the `Accept` header does not count.
    pub(crate) format: bool,
    /// Only how many there are.
    pub(crate) count: bool,
    /// Only these elements, and those without which the others mislead.
    elements: Option<Vec<String>>,
}

impl Shape {
    /// Takes a parameter that says how any answer looks; `false` where it is
    /// none of these.
    pub(crate) fn apply(&mut self, name: &str, value: &str) -> Result<bool, Failure> {
        match (name, value) {
            ("_format", value) => {
                accept::format(value)?;
                self.format = true;
            }
            ("_pretty", "true") => self.pretty = true,
            ("_pretty", "false") => self.pretty = false,
            ("_pretty", _) => return Err(Failure::invalid("_pretty is true or false.")),
            // No resource here has a narrative, which is what `data` leaves out.
            ("_summary", "false" | "data") => {}
            ("_summary", "count") => self.count = true,
            ("_summary", _) => {
                return Err(Failure::unsupported("_summary takes count, data and false."));
            }
            ("_elements", value) => {
                let names = value.split(',').map(str::trim).filter(|name| !name.is_empty());
                self.elements.get_or_insert_default().extend(names.map(str::to_owned));
            }
            _ => return Ok(false),
        }
        Ok(true)
    }

    pub(crate) fn is_whole(&self) -> bool {
        !self.count && self.elements.is_none()
    }

    pub(crate) fn write(&self, body: &Value) -> String {
        if self.pretty { format!("{body:#}") } else { body.to_string() }
    }

    /// Leaves out what was not asked for, and says so.
    pub(crate) fn reduce(&self, kind: ResourceType, content: &Value) -> Value {
        let (Some(asked), Some(all)) = (&self.elements, content.as_object()) else {
            return content.clone();
        };
        let whole_kind = format!("{kind}.");
        let asked: Vec<&str> = asked
            .iter()
            .map(|name| name.strip_prefix(&whole_kind).unwrap_or(name))
            .map(|name| name.split('.').next().unwrap_or_default())
            .collect();
        let keeps = |key: &String| {
            kept(kind).contains(&key.as_str())
                || asked.contains(&key.trim_start_matches('_'))
                || CHOICES.iter().any(|choice| key.starts_with(choice) && asked.contains(choice))
        };
        let mut reduced: serde_json::Map<String, Value> = all
            .iter()
            .filter(|(key, _)| keeps(key))
            .map(|(key, value)| (key.clone(), value.clone()))
            .collect();
        let tag = json!({
            "system": "http://terminology.hl7.org/CodeSystem/v3-ObservationValue",
            "code": "SUBSETTED",
        });
        let meta = reduced.entry("meta").or_insert_with(|| json!({}));
        match meta["tag"].as_array_mut() {
            Some(tags) => tags.push(tag),
            None => meta["tag"] = json!([tag]),
        }
        reduced.into()
    }
}

/// Elements of several types, whose type is the end of their name.
const CHOICES: [&str; 3] = ["medication", "reported", "effective"];

/// What a resource is not one without, and what changes its meaning.
fn kept(kind: ResourceType) -> &'static [&'static str] {
    match kind {
        ResourceType::Patient => &["resourceType", "id", "meta", "active"],
        ResourceType::QuestionnaireResponse => &["resourceType", "id", "meta", "status"],
        ResourceType::MedicationRequest => &[
            "resourceType",
            "id",
            "meta",
            "status",
            "intent",
            "medicationCodeableConcept",
            "subject",
        ],
        ResourceType::Encounter => &["resourceType", "id", "meta", "status", "class"],
        ResourceType::AllergyIntolerance => {
            &["resourceType", "id", "meta", "clinicalStatus", "verificationStatus", "patient"]
        }
        ResourceType::MedicationStatement => {
            &["resourceType", "id", "meta", "status", "medicationCodeableConcept", "subject"]
        }
    }
}

/// A file as a resource.
pub(crate) fn binary(file: &records::sources::HeldFile, data: String) -> Value {
    let id: PhotoId = file.id;
    json!({
        "resourceType": "Binary",
        "id": id.to_string(),
        "meta": {
            "versionId": "1",
            "lastUpdated": file.created_at.to_rfc3339_opts(chrono::SecondsFormat::Millis, true),
        },
        "contentType": file.content_type,
        "securityContext": {"reference": format!("QuestionnaireResponse/{}", file.response)},
        "data": data,
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    fn shape(pairs: &[(&str, &str)]) -> Result<Shape, Failure> {
        let mut shape = Shape::default();
        for (name, value) in pairs {
            assert!(shape.apply(name, value)?, "{name}");
        }
        Ok(shape)
    }

    #[test]
    fn what_is_asked_for_is_left_with_what_it_means_nothing_without() {
        let content = json!({
            "resourceType": "MedicationStatement", "id": "1", "meta": {"versionId": "1"},
            "status": "active", "medicationCodeableConcept": {}, "subject": {},
            "effectivePeriod": {}, "dateAsserted": "2026", "dosage": [],
        });
        let keys = |elements: &str| {
            let reduced = shape(&[("_elements", elements)])
                .unwrap()
                .reduce(ResourceType::MedicationStatement, &content);
            assert_eq!(reduced["meta"]["tag"][0]["code"], "SUBSETTED");
            assert_eq!(reduced["meta"]["versionId"], "1");
            reduced.as_object().unwrap().keys().cloned().collect::<Vec<_>>()
        };
        let always =
            ["id", "medicationCodeableConcept", "meta", "resourceType", "status", "subject"];
        assert_eq!(keys("id"), always);
        let more = keys("effective,MedicationStatement.dosage.text");
        assert!(
            more.contains(&"effectivePeriod".to_owned()) && more.contains(&"dosage".to_owned())
        );
        assert_eq!(more.len(), always.len() + 2);
        let whole = Shape::default().reduce(ResourceType::MedicationStatement, &content);
        assert_eq!(whole, content);
    }

    #[test]
    fn only_values_that_are_not_served_are_refused() {
        for known in [
            ("_summary", "count"),
            ("_summary", "false"),
            ("_elements", "id"),
            ("_pretty", "true"),
            ("_format", "application/fhir json"),
        ] {
            assert!(shape(&[known]).is_ok(), "{known:?}");
        }
        for bad in [("_summary", "text"), ("_summary", "yes"), ("_pretty", "1"), ("_format", "xml")]
        {
            assert!(shape(&[bad]).is_err(), "{bad:?}");
        }
    }
}
