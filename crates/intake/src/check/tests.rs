use super::*;
use crate::{Band, Behavior, EnableWhen};

fn item(link_id: &str, kind: ItemKind) -> Item {
    Item::new(link_id, link_id, kind)
}

fn yes_no(link_id: &str) -> Item {
    item(link_id, ItemKind::Boolean { consent: None })
}

fn when(mut item: Item, condition: Condition) -> Item {
    item.enable_when = Some(EnableWhen { behavior: Behavior::All, conditions: vec![condition] });
    item
}

fn codes(items: Vec<Item>) -> Vec<(String, String)> {
    let form = FormDefinition { title: "Form".into(), description: None, items, rules: vec![] };
    check(&form)
        .into_iter()
        .map(|error| (error.path.replace("definition.items.", ""), error.code))
        .collect()
}

fn one(path: &str, code: &str) -> Vec<(String, String)> {
    vec![(path.into(), code.into())]
}

#[test]
fn a_sound_form_passes() {
    let child = when(yes_no("b"), Condition::item("a", Operator::Equal, true));
    assert_eq!(codes(vec![yes_no("a"), item("g", ItemKind::Group { items: vec![child] })]), []);
}

#[test]
fn link_ids_are_unique_well_formed_and_no_facts() {
    assert_eq!(codes(vec![yes_no("a"), yes_no("a")]), one("a.link_id", "duplicate"));
    assert_eq!(codes(vec![yes_no("a b")]), one("a b.link_id", "invalid"));
    assert_eq!(codes(vec![yes_no("patient.sex")]), one("patient.sex.link_id", "invalid"));
}

#[test]
fn conditions_name_items_and_do_not_circle() {
    let dangling = when(yes_no("a"), Condition::item("z", Operator::Equal, true));
    assert_eq!(codes(vec![dangling]), one("a.enable_when", "dangling"));

    let itself = when(yes_no("a"), Condition::item("a", Operator::Equal, true));
    assert_eq!(codes(vec![itself]), one("a.enable_when", "cycle"));

    let a = when(yes_no("a"), Condition::item("b", Operator::Equal, true));
    let b = when(yes_no("b"), Condition::item("a", Operator::Equal, true));
    assert_eq!(
        codes(vec![a, b]),
        [("a.enable_when".into(), "cycle".into()), ("b.enable_when".into(), "cycle".into())]
    );

    // A group that its own child enables can never be seen.
    let group = item("g", ItemKind::Group { items: vec![yes_no("child")] });
    let group = when(group, Condition::item("child", Operator::Equal, true));
    assert_eq!(codes(vec![group]).len(), 2);
}

#[test]
fn an_operator_fits_the_kind_of_what_it_looks_at() {
    let option = |code: &str| ChoiceOption {
        code: code.into(),
        display: code.into(),
        score: None,
        flag: false,
        coding: None,
        exclusive: false,
    };
    let choice = item("c", ItemKind::SingleChoice { options: vec![option("x")] });
    let number =
        item("n", ItemKind::Number { minimum: None, maximum: None, integer: false, units: vec![] });
    let date = item("d", ItemKind::Date { earliest: None, latest: None });
    let group = item("g", ItemKind::Group { items: vec![yes_no("inner")] });
    let form = |condition: Condition| {
        codes(vec![
            choice.clone(),
            number.clone(),
            date.clone(),
            group.clone(),
            when(yes_no("q"), condition),
        ])
    };
    for fits in [
        Condition::item("c", Operator::Equal, "x"),
        Condition::item("c", Operator::Exists, false),
        Condition::item("n", Operator::Greater, 3.0),
        Condition::item("d", Operator::LessOrEqual, "2024-01-01"),
        Condition::fact(Fact::PatientSex, Operator::NotEqual, "male"),
        Condition::fact(Fact::PatientAge, Operator::GreaterOrEqual, 65.0),
    ] {
        assert_eq!(form(fits.clone()), [], "{fits:?}");
    }
    for misfit in [
        Condition::item("c", Operator::Equal, "y"),
        Condition::item("c", Operator::Greater, "x"),
        Condition::item("c", Operator::Exists, "x"),
        Condition::item("n", Operator::Equal, "3"),
        Condition::item("d", Operator::Equal, "yesterday"),
        Condition::item("g", Operator::Exists, true),
        Condition::fact(Fact::PatientSex, Operator::Greater, "male"),
        Condition::fact(Fact::PatientSex, Operator::Equal, "f"),
        Condition::fact(Fact::PatientAge, Operator::Equal, "65"),
    ] {
        assert_eq!(form(misfit.clone()), one("q.enable_when", "operator_misfit"), "{misfit:?}");
    }
}

