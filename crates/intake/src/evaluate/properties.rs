//! What holds of the evaluation for every form and every set of answers.

use proptest::prelude::*;
use serde_json::{Value, json};

use super::*;
use crate::{ChoiceOption, EnableWhen, Operator, check::check};

/// One question of a generated form: its kind, and the earlier question that
/// enables it.
#[derive(Clone, Debug)]
struct Seed {
    kind: u8,
    required: bool,
    condition: Option<(prop::sample::Index, bool)>,
    grouped: bool,
}

fn seeds() -> impl Strategy<Value = Vec<Seed>> {
    let seed = (
        0u8..5,
        any::<bool>(),
        prop::option::of((any::<prop::sample::Index>(), any::<bool>())),
        any::<bool>(),
    )
        .prop_map(|(kind, required, condition, grouped)| Seed {
            kind,
            required,
            condition,
            grouped,
        });
    prop::collection::vec(seed, 1..10)
}

fn kind(kind: u8) -> ItemKind {
    match kind {
        0 => ItemKind::Boolean { consent: None },
        1 => ItemKind::Number {
            minimum: Some(0.into()),
            maximum: Some(5.into()),
            integer: true,
            units: vec![],
        },
        2 => ItemKind::SingleChoice {
            options: ["a", "b"]
                .map(|code| ChoiceOption {
                    code: code.into(),
                    display: code.into(),
                    score: Some(1),
                    flag: code == "b",
                    coding: None,
                    exclusive: false,
                })
                .into(),
        },
        3 => ItemKind::Photo { minimum: 1, maximum: 2 },
        _ => ItemKind::Text { max_length: 3, pattern: None, repeats: false },
    }
}

fn condition(subject: &Item, positive: bool) -> Condition {
    let id = subject.link_id.as_str();
    match subject.kind {
        ItemKind::Boolean { .. } => Condition::item(id, Operator::Equal, positive),
        ItemKind::Number { .. } if positive => Condition::item(id, Operator::Greater, 2.0),
        ItemKind::Number { .. } => Condition::item(id, Operator::LessOrEqual, 2.0),
        ItemKind::SingleChoice { .. } if positive => Condition::item(id, Operator::Equal, "a"),
        ItemKind::SingleChoice { .. } => Condition::item(id, Operator::NotEqual, "a"),
        _ => Condition::item(id, Operator::Exists, positive),
    }
}

/// Questions `q0`, `q1`, … in order; a grouped one lies in a group of its own
/// that carries the condition, so that its question inherits it.
fn build(seeds: &[Seed]) -> FormDefinition {
    let mut questions: Vec<Item> = Vec::new();
    let mut items = Vec::new();
    for (position, seed) in seeds.iter().enumerate() {
        let enable_when = seed
            .condition
            .filter(|_| position > 0)
            .map(|(subject, positive)| condition(subject.get(&questions), positive))
            .map(|condition| EnableWhen::all([condition]));
        let mut question = Item {
            required: seed.required,
            ..Item::new(format!("q{position}"), "Question", kind(seed.kind))
        };
        if seed.grouped {
            let kind = ItemKind::Group { items: vec![question.clone()] };
            items.push(Item { enable_when, ..Item::new(format!("g{position}"), "Group", kind) });
        } else {
            question.enable_when = enable_when;
            items.push(question.clone());
        }
        questions.push(question);
    }
    FormDefinition { title: "Generated".into(), description: None, items, rules: vec![] }
}

fn value() -> impl Strategy<Value = Value> {
    prop_oneof![
        any::<bool>().prop_map(Value::from),
        (-1i64..7).prop_map(Value::from),
        prop_oneof![Just("a"), Just("b"), Just("long text"), Just("")].prop_map(Value::from),
        Just(Value::Null),
        Just(json!(["a"])),
        (1usize..4).prop_map(|count| {
            let ids = (0..count as u128).map(kernel::Uuid::from_u128);
            ids.map(|id| json!(id)).collect()
        }),
    ]
}

fn answers() -> impl Strategy<Value = RawAnswers> {
    prop::collection::btree_map((0u8..10).prop_map(|n| format!("q{n}")), value(), 0..10)
}

fn known(form: &FormDefinition, raw: RawAnswers) -> RawAnswers {
    raw.into_iter().filter(|(id, _)| form.item(id).is_some()).collect()
}

fn run(form: &FormDefinition, raw: &RawAnswers) -> Evaluation {
    evaluate(form, raw, &Facts::default(), Stage::Final)
}

proptest! {
    #[test]
    fn generated_forms_are_fit_to_publish(seeds in seeds()) {
        prop_assert_eq!(check(&build(&seeds)), vec![]);
    }

    #[test]
    fn dropping_the_answers_of_disabled_items_changes_nothing(
        seeds in seeds(), raw in answers(),
    ) {
        let form = build(&seeds);
        let raw = known(&form, raw);
        let whole = run(&form, &raw);
        let kept: RawAnswers =
            raw.into_iter().filter(|(id, _)| whole.enabled.contains(id)).collect();
        prop_assert_eq!(run(&form, &kept), whole);
    }

    #[test]
    fn evaluating_what_was_kept_gives_the_same_again(seeds in seeds(), raw in answers()) {
        let form = build(&seeds);
        let first = run(&form, &raw);
        let kept = first.answers.iter().map(|(id, answer)| (id.clone(), answer.to_raw())).collect();
        let second = run(&form, &kept);
        prop_assert_eq!(&second.answers, &first.answers);
        prop_assert_eq!(&second.enabled, &first.enabled);
        prop_assert_eq!(&second.flags, &first.flags);
    }

    #[test]
    fn the_order_of_items_decides_nothing(seeds in seeds(), raw in answers()) {
        let form = build(&seeds);
        let forwards = run(&form, &raw);
        let mut turned = form;
        turned.items.reverse();
        let mut backwards = run(&turned, &raw);
        let by_path = |errors: &mut Vec<FieldError>| errors.sort_by(|a, b| {
            (&a.path, &a.code).cmp(&(&b.path, &b.code))
        });
        let mut forwards = forwards;
        by_path(&mut forwards.errors);
        by_path(&mut backwards.errors);
        prop_assert_eq!(backwards, forwards);
    }

    #[test]
    fn what_is_kept_is_enabled_with_all_that_is_above_it(seeds in seeds(), raw in answers()) {
        let form = build(&seeds);
        let found = run(&form, &raw);
        for (item, parent) in form.walk() {
            if found.answers.contains_key(&item.link_id) {
                prop_assert!(found.enabled.contains(&item.link_id));
            }
            if let Some(parent) = parent && found.enabled.contains(&item.link_id) {
                prop_assert!(found.enabled.contains(&parent.link_id));
            }
        }
    }
}
