//! Extensions: the published ones by their address, and those of Salus.

use serde_json::{Value, json};

pub const OWN: &str = "https://salus.health/fhir/StructureDefinition/";

pub const MINIMUM: &str = "http://hl7.org/fhir/StructureDefinition/minValue";
pub const MAXIMUM: &str = "http://hl7.org/fhir/StructureDefinition/maxValue";
pub const REGEX: &str = "http://hl7.org/fhir/StructureDefinition/regex";
pub const UNIT_OPTION: &str = "http://hl7.org/fhir/StructureDefinition/questionnaire-unitOption";
pub const LEAST: &str = "http://hl7.org/fhir/StructureDefinition/questionnaire-minOccurs";
pub const MOST: &str = "http://hl7.org/fhir/StructureDefinition/questionnaire-maxOccurs";
pub const MAX_SIZE: &str = "http://hl7.org/fhir/StructureDefinition/maxSize";
pub const MIME_TYPE: &str = "http://hl7.org/fhir/StructureDefinition/mimeType";
pub const ITEM_CONTROL: &str = "http://hl7.org/fhir/StructureDefinition/questionnaire-itemControl";
pub const ORDINAL: &str = "http://hl7.org/fhir/StructureDefinition/ordinalValue";
pub const EXCLUSIVE: &str = "http://hl7.org/fhir/StructureDefinition/questionnaire-optionExclusive";
pub const HIDDEN: &str = "http://hl7.org/fhir/StructureDefinition/questionnaire-hidden";
pub const UNIT: &str = "http://hl7.org/fhir/StructureDefinition/questionnaire-unit";
/// The other addresses under which the points of a choice are published.
pub const WEIGHTS: [&str; 3] = [
    ORDINAL,
    "http://hl7.org/fhir/StructureDefinition/itemWeight",
    "http://hl7.org/fhir/StructureDefinition/questionnaire-ordinalValue",
];
/// Limits with their unit, as Structured Data Capture has them.
pub const LEAST_QUANTITY: &str =
    "http://hl7.org/fhir/uv/sdc/StructureDefinition/sdc-questionnaire-minQuantity";
pub const MOST_QUANTITY: &str =
    "http://hl7.org/fhir/uv/sdc/StructureDefinition/sdc-questionnaire-maxQuantity";
pub const CALCULATED: &str =
    "http://hl7.org/fhir/uv/sdc/StructureDefinition/sdc-questionnaire-calculatedExpression";

/// An extension with one value, as in `("valueString", "x")`.
pub fn published(url: &str, (kind, value): (&str, Value)) -> Value {
    json!({ "url": url, kind: value })
}

/// An extension of Salus with one value.
pub fn simple(name: &str, (kind, value): (&str, Value)) -> Value {
    json!({ "url": format!("{OWN}{name}"), kind: value })
}

/// An extension of Salus with parts.
pub fn nested<const N: usize>(name: &str, parts: [(&str, Value); N]) -> Value {
    let parts: Vec<Value> = parts
        .into_iter()
        .map(|(name, mut part)| {
            part["url"] = json!(name);
            part
        })
        .collect();
    json!({ "url": format!("{OWN}{name}"), "extension": parts })
}

/// The extensions of an element with this address.
pub fn with_url<'a>(element: &'a Value, url: &'a str) -> impl Iterator<Item = &'a Value> {
    let all = element["extension"].as_array().into_iter().flatten();
    all.filter(move |extension| extension["url"] == url)
}

/// The extensions of Salus with this name.
pub fn own<'a>(element: &'a Value, name: &'a str) -> impl Iterator<Item = &'a Value> {
    let all = element["extension"].as_array().into_iter().flatten();
    all.filter(move |extension| {
        extension["url"].as_str().and_then(|url| url.strip_prefix(OWN)) == Some(name)
    })
}

/// A part of a nested extension.
pub fn part<'a>(extension: &'a Value, name: &'a str) -> Option<&'a Value> {
    with_url(extension, name).next()
}
