//! Answers: what a client sent, and what it means once its item has read it.

use std::collections::{BTreeMap, BTreeSet};

use chrono::NaiveDate;
use kernel::{
    Decimal, FieldError, PhotoId,
    text::{Rule, Shape, kept},
};
use serde::{Deserialize, Serialize};
use serde_json::{Value, json};

use crate::{ItemKind, units::convert};

/// Answers as a client sent them, by link id.
pub type RawAnswers = BTreeMap<String, Value>;

/// Answers that their items have read, by link id.
pub type Answers = BTreeMap<String, Answer>;

#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(tag = "kind", content = "value", rename_all = "snake_case")]
pub enum Answer {
    Text(String),
    Texts(Vec<String>),
    Number(Quantity),
    Date(NaiveDate),
    /// The code of an option.
    Choice(String),
    Choices(BTreeSet<String>),
    Boolean(bool),
    Scale(i64),
    /// Photos that were uploaded before, in the order that the patient gave
    /// them.
    Photos(Vec<PhotoId>),
    /// The answers of each repetition of a group.
    Rows(Vec<Answers>),
}

/// A number as it was answered, and the same in the first unit of its item,
/// which is the one that limits, conditions and rules are written in.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct Quantity {
    /// With the digits that were written.
    pub value: Decimal,
    /// A UCUM code.
    pub unit: Option<String>,
    pub in_first_unit: Decimal,
}

impl Quantity {
    pub fn bare(value: impl Into<Decimal>) -> Self {
        let value = value.into();
        Self { value, unit: None, in_first_unit: value }
    }
}

impl Answer {
    /// What a client would send to give this answer.
    pub fn to_raw(&self) -> Value {
        match self {
            Self::Text(value) | Self::Choice(value) => json!(value),
            Self::Texts(values) => json!(values),
            Self::Number(Quantity { value, unit: None, .. }) => json!(value),
            Self::Number(Quantity { value, unit: Some(unit), .. }) => {
                json!({ "value": value, "unit": unit })
            }
            Self::Date(value) => json!(value),
            Self::Choices(values) => json!(values),
            Self::Boolean(value) => json!(value),
            Self::Scale(value) => json!(value),
            Self::Photos(ids) => json!(ids),
            Self::Rows(rows) => rows_with(rows, Self::to_raw),
        }
    }

    /// The number of an answer that is one, in the first unit of its item.
    pub fn as_number(&self) -> Option<Decimal> {
        match self {
            Self::Number(quantity) => Some(quantity.in_first_unit),
            Self::Scale(value) => Some((*value).into()),
            _ => None,
        }
    }

    /// The plain value that rules are written against: a number in the first
    /// unit of its item, as the float that the language of the rules has, and
    /// everything else as it was sent.
    pub fn to_plain(&self) -> Value {
        match self {
            Self::Number(quantity) => json!(quantity.in_first_unit.to_f64()),
            Self::Rows(rows) => rows_with(rows, Self::to_plain),
            other => other.to_raw(),
        }
    }
}

fn rows_with(rows: &[Answers], write: fn(&Answer) -> Value) -> Value {
    rows.iter()
        .map(|row| {
            row.iter().map(|(link_id, answer)| (link_id.clone(), write(answer))).collect::<Value>()
        })
        .collect()
}

/// The raw answers of each repetition, as far as they are a list of objects.
pub(crate) fn raw_rows(raw: &Value) -> Option<Vec<RawAnswers>> {
    let rows = raw.as_array()?.iter().filter(|row| !is_blank(row));
    rows.map(|row| {
        let members = row.as_object()?;
        Some(members.iter().map(|(name, value)| (name.clone(), value.clone())).collect())
    })
    .collect()
}

/// Whether this says nothing: an emptied field is the same as one not sent.
pub(crate) fn is_blank(raw: &Value) -> bool {
    match raw {
        Value::Null => true,
        Value::String(text) => text.trim().is_empty(),
        Value::Array(values) => values.iter().all(is_blank),
        Value::Object(members) => members.values().all(is_blank),
        _ => false,
    }
}

