//! Rule expressions in CEL: checking, evaluating, and finding out which
//! inputs an expression names, for the trace.

use std::{
    collections::{BTreeMap, HashMap},
    sync::{Arc, LazyLock, PoisonError, RwLock},
};

use cel::{Context, Env, Program, Value as Cel};
use kernel::Coding;
use serde_json::{Value, json};

use super::{Inputs, RuleResult, limits};

/// The words with which an expression can begin to name an input.
const ROOTS: [&str; 5] = ["answers", "scores", "patient", "medications", "allergies"];

/// `Err` says why the expression does not parse, or names what does not exist.
pub fn check(expression: &str) -> Result<(), String> {
    let compiled = compiled(expression);
    let references = compiled.program()?.references();
    let bound = bound_names(expression);
    match references
        .variables()
        .into_iter()
        // Macros expand to accumulators whose names no rule could write.
        .filter(|name| name.starts_with(|first: char| first.is_ascii_alphabetic()))
        .find(|name| !ROOTS.contains(name) && !bound.iter().any(|bound| bound == name))
    {
        Some(unknown) => Err(format!("there is no variable {unknown}")),
        None => Ok(()),
    }
}

/// The names that `exists(m, …)` and its kin bind.
fn bound_names(expression: &str) -> Vec<String> {
    ["exists_one(", "exists(", "all(", "filter(", "map("]
        .iter()
        .flat_map(|call| expression.match_indices(call).map(move |(at, call)| at + call.len()))
        .filter_map(|start| expression[start..].split(',').next())
        .map(|name| name.trim().to_owned())
        .collect()
}

/// An expression as it is run: parsed once, with the inputs that it names.
#[derive(Debug)]
pub struct Compiled {
    program: Result<Program, String>,
    paths: Vec<(&'static str, Option<String>)>,
}

impl Compiled {
    fn new(expression: &str) -> Self {
        Self { program: limits::compile(expression), paths: named_paths(expression) }
    }

    /// `Err` says why there is none.
    pub fn program(&self) -> Result<&Program, String> {
        self.program.as_ref().map_err(Clone::clone)
    }

    pub fn paths(&self) -> &[(&'static str, Option<String>)] {
        &self.paths
    }
}

/// More expressions than every category, state and drug have together; beyond
/// that the memory begins anew instead of growing.
const MOST_COMPILED: usize = 4_096;

/// Parsing an expression takes many times as long as running it, and the same
/// few hundred are run for every response. What comes out depends on the text
/// alone, so it is remembered by the text.
static COMPILED: LazyLock<RwLock<HashMap<String, Arc<Compiled>>>> = LazyLock::new(RwLock::default);

pub fn compiled(expression: &str) -> Arc<Compiled> {
    let known = COMPILED.read().unwrap_or_else(PoisonError::into_inner).get(expression).cloned();
    known.unwrap_or_else(|| {
        let fresh = Arc::new(Compiled::new(expression));
        let mut all = COMPILED.write().unwrap_or_else(PoisonError::into_inner);
        if all.len() >= MOST_COMPILED {
            all.clear();
        }
        all.insert(expression.to_owned(), fresh.clone());
        fresh
    })
}

/// CEL's own functions and operators, which take longer to set up than a whole
/// rule set takes to run.
static STANDARD: LazyLock<Arc<Env>> = LazyLock::new(|| Arc::new(Env::stdlib()));

pub struct Evaluator {
    /// What expressions see, by root.
    seen: BTreeMap<&'static str, Value>,
    context: Context<'static, 'static>,
}

impl Evaluator {
    pub fn new(inputs: &Inputs) -> Self {
        let seen = BTreeMap::from([
            ("answers", json!(inputs.answers)),
            ("scores", json!(inputs.scores)),
            ("patient", json!(inputs.patient)),
            ("medications", codings(&inputs.medications)),
            ("allergies", codings(&inputs.allergies)),
        ]);
        let mut context = Context::with_env(STANDARD.clone());
        for (name, value) in &seen {
            context.add_variable_from_value(*name, cel_value(value));
        }
        Self { seen, context }
    }

