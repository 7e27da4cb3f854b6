//! `QuestionnaireResponse`.

use std::collections::BTreeMap;

use kernel::{PhotoId, code::system};
use serde_json::{Map, Value, json};

use super::{
    Unreadable, canonical,
    extension::{nested, own, part},
};
use crate::{
    Answer, Answers, Facts, FormDefinition, FormResponse, FormVersion, Item, ItemKind, Photo,
    Quantity, RawAnswers, Score, photo,
};

/// The response as a QuestionnaireResponse of the version that it answers.
pub fn questionnaire_response(version: &FormVersion, response: &FormResponse) -> Value {
    let mut resource = json!({
        "resourceType": "QuestionnaireResponse",
        "id": response.id.to_string(),
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
pub(super) fn items(
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
        let mut given = answer.map(|answer| write(answer, photos)).unwrap_or_default();
        if let Some(score) = scores.get(&item.link_id) {
            given.push(json!({ "valueDecimal": score.value }));
        }
        if below.is_empty() && given.is_empty() {
            continue;
        }
        let mut element = Map::new();
        element.insert("linkId".into(), json!(item.link_id));
        element.insert("text".into(), json!(item.text));
        if !given.is_empty() {
            element.insert("answer".into(), given.into());
        }
        if !below.is_empty() {
            element.insert("item".into(), below.into());
        }
        out.push(element.into());
    }
    out
}

fn write(answer: &Answer, photos: &[Photo]) -> Vec<Value> {
    match answer {
        Answer::Text(text) => vec![json!({ "valueString": text })],
        Answer::Texts(texts) => texts.iter().map(|text| json!({ "valueString": text })).collect(),
        Answer::Number(Quantity { value, unit: None, .. }) => {
            vec![json!({ "valueDecimal": value })]
        }
        Answer::Number(Quantity { value, unit: Some(unit), .. }) => vec![json!({
            "valueQuantity": { "value": value, "unit": unit, "system": system::UNITS, "code": unit },
        })],
        Answer::Date(date) => vec![json!({ "valueDate": date })],
        Answer::Choice(code) => vec![json!({ "valueCoding": { "code": code } })],
        Answer::Choices(codes) => {
            codes.iter().map(|code| json!({ "valueCoding": { "code": code } })).collect()
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
        if !given.is_empty() && item.is_answerable() {
            let values: Vec<Value> = given
                .into_iter()
                .map(|answer| read(answer).ok_or_else(|| wrong("The answer does not read.")))
                .collect::<Result<_, _>>()?;
            let many = matches!(
                item.kind,
                ItemKind::MultipleChoice { .. }
                    | ItemKind::Text { repeats: true, .. }
                    | ItemKind::Photo { .. }
            );
            let value = match (many, values.len()) {
                (true, _) => values.into(),
                (false, 1) => values.into_iter().next().unwrap_or_default(),
                (false, _) => return Err(wrong("The question takes one answer.")),
            };
            out.insert(link_id.to_owned(), value);
        }
        read_items(definition, element, &format!("{path}.item"), out)?;
    }
    Ok(())
}

fn read(answer: &Value) -> Option<Value> {
    answer.as_object()?.iter().find_map(|(name, value)| match name.as_str() {
        "valueString" | "valueDate" | "valueBoolean" | "valueDecimal" | "valueInteger" => {
            Some(value.clone())
        }
        "valueCoding" => value.get("code").cloned(),
        "valueQuantity" => Some(json!({ "value": value["value"], "unit": value["code"] })),
        "valueAttachment" => value["url"].as_str().and_then(photo::id_in).map(|id| json!(id)),
        _ => None,
    })
}
