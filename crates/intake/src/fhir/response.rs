//! `QuestionnaireResponse`.

use std::collections::BTreeMap;

use kernel::{Coding, PhotoId};
use serde_json::{Map, Value, json};

use super::{
    Unreadable, canonical,
    extension::{nested, own, part},
    item::{LOCAL, coding, coding_of, local_system, quantity},
    parts::{is_ucum, unit_of},
};
use crate::{
    Answer, Answers, ChoiceOption, Facts, FormDefinition, FormResponse, FormVersion, Item,
    ItemKind, Photo, Quantity, RawAnswers, Score, photo,
};

/// The response as a QuestionnaireResponse of the version that it answers.
pub fn questionnaire_response(version: &FormVersion, response: &FormResponse) -> Value {
    let mut resource = json!({
        "resourceType": "QuestionnaireResponse",
        "id": response.id.to_string(),
        "identifier": {
            "system": "urn:ietf:rfc:3986", "value": format!("urn:uuid:{}", response.id),
        },
        "questionnaire": format!("{}|{}", canonical(version), version.number),
        "status": "completed",
        "subject": { "reference": format!("Patient/{}", response.patient) },
        "source": { "reference": format!("Patient/{}", response.patient) },
        "authored": response.submitted_at.to_rfc3339_opts(chrono::SecondsFormat::Micros, true),
        "item": items(
            &version.definition.items, &response.answers, &response.scores, &response.photos,
        ),
    });
    let facts = facts_extension(&response.facts);
    if let Some(facts) = facts {
        resource["extension"] = json!([facts]);
    }
    resource
}

/// What was known of the patient, which the conditions of the form looked at.
fn facts_extension(facts: &Facts) -> Option<Value> {
    match (facts.sex, facts.age) {
        (Some(sex), Some(age)) => Some(nested(
            "facts",
            [
                ("sex", json!({ "valueCode": sex.to_string() })),
                ("age", json!({ "valueInteger": age })),
            ],
        )),
        (Some(sex), None) => {
            Some(nested("facts", [("sex", json!({ "valueCode": sex.to_string() }))]))
        }
        (None, Some(age)) => Some(nested("facts", [("age", json!({ "valueInteger": age }))])),
        (None, None) => None,
    }
}

/// The items that say something, in the order and nesting of the form.
fn items(
    items: &[Item],
    answers: &Answers,
    scores: &BTreeMap<String, Score>,
    photos: &[Photo],
) -> Vec<Value> {
    let mut out = Vec::new();
    for item in items {
        if let Some(Answer::Rows(rows)) = answers.get(&item.link_id) {
            // FHIR repeats the item itself, once for each repetition.
            for row in rows {
                let below = self::items(item.row(), row, &BTreeMap::new(), photos);
                out.push(json!({ "linkId": item.link_id, "text": item.text, "item": below }));
            }
            continue;
        }
        let below = self::items(item.children(), answers, scores, photos);
        let answer = answers.get(&item.link_id);
        let mut given = answer.map(|answer| values(item, answer, photos)).unwrap_or_default();
        if let Some(score) = scores.get(&item.link_id) {
            given.push(json!({ "valueDecimal": score.value }));
        }
        if below.is_empty() && given.is_empty() {
            continue;
        }
        let mut element = Map::new();
        element.insert("linkId".into(), json!(item.link_id));
        element.insert("text".into(), json!(item.text));
        let in_group = matches!(item.kind, ItemKind::Group { .. });
        if !below.is_empty() && in_group {
            element.insert("item".into(), below.into());
        } else if !below.is_empty() {
            // What is below a question is below its answer, also where there
            // is none.
            match given.first_mut() {
                Some(first) => first["item"] = below.into(),
                None => given.push(json!({ "item": below })),
            }
        }
        if !given.is_empty() {
            element.insert("answer".into(), given.into());
        }
        out.push(element.into());
    }
    out
}

/// The values of an answer, each of the type that the item has in FHIR.
pub(super) fn values(item: &Item, answer: &Answer, photos: &[Photo]) -> Vec<Value> {
    let choice = |code: &String| {
        let option = item.options().iter().find(|option| option.code == *code);
        let chosen = match option {
            Some(option) => coding_of(item, option),
            None => Coding::new(local_system(&item.link_id), code, code),
        };
        json!({ "valueCoding": coding(&chosen) })
    };
    let whole = matches!(&item.kind, ItemKind::Number { integer: true, .. });
    match answer {
        Answer::Text(text) => vec![json!({ "valueString": text })],
        Answer::Texts(texts) => texts.iter().map(|text| json!({ "valueString": text })).collect(),
        Answer::Number(Quantity { value, unit: None, .. }) => vec![match value.to_i32() {
            Some(value) if whole => json!({ "valueInteger": value }),
            _ => json!({ "valueDecimal": value }),
        }],
        Answer::Number(Quantity { value, unit: Some(unit), .. }) => {
            vec![json!({ "valueQuantity": quantity(*value, unit) })]
        }
        Answer::Date(date) => vec![json!({ "valueDate": date })],
        Answer::Choice(code) => vec![choice(code)],
        // In the order of the form, as somebody reads it.
        Answer::Choices(codes) => {
            let place =
                |code: &&String| item.options().iter().position(|option| option.code == **code);
            let mut codes: Vec<&String> = codes.iter().collect();
            codes.sort_by_key(place);
            codes.into_iter().map(choice).collect()
        }
        Answer::Boolean(value) => vec![json!({ "valueBoolean": value })],
        Answer::Scale(value) => vec![json!({ "valueInteger": value })],
        Answer::Photos(ids) => {
            ids.iter().map(|id| json!({ "valueAttachment": attachment(*id, photos) })).collect()
        }
        Answer::Rows(_) => Vec::new(),
    }
}