#[test]
fn a_calculation_has_inputs_that_it_can_use() {
    let sum = |of: &[&str]| {
        item(
            "sum",
            ItemKind::Calculated {
                calculation: Calculation::Sum {
                    of: of.iter().map(ToString::to_string).collect(),
                    bands: vec![Band { from: 0.into(), code: "low".into(), label: "Low".into() }],
                },
            },
        )
    };
    assert_eq!(codes(vec![sum(&["z"])]), one("sum.calculation", "dangling"));
    assert_eq!(codes(vec![yes_no("a"), sum(&["a"])]), one("sum.calculation", "input_misfit"));
    let scale =
        ItemKind::Scale { minimum: 0, maximum: 3, minimum_label: None, maximum_label: None };
    let scale = item("s", scale);
    assert_eq!(codes(vec![scale.clone(), sum(&["s"])]), []);
    assert_eq!(codes(vec![scale, sum(&["s", "s"])]), one("sum.calculation", "duplicate"));
}

#[test]
fn a_rule_compares_two_answers_of_one_kind() {
    let number = |link_id: &str, unit: &str| {
        let units = vec![unit.to_owned()];
        item(link_id, ItemKind::Number { minimum: None, maximum: None, integer: false, units })
    };
    let date = |link_id: &str| item(link_id, ItemKind::Date { earliest: None, latest: None });
    let items =
        vec![number("kg", "kg"), number("aim", "kg"), number("cm", "cm"), date("from"), date("to")];
    let told = |left: &str, operator, right: &str| {
        let rule = CrossRule {
            left: left.into(),
            operator,
            right: right.into(),
            message: "They do not go together.".into(),
        };
        let form = FormDefinition {
            title: "Form".into(),
            description: None,
            items: items.clone(),
            rules: vec![rule],
        };
        check(&form).into_iter().map(|error| error.code).collect::<Vec<_>>()
    };
    assert_eq!(told("aim", Operator::Less, "kg"), Vec::<String>::new());
    assert_eq!(told("to", Operator::GreaterOrEqual, "from"), Vec::<String>::new());
    assert_eq!(told("to", Operator::GreaterOrEqual, "since"), ["dangling"]);
    for (left, operator, right) in [
        ("kg", Operator::Less, "cm"),
        ("kg", Operator::Less, "to"),
        ("kg", Operator::Less, "kg"),
        ("kg", Operator::Exists, "aim"),
    ] {
        assert_eq!(told(left, operator, right), ["operator_misfit"], "{left} {operator} {right}");
    }
}

#[test]
fn what_nobody_reaches_is_refused() {
    let child = when(yes_no("b"), Condition::item("a", Operator::Equal, true));
    let both = EnableWhen::all([
        Condition::item("a", Operator::Equal, false),
        Condition::item("b", Operator::Equal, true),
    ]);
    let mut never = yes_no("c");
    never.enable_when = Some(both);
    assert_eq!(codes(vec![yes_no("a"), child, never]), one("c.enable_when", "unreachable"));
}

