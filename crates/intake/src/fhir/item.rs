//! `Questionnaire.item`.

use kernel::{Coding, code::system};
use serde_json::{Map, Value, json};
use strum::IntoEnumIterator as _;

use super::{
    Unreadable,
    extension::{
        EXCLUSIVE, ITEM_CONTROL, LEAST, MAX_SIZE, MAXIMUM, MIME_TYPE, MINIMUM, MOST, ORDINAL,
        REGEX, UNIT_OPTION, nested, own, part, published, simple, with_url,
    },
};
use crate::{
    Behavior, ChoiceOption, Condition, Consent, EnableWhen, Expected, Item, ItemKind, MediaType,
    Operator, Subject, check::MOST_PHOTOS,
};

/// How often a group of another author repeats that does not say it.
const MOST_ROWS: u32 = 20;

/// `photo_limit` is the largest photo that is taken, in bytes.
pub fn write(item: &Item, photo_limit: usize) -> Value {
    let mut element = Map::new();
    let mut extensions = Vec::new();
    element.insert("linkId".into(), json!(item.link_id));
    element.insert("text".into(), json!(item.text));
    if let Some(code) = &item.code {
        element.insert("code".into(), json!([coding(code)]));
    }
    if item.required {
        element.insert("required".into(), json!(true));
    }
    if let Some(help) = &item.help {
        extensions.push(simple("help", ("valueString", json!(help))));
    }
    if let Some(when) = &item.enable_when {
        element.insert("enableBehavior".into(), json!(when.behavior.to_string()));
        if when.asks_facts() {
            // FHIR's conditions look at answers alone, so one that looks at
            // the profile is written as Salus has it, with its neighbours.
            let conditions = serde_json::to_string(&when.conditions).unwrap_or_default();
            extensions.push(simple("enable-when", ("valueString", json!(conditions))));
        } else {
            let conditions = when.conditions.iter().map(condition).collect();
            element.insert("enableWhen".into(), conditions);
        }
    }
    write_kind(&item.kind, photo_limit, &mut element, &mut extensions);
    if !extensions.is_empty() {
        element.insert("extension".into(), extensions.into());
    }
    element.into()
}

