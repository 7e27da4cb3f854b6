use std::{collections::BTreeMap, thread};

use kernel::{Sex, UsState};
use proptest::prelude::*;
use serde_json::json;

use super::*;
use crate::{
    Rule, Severity,
    eligibility::{
        AnswerKind, FormSchema, Inputs, PatientInputs, RuleSet,
        expression::{Evaluator, compiled},
        misfits,
    },
};

/// Ways to make an expression one step deeper or longer.
const STEPS: [&str; 30] = [
    "(_)",
    "[_]",
    "[_][0]",
    "{'a': _}",
    "_.a",
    "_[0]",
    "a[_]",
    "!_",
    "-_",
    "! _",
    "_ ? true : false",
    "true ? _ : false",
    "false ? true : _",
    "_ && true",
    "false || _",
    "true && _ || true",
    "_ < 1",
    "1 == _",
    "_ in [1]",
    "1 + _",
    "_ * 2",
    "size(_)",
    "f(1, _)",
    "_.f()",
    "answers.s.f(_)",
    "[1].all(x, _)",
    "_.exists(x, true)",
    "[1, 2].map(x, _)",
    "has(_.a)",
    "'((([[[' == _ // )))",
];

/// The expression with one step after the other for as long as it is within
/// the limits.
fn grown(seed: &str, steps: impl IntoIterator<Item = usize>) -> String {
    let mut expression = seed.to_owned();
    for step in steps {
        let next = STEPS[step % STEPS.len()].replace('_', &expression);
        if check_text(&next).is_err() {
            break;
        }
        expression = next;
    }
    expression
}

fn inputs() -> Inputs {
    Inputs {
        answers: BTreeMap::from([("s".to_owned(), json!("a".repeat(1_000)))]),
        scores: BTreeMap::new(),
        patient: PatientInputs {
            age: 34,
            sex: Sex::Male,
            state: UsState::Ma,
            age_counted_on: None,
        },
        medications: vec![],
        allergies: vec![],
    }
}

fn rule(expression: &str) -> Rule {
    Rule {
        id: "r".into(),
        description: "A rule.".into(),
        severity: Severity::Review,
        expression: expression.into(),
        reason_code: "r".into(),
        reason_text: "Because.".into(),
        urgent: false,
    }
}

/// Everything that is done with the expression of a rule.
fn exercise(expression: &str) {
    let rules = [rule(expression)];
    let schema = FormSchema {
        answers: [("s".to_owned(), AnswerKind::Text)].into(),
        ..FormSchema::default()
    };
    let _ = RuleSet::faults(&rules);
    let _ = misfits(&rules, &schema);
    let _ = Evaluator::new(&inputs()).evaluate(&compiled(expression));
}

/// Half of what a thread of the server has. Whatever overflows it ends the
/// whole run of the tests.
const SMALL_STACK: usize = 1024 * 1024;

fn on_a_small_stack(run: impl FnOnce() + Send + 'static) {
    thread::Builder::new().stack_size(SMALL_STACK).spawn(run).unwrap().join().unwrap();
}

#[test]
fn what_is_within_the_limits_never_overflows_a_small_stack() {
    on_a_small_stack(|| {
        for first in 0..STEPS.len() {
            for second in 0..STEPS.len() {
                let steps = (0..300).map(|at| if at % 2 == 0 { first } else { second });
                exercise(&grown("answers.s", steps));
            }
        }
    });
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(200))]

    #[test]
    fn no_mixture_of_steps_overflows_it_either(
        seed in prop::sample::select(vec!["true", "answers.s", "1", "'a'", "[1]", "("]),
        steps in prop::collection::vec(0..STEPS.len(), 1..60),
    ) {
        on_a_small_stack(move || exercise(&grown(seed, steps)));
    }

    /// Texts without any sense, with all that opens and closes something.
    #[test]
    fn no_text_at_all_overflows_it(
        text in "([(\\[{)\\]}?:!.,'\"r\\\\` +/a0\n-]|&&|//|\"\"\"){0,120}",
    ) {
        on_a_small_stack(move || exercise(&text));
    }
}

