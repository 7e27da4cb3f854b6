use kernel::Sex;
use serde_json::json;

use super::*;
use crate::{Band, Calculation, ChoiceOption, EnableWhen, Fact, Operator};

fn item(link_id: &str, kind: ItemKind) -> Item {
    Item { required: true, ..Item::new(link_id, link_id, kind) }
}

fn when(mut item: Item, condition: Condition) -> Item {
    item.enable_when = Some(EnableWhen::all([condition]));
    item
}

fn yes_no(link_id: &str) -> Item {
    item(link_id, ItemKind::Boolean { consent: None })
}

fn text(link_id: &str) -> Item {
    item(link_id, ItemKind::Text { max_length: 10, pattern: None, repeats: false })
}

fn form(items: Vec<Item>) -> FormDefinition {
    FormDefinition { title: "Form".into(), description: None, items, rules: vec![] }
}

fn raw(value: serde_json::Value) -> RawAnswers {
    serde_json::from_value(value).unwrap()
}

fn submit(form: &FormDefinition, answers: serde_json::Value) -> Evaluation {
    evaluate(form, &raw(answers), &Facts::default(), Stage::Final)
}

fn errors(evaluation: &Evaluation) -> Vec<(&str, &str)> {
    evaluation.errors.iter().map(|error| (error.path.as_str(), error.code.as_str())).collect()
}

/// `smoker` enables the group, the group's `quit` enables `how`, and `how`
/// enables `detail` outside the group.
fn chained() -> FormDefinition {
    let how = when(text("how"), Condition::item("quit", Operator::Equal, true));
    let mut group = item("group", ItemKind::Group { items: vec![yes_no("quit"), how] });
    group.required = false;
    form(vec![
        yes_no("smoker"),
        when(group, Condition::item("smoker", Operator::Equal, true)),
        when(text("detail"), Condition::item("how", Operator::Exists, true)),
    ])
}

#[test]
fn what_hangs_on_a_disabled_item_is_disabled_however_far_down() {
    let answers = |smoker| json!({"smoker": smoker, "quit": true, "how": "gum", "detail": "x"});
    let yes = submit(&chained(), answers(true));
    assert_eq!(yes.errors, []);
    assert_eq!(yes.answers.len(), 4);

    let no = submit(&chained(), answers(false));
    assert_eq!(no.errors, []);
    assert_eq!(no.answers.keys().collect::<Vec<_>>(), ["smoker"]);
    assert_eq!(no.enabled.iter().collect::<Vec<_>>(), ["smoker"]);
}

#[test]
fn required_holds_only_while_enabled() {
    assert_eq!(errors(&submit(&chained(), json!({"smoker": false}))), []);
    assert_eq!(
        errors(&submit(&chained(), json!({"smoker": true}))),
        [("answers.quit", "required")]
    );
}

#[test]
fn a_disabled_answer_may_be_nonsense_and_an_enabled_one_may_not() {
    assert_eq!(errors(&submit(&chained(), json!({"smoker": false, "quit": 7}))), []);
    assert_eq!(
        errors(&submit(&chained(), json!({"smoker": true, "quit": 7}))),
        [("answers.quit", "wrong_type")]
    );
}

#[test]
fn fields_that_the_form_does_not_ask_are_refused_at_every_stage() {
    let answers = raw(json!({"smoker": false, "group": true, "shoe": 42}));
    for stage in [Stage::Draft, Stage::Final] {
        let found = evaluate(&chained(), &answers, &Facts::default(), stage);
        assert_eq!(
            errors(&found),
            [("answers.group", "not_answerable"), ("answers.shoe", "unknown_field")]
        );
    }
}

#[test]
fn a_draft_may_be_unfinished() {
    let found = evaluate(
        &form(vec![yes_no("a"), text("b")]),
        &raw(json!({"b": "longer than ten"})),
        &Facts::default(),
        Stage::Draft,
    );
    assert_eq!(found.errors, []);
    assert_eq!(found.answers.len(), 1);
}

