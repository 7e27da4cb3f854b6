use kernel::{Uuid, code::system};
use proptest::prelude::*;
use serde_json::json;

use super::*;

fn rule(id: &str, severity: Severity, expression: &str) -> Rule {
    Rule {
        id: id.to_owned(),
        description: format!("The rule {id}."),
        severity,
        expression: expression.to_owned(),
        reason_code: id.to_owned(),
        reason_text: format!("Because of {id}."),
        urgent: false,
    }
}

fn inputs() -> Inputs {
    Inputs {
        answers: BTreeMap::from([
            ("smokes".to_owned(), json!(false)),
            ("bmi".to_owned(), json!(31.5)),
            ("weight".to_owned(), json!(210)),
            ("conditions".to_owned(), json!(["asthma", "migraine"])),
            ("blood-pressure".to_owned(), json!("normal")),
        ]),
        scores: BTreeMap::from([("phq9".to_owned(), 12.0), ("ratio".to_owned(), 0.5)]),
        patient: PatientInputs {
            age: 34,
            sex: Sex::Male,
            state: UsState::Ma,
            age_counted_on: None,
        },
        medications: vec![Coding::new(system::RXNORM, "198039", "Nitroglycerin 0.4 MG Tablet")],
        allergies: vec![],
    }
}

fn open_gates() -> Gates {
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

fn outcome(rules: &[Rule], inputs: Inputs, gates: Gates) -> Decision {
    decide(Some((RuleSetId(Uuid::from_u128(1)), 3)), rules, inputs, gates).0
}

#[test]
fn expressions_reach_every_kind_of_input() {
    let evaluator = expression::Evaluator::new(&inputs());
    for fires in [
        "!answers.smokes",
        "answers.bmi >= 30",
        "answers.bmi > 31.0 && answers.weight > 200",
        r#""migraine" in answers.conditions"#,
        r#"answers["blood-pressure"] == "normal""#,
        "scores.phq9 >= 10",
        "scores.phq9 == 12",
        "scores.ratio < 1",
        r#"patient.age >= 18 && patient.sex == "male" && patient.state == "MA""#,
        r#"medications.exists(m, m.display.contains("nitro"))"#,
        r#"medications.exists(m, m.code in ["198039", "1"])"#,
        "!has(answers.unasked) && size(allergies) == 0",
    ] {
        assert_eq!(evaluator.evaluate(&expression::compiled(fires)), RuleResult::Fired, "{fires}");
    }
}

#[test]
fn everything_open_and_nothing_fired_is_approved() {
    let rules = [
        rule("minor", Severity::Refuse, "patient.age < 18"),
        rule("smoker", Severity::Review, "answers.smokes"),
        rule("told", Severity::Info, "patient.age > 30"),
    ];
    let decision = outcome(&rules, inputs(), open_gates());
    assert!(matches!(decision.outcome, Outcome::AutoApproved { .. }), "{decision:?}");
    assert_eq!(decision.reasons, []);
}

#[test]
fn a_closed_gate_asks_for_a_provider() {
    let rules = [rule("minor", Severity::Refuse, "patient.age < 18")];
    for (gates, reason) in [
        (Gates { allowlisted: false, ..open_gates() }, "provider_review_required"),
        (Gates { asynchronous: false, ..open_gates() }, "visit_required"),
        (Gates { supervising_provider: None, ..open_gates() }, "no_supervising_provider"),
        (Gates { under_treatment: true, ..open_gates() }, "already_under_treatment"),
        (Gates { record_answered: false, ..open_gates() }, "record_unanswered"),
        (Gates { profile_unchanged: false, ..open_gates() }, "profile_changed"),
        (Gates { only_request: false, ..open_gates() }, "another_request"),
        (Gates { never_refused: false, ..open_gates() }, "refused_before"),
    ] {
        let decision = outcome(&rules, inputs(), gates);
        assert_eq!(decision.outcome, Outcome::InReview);
        assert_eq!(decision.reasons[0].code, reason);
    }
}

#[test]
fn a_decision_was_for_who_had_that_age_and_sex_on_its_day() {
    let day = |text: &str| text.parse::<NaiveDate>().unwrap();
    // In every state it is still the ninth.
    let decided_at = "2026-03-10T03:00:00Z".parse::<DateTime<Utc>>().unwrap();
    let decided = PatientInputs { age: 17, ..inputs().patient };
    let sex = decided.sex;
    for (born, fits) in [
        ("2008-03-10", true),
        ("2009-03-09", true),
        ("2009-03-10", false),
        ("2008-03-09", false),
        ("1990-01-01", false),
    ] {
        assert_eq!(decided.is_of(sex, day(born), decided_at), fits, "{born}");
    }
    let other = match sex {
        Sex::Male => Sex::Female,
        _ => Sex::Male,
    };
    assert!(!decided.is_of(other, day("2008-03-10"), decided_at));
}

#[test]
fn a_rule_that_cannot_be_evaluated_counts_as_review() {
    for broken in ["answers.unasked", "answers.bmi", "answers.smokes > 3", "answers.bmi <", "nope"]
    {
        let decision = outcome(&[rule("broken", Severity::Info, broken)], inputs(), open_gates());
        assert_eq!(decision.outcome, Outcome::InReview, "{broken}");
        assert_eq!(decision.reasons[0].code, "could_not_be_checked");
    }
}

#[test]
fn no_rules_at_all_is_not_an_approval() {
    assert_eq!(outcome(&[], inputs(), open_gates()).outcome, Outcome::InReview);
}

#[test]
fn an_urgent_rule_raises_the_priority_of_a_refusal_too() {
    let urgent = Rule { urgent: true, ..rule("item9", Severity::Review, "scores.phq9 > 0") };
    let decision = outcome(std::slice::from_ref(&urgent), inputs(), open_gates());
    assert_eq!((decision.outcome, decision.priority), (Outcome::InReview, Priority::Urgent));
    let refuse = rule("always", Severity::Refuse, "true");
    let decision = outcome(&[urgent, refuse], inputs(), open_gates());
    assert_eq!((decision.outcome, decision.priority), (Outcome::Refused, Priority::Urgent));
}

#[test]
fn the_trace_shows_what_each_rule_looked_at() {
    let rules = [rule("bmi", Severity::Review, "answers.bmi < 27 || answers.unasked == true")];
    let (_, trace) = decide(None, &rules, inputs(), open_gates());
    assert_eq!(trace.rules[0].inputs["answers.bmi"], json!(31.5));
    assert_eq!(trace.rules[0].inputs["answers.unasked"], Value::Null);
}

#[test]
fn the_age_is_that_of_the_submission_and_the_trace_names_its_day() {
    let day = |text: &str| text.parse::<NaiveDate>().unwrap();
    // Half an hour before midnight in Massachusetts; it is decided a day later.
    let response = SubmittedResponse {
        id: kernel::Uuid::from_u128(1).into(),
        patient: kernel::Uuid::from_u128(2).into(),
        category: kernel::Uuid::from_u128(3).into(),
        submitted_at: "2026-03-10T03:30:00Z".parse().unwrap(),
        answers: BTreeMap::new(),
        scores: BTreeMap::new(),
    };
    let facts = ClinicalFacts {
        birth_date: day("2008-03-10"),
        sex: Sex::Male,
        state: UsState::Ma,
        medications: Vec::new(),
        allergies: Vec::new(),
        record_answered: true,
    };
    let patient = Inputs::new(&response, &facts).patient;
    assert_eq!((patient.age, patient.age_counted_on), (17, Some(day("2026-03-09"))));
    // The profile is held against that day, whenever it was decided.
    let later = "2026-03-11T15:00:00Z".parse().unwrap();
    assert!(patient.is_of(Sex::Male, facts.birth_date, later));
}

fn any_severity() -> impl Strategy<Value = Severity> {
    prop_oneof![Just(Severity::Refuse), Just(Severity::Review), Just(Severity::Info)]
}

fn any_expression() -> impl Strategy<Value = String> {
    prop_oneof![
        (0u32..100).prop_map(|age| format!("patient.age < {age}")),
        (0u32..27).prop_map(|score| format!("scores.phq9 >= {score}")),
        (150u32..450).prop_map(|bmi| format!("answers.bmi > {:.1}", f64::from(bmi) / 10.0)),
        Just("answers.smokes".to_owned()),
        Just("answers.missing == true".to_owned()),
        Just("has(answers.missing) && answers.missing".to_owned()),
        Just("answers.smokes > 3".to_owned()),
        Just(r#"medications.exists(m, m.display.contains("nitro"))"#.to_owned()),
        "[a-z<>(). ]{0,12}",
    ]
}

fn any_rules() -> impl Strategy<Value = Vec<Rule>> {
    prop::collection::vec((any_severity(), any_expression(), any::<bool>()), 0..6).prop_map(
        |rules| {
            rules
                .into_iter()
                .enumerate()
                .map(|(index, (severity, expression, urgent))| Rule {
                    urgent,
                    ..rule(&format!("r{index}"), severity, &expression)
                })
                .collect()
        },
    )
}

fn any_inputs() -> impl Strategy<Value = Inputs> {
    (any::<bool>(), 150u32..450, 0u32..27, 0u32..100, any::<bool>()).prop_map(
        |(smokes, bmi, phq9, age, nitro)| {
            let mut inputs = inputs();
            inputs.answers.insert("smokes".into(), json!(smokes));
            inputs.answers.insert("bmi".into(), json!(f64::from(bmi) / 10.0));
            inputs.scores.insert("phq9".into(), f64::from(phq9));
            inputs.patient.age = age;
            if !nitro {
                inputs.medications.clear();
            }
            inputs
        },
    )
}

fn any_gates() -> impl Strategy<Value = Gates> {
    any::<([bool; 7], bool, bool)>().prop_map(
        |(
            [allowlisted, asynchronous, some, under_treatment, answered, unchanged, only],
            never_refused,
            of_age,
        )| Gates {
            allowlisted,
            asynchronous,
            supervising_provider: some.then(|| ProviderId(Uuid::from_u128(7))),
            under_treatment,
            record_answered: answered,
            profile_unchanged: unchanged,
            only_request: only,
            never_refused,
            of_age,
        },
    )
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(96))]

    #[test]
    fn a_refuse_rule_that_fires_always_refuses(
        rules in any_rules(), inputs in any_inputs(), gates in any_gates()
    ) {
        let of_age = gates.of_age;
        let (decision, trace) = decide(None, &rules, inputs, gates);
        let refused = trace.rules.iter().any(|traced| {
            traced.rule.severity == Severity::Refuse && traced.result == RuleResult::Fired
        });
        prop_assert_eq!(refused || !of_age, decision.outcome == Outcome::Refused);
    }

    #[test]
    fn what_was_stored_decides_the_same_again(
        rules in any_rules(), inputs in any_inputs(), gates in any_gates()
    ) {
        let version = Some((RuleSetId(Uuid::from_u128(1)), 4));
        let (decision, trace) = decide(version, &rules, inputs, gates);
        let stored: Trace =
            serde_json::from_str(&serde_json::to_string(&trace).unwrap()).unwrap();
        let (again, trace_again) = stored.replay();
        prop_assert_eq!(&decision, &again);
        prop_assert_eq!(stored, trace_again);
    }

    #[test]
    fn an_approval_has_no_doubt_in_it(
        rules in any_rules(), inputs in any_inputs(), gates in any_gates()
    ) {
        let (decision, trace) = decide(None, &rules, inputs, gates.clone());
        if let Outcome::AutoApproved { supervising_provider } = decision.outcome {
            prop_assert!(gates.allowlisted && gates.asynchronous);
            prop_assert!(gates.never_refused && gates.of_age);
            prop_assert_eq!(gates.supervising_provider, Some(supervising_provider));
            prop_assert!(!rules.is_empty());
            for traced in &trace.rules {
                let harmless = match traced.result {
                    RuleResult::NotFired => true,
                    RuleResult::Fired => {
                        traced.rule.severity == Severity::Info && !traced.rule.urgent
                    }
                    RuleResult::Errored { .. } => false,
                };
                prop_assert!(harmless, "{:?}", traced);
            }
        }
    }
}
