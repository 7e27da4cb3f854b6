use std::collections::BTreeSet;

use intake::{
    Evaluation, Facts, FormDefinition, Item, ItemKind, RawAnswers, Stage, check::check, evaluate,
};
use kernel::Sex;
use serde_json::{Value, json};

use super::*;

const WOMAN: Facts = Facts { sex: Some(Sex::Female), age: Some(34) };
const MAN: Facts = Facts { sex: Some(Sex::Male), age: Some(34) };

/// An innocuous answer to every question: no, none of these, the first choice.
fn plain(item: &Item) -> Option<Value> {
    Some(match &item.kind {
        ItemKind::Text { repeats: false, .. } => json!("text"),
        ItemKind::Text { repeats: true, .. } => json!(["one"]),
        ItemKind::Number { minimum, units, .. } => {
            let value = minimum.unwrap_or_default();
            match units.first() {
                Some(unit) => json!({ "value": value, "unit": unit }),
                None => json!(value),
            }
        }
        ItemKind::Date { .. } => json!("2024-01-01"),
        ItemKind::SingleChoice { options } => json!(options[0].code),
        ItemKind::MultipleChoice { options } => {
            json!([options.iter().find(|option| option.exclusive).unwrap_or(&options[0]).code])
        }
        ItemKind::Boolean { consent } => json!(consent.is_some()),
        ItemKind::Scale { minimum, .. } => json!(minimum),
        // Photos are asked for and never needed.
        ItemKind::Photo { .. }
        | ItemKind::Display
        | ItemKind::Group { .. }
        | ItemKind::RepeatingGroup { .. }
        | ItemKind::Calculated { .. } => return None,
    })
}

fn plain_answers(form: &FormDefinition) -> RawAnswers {
    let items = form.walk();
    items
        .iter()
        .filter_map(|(item, _)| plain(item).map(|answer| (item.link_id.clone(), answer)))
        .collect()
}

fn with(form: &FormDefinition, changes: &[(&str, Value)], facts: &Facts) -> Evaluation {
    let mut answers = plain_answers(form);
    for (link_id, value) in changes {
        assert!(form.item(link_id).is_some(), "{link_id}");
        answers.insert((*link_id).to_owned(), value.clone());
    }
    evaluate(form, &answers, facts, Stage::Final)
}

#[test]
fn every_form_can_be_published_and_submitted() {
    let mut ids = BTreeSet::new();
    for (category, slug, form) in forms() {
        assert_eq!(check(&form), [], "{slug}");
        for facts in [WOMAN, MAN] {
            let found = evaluate(&form, &plain_answers(&form), &facts, Stage::Final);
            assert_eq!(found.errors, [], "{slug}");
            assert_eq!(found.flags.len(), 0, "{slug}");
            assert_eq!(found.consents.len(), 1, "{slug}");
        }
        assert!(ids.insert(form_id(category).uuid()) && ids.insert(version_id(category).uuid()));
    }
}

#[test]
fn rules_can_name_every_link_id() {
    for (_, slug, form) in forms() {
        for (item, _) in form.walk() {
            let plain = item
                .link_id
                .bytes()
                .all(|b| b.is_ascii_lowercase() || b.is_ascii_digit() || b == b'_');
            assert!(plain, "{slug}: {}", item.link_id);
        }
    }
}

#[test]
fn pregnancy_is_asked_of_whoever_is_not_male() {
    for (_, slug, form) in forms() {
        if form.item("pregnant").is_none() {
            assert_eq!(slug, "erectile-dysfunction-intake");
            continue;
        }
        assert!(with(&form, &[], &WOMAN).answers.contains_key("pregnant"), "{slug}");
        let said = [("pregnant", json!(true))];
        assert!(!with(&form, &said, &MAN).answers.contains_key("pregnant"), "{slug}");
    }
}

