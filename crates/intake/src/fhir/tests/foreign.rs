//! Questionnaires of other authors: carried, refused by their place, or left
//! out by name.

use std::mem::discriminant;

use serde_json::{Value, json};

use super::*;
use crate::{check::check, evaluate};

fn with_items(items: Value) -> Value {
    json!({ "resourceType": "Questionnaire", "status": "active", "title": "T", "item": items })
}

fn refused(items: Value) -> String {
    to_definition(&with_items(items), LIMIT).unwrap_err().path
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
    // A limit that cannot apply where it stands was wanted all the same.
    let limited = |kind: &str, name: &str, value: Value| {
        let mut items = number(kind, json!({ "extension": [extension(name, value)] }));
        if kind == "choice" {
            items[0]["answerOption"] = json!([{ "valueCoding": { "code": "x" } }]);
        }
        if kind == "quantity" {
            items[0]["extension"].as_array_mut().unwrap().push(unit(system::UNITS, "kg"));
        }
        items
    };
    for (kind, name, value) in [
        ("integer", "regex", json!({ "valueString": "[0-9]" })),
        ("string", "minValue", json!({ "valueInteger": 1 })),
        ("string", "maxValue", json!({ "valueDecimal": 1.5 })),
        ("date", "maxSize", json!({ "valueDecimal": 1 })),
        ("boolean", "mimeType", json!({ "valueCode": "image/png" })),
        ("choice", "minValue", json!({ "valueInteger": 1 })),
        ("choice", "questionnaire-optionExclusive", json!({ "valueBoolean": true })),
        ("boolean", "ordinalValue", json!({ "valueDecimal": 1 })),
        ("string", "questionnaire-unit", json!({ "valueCoding": { "code": "kg" } })),
        ("string", "questionnaire-maxOccurs", json!({ "valueInteger": 3 })),
        ("group", "questionnaire-minOccurs", json!({ "valueInteger": 1 })),
        ("boolean", "questionnaire-signatureRequired", json!({ "valueBoolean": true })),
    ] {
        let items = limited(kind, &format!("{HL7}{name}"), value);
        assert_eq!(refused(items), "item[0].extension[0]", "{name} on {kind}");
    }
    let elsewhere =
        limited("string", "http://other.example/minValue", json!({ "valueString": "1" }));
    assert_eq!(refused(elsewhere), "item[0].extension[0]");
    let beside = question(json!({ "_text": { "extension": [
        extension("http://hl7.org/fhir/StructureDefinition/cqf-expression", json!({})),
    ]}}));
    assert_eq!(refused(beside), "item[0]._text");
    // Beyond 32 bits no whole number is answered.
    let far = 3_000_000_000_i64;
    let named = |name: &str, value: Value| limited("integer", &format!("{HL7}{name}"), value);
    let on_count = json!([
        { "linkId": "n", "type": "integer" },
        { "linkId": "x", "type": "boolean", "enableWhen": [
            { "question": "n", "operator": ">", "answerInteger": far }] },
    ]);
    // A limit in words that name another unit is no limit in the first one.
    let pounds = json!({ "valueQuantity": { "value": 150, "unit": "lb" } });
    let initial = |kind: &str, value: Value| number(kind, json!({ "initial": [value] }));
    let repeating = |more: Value| number("string", more);
    let coded = json!({ "linkId": "c", "type": "choice", "answerOption": [
        { "valueCoding": { "system": "http://x", "code": "x" } }] });
    let on_choice = |answer: Value| json!([coded, { "linkId": "x", "type": "boolean", "enableWhen": [condition_on("c", answer)] }]);
    let weighed = |kind: &str| extension(&format!("{HL7}{kind}"), json!({ "valueDecimal": 1 }));
    let twice = json!([{ "linkId": "c", "type": "choice", "answerOption": [{
        "valueCoding": { "code": "x", "extension": [weighed("itemWeight")] },
        "extension": [extension(&format!("{HL7}ordinalValue"), json!({ "valueDecimal": 2 }))],
    }] }]);
    let both = json!([least(1), above(json!(null), system::UNITS), unit(system::UNITS, "kg")]);
    for (items, path) in [
        (named("minValue", json!({ "valueInteger": far })), "item[0].extension[0].valueInteger"),
        (named("maxValue", json!({ "valueDecimal": far })), "item[0].extension"),
        (on_count, "item[1].enableWhen[0].answerInteger"),
        (initial("integer", json!({ "valueInteger": far })), "item[0].initial[0].valueInteger"),
        (number("string", json!({ "maxLength": far })), "item[0].maxLength"),
        (number("string", json!({ "maxLength": -1 })), "item[0].maxLength"),
        (number("string", json!({ "maxLength": 1.5 })), "item[0].maxLength"),
        (
            number(
                "attachment",
                json!({ "extension": [
                extension(&format!("{HL7}questionnaire-minOccurs"), json!({ "valueInteger": -1 }))] }),
            ),
            "item[0].extension[0].valueInteger",
        ),
        (limited("quantity", &format!("{SDC}minQuantity"), pounds), "item[0].extension"),
        (number("quantity", json!({ "extension": both })), "item[0].extension"),
        (initial("date", json!({ "valueString": "2024-02-29" })), "item[0].initial[0].valueString"),
        (initial("string", json!({ "valueDate": "2024-02-29" })), "item[0].initial[0].valueDate"),
        (initial("string", json!({})), "item[0].initial[0]"),
        (
            initial("string", json!({ "valueString": "x", "extension": [] })),
            "item[0].initial[0].extension",
        ),
        (on_choice(json!({ "answerString": "x" })), "item[1].enableWhen[0].answerString"),
        (on_choice(json!({ "answerDate": "2024-02-29" })), "item[1].enableWhen[0].answerDate"),
        (twice, "item[0].answerOption[0].extension"),
        (
            repeating(json!({ "repeats": true, "extension": [
                extension(&format!("{HL7}questionnaire-maxOccurs"), json!({ "valueInteger": 3 }))] })),
            "item[0].extension",
        ),
        (
            number(
                "attachment",
                json!({ "extension": [
                extension(&format!("{HL7}questionnaire-maxOccurs"), json!({ "valueInteger": 3 }))] }),
            ),
            "item[0].repeats",
        ),
    ] {
        assert_eq!(refused(items.clone()), path, "{items}");
    }
    let mut modified = with_items(json!([]));
    modified["modifierExtension"] = json!([{ "url": "http://x", "valueBoolean": true }]);
    assert_eq!(to_definition(&modified, LIMIT).unwrap_err().path, "modifierExtension");
    modified = with_items(json!([]));
    modified["implicitRules"] = json!("http://x");
    assert_eq!(to_definition(&modified, LIMIT).unwrap_err().path, "implicitRules");
    modified = with_items(json!([]));
    modified["status"] = json!("entered-in-error");
    assert_eq!(to_definition(&modified, LIMIT).unwrap_err().path, "status");
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
    let imported = to_definition(&foreign, LIMIT).unwrap();
    let paths: Vec<&str> =
        imported.warnings.iter().map(|left_out| left_out.path.as_str()).collect();
    assert_eq!(
        paths,
        ["publisher", "item[0]._text", "item[0].prefix", "item[0].extension[0]", "item[0].code[1]"]
    );
}

