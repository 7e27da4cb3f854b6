//! Calculated items: scores of instruments with published cut-offs, and the
//! body-mass index.

use kernel::Decimal;
use serde::{Deserialize, Serialize};

use crate::{
    Answer, Facts, Item, ItemKind, Quantity, instruments,
    risk::{Cohort, RiskFactors, ten_year_risk},
    units::convert,
};

#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(tag = "method", rename_all = "snake_case", deny_unknown_fields)]
pub enum Calculation {
    /// The sum of the scores of what was chosen. There is none while any item
    /// of it is unanswered: a partial sum would understate the severity.
    Sum { of: Vec<String>, bands: Vec<Band> },
    /// Weight in kilograms over the square of the height in metres, to one
    /// decimal.
    BodyMassIndex { height: String, weight: String, bands: Vec<Band> },
    /// The sum of the three questions of the AUDIT-C, with the published
    /// cut-offs: 4 for men, and 3 for everybody else.
    AuditC { of: [String; 3] },
    /// The ten-year risk of a cardiovascular event by the pooled cohort
    /// equations, in per cent. Age and sex are the profile's.
    Ascvd(AscvdInputs),
}

/// The link ids that the pooled cohort equations are computed from.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct AscvdInputs {
    /// A single choice; `african_american` chooses that cohort, and anything
    /// else the other, as the guideline has it.
    pub race: String,
    /// Numbers in mg/dL.
    pub total_cholesterol: String,
    pub hdl_cholesterol: String,
    /// A number in mm[Hg].
    pub systolic_pressure: String,
    /// Booleans.
    pub treated_hypertension: String,
    pub diabetes: String,
    pub smoker: String,
}

/// A range of a score that has a name, from `from` up to the next band.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Band {
    pub from: Decimal,
    pub code: String,
    pub label: String,
}

#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct Score {
    pub value: Decimal,
    pub band: Option<Band>,
}

impl Calculation {
    /// The link ids that it is computed from.
    pub fn inputs(&self) -> Vec<&str> {
        match self {
            Self::Sum { of, .. } => of.iter().map(String::as_str).collect(),
            Self::BodyMassIndex { height, weight, .. } => vec![height, weight],
            Self::AuditC { of } => of.iter().map(String::as_str).collect(),
            Self::Ascvd(inputs) => vec![
                &inputs.race,
                &inputs.total_cholesterol,
                &inputs.hdl_cholesterol,
                &inputs.systolic_pressure,
                &inputs.treated_hypertension,
                &inputs.diabetes,
                &inputs.smoker,
            ],
        }
    }

    /// The ranges that the form itself gives a name; those of the other
    /// instruments are published with them.
    pub fn bands(&self) -> &[Band] {
        match self {
            Self::Sum { bands, .. } | Self::BodyMassIndex { bands, .. } => bands,
            Self::AuditC { .. } | Self::Ascvd(_) => &[],
        }
    }

    /// Whether it needs what the profile says.
    pub fn asks_facts(&self) -> bool {
        matches!(self, Self::AuditC { .. } | Self::Ascvd(_))
    }

    /// The score from the answers of its inputs, in the order of `inputs`.
    pub fn score(&self, inputs: &[(&Item, Answer)], facts: &Facts) -> Option<Score> {
        if inputs.len() != self.inputs().len() {
            return None;
        }
        let value = match self {
            Self::Sum { .. } | Self::AuditC { .. } => {
                inputs.iter().try_fold(Decimal::ZERO, |total, (item, answer)| {
                    total.checked_add(points(item, answer)?)
                })?
            }
            Self::BodyMassIndex { .. } => {
                let height = measured(&inputs[0].1, "m")?;
                let weight = measured(&inputs[1].1, "kg")?;
                if height <= Decimal::ZERO {
                    return None;
                }
                weight.checked_div(height.checked_mul(height)?)?.rounded(1)
            }
            Self::Ascvd(_) => {
                let yes = |at: usize| match inputs[at].1 {
                    Answer::Boolean(answer) => Some(answer),
                    _ => None,
                };
                let african_american = Answer::Choice("african_american".to_owned());
                ten_year_risk(&RiskFactors {
                    sex: facts.sex?,
                    age: facts.age?,
                    cohort: if inputs[0].1 == african_american {
                        Cohort::AfricanAmerican
                    } else {
                        Cohort::White
                    },
                    total_cholesterol: inputs[1].1.as_number()?.to_f64(),
                    hdl_cholesterol: inputs[2].1.as_number()?.to_f64(),
                    systolic_pressure: inputs[3].1.as_number()?.to_f64(),
                    treated_hypertension: yes(4)?,
                    diabetes: yes(5)?,
                    smoker: yes(6)?,
                })
                .map(Decimal::from)?
            }
        };
        let published = match self {
            Self::AuditC { .. } => instruments::audit_c(facts.sex),
            Self::Ascvd(_) => instruments::ascvd(),
            Self::Sum { .. } | Self::BodyMassIndex { .. } => Vec::new(),
        };
        let bands = if published.is_empty() { self.bands() } else { &published };
        let band = bands.iter().rev().find(|band| band.from <= value).cloned();
        Some(Score { value, band })
    }
}

/// What an answer adds to a sum.
fn points(item: &Item, answer: &Answer) -> Option<Decimal> {
    match (&item.kind, answer) {
        (ItemKind::SingleChoice { options }, Answer::Choice(code)) => {
            options.iter().find(|option| option.code == *code)?.score.map(Decimal::from)
        }
        (ItemKind::Scale { .. }, Answer::Scale(value)) => Some((*value).into()),
        _ => None,
    }
}

fn measured(answer: &Answer, unit: &str) -> Option<Decimal> {
    match answer {
        Answer::Number(Quantity { value, unit: Some(given), .. }) => convert(*value, given, unit),
        _ => None,
    }
}