#[test]
fn medications_are_listed_by_whoever_takes_some() {
    for (_, slug, form) in forms() {
        assert!(!with(&form, &[], &MAN).answers.contains_key("medications_list"), "{slug}");
        let takes = [("medications", json!(true)), ("medications_list", Value::Null)];
        let paths: Vec<_> =
            with(&form, &takes, &MAN).errors.into_iter().map(|error| error.path).collect();
        assert_eq!(paths, ["answers.medications_list"], "{slug}");
    }
}

/// Answers that add up to `total`, given from the first item on.
fn answered(prefix: &str, items: usize, total: usize) -> Vec<(String, Value)> {
    let mut left = total;
    (1..=items)
        .map(|number| {
            let score = left.min(3);
            left -= score;
            (format!("{prefix}_{number}"), json!(score.to_string()))
        })
        .collect()
}

fn severity(form: &FormDefinition, prefix: &str, items: usize, total: usize) -> String {
    let given = answered(prefix, items, total);
    let given: Vec<_> = given.iter().map(|(id, value)| (id.as_str(), value.clone())).collect();
    let found = with(form, &given, &MAN);
    let score = &found.scores[prefix];
    assert_eq!(score.value, i64::try_from(total).unwrap().into());
    score.band.as_ref().expect("a band").code.clone()
}

#[test]
fn the_phq9_has_its_published_cut_offs() {
    let form = depression::form();
    for (from, to, band) in [
        (0, 4, "minimal"),
        (5, 9, "mild"),
        (10, 14, "moderate"),
        (15, 19, "moderately_severe"),
        (20, 27, "severe"),
    ] {
        for total in from..=to {
            assert_eq!(severity(&form, "phq9", 9, total), band, "{total}");
        }
    }
}

#[test]
fn the_gad7_has_its_published_cut_offs() {
    let form = anxiety::form();
    for (from, to, band) in
        [(0, 4, "minimal"), (5, 9, "mild"), (10, 14, "moderate"), (15, 21, "severe")]
    {
        for total in from..=to {
            assert_eq!(severity(&form, "gad7", 7, total), band, "{total}");
        }
    }
}

/// Also as others read it: in the form, and in the condition on the ninth item.
#[test]
fn the_answers_of_the_instruments_have_their_published_codes() {
    for (form, prefix, count) in [(depression::form(), "phq9_", 10), (anxiety::form(), "gad7_", 8)]
    {
        let questionnaire = intake::fhir::from_definition(&form, 1_000_000).to_string();
        let mut found = 0;
        for (item, _) in form.walk() {
            if !item.link_id.starts_with(prefix) || item.options().is_empty() {
                continue;
            }
            found += 1;
            for option in item.options() {
                let coding = option.coding.as_ref().expect("a published code");
                assert_eq!(coding.system, kernel::code::system::LOINC);
                assert!(questionnaire.contains(&coding.code));
            }
        }
        assert_eq!(found, count);
    }
    let questionnaire = intake::fhir::from_definition(&depression::form(), 1_000_000);
    let safety = questionnaire["item"]
        .as_array()
        .expect("items")
        .iter()
        .find(|item| item["linkId"] == "safety")
        .expect("the safety questions");
    let codes: Vec<&Value> = safety["enableWhen"]
        .as_array()
        .expect("conditions")
        .iter()
        .map(|when| &when["answerCoding"]["code"])
        .collect();
    assert_eq!(codes, ["LA6569-3", "LA6570-1", "LA6571-9"]);
}

#[test]
fn the_ninth_item_is_flagged_and_opens_the_safety_questions() {
    let form = depression::form();
    let quiet = with(&form, &[("phq9_1", json!("3"))], &MAN);
    assert_eq!(quiet.flags.len(), 0);
    assert!(!quiet.enabled.contains("safety"));
    for answer in ["1", "2", "3"] {
        let found = with(&form, &[("phq9_9", json!(answer))], &MAN);
        assert_eq!(found.flags.iter().collect::<Vec<_>>(), ["phq9_9"]);
        assert!(found.answers.contains_key("self_harm"));
        assert!(found.enabled.contains("safety_advice"));
    }
}