fn write_kind(
    kind: &ItemKind,
    photo_limit: usize,
    element: &mut Map<String, Value>,
    extensions: &mut Vec<Value>,
) {
    let below =
        |items: &[Item]| -> Value { items.iter().map(|item| write(item, photo_limit)).collect() };
    let mut set = |name: &str, value: Value| {
        element.insert(name.to_owned(), value);
    };
    match kind {
        ItemKind::Text { max_length, pattern, repeats } => {
            set("type", json!("string"));
            set("maxLength", json!(max_length));
            if *repeats {
                set("repeats", json!(true));
            }
            if let Some(pattern) = pattern {
                extensions.push(published(REGEX, ("valueString", json!(pattern))));
            }
        }
        ItemKind::Number { minimum, maximum, integer, units } => {
            let word = match (units.is_empty(), integer) {
                (false, _) => "quantity",
                (true, true) => "integer",
                (true, false) => "decimal",
            };
            set("type", json!(word));
            if *integer && !units.is_empty() {
                extensions.push(simple("integer", ("valueBoolean", json!(true))));
            }
            for (url, limit) in [(MINIMUM, minimum), (MAXIMUM, maximum)] {
                if let Some(limit) = limit {
                    extensions.push(published(url, ("valueDecimal", json!(limit))));
                }
            }
            for unit in units {
                let unit = json!({ "system": system::UNITS, "code": unit });
                extensions.push(published(UNIT_OPTION, ("valueCoding", unit)));
            }
        }
        ItemKind::Date { earliest, latest } => {
            set("type", json!("date"));
            for (url, limit) in [(MINIMUM, earliest), (MAXIMUM, latest)] {
                if let Some(limit) = limit {
                    extensions.push(published(url, ("valueDate", json!(limit))));
                }
            }
        }
        ItemKind::SingleChoice { options } => {
            set("type", json!("choice"));
            set("answerOption", options.iter().map(option).collect());
        }
        ItemKind::MultipleChoice { options } => {
            set("type", json!("choice"));
            set("repeats", json!(true));
            set("answerOption", options.iter().map(option).collect());
        }
        ItemKind::Boolean { consent } => {
            set("type", json!("boolean"));
            if let Some(Consent { document, version }) = consent {
                extensions.push(nested(
                    "consent",
                    [
                        ("document", json!({ "valueString": document })),
                        ("version", json!({ "valueString": version })),
                    ],
                ));
            }
        }
        ItemKind::Scale { minimum, maximum, minimum_label, maximum_label } => {
            set("type", json!("integer"));
            let slider = json!({ "coding": [{
                "system": "http://hl7.org/fhir/questionnaire-item-control",
                "code": "slider",
            }] });
            extensions.push(published(ITEM_CONTROL, ("valueCodeableConcept", slider)));
            extensions.push(published(MINIMUM, ("valueInteger", json!(minimum))));
            extensions.push(published(MAXIMUM, ("valueInteger", json!(maximum))));
            for (name, label) in
                [("minimum-label", minimum_label), ("maximum-label", maximum_label)]
            {
                if let Some(label) = label {
                    extensions.push(simple(name, ("valueString", json!(label))));
                }
            }
        }
        ItemKind::Photo { minimum, maximum } => {
            set("type", json!("attachment"));
            if *maximum > 1 {
                set("repeats", json!(true));
            }
            extensions.push(published(LEAST, ("valueInteger", json!(minimum))));
            extensions.push(published(MOST, ("valueInteger", json!(maximum))));
            let megabytes = photo_limit as f64 / 1e6;
            extensions.push(published(MAX_SIZE, ("valueDecimal", json!(megabytes))));
            for media_type in MediaType::iter() {
                let code = json!(media_type.to_string());
                extensions.push(published(MIME_TYPE, ("valueCode", code)));
            }
        }
        ItemKind::Display => set("type", json!("display")),
        ItemKind::Group { items } => {
            set("type", json!("group"));
            set("item", below(items));
        }
        ItemKind::RepeatingGroup { items, minimum, maximum } => {
            set("type", json!("group"));
            set("repeats", json!(true));
            extensions.push(published(LEAST, ("valueInteger", json!(minimum))));
            extensions.push(published(MOST, ("valueInteger", json!(maximum))));
            set("item", below(items));
        }
        ItemKind::Calculated { calculation } => {
            set("type", json!("decimal"));
            set("readOnly", json!(true));
            let text = serde_json::to_string(calculation).unwrap_or_default();
            extensions.push(simple("calculation", ("valueString", json!(text))));
        }
    }
}

fn coding(coding: &Coding) -> Value {
    json!({ "system": coding.system, "code": coding.code, "display": coding.display })
}

fn option(option: &ChoiceOption) -> Value {
    let mut extensions = Vec::new();
    if let Some(score) = option.score {
        extensions.push(published(ORDINAL, ("valueDecimal", json!(score))));
    }
    if option.exclusive {
        extensions.push(published(EXCLUSIVE, ("valueBoolean", json!(true))));
    }
    if option.flag {
        extensions.push(simple("flag", ("valueBoolean", json!(true))));
    }
    if let Some(code) = &option.coding {
        extensions.push(simple("coding", ("valueCoding", coding(code))));
    }
    let mut element = json!({ "valueCoding": { "code": option.code, "display": option.display } });
    if !extensions.is_empty() {
        element["extension"] = extensions.into();
    }
    element
}

fn condition(condition: &Condition) -> Value {
    let question = match &condition.subject {
        Subject::Item(link_id) => link_id.clone(),
        Subject::Fact(fact) => fact.to_string(),
    };
    let (kind, answer) = match &condition.expected {
        Expected::Boolean(value) => ("answerBoolean", json!(value)),
        Expected::Number(value) => ("answerDecimal", json!(value)),
        Expected::Text(value) if value.parse::<chrono::NaiveDate>().is_ok() => {
            ("answerDate", json!(value))
        }
        Expected::Text(value) => ("answerString", json!(value)),
    };
    json!({ "question": question, "operator": condition.operator.to_string(), kind: answer })
}

