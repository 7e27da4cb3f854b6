//! What other form fillers read of our forms and answers.

use serde_json::{Value, json};

use super::*;
use crate::{answer, evaluate};

fn number(integer: bool, units: &[&str]) -> ItemKind {
    let units = units.iter().map(ToString::to_string).collect();
    ItemKind::Number { minimum: Some(1.into()), maximum: None, integer, units }
}

fn coded(code: &str, loinc: &str, score: i32) -> ChoiceOption {
    ChoiceOption {
        code: code.into(),
        display: format!("Choice {code}"),
        score: Some(score),
        flag: false,
        coding: Some(Coding::new(system::LOINC, loinc, format!("Choice {code}"))),
        exclusive: false,
    }
}

fn form(mut items: Vec<Item>, conditions: Vec<Condition>) -> FormDefinition {
    for (index, condition) in conditions.into_iter().enumerate() {
        let mut item = Item::new(format!("after{index}"), "After?", ItemKind::Display);
        item.enable_when = Some(EnableWhen::all([condition]));
        items.push(item);
    }
    FormDefinition { title: "T".into(), description: None, items, rules: vec![] }
}

#[test]
fn a_condition_has_the_type_of_its_question() {
    let local = ChoiceOption { coding: None, ..coded("x", "", 0) };
    let items = vec![
        Item::new("coded", "?", ItemKind::SingleChoice { options: vec![coded("0", "LA1-0", 0)] }),
        Item::new("local", "?", ItemKind::MultipleChoice { options: vec![local] }),
        Item::new("count", "?", number(true, &[])),
        Item::new("share", "?", number(false, &[])),
        Item::new("weight", "?", number(false, &["kg", "[lb_av]"])),
        Item::new("day", "?", ItemKind::Date { earliest: None, latest: None }),
        Item::new("words", "?", ItemKind::Text { max_length: 9, pattern: None, repeats: false }),
        Item::new("yes", "?", ItemKind::Boolean { consent: None }),
    ];
    let is =
        |link_id: &str, expected: Expected| Condition::item(link_id, Operator::Equal, expected);
    let definition = form(
        items,
        vec![
            is("coded", "0".into()),
            is("local", "x".into()),
            is("count", 3.0.into()),
            is("share", 2.5.into()),
            is("weight", 100.0.into()),
            is("day", "2024-02-29".into()),
            is("words", "2024-02-29".into()),
            is("yes", true.into()),
            Condition::item("count", Operator::Greater, 2.5),
        ],
    );
    let resource = from_definition(&definition, LIMIT);
    let answers: Vec<Value> = resource["item"]
        .as_array()
        .unwrap()
        .iter()
        .filter_map(|item| item["enableWhen"].get(0))
        .map(|when| {
            let mut when = when.clone();
            when.as_object_mut().unwrap().remove("question");
            when
        })
        .collect();
    let unit = json!({ "value": 100, "unit": "kg", "system": system::UNITS, "code": "kg" });
    assert_eq!(
        answers,
        [
            json!({ "operator": "=", "answerCoding":
                { "system": system::LOINC, "code": "LA1-0", "display": "Choice 0" } }),
            json!({ "operator": "=", "answerCoding":
                { "system": "urn:salus:form:local", "code": "x", "display": "Choice x" } }),
            json!({ "operator": "=", "answerInteger": 3 }),
            json!({ "operator": "=", "answerDecimal": 2.5 }),
            json!({ "operator": "=", "answerQuantity": unit }),
            json!({ "operator": "=", "answerDate": "2024-02-29" }),
            json!({ "operator": "=", "answerString": "2024-02-29" }),
            json!({ "operator": "=", "answerBoolean": true }),
            json!({ "operator": ">", "answerInteger": 2 }),
        ]
    );
    assert_eq!(to_definition(&resource, LIMIT).unwrap().definition, definition);
    // The choice that a condition names is one that the question offers.
    let offered = &resource["item"][0]["answerOption"][0]["valueCoding"];
    assert_eq!(*offered, answers[0]["answerCoding"]);
    // A limit has its unit.
    let limit = &resource["item"][4]["extension"][0];
    assert_eq!(limit["valueQuantity"]["code"], "kg");
    assert_eq!(resource["item"][2]["extension"][0]["valueInteger"], 1);
}

#[test]
fn what_others_cannot_know_is_asked_of_everybody() {
    let old = Condition::fact(Fact::PatientAge, Operator::GreaterOrEqual, 65.0);
    let yes = Condition::item("yes", Operator::Equal, true);
    let ask = |when: EnableWhen| {
        let mut item = Item::new("q", "?", ItemKind::Boolean { consent: None });
        item.enable_when = Some(when);
        let yes = Item::new("yes", "?", ItemKind::Boolean { consent: None });
        let form = form(vec![yes, item], vec![]);
        let resource = from_definition(&form, LIMIT);
        assert_eq!(to_definition(&resource, LIMIT).unwrap().definition, form);
        resource["item"][1]["enableWhen"].clone()
    };
    assert_eq!(ask(EnableWhen::any([old.clone(), yes.clone()])), Value::Null);
    let left = ask(EnableWhen::all([old, yes]));
    assert_eq!(left, json!([{ "question": "yes", "operator": "=", "answerBoolean": true }]));
}