#[test]
fn limits_name_the_path_and_the_rule() {
    let option = |code: &str, exclusive| ChoiceOption {
        code: code.into(),
        display: code.into(),
        score: None,
        flag: code == "bad",
        coding: None,
        exclusive,
    };
    let options = vec![option("bad", false), option("ok", false), option("none", true)];
    let asked = form(vec![
        text("long"),
        item(
            "zip",
            ItemKind::Text { max_length: 9, pattern: Some("[0-9]{5}".into()), repeats: false },
        ),
        item(
            "weight",
            ItemKind::Number {
                minimum: Some(30.into()),
                maximum: Some(300.into()),
                integer: false,
                units: vec!["kg".into(), "[lb_av]".into()],
            },
        ),
        item("one", ItemKind::SingleChoice { options: options.clone() }),
        item("many", ItemKind::MultipleChoice { options }),
        item(
            "scale",
            ItemKind::Scale { minimum: 0, maximum: 10, minimum_label: None, maximum_label: None },
        ),
        item("day", ItemKind::Date { earliest: Some("2000-01-01".parse().unwrap()), latest: None }),
    ]);
    let bad = submit(
        &asked,
        json!({
            "long": "longer than ten", "zip": "02139x", "weight": {"value": 60, "unit": "[lb_av]"},
            "one": "other", "many": ["none", "ok"], "scale": 11, "day": "1999-12-31",
        }),
    );
    assert_eq!(
        errors(&bad),
        [
            ("answers.long", "too_long"),
            ("answers.zip", "pattern"),
            ("answers.weight", "out_of_range"),
            ("answers.one", "not_a_choice"),
            ("answers.many", "exclusive_choice"),
            ("answers.scale", "out_of_range"),
            ("answers.day", "out_of_range"),
        ]
    );
    let good = submit(
        &asked,
        json!({
            "long": " short ", "zip": "02139", "weight": {"value": 180, "unit": "[lb_av]"},
            "one": "bad", "many": ["ok"], "scale": 10, "day": "2000-01-01",
        }),
    );
    assert_eq!(good.errors, []);
    assert_eq!(good.answers["long"], Answer::Text("short".into()));
    assert_eq!(good.flags.iter().collect::<Vec<_>>(), ["one"]);
    let Answer::Number(weight) = &good.answers["weight"] else { panic!("not a number") };
    assert_eq!(weight.in_first_unit, 81.646_626_6.into());

    let units = submit(&asked, json!({"weight": {"value": 80, "unit": "[stone_av]"}}));
    assert!(errors(&units).contains(&("answers.weight", "wrong_type")));
}

#[test]
fn a_consent_has_to_be_given_and_is_kept_with_its_version() {
    let consent = Consent { document: "telehealth".into(), version: "2026-01".into() };
    let asked = form(vec![item("agree", ItemKind::Boolean { consent: Some(consent.clone()) })]);
    assert_eq!(
        errors(&submit(&asked, json!({"agree": false}))),
        [("answers.agree", "consent_required")]
    );
    let given = submit(&asked, json!({"agree": true}));
    assert_eq!((given.errors, given.consents), (vec![], [consent].into()));
}

#[test]
fn facts_of_the_profile_enable() {
    let pregnant =
        when(yes_no("pregnant"), Condition::fact(Fact::PatientSex, Operator::NotEqual, "male"));
    let asked = form(vec![pregnant]);
    for (sex, shown) in [(Sex::Female, true), (Sex::Unknown, true), (Sex::Male, false)] {
        let facts = Facts { sex: Some(sex), age: Some(30) };
        let found = evaluate(&asked, &raw(json!({"pregnant": true})), &facts, Stage::Final);
        assert_eq!(found.answers.contains_key("pregnant"), shown, "{sex}");
    }
}

fn scored(link_id: &str) -> Item {
    let options = (0..4)
        .map(|score| ChoiceOption {
            code: score.to_string(),
            display: score.to_string(),
            score: Some(score),
            flag: false,
            coding: None,
            exclusive: false,
        })
        .collect();
    item(link_id, ItemKind::SingleChoice { options })
}

fn calculated(link_id: &str, calculation: Calculation) -> Item {
    Item { required: false, ..item(link_id, ItemKind::Calculated { calculation }) }
}

