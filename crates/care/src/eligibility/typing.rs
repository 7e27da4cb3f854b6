//! Holding rules against the form that they read: every name that a rule uses
//! must be asked by the form, and be used as what its kind of question gives.

use std::collections::{BTreeMap, BTreeSet};

use cel::{
    IdedExpr,
    common::ast::{CallExpr, ComprehensionExpr, Expr, LiteralValue, operators},
};
use chrono::NaiveDate;
use kernel::{FieldError, Sex, UsState};
use strum::IntoEnumIterator as _;

use super::{Rule, expression};

/// What an answer is when a rule reads it.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum AnswerKind {
    Text,
    Texts,
    /// In the first unit of the question; with or without a fraction.
    Number,
    /// An ISO date as a string.
    Date,
    /// The code of one of these options.
    Choice(BTreeSet<String>),
    Choices(BTreeSet<String>),
    Boolean,
    /// A whole number.
    Scale,
    /// A list of objects, one for each repetition of a group.
    Rows(BTreeMap<String, AnswerKind>),
    /// A list of the ids of files.
    Files,
}

/// What the published form of a category gives to rules.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct FormSchema {
    /// By link id.
    pub answers: BTreeMap<String, AnswerKind>,
    /// The link ids of calculated items.
    pub scores: BTreeSet<String>,
}

/// Everything for which these rules do not fit the form; nothing when they do.
/// Paths are `rules[<index>].expression`.
pub fn misfits(rules: &[Rule], schema: &FormSchema) -> Vec<FieldError> {
    let mut errors = Vec::new();
    for (index, rule) in rules.iter().enumerate() {
        // What does not parse, or is beyond the limits, is told by the check of
        // the set itself.
        let compiled = expression::compiled(&rule.expression);
        let Ok(program) = compiled.program() else { continue };
        let mut checker = Checker { schema, bound: Vec::new(), faults: Vec::new() };
        let result = checker.type_of(program.expression());
        if !matches!(result, Type::Bool | Type::Any) {
            checker
                .fault("wrong_type", format!("The rule is {}, not true or false.", result.name()));
        }
        errors.extend(checker.faults.into_iter().map(|(code, message)| {
            FieldError::new(
                format!("rules[{index}].expression"),
                code,
                format!("{} ({})", message, rule.id),
            )
        }));
    }
    errors
}

#[derive(Clone, Debug, PartialEq)]
enum Type {
    Bool,
    Int,
    Double,
    /// A number that may or may not have a fraction when the rule runs.
    Number,
    Text,
    /// A text that stands in the rule itself.
    Word(String),
    Date,
    /// One of these codes.
    Code(BTreeSet<String>),
    List(Box<Type>),
    /// Texts that stand in the rule itself.
    Words(Vec<String>),
    Coding,
    Row(BTreeMap<String, AnswerKind>),
    /// Nothing is known of it, or a fault in it was told already.
    Any,
}

impl Type {
    fn of_answer(kind: &AnswerKind) -> Self {
        match kind {
            AnswerKind::Text => Self::Text,
            AnswerKind::Texts | AnswerKind::Files => Self::List(Box::new(Self::Text)),
            AnswerKind::Number => Self::Number,
            AnswerKind::Date => Self::Date,
            AnswerKind::Choice(codes) => Self::Code(codes.clone()),
            AnswerKind::Choices(codes) => Self::List(Box::new(Self::Code(codes.clone()))),
            AnswerKind::Boolean => Self::Bool,
            AnswerKind::Scale => Self::Int,
            AnswerKind::Rows(columns) => Self::List(Box::new(Self::Row(columns.clone()))),
        }
    }

    fn is_number(&self) -> bool {
        matches!(self, Self::Int | Self::Double | Self::Number)
    }

    fn is_text(&self) -> bool {
        matches!(self, Self::Text | Self::Word(_) | Self::Date | Self::Code(_))
    }

    fn name(&self) -> &'static str {
        match self {
            Self::Bool => "true or false",
            Self::Int => "a whole number",
            Self::Double => "a number with a fraction",
            Self::Number => "a number",
            Self::Text | Self::Word(_) => "a text",
            Self::Date => "a date",
            Self::Code(_) => "a choice",
            Self::List(_) | Self::Words(_) => "a list",
            Self::Coding => "a coding",
            Self::Row(_) => "a repetition of a group",
            Self::Any => "anything",
        }
    }
}

