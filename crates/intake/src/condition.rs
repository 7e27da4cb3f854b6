//! Conditions: when an item is enabled. The operators and their meaning are
//! those of FHIR's `Questionnaire.item.enableWhen`.

use std::cmp::Ordering;

use kernel::{Decimal, Sex, Word};
use serde::{Deserialize, Serialize};
use strum::{Display, EnumString, IntoStaticStr};

use crate::{Answer, Quantity};

#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct EnableWhen {
    #[serde(default)]
    pub behavior: Behavior,
    pub conditions: Vec<Condition>,
}

impl EnableWhen {
    pub fn all(conditions: impl Into<Vec<Condition>>) -> Self {
        Self { behavior: Behavior::All, conditions: conditions.into() }
    }

    pub fn any(conditions: impl Into<Vec<Condition>>) -> Self {
        Self { behavior: Behavior::Any, conditions: conditions.into() }
    }

    pub fn asks_facts(&self) -> bool {
        self.conditions.iter().any(|condition| matches!(condition.subject, Subject::Fact(_)))
    }
}

#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize, Word)]
#[word("FormEnableBehavior")]
#[serde(rename_all = "snake_case")]
pub enum Behavior {
    #[default]
    All,
    Any,
}

#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Condition {
    pub subject: Subject,
    pub operator: Operator,
    pub expected: Expected,
}

/// What a condition looks at.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Subject {
    /// The answer of another item, by its link id.
    Item(String),
    Fact(Fact),
}

/// What the profile says of the patient.
#[derive(
    Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize, Display, EnumString, IntoStaticStr,
)]
pub enum Fact {
    #[serde(rename = "patient.sex")]
    #[strum(serialize = "patient.sex")]
    PatientSex,
    /// In completed years.
    #[serde(rename = "patient.age")]
    #[strum(serialize = "patient.age")]
    PatientAge,
}

/// The facts at the moment of answering. They are kept with the response, so
/// that its evaluation can be repeated.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct Facts {
    pub sex: Option<Sex>,
    pub age: Option<u16>,
}

impl Facts {
    pub fn get(&self, fact: Fact) -> Option<Answer> {
        match fact {
            Fact::PatientSex => self.sex.map(|sex| Answer::Choice(sex.to_string())),
            Fact::PatientAge => self.age.map(|age| Answer::Number(Quantity::bare(age))),
        }
    }

    pub fn are_complete(&self) -> bool {
        self.sex.is_some() && self.age.is_some()
    }
}

#[derive(
    Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize, Display, EnumString, IntoStaticStr,
)]
pub enum Operator {
    #[serde(rename = "exists")]
    #[strum(serialize = "exists")]
    Exists,
    #[serde(rename = "=")]
    #[strum(serialize = "=")]
    Equal,
    #[serde(rename = "!=")]
    #[strum(serialize = "!=")]
    NotEqual,
    #[serde(rename = ">")]
    #[strum(serialize = ">")]
    Greater,
    #[serde(rename = "<")]
    #[strum(serialize = "<")]
    Less,
    #[serde(rename = ">=")]
    #[strum(serialize = ">=")]
    GreaterOrEqual,
    #[serde(rename = "<=")]
    #[strum(serialize = "<=")]
    LessOrEqual,
}

impl Operator {
    /// Whether it needs answers that have an order.
    pub const fn orders(self) -> bool {
        matches!(self, Self::Greater | Self::Less | Self::GreaterOrEqual | Self::LessOrEqual)
    }
}

/// What the answer is compared with: a boolean, a number in the item's first
/// unit, or the words of a text, a choice's code or a date.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(untagged)]
pub enum Expected {
    Boolean(bool),
    Number(Decimal),
    Text(String),
}

impl Condition {
    pub fn item(
        link_id: impl Into<String>,
        operator: Operator,
        expected: impl Into<Expected>,
    ) -> Self {
        Self { subject: Subject::Item(link_id.into()), operator, expected: expected.into() }
    }

    pub fn fact(fact: Fact, operator: Operator, expected: impl Into<Expected>) -> Self {
        Self { subject: Subject::Fact(fact), operator, expected: expected.into() }
    }

