//! Tasks: what a provider has to look at, and why.

use chrono::{DateTime, Duration, Utc};
use kernel::{PatientId, ProviderId, TaskId, TextKind as _, UsState, Uuid, Word, text::ChartNote};
use ports::Aggregate;
use serde::{Deserialize, Serialize};

use crate::{CareError, Priority, tasks::Shown};

/// What a task is about.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize, Word)]
#[word("TaskKindWord")]
#[serde(rename_all = "snake_case")]
pub enum TaskKind {
    /// An answer points to danger; the subject is the assessment.
    UrgentReview,
    /// A review, the subject, is not decided in time.
    OverdueReview,
    /// A safety alert stands in the way of a prescription, which is the subject.
    BlockedPrescription,
    /// A prescription, the subject, did not reach the pharmacy.
    FailedPrescription,
    /// A plan, the subject, was changed after it was prescribed, and the
    /// treatment as it is now has no prescription yet.
    ChangedTreatment,
    /// Sex, birth date or state of a patient under treatment are not those that
    /// the assessment, the subject, was decided for.
    ChangedProfile,
    /// A provider's plan, the subject, has no prescription yet.
    UnprescribedTreatment,
    /// A patient under treatment tells of something new: the subject is an
    /// assessment that refuses, or the one that the treatment rests on, where
    /// the record has changed since.
    ChangedHealth,
    /// A plan, the subject, treats with something else than the patient's
    /// subscription pays for.
    UncoveredTreatment,
    /// A step of a titration is used up, and the next one is to be decided on; the
    /// subject is the plan.
    TitrationStep,
    /// A plan, the subject, was a colleague's until now; it is to be looked at and
    /// prescribed in one's own name.
    TakenOver,
    /// A pharmacy holds a prescription, the subject, that has ended or is
    /// stopped, and does not hear of it by itself.
    PhonePharmacy,
    /// A paid fill is held, the subject, until a provider decides.
    HeldFill,
    /// A parcel, the subject, goes back or is lost on its way to the patient.
    AstrayParcel,
}

impl TaskKind {
    /// Those that only a person ends, whatever becomes of the subject.
    pub const BY_HAND: [Self; 1] = [Self::PhonePharmacy];

    /// Those that a change of the patient's health or profile has raised.
    pub const CHANGES: [Self; 2] = [Self::ChangedHealth, Self::ChangedProfile];

    /// The title; it tells nothing of the patient.
    pub fn title(self) -> &'static str {
        match self {
            Self::UrgentReview => "An assessment needs to be seen now",
            Self::OverdueReview => "A review is overdue",
            Self::BlockedPrescription => "A safety alert blocks a prescription",
            Self::FailedPrescription => "A prescription did not reach the pharmacy",
            Self::ChangedTreatment => "A changed treatment has to be prescribed anew",
            Self::ChangedProfile => "A patient under treatment has changed the profile",
            Self::UnprescribedTreatment => "A treatment plan has to be prescribed",
            Self::ChangedHealth => "A patient under treatment tells of something new",
            Self::UncoveredTreatment => "A treatment is not what the patient has bought",
            Self::TitrationStep => "The next step of a titration has to be decided on",
            Self::TakenOver => "A treatment was taken over from a colleague",
            Self::PhonePharmacy => {
                "Phone the pharmacy: a prescription there has ended or is stopped"
            }
            Self::HeldFill => "A paid fill is held and waits for a decision",
            Self::AstrayParcel => "A parcel did not reach the patient",
        }
    }

    pub fn priority(self) -> Priority {
        match self {
            Self::UrgentReview
            | Self::OverdueReview
            | Self::BlockedPrescription
            | Self::ChangedHealth
            | Self::PhonePharmacy
            | Self::HeldFill
            | Self::AstrayParcel => Priority::Urgent,
            Self::FailedPrescription
            | Self::ChangedTreatment
            | Self::ChangedProfile
            | Self::UncoveredTreatment
            | Self::TitrationStep
            | Self::UnprescribedTreatment
            | Self::TakenOver => Priority::Routine,
        }
    }

    /// How far ahead it can be put off at a time.
    pub fn longest_snooze(self) -> Duration {
        match self.priority() {
            Priority::Urgent => Duration::hours(1),
            Priority::Routine => Duration::days(7),
        }
    }
}

#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize, Word)]
#[serde(rename_all = "snake_case")]
pub enum TaskStatus {
    Open,
    Done,
}

/// How a task came to its end.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct TaskEnding {
    pub at: DateTime<Utc>,
    /// `None` where what it was about has settled by itself.
    pub by: Option<ProviderId>,
    /// What was done, in the provider's own words.
    pub note: Option<String>,
}