struct Checker<'a> {
    schema: &'a FormSchema,
    /// What macros as `exists(m, …)` have bound, innermost last.
    bound: Vec<(String, Type)>,
    faults: Vec<(&'static str, String)>,
}

impl Checker<'_> {
    /// Tells a fault once, however often the rule repeats it.
    fn fault(&mut self, code: &'static str, message: String) -> Type {
        if !self.faults.iter().any(|(_, told)| *told == message) {
            self.faults.push((code, message));
        }
        Type::Any
    }

    fn type_of(&mut self, expression: &IdedExpr) -> Type {
        match &expression.expr {
            Expr::Literal(literal) => match literal {
                LiteralValue::Boolean(_) => Type::Bool,
                LiteralValue::Int(_) | LiteralValue::UInt(_) => Type::Int,
                LiteralValue::Double(_) => Type::Double,
                LiteralValue::String(text) => Type::Word(text.inner().to_owned()),
                LiteralValue::Null | LiteralValue::Bytes(_) => Type::Any,
            },
            Expr::Ident(name) => self.variable(name),
            Expr::Select(select) => {
                let found = match &select.operand.expr {
                    Expr::Ident(root) if self.is_root(root) => self.member(root, &select.field),
                    _ => {
                        let operand = self.type_of(&select.operand);
                        self.field(operand, &select.field)
                    }
                };
                if select.test { Type::Bool } else { found }
            }
            Expr::Call(call) => self.call(call),
            Expr::List(list) => {
                let types: Vec<Type> =
                    list.elements.iter().map(|element| self.type_of(element)).collect();
                let words = types.iter().map(|element| match element {
                    Type::Word(word) => Some(word.clone()),
                    _ => None,
                });
                match words.collect::<Option<Vec<String>>>() {
                    Some(words) if !words.is_empty() => Type::Words(words),
                    _ => Type::List(Box::new(types.into_iter().next().unwrap_or(Type::Any))),
                }
            }
            Expr::Comprehension(loop_) => self.comprehension(loop_),
            Expr::Map(_) | Expr::Struct(_) | Expr::Unspecified => {
                self.fault("unsupported", "A rule builds no objects.".into())
            }
        }
    }

    fn variable(&mut self, name: &str) -> Type {
        if let Some((_, bound)) = self.bound.iter().rev().find(|(bound, _)| bound == name) {
            return bound.clone();
        }
        match name {
            "medications" | "allergies" => Type::List(Box::new(Type::Coding)),
            "answers" | "scores" | "patient" => {
                self.fault("whole_root", format!("Name what is meant of {name}, as in {name}.x."))
            }
            other => self.fault("unknown_field", format!("There is no variable {other}.")),
        }
    }

    fn is_root(&self, name: &str) -> bool {
        matches!(name, "answers" | "scores" | "patient")
            && !self.bound.iter().any(|(bound, _)| bound == name)
    }

    fn member(&mut self, root: &str, name: &str) -> Type {
        let found = match (root, name) {
            ("answers", name) => self.schema.answers.get(name).map(Type::of_answer),
            ("scores", name) => self.schema.scores.contains(name).then_some(Type::Number),
            ("patient", "age") => Some(Type::Int),
            ("patient", "sex") => Some(Type::Code(words(Sex::iter()))),
            ("patient", "state") => Some(Type::Code(words(UsState::iter()))),
            _ => None,
        };
        found.unwrap_or_else(|| {
            self.fault("unknown_field", format!("The form does not give {root}.{name}."))
        })
    }

    fn field(&mut self, operand: Type, name: &str) -> Type {
        match operand {
            Type::Any => Type::Any,
            Type::Coding if matches!(name, "system" | "code" | "display") => Type::Text,
            Type::Row(columns) => match columns.get(name) {
                Some(kind) => Type::of_answer(kind),
                None => self.fault("unknown_field", format!("The group does not ask {name}.")),
            },
            other => self.fault("wrong_type", format!("There is no {name} in {}.", other.name())),
        }
    }

    fn call(&mut self, call: &CallExpr) -> Type {
        let arguments = call.args.as_slice();
        match (call.func_name.as_str(), &call.target, arguments) {
            (operators::LOGICAL_AND | operators::LOGICAL_OR, None, arguments) => {
                for argument in arguments {
                    self.expect_bool(argument);
                }
                Type::Bool
            }
            (operators::LOGICAL_NOT, None, [argument]) => {
                self.expect_bool(argument);
                Type::Bool
            }
            (operators::NOT_STRICTLY_FALSE, None, [argument]) => {
                self.type_of(argument);
                Type::Bool
            }
            (operators::CONDITIONAL, None, [condition, then, otherwise]) => {
                self.expect_bool(condition);
                let (then, otherwise) = (self.type_of(then), self.type_of(otherwise));
                if then == otherwise { then } else { Type::Any }
            }
            (operators::EQUALS | operators::NOT_EQUALS, None, [left, right]) => {
                let (left, right) = (self.type_of(left), self.type_of(right));
                self.compare(&left, &right);
                Type::Bool
            }
            (
                operators::LESS
                | operators::LESS_EQUALS
                | operators::GREATER
                | operators::GREATER_EQUALS,
                None,
                [left, right],
            ) => {
                let (left, right) = (self.type_of(left), self.type_of(right));
                let ordered = |side: &Type| side.is_number() || side.is_text();
                for side in [&left, &right] {
                    if *side != Type::Any && (!ordered(side) || matches!(side, Type::Code(_))) {
                        self.fault("wrong_type", format!("There is no order in {}.", side.name()));
                        return Type::Bool;
                    }
                }
                self.compare(&left, &right);
                Type::Bool
            }
            (operators::IN, None, [item, list]) => self.is_in(item, list),
            (operators::INDEX, None, [list, place]) => self.index(list, place),
            (
                operators::ADD
                | operators::SUBSTRACT
                | operators::MULTIPLY
                | operators::DIVIDE
                | operators::MODULO,
                None,
                [left, right],
            ) => {
                let (left, right) = (self.type_of(left), self.type_of(right));
                self.arithmetic(call.func_name == operators::ADD, left, right)
            }
            (operators::NEGATE, None, [argument]) => {
                let number = self.type_of(argument);
                if number.is_number() || number == Type::Any {
                    return number;
                }
                self.fault("wrong_type", format!("{} has no negative.", number.name()))
            }
            ("size", None, [of]) => self.size(of),
            ("size", Some(of), []) => self.size(of),
            ("double" | "int", None, [argument]) => {
                let number = self.type_of(argument);
                if !number.is_number() && !number.is_text() && number != Type::Any {
                    self.fault("wrong_type", format!("{} is no number.", number.name()));
                }
                if call.func_name == "int" { Type::Int } else { Type::Double }
            }
            ("string", None, [argument]) => {
                self.type_of(argument);
                Type::Text
            }
            ("contains" | "startsWith" | "endsWith" | "matches", Some(target), [argument]) => {
                for side in [target.as_ref(), argument] {
                    let text = self.type_of(side);
                    if !text.is_text() && text != Type::Any {
                        let message =
                            format!("{} reads texts, not {}.", call.func_name, text.name());
                        self.fault("wrong_type", message);
                    }
                }
                Type::Bool
            }
            (name, _, _) => {
                let name = name.trim_matches(|c: char| !c.is_ascii_alphanumeric());
                self.fault("unknown_function", format!("A rule cannot use {name} like this."))
            }
        }
    }

    fn expect_bool(&mut self, expression: &IdedExpr) {
        let found = self.type_of(expression);
        if !matches!(found, Type::Bool | Type::Any) {
            let message = format!("{} stands where true or false is needed.", found.name());
            self.fault("wrong_type", message);
        }
    }

    fn compare(&mut self, left: &Type, right: &Type) {
        match (left, right) {
            (Type::Any, _) | (_, Type::Any) => {}
            (Type::Code(codes), Type::Word(word)) | (Type::Word(word), Type::Code(codes)) => {
                self.choice(codes, word);
            }
            (Type::Date, Type::Word(word)) | (Type::Word(word), Type::Date) => {
                if word.parse::<NaiveDate>().is_err() {
                    self.fault("wrong_type", format!("{word:?} is no date, as in 2026-02-28."));
                }
            }
            (left, right) if left.is_number() && right.is_number() => {}
            (left, right) if left.is_text() && right.is_text() => {}
            (left, right) if left == right => {}
            (Type::List(_) | Type::Words(_), Type::List(_) | Type::Words(_)) => {}
            (left, right) => {
                let message = format!("{} is compared with {}.", left.name(), right.name());
                self.fault("wrong_type", message);
            }
        }
    }

    fn choice(&mut self, codes: &BTreeSet<String>, word: &str) {
        if !codes.contains(word) {
            let offered: Vec<&str> = codes.iter().take(12).map(String::as_str).collect();
            let message = format!("{word:?} is none of the choices ({}).", offered.join(", "));
            self.fault("not_a_choice", message);
        }
    }

    fn is_in(&mut self, item: &IdedExpr, list: &IdedExpr) -> Type {
        // `"x" in answers` asks whether something was answered.
        if let (Expr::Ident(root), Expr::Literal(LiteralValue::String(name))) =
            (&list.expr, &item.expr)
            && self.is_root(root)
        {
            self.member(root, name.inner());
            return Type::Bool;
        }
        let (item, list) = (self.type_of(item), self.type_of(list));
        match list {
            Type::Any => {}
            Type::List(element) => self.compare(&item, &element),
            Type::Words(words) => {
                for word in words {
                    self.compare(&item, &Type::Word(word));
                }
            }
            other => {
                self.fault("wrong_type", format!("Nothing is in {}.", other.name()));
            }
        }
        Type::Bool
    }

    fn index(&mut self, list: &IdedExpr, place: &IdedExpr) -> Type {
        if let Expr::Ident(root) = &list.expr
            && self.is_root(root)
        {
            return match &place.expr {
                Expr::Literal(LiteralValue::String(name)) => self.member(root, name.inner()),
                _ => self.fault("whole_root", format!("Name what is meant of {root}.")),
            };
        }
        match (self.type_of(list), self.type_of(place)) {
            (Type::List(element), Type::Int) => *element,
            (Type::Words(_), Type::Int) => Type::Text,
            (Type::Any, _) => Type::Any,
            (row @ (Type::Row(_) | Type::Coding), Type::Word(name)) => self.field(row, &name),
            (other, _) => self.fault("wrong_type", format!("{} has no such place.", other.name())),
        }
    }

    /// CEL does not mix whole numbers with fractions, and an answer can be
    /// either, so the rule has to say which one it calculates with.
    fn arithmetic(&mut self, adds: bool, left: Type, right: Type) -> Type {
        match (&left, &right) {
            (Type::Any, _) | (_, Type::Any) => Type::Any,
            (Type::Int, Type::Int) => Type::Int,
            (Type::Double, Type::Double) => Type::Double,
            (Type::List(_) | Type::Words(_), Type::List(_) | Type::Words(_)) if adds => {
                Type::List(Box::new(Type::Any))
            }
            (left, right) if adds && left.is_text() && right.is_text() => Type::Text,
            (left, right) if left.is_number() && right.is_number() => self.fault(
                "mixed_numbers",
                "Say double(…) or int(…) of every number that is calculated with.".into(),
            ),
            (left, right) => {
                let message = format!("{} and {} do not calculate.", left.name(), right.name());
                self.fault("wrong_type", message)
            }
        }
    }

    fn size(&mut self, of: &IdedExpr) -> Type {
        let of = self.type_of(of);
        if !of.is_text() && !matches!(of, Type::List(_) | Type::Words(_) | Type::Any) {
            self.fault("wrong_type", format!("{} has no size.", of.name()));
        }
        Type::Int
    }

    fn comprehension(&mut self, loop_: &ComprehensionExpr) -> Type {
        let element = match self.type_of(&loop_.iter_range) {
            Type::List(element) => *element,
            Type::Words(_) => Type::Text,
            Type::Any => Type::Any,
            other => self.fault("wrong_type", format!("{} is no list.", other.name())),
        };
        let before = self.bound.len();
        self.bound.push((loop_.iter_var.clone(), element));
        if let Some(second) = &loop_.iter_var2 {
            self.bound.push((second.clone(), Type::Any));
        }
        let start = match self.type_of(&loop_.accu_init) {
            Type::List(_) => Type::List(Box::new(Type::Any)),
            other => other,
        };
        self.bound.push((loop_.accu_var.clone(), start.clone()));
        self.type_of(&loop_.loop_cond);
        self.type_of(&loop_.loop_step);
        self.bound.truncate(before);
        self.bound.push((loop_.accu_var.clone(), start));
        let result = self.type_of(&loop_.result);
        self.bound.truncate(before);
        result
    }
}

