//! Drafts: answers that are still being written.

use chrono::{DateTime, Utc};
use kernel::{CategoryId, DraftId, FormVersionId, PatientId};

use crate::{IntakeError, RawAnswers};

/// The one open draft of a patient in a category. It keeps what was written,
/// answers of items that are disabled just now included, so that going back
/// and forth loses nothing; only the submission drops them.
#[derive(Clone, Debug, PartialEq)]
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
    /// The draft with other answers, if `seen` is the version that it has.
    pub fn revise(
        self,
        seen: i64,
        answers: RawAnswers,
        now: DateTime<Utc>,
    ) -> Result<Self, IntakeError> {
        if self.version != seen {
            return Err(IntakeError::DraftChanged);
        }
        Ok(Self { answers, version: self.version + 1, updated_at: now, ..self })
    }
}