/// Reads a raw answer as its item's kind. Whether the value is within the
/// item's limits is not asked here, for a draft may still break them.
pub(crate) fn read(kind: &ItemKind, raw: &Value) -> Result<Answer, &'static str> {
    match kind {
        ItemKind::Text { repeats: false, .. } => {
            raw.as_str().map(|text| Answer::Text(kept(text))).ok_or("a text")
        }
        ItemKind::Text { repeats: true, .. } => {
            texts(raw).map(Answer::Texts).ok_or("a list of texts")
        }
        ItemKind::Number { units, integer, .. } => {
            number(units, *integer, raw).map(Answer::Number).ok_or(if units.len() > 1 {
                "an object with a number as its value and one of the units of the question"
            } else {
                "a number, or an object with a value and the unit of the question"
            })
        }
        ItemKind::Date { .. } => raw
            .as_str()
            .and_then(|text| text.parse::<NaiveDate>().ok())
            .filter(kernel::year_fits)
            .map(Answer::Date)
            .ok_or("a date, as in 2024-02-29"),
        ItemKind::SingleChoice { .. } => {
            raw.as_str().map(|code| Answer::Choice(code.to_owned())).ok_or("the code of a choice")
        }
        ItemKind::MultipleChoice { .. } => texts(raw)
            .map(|codes| Answer::Choices(codes.into_iter().collect()))
            .ok_or("a list of the codes of choices"),
        ItemKind::Boolean { .. } => raw.as_bool().map(Answer::Boolean).ok_or("true or false"),
        ItemKind::Scale { .. } => raw.as_i64().map(Answer::Scale).ok_or("a whole number"),
        ItemKind::Photo { .. } => {
            ids(raw).map(Answer::Photos).ok_or("a list of the ids of uploaded photos")
        }
        // What is in the rows is read when the group is evaluated.
        ItemKind::RepeatingGroup { .. } => {
            raw_rows(raw).map(|_| Answer::Rows(Vec::new())).ok_or("a list of objects")
        }
        ItemKind::Display | ItemKind::Group { .. } | ItemKind::Calculated { .. } => {
            Err("nothing: it is not a question")
        }
    }
}

fn texts(raw: &Value) -> Option<Vec<String>> {
    raw.as_array()?
        .iter()
        .filter(|value| !is_blank(value))
        .map(|value| value.as_str().map(kept))
        .collect()
}

fn ids(raw: &Value) -> Option<Vec<PhotoId>> {
    texts(raw)?.iter().map(|id| id.parse().ok()).collect()
}

/// A number without a unit is one only where there is no doubt about it: where
/// several units are allowed, 70 could be any of them.
fn number(units: &[String], integer: bool, raw: &Value) -> Option<Quantity> {
    let (value, named) = match raw {
        Value::Number(value) => (value, None),
        Value::Object(parts) if parts.keys().all(|key| key == "value" || key == "unit") => {
            let Value::Number(value) = parts.get("value")? else { return None };
            match parts.get("unit") {
                None | Some(Value::Null) => (value, None),
                Some(unit) => (value, Some(unit.as_str()?)),
            }
        }
        _ => return None,
    };
    let unit = match named {
        Some(named) => Some(units.iter().find(|unit| *unit == named)?),
        None if units.len() > 1 => return None,
        None => units.first(),
    };
    let mut value = Decimal::try_from(value).ok()?;
    if integer && units.is_empty() && value.is_whole() {
        // `70.0` is the integer 70.
        value = value.trunc();
    }
    let in_first_unit = match (unit, units.first()) {
        (Some(unit), Some(first)) => convert(value, unit, first)?,
        _ => value,
    };
    Some(Quantity { value, unit: unit.cloned(), in_first_unit })
}

