//! A patient's age. It is counted here and nowhere else, so that the form, the
//! rules, the doses and the checks of one moment all say the same.
//!
//! The calendar is that of the state in which the patient is, never that of the
//! time zone in the patient's settings, which anybody may set to anything. In
//! a state of several zones it is the zone that is furthest behind: nobody is
//! taken for older than they are.

use chrono::{DateTime, Datelike, NaiveDate, Utc};
use chrono_tz::Tz;

use crate::UsState;

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Age {
    /// Completed years; none where the birth date lies ahead.
    pub years: u32,
    /// The day that it was counted on.
    pub on: NaiveDate,
}

impl Age {
    /// The age of somebody in `state` at a moment.
    pub fn at(birth_date: NaiveDate, state: UsState, at: DateTime<Utc>) -> Self {
        Self::on(birth_date, today(state, at))
    }

    /// The age on a day; somebody born on 29 February has the birthday on
    /// 1 March of a common year.
    pub fn on(birth_date: NaiveDate, on: NaiveDate) -> Self {
        let years = on.year() - birth_date.year();
        let before_birthday = (on.month(), on.day()) < (birth_date.month(), birth_date.day());
        let years = u32::try_from(years - i32::from(before_birthday)).unwrap_or(0);
        Self { years, on }
    }
}

/// The day by which the ages of people in `state` are counted at a moment.
pub fn today(state: UsState, at: DateTime<Utc>) -> NaiveDate {
    at.with_timezone(&zone(state)).date_naive()
}

/// The state's zone that is furthest behind.
fn zone(state: UsState) -> Tz {
    match state {
        UsState::Ak => Tz::America__Adak,
        UsState::Id => Tz::America__Los_Angeles,
        UsState::Fl | UsState::In | UsState::Ky => Tz::America__Chicago,
        UsState::Mi => Tz::America__Menominee,
        UsState::Ks | UsState::Ne | UsState::Nd | UsState::Sd | UsState::Tx => Tz::America__Denver,
        _ => state.zone(),
    }
}

#[cfg(test)]
mod tests {
    use chrono::TimeDelta;
    use proptest::prelude::*;
    use strum::IntoEnumIterator as _;

    use super::*;

    fn day(text: &str) -> NaiveDate {
        text.parse().unwrap()
    }

    #[test]
    fn years_are_completed_on_the_birthday() {
        let years = |born, on| Age::on(day(born), day(on)).years;
        assert_eq!(years("2000-06-15", "2026-06-14"), 25);
        assert_eq!(years("2000-06-15", "2026-06-15"), 26);
        assert_eq!(years("2008-02-29", "2026-02-28"), 17);
        assert_eq!(years("2008-02-29", "2026-03-01"), 18);
        assert_eq!(years("2030-01-01", "2026-01-01"), 0);
    }

    #[test]
    fn the_day_is_that_of_the_westernmost_part_of_the_state() {
        // Half past midnight in New York and in Detroit, half past eleven in
        // Chicago and in Menominee.
        let at = "2026-03-10T04:30:00Z".parse().unwrap();
        let on = |state| Age::at(day("2008-03-10"), state, at);
        assert_eq!(on(UsState::Ny), Age { years: 18, on: day("2026-03-10") });
        for state in [UsState::Fl, UsState::Mi, UsState::Ky, UsState::In, UsState::Tx] {
            assert_eq!(on(state), Age { years: 17, on: day("2026-03-09") }, "{state}");
        }
        // In Honolulu and on the Aleutians the day before lasts ten hours more.
        let later = "2026-03-10T08:30:00Z".parse().unwrap();
        assert_eq!(today(UsState::Ak, later), day("2026-03-09"));
        assert_eq!(today(UsState::Wa, later), day("2026-03-10"));
    }

    proptest! {
        #[test]
        fn nobody_is_older_than_in_the_zone_where_most_live(
            at in 0i64..4_000_000_000,
            born in 0i64..40_000,
        ) {
            let at = DateTime::from_timestamp(at, 0).unwrap();
            let born = day("1920-01-01") + TimeDelta::days(born);
            for state in UsState::iter() {
                let there = at.with_timezone(&state.zone()).date_naive();
                prop_assert!(Age::at(born, state, at).years <= Age::on(born, there).years);
            }
        }
    }
}