#[derive(Clone, Debug, PartialEq, Eq, Aggregate)]
#[aggregate("task", patient)]
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
    pub created_at: DateTime<Utc>,
    pub due_at: DateTime<Utc>,
    /// It does not show before.
    pub snoozed_until: Option<DateTime<Utc>>,
    /// `None` while it is open.
    pub ended: Option<TaskEnding>,
    pub version: i64,
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
            created_at: now,
            due_at: now + kind.priority().service_level(),
            snoozed_until: None,
            ended: None,
            version: 1,
        }
    }

    pub fn status(&self) -> TaskStatus {
        if self.ended.is_some() { TaskStatus::Done } else { TaskStatus::Open }
    }

    pub fn is_snoozed(&self, now: DateTime<Utc>) -> bool {
        self.ended.is_none() && self.snoozed_until.is_some_and(|until| now < until)
    }

    /// Which of the lists it stands in.
    pub fn shown(&self, now: DateTime<Utc>) -> Shown {
        match self.ended {
            Some(_) => Shown::Done,
            None if self.is_snoozed(now) => Shown::Snoozed,
            None => Shown::Open,
        }
    }

    fn still_open(&self) -> Result<(), CareError> {
        if self.ended.is_none() { Ok(()) } else { Err(CareError::TaskDone) }
    }

    /// The provider has done it. Where an answer pointed to danger, or a pharmacy
    /// was to be phoned, what was done has to be said.
    pub fn complete(
        &mut self,
        by: ProviderId,
        note: Option<&str>,
        now: DateTime<Utc>,
    ) -> Result<(), CareError> {
        self.still_open()?;
        let note = ChartNote::take_optional("note", note)?;
        let asked = match self.kind {
            TaskKind::UrgentReview => {
                Some("Say what was done about the answer that points to danger.")
            }
            TaskKind::PhonePharmacy => Some("Say who was spoken to at the pharmacy, and when."),
            TaskKind::AstrayParcel => {
                Some("Say what happened to the parcel and what you told the patient.")
            }
            TaskKind::HeldFill => Some("Say what becomes of the fill; releasing it ends the task."),
            _ => None,
        };
        if let Some(message) = asked.filter(|_| note.is_none()) {
            return Err(CareError::field("note", "required", message));
        }
        self.snoozed_until = None;
        self.ended = Some(TaskEnding { at: now, by: Some(by), note });
        Ok(())
    }

    /// Puts it off. When it is due stays as it is, so that an overdue one is
    /// not made less so.
    pub fn snooze(&mut self, until: DateTime<Utc>, now: DateTime<Utc>) -> Result<(), CareError> {
        self.still_open()?;
        let longest = self.kind.longest_snooze();
        if until <= now || until > now + longest {
            let message =
                format!("In the future, and at most {} hours ahead.", longest.num_hours());
            return Err(CareError::field("snoozed_until", "out_of_range", message));
        }
        self.snoozed_until = Some(until);
        Ok(())
    }

    /// It shows again.
    pub fn wake(&mut self) -> Result<(), CareError> {
        self.still_open()?;
        self.snoozed_until = None;
        Ok(())
    }

    /// It is somebody else's from now on, and shows to them at once.
    pub fn hand_over(&mut self, to: ProviderId) -> Result<(), CareError> {
        self.wake()?;
        self.provider = Some(to);
        Ok(())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn at(minute: i64) -> DateTime<Utc> {
        DateTime::UNIX_EPOCH + Duration::minutes(minute)
    }

    const DOCTOR: ProviderId = ProviderId(Uuid::from_u128(1));

    fn task(kind: TaskKind) -> Task {
        let about = (PatientId(Uuid::from_u128(2)), Uuid::from_u128(3));
        let who = (Some(DOCTOR), Some(UsState::Ma));
        Task::open(TaskId(Uuid::from_u128(4)), kind, who, about, at(0))
    }

    #[test]
    fn danger_is_not_ticked_off_without_a_word() {
        let mut danger = task(TaskKind::UrgentReview);
        for silent in [None, Some("  ")] {
            assert!(danger.complete(DOCTOR, silent, at(5)).is_err());
        }
        danger.complete(DOCTOR, Some(" Called; safe at home. "), at(5)).unwrap();
        let ended = danger.ended.as_ref().unwrap();
        assert_eq!(ended.note.as_deref(), Some("Called; safe at home."));
        assert_eq!(danger.status(), TaskStatus::Done);
        let long = "x".repeat(4001);
        let mut failed = task(TaskKind::FailedPrescription);
        assert!(failed.complete(DOCTOR, Some(&long), at(5)).is_err());
        assert!(failed.complete(DOCTOR, None, at(5)).is_ok());
    }

    #[test]
    fn what_is_done_stays_done() {
        let mut done = task(TaskKind::FailedPrescription);
        done.complete(DOCTOR, None, at(5)).unwrap();
        let other = ProviderId(Uuid::from_u128(9));
        for again in [
            done.complete(DOCTOR, None, at(6)),
            done.snooze(at(60), at(6)),
            done.wake(),
            done.hand_over(other),
        ] {
            assert!(matches!(again, Err(CareError::TaskDone)), "{again:?}");
        }
    }

    #[test]
    fn an_urgent_task_is_put_off_for_an_hour_at_most_and_stays_as_due_as_it_was() {
        let mut urgent = task(TaskKind::BlockedPrescription);
        let due_at = urgent.due_at;
        urgent.snooze(at(60), at(0)).unwrap();
        assert_eq!(urgent.due_at, due_at);
        for bad in [at(61), at(0), at(-5)] {
            assert!(urgent.snooze(bad, at(0)).is_err(), "{bad}");
        }
        assert!(urgent.is_snoozed(at(59)) && !urgent.is_snoozed(at(60)));
        let mut routine = task(TaskKind::FailedPrescription);
        assert!(routine.snooze(at(7 * 24 * 60), at(0)).is_ok());
        assert!(routine.snooze(at(7 * 24 * 60 + 1), at(0)).is_err());
        let other = ProviderId(Uuid::from_u128(9));
        urgent.hand_over(other).unwrap();
        assert_eq!((urgent.provider, urgent.is_snoozed(at(1))), (Some(other), false));
    }
}
