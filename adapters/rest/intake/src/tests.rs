//! A form definition says the same after it went over the wire.

use intake::{
    Band, Calculation, ChoiceOption, Condition, Consent, EnableWhen, Fact, Item, ItemKind, Operator,
};
use kernel::Coding;
use poem_openapi::types::{ParseFromJSON as _, ToJSON as _};
use serde_json::{Value, json};

use super::definition::FormItemView;

fn item(link_id: &str, kind: ItemKind) -> Item {
    Item::new(link_id, "What?", kind)
}

fn every_kind() -> Item {
    let option = ChoiceOption {
        code: "a".into(),
        display: "A".into(),
        score: Some(2),
        flag: true,
        coding: Some(Coding::new("http://loinc.org", "LA6568-5", "Not at all")),
        exclusive: true,
    };
    let band = Band { from: 18.5.into(), code: "healthy".into(), label: "Healthy".into() };
    let mut text =
        item("text", ItemKind::Text { max_length: 9, pattern: Some("x+".into()), repeats: true });
    text.required = true;
    text.help = Some("Help".into());
    text.code = Some(Coding::new("http://loinc.org", "8302-2", "Body height"));
    text.enable_when = Some(EnableWhen::any([
        Condition::fact(Fact::PatientSex, Operator::NotEqual, "male"),
        Condition::item("number", Operator::GreaterOrEqual, 2.5),
        Condition::item("boolean", Operator::Exists, true),
    ]));
    let consent = Consent { document: "telehealth".into(), version: "1".into() };
    let items = vec![
        text,
        item(
            "number",
            ItemKind::Number {
                minimum: Some(0.5.into()),
                maximum: None,
                integer: true,
                units: vec!["kg".into(), "[lb_av]".into()],
            },
        ),
        item("date", ItemKind::Date { earliest: "2024-02-29".parse().ok(), latest: None }),
        item("single", ItemKind::SingleChoice { options: vec![option.clone()] }),
        item("multiple", ItemKind::MultipleChoice { options: vec![option] }),
        item("boolean", ItemKind::Boolean { consent: Some(consent) }),
        item(
            "scale",
            ItemKind::Scale {
                minimum: -1,
                maximum: 10,
                minimum_label: Some("None".into()),
                maximum_label: None,
            },
        ),
        item("photo", ItemKind::Photo { minimum: 2, maximum: 4 }),
        item("display", ItemKind::Display),
        item(
            "rows",
            ItemKind::RepeatingGroup {
                items: vec![item("inner", ItemKind::Boolean { consent: None })],
                minimum: 1,
                maximum: 9,
            },
        ),
        item(
            "sum",
            ItemKind::Calculated {
                calculation: Calculation::Sum {
                    of: vec!["single".into()],
                    bands: vec![band.clone()],
                },
            },
        ),
        item(
            "bmi",
            ItemKind::Calculated {
                calculation: Calculation::BodyMassIndex {
                    height: "h".into(),
                    weight: "w".into(),
                    bands: vec![band],
                },
            },
        ),
    ];
    item("group", ItemKind::Group { items })
}

#[test]
fn every_kind_of_item_survives_the_wire() {
    let wire = FormItemView::from(every_kind()).to_json();
    let mut errors = Vec::new();
    let back = FormItemView::parse_from_json(wire).expect("it parses").read(&mut errors);
    assert_eq!(errors, []);
    assert_eq!(back, Some(every_kind()));
}

#[test]
fn what_cannot_be_read_is_named_by_its_path() {
    let read = |value: Value| {
        let mut errors = Vec::new();
        FormItemView::parse_from_json(Some(value)).expect("it parses").read(&mut errors);
        errors.into_iter().map(|error| error.path).collect::<Vec<_>>()
    };
    let photo = |maximum: Value| json!({ "link_id": "p", "type": "photo", "text": "?", "maximum": maximum });
    assert_eq!(read(photo(json!(2.5))), ["items.p.maximum"]);
    assert_eq!(read(photo(Value::Null)), [""; 0]);
    let scale =
        json!({ "link_id": "s", "type": "scale", "text": "?", "minimum": 0.5, "maximum": 3 });
    assert_eq!(read(scale), ["items.s.minimum"]);
    let rows = |minimum: Value| {
        let inner = json!([{ "link_id": "i", "type": "boolean", "text": "?" }]);
        json!({ "link_id": "r", "type": "repeating_group", "text": "?", "items": inner,
                "minimum": minimum, "maximum": 3 })
    };
    assert_eq!(read(rows(json!(1.5))), ["items.r.minimum"]);
    assert_eq!(read(rows(json!(-1))), ["items.r.minimum"]);
    assert_eq!(read(rows(Value::Null)), [""; 0]);
    let condition = json!({
        "link_id": "b", "type": "boolean", "text": "?",
        "enable_when": [
            { "question": "a", "operator": "~", "answer": true },
            { "question": "a", "operator": "=", "answer": [] },
        ],
    });
    assert_eq!(read(condition), ["items.b.enable_when", "items.b.enable_when"]);
    let calculated = json!({
        "link_id": "c", "type": "calculated", "text": "?",
        "calculation": { "method": "body_mass_index", "inputs": ["h"] },
    });
    assert_eq!(read(calculated), ["items.c.calculation"]);
}
