//! What was asked and answered, for a person to read: each question in the
//! words of the version that was shown, with the answer in the words of its
//! choices.

use serde_json::{Value, json};

use crate::{Answer, Answers, FormDefinition, FormResponse, Item, ItemKind};

/// A question of a form with its answer.
#[derive(Clone, Debug, PartialEq)]
pub struct Told {
    pub link_id: String,
    pub question: String,
    pub answer: String,
    /// As rules read it.
    pub value: Value,
}

/// The answers and scores of a response in the order of its form.
pub fn told(definition: &FormDefinition, response: &FormResponse) -> Vec<Told> {
    let told = |item: &Item| {
        let (answer, value) = match response.scores.get(&item.link_id) {
            Some(score) => {
                let band = score.band.as_ref().map(|band| format!(" ({})", band.label));
                let text = format!("{}{}", score.value, band.unwrap_or_default());
                (text, json!(score.value.to_f64()))
            }
            None => {
                let answer = response.answers.get(&item.link_id)?;
                (words(item, answer), answer.to_plain())
            }
        };
        Some(Told { link_id: item.link_id.clone(), question: item.text.clone(), answer, value })
    };
    definition.walk().into_iter().filter_map(|(item, _)| told(item)).collect()
}

fn words(item: &Item, answer: &Answer) -> String {
    match answer {
        Answer::Text(text) => text.clone(),
        Answer::Texts(texts) => texts.join(", "),
        Answer::Number(number) => match &number.unit {
            Some(unit) => format!("{} {unit}", number.value),
            None => number.value.to_string(),
        },
        Answer::Date(date) => date.to_string(),
        Answer::Choice(code) => choice(item, code),
        Answer::Choices(codes) => {
            codes.iter().map(|code| choice(item, code)).collect::<Vec<_>>().join(", ")
        }
        Answer::Boolean(true) => "Yes".to_owned(),
        Answer::Boolean(false) => "No".to_owned(),
        Answer::Scale(value) => match &item.kind {
            ItemKind::Scale { maximum, .. } => format!("{value} of {maximum}"),
            _ => value.to_string(),
        },
        Answer::Photos(photos) => match photos.len() {
            1 => "1 photo".to_owned(),
            more => format!("{more} photos"),
        },
        Answer::Rows(rows) => {
            rows.iter().map(|row| row_words(item.row(), row)).collect::<Vec<_>>().join("; ")
        }
    }
}

fn row_words(items: &[Item], row: &Answers) -> String {
    let mut parts = Vec::new();
    for (item, _) in FormDefinition::of_row(items).walk() {
        if let Some(answer) = row.get(&item.link_id) {
            parts.push(format!("{}: {}", item.text, words(item, answer)));
        }
    }
    parts.join(", ")
}

/// The text of a choice; its code where the form has no such choice.
fn choice(item: &Item, code: &str) -> String {
    let found = item.options().iter().find(|option| option.code == code);
    found.map_or_else(|| code.to_owned(), |option| option.display.clone())
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::Quantity;

    fn item(kind: Value) -> Item {
        let document = json!({ "link_id": "one", "text": "Which?", "kind": kind });
        serde_json::from_value(document).unwrap()
    }

    #[test]
    fn an_answer_reads_as_it_was_given() {
        let options = json!([
            { "code": "a", "display": "Never" },
            { "code": "b", "display": "Every day" },
        ]);
        let one = item(json!({ "type": "single_choice", "options": options }));
        assert_eq!(words(&one, &Answer::Choice("b".into())), "Every day");
        assert_eq!(words(&one, &Answer::Choice("gone".into())), "gone");
        let many = item(json!({ "type": "multiple_choice", "options": options }));
        let both = Answer::Choices(["a".to_owned(), "b".to_owned()].into());
        assert_eq!(words(&many, &both), "Never, Every day");
        let number = item(json!({ "type": "number", "units": ["kg", "[lb_av]"] }));
        let pounds =
            Quantity { value: 180.into(), unit: Some("[lb_av]".into()), in_first_unit: 82.into() };
        assert_eq!(words(&number, &Answer::Number(pounds)), "180 [lb_av]");
        let scale = item(json!({ "type": "scale", "minimum": 0, "maximum": 10 }));
        assert_eq!(words(&scale, &Answer::Scale(7)), "7 of 10");
    }

    #[test]
    fn a_repetition_names_its_own_questions() {
        let inner = item(json!({ "type": "boolean" }));
        let group = item(json!({ "type": "repeating_group", "items": [inner], "maximum": 3 }));
        let row = |value| Answers::from([("one".to_owned(), Answer::Boolean(value))]);
        let answer = Answer::Rows(vec![row(true), row(false)]);
        assert_eq!(words(&group, &answer), "Which?: Yes; Which?: No");
    }
}
