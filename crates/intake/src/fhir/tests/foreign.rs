//! Questionnaires of other authors: carried, refused by their place, or left
//! out by name.

use serde_json::{Value, json};

use super::*;
use crate::{check::check, evaluate};

fn with_items(items: Value) -> Value {
    json!({ "resourceType": "Questionnaire", "status": "active", "title": "T", "item": items })
}

fn refused(items: Value) -> String {
    to_definition(&with_items(items)).unwrap_err().path
}

fn extension(name: &str, value: Value) -> Value {
    let mut extension = value;
    extension["url"] = json!(name);
    extension
}

const HL7: &str = "http://hl7.org/fhir/StructureDefinition/";
const SDC: &str = "http://hl7.org/fhir/uv/sdc/StructureDefinition/sdc-questionnaire-";

#[test]
fn what_a_form_cannot_say_is_refused_by_its_place() {
    let question = |more: Value| {
        let mut item = json!({ "linkId": "q", "type": "boolean", "text": "Q?" });
        for (name, value) in more.as_object().unwrap() {
            item[name] = value.clone();
        }
        json!([item])
    };
    let expression = json!({ "language": "text/fhirpath", "expression": "1" });
    let computed = |name: &str| {
        let expression = json!({ "valueExpression": expression });
        json!({ "extension": [extension(&format!("{SDC}{name}"), expression)] })
    };
    let condition_on = |question: &str, answer: Value| {
        let mut condition = json!({ "question": question, "operator": "=" });
        for (name, value) in answer.as_object().unwrap() {
            condition[name] = value.clone();
        }
        condition
    };
    let condition = |answer: Value| condition_on("q", answer);
    let yes = condition(json!({ "answerBoolean": true }));
    let weight = json!({ "linkId": "w", "type": "quantity", "text": "W?", "extension": [
        extension(&format!("{HL7}questionnaire-unitOption"), json!({ "valueCoding": {"code": "kg"} })),
        extension(&format!("{HL7}questionnaire-unitOption"), json!({ "valueCoding": {"code": "g"} })),
    ]});
    let on_weight = |answer: Value| {
        json!([weight, { "linkId": "x", "type": "boolean", "enableWhen": [
            { "question": "w", "operator": ">=", "answerQuantity": answer },
        ]}])
    };
    let on_weight_of = |answer: Value| json!([weight, { "linkId": "x", "type": "boolean", "enableWhen": [condition_on("w", answer)] }]);
    let number = |kind: &str, more: Value| {
        let mut items = question(more);
        items[0]["type"] = json!(kind);
        items
    };
    let least = |value: i32| extension(&format!("{HL7}minValue"), json!({ "valueDecimal": value }));
    let unit = |system: &str, code: &str| {
        let coding = json!({ "valueCoding": { "system": system, "code": code } });
        extension(&format!("{HL7}questionnaire-unitOption"), coding)
    };
    let above = |comparator: Value, system: &str| {
        let mut value = json!({ "value": 1, "code": "kg", "system": system });
        if !comparator.is_null() {
            value["comparator"] = comparator;
        }
        extension(&format!("{SDC}minQuantity"), json!({ "valueQuantity": value }))
    };
    for (items, path) in [
        (question(computed("enableWhenExpression")), "item[0].extension[0]"),
        (question(computed("calculatedExpression")), "item[0].extension[0]"),
        (question(json!({ "answerValueSet": "http://x" })), "item[0].answerValueSet"),
        (question(json!({ "enableWhen": [yes, yes] })), "item[0].enableBehavior"),
        (question(json!({ "repeats": true })), "item[0].repeats"),
        (question(json!({ "required": "yes" })), "item[0].required"),
        (
            question(json!({ "modifierExtension": [{ "url": "http://x" }] })),
            "item[0].modifierExtension",
        ),
        (
            question(json!({ "enableWhen": [{ "question": "q", "operator": "=",
                "answerBoolean": true, "modifierExtension": [{ "url": "http://x" }] }] })),
            "item[0].enableWhen[0].modifierExtension",
        ),
        (
            question(json!({ "enableWhen": [condition(json!({ "answerTime": "10:00:00" }))] })),
            "item[0].enableWhen[0].answerTime",
        ),
        (question(json!({ "somethingNew": 1 })), "item[0].somethingNew"),
        // What is written as one element where a list belongs is not passed over.
        (question(json!({ "enableWhen": yes })), "item[0].enableWhen"),
        (
            question(json!({ "extension": extension(&format!("{HL7}minLength"), json!({})) })),
            "item[0].extension",
        ),
        (question(json!({ "code": { "code": "x" } })), "item[0].code"),
        (question(json!({ "maxLength": 5 })), "item[0].maxLength"),
        (number("decimal", json!({ "extension": [least(1), least(2)] })), "item[0].extension[1]"),
        (number("quantity", json!({ "extension": [unit("http://x", "kg")] })), "item[0].extension"),
        (
            number(
                "quantity",
                json!({ "extension": [unit(system::UNITS, "kg"), unit(system::UNITS, "g"), least(1)] }),
            ),
            "item[0].extension",
        ),
        (
            number(
                "quantity",
                json!({ "extension": [unit(system::UNITS, "kg"), above(json!(">"), system::UNITS)] }),
            ),
            "item[0].extension",
        ),
        (
            number(
                "quantity",
                json!({ "extension": [unit(system::UNITS, "kg"), above(json!(null), "http://x")] }),
            ),
            "item[0].extension",
        ),
        (
            number(
                "quantity",
                json!({ "extension": [unit(system::UNITS, "kg")],
                "initial": [{ "valueQuantity": { "value": 5, "comparator": "<", "code": "kg" } }] }),
            ),
            "item[0].initial",
        ),
        (
            number(
                "string",
                json!({ "extension":
                [extension(&format!("{HL7}regex"), json!({ "valueInteger": 1 }))] }),
            ),
            "item[0].extension[0]",
        ),
        (
            question(json!({ "extension":
                [extension(&format!("{HL7}questionnaire-hidden"), json!({ "valueString": "true" }))] })),
            "item[0].extension[0]",
        ),
        (on_weight_of(json!({ "answerDecimal": 100 })), "item[1].enableWhen[0].answerDecimal"),
        (
            on_weight(json!({ "value": 3, "code": "kg", "system": "http://x" })),
            "item[1].enableWhen[0].answerQuantity",
        ),
        (question(json!({ "answerOption": [] })), "item[0].answerOption"),
        (on_weight(json!({ "value": 3, "code": "cm" })), "item[1].enableWhen[0].answerQuantity"),
        (on_weight(json!({ "value": 3 })), "item[1].enableWhen[0].answerQuantity"),
        (
            json!([{ "linkId": "c", "type": "choice", "answerOption": [{ "valueString": "x" }] }]),
            "item[0].answerOption[0].valueString",
        ),
        (
            json!([{ "linkId": "c", "type": "choice", "answerOption": [{
                "valueCoding": { "code": "x" },
                "extension": [extension(&format!("{HL7}itemWeight"), json!({ "valueDecimal": 0.5 }))],
            }] }]),
            "item[0].answerOption[0].extension",
        ),
        (
            json!([{ "linkId": "c", "type": "choice", "repeats": true,
                "answerOption": [{ "valueCoding": { "code": "x" } }],
                "item": [{ "linkId": "d", "type": "string" }] }]),
            "item[0].item",
        ),
    ] {
        assert_eq!(refused(items.clone()), path, "{items}");
    }
    let mut modified = with_items(json!([]));
    modified["modifierExtension"] = json!([{ "url": "http://x", "valueBoolean": true }]);
    assert_eq!(to_definition(&modified).unwrap_err().path, "modifierExtension");
    modified = with_items(json!([]));
    modified["implicitRules"] = json!("http://x");
    assert_eq!(to_definition(&modified).unwrap_err().path, "implicitRules");
}

