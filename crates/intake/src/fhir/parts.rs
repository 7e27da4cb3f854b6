//! The smaller parts of a Questionnaire that is read.

use kernel::{Coding, Decimal, code::system};
use serde_json::Value;

use super::{
    Unreadable,
    extension::{ITEM_CONTROL, UNIT, UNIT_OPTION, WEIGHTS, part, with_url},
    response::choice_of,
};
use crate::{Consent, Expected, Item, ItemKind, units::convert};

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

pub fn count(value: &Value) -> Option<u32> {
    value.as_u64().and_then(|count| u32::try_from(count).ok())
}

pub fn number(value: &Value) -> Option<Decimal> {
    value.as_number().and_then(|number| Decimal::try_from(number).ok())
}

/// Whether an extension is there and says so.
pub fn yes(extension: Option<&Value>) -> bool {
    extension.is_some_and(|extension| extension["valueBoolean"] == true)
}

/// The extensions with this address, each with its place.
pub fn numbered<'a>(
    element: &'a Value,
    url: &'a str,
    path: &'a str,
) -> impl Iterator<Item = (String, &'a Value)> {
    let all = element["extension"].as_array().into_iter().flatten().enumerate();
    all.filter(move |(_, extension)| extension["url"] == url)
        .map(move |(index, extension)| (join(path, &format!("extension[{index}]")), extension))
}

/// How often something is answered at least or at most, where it is said.
pub fn occurrences(element: &Value, url: &str, path: &str) -> Read<Option<u32>> {
    let Some((here, limit)) = numbered(element, url, path).next() else { return Ok(None) };
    let wrong = || Unreadable::new(here, "How often is a whole number.");
    count(&limit["valueInteger"]).map(Some).ok_or_else(wrong)
}

/// Whether a value of this type answers this kind of item.
pub fn is_answer_of(kind: &ItemKind, name: &str) -> bool {
    match kind {
        ItemKind::Text { .. } => name == "valueString",
        ItemKind::Number { .. } => {
            ["valueInteger", "valueDecimal", "valueQuantity"].contains(&name)
        }
        ItemKind::Date { .. } => name == "valueDate",
        ItemKind::SingleChoice { .. } | ItemKind::MultipleChoice { .. } => name == "valueCoding",
        ItemKind::Boolean { .. } => name == "valueBoolean",
        ItemKind::Scale { .. } => name == "valueInteger",
        ItemKind::Photo { .. } => name == "valueAttachment",
        ItemKind::Display
        | ItemKind::Group { .. }
        | ItemKind::RepeatingGroup { .. }
        | ItemKind::Calculated { .. } => false,
    }
}

/// What a condition compares with, as the question that it looks at has it.
pub fn expected(
    name: &str,
    value: &Value,
    subject: Option<&Item>,
) -> Result<Expected, &'static str> {
    let number = |value: &Value| number(value).ok_or("It is a number of at most 28 digits.");
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
            let unit = unit_of(value);
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
                (Some(_), []) if subject.is_none() => Ok(Expected::Number(given)),
                (Some(_), []) => Err("The question has no unit."),
            }
        }
        // A form keeps dates, texts and choices as texts, so what differs in its
        // type would match all the same.
        "answerDate" => match subject.map(|subject| &subject.kind) {
            None | Some(ItemKind::Date { .. }) => words(value).map(Expected::Text),
            Some(_) => Err("The question has no dates."),
        },
        "answerString" => match subject {
            Some(Item { kind: ItemKind::Date { .. }, .. }) => Err("A date is compared with one."),
            Some(subject) if subject.options().iter().any(|option| option.code == *value) => {
                Err("A choice is compared with its coding.")
            }
            _ => words(value).map(Expected::Text),
        },
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

/// The unit of a quantity, by its code or else by its name.
pub fn unit_of(quantity: &Value) -> Option<&str> {
    quantity["code"].as_str().or(quantity["unit"].as_str())
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
    if [with_unit, plain].into_iter().flat_map(|url| with_url(element, url)).count() > 1 {
        return Err(wrong("A question has one limit at each end."));
    }
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
    let unit = unit_of(quantity);
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
    let wrong = |message: &str| Unreadable::new(join(path, "extension"), message);
    let places = [element, &element["valueCoding"]];
    let found = places
        .into_iter()
        .flat_map(|place| WEIGHTS.into_iter().flat_map(move |url| with_url(place, url)));
    let found = found
        .map(|weight| number(&weight["valueDecimal"])?.to_i32())
        .collect::<Option<Vec<i32>>>()
        .ok_or_else(|| wrong("Points are whole numbers."))?;
    if found.windows(2).any(|pair| pair[0] != pair[1]) {
        return Err(wrong("The points are said twice, and differ."));
    }
    Ok(found.first().copied())
}

pub fn read_consent(extension: &Value) -> Option<Consent> {
    let text = |name| {
        part(extension, name).and_then(|part| part["valueString"].as_str()).map(str::to_owned)
    };
    Some(Consent { document: text("document")?, version: text("version")? })
}
