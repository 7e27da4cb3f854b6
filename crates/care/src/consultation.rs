//! A video consultation: a slot in which patient and provider meet.

use chrono::{DateTime, Duration, Timelike, Utc};
use kernel::{
    CategoryId, ConsultationId, PatientId, Permission, ProviderId, TextKind as _, UsState, Word,
    text::ConsultationNotes,
};
use ports::Aggregate;
use serde::{Deserialize, Serialize};

use crate::{CareError, TokenRole};

/// Where a consultation stands.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize, Word)]
#[word("ConsultationWord")]
#[serde(rename_all = "snake_case")]
pub enum ConsultationStatus {
    Scheduled,
    /// Somebody has connected.
    InProgress,
    /// The provider has closed it.
    Completed,
    /// One of the two has called it off.
    Canceled,
}

impl ConsultationStatus {
    /// Whether nobody meets in it any more.
    pub fn is_over(self) -> bool {
        matches!(self, Self::Completed | Self::Canceled)
    }
}

/// The two who take part.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize, Word)]
#[word("ParticipantWord")]
#[serde(rename_all = "snake_case")]
pub enum Participant {
    Patient,
    Provider,
}

impl Participant {
    /// The provider may also mute and disconnect.
    pub fn token_role(self) -> TokenRole {
        match self {
            Self::Patient => TokenRole::Publisher,
            Self::Provider => TokenRole::Moderator,
        }
    }

    /// What taking part asks for.
    pub fn permission(self) -> Permission {
        match self {
            Self::Patient => Permission::ConsultationOwn,
            Self::Provider => Permission::ConsultationConduct,
        }
    }
}

#[derive(Clone, Debug, PartialEq, Aggregate)]
#[aggregate("consultation", patient)]
pub struct Consultation {
    pub id: ConsultationId,
    pub patient: PatientId,
    pub provider: ProviderId,
    pub category: Option<CategoryId>,
    /// Where the patient was when it was booked.
    pub state: UsState,
    pub starts_at: DateTime<Utc>,
    pub status: ConsultationStatus,
    /// When somebody first connected.
    pub began_at: Option<DateTime<Utc>>,
    /// When the provider closed it.
    pub ended_at: Option<DateTime<Utc>>,
    /// The vendor's session, once it is made.
    pub room: Option<String>,
    /// The provider's notes, for the chart.
    pub notes: Option<String>,
    pub version: i64,
}

impl Consultation {
    /// A slot, and the grid on which slots begin.
    pub const SLOT: Duration = Duration::minutes(15);
    /// How long before the start one can join.
    pub const EARLY: Duration = Duration::minutes(15);
    /// How long after the slot the meeting may still run.
    pub const OVERRUN: Duration = Duration::minutes(30);
    /// How many booked meetings a patient may have ahead, so that nobody takes
    /// all the slots.
    pub const MOST_AHEAD: u64 = 3;
    const FARTHEST: Duration = Duration::days(90);

    /// Whether a meeting can begin then.
    pub fn check_slot(starts_at: DateTime<Utc>, now: DateTime<Utc>) -> Result<(), CareError> {
        let on_grid = starts_at.minute().is_multiple_of(15)
            && starts_at.second() == 0
            && starts_at.nanosecond() == 0;
        let refuse = |code, message| Err(CareError::field("starts_at", code, message));
        if !on_grid {
            refuse("not_a_slot", "Slots begin at every quarter of an hour.")
        } else if starts_at <= now {
            refuse("in_the_past", "The slot has begun already.")
        } else if starts_at > now + Self::FARTHEST {
            refuse("too_far", "Slots can be booked up to 90 days ahead.")
        } else {
            Ok(())
        }
    }

    pub fn ends_at(&self) -> DateTime<Utc> {
        self.starts_at + Self::SLOT
    }

    /// From when one can join.
    pub fn opens_at(&self) -> DateTime<Utc> {
        self.starts_at - Self::EARLY
    }