pub fn read_all(parent: &Value, path: &str) -> Result<Vec<Item>, Unreadable> {
    let items = parent["item"].as_array().into_iter().flatten().enumerate();
    items.map(|(index, element)| read(element, &format!("{path}[{index}]"))).collect()
}

fn read(element: &Value, path: &str) -> Result<Item, Unreadable> {
    let wrong = |field: &str, message: &str| Unreadable::new(format!("{path}.{field}"), message);
    let link_id = element["linkId"].as_str().ok_or_else(|| wrong("linkId", "It is needed."))?;
    let behavior = match element["enableBehavior"].as_str() {
        None | Some("all") => Behavior::All,
        Some("any") => Behavior::Any,
        Some(_) => return Err(wrong("enableBehavior", "It is all or any.")),
    };
    let conditions: Vec<Condition> = match own(element, "enable-when").next() {
        Some(extension) => extension["valueString"]
            .as_str()
            .and_then(|text| serde_json::from_str(text).ok())
            .ok_or_else(|| wrong("extension", "The conditions do not read."))?,
        None => element["enableWhen"]
            .as_array()
            .into_iter()
            .flatten()
            .map(|condition| {
                read_condition(condition)
                    .ok_or_else(|| wrong("enableWhen", "The condition does not read."))
            })
            .collect::<Result<_, _>>()?,
    };
    Ok(Item {
        link_id: link_id.to_owned(),
        text: element["text"].as_str().unwrap_or_default().to_owned(),
        help: own(element, "help").find_map(|help| help["valueString"].as_str().map(str::to_owned)),
        code: element["code"].get(0).and_then(read_coding),
        required: element["required"].as_bool().unwrap_or(false),
        enable_when: (!conditions.is_empty()).then_some(EnableWhen { behavior, conditions }),
        kind: read_kind(element, path)?,
    })
}

fn read_condition(element: &Value) -> Option<Condition> {
    let operator: Operator = element["operator"].as_str()?.parse().ok()?;
    let text = |value: &Value| value.as_str().map(|text| Expected::Text(text.to_owned()));
    let expected = element.as_object()?.iter().find_map(|(name, value)| match name.as_str() {
        "answerBoolean" => value.as_bool().map(Expected::Boolean),
        "answerDecimal" | "answerInteger" => value.as_f64().map(Expected::Number),
        "answerQuantity" => value["value"].as_f64().map(Expected::Number),
        "answerString" | "answerDate" => text(value),
        "answerCoding" => text(&value["code"]),
        _ => None,
    })?;
    let subject = Subject::Item(element["question"].as_str()?.to_owned());
    Some(Condition { subject, operator, expected })
}

fn read_coding(element: &Value) -> Option<Coding> {
    Some(Coding {
        system: element["system"].as_str().unwrap_or_default().to_owned(),
        code: element["code"].as_str()?.to_owned(),
        display: element["display"].as_str().unwrap_or_default().to_owned(),
    })
}

