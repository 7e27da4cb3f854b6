mod foreign;
mod sayings;

use chrono::{DateTime, NaiveDate};
use kernel::{
    CategoryId, Coding, Decimal, FormId, FormResponseId, FormVersionId, PatientId, PhotoId, Sex,
    Uuid, code::system,
};
use ports::BlindIndex;
use proptest::{collection::vec, option, prelude::*};

use super::*;
use crate::{
    AscvdInputs, Band, Behavior, Calculation, ChoiceOption, Condition, Consent, EnableWhen,
    Evaluation, Expected, Fact, Facts, Form, FormResponse, Item, ItemKind, MediaType, Operator,
    Photo, RawAnswers, Stage, Subject, evaluate,
    photo::{LIMIT, named_in},
};

/// Texts with what JSON and XML escape, and what is not ASCII.
fn any_text() -> impl Strategy<Value = String> {
    "[a-zA-Z<&\"\\\\é☂ ]{1,12}".prop_filter("says something", |text| !text.trim().is_empty())
}

fn any_limit() -> impl Strategy<Value = Option<Decimal>> {
    option::of((-400i32..400).prop_map(|quarters| Decimal::from(f64::from(quarters) / 4.0)))
}

fn any_date() -> impl Strategy<Value = NaiveDate> {
    (0i32..40_000)
        .prop_map(|days| NaiveDate::from_num_days_from_ce_opt(700_000 + days).unwrap_or_default())
}

fn any_coding() -> impl Strategy<Value = Coding> {
    ("[0-9]{1,5}-[0-9]", any_text())
        .prop_map(|(code, display)| Coding::new(system::LOINC, code, display))
}

fn any_options() -> impl Strategy<Value = Vec<ChoiceOption>> {
    let option =
        (any_text(), option::of(-9i32..9), any::<bool>(), option::of(any_coding()), any::<bool>());
    vec(option, 1..5).prop_map(|options| {
        options
            .into_iter()
            .enumerate()
            .map(|(index, (display, score, flag, coding, exclusive))| ChoiceOption {
                code: format!("c{index}"),
                display,
                score,
                flag,
                coding,
                exclusive,
            })
            .collect()
    })
}

fn any_bands() -> impl Strategy<Value = Vec<Band>> {
    vec(any_text(), 0..3).prop_map(|labels| {
        (0..)
            .zip(labels)
            .map(|(at, label)| Band {
                from: (f64::from(at) * 2.5).into(),
                code: format!("b{at}"),
                label,
            })
            .collect()
    })
}

fn any_calculation() -> impl Strategy<Value = Calculation> {
    prop_oneof![
        (vec("q[0-9]", 1..4), any_bands()).prop_map(|(of, bands)| Calculation::Sum { of, bands }),
        any_bands().prop_map(|bands| Calculation::BodyMassIndex {
            height: "q0".into(),
            weight: "q1".into(),
            bands,
        }),
        Just(Calculation::AuditC { of: ["q0", "q1", "q2"].map(str::to_owned) }),
        Just(Calculation::Ascvd(AscvdInputs {
            race: "q0".into(),
            total_cholesterol: "q1".into(),
            hdl_cholesterol: "q2".into(),
            systolic_pressure: "q3".into(),
            treated_hypertension: "q4".into(),
            diabetes: "q5".into(),
            smoker: "q6".into(),
        })),
    ]
}

