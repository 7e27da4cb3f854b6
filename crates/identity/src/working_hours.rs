//! When a provider works: shifts of the week in the provider's own time zone.

use chrono::{DateTime, TimeDelta, Timelike as _, Utc, Weekday};
use chrono_tz::Tz;
use kernel::FieldError;

use crate::{IdentityError, error::Result};

/// A stretch of one weekday. Work through midnight is two of them.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Shift {
    pub day: Weekday,
    /// In minutes after midnight.
    pub from: u16,
    /// The first minute after it; at most [`Shift::DAY`].
    pub until: u16,
}

impl Shift {
    /// The minutes of a day, by the clock on the wall.
    pub const DAY: u16 = 24 * 60;

    fn place(self) -> (u32, u16) {
        (self.day.num_days_from_monday(), self.from)
    }
}

/// The week of a provider. It names moments by the clock on the wall, so that
/// it means the same before and after daylight time begins.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct WorkingHours {
    zone: Tz,
    /// In the order of the week, without overlaps.
    shifts: Vec<Shift>,
}

/// The week as somebody wrote it down.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct HoursForm {
    /// An IANA name, as in `America/New_York`.
    pub zone: String,
    pub shifts: Vec<ShiftForm>,
}

#[derive(Clone, Debug, PartialEq, Eq)]
pub struct ShiftForm {
    pub day: Weekday,
    /// As in `09:00`.
    pub from: String,
    /// As in `17:00`; `24:00` is the end of the day.
    pub until: String,
}

impl WorkingHours {
    const SHIFTS: usize = 42;

    pub fn new(zone: Tz, shifts: Vec<Shift>) -> Result<Self> {
        let mut errors = Vec::new();
        let mut refuse = |path: String, code: &str, message: &str| {
            errors.push(FieldError::new(format!("working_hours.{path}"), code, message));
        };
        if !(1..=Self::SHIFTS).contains(&shifts.len()) {
            refuse("shifts".into(), "out_of_range", "Between 1 and 42 shifts.");
        }
        for (index, shift) in shifts.iter().enumerate() {
            if shift.from >= shift.until || shift.until > Shift::DAY {
                let message = "A shift ends after it begins, at 24:00 at the latest.";
                refuse(format!("shifts[{index}].until"), "out_of_range", message);
            }
        }
        let mut order: Vec<(usize, Shift)> = shifts.into_iter().enumerate().collect();
        order.sort_by_key(|(_, shift)| shift.place());
        let mut ends: Option<Shift> = None;
        for (index, shift) in &order {
            if ends.is_some_and(|last| last.day == shift.day && shift.from < last.until) {
                let message = "It begins before another shift of the day has ended.";
                refuse(format!("shifts[{index}].from"), "overlap", message);
            }
            // A long shift may reach over several that follow.
            ends = match ends {
                Some(last) if last.day == shift.day && last.until > shift.until => ends,
                _ => Some(*shift),
            };
        }
        if errors.is_empty() {
            Ok(Self { zone, shifts: order.into_iter().map(|(_, shift)| shift).collect() })
        } else {
            Err(IdentityError::Invalid(errors))
        }
    }

    pub fn parse(form: &HoursForm) -> Result<Self> {
        let mut errors = Vec::new();
        let zone = form.zone.parse::<Tz>().ok();
        if zone.is_none() {
            let message = "A time zone of the IANA database, as in America/New_York.";
            errors.push(FieldError::new("working_hours.time_zone", "invalid", message));
        }
        let mut shifts = Vec::with_capacity(form.shifts.len());
        for (index, shift) in form.shifts.iter().enumerate() {
            let mut read = |name: &str, text: &str| {
                let minute = minute(text);
                if minute.is_none() {
                    let path = format!("working_hours.shifts[{index}].{name}");
                    errors.push(FieldError::new(path, "invalid", "A time, as in 09:00."));
                }
                minute
            };
            let (from, until) = (read("from", &shift.from), read("until", &shift.until));
            if let (Some(from), Some(until)) = (from, until) {
                shifts.push(Shift { day: shift.day, from, until });
            }
        }
        match zone {
            Some(zone) if errors.is_empty() => Self::new(zone, shifts),
            _ => Err(IdentityError::Invalid(errors)),
        }
    }

