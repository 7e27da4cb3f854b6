//! Calculated items: scores of instruments with published cut-offs, and the
//! body-mass index.

use serde::{Deserialize, Serialize};

use crate::{Answer, Item, ItemKind, Quantity, units::convert};

#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(tag = "method", rename_all = "snake_case", deny_unknown_fields)]
pub enum Calculation {
    /// The sum of the scores of what was chosen. There is none while any item
    /// of it is unanswered: a partial sum would understate the severity.
    Sum { of: Vec<String>, bands: Vec<Band> },
    /// Weight in kilograms over the square of the height in metres, to one
    /// decimal.
    BodyMassIndex { height: String, weight: String, bands: Vec<Band> },
}

/// A range of a score that has a name, from `from` up to the next band.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Band {
    pub from: f64,
    pub code: String,
    pub label: String,
}

#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct Score {
    pub value: f64,
    pub band: Option<Band>,
}

impl Calculation {
    /// The link ids that it is computed from.
    pub fn inputs(&self) -> Vec<&str> {
        match self {
            Self::Sum { of, .. } => of.iter().map(String::as_str).collect(),
            Self::BodyMassIndex { height, weight, .. } => vec![height, weight],
        }
    }

    pub fn bands(&self) -> &[Band] {
        match self {
            Self::Sum { bands, .. } | Self::BodyMassIndex { bands, .. } => bands,
        }
    }

    /// The score from the answers of its inputs, in the order of `inputs`.
    pub fn score(&self, inputs: &[(&Item, Answer)]) -> Option<Score> {
        if inputs.len() != self.inputs().len() {
            return None;
        }
        let value = match self {
            Self::Sum { .. } => {
                inputs.iter().map(|(item, answer)| points(item, answer)).sum::<Option<f64>>()?
            }
            Self::BodyMassIndex { .. } => {
                let height = measured(&inputs[0].1, "m")?;
                let weight = measured(&inputs[1].1, "kg")?;
                if height <= 0.0 {
                    return None;
                }
                (weight / (height * height) * 10.0).round() / 10.0
            }
        };
        let band = self.bands().iter().rev().find(|band| band.from <= value).cloned();
        Some(Score { value, band })
    }
}

/// What an answer adds to a sum.
fn points(item: &Item, answer: &Answer) -> Option<f64> {
    match (&item.kind, answer) {
        (ItemKind::SingleChoice { options }, Answer::Choice(code)) => {
            options.iter().find(|option| option.code == *code)?.score.map(f64::from)
        }
        (ItemKind::Scale { .. }, Answer::Scale(value)) => Some(*value as f64),
        _ => None,
    }
}

fn measured(answer: &Answer, unit: &str) -> Option<f64> {
    match answer {
        Answer::Number(Quantity { value, unit: Some(given), .. }) => convert(*value, given, unit),
        _ => None,
    }
}