fn any_leaf() -> BoxedStrategy<ItemKind> {
    let units = prop_oneof![
        Just(vec![]),
        Just(vec!["kg".to_owned(), "[lb_av]".to_owned()]),
        Just(vec!["mm[Hg]".to_owned()]),
    ];
    prop_oneof![
        (1u32..9_000, option::of(any_text()), any::<bool>()).prop_map(
            |(max_length, pattern, repeats)| ItemKind::Text { max_length, pattern, repeats }
        ),
        (any_limit(), any_limit(), any::<bool>(), units).prop_map(
            |(minimum, maximum, integer, units)| ItemKind::Number {
                minimum,
                maximum,
                integer,
                units
            }
        ),
        (option::of(any_date()), option::of(any_date()))
            .prop_map(|(earliest, latest)| ItemKind::Date { earliest, latest }),
        any_options().prop_map(|options| ItemKind::SingleChoice { options }),
        any_options().prop_map(|options| ItemKind::MultipleChoice { options }),
        option::of((any_text(), any_text())).prop_map(|consent| ItemKind::Boolean {
            consent: consent.map(|(document, version)| Consent { document, version }),
        }),
        (-9i64..9, 1i64..9, option::of(any_text()), option::of(any_text())).prop_map(
            |(minimum, steps, minimum_label, maximum_label)| ItemKind::Scale {
                minimum,
                maximum: minimum + steps,
                minimum_label,
                maximum_label,
            }
        ),
        (0u32..4, 0u32..9)
            .prop_map(|(minimum, more)| ItemKind::Photo { minimum, maximum: minimum + more }),
        Just(ItemKind::Display),
        any_calculation().prop_map(|calculation| ItemKind::Calculated { calculation }),
    ]
    .boxed()
}

fn any_condition() -> impl Strategy<Value = Condition> {
    let operator = prop_oneof![
        Just(Operator::Exists),
        Just(Operator::Equal),
        Just(Operator::NotEqual),
        Just(Operator::Greater),
        Just(Operator::Less),
        Just(Operator::GreaterOrEqual),
        Just(Operator::LessOrEqual),
    ];
    let expected = prop_oneof![
        any::<bool>().prop_map(Expected::Boolean),
        (-40i32..40).prop_map(|quarters| Expected::from(f64::from(quarters) / 4.0)),
        any_text().prop_map(Expected::Text),
        any_date().prop_map(|date| Expected::Text(date.to_string())),
    ];
    let subject = prop_oneof![
        4 => "q[0-9]".prop_map(Subject::Item),
        1 => Just(Subject::Fact(Fact::PatientSex)),
        1 => Just(Subject::Fact(Fact::PatientAge)),
    ];
    (subject, operator, expected).prop_map(|(subject, operator, expected)| Condition {
        subject,
        operator,
        expected,
    })
}

fn any_item() -> impl Strategy<Value = Item> {
    let kind = any_leaf().prop_recursive(3, 16, 4, |inner| {
        (vec(item_of(inner), 1..4), option::of((0u32..3, 0u32..9)))
            .prop_map(|(items, repeats)| match repeats {
                Some((minimum, more)) => {
                    ItemKind::RepeatingGroup { items, minimum, maximum: minimum + more }
                }
                None => ItemKind::Group { items },
            })
            .boxed()
    });
    item_of(kind.boxed())
}

fn item_of(kind: BoxedStrategy<ItemKind>) -> BoxedStrategy<Item> {
    let when = option::of((any::<bool>(), vec(any_condition(), 1..4)));
    (any_text(), option::of(any_text()), option::of(any_coding()), any::<bool>(), when, kind)
        .prop_map(|(text, help, code, required, when, kind)| Item {
            link_id: String::new(),
            text,
            help,
            code,
            required,
            enable_when: when.map(|(all, conditions)| EnableWhen {
                behavior: if all { Behavior::All } else { Behavior::Any },
                conditions,
            }),
            ..Item::new("", "", kind)
        })
        .boxed()
}

/// Names the items by their place, so that conditions and calculations of
/// other items may look at them.
fn number(items: &mut [Item], next: &mut usize) {
    for item in items {
        item.link_id = format!("q{next}");
        *next += 1;
        if let ItemKind::Group { items } | ItemKind::RepeatingGroup { items, .. } = &mut item.kind {
            number(items, next);
        }
    }
}

fn any_rule() -> impl Strategy<Value = CrossRule> {
    ("q[0-9]", any::<bool>(), "q[0-9]", any_text()).prop_map(|(left, less, right, message)| {
        let operator = if less { Operator::Less } else { Operator::GreaterOrEqual };
        CrossRule { left, operator, right, message }
    })
}