#[test]
fn a_total_can_be_worked_out_by_others() {
    let scored = vec![coded("a", "LA1-0", 0), coded("b", "LA2-8", 3)];
    let choice =
        |link_id: &str| Item::new(link_id, "?", ItemKind::SingleChoice { options: scored.clone() });
    let of = vec!["q0".to_owned(), "q1".to_owned()];
    let sum = Calculation::Sum { of, bands: vec![] };
    let total = Item::new("total", "Total", ItemKind::Calculated { calculation: sum });
    let resource = from_definition(&form(vec![choice("q0"), choice("q1"), total], vec![]), LIMIT);
    let extensions = resource["item"][2]["extension"].as_array().unwrap();
    let expression = &extensions[1]["valueExpression"]["expression"];
    let both = "%resource.descendants().where(linkId = 'q0' or linkId = 'q1').answer.value";
    assert_eq!(
        *expression,
        format!(
            "iif({both}.count() = 2, {both}.code.select(\
             iif($this = 'LA1-0', 0, iif($this = 'LA2-8', 3, 0))).sum())"
        )
    );
}

/// The resource of the answers that a body in JSON gives.
fn answered(items: Vec<Item>, body: &str) -> Value {
    let version = version(form(items, vec![]));
    let raw: RawAnswers = serde_json::from_str(body).unwrap();
    let evaluation = evaluate(&version.definition, &raw, &Facts::default(), Stage::Final);
    assert_eq!(evaluation.errors, []);
    let response = submitted(&version, evaluation, vec![], Facts::default());
    questionnaire_response(&version, &response)
}

#[test]
fn numbers_keep_the_digits_that_were_written() {
    let items = vec![
        Item::new("count", "?", number(true, &[])),
        Item::new("share", "?", number(false, &[])),
        Item::new("weight", "?", number(false, &["kg", "[lb_av]"])),
    ];
    let body = r#"{"count": 70, "share": 70.50, "weight": {"value": 154.320, "unit": "[lb_av]"}}"#;
    let resource = answered(items.clone(), body);
    let value = |at: usize| resource["item"][at]["answer"][0].clone();
    assert_eq!(value(0).to_string(), r#"{"valueInteger":70}"#);
    assert_eq!(value(1).to_string(), r#"{"valueDecimal":70.50}"#);
    assert_eq!(value(2)["valueQuantity"]["value"].to_string(), "154.320");
    let resource = answered(items, r#"{"share": 12345678901234567.25}"#);
    assert_eq!(
        resource["item"][0]["answer"][0].to_string(),
        r#"{"valueDecimal":12345678901234567.25}"#
    );
}

#[test]
fn a_number_that_is_in_doubt_is_refused() {
    let refused = |kind: ItemKind, body: &str| -> Vec<String> {
        let form = form(vec![Item::new("q", "?", kind)], vec![]);
        let raw: RawAnswers = serde_json::from_str(&format!(r#"{{"q": {body}}}"#)).unwrap();
        let found = evaluate(&form, &raw, &Facts::default(), Stage::Final);
        found.errors.into_iter().map(|error| error.code).collect()
    };
    let several = number(false, &["kg", "[lb_av]"]);
    assert_eq!(refused(several.clone(), "70"), ["wrong_type"]);
    assert_eq!(refused(several.clone(), r#"{"value": 70}"#), ["wrong_type"]);
    assert_eq!(refused(several, r#"{"value": 70, "unit": "kg"}"#), [""; 0]);
    assert_eq!(refused(number(false, &["kg"]), "70"), [""; 0]);
    assert_eq!(refused(number(true, &[]), "2147483647"), [""; 0]);
    assert_eq!(refused(number(true, &[]), "2147483648"), ["out_of_range"]);
    assert_eq!(refused(number(true, &[]), "70.0"), [""; 0]);
    assert_eq!(refused(number(true, &[]), "70.5"), ["invalid"]);
    assert_eq!(refused(number(false, &[]), "1e40"), ["wrong_type"]);
    assert!(answer::read(&number(false, &[]), &json!("70")).is_err());
}

#[test]
fn answers_below_an_answer_stand_below_it() {
    let mut question = Item::new("q", "?", ItemKind::Boolean { consent: None });
    question.items = vec![Item::new("below", "?", number(true, &[]))];
    let resource = answered(vec![question.clone()], r#"{"q": true, "below": 3}"#);
    let below = &resource["item"][0]["answer"][0];
    assert_eq!(below["valueBoolean"], true);
    assert_eq!(below["item"][0]["answer"][0]["valueInteger"], 3);
    let version = version(form(vec![question], vec![]));
    let (raw, _) = answers_of(&version, &resource).unwrap();
    assert_eq!(serde_json::to_value(raw).unwrap(), json!({ "q": true, "below": 3 }));
}

/// As versions of before this one wrote it.
#[test]
fn stored_forms_and_answers_still_read() {
    let stored = r#"{"title":"T","items":[
        {"link_id":"w","text":"?","required":true,"kind":{"type":"number","minimum":30.0,
         "maximum":350.5,"integer":false,"units":["kg","[lb_av]"]}},
        {"link_id":"b","text":"?","required":false,"kind":{"type":"calculated","calculation":
         {"method":"sum","of":["w"],"bands":[{"from":18.5,"code":"x","label":"X"}]}},
         "enable_when":{"behavior":"all","conditions":[
          {"subject":{"item":"w"},"operator":">=","expected":99.5}]}}]}"#;
    let form: FormDefinition = serde_json::from_str(stored).unwrap();
    let through: FormDefinition =
        serde_json::from_value(serde_json::from_str(stored).unwrap()).unwrap();
    assert_eq!(form, through);
    let ItemKind::Number { maximum, .. } = &form.items[0].kind else { panic!("not a number") };
    assert_eq!(*maximum, Some(350.5.into()));
    let answers = r#"{"w":{"kind":"number","value":
        {"value":180.0,"unit":"[lb_av]","in_first_unit":81.64662659999999}}}"#;
    let answers: crate::Answers = serde_json::from_str(answers).unwrap();
    assert_eq!(answers["w"].to_raw().to_string(), r#"{"unit":"[lb_av]","value":180.0}"#);
}