#[test]
fn a_repeating_group_is_a_form_of_its_own() {
    let rows =
        |items, maximum| item("rows", ItemKind::RepeatingGroup { items, minimum: 0, maximum });
    let inner = when(yes_no("b"), Condition::item("a", Operator::Equal, true));
    assert_eq!(codes(vec![rows(vec![yes_no("a"), inner.clone()], 5)]), []);
    assert_eq!(codes(vec![rows(vec![yes_no("a")], 0)]), one("rows.maximum", "out_of_range"));
    assert_eq!(codes(vec![rows(vec![], 5)]), one("rows.items", "required"));
    // A repetition does not see what is asked around it.
    let outside = codes(vec![yes_no("a"), rows(vec![inner], 5)]);
    assert_eq!(outside, one("b.enable_when", "dangling"));
    assert_eq!(codes(vec![yes_no("a"), rows(vec![yes_no("a")], 5)]), one("a.link_id", "duplicate"));
    let deeper = rows(
        vec![item(
            "deep",
            ItemKind::RepeatingGroup { items: vec![yes_no("a")], minimum: 0, maximum: 2 },
        )],
        5,
    );
    assert_eq!(codes(vec![deeper]), one("deep.type", "invalid"));
}

#[test]
fn a_question_takes_a_few_photos_and_only_their_being_there_is_a_condition() {
    let photo = |minimum, maximum| item("p", ItemKind::Photo { minimum, maximum });
    assert_eq!(codes(vec![photo(1, 1), item("d", ItemKind::Display)]), []);
    assert_eq!(codes(vec![photo(10, 10)]), []);
    for (minimum, maximum) in [(0, 1), (3, 2), (1, 11)] {
        assert_eq!(codes(vec![photo(minimum, maximum)]), one("p.maximum", "out_of_range"));
    }
    let depends = |operator, expected: Expected| {
        let condition = Condition { subject: Subject::Item("p".into()), operator, expected };
        codes(vec![photo(1, 2), when(yes_no("a"), condition)])
    };
    assert_eq!(depends(Operator::Exists, true.into()), []);
    for (operator, expected) in [
        (Operator::Equal, Expected::Text("p".into())),
        (Operator::Greater, Expected::from(1.0)),
        (Operator::Exists, Expected::from(1.0)),
    ] {
        assert_eq!(depends(operator, expected), one("a.enable_when", "operator_misfit"));
    }
    let rows = |inner| {
        item("rows", ItemKind::RepeatingGroup { items: vec![inner], minimum: 0, maximum: 3 })
    };
    assert_eq!(codes(vec![rows(photo(1, 2))]), []);
    assert_eq!(codes(vec![rows(photo(0, 2))]), one("p.maximum", "out_of_range"));
}

/// Groups, or repeating ones, in one another around one question.
fn nested(depth: usize, repeats: bool) -> Item {
    (1..depth).fold(yes_no("a"), |inner, at| {
        let items = vec![inner];
        let kind = if repeats {
            ItemKind::RepeatingGroup { items, minimum: 0, maximum: 3 }
        } else {
            ItemKind::Group { items }
        };
        item(&format!("g{at}"), kind)
    })
}

#[test]
fn what_is_nested_too_deep_is_told_by_its_name_before_it_is_kept() {
    let told = |items: Vec<Item>| -> Vec<(String, String)> {
        let form = FormDefinition { title: "Form".into(), description: None, items, rules: vec![] };
        check_size(&form).into_iter().map(|error| (error.path, error.code)).collect()
    };
    assert_eq!(told(vec![nested(DEEPEST, false), nested(DEEPEST, true)]), []);
    assert_eq!(codes(vec![nested(DEEPEST, false)]), []);
    let deep = vec![("definition.items.a".to_owned(), "too_deep".to_owned())];
    assert_eq!(told(vec![nested(DEEPEST + 1, false)]), deep);
    assert_eq!(told(vec![nested(DEEPEST + 1, true)]), deep);
    assert_eq!(codes(vec![nested(45, false)]), one("g36", "too_deep"));
    let rows = (0..MOST_ITEMS).map(|at| yes_no(&format!("r{at}"))).collect();
    let many = item("g", ItemKind::RepeatingGroup { items: rows, minimum: 0, maximum: 3 });
    assert_eq!(told(vec![many]), [("definition.items".to_owned(), "too_many".to_owned())]);
}