    /// When the tokens of the meeting end.
    pub fn closes_at(&self) -> DateTime<Utc> {
        self.ends_at() + Self::OVERRUN
    }

    pub fn check_open(&self, now: DateTime<Utc>) -> Result<(), CareError> {
        if self.status.is_over() {
            Err(CareError::ConsultationClosed)
        } else if now < self.opens_at() || now >= self.closes_at() {
            Err(CareError::MeetingNotOpen)
        } else {
            Ok(())
        }
    }

    /// Whether a room is still to be made for it.
    pub fn lacks_room(&self) -> bool {
        self.room.is_none() && !self.status.is_over()
    }

    /// Keeps the first room that was made for it; a second one, made by a job
    /// that ran twice, stays unused.
    pub fn take_room(&mut self, room: String) {
        if self.lacks_room() {
            self.room = Some(room);
        }
    }

    /// Somebody connected. It changes nothing where the vendor tells it twice or
    /// late.
    pub fn connect(&mut self, now: DateTime<Utc>) {
        if self.status == ConsultationStatus::Scheduled {
            self.status = ConsultationStatus::InProgress;
            self.began_at = Some(now);
        }
    }

    /// Calls the meeting off, once. One that has begun, or of which there are
    /// notes, is not called off any more.
    pub fn cancel(&mut self, now: DateTime<Utc>) -> Result<(), CareError> {
        match self.status {
            ConsultationStatus::Scheduled if now < self.starts_at && self.notes.is_none() => {
                self.status = ConsultationStatus::Canceled;
                Ok(())
            }
            ConsultationStatus::Canceled => Ok(()),
            _ => Err(CareError::ConsultationBegun),
        }
    }

    /// Whether provider and patient met in it, for that category or for none in
    /// particular.
    pub fn was_held_for(&self, category: CategoryId) -> bool {
        let held =
            matches!(self.status, ConsultationStatus::InProgress | ConsultationStatus::Completed);
        held && self.category.is_none_or(|own| own == category)
    }

    /// Writes the notes, and closes the consultation if the provider is done,
    /// which nobody is before one could meet. Notes can still be corrected once
    /// it is closed.
    pub fn write_notes(
        &mut self,
        notes: &str,
        complete: bool,
        now: DateTime<Utc>,
    ) -> Result<(), CareError> {
        if self.status == ConsultationStatus::Canceled {
            return Err(CareError::ConsultationClosed);
        }
        if complete && !self.status.is_over() && now < self.opens_at() {
            return Err(CareError::ConsultationAhead);
        }
        self.notes = Some(ConsultationNotes::take("notes", notes)?);
        if complete && self.status != ConsultationStatus::Completed {
            self.status = ConsultationStatus::Completed;
            self.ended_at = Some(now);
        }
        Ok(())
    }
}

#[cfg(test)]
mod tests {
    use chrono::TimeZone;
    use kernel::Uuid;

    use super::*;

    fn noon(minute: u32) -> DateTime<Utc> {
        Utc.with_ymd_and_hms(2026, 3, 2, 12, minute, 0).unwrap()
    }

    fn scheduled() -> Consultation {
        Consultation {
            id: ConsultationId(Uuid::from_u128(1)),
            patient: PatientId(Uuid::from_u128(2)),
            provider: ProviderId(Uuid::from_u128(3)),
            category: None,
            state: UsState::Tx,
            starts_at: noon(30),
            status: ConsultationStatus::Scheduled,
            began_at: None,
            ended_at: None,
            room: None,
            notes: None,
            version: 1,
        }
    }

    fn after(change: impl FnOnce(&mut Consultation)) -> Consultation {
        let mut consultation = scheduled();
        change(&mut consultation);
        consultation
    }

    #[test]
    fn a_slot_is_on_the_grid_and_ahead() {
        assert!(Consultation::check_slot(noon(15), noon(10)).is_ok());
        for bad in
            [noon(16), noon(0), noon(15) + Duration::seconds(1), noon(15) + Duration::days(91)]
        {
            assert!(Consultation::check_slot(bad, noon(10)).is_err(), "{bad}");
        }
    }