/// What is wrong with an answer that its item could read.
pub(crate) fn limits(link_id: &str, kind: &ItemKind, answer: &Answer) -> Vec<FieldError> {
    let mut errors = Vec::new();
    let mut refuse = |code: &str, message: String| {
        errors.push(FieldError::new(format!("answers.{link_id}"), code, message));
    };
    match (kind, answer) {
        (ItemKind::Text { max_length, pattern, .. }, Answer::Text(text)) => {
            check_text(*max_length, pattern.as_deref(), text, &mut refuse);
        }
        (ItemKind::Text { max_length, pattern, .. }, Answer::Texts(list)) => {
            if list.len() > MOST_REPEATS as usize {
                refuse("too_many", format!("At most {MOST_REPEATS} entries."));
            }
            for (index, text) in list.iter().enumerate() {
                let path = format!("answers.{link_id}[{index}]");
                check_text(*max_length, pattern.as_deref(), text, &mut |code, message| {
                    errors.push(FieldError::new(path.clone(), code, message));
                });
            }
        }
        (ItemKind::Number { minimum, maximum, integer, units }, Answer::Number(quantity)) => {
            let unit = units.first().map_or(String::new(), |unit| format!(" {unit}"));
            let value = quantity.in_first_unit;
            if minimum.is_some_and(|minimum| value < minimum) {
                refuse("out_of_range", format!("At least {}{unit}.", minimum.unwrap_or(value)));
            }
            if maximum.is_some_and(|maximum| value > maximum) {
                refuse("out_of_range", format!("At most {}{unit}.", maximum.unwrap_or(value)));
            }
            if *integer && !quantity.value.is_whole() {
                refuse("invalid", "A whole number is needed.".into());
            } else if *integer && units.is_empty() && quantity.value.to_i32().is_none() {
                let (least, most) = (i32::MIN, i32::MAX);
                refuse("out_of_range", format!("A whole number from {least} to {most}."));
            }
        }
        (ItemKind::Date { earliest, latest }, Answer::Date(date)) => {
            if let Some(earliest) = earliest.filter(|earliest| date < earliest) {
                refuse("out_of_range", format!("Not before {earliest}."));
            }
            if let Some(latest) = latest.filter(|latest| date > latest) {
                refuse("out_of_range", format!("Not after {latest}."));
            }
        }
        (ItemKind::SingleChoice { options }, Answer::Choice(code))
            if !options.iter().any(|option| option.code == *code) =>
        {
            refuse("not_a_choice", "This is not one of the choices.".into());
        }
        (ItemKind::MultipleChoice { options }, Answer::Choices(codes)) => {
            if codes.iter().any(|code| !options.iter().any(|option| option.code == *code)) {
                refuse("not_a_choice", "One of these is not among the choices.".into());
            }
            let excluded = |code: &String| options.iter().any(|o| o.exclusive && o.code == *code);
            if codes.len() > 1 && codes.iter().any(excluded) {
                refuse("exclusive_choice", "This choice excludes every other.".into());
            }
        }
        (ItemKind::RepeatingGroup { minimum, maximum, .. }, Answer::Rows(rows)) => {
            let count = u32::try_from(rows.len()).unwrap_or(u32::MAX);
            if !(minimum..=maximum).contains(&&count) {
                refuse("out_of_range", format!("From {minimum} to {maximum} entries."));
            }
        }
        (ItemKind::Photo { minimum, maximum }, Answer::Photos(ids)) => {
            let count = u32::try_from(ids.len()).unwrap_or(u32::MAX);
            if !(minimum..=maximum).contains(&&count) {
                refuse("out_of_range", format!("From {minimum} to {maximum} photos."));
            }
            if ids.iter().collect::<BTreeSet<_>>().len() != ids.len() {
                refuse("duplicate", "One photo is named twice.".into());
            }
        }
        (ItemKind::Scale { minimum, maximum, .. }, Answer::Scale(value))
            if !(minimum..=maximum).contains(&value) =>
        {
            refuse("out_of_range", format!("From {minimum} to {maximum}."));
        }
        _ => {}
    }
    errors
}

/// How many entries a list of texts has at most.
pub(crate) const MOST_REPEATS: u32 = 50;

fn check_text(
    max_length: u32,
    pattern: Option<&str>,
    text: &str,
    refuse: &mut impl FnMut(&str, String),
) {
    if text.chars().count() > max_length as usize {
        refuse("too_long", format!("At most {max_length} characters."));
    }
    // How long it may be is the item's to say.
    let rule = Rule { shape: Shape::Document, least: 1, most: usize::MAX };
    if let Err(error) = rule.check("", text) {
        refuse(&error.code, error.message);
    }
    if let Some(pattern) = pattern
        && !whole_match(pattern).is_ok_and(|pattern| pattern.is_match(text))
    {
        refuse("pattern", "The text does not have the form that is asked for.".into());
    }
}

/// The pattern as it is applied: to the whole text. Publishing refuses one that
/// does not compile.
pub(crate) fn whole_match(pattern: &str) -> Result<regex::Regex, regex::Error> {
    regex::RegexBuilder::new(&format!("^(?:{pattern})$")).size_limit(1 << 20).build()
}
