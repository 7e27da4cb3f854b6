//! Decisions a second on one core, with the rules and forms of the demo: all
//! that eligibility does for a response, from the answers to the trace that is
//! stored.
//!
//! Two floors are measured beside it: the same decision with every expression
//! parsed again, which shows what remembering programs is worth, and writing
//! and reading the decision's trace as JSON, which whoever stores it has to do
//! whatever language the rules are in.

use std::{collections::BTreeMap, hint::black_box, process::ExitCode};

use care::{
    Inputs, Rule,
    eligibility::{Gates, PatientInputs, RuleBook, RuleSet, RuleSetContent, Scope},
};
use cel::{Context, Program};
use intake::{FormDefinition, ItemKind};
use kernel::{Coding, ProviderId, Sex, UsState, Uuid, code::system};
use serde_json::{Value, json};

use crate::measure::per_second;

/// What the company needs, on one core.
const FLOOR: f64 = 5_000.0;

/// How many patients are decided in turn.
const PATIENTS: u64 = 64;

pub fn run() -> anyhow::Result<ExitCode> {
    println!("decisions a second on one core");
    println!(
        "{:<24} {:>5} {:>12} {:>14} {:>12} {:>14} {:>12}",
        "category", "rules", "decisions/s", "parsing anew/s", "ratio", "trace as JSON/s", "ratio"
    );
    let mut slowest = f64::INFINITY;
    for (category, slug, form) in seeds::intake::forms() {
        let rules = seeds::care::rules::of(category);
        let cases: Vec<Inputs> = (0..PATIENTS).map(|patient| inputs(&form, patient)).collect();
        let case = |number: usize| cases[number % cases.len()].clone();
        let count = rules.len();
        let book = RuleBook::of(vec![RuleSet::draft(
            Uuid::from_u128(1).into(),
            (category, Scope::default()),
            1,
            RuleSetContent { rules: rules.clone(), note: None, based_on: None },
            Default::default(),
        )]);

        let decided = per_second(|number| {
            black_box(book.decide(case(number), gates()));
        });
        let parsed = per_second(|number| {
            black_box(parsing_anew(&rules, &case(number)));
        });
        let traces: Vec<_> =
            cases.iter().map(|case| book.decide(case.clone(), gates()).1).collect();
        let stored = per_second(|number| {
            let text = serde_json::to_vec(&traces[number % traces.len()]).unwrap_or_default();
            black_box(serde_json::from_slice::<care::Trace>(&text).ok());
        });
        println!(
            "{slug:<24} {count:>5} {decided:>12.0} {parsed:>14.0} {:>11.1}x {stored:>14.0} {:>11.2}x",
            decided / parsed,
            decided / stored,
        );
        slowest = slowest.min(decided);
    }
    let met = slowest >= FLOOR;
    println!(
        "the slowest category makes {slowest:.0} a second; {FLOOR:.0} are asked for: {}",
        if met { "met" } else { "NOT met" }
    );
    if cfg!(debug_assertions) {
        println!("this is a debug build; the figures of a release build are higher");
    }
    Ok(if met { ExitCode::SUCCESS } else { ExitCode::FAILURE })
}

/// How many rules fire when every expression is parsed and set up for itself.
fn parsing_anew(rules: &[Rule], inputs: &Inputs) -> usize {
    let seen = [
        ("answers", json!(inputs.answers)),
        ("scores", json!(inputs.scores)),
        ("patient", json!(inputs.patient)),
        ("medications", json!(inputs.medications)),
        ("allergies", json!(inputs.allergies)),
    ];
    rules
        .iter()
        .filter(|rule| {
            let Ok(program) = Program::compile(&rule.expression) else { return false };
            let mut context = Context::default();
            for (name, value) in &seen {
                if let Ok(value) = cel::to_value(value) {
                    context.add_variable_from_value(*name, value);
                }
            }
            program.execute(&context) == Ok(cel::Value::Bool(true))
        })
        .count()
}

fn gates() -> Gates {
    Gates {
        allowlisted: true,
        asynchronous: true,
        supervising_provider: Some(ProviderId(Uuid::from_u128(7))),
        under_treatment: false,
        record_answered: true,
        profile_unchanged: true,
        only_request: true,
        never_refused: true,
        of_age: true,
    }
}

/// A patient who answers everything, each a little otherwise than the next.
fn inputs(form: &FormDefinition, patient: u64) -> Inputs {
    // Knuth's linear congruential generator: the same patients in every run.
    let mut state = patient;
    let mut draw = move |below: usize| {
        state =
            state.wrapping_mul(6_364_136_223_846_793_005).wrapping_add(1_442_695_040_888_963_407);
        usize::try_from(state >> 33).unwrap_or(0) % below.max(1)
    };
    let mut answers = BTreeMap::new();
    let mut scores = BTreeMap::new();
    for (item, _) in form.walk() {
        let code = |at: usize| item.options()[at].code.clone();
        let answer: Value = match &item.kind {
            ItemKind::Text { repeats: false, .. } => json!("Since last spring, mostly at night."),
            ItemKind::Text { repeats: true, .. } => json!(["metformin 500 mg", "vitamin D"]),
            ItemKind::Number { minimum, .. } => {
                json!(minimum.map_or(0.0, kernel::Decimal::to_f64) + draw(80) as f64 / 2.0)
            }
            ItemKind::Date { .. } => json!("2025-03-14"),
            ItemKind::SingleChoice { options } => json!(code(draw(options.len()))),
            ItemKind::MultipleChoice { options } => json!([code(draw(options.len()))]),
            ItemKind::Boolean { consent } => json!(consent.is_some() || draw(8) == 0),
            ItemKind::Scale { minimum, .. } => json!(minimum),
            ItemKind::Calculated { .. } => {
                scores.insert(item.link_id.clone(), draw(30) as f64);
                continue;
            }
            ItemKind::Photo { .. } => json!([format!("photo-{}", draw(1_000))]),
            ItemKind::Display | ItemKind::Group { .. } | ItemKind::RepeatingGroup { .. } => {
                continue;
            }
        };
        answers.insert(item.link_id.clone(), answer);
    }
    Inputs {
        answers,
        scores,
        patient: PatientInputs {
            age: 20 + u32::try_from(draw(60)).unwrap_or(0),
            sex: if draw(2) == 0 { Sex::Male } else { Sex::Female },
            state: UsState::Ma,
            age_counted_on: None,
        },
        medications: vec![
            Coding::new(system::RXNORM, "314076", "Lisinopril 10 MG Oral Tablet"),
            Coding::new(system::RXNORM, "617310", "Atorvastatin 20 MG Oral Tablet"),
        ],
        allergies: vec![Coding::new(system::RXNORM, "70618", "Penicillin")],
    }
}