#[test]
fn an_end_that_the_form_sets_by_itself_is_named() {
    let most = extension(&format!("{HL7}questionnaire-maxOccurs"), json!({ "valueInteger": 60 }));
    let mut foreign = with_items(json!([
        { "linkId": "a", "type": "string", "text": "A?" },
        { "linkId": "b", "type": "text", "text": "B?", "maxLength": 9, "repeats": true },
        { "linkId": "c", "type": "string", "text": "C?", "maxLength": 9, "repeats": true,
          "extension": [most] },
        { "linkId": "d", "type": "group", "text": "D?", "repeats": true, "item": [
            { "linkId": "e", "type": "boolean", "text": "E?" }] },
        { "linkId": "f", "type": "attachment", "text": "F?", "repeats": true },
        // A condition looks at it, which is no second time that it is read.
        { "linkId": "g", "type": "display", "text": "G", "enableWhen": [
            { "question": "a", "operator": "=", "answerString": "x" }] },
    ]));
    foreign["status"] = json!("retired");
    let imported = to_definition(&foreign, LIMIT).unwrap();
    let warned: Vec<String> =
        imported.warnings.iter().map(|one| format!("{} {}", one.code, one.path)).collect();
    assert_eq!(
        warned,
        [
            "left_out status",
            "assumed item[0].maxLength",
            "assumed item[1].repeats",
            "left_out item[2].extension",
            "assumed item[3].repeats",
            "assumed item[4].type",
            "assumed item[4].type",
            "assumed item[4].repeats",
        ]
    );
    assert_eq!(check(&imported.definition), []);
    // The export states what the import assumed, so importing it again assumes nothing.
    let again = to_definition(&from_definition(&imported.definition, LIMIT), LIMIT).unwrap();
    assert_eq!(again.definition, imported.definition);
    assert_eq!(again.warnings, []);
}