#[test]
fn a_sum_is_there_once_all_is_answered_and_can_enable_what_follows() {
    let bands = [(0, "low"), (3, "high")].map(|(from, code)| Band {
        from: from.into(),
        code: code.into(),
        label: code.into(),
    });
    let total = Calculation::Sum { of: vec!["a".into(), "b".into()], bands: bands.into() };
    let asked = form(vec![
        scored("a"),
        scored("b"),
        calculated("total", total),
        when(text("why"), Condition::item("total", Operator::GreaterOrEqual, 3.0)),
    ]);
    let partial = evaluate(&asked, &raw(json!({"a": "3"})), &Facts::default(), Stage::Draft);
    assert_eq!(partial.scores.len(), 0);
    let low = submit(&asked, json!({"a": "2", "b": "0", "why": "dropped"}));
    assert_eq!((low.scores["total"].value, low.answers.len()), (2.into(), 2));
    let high = submit(&asked, json!({"a": "2", "b": "1", "why": "kept"}));
    assert_eq!(high.scores["total"].band.as_ref().unwrap().code, "high");
    assert!(high.answers.contains_key("why"));
}

#[test]
fn the_body_mass_index_reads_american_units() {
    let measure = |link_id: &str, units: [&str; 2]| {
        let units = units.map(str::to_owned).into();
        item(link_id, ItemKind::Number { minimum: None, maximum: None, integer: false, units })
    };
    let index = Calculation::BodyMassIndex {
        height: "height".into(),
        weight: "weight".into(),
        bands: vec![Band { from: 30.into(), code: "obese".into(), label: "Obese".into() }],
    };
    let asked = form(vec![
        measure("height", ["cm", "[in_i]"]),
        measure("weight", ["kg", "[lb_av]"]),
        calculated("bmi", index),
    ]);
    let height = json!({"value": 170, "unit": "cm"});
    let weight = json!({"value": 65, "unit": "kg"});
    let metric = submit(&asked, json!({"height": height, "weight": weight}));
    assert_eq!(
        (metric.scores["bmi"].value, metric.scores["bmi"].band.clone()),
        (22.5.into(), None)
    );
    let imperial = submit(
        &asked,
        json!({
            "height": {"value": 70, "unit": "[in_i]"}, "weight": {"value": 220, "unit": "[lb_av]"},
        }),
    );
    assert_eq!(imperial.scores["bmi"].value, 31.6.into());
    assert_eq!(imperial.scores["bmi"].band.as_ref().unwrap().code, "obese");
    let given = submit(&asked, json!({"height": height, "weight": weight, "bmi": 20}));
    assert_eq!(errors(&given), [("answers.bmi", "not_answerable")]);
}

#[test]
fn a_form_with_a_cycle_ends_and_enables_nothing_on_it() {
    let asked = form(vec![
        when(yes_no("a"), Condition::item("b", Operator::Equal, true)),
        when(yes_no("b"), Condition::item("a", Operator::Equal, true)),
    ]);
    assert_eq!(submit(&asked, json!({"a": true, "b": true})).answers.len(), 0);
}

#[test]
fn a_date_has_a_year_that_fhir_and_the_database_can_hold() {
    let asked = form(vec![item("day", ItemKind::Date { earliest: None, latest: None })]);
    for (day, fits) in [
        ("0000-01-01", false),
        ("-0001-01-01", false),
        ("+10000-01-01", false),
        ("0001-01-01", true),
        ("9999-12-31", true),
    ] {
        let evaluation = submit(&asked, json!({ "day": day }));
        let expected = if fits { &[][..] } else { &[("answers.day", "wrong_type")] };
        assert_eq!(errors(&evaluation), expected, "{day}");
    }
}

#[test]
fn answers_are_held_against_one_another_when_both_are_there() {
    let date = |link_id: &str| {
        let kind = ItemKind::Date { earliest: None, latest: None };
        Item { required: false, ..item(link_id, kind) }
    };
    let mut asked = form(vec![yes_no("ended"), date("from"), date("to")]);
    asked.items[2] = when(asked.items[2].clone(), Condition::item("ended", Operator::Equal, true));
    asked.rules = vec![crate::CrossRule {
        left: "to".into(),
        operator: Operator::GreaterOrEqual,
        right: "from".into(),
        message: "The end is before the start.".into(),
    }];
    let broken = json!({"ended": true, "from": "2025-03-02", "to": "2025-03-01"});
    assert_eq!(errors(&submit(&asked, broken.clone())), [("answers.to", "cross_field")]);
    let draft = evaluate(&asked, &raw(broken), &Facts::default(), Stage::Draft);
    assert_eq!(errors(&draft), []);
    for fine in [
        json!({"ended": true, "from": "2025-03-02", "to": "2025-03-02"}),
        json!({"ended": true, "to": "2025-03-01"}),
        // The end is dropped with its question before it is compared.
        json!({"ended": false, "from": "2025-03-02", "to": "2025-03-01"}),
    ] {
        assert_eq!(errors(&submit(&asked, fine.clone())), [], "{fine}");
    }
}