fn any_definition() -> impl Strategy<Value = FormDefinition> {
    (any_text(), option::of(any_text()), vec(any_item(), 1..8), vec(any_rule(), 0..3)).prop_map(
        |(title, description, mut items, rules)| {
            number(&mut items, &mut 0);
            FormDefinition { title, description, items, rules }
        },
    )
}

fn version(definition: FormDefinition) -> FormVersion {
    FormVersion {
        id: FormVersionId(Uuid::from_u128(7)),
        form: Form {
            id: FormId(Uuid::from_u128(8)),
            category: CategoryId(Uuid::from_u128(9)),
            slug: "acne".into(),
        },
        number: 3,
        status: VersionStatus::Published { at: DateTime::UNIX_EPOCH },
        definition,
        based_on: None,
        version: 1,
        created_at: DateTime::UNIX_EPOCH,
        changed_at: DateTime::UNIX_EPOCH,
    }
}

/// An answer that the item takes, chosen by a number.
fn answer(item: &Item, seed: u32) -> Option<Value> {
    let pick = |options: &[ChoiceOption]| options[seed as usize % options.len()].code.clone();
    Some(match &item.kind {
        ItemKind::Text { repeats: false, .. } => json!(format!("é & <{seed}>")),
        ItemKind::Text { repeats: true, .. } => json!(["one", format!("{seed}")]),
        ItemKind::Number { units, .. } => match units.get(seed as usize % units.len().max(1)) {
            Some(unit) => json!({ "value": f64::from(seed % 900) / 4.0, "unit": unit }),
            None => json!(f64::from(seed % 900) / 4.0),
        },
        ItemKind::Date { .. } => json!(format!("2025-{:02}-{:02}", seed % 12 + 1, seed % 28 + 1)),
        ItemKind::SingleChoice { options } => json!(pick(options)),
        ItemKind::MultipleChoice { options } if seed.is_multiple_of(2) => {
            options.iter().map(|option| json!(option.code)).collect()
        }
        ItemKind::MultipleChoice { options } => json!([pick(options)]),
        ItemKind::Boolean { .. } => json!(seed.is_multiple_of(2)),
        ItemKind::Scale { minimum, .. } => json!(minimum + i64::from(seed % 9)),
        ItemKind::Photo { .. } => {
            (0..seed % 4).map(|number| json!(photo_id(seed, number))).collect()
        }
        ItemKind::RepeatingGroup { items, .. } => (0..seed % 3)
            .map(|row| {
                FormDefinition::of_row(items)
                    .walk()
                    .into_iter()
                    .filter_map(|(inner, _)| {
                        let seed = seed.wrapping_mul(31).wrapping_add(row);
                        Some((inner.link_id.clone(), answer(inner, seed)?))
                    })
                    .collect::<Value>()
            })
            .collect(),
        ItemKind::Display | ItemKind::Group { .. } | ItemKind::Calculated { .. } => return None,
    })
}

fn photo_id(seed: u32, number: u32) -> PhotoId {
    PhotoId(Uuid::from_u128(u128::from(seed) << 64 | u128::from(number)))
}

