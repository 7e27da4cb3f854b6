//! Forms as FHIR R4 Questionnaires and responses as QuestionnaireResponses, and
//! back. What FHIR has an element or a published extension for uses it; the
//! rest goes into extensions of Salus, so that nothing is lost on the way.

mod expression;
mod extension;
mod import;
mod item;
mod known;
mod parts;
mod response;

use serde_json::{Map, Value, json};

use self::extension::nested;
pub use self::{
    import::{Imported, to_definition},
    response::{answers_of, questionnaire_response},
};
use crate::{CrossRule, FormDefinition, FormVersion, VersionStatus};

/// Why a resource is not one that a form can be read from: the place, and what
/// is wrong there.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[error("{path}: {message}")]
pub struct Unreadable {
    pub path: String,
    pub message: String,
}

impl Unreadable {
    fn new(path: impl Into<String>, message: impl Into<String>) -> Self {
        Self { path: path.into(), message: message.into() }
    }
}

/// The canonical address of a version.
pub fn canonical(version: &FormVersion) -> String {
    format!("urn:uuid:{}", version.id)
}

/// The version as a Questionnaire, where a photo has at most so many bytes.
pub fn questionnaire(version: &FormVersion, photo_limit: usize) -> Value {
    let mut resource = from_definition(&version.definition, photo_limit);
    let (status, date) = match version.status {
        VersionStatus::Draft => ("draft", None),
        VersionStatus::Published { at } => ("active", Some(at)),
        VersionStatus::Retired { at, .. } => ("retired", Some(at)),
    };
    resource["id"] = json!(version.id.to_string());
    resource["url"] = json!(canonical(version));
    resource["version"] = json!(version.number.to_string());
    resource["name"] = json!(version.form.slug);
    resource["status"] = json!(status);
    if let Some(date) = date {
        resource["date"] = json!(date.to_rfc3339_opts(chrono::SecondsFormat::Secs, true));
    }
    resource
}

/// The definition alone as a Questionnaire.
pub fn from_definition(definition: &FormDefinition, photo_limit: usize) -> Value {
    let mut resource = Map::new();
    resource.insert("resourceType".into(), json!("Questionnaire"));
    resource.insert("status".into(), json!("draft"));
    resource.insert("title".into(), json!(definition.title));
    resource.insert("subjectType".into(), json!(["Patient"]));
    if let Some(description) = &definition.description {
        resource.insert("description".into(), json!(description));
    }
    let rules: Vec<Value> = definition.rules.iter().map(rule).collect();
    if !rules.is_empty() {
        resource.insert("extension".into(), rules.into());
    }
    let writer = item::Writer::new(definition, photo_limit);
    let items = definition.items.iter().map(|item| writer.write(item));
    resource.insert("item".into(), items.collect());
    resource.into()
}

fn rule(rule: &CrossRule) -> Value {
    nested(
        "rule",
        [
            ("left", json!({ "valueString": rule.left })),
            ("operator", json!({ "valueCode": rule.operator.to_string() })),
            ("right", json!({ "valueString": rule.right })),
            ("message", json!({ "valueString": rule.message })),
        ],
    )
}

#[cfg(test)]
mod tests;