fn words<T: ToString>(all: impl Iterator<Item = T>) -> BTreeSet<String> {
    all.map(|one| one.to_string()).collect()
}

/// The names of answers and scores that the rules read, as `answers.x`.
pub fn reads(rules: &[Rule]) -> BTreeSet<String> {
    rules
        .iter()
        .flat_map(|rule| expression::compiled(&rule.expression).paths().to_vec())
        .filter_map(|(root, member)| Some(format!("{root}.{}", member?)))
        .collect()
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::Severity;

    fn schema() -> FormSchema {
        let codes = |codes: &[&str]| codes.iter().map(ToString::to_string).collect();
        FormSchema {
            answers: BTreeMap::from([
                ("smokes".to_owned(), AnswerKind::Boolean),
                ("weight".to_owned(), AnswerKind::Number),
                ("pain".to_owned(), AnswerKind::Scale),
                ("since".to_owned(), AnswerKind::Date),
                ("name".to_owned(), AnswerKind::Text),
                ("pressure".to_owned(), AnswerKind::Choice(codes(&["normal", "high"]))),
                ("scalp".to_owned(), AnswerKind::Choices(codes(&["none", "itch"]))),
                (
                    "operations".to_owned(),
                    AnswerKind::Rows(BTreeMap::from([("year".to_owned(), AnswerKind::Number)])),
                ),
            ]),
            scores: BTreeSet::from(["phq9".to_owned()]),
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

    fn codes_of(expression: &str) -> Vec<String> {
        misfits(&[rule(expression)], &schema()).into_iter().map(|error| error.code).collect()
    }

    #[test]
    fn what_the_form_gives_fits() {
        for expression in [
            "answers.smokes && answers.weight > 80.5",
            "!answers.smokes || answers.pain >= 7",
            r#"has(answers.pressure) && answers.pressure == "high""#,
            r#"answers["pressure"] in ["normal", "high"]"#,
            r#"answers.scalp.exists(s, s != "none") || "itch" in answers.scalp"#,
            r#""smokes" in answers"#,
            r#"answers.since < "2026-01-31""#,
            r#"answers.name.contains("x") && size(answers.name) > 3"#,
            r#"medications.exists(m, m.display.contains("nitro") && m.code in ["1"])"#,
            "scores.phq9 >= 10 && patient.age < 65",
            r#"patient.sex == "female" && patient.state in ["MA", "TX"]"#,
            "double(answers.weight) / 2.0 > 40.0",
            "answers.operations.exists(o, o.year > 2020)",
            "answers.scalp.filter(s, s == \"itch\").size() == 1",
            "medications.all(m, m.system != \"x\") && allergies.exists_one(a, a.code == \"2\")",
            "answers.smokes ? scores.phq9 > 3 : patient.age > 40",
            "size(medications) == 0",
            r#"answers.name + "x" == "yx""#,
            "size(answers.scalp + answers.scalp) > 0",
            "-answers.pain < 3 && -answers.operations.map(o, o.year)[0] < 3",
            "answers.operations.map(o, o.year)[0] > 2000",
            r#"answers.operations.map(o, o.year)[0].contains("20")"#,
            "double(answers.name) > 1.0",
            "double(answers.operations.map(o, o.year)[0]) > 1.0",
            "answers.smokes == true",
            // What is bound in a loop may have the name of a root, which stays one outside.
            "answers.operations.exists(patient, patient.year > 2020) && patient.age > 3",
            "medications.exists(m, m.code == \"1\" && patient.age > 3)",
        ] {
            assert_eq!(codes_of(expression), Vec::<String>::new(), "{expression}");
        }
    }

    #[test]
    fn what_it_does_not_give_or_gives_otherwise_is_refused() {
        for (expression, code) in [
            ("answers.smoke", "unknown_field"),
            ("has(answers.smoke)", "unknown_field"),
            (r#""smoke" in answers"#, "unknown_field"),
            (r#"answers["smoke"]"#, "unknown_field"),
            ("scores.gad7 > 3", "unknown_field"),
            ("patient.weight > 3", "unknown_field"),
            ("answers.operations.exists(o, o.month > 3)", "unknown_field"),
            ("medications.exists(m, m.name == \"x\")", "wrong_type"),
            ("answers.smokes > 3", "wrong_type"),
            ("answers.weight == \"heavy\"", "wrong_type"),
            ("answers.weight", "wrong_type"),
            ("!answers.pain", "wrong_type"),
            ("answers.name && answers.smokes", "wrong_type"),
            (r#"answers.since < "yesterday""#, "wrong_type"),
            (r#"answers.pressure == "low""#, "not_a_choice"),
            (r#"answers.scalp.exists(s, s == "burn")"#, "not_a_choice"),
            (r#""burn" in answers.scalp"#, "not_a_choice"),
            (r#"patient.state == "Ma""#, "not_a_choice"),
            (r#"answers.pressure < "normal""#, "wrong_type"),
            ("answers.weight * 2 > 100", "mixed_numbers"),
            ("size(answers) > 2", "whole_root"),
            ("answers.smokes.exists(s, s)", "wrong_type"),
            ("medications.code == \"1\"", "wrong_type"),
            (r#"answers.pressure in ["normal", "low"]"#, "not_a_choice"),
            ("answers.smokes ? 1 : 2", "wrong_type"),
            ("answers.smokes < true", "wrong_type"),
            ("answers.smokes == 3", "wrong_type"),
            ("answers.name == true", "wrong_type"),
            ("true == answers.name", "wrong_type"),
            ("answers.pain == \"3\"", "wrong_type"),
            ("\"3\" == answers.pain", "wrong_type"),
            ("-answers.name == \"x\"", "wrong_type"),
            ("answers.pain.contains(\"x\")", "wrong_type"),
            ("answers.name.contains(answers.pain)", "wrong_type"),
            ("double(answers.smokes) > 1.0", "wrong_type"),
            ("size(answers.pain) > 3", "wrong_type"),
            ("answers.name - \"x\" == \"y\"", "wrong_type"),
            ("size(answers.scalp - answers.scalp) > 0", "wrong_type"),
            ("answers.pain + answers.name == \"x\"", "wrong_type"),
            ("answers.name + answers.pain == \"x\"", "wrong_type"),
            ("answers.smokes + 1 > 2", "wrong_type"),
            ("1 + answers.smokes > 2", "wrong_type"),
            ("answers.name * 2 > 3", "wrong_type"),
            ("duration(answers.name) > duration(\"1h\")", "unknown_function"),
        ] {
            assert_eq!(codes_of(expression), [code], "{expression}");
        }
    }

    #[test]
    fn a_fault_is_told_in_words_and_once() {
        let told = |expression: &str| -> Vec<String> {
            let faults = misfits(&[rule(expression)], &schema());
            faults.into_iter().map(|error| error.message).collect()
        };
        assert_eq!(told("answers.weight"), ["The rule is a number, not true or false. (r)"]);
        assert_eq!(told("f(1)"), ["A rule cannot use f like this. (r)"]);
        let smoke = "The form does not give answers.smoke. (r)";
        assert_eq!(told("answers.smoke || answers.smoke"), [smoke]);
        let smoked = "The form does not give answers.smoked. (r)";
        assert_eq!(told("answers.smoke || answers.smoked"), [smoke, smoked]);
    }

    #[test]
    fn the_names_that_rules_read_are_known() {
        let rule = rule("answers.smokes && scores.phq9 > 2 && patient.age > 3");
        let names: Vec<String> = reads(&[rule]).into_iter().collect();
        assert_eq!(names, ["answers.smokes", "patient.age", "scores.phq9"]);
    }
}