#[test]
fn every_repetition_is_evaluated_as_a_form_of_its_own() {
    let detail = when(text("detail"), Condition::item("serious", Operator::Equal, true));
    let rows = ItemKind::RepeatingGroup {
        items: vec![text("what"), yes_no("serious"), detail],
        minimum: 1,
        maximum: 2,
    };
    let had = when(item("operations", rows), Condition::item("operated", Operator::Equal, true));
    let asked = form(vec![yes_no("operated"), had]);
    let kept = submit(
        &asked,
        json!({"operated": true, "operations": [
            {"what": "knee", "serious": false, "detail": "dropped"},
            {},
            {"what": "heart", "serious": true, "detail": "kept"},
        ]}),
    );
    assert_eq!(errors(&kept), []);
    assert_eq!(
        kept.answers["operations"].to_plain(),
        json!([
            {"what": "knee", "serious": false},
            {"what": "heart", "serious": true, "detail": "kept"},
        ])
    );
    let broken = json!({"operated": true, "operations": [
        {"what": "knee"}, {"what": "heart", "serious": "very"}, {"when": 3, "serious": false},
    ]});
    assert_eq!(
        errors(&submit(&asked, broken)),
        [
            ("answers.operations[0].serious", "required"),
            ("answers.operations[1].serious", "wrong_type"),
            ("answers.operations[2].when", "unknown_field"),
            ("answers.operations[2].what", "required"),
            ("answers.operations", "out_of_range"),
        ]
    );
    let none = submit(&asked, json!({"operated": true, "operations": []}));
    assert_eq!(errors(&none), [("answers.operations", "required")]);
    let misshapen = submit(&asked, json!({"operated": true, "operations": "knee"}));
    assert_eq!(errors(&misshapen), [("answers.operations", "wrong_type")]);
    let disabled = submit(&asked, json!({"operated": false, "operations": [{"what": "knee"}]}));
    assert_eq!(disabled.answers.len(), 1);
}

#[test]
fn photos_are_ids_as_many_as_the_question_takes_and_each_once() {
    let mut photos = item("photos", ItemKind::Photo { minimum: 2, maximum: 3 });
    photos.required = false;
    let inner = item("inner", ItemKind::Photo { minimum: 1, maximum: 1 });
    let group = ItemKind::RepeatingGroup { items: vec![inner], minimum: 0, maximum: 5 };
    let mut rows = item("rows", group);
    rows.required = false;
    let form = form(vec![photos, rows]);
    let id = |number: u128| kernel::PhotoId(kernel::Uuid::from_u128(number));
    for (answers, wanted) in [
        (json!({}), vec![]),
        (json!({"photos": []}), vec![]),
        (json!({"photos": [id(1), id(2)]}), vec![]),
        (json!({"photos": [id(1)]}), vec![("answers.photos", "out_of_range")]),
        (json!({"photos": [id(1), id(1)]}), vec![("answers.photos", "duplicate")]),
        (json!({"photos": [id(1), id(2), id(3), id(4)]}), vec![("answers.photos", "out_of_range")]),
        (json!({"photos": ["a photo"]}), vec![("answers.photos", "wrong_type")]),
        (json!({"photos": id(1)}), vec![("answers.photos", "wrong_type")]),
        (json!({"rows": [{"inner": [id(1)]}]}), vec![]),
        (
            json!({"rows": [{"inner": [id(1)]}, {"inner": ["x"]}]}),
            vec![("answers.rows[1].inner", "wrong_type")],
        ),
    ] {
        assert_eq!(errors(&submit(&form, answers.clone())), wanted, "{answers}");
    }
    // A draft may still lack one.
    let draft = raw(json!({"photos": [id(1)]}));
    let draft = evaluate(&form, &draft, &Facts::default(), Stage::Draft);
    assert_eq!(draft.errors, []);
    assert_eq!(draft.answers["photos"], Answer::Photos(vec![id(1)]));
}