    /// Whether the condition holds for an answer, or for there being none. As
    /// FHIR has it, `!=` is true when no answer is equal, and so also when
    /// there is none; the ordering operators need an answer.
    pub fn holds(&self, answer: Option<&Answer>) -> bool {
        match self.operator {
            Operator::Exists => Expected::Boolean(answer.is_some()) == self.expected,
            Operator::Equal => answer.is_some_and(|answer| self.expected.equals(answer)),
            Operator::NotEqual => !answer.is_some_and(|answer| self.expected.equals(answer)),
            Operator::Greater => self.orders(answer, Ordering::is_gt),
            Operator::Less => self.orders(answer, Ordering::is_lt),
            Operator::GreaterOrEqual => self.orders(answer, Ordering::is_ge),
            Operator::LessOrEqual => self.orders(answer, Ordering::is_le),
        }
    }

    fn orders(&self, answer: Option<&Answer>, wanted: fn(Ordering) -> bool) -> bool {
        answer.and_then(|answer| self.expected.order_of(answer)).is_some_and(wanted)
    }
}

impl Expected {
    /// Whether any of the answer's values is the expected one.
    fn equals(&self, answer: &Answer) -> bool {
        match (answer, self) {
            (Answer::Boolean(given), Self::Boolean(wanted)) => given == wanted,
            (Answer::Text(given) | Answer::Choice(given), Self::Text(wanted)) => given == wanted,
            (Answer::Texts(given), Self::Text(wanted)) => given.contains(wanted),
            (Answer::Choices(given), Self::Text(wanted)) => given.contains(wanted),
            _ => self.order_of(answer) == Some(Ordering::Equal),
        }
    }

    /// How the answer stands to what is expected, where the two have an order.
    fn order_of(&self, answer: &Answer) -> Option<Ordering> {
        match (answer, self) {
            (Answer::Number(given), Self::Number(wanted)) => Some(given.in_first_unit.cmp(wanted)),
            (Answer::Scale(given), Self::Number(wanted)) => Some(Decimal::from(*given).cmp(wanted)),
            (Answer::Date(given), Self::Text(wanted)) => {
                wanted.parse().ok().map(|wanted| given.cmp(&wanted))
            }
            _ => None,
        }
    }
}

impl From<bool> for Expected {
    fn from(value: bool) -> Self {
        Self::Boolean(value)
    }
}

impl From<f64> for Expected {
    fn from(value: f64) -> Self {
        Self::Number(value.into())
    }
}

impl From<Decimal> for Expected {
    fn from(value: Decimal) -> Self {
        Self::Number(value)
    }
}

impl From<&str> for Expected {
    fn from(value: &str) -> Self {
        Self::Text(value.to_owned())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn without_an_answer_only_not_equal_and_not_exists_hold() {
        for (operator, expected, holds) in [
            (Operator::Exists, Expected::Boolean(true), false),
            (Operator::Exists, Expected::Boolean(false), true),
            (Operator::Equal, Expected::from(1.0), false),
            (Operator::NotEqual, Expected::from(1.0), true),
            (Operator::Greater, Expected::from(1.0), false),
            (Operator::LessOrEqual, Expected::from(1.0), false),
        ] {
            assert_eq!(Condition::item("a", operator, expected).holds(None), holds, "{operator}");
        }
    }

    #[test]
    fn one_of_several_choices_is_enough_for_equal_and_spoils_not_equal() {
        let given = Answer::Choices(["a".to_owned(), "b".to_owned()].into());
        assert!(Condition::item("q", Operator::Equal, "b").holds(Some(&given)));
        assert!(!Condition::item("q", Operator::NotEqual, "b").holds(Some(&given)));
        assert!(Condition::item("q", Operator::NotEqual, "c").holds(Some(&given)));
    }

    #[test]
    fn dates_and_numbers_have_an_order_and_texts_have_none() {
        let date = Answer::Date("2024-02-29".parse().unwrap());
        assert!(Condition::item("q", Operator::Less, "2024-03-01").holds(Some(&date)));
        assert!(Condition::item("q", Operator::Equal, "2024-02-29").holds(Some(&date)));
        let text = Answer::Text("b".into());
        assert!(!Condition::item("q", Operator::Greater, "a").holds(Some(&text)));
    }
}