fn read_kind(element: &Value, path: &str) -> Result<ItemKind, Unreadable> {
    let wrong = |field: &str, message: &str| Unreadable::new(format!("{path}.{field}"), message);
    let first = |url: &'static str| with_url(element, url).next();
    let label = |name: &'static str| {
        own(element, name).find_map(|label| label["valueString"].as_str().map(str::to_owned))
    };
    if let Some(calculation) = own(element, "calculation").next() {
        let calculation = calculation["valueString"]
            .as_str()
            .and_then(|text| serde_json::from_str(text).ok())
            .ok_or_else(|| wrong("extension", "The calculation does not read."))?;
        return Ok(ItemKind::Calculated { calculation });
    }
    let repeats = element["repeats"].as_bool().unwrap_or(false);
    let number = |url| {
        first(url)
            .and_then(|limit| limit["valueDecimal"].as_f64().or(limit["valueInteger"].as_f64()))
    };
    let count = |url| {
        first(url)
            .and_then(|limit| limit["valueInteger"].as_u64())
            .and_then(|limit| u32::try_from(limit).ok())
    };
    let whole = |url| first(url).and_then(|limit| limit["valueInteger"].as_i64());
    let day = |url| {
        first(url).and_then(|limit| limit["valueDate"].as_str().and_then(|day| day.parse().ok()))
    };
    let kind = element["type"].as_str().ok_or_else(|| wrong("type", "It is needed."))?;
    Ok(match kind {
        "string" | "text" => ItemKind::Text {
            max_length: element["maxLength"]
                .as_u64()
                .and_then(|length| u32::try_from(length).ok())
                .unwrap_or(2_000),
            pattern: first(REGEX)
                .and_then(|regex| regex["valueString"].as_str().map(str::to_owned)),
            repeats,
        },
        "integer" if first(ITEM_CONTROL).is_some() => match (whole(MINIMUM), whole(MAXIMUM)) {
            (Some(minimum), Some(maximum)) => ItemKind::Scale {
                minimum,
                maximum,
                minimum_label: label("minimum-label"),
                maximum_label: label("maximum-label"),
            },
            _ => return Err(wrong("extension", "A slider has whole numbers as its ends.")),
        },
        "integer" | "decimal" | "quantity" => ItemKind::Number {
            minimum: number(MINIMUM),
            maximum: number(MAXIMUM),
            integer: kind == "integer" || own(element, "integer").next().is_some(),
            units: with_url(element, UNIT_OPTION)
                .filter_map(|unit| unit["valueCoding"]["code"].as_str().map(str::to_owned))
                .collect(),
        },
        "date" => ItemKind::Date { earliest: day(MINIMUM), latest: day(MAXIMUM) },
        "choice" => {
            let options = element["answerOption"].as_array().into_iter().flatten();
            let options = options
                .map(|option| {
                    read_option(option)
                        .ok_or_else(|| wrong("answerOption", "An option is a coding."))
                })
                .collect::<Result<_, _>>()?;
            if repeats {
                ItemKind::MultipleChoice { options }
            } else {
                ItemKind::SingleChoice { options }
            }
        }
        "boolean" => ItemKind::Boolean { consent: own(element, "consent").find_map(read_consent) },
        // Where it says what it takes, that has to be something that is taken.
        "attachment" if takes_photos(element) => ItemKind::Photo {
            minimum: count(LEAST).unwrap_or(1),
            maximum: count(MOST).unwrap_or(if repeats { MOST_PHOTOS } else { 1 }),
        },
        "display" => ItemKind::Display,
        "group" if repeats => ItemKind::RepeatingGroup {
            items: read_all(element, &format!("{path}.item"))?,
            minimum: count(LEAST).unwrap_or(0),
            maximum: count(MOST).unwrap_or(MOST_ROWS),
        },
        "group" => ItemKind::Group { items: read_all(element, &format!("{path}.item"))? },
        _ => return Err(wrong("type", "This type of item is not supported.")),
    })
}

fn takes_photos(element: &Value) -> bool {
    let mut named = with_url(element, MIME_TYPE).peekable();
    named.peek().is_none()
        || named.any(|named| {
            named["valueCode"].as_str().is_some_and(|code| code.parse::<MediaType>().is_ok())
        })
}

fn read_option(element: &Value) -> Option<ChoiceOption> {
    let yes = |extension: Option<&Value>| {
        extension.is_some_and(|extension| extension["valueBoolean"] == true)
    };
    let score = with_url(element, ORDINAL).next().and_then(|score| score["valueDecimal"].as_f64());
    let code = read_coding(&element["valueCoding"])?;
    Some(ChoiceOption {
        code: code.code,
        display: code.display,
        score: score.filter(|score| score.fract() == 0.0).map(|score| score as i32),
        flag: yes(own(element, "flag").next()),
        coding: own(element, "coding").find_map(|coding| read_coding(&coding["valueCoding"])),
        exclusive: yes(with_url(element, EXCLUSIVE).next()),
    })
}

fn read_consent(extension: &Value) -> Option<Consent> {
    let text = |name| {
        part(extension, name).and_then(|part| part["valueString"].as_str()).map(str::to_owned)
    };
    Some(Consent { document: text("document")?, version: text("version")? })
}