fn photo(id: PhotoId) -> Photo {
    Photo {
        id,
        patient: PatientId(Uuid::from_u128(2)),
        category: CategoryId(Uuid::from_u128(9)),
        media_type: MediaType::Webp,
        size: 4_321,
        width: 40,
        height: 30,
        digest: BlindIndex([7; 32]),
        created_at: DateTime::UNIX_EPOCH,
        response: None,
        version: 1,
    }
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(128))]

    /// Through the text of the resource, as a partner would receive it.
    #[test]
    fn a_form_is_the_same_after_it_was_a_questionnaire(definition in any_definition()) {
        let text = serde_json::to_string(&questionnaire(&version(definition.clone()), LIMIT)).unwrap();
        let resource: Value = serde_json::from_str(&text).unwrap();
        let imported = to_definition(&resource, LIMIT).unwrap();
        prop_assert_eq!(imported.definition, definition);
        prop_assert_eq!(imported.warnings, vec![]);
    }

    #[test]
    fn a_response_is_the_same_after_it_was_a_questionnaire_response(
        definition in any_definition(),
        seeds in vec(option::of(any::<u32>()), 40),
        sex in option::of(prop_oneof![Just(Sex::Male), Just(Sex::Female)]),
        age in option::of(0u16..120),
    ) {
        let version = version(definition);
        let raw: RawAnswers = version
            .definition
            .walk()
            .into_iter()
            .zip(seeds)
            .filter_map(|((item, _), seed)| Some((item.link_id.clone(), answer(item, seed?)?)))
            .collect();
        let facts = Facts { sex, age };
        let evaluation = evaluate(&version.definition, &raw, &facts, Stage::Draft);
        // Of half of the photos nothing is known but their ids.
        let photos = named_in(&evaluation.answers).into_iter().step_by(2).map(|(_, id)| photo(id));
        let response = submitted(&version, evaluation.clone(), photos.collect(), facts);
        let text = serde_json::to_string(&questionnaire_response(&version, &response)).unwrap();
        let resource: Value = serde_json::from_str(&text).unwrap();
        let (answers, known) = answers_of(&version, &resource).unwrap();
        prop_assert_eq!(known, facts);
        let again = evaluate(&version.definition, &answers, &known, Stage::Draft);
        prop_assert_eq!(again, evaluation);
    }
}

fn submitted(
    version: &FormVersion,
    evaluation: Evaluation,
    photos: Vec<Photo>,
    facts: Facts,
) -> FormResponse {
    let (id, patient) = (FormResponseId(Uuid::from_u128(1)), PatientId(Uuid::from_u128(2)));
    FormResponse::submit(id, patient, version, evaluation, photos, facts, DateTime::UNIX_EPOCH)
}

#[test]
fn a_question_for_photos_is_an_attachment_with_its_limits() {
    let mut item = question(ItemKind::Photo { minimum: 1, maximum: 3 });
    let element = &from_definition(&form_of(item.clone()), 10_000_000)["item"][0];
    assert_eq!((&element["type"], &element["repeats"]), (&json!("attachment"), &json!(true)));
    let said = |name: &str| -> Vec<&Value> {
        let all = element["extension"].as_array().unwrap().iter();
        all.filter(|extension| extension["url"].as_str().unwrap().ends_with(name)).collect()
    };
    assert_eq!(said("questionnaire-maxOccurs")[0]["valueInteger"], 3);
    assert_eq!(said("maxSize")[0]["valueDecimal"], 10.0, "in megabytes");
    let types: Vec<_> = said("mimeType").into_iter().map(|one| &one["valueCode"]).collect();
    assert_eq!(types, ["image/jpeg", "image/png", "image/webp"]);

    let version = version(form_of(item.clone()));
    let (known, unknown) = (photo_id(1, 1), photo_id(1, 2));
    let raw = RawAnswers::from([("q0".to_owned(), json!([known, unknown]))]);
    let evaluation = evaluate(&version.definition, &raw, &Facts::default(), Stage::Final);
    assert_eq!(evaluation.errors, []);
    let response = submitted(&version, evaluation, vec![photo(known)], Facts::default());
    assert_eq!(response.photos[0].response, Some(response.id));
    let resource = questionnaire_response(&version, &response);
    let answers = &resource["item"][0]["answer"];
    assert_eq!(
        answers[0]["valueAttachment"],
        json!({
            "url": format!("/api/photos/{known}"), "contentType": "image/webp", "size": 4_321,
            "creation": "1970-01-01T00:00:00Z",
        })
    );
    assert_eq!(answers[1]["valueAttachment"], json!({ "url": format!("/api/photos/{unknown}") }));

    // An attachment of another author is one photo, if photos are what it takes.
    // What it limits further than the server does would not be kept.
    let foreign = |types: &[&str], megabytes: Value| {
        let hl7 = "http://hl7.org/fhir/StructureDefinition/";
        let mut limits: Vec<_> = types
            .iter()
            .map(|code| json!({ "url": format!("{hl7}mimeType"), "valueCode": code }))
            .collect();
        if !megabytes.is_null() {
            limits.push(json!({ "url": format!("{hl7}maxSize"), "valueDecimal": megabytes }));
        }
        let read = to_definition(
            &json!({
                "resourceType": "Questionnaire", "title": "T",
                "item": [{ "linkId": "q0", "text": "Question", "type": "attachment",
                           "extension": limits }],
            }),
            10_000_000,
        );
        read.map(|imported| {
            let warned = imported.warnings.into_iter();
            let warned = warned.map(|one| format!("{} {}", one.code, one.path)).collect::<Vec<_>>();
            (imported.definition.items, warned)
        })
        .map_err(|refused| refused.path)
    };
    item.kind = ItemKind::Photo { minimum: 1, maximum: 1 };
    let photos = ["image/jpeg", "image/png", "image/webp"];
    let one = |warned: &[&str]| {
        Ok((vec![item.clone()], warned.iter().map(ToString::to_string).collect::<Vec<_>>()))
    };
    assert_eq!(foreign(&photos, json!(10)), one(&[]));
    assert_eq!(foreign(&photos, json!(10.0)), one(&[]));
    assert_eq!(foreign(&photos, json!(10.1)), one(&["left_out item[0].extension[3]"]));
    assert_eq!(foreign(&photos, json!(9.999)), Err("item[0].extension[3]".into()));
    assert_eq!(foreign(&photos, Value::Null), one(&["assumed item[0].type"]));
    assert_eq!(foreign(&[], json!(10)), one(&["assumed item[0].type"]));
    assert_eq!(
        foreign(&["application/pdf", "image/png", "image/jpeg", "image/webp"], json!(10)),
        one(&["left_out item[0].extension[0]"])
    );
    assert_eq!(foreign(&photos[..2], json!(10)), Err("item[0].extension[0]".into()));
    assert_eq!(foreign(&["application/pdf"], json!(10)), Err("item[0].type".into()));
}