#[test]
fn a_rule_that_ended_the_process_is_refused_by_the_name_of_its_field() {
    let nested = |open: &str, inner: &str, close: &str, depth: usize| {
        format!("{}{inner}{}", open.repeat(depth), close.repeat(depth))
    };
    for expression in [
        nested("(", "true", ")", 40),
        nested("[", "", "]", 300),
        nested("{'a': ", "1", "}", 100),
        nested("size(", "'a'", ")", 100),
        nested("!", "true", "", 1_000),
        nested("- ", "1", "", 900),
        nested("true ? true : ", "true", "", 100),
        nested("true && ", "true", "", 200),
        nested("", "answers", ".a", 900),
        nested("", "answers", "[0]", 600),
        nested("1 + ", "1", "", 400),
        nested("1 < ", "1", "", 400),
        // What hides the brackets from somebody who does not know the grammar.
        format!("'\\q{}", nested("(", "true", ")", 40)),
        format!("r'\\' == {}", nested("(", "true", ")", 40)),
        format!("b'\\x' == {}", nested("(", "true", ")", 40)),
        format!("'''a''' == {}", nested("(", "true", ")", 40)),
        format!("a.`//` == {}", nested("(", "true", ")", 40)),
        format!("// '\n{}", nested("(", "true", ")", 40)),
        format!("'\n{}", nested("(", "true", ")", 40)),
        "(]".repeat(300),
    ] {
        on_a_small_stack(move || {
            let faults = RuleSet::faults(&[rule("true"), rule(&expression)]);
            let fault = faults.iter().find(|fault| fault.path == "rules[1].expression");
            assert!(fault.is_some_and(|fault| fault.code == "invalid"), "{expression}");
            exercise(&expression);
        });
    }
}

#[test]
fn what_takes_long_to_run_is_refused() {
    let nested = |depth: usize| {
        let open: String = (0..depth).map(|at| format!("[1, 2, 3].all(v{at}, ")).collect();
        format!("{open}true{}", ")".repeat(depth))
    };
    assert!(compile(&nested(1)).is_ok());
    let list = format!("answers.s in [{}]", vec!["1"; LONGEST_LIST + 1].join(", "));
    let pattern = format!("answers.s.matches('{}')", "a".repeat(LONGEST_PATTERN + 1));
    for (expression, told) in [
        (nested(2).as_str(), "do not stand in one another"),
        (nested(6).as_str(), "do not stand in one another"),
        ("[1].map(x, [2].filter(y, y > x)).size() == 1", "do not stand in one another"),
        ("medications.exists(m, m.code.matches('a'))", "does not stand in all"),
        ("answers.s.matches(answers.s)", "stands in the rule itself"),
        ("answers.s.matches('(a{99}){99}')", "counted repetitions"),
        (&list, "a list of more than"),
        (&pattern, "a pattern has at most"),
        ("answers.s + 'a' + 'a' + 'a' + 'a' + 'a' + 'a' + 'a' + 'a' + 'a'", "calculations"),
    ] {
        let refused = compile(expression).expect_err(expression);
        assert!(refused.contains(told), "{expression}: {refused}");
    }
}

#[test]
fn what_rules_are_made_of_is_within_the_limits() {
    let drugs: Vec<String> =
        (0..20).map(|at| format!("m.display.contains(\"drug ((( {at}\")")).collect();
    for expression in [
        format!("medications.exists(m, {})", drugs.join(" || ")),
        "answers.s.matches(r'^\\d+$') || answers.s.contains(\"\\\"\\u00e9(((((((((((((\")".into(),
        "has(answers.s) // (((((((((((((((((((\n && answers.s == ''".into(),
        "medications.filter(m, m.code == '1').exists(m, m.display == 'a')".into(),
        "double(answers.w) / (double(answers.h) * double(answers.h)) * 703.0 > 30.0".into(),
        "((patient.age > 1 ? 1 : 2) == 1 && !(patient.sex == 'male')) || -1 < 2".into(),
    ] {
        compile(&expression).unwrap_or_else(|refused| panic!("{expression}: {refused}"));
    }
}
