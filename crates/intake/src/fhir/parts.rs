//! The smaller parts of a Questionnaire that is read.

use kernel::{Coding, Decimal, code::system};
use serde_json::Value;

use super::{
    Unreadable,
    extension::{ITEM_CONTROL, MIME_TYPE, UNIT, UNIT_OPTION, WEIGHTS, part, with_url},
    response::choice_of,
};
use crate::{Consent, Expected, Item, ItemKind, MediaType, units::convert};

pub type Read<T> = Result<T, Unreadable>;

pub fn join(path: &str, name: &str) -> String {
    if path.is_empty() { name.to_owned() } else { format!("{path}.{name}") }
}

pub fn text(element: &Value, name: &str, path: &str) -> Read<Option<String>> {
    match &element[name] {
        Value::Null => Ok(None),
        Value::String(text) => Ok(Some(text.clone())),
        _ => Err(Unreadable::new(join(path, name), "It is a text.")),
    }
}

pub fn flag(element: &Value, name: &str, path: &str) -> Read<bool> {
    match &element[name] {
        Value::Null => Ok(false),
        Value::Bool(flag) => Ok(*flag),
        _ => Err(Unreadable::new(join(path, name), "It is true or false.")),
    }
}

/// What a condition compares with, as the question that it looks at has it.
pub fn expected(
    name: &str,
    value: &Value,
    subject: Option<&Item>,
) -> Result<Expected, &'static str> {
    let number = |value: &Value| {
        value
            .as_number()
            .and_then(|number| Decimal::try_from(number).ok())
            .ok_or("It is a number of at most 28 digits.")
    };
    let words = |value: &Value| value.as_str().map(str::to_owned).ok_or("It is a text.");
    match name {
        "answerBoolean" => value.as_bool().map(Expected::Boolean).ok_or("It is true or false."),
        "answerDecimal" | "answerInteger" => match subject.map(|subject| &subject.kind) {
            Some(ItemKind::Number { units, .. }) if units.len() > 1 => {
                Err("The question has several units, so this is a quantity with one.")
            }
            _ => number(value).map(Expected::Number),
        },
        "answerQuantity" => {
            if !value["comparator"].is_null() {
                return Err("A comparator is not supported.");
            }
            if !is_ucum(value) {
                return Err("The unit has to be a UCUM code.");
            }
            let given = number(&value["value"])?;
            let unit = value["code"].as_str().or(value["unit"].as_str());
            let units = match subject.map(|subject| &subject.kind) {
                Some(ItemKind::Number { units, .. }) => units.as_slice(),
                _ => &[],
            };
            match (unit, units) {
                (None, [] | [_]) => Ok(Expected::Number(given)),
                (None, _) => Err("The question has several units, so this needs one."),
                (Some(unit), [first, ..]) => convert(given, unit, first)
                    .map(Expected::Number)
                    .ok_or("The unit does not convert into that of the question."),
                (Some(_), []) => Err("The question has no unit."),
            }
        }
        "answerDate" => words(value).map(Expected::Text),
        "answerString" => words(value).map(Expected::Text),
        "answerCoding" => match subject {
            Some(subject) => choice_of(subject, value)
                .filter(|code| subject.options().iter().any(|option| option.code == *code))
                .map(Expected::Text)
                .ok_or("The question has no such choice."),
            None => words(&value["code"]).map(Expected::Text),
        },
        _ => Err("This type of answer is not supported."),
    }
}

pub fn read_coding(element: &Value) -> Option<Coding> {
    Some(Coding {
        system: element["system"].as_str().unwrap_or_default().to_owned(),
        code: element["code"].as_str()?.to_owned(),
        display: element["display"].as_str().unwrap_or_default().to_owned(),
    })
}

pub fn is_slider(element: &Value) -> bool {
    with_url(element, ITEM_CONTROL).any(|control| {
        let codings = control["valueCodeableConcept"]["coding"].as_array();
        codings.into_iter().flatten().any(|coding| coding["code"] == "slider")
    })
}