#[test]
fn what_is_below_a_hidden_item_is_hidden_as_well() {
    let group = |items| Item { hidden: true, ..item("g", ItemKind::Group { items }) };
    let required = Item { required: true, ..yes_no("a") };
    assert_eq!(codes(vec![group(vec![required.clone()])]), one("a.initial", "required"));
    let deeper = item("inner", ItemKind::Group { items: vec![required.clone()] });
    assert_eq!(codes(vec![group(vec![deeper])]), one("a.initial", "required"));
    let answered = Item { initial: Some(true.into()), ..required };
    assert_eq!(codes(vec![group(vec![answered])]), []);
}

#[test]
fn what_no_answer_can_be_is_no_condition_and_no_unit() {
    let text = |pattern: Option<&str>| ItemKind::Text {
        max_length: 10,
        pattern: pattern.map(str::to_owned),
        repeats: false,
    };
    let asks = |expected: &str| {
        let condition = Condition::item("t", Operator::Equal, Expected::Text(expected.to_owned()));
        codes(vec![item("t", text(None)), when(yes_no("a"), condition)])
    };
    assert_eq!(asks("\u{e9}"), []);
    for never in ["e\u{301}", " x ", "x\n"] {
        assert_eq!(asks(never), one("a.enable_when", "not_normalized"), "{never:?}");
    }
    assert!(!asks("\u{200b}").is_empty());
    assert_eq!(
        codes(vec![item("t", text(Some("^e\u{301}$")))]),
        one("t.pattern", "not_normalized")
    );
    let unit = |units: &[&str]| {
        let units = units.iter().map(ToString::to_string).collect();
        codes(vec![item(
            "n",
            ItemKind::Number { minimum: None, maximum: None, units, integer: false },
        )])
    };
    assert_eq!(unit(&["kg", "[lb_av]"]), []);
    let long = "x".repeat(51);
    for bad in [["kg\u{200b}"].as_slice(), &[""], &["foo bar"], &["kg", "kg"], &[&long]] {
        assert_eq!(unit(bad), one("n.units", "invalid"), "{bad:?}");
    }
}

#[test]
fn the_codings_of_a_form_hold_no_text_that_nobody_can_see() {
    let coded = |system: &str, code: &str, display: &str| {
        let coding = kernel::Coding::new(system, code, display);
        let option = ChoiceOption {
            code: "a".into(),
            display: "A".into(),
            score: None,
            flag: false,
            coding: Some(coding.clone()),
            exclusive: false,
        };
        let choice = item("c", ItemKind::SingleChoice { options: vec![option] });
        (codes(vec![choice]), codes(vec![Item { code: Some(coding), ..yes_no("q") }]))
    };
    assert_eq!(coded("http://a", "1-8", "One"), (vec![], vec![]));
    for (system, code, display) in [
        ("http://a\u{200b}", "1-8", "One"),
        ("http://a", "1\u{202e}", "One"),
        ("http://a", "1-8", "\u{200b}One"),
    ] {
        let (option, question) = coded(system, code, display);
        assert!(option.iter().any(|(path, _)| path.ends_with("c.options")), "{option:?}");
        assert!(question.iter().any(|(path, _)| path.ends_with("q.code")), "{question:?}");
    }
}

#[test]
fn a_limit_of_an_integer_that_no_answer_has_is_named() {
    let limits = |minimum: Option<f64>, maximum: Option<f64>| {
        let (minimum, maximum) = (minimum.map(Into::into), maximum.map(Into::into));
        codes(vec![item("n", ItemKind::Number { minimum, maximum, integer: true, units: vec![] })])
    };
    assert_eq!(limits(Some(1.0), Some(2.0)), []);
    assert_eq!(limits(Some(3e9), None), one("n.minimum", "out_of_range"));
    assert_eq!(limits(Some(0.5), Some(2.0)), one("n.minimum", "out_of_range"));
    assert_eq!(limits(None, Some(3e9)), one("n.maximum", "out_of_range"));
}