#[test]
fn the_difficulty_is_asked_when_there_is_any_problem() {
    let form = depression::form();
    assert!(!with(&form, &[], &MAN).answers.contains_key("phq9_difficulty"));
    let found = with(&form, &[("phq9_4", json!("1"))], &MAN);
    assert!(found.answers.contains_key("phq9_difficulty"));
}

#[test]
fn the_body_mass_index_decides_what_weight_asks() {
    let form = weight::form();
    let body = |kilograms: f64| {
        [
            ("height", json!({ "value": 170, "unit": "cm" })),
            ("weight", json!({ "value": kilograms, "unit": "kg" })),
        ]
    };
    let slim = with(&form, &body(65.0), &MAN);
    assert_eq!(slim.scores["bmi"].value, 22.5.into());
    assert!(!slim.answers.contains_key("weight_conditions"));
    let heavy = with(&form, &body(90.0), &MAN);
    assert_eq!(heavy.scores["bmi"].band.as_ref().expect("a band").code, "obesity_1");
    assert!(heavy.answers.contains_key("weight_conditions"));
}

#[test]
fn a_heart_in_doubt_asks_for_clearance() {
    let form = erectile_dysfunction::form();
    let asks = |changes: &[(&str, Value)], facts: &Facts| {
        with(&form, changes, facts).answers.contains_key("cardiology_clearance")
    };
    assert!(!asks(&[], &MAN));
    assert!(asks(&[], &Facts { age: Some(65), ..MAN }));
    assert!(asks(&[("cardiac_history", json!(["arrhythmia"]))], &MAN));
    let flagged = with(&form, &[("cardiac_history", json!(["heart_failure"]))], &MAN);
    assert!(flagged.flags.contains("cardiac_history"));
}

/// The catalog alone stands around intake here.
struct Shelf(salus_tests::Database);

#[async_trait::async_trait]
impl intake::Surroundings for Shelf {
    async fn category_is_active(&self, category: CategoryId) -> ports::Result<bool> {
        let actor = Actor::system("tests.seed");
        Ok(::catalog::category(&self.0.pg, &actor, category).await.is_ok_and(|found| found.active))
    }

    async fn objections(
        &self,
        _: CategoryId,
        _: &intake::FormDefinition,
    ) -> ports::Result<Vec<kernel::FieldError>> {
        Ok(Vec::new())
    }

    async fn facts(
        &self,
        _: kernel::PatientId,
        _: chrono::DateTime<chrono::Utc>,
    ) -> ports::Result<Facts> {
        Ok(WOMAN)
    }
}

#[tokio::test]
async fn sowing_twice_is_sowing_once_and_every_form_is_served() {
    let shelf = Shelf(salus_tests::Database::fresh().await);
    let (env, pg) = (&shelf.0.env, &shelf.0.pg);
    let visitor = Actor::anonymous(kernel::RequestContext::default());
    let mut seen = Vec::new();
    for _ in 0..2 {
        catalog::sow(pg).await.unwrap();
        sow(env, pg).await.unwrap();
        let categories = ::catalog::categories(pg, &visitor).await.unwrap();
        let plans = ::catalog::plans(env, pg, &visitor, None).await.unwrap();
        let mut served = Vec::new();
        for (category, _, definition) in forms() {
            let form = intake::current_form(pg, &shelf, &visitor, category).await.unwrap();
            assert_eq!(form.definition, definition);
            served.push((form.id, form.number));
        }
        seen.push((categories, plans, served));
    }
    assert_eq!(seen[0], seen[1]);
    let (categories, plans, _) = &seen[0];
    assert_eq!(categories.len(), 6);
    for category in categories {
        let count = plans.iter().filter(|plan| plan.category == category.id).count();
        assert!((2..=3).contains(&count), "{}", category.slug);
    }
}