/// The photo by its address. FHIR's hash is a SHA-1 of the content, which
/// would tell of two people that they sent one picture, so there is none.
fn attachment(id: PhotoId, photos: &[Photo]) -> Value {
    let mut attachment = json!({ "url": photo::address(id) });
    if let Some(photo) = photos.iter().find(|photo| photo.id == id) {
        let at = photo.created_at.to_rfc3339_opts(chrono::SecondsFormat::Secs, true);
        attachment["contentType"] = json!(photo.media_type.to_string());
        attachment["size"] = json!(photo.size);
        attachment["creation"] = json!(at);
    }
    attachment
}

/// The answers of a QuestionnaireResponse as a client would send them, and the
/// facts that it bears. Results of calculated items are left out: they are
/// calculated again.
pub fn answers_of(
    version: &FormVersion,
    resource: &Value,
) -> Result<(RawAnswers, Facts), Unreadable> {
    if resource["resourceType"] != "QuestionnaireResponse" {
        return Err(Unreadable::new("resourceType", "This is no QuestionnaireResponse."));
    }
    let mut answers = RawAnswers::new();
    read_items(&version.definition, resource, "item", &mut answers)?;
    let mut facts = Facts::default();
    for extension in own(resource, "facts") {
        let sex = part(extension, "sex").and_then(|sex| sex["valueCode"].as_str());
        facts.sex = sex.and_then(|sex| sex.parse().ok());
        let age = part(extension, "age").and_then(|age| age["valueInteger"].as_u64());
        facts.age = age.and_then(|age| u16::try_from(age).ok());
    }
    Ok((answers, facts))
}

fn read_items(
    definition: &FormDefinition,
    parent: &Value,
    path: &str,
    out: &mut RawAnswers,
) -> Result<(), Unreadable> {
    for (index, element) in parent["item"].as_array().into_iter().flatten().enumerate() {
        let path = format!("{path}[{index}]");
        let wrong = |message: &str| Unreadable::new(&path, message);
        let link_id = element["linkId"].as_str().ok_or_else(|| wrong("It has no linkId."))?;
        let item = definition.item(link_id).ok_or_else(|| wrong("The form has no such item."))?;
        if let ItemKind::RepeatingGroup { items, .. } = &item.kind {
            let mut row = RawAnswers::new();
            let form = FormDefinition::of_row(items);
            read_items(&form, element, &format!("{path}.item"), &mut row)?;
            let rows = out.entry(link_id.to_owned()).or_insert_with(|| json!([]));
            if let Value::Array(rows) = rows {
                rows.push(row.into_iter().collect());
            }
            continue;
        }
        let given: Vec<&Value> = element["answer"].as_array().into_iter().flatten().collect();
        let said: Vec<&Value> =
            given.iter().copied().filter(|answer| says_something(answer)).collect();
        if !said.is_empty() && item.is_answerable() {
            let value = raw_of(item, &said).map_err(wrong)?;
            out.insert(link_id.to_owned(), value);
        }
        for (index, answer) in given.iter().enumerate() {
            read_items(definition, answer, &format!("{path}.answer[{index}].item"), out)?;
        }
        read_items(definition, element, &format!("{path}.item"), out)?;
    }
    Ok(())
}

/// An answer may be there for the sake of what is below it alone.
fn says_something(answer: &Value) -> bool {
    answer.as_object().is_some_and(|parts| parts.keys().any(|key| key.starts_with("value")))
}

/// FHIR's values of an item as a client would send them, or why they are none.
pub(super) fn raw_of(item: &Item, values: &[&Value]) -> Result<Value, &'static str> {
    let read: Vec<Value> = values
        .iter()
        .map(|value| raw_value(item, value).ok_or("The answer does not read."))
        .collect::<Result<_, _>>()?;
    match (item.takes_several(), read.len()) {
        (true, _) => Ok(read.into()),
        (false, 1) => Ok(read.into_iter().next().unwrap_or_default()),
        (false, _) => Err("The question takes one answer."),
    }
}

fn raw_value(item: &Item, answer: &Value) -> Option<Value> {
    answer.as_object()?.iter().find_map(|(name, value)| match name.as_str() {
        "valueString" | "valueDate" | "valueBoolean" | "valueDecimal" | "valueInteger" => {
            Some(value.clone())
        }
        "valueCoding" => choice_of(item, value).map(|code| json!(code)),
        // Without its comparator or its unit's system the value would mean something else.
        "valueQuantity" if !value["comparator"].is_null() || !is_ucum(value) => None,
        "valueQuantity" => Some(json!({ "value": value["value"], "unit": unit_of(value) })),
        "valueAttachment" => value["url"].as_str().and_then(photo::id_in).map(|id| json!(id)),
        _ => None,
    })
}

/// The form's own code of the choice that a coding names: by its system, or
/// where it has none, by its code alone.
pub(super) fn choice_of(item: &Item, named: &Value) -> Option<String> {
    let code = named["code"].as_str()?;
    let is_it = |option: &&ChoiceOption| {
        let known = coding_of(item, option);
        match named["system"].as_str() {
            Some(system) => known.system == system && known.code == code,
            None => option.code == code || known.code == code,
        }
    };
    let mut found = item.options().iter().filter(is_it);
    match (found.next(), found.next()) {
        (Some(option), None) => Some(option.code.clone()),
        // A code that no choice has is refused where the answer is looked at.
        (None, _) if named["system"].as_str().is_none_or(|system| system.starts_with(LOCAL)) => {
            Some(code.to_owned())
        }
        _ => None,
    }
}