    pub fn zone(&self) -> Tz {
        self.zone
    }

    pub fn shifts(&self) -> &[Shift] {
        &self.shifts
    }

    /// Whether the provider is at work at that moment.
    pub fn cover(&self, at: DateTime<Utc>) -> bool {
        let local = at.with_timezone(&self.zone);
        let minute = local.hour() * 60 + local.minute();
        let today = chrono::Datelike::weekday(&local);
        self.shifts.iter().any(|shift| {
            shift.day == today && (u32::from(shift.from)..u32::from(shift.until)).contains(&minute)
        })
    }

    /// Whether the provider is at work from the one moment until the other,
    /// which is not part of it. Shifts that touch are one.
    pub fn cover_all(&self, from: DateTime<Utc>, until: DateTime<Utc>) -> bool {
        // A shift begins and ends with a whole minute.
        let minutes = (until - from).num_minutes();
        (0..minutes).all(|minute| self.cover(from + TimeDelta::minutes(minute)))
    }
}

/// Reads `09:00`; nothing else is a time.
fn minute(text: &str) -> Option<u16> {
    let (hour, minute) = text.split_once(':')?;
    let digits = |part: &str| part.len() == 2 && part.bytes().all(|byte| byte.is_ascii_digit());
    if !digits(hour) || !digits(minute) {
        return None;
    }
    let (hour, minute): (u16, u16) = (hour.parse().ok()?, minute.parse().ok()?);
    let total = hour * 60 + minute;
    (minute < 60 && total <= Shift::DAY).then_some(total)
}

