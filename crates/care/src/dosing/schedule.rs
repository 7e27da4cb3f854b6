//! Titration: a dose that rises, or falls, step by step.

use chrono::{Days, NaiveDate};
use kernel::FieldError;
use serde::{Deserialize, Serialize};

use super::is_close;

#[derive(Clone, Copy, Debug, PartialEq, Serialize, Deserialize)]
pub struct TitrationStep {
    /// In the unit of the treatment's dose.
    pub dose: f64,
    /// The last step has none: it goes on as long as the treatment.
    pub days: Option<u32>,
}

/// Steps that follow each other from a day on.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct Titration {
    pub starts_on: NaiveDate,
    pub steps: Vec<TitrationStep>,
}

/// The dose that holds on a day.
#[derive(Clone, Debug, PartialEq)]
pub struct DoseOn {
    /// Counted from 0; `None` where the dose does not change.
    pub step: Option<usize>,
    pub dose: f64,
    pub from: Option<NaiveDate>,
    /// The last day of the step.
    pub until: Option<NaiveDate>,
}

impl Titration {
    const STEPS: usize = 20;

    /// The step that holds on a day; `None` before the first.
    pub fn on(&self, day: NaiveDate) -> Option<DoseOn> {
        if day < self.starts_on {
            return None;
        }
        let mut from = self.starts_on;
        for (index, step) in self.steps.iter().enumerate() {
            let next = step.days.and_then(|days| from.checked_add_days(Days::new(days.into())));
            if next.is_none_or(|next| day < next) {
                return Some(DoseOn {
                    step: Some(index),
                    dose: step.dose,
                    from: Some(from),
                    until: next.and_then(|next| next.pred_opt()),
                });
            }
            from = next?;
        }
        None
    }

    /// Checks the shape; the doses are held against the drug's maximum like
    /// any other. Paths begin with `prefix`.
    pub(crate) fn validate(&self, first: f64, prefix: &str, errors: &mut Vec<FieldError>) {
        let mut refuse = |path: String, code: &str, message: &str| {
            errors.push(FieldError::new(format!("{prefix}.{path}"), code, message));
        };
        if !(2..=Self::STEPS).contains(&self.steps.len()) {
            refuse("steps".into(), "out_of_range", "Between 2 and 20 steps.");
        }
        let last = self.steps.len().saturating_sub(1);
        for (index, step) in self.steps.iter().enumerate() {
            if !(step.dose.is_finite() && step.dose > 0.0) {
                refuse(format!("steps[{index}].dose"), "out_of_range", "More than nothing.");
            }
            let path = format!("steps[{index}].days");
            match step.days {
                None if index != last => refuse(path, "required", "Only the last step goes on."),
                Some(_) if index == last => refuse(path, "not_allowed", "The last step goes on."),
                Some(days) if !(1..=365).contains(&days) => {
                    refuse(path, "out_of_range", "Between 1 and 365 days.");
                }
                _ => {}
            }
        }
        if self.steps.first().is_some_and(|step| !is_close(step.dose, first)) {
            refuse("steps[0].dose".into(), "mismatch", "It begins with the treatment's dose.");
        }
    }
}