/// A form with every element and every extension that a Questionnaire is read
/// for, as others write them.
fn with_everything() -> Value {
    let hl7 = |name: &str, value: Value| extension(&format!("{HL7}{name}"), value);
    let ours = |name: &str, value: Value| {
        extension(&format!("https://salus.health/fhir/StructureDefinition/{name}"), value)
    };
    let part = |name: &str, value: Value| extension(name, value);
    let kilograms = json!({ "valueCoding": { "system": system::UNITS, "code": "kg" } });
    let limit = json!({ "valueQuantity": {
        "value": 1.5, "unit": "kg", "system": system::UNITS, "code": "kg" } });
    let text = |value: &str| json!({ "valueString": value });
    let slider = json!({ "valueCodeableConcept": { "coding": [{ "code": "slider" }] } });
    let coding = json!({ "system": "http://x", "code": "x", "display": "X" });
    json!({
        "resourceType": "Questionnaire", "status": "active", "title": "T", "description": "D",
        "subjectType": ["Patient"], "name": "N", "url": "http://x", "version": "1", "id": "x",
        "date": "2024-02-29", "publisher": "P", "experimental": false,
        "extension": [ours("rule", json!({ "extension": [
            part("left", text("day")), part("operator", json!({ "valueCode": "<" })),
            part("right", text("day")), part("message", text("No.")),
        ] }))],
        "item": [
            { "linkId": "day", "type": "date", "text": "Day?", "required": true, "prefix": "1.",
              "readOnly": false, "repeats": false, "initial": [{ "valueDate": "2024-02-29" }],
              "code": [{ "system": "http://x", "code": "x", "display": "X", "version": "1" }],
              "extension": [
                hl7("minValue", json!({ "valueDate": "2024-01-01" })),
                hl7("maxValue", json!({ "valueDate": "2025-01-01" })),
                hl7("questionnaire-hidden", json!({ "valueBoolean": false })),
                ours("help", text("Help")),
              ] },
            { "linkId": "words", "type": "string", "text": "Words?", "maxLength": 9, "repeats": true,
              "enableBehavior": "any", "enableWhen": [
                { "question": "day", "operator": ">", "answerDate": "2024-02-29" },
                { "question": "count", "operator": ">", "answerInteger": 1 },
                { "question": "count", "operator": "<", "answerDecimal": 1.5 },
                { "question": "weight", "operator": "<", "answerQuantity": limit["valueQuantity"] },
                { "question": "yes", "operator": "=", "answerBoolean": true },
                { "question": "words", "operator": "=", "answerString": "x" },
                { "question": "which", "operator": "=", "answerCoding": coding },
              ],
              "extension": [
                hl7("regex", text("[a-z]+")),
                hl7("questionnaire-maxOccurs", json!({ "valueInteger": 50 })),
              ] },
            { "linkId": "count", "type": "integer", "text": "Count?",
              "initial": [{ "valueInteger": 2 }], "extension": [
                hl7("minValue", json!({ "valueInteger": 1 })),
                hl7("maxValue", json!({ "valueDecimal": 9.0 })),
              ] },
            { "linkId": "weight", "type": "quantity", "text": "Weight?",
              "initial": [{ "valueQuantity": limit["valueQuantity"] }], "extension": [
                hl7("questionnaire-unit", kilograms),
                hl7("questionnaire-unitOption", json!({ "valueCoding": { "code": "g" } })),
                extension(&format!("{SDC}minQuantity"), limit.clone()),
                extension(&format!("{SDC}maxQuantity"), limit),
                ours("integer", json!({ "valueBoolean": false })),
              ] },
            { "linkId": "scale", "type": "integer", "text": "How much?", "extension": [
                hl7("questionnaire-itemControl", slider),
                hl7("minValue", json!({ "valueInteger": 0 })),
                hl7("maxValue", json!({ "valueInteger": 9 })),
                ours("minimum-label", text("None")), ours("maximum-label", text("All")),
            ] },
            { "linkId": "which", "type": "choice", "text": "Which?", "answerOption": [
                { "valueCoding": coding, "initialSelected": true, "extension": [
                    hl7("ordinalValue", json!({ "valueDecimal": 1 })),
                    hl7("questionnaire-optionExclusive", json!({ "valueBoolean": true })),
                    ours("flag", json!({ "valueBoolean": true })),
                    ours("option-code", text("y")), ours("coding", json!({ "valueCoding": coding })),
                ] },
                { "valueCoding": { "code": "z", "extension": [
                    hl7("itemWeight", json!({ "valueDecimal": 0 })),
                    hl7("questionnaire-ordinalValue", json!({ "valueDecimal": 0 })),
                ] } },
            ] },
            { "linkId": "yes", "type": "boolean", "text": "Yes?", "initial": [{ "valueBoolean": true }],
              "extension": [ours("consent", json!({ "extension": [
                part("document", text("d")), part("version", text("1")),
              ] }))] },
            { "linkId": "photo", "type": "attachment", "text": "Photo?", "repeats": true,
              "extension": [
                hl7("questionnaire-minOccurs", json!({ "valueInteger": 1 })),
                hl7("questionnaire-maxOccurs", json!({ "valueInteger": 2 })),
                hl7("maxSize", json!({ "valueDecimal": 10 })),
                hl7("mimeType", json!({ "valueCode": "image/jpeg" })),
                hl7("mimeType", json!({ "valueCode": "image/png" })),
                hl7("mimeType", json!({ "valueCode": "image/webp" })),
              ] },
            { "linkId": "rows", "type": "group", "text": "Rows", "repeats": true,
              "extension": [
                hl7("questionnaire-minOccurs", json!({ "valueInteger": 0 })),
                hl7("questionnaire-maxOccurs", json!({ "valueInteger": 2 })),
                ours("enable-when", text("[]")),
              ],
              "item": [{ "linkId": "row", "type": "boolean", "text": "Row?" }] },
            { "linkId": "sum", "type": "decimal", "text": "Sum", "readOnly": true, "extension": [
                ours("calculation", text(r#"{"method": "sum", "of": ["scale"], "bands": []}"#)),
            ] },
        ],
    })
}

/// Every value within, with its path as errors write it.
fn all_within(value: &Value, path: &str, found: &mut Vec<(String, String)>, pointer: &str) {
    if !path.is_empty() {
        found.push((path.to_owned(), pointer.to_owned()));
    }
    match value {
        Value::Object(members) => {
            for (name, inner) in members {
                let here = if path.is_empty() { name.clone() } else { format!("{path}.{name}") };
                all_within(inner, &here, found, &format!("{pointer}/{name}"));
            }
        }
        Value::Array(values) => {
            for (index, inner) in values.iter().enumerate() {
                let here = format!("{path}[{index}]");
                all_within(inner, &here, found, &format!("{pointer}/{index}"));
            }
        }
        _ => {}
    }
}

#[test]
fn whatever_has_another_type_than_it_takes_is_refused_by_its_place() {
    let whole = with_everything();
    let imported = to_definition(&whole, LIMIT).unwrap();
    assert_eq!(imported.definition.items.len(), 10);
    let mut found = Vec::new();
    all_within(&whole, "", &mut found, "");
    assert!(found.len() > 250, "{}", found.len());
    let mut passed = Vec::new();
    for (path, pointer) in found {
        // Which control an item has only matters where it is one that is known.
        if path.contains("valueCodeableConcept.") {
            continue;
        }
        let others = [json!("1"), json!(true), json!(1), json!(1.5), json!([]), json!({})];
        let there = whole.pointer(&pointer).unwrap();
        for other in others {
            // Another text or number may be one that is taken.
            let same = match (there, &other) {
                (Value::Number(_), Value::Number(other)) => {
                    let integer = path.ends_with("Integer") || path.ends_with("maxLength");
                    !integer || other.is_i64()
                }
                (there, other) => discriminant(there) == discriminant(other),
            };
            if same {
                continue;
            }
            let mut changed = whole.clone();
            *changed.pointer_mut(&pointer).unwrap() = other.clone();
            let refused = to_definition(&changed, LIMIT).err();
            let there =
                |found: &Unreadable| !found.path.is_empty() && path.starts_with(&found.path);
            if !refused.as_ref().is_some_and(there) {
                passed.push(format!("{path} as {other}: {refused:?}"));
            }
        }
    }
    assert!(passed.is_empty(), "{passed:#?}");
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
          "item": [{ "linkId": "since", "type": "string", "text": "Since when?", "maxLength": 9,
            "enableWhen": [{ "question": "often", "operator": "=",
              "answerCoding": { "system": "http://loinc.org", "code": "LA6571-9" } }] }] },
        { "linkId": "weight", "type": "quantity", "text": "Weight?",
          "extension": [unit("kg"), unit("[lb_av]"),
            extension(&format!("{SDC}minQuantity"), json!({ "valueQuantity": pounds(100) }))] },
        { "linkId": "heavy", "type": "string", "text": "Why?", "maxLength": 9, "enableWhen": [
            { "question": "weight", "operator": ">=", "answerQuantity": pounds(220) }] },
        { "linkId": "source", "type": "string", "text": "Source", "maxLength": 9,
          "initial": [{ "valueString": "web" }],
          "extension": [extension(&format!("{HL7}questionnaire-hidden"), json!({ "valueBoolean": true }))] },
        { "linkId": "rate", "type": "decimal", "text": "Rate", "readOnly": true,
          "initial": [{ "valueDecimal": 1.50 }] },
    ]));
    let text = foreign.to_string().replace("1.5}", "1.50}");
    let imported = to_definition(&serde_json::from_str(&text).unwrap(), LIMIT).unwrap();
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
    assert_eq!(to_definition(&again, LIMIT).unwrap().definition, form);
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
    let definition = to_definition(&foreign, LIMIT).unwrap().definition;
    assert_eq!(questionnaire(&version(definition), LIMIT)["item"][0]["code"], codes);
}