/// The inverse of [`minute`].
pub fn clock(minute: u16) -> String {
    format!("{:02}:{:02}", minute / 60, minute % 60)
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    fn shift(day: Weekday, from: &str, until: &str) -> ShiftForm {
        ShiftForm { day, from: from.into(), until: until.into() }
    }

    fn week(shifts: Vec<ShiftForm>) -> Result<WorkingHours> {
        WorkingHours::parse(&HoursForm { zone: "America/New_York".into(), shifts })
    }

    fn faults(found: Result<WorkingHours>) -> Vec<(String, String)> {
        let Err(IdentityError::Invalid(errors)) = found else { panic!("the hours are refused") };
        errors.into_iter().map(|error| (error.path, error.code)).collect()
    }

    fn at(text: &str) -> DateTime<Utc> {
        text.parse().unwrap()
    }

    #[test]
    fn a_shift_holds_by_the_clock_on_the_wall_before_and_after_daylight_time() {
        let hours = week(vec![shift(Weekday::Fri, "09:00", "17:00")]).unwrap();
        // Friday 6 March 2026 is five hours behind Greenwich, the 13th four.
        for (open, early) in [
            ("2026-03-06T14:00:00Z", "2026-03-06T13:59:59Z"),
            ("2026-03-13T13:00:00Z", "2026-03-13T12:59:59Z"),
        ] {
            assert!(hours.cover(at(open)));
            assert!(!hours.cover(at(early)));
        }
        assert!(hours.cover(at("2026-03-06T21:59:59Z")));
        assert!(!hours.cover(at("2026-03-06T22:00:00Z")), "the end is not part of it");
        assert!(!hours.cover(at("2026-03-07T15:00:00Z")), "it is Saturday");
    }

    #[test]
    fn a_slot_lies_in_a_shift_as_a_whole_or_not_at_all() {
        let hours = week(vec![
            shift(Weekday::Mon, "09:00", "12:05"),
            shift(Weekday::Mon, "12:10", "24:00"),
            shift(Weekday::Tue, "00:00", "08:00"),
        ])
        .unwrap();
        let slot = |from: &str| hours.cover_all(at(from), at(from) + TimeDelta::minutes(15));
        // Monday 9 March 2026, four hours behind Greenwich.
        for (from, lies) in [
            ("2026-03-09T12:45:00Z", false),
            ("2026-03-09T13:00:00Z", true),
            ("2026-03-09T15:45:00Z", true),
            ("2026-03-09T16:00:00Z", false),
            ("2026-03-09T16:15:00Z", true),
            ("2026-03-10T03:45:00Z", true),
            ("2026-03-10T03:50:00Z", true),
            ("2026-03-10T11:45:00Z", true),
            ("2026-03-10T11:50:00Z", false),
        ] {
            assert_eq!(slot(from), lies, "{from}");
        }
    }

    #[test]
    fn shifts_that_touch_are_fine_and_those_that_overlap_are_named() {
        let touching = vec![
            shift(Weekday::Mon, "13:00", "24:00"),
            shift(Weekday::Mon, "00:00", "13:00"),
            shift(Weekday::Tue, "12:30", "13:30"),
        ];
        let hours = week(touching).unwrap();
        let starts: Vec<u16> = hours.shifts().iter().map(|shift| shift.from).collect();
        assert_eq!(starts, [0, 780, 750]);
        let over = week(vec![
            shift(Weekday::Mon, "10:00", "12:00"),
            shift(Weekday::Mon, "08:00", "18:00"),
            shift(Weekday::Mon, "12:00", "13:00"),
        ]);
        let names = |index| (format!("working_hours.shifts[{index}].from"), "overlap".to_owned());
        assert_eq!(faults(over), [names(0), names(2)]);
    }

    #[test]
    fn what_is_no_time_is_named_by_its_place() {
        let bad = WorkingHours::parse(&HoursForm {
            zone: "Boston".into(),
            shifts: vec![shift(Weekday::Mon, "9:00", "25:00")],
        });
        let paths: Vec<String> = faults(bad).into_iter().map(|(path, _)| path).collect();
        assert_eq!(
            paths,
            [
                "working_hours.time_zone",
                "working_hours.shifts[0].from",
                "working_hours.shifts[0].until"
            ]
        );
        let backwards = week(vec![shift(Weekday::Mon, "17:00", "09:00")]);
        assert_eq!(faults(backwards)[0].1, "out_of_range");
        assert_eq!(faults(week(Vec::new()))[0].0, "working_hours.shifts");
        assert_eq!(minute("24:01"), None);
        assert_eq!(minute("+9:00"), None);
    }

    proptest! {
        #[test]
        fn of_a_week_that_is_taken_no_minute_lies_in_two_shifts(
            drawn in prop::collection::vec((0u8..7, 0u16..1440, 1u16..600), 1..12),
            hour in 0i64..(24 * 21),
        ) {
            let shifts: Vec<Shift> = drawn
                .into_iter()
                .map(|(day, from, long)| Shift {
                    day: Weekday::try_from(day).unwrap(),
                    from,
                    until: (from + long).min(Shift::DAY),
                })
                .collect();
            let twice = shifts.iter().enumerate().any(|(index, one)| {
                shifts[..index].iter().any(|other| {
                    one.day == other.day && one.from < other.until && other.from < one.until
                })
            });
            let found = WorkingHours::new(Tz::America__Chicago, shifts.clone());
            prop_assert_eq!(found.is_err(), twice);
            if let Ok(hours) = found {
                let moment = at("2026-03-01T00:30:00Z") + TimeDelta::hours(hour);
                let local = moment.with_timezone(&Tz::America__Chicago);
                let minute = u16::try_from(local.hour() * 60 + local.minute()).unwrap();
                let within = shifts.iter().any(|shift| {
                    shift.day == chrono::Datelike::weekday(&local)
                        && shift.from <= minute && minute < shift.until
                });
                prop_assert_eq!(hours.cover(moment), within);
            }
        }

        #[test]
        fn every_minute_of_a_day_is_written_as_it_is_read(value in 0u16..=1440) {
            prop_assert_eq!(minute(&clock(value)), Some(value));
        }
    }
}
