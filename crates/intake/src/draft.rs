//! Drafts: answers that are still being written.

use std::collections::BTreeSet;

use chrono::{DateTime, Utc};
use kernel::{CategoryId, DraftId, FieldError, FormVersionId, PatientId};
use ports::Aggregate;

use crate::{IntakeError, RawAnswers};

/// The one open draft of a patient in a category. It keeps what was written,
/// answers of items that are disabled just now included, so that going back
/// and forth loses nothing; only the submission drops them.
#[derive(Clone, Debug, PartialEq, Aggregate)]
#[aggregate("form_draft", patient)]
pub struct Draft {
    pub id: DraftId,
    pub patient: PatientId,
    pub category: CategoryId,
    /// The version that it answers, even when a later one is published.
    pub form_version: FormVersionId,
    pub answers: RawAnswers,
    pub version: i64,
    pub updated_at: DateTime<Utc>,
}

impl Draft {
    /// What a save hears that came from another version than this one: which
    /// of its answers differ from those that stand here.
    pub fn lost(&self, answers: &RawAnswers) -> IntakeError {
        let names: BTreeSet<&String> = self.answers.keys().chain(answers.keys()).collect();
        let fields = names
            .into_iter()
            .filter(|name| self.answers.get(*name) != answers.get(*name))
            .map(|name| {
                FieldError::new(
                    format!("answers.{name}"),
                    "changed_elsewhere",
                    "The draft has another answer by now.",
                )
            })
            .collect();
        IntakeError::DraftChanged { current: Some(self.version), fields }
    }

    /// Replaces the answers, if `seen` is the version that it has.
    pub fn revise(
        &mut self,
        seen: i64,
        answers: RawAnswers,
        now: DateTime<Utc>,
    ) -> Result<(), IntakeError> {
        if self.version != seen {
            return Err(self.lost(&answers));
        }
        (self.answers, self.updated_at) = (answers, now);
        Ok(())
    }
}