#[test]
fn what_only_describes_is_left_out_and_named() {
    let mut foreign = with_items(json!([{
        "linkId": "q", "prefix": "1.", "type": "boolean", "text": "Q?",
        "_text": { "extension": [extension(&format!("{HL7}rendering-xhtml"),
                                           json!({ "valueString": "<b>Q?</b>" }))] },
        "code": [{ "system": "http://loinc.org", "code": "1-8" }, { "code": "x" }],
        "extension": [extension("http://other.example/color", json!({ "valueCode": "red" }))],
    }]));
    foreign["publisher"] = json!("Somebody");
    foreign["id"] = json!("theirs");
    let imported = to_definition(&foreign).unwrap();
    let paths: Vec<&str> =
        imported.warnings.iter().map(|left_out| left_out.path.as_str()).collect();
    assert_eq!(
        paths,
        ["publisher", "item[0]._text", "item[0].prefix", "item[0].extension[0]", "item[0].code[1]"]
    );
}

#[test]
fn what_others_write_about_questions_is_carried() {
    let scored = |code: &str, display: &str, weight: i32| {
        json!({ "valueCoding": { "system": "http://loinc.org", "code": code, "display": display,
            "extension": [extension(&format!("{HL7}itemWeight"), json!({ "valueDecimal": weight }))],
        } })
    };
    let unit = |code: &str| {
        extension(
            &format!("{HL7}questionnaire-unitOption"),
            json!({ "valueCoding": { "system": "http://unitsofmeasure.org", "code": code } }),
        )
    };
    let pounds = |value: i32| json!({ "value": value, "code": "[lb_av]" });
    let foreign = with_items(json!([
        { "linkId": "often", "type": "choice", "text": "How often?",
          "answerOption": [scored("LA6568-5", "Not at all", 0), scored("LA6571-9", "Often", 3)],
          "item": [{ "linkId": "since", "type": "string", "text": "Since when?",
            "enableWhen": [{ "question": "often", "operator": "=",
              "answerCoding": { "system": "http://loinc.org", "code": "LA6571-9" } }] }] },
        { "linkId": "weight", "type": "quantity", "text": "Weight?",
          "extension": [unit("kg"), unit("[lb_av]"),
            extension(&format!("{SDC}minQuantity"), json!({ "valueQuantity": pounds(100) }))] },
        { "linkId": "heavy", "type": "string", "text": "Why?", "enableWhen": [
            { "question": "weight", "operator": ">=", "answerQuantity": pounds(220) }] },
        { "linkId": "source", "type": "string", "text": "Source", "initial": [{ "valueString": "web" }],
          "extension": [extension(&format!("{HL7}questionnaire-hidden"), json!({ "valueBoolean": true }))] },
        { "linkId": "rate", "type": "decimal", "text": "Rate", "readOnly": true,
          "initial": [{ "valueDecimal": 1.50 }] },
    ]));
    let text = foreign.to_string().replace("1.5}", "1.50}");
    let imported = to_definition(&serde_json::from_str(&text).unwrap()).unwrap();
    assert_eq!(imported.warnings, []);
    let form = imported.definition;
    assert_eq!(check(&form), []);
    let often = &form.items[0];
    assert_eq!(often.options()[1].score, Some(3));
    let meant = Coding::new(system::LOINC, "LA6571-9", "Often");
    assert_eq!(often.options()[1].coding, Some(meant));
    let ItemKind::Number { minimum, .. } = &form.items[1].kind else { panic!("not a number") };
    assert_eq!(minimum.unwrap().to_string(), "45.359237");

    let answer = |raw: Value| {
        let raw: RawAnswers = serde_json::from_value(raw).unwrap();
        evaluate(&form, &raw, &Facts::default(), Stage::Final)
    };
    let found = answer(json!({ "often": "LA6571-9", "since": "May",
                               "weight": { "value": 220, "unit": "[lb_av]" }, "heavy": "why" }));
    assert_eq!(found.errors, []);
    for link_id in ["since", "heavy", "source", "rate"] {
        assert!(found.answers.contains_key(link_id), "{link_id}");
    }
    // 220 pounds are 99.79 kilograms.
    let found = answer(json!({ "weight": { "value": 99, "unit": "kg" }, "heavy": "why",
                               "often": "LA6568-5", "since": "May", "rate": 2 }));
    assert!(!found.answers.contains_key("heavy") && !found.answers.contains_key("since"));
    assert_eq!(
        (found.errors[0].path.as_str(), found.errors[0].code.as_str()),
        ("answers.rate", "read_only")
    );

    // As it was imported, it is exported.
    let again = from_definition(&form, LIMIT);
    assert_eq!(to_definition(&again).unwrap().definition, form);
    assert_eq!(again["item"][3]["initial"], json!([{ "valueString": "web" }]));
    assert_eq!(again["item"][4]["initial"][0]["valueDecimal"].to_string(), "1.50");
    assert_eq!(again["item"][0]["item"][0]["linkId"], "since");
}

#[test]
fn a_code_without_a_system_or_a_display_comes_out_without_empty_strings() {
    let codes = json!([{ "code": "x" }]);
    let foreign = with_items(json!([
        { "linkId": "q", "type": "boolean", "text": "Q?", "code": codes },
    ]));
    let definition = to_definition(&foreign).unwrap().definition;
    assert_eq!(questionnaire(&version(definition), LIMIT)["item"][0]["code"], codes);
}
