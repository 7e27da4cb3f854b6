//! Filling in a questionnaire the way a person does: what is asked and
//! enabled, question by question, with the server saying which those are.

use std::collections::{BTreeMap, BTreeSet};

use serde_json::{Value, json};

pub type Answers = BTreeMap<String, Value>;

/// Answers every enabled question that must be answered and is not yet: as the
/// person wants it, else the answer of somebody healthy. Says whether there was
/// anything left to answer.
pub fn answer_more(
    items: &[Value],
    enabled: &BTreeSet<String>,
    wanted: &BTreeMap<String, Value>,
    answers: &mut Answers,
) -> bool {
    let mut more = false;
    for item in items {
        let link_id = item["link_id"].as_str().unwrap_or_default().to_owned();
        if let Some(inner) = item["items"].as_array() {
            more |= answer_more(inner, enabled, wanted, answers);
        }
        if !enabled.contains(&link_id) || answers.contains_key(&link_id) {
            continue;
        }
        let answer = match wanted.get(&link_id) {
            Some(answer) => Some(answer.clone()),
            None if item["required"] == true => healthy(item),
            None => None,
        };
        if let Some(answer) = answer {
            answers.insert(link_id, answer);
            more = true;
        }
    }
    more
}

fn healthy(item: &Value) -> Option<Value> {
    let options = || item["options"].as_array().into_iter().flatten();
    let code = |option: &Value| option["code"].clone();
    Some(match item["type"].as_str()? {
        // A consent is given; to everything else a healthy person says no.
        "boolean" => json!(!item["consent"].is_null()),
        "single_choice" => code(options().next()?),
        "multiple_choice" => {
            let none = options().find(|option| option["exclusive"] == true);
            json!([none.or_else(|| options().next()).map(code)?])
        }
        "text" if item["repeats"] == true => json!(["None."]),
        "text" => json!("Nothing else to say."),
        "number" => match item["units"].get(0) {
            Some(unit) => json!({ "value": between(item), "unit": unit }),
            None => json!(between(item)),
        },
        "scale" => json!(item["minimum"].as_f64()?.round() as i64),
        "date" => json!(item["latest"].as_str().unwrap_or("2026-01-15")),
        _ => return None,
    })
}

/// A value in the middle of what the question takes.
fn between(item: &Value) -> i64 {
    let bound = |name: &str, default| item[name].as_f64().unwrap_or(default);
    ((bound("minimum", 0.0) + bound("maximum", 100.0)) / 2.0).round() as i64
}
