//! Forms as FHIR R4 Questionnaires and responses as QuestionnaireResponses, and
//! back. What FHIR has an element or a published extension for uses it; the
//! rest goes into extensions of Salus, so that nothing is lost on the way.

mod extension;
mod item;
mod response;

use serde_json::{Map, Value, json};

use self::extension::{nested, own, part};
pub use self::response::{answers_of, questionnaire_response};
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
    let items = definition.items.iter().map(|item| item::write(item, photo_limit));
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

/// Reads a definition from a Questionnaire. Whether the form makes sense is for
/// its publication to say.
pub fn to_definition(resource: &Value) -> Result<FormDefinition, Unreadable> {
    if resource["resourceType"] != "Questionnaire" {
        return Err(Unreadable::new("resourceType", "This is no Questionnaire."));
    }
    let title = resource["title"]
        .as_str()
        .or(resource["name"].as_str())
        .ok_or_else(|| Unreadable::new("title", "A form has a title."))?;
    let rules = own(resource, "rule").map(read_rule).collect::<Result<_, _>>()?;
    Ok(FormDefinition {
        title: title.to_owned(),
        description: resource["description"].as_str().map(str::to_owned),
        items: item::read_all(resource, "item")?,
        rules,
    })
}

fn read_rule(extension: &Value) -> Result<CrossRule, Unreadable> {
    let text = |name: &str, value: &str| {
        part(extension, name)
            .and_then(|part| part[value].as_str())
            .map(str::to_owned)
            .ok_or_else(|| Unreadable::new("extension", format!("The rule has no {name}.")))
    };
    Ok(CrossRule {
        left: text("left", "valueString")?,
        operator: text("operator", "valueCode")?
            .parse()
            .map_err(|_| Unreadable::new("extension", "The rule has no known operator."))?,
        right: text("right", "valueString")?,
        message: text("message", "valueString")?,
    })
}

#[cfg(test)]
mod tests;