fn question(kind: ItemKind) -> Item {
    Item::new("q0", "Question", kind)
}

fn form_of(item: Item) -> FormDefinition {
    FormDefinition { title: "T".into(), description: None, items: vec![item], rules: vec![] }
}

#[test]
fn a_questionnaire_of_another_author_is_read_or_refused_by_its_path() {
    let foreign = json!({
        "resourceType": "Questionnaire", "status": "active", "name": "Smoking",
        "item": [
            {"linkId": "1", "type": "boolean", "text": "Do you smoke?"},
            {"linkId": "2", "type": "integer", "text": "How much?",
             "enableWhen": [{"question": "1", "operator": "=", "answerBoolean": true}]},
            {"linkId": "3", "type": "choice", "text": "What?",
             "answerOption": [{"valueCoding": {"code": "pipe", "display": "A pipe"}}],
             "enableWhen": [
                 {"question": "2", "operator": ">", "answerQuantity": {"value": 3}},
                 {"question": "3", "operator": "=", "answerCoding": {"code": "pipe"}},
             ],
             "enableBehavior": "any"},
        ],
    });
    let definition = to_definition(&foreign, LIMIT).unwrap().definition;
    assert_eq!((definition.title.as_str(), definition.items.len()), ("Smoking", 3));
    assert_eq!(
        definition.items[2].enable_when,
        Some(EnableWhen::any([
            Condition::item("2", Operator::Greater, 3.0),
            Condition::item("3", Operator::Equal, "pipe"),
        ]))
    );
    for (broken, path) in [
        (json!({"resourceType": "Patient"}), "resourceType"),
        (json!({"resourceType": "Questionnaire"}), "title"),
        (
            json!({"resourceType": "Questionnaire", "title": "T",
                   "item": [{"linkId": "g", "type": "group",
                             "item": [{"linkId": "u", "type": "url"}]}]}),
            "item[0].item[0].type",
        ),
    ] {
        assert_eq!(to_definition(&broken, LIMIT).unwrap_err().path, path);
    }
}