    #[test]
    fn one_can_join_from_a_slot_before_until_the_overrun_ends() {
        let open = |now| scheduled().check_open(now).is_ok();
        assert!(!open(noon(14)));
        assert!(open(noon(15)));
        assert!(open(noon(59)));
        assert!(!open(scheduled().closes_at()));
    }

    #[test]
    fn what_has_not_begun_is_called_off_and_stays_so() {
        let canceled = after(|meeting| meeting.cancel(noon(29)).unwrap());
        assert_eq!(canceled.status, ConsultationStatus::Canceled);
        let mut late = canceled.clone();
        late.cancel(noon(31)).unwrap();
        late.connect(noon(30));
        late.take_room("one".into());
        assert!(matches!(late.check_open(noon(31)), Err(CareError::ConsultationClosed)));
        assert!(late.write_notes("Did not come.", true, noon(31)).is_err());
        assert_eq!(late, canceled);
        let running = after(|meeting| meeting.connect(noon(30)));
        let noted = after(|meeting| meeting.write_notes("By telephone.", false, noon(0)).unwrap());
        for (mut begun, at) in [(running, 10), (scheduled(), 30), (noted, 10)] {
            assert!(matches!(begun.cancel(noon(at)), Err(CareError::ConsultationBegun)));
        }
    }

    #[test]
    fn a_visit_counts_once_it_was_held_and_in_its_own_category() {
        let category = |number| CategoryId(kernel::Uuid::from_u128(number));
        let held = after(|meeting| meeting.connect(noon(30)));
        let done = after(|meeting| meeting.write_notes("Seen.", true, noon(31)).unwrap());
        let canceled = after(|meeting| meeting.cancel(noon(0)).unwrap());
        for (visit, counts) in [(scheduled(), false), (canceled, false), (held, true), (done, true)]
        {
            let of = |own| Consultation { category: own, ..visit.clone() };
            assert_eq!(of(None).was_held_for(category(1)), counts, "{}", visit.status);
            assert_eq!(of(Some(category(1))).was_held_for(category(1)), counts);
            assert!(!of(Some(category(2))).was_held_for(category(1)));
        }
    }

    #[test]
    fn what_lies_ahead_is_prepared_and_not_completed() {
        let mut meeting = scheduled();
        let early = meeting.write_notes("Seen.", true, noon(14)).unwrap_err();
        assert!(matches!(early, CareError::ConsultationAhead), "{early:?}");
        meeting.write_notes("Ask for the dose.", false, noon(14)).unwrap();
        assert_eq!(meeting.status, ConsultationStatus::Scheduled);
        meeting.write_notes("Seen.", true, noon(15)).unwrap();
        assert_eq!(meeting.status, ConsultationStatus::Completed);
        // What is closed is corrected whenever it was closed.
        assert!(meeting.write_notes("Seen, well.", true, noon(14)).is_ok());
    }

    #[test]
    fn the_first_room_stays_and_a_late_connection_does_not_reopen() {
        let mut meeting = scheduled();
        for room in ["one", "two"] {
            meeting.take_room(room.into());
            assert_eq!(meeting.room.as_deref(), Some("one"));
        }
        meeting.connect(noon(29));
        meeting.connect(noon(30));
        assert_eq!(meeting.status, ConsultationStatus::InProgress);
        meeting.write_notes("Seen and advised.", true, noon(31)).unwrap();
        meeting.connect(noon(32));
        assert_eq!((meeting.began_at, meeting.ended_at), (Some(noon(29)), Some(noon(31))));
        meeting.write_notes("Seen.", true, noon(40)).unwrap();
        assert_eq!(meeting.ended_at, Some(noon(31)), "it was over then");
        assert!(matches!(meeting.check_open(noon(31)), Err(CareError::ConsultationClosed)));
    }
}