    pub fn evaluate(&self, compiled: &Compiled) -> RuleResult {
        let program = match &compiled.program {
            Ok(program) => program,
            Err(message) => return RuleResult::Errored { message: message.clone() },
        };
        match program.execute(&self.context) {
            Ok(Cel::Bool(true)) => RuleResult::Fired,
            Ok(Cel::Bool(false)) => RuleResult::NotFired,
            Ok(other) => RuleResult::Errored {
                message: format!("the expression is {}, not a truth value", other.type_of()),
            },
            Err(error) => RuleResult::Errored { message: error.to_string() },
        }
    }

    /// The values of the inputs that the expression names, by their path.
    pub fn named_inputs(&self, compiled: &Compiled) -> BTreeMap<String, Value> {
        compiled
            .paths
            .iter()
            .map(|(root, member)| {
                let whole = &self.seen[root];
                match member {
                    Some(member) => {
                        let value = whole.get(member).cloned().unwrap_or(Value::Null);
                        (format!("{root}.{member}"), value)
                    }
                    None => ((*root).to_owned(), whole.clone()),
                }
            })
            .collect()
    }
}

/// Displays go in lower case, so that a rule can look for a word in them.
fn codings(codings: &[Coding]) -> Value {
    codings
        .iter()
        .map(|coding| {
            json!({
                "system": coding.system,
                "code": coding.code,
                "display": coding.display.to_lowercase(),
            })
        })
        .collect()
}

/// Numbers without a fraction become CEL integers, so that a rule can compare
/// a score with a whole number without minding how it was stored.
fn cel_value(value: &Value) -> Cel {
    match value {
        Value::Null => Cel::Null,
        Value::Bool(value) => Cel::Bool(*value),
        Value::Number(number) => match (number.as_i64(), number.as_f64()) {
            (Some(whole), _) => Cel::Int(whole),
            (None, Some(float)) if float.fract() == 0.0 && float.abs() < 9e15 => {
                Cel::Int(float as i64)
            }
            (None, Some(float)) => Cel::Float(float),
            (None, None) => Cel::Null,
        },
        Value::String(text) => Cel::String(Arc::new(text.clone())),
        Value::Array(items) => Cel::List(Arc::new(items.iter().map(cel_value).collect())),
        Value::Object(members) => Cel::from(
            members
                .iter()
                .map(|(name, value)| (name.clone(), cel_value(value)))
                .collect::<std::collections::HashMap<String, Cel>>(),
        ),
    }
}

/// `(root, member)` for everything in the expression that starts with a root:
/// `answers.x`, `answers["x"]`, or the root alone.
fn named_paths(expression: &str) -> Vec<(&'static str, Option<String>)> {
    let bytes = expression.as_bytes();
    let mut paths = Vec::new();
    let mut at = 0;
    while at < bytes.len() {
        match bytes[at] {
            quote @ (b'"' | b'\'') => at = after_string(bytes, at, quote),
            byte if is_word(byte) => {
                let end = end_of_word(bytes, at);
                let word = &expression[at..end];
                let member_of_another = at > 0 && bytes[at - 1] == b'.';
                let root = ROOTS.iter().find(|root| **root == word && !member_of_another);
                at = end;
                if let Some(root) = root {
                    let (member, next) = member_at(expression, end);
                    paths.push((*root, member));
                    at = next;
                }
            }
            _ => at += 1,
        }
    }
    paths.sort();
    paths.dedup();
    paths
}

/// The member that is named right after a root, and where the text goes on.
/// Lists have no members, only functions.
fn member_at(expression: &str, at: usize) -> (Option<String>, usize) {
    let bytes = expression.as_bytes();
    match bytes.get(at) {
        Some(b'.') => {
            let end = end_of_word(bytes, at + 1);
            let is_call = bytes.get(end) == Some(&b'(');
            if end == at + 1 || is_call {
                (None, at)
            } else {
                (Some(expression[at + 1..end].to_owned()), end)
            }
        }
        Some(b'[') => match bytes.get(at + 1) {
            Some(quote @ (b'"' | b'\'')) => {
                let end = after_string(bytes, at + 1, *quote);
                let inner = expression.get(at + 2..end.saturating_sub(1)).unwrap_or_default();
                (Some(inner.to_owned()), end)
            }
            _ => (None, at),
        },
        _ => (None, at),
    }
}

fn is_word(byte: u8) -> bool {
    byte.is_ascii_alphanumeric() || byte == b'_'
}

fn end_of_word(bytes: &[u8], start: usize) -> usize {
    (start..bytes.len()).find(|at| !is_word(bytes[*at])).unwrap_or(bytes.len())
}

fn after_string(bytes: &[u8], start: usize, quote: u8) -> usize {
    let mut at = start + 1;
    while at < bytes.len() {
        match bytes[at] {
            b'\\' => at += 2,
            byte if byte == quote => return at + 1,
            _ => at += 1,
        }
    }
    bytes.len()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_escaped_quote_does_not_end_a_text() {
        assert_eq!(after_string(br#""abc\"" x"#, 0, b'"'), 7);
        assert_eq!(after_string(br#""abc\""#, 0, b'"'), 6, "one that has no end");
    }

    #[test]
    fn the_inputs_that_an_expression_names_are_found() {
        let found = named_paths(
            r#"answers.smokes && answers["blood-pressure"] == "patient.x" && scores.phq9 > 9
               && has(answers.pain) && medications.exists(m, m.code == "1") && patient.age < 18"#,
        );
        let expected = [
            ("answers", Some("blood-pressure")),
            ("answers", Some("pain")),
            ("answers", Some("smokes")),
            ("medications", None),
            ("patient", Some("age")),
            ("scores", Some("phq9")),
        ];
        assert_eq!(
            found.iter().map(|(root, member)| (*root, member.as_deref())).collect::<Vec<_>>(),
            expected
        );
    }

    #[test]
    fn a_check_refuses_what_does_not_parse_and_what_does_not_exist() {
        assert!(check("patient.age < 18").is_ok());
        assert!(check(r#"medications.exists(m, m.display.contains("nitro"))"#).is_ok());
        assert!(check("patient.age <").is_err());
        assert!(check("pateint.age < 18").unwrap_err().contains("pateint"));
    }

    fn named(expression: &str) -> Vec<String> {
        let path = |(root, member): &(&str, Option<String>)| match member {
            Some(member) => format!("{root}.{member}"),
            None => (*root).to_owned(),
        };
        named_paths(expression).iter().map(path).collect()
    }

    #[test]
    fn only_a_root_names_an_input_and_only_outside_of_a_text() {
        for (expression, expected) in [
            ("answers.blood_pressure > 3", &["answers.blood_pressure"][..]),
            // A member of something else may have the name of a root.
            ("medications.exists(m, m.scores == 1)", &["medications"]),
            // A quote behind a backslash ends no text, and one without an end has no
            // more names in it.
            (r#"answers.a == "\" patient.age" && scores.b > 1"#, &["answers.a", "scores.b"]),
            (r"answers.a == '\' patient.age' && scores.b > 1", &["answers.a", "scores.b"]),
            ("answers.a == 'patient.age", &["answers.a"]),
            // Where no member is named it is the whole.
            ("answers.", &["answers"]),
            ("answers", &["answers"]),
            ("answers[0]", &["answers"]),
            ("size(answers) > 1", &["answers"]),
        ] {
            assert_eq!(named(expression), expected, "{expression}");
        }
    }

    #[test]
    fn a_number_without_a_fraction_is_whole_as_long_as_it_is_exact() {
        for (value, whole) in [
            (json!(12), true),
            (json!(12.0), true),
            (json!(-12.0), true),
            (json!(12.5), false),
            (json!(8.999e15), true),
            (json!(9e15), false),
            (json!(1e300), false),
        ] {
            assert_eq!(matches!(cel_value(&value), Cel::Int(_)), whole, "{value}");
        }
    }
}
