//! Tasks: what a provider has to look at, and why.

use chrono::{DateTime, Utc};
use kernel::{PatientId, ProviderId, TaskId, UsState, Uuid};
use serde::{Deserialize, Serialize};
use strum::{Display, EnumString, IntoStaticStr};

use crate::Priority;

#[derive(
    Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize, Display, EnumString, IntoStaticStr,
)]
#[serde(rename_all = "snake_case")]
#[strum(serialize_all = "snake_case")]
pub enum TaskKind {
    /// An answer points to danger; the subject is the assessment.
    UrgentReview,
    /// A review, the subject, is not decided in time.
    OverdueReview,
    /// A safety alert stands in the way of a prescription, which is the subject.
    BlockedPrescription,
    /// A prescription, the subject, did not reach the pharmacy.
    FailedPrescription,
}

impl TaskKind {
    /// The title; it tells nothing of the patient.
    pub fn title(self) -> &'static str {
        match self {
            Self::UrgentReview => "An assessment needs to be seen now",
            Self::OverdueReview => "A review is overdue",
            Self::BlockedPrescription => "A safety alert blocks a prescription",
            Self::FailedPrescription => "A prescription did not reach the pharmacy",
        }
    }

    pub fn priority(self) -> Priority {
        match self {
            Self::UrgentReview | Self::OverdueReview | Self::BlockedPrescription => {
                Priority::Urgent
            }
            Self::FailedPrescription => Priority::Routine,
        }
    }
}

#[derive(
    Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize, Display, EnumString, IntoStaticStr,
)]
#[serde(rename_all = "snake_case")]
#[strum(serialize_all = "snake_case")]
pub enum TaskStatus {
    Open,
    Done,
}

#[derive(Clone, Debug, PartialEq)]
pub struct Task {
    pub id: TaskId,
    pub kind: TaskKind,
    /// Whose task it is; `None` while nobody licensed was there to take it.
    pub provider: Option<ProviderId>,
    pub patient: PatientId,
    /// Who may see a task without a provider: those licensed here.
    pub state: Option<UsState>,
    /// What it is about; its kind of thing follows from the task's kind.
    pub subject: Uuid,
    pub status: TaskStatus,
    pub created_at: DateTime<Utc>,
    pub due_at: DateTime<Utc>,
}

impl Task {
    pub fn open(
        id: TaskId,
        kind: TaskKind,
        (provider, state): (Option<ProviderId>, Option<UsState>),
        (patient, subject): (PatientId, Uuid),
        now: DateTime<Utc>,
    ) -> Self {
        Self {
            id,
            kind,
            provider,
            patient,
            state,
            subject,
            status: TaskStatus::Open,
            created_at: now,
            due_at: now + kind.priority().service_level(),
        }
    }
}