/// Whether a unit or a quantity is in UCUM. Without a system it is taken as UCUM.
pub fn is_ucum(element: &Value) -> bool {
    element["system"].is_null() || element["system"] == system::UNITS
}

/// UCUM codes; a unit in words alone would be compared with nothing.
pub fn units(element: &Value, path: &str) -> Read<Vec<String>> {
    [UNIT, UNIT_OPTION]
        .into_iter()
        .flat_map(|url| with_url(element, url))
        .map(|unit| {
            let coding = &unit["valueCoding"];
            let ucum = is_ucum(coding).then(|| coding["code"].as_str()).flatten();
            ucum.map(str::to_owned).ok_or_else(|| {
                Unreadable::new(join(path, "extension"), "A unit has a code of UCUM.")
            })
        })
        .collect()
}

/// A limit in the first unit of the question.
pub fn number_limit(
    element: &Value,
    plain: &str,
    with_unit: &str,
    units: &[String],
    path: &str,
) -> Read<Option<Decimal>> {
    let wrong = |message: &str| Unreadable::new(join(path, "extension"), message);
    let number = |value: &Value| -> Option<Decimal> {
        value.as_number().and_then(|number| Decimal::try_from(number).ok())
    };
    let bare = with_url(element, plain).next().filter(|limit| limit["valueQuantity"].is_null());
    if let Some(limit) = bare {
        if units.len() > 1 {
            return Err(wrong("The question has several units, so its limit is a quantity."));
        }
        let value = number(&limit["valueDecimal"]).or_else(|| number(&limit["valueInteger"]));
        return value.map(Some).ok_or_else(|| wrong("The limit is a number."));
    }
    let mut limits = [with_unit, plain].into_iter().flat_map(|url| with_url(element, url));
    let Some(limit) = limits.next() else { return Ok(None) };
    let value: Decimal =
        number(&limit["valueQuantity"]["value"]).ok_or_else(|| wrong("The limit has a value."))?;
    let quantity = &limit["valueQuantity"];
    if !quantity["comparator"].is_null() || !is_ucum(quantity) {
        return Err(wrong("The limit is a plain quantity in a unit of UCUM."));
    }
    let unit = quantity["code"].as_str();
    match (unit, units.first()) {
        (Some(unit), Some(first)) => convert(value, unit, first)
            .map(Some)
            .ok_or_else(|| wrong("The limit's unit does not convert into the question's.")),
        (None, Some(_)) if units.len() > 1 => Err(wrong("The limit needs a unit.")),
        (None, _) => Ok(Some(value)),
        (Some(_), None) => Err(wrong("The question has no unit.")),
    }
}

/// The points of a choice, which forms count in whole numbers.
pub fn score(element: &Value, path: &str) -> Read<Option<i32>> {
    let places = [element, &element["valueCoding"]];
    let mut found = places
        .into_iter()
        .flat_map(|place| WEIGHTS.into_iter().flat_map(move |url| with_url(place, url)));
    let Some(weight) = found.next() else { return Ok(None) };
    weight["valueDecimal"]
        .as_number()
        .and_then(|number| Decimal::try_from(number).ok()?.to_i32())
        .map(Some)
        .ok_or_else(|| Unreadable::new(join(path, "extension"), "Points are whole numbers."))
}

pub fn takes_photos(element: &Value) -> bool {
    let mut named = with_url(element, MIME_TYPE).peekable();
    named.peek().is_none()
        || named.any(|named| {
            named["valueCode"].as_str().is_some_and(|code| code.parse::<MediaType>().is_ok())
        })
}

pub fn read_consent(extension: &Value) -> Option<Consent> {
    let text = |name| {
        part(extension, name).and_then(|part| part["valueString"].as_str()).map(str::to_owned)
    };
    Some(Consent { document: text("document")?, version: text("version")? })
}
