//! The clock of the review queue: it runs while the practice is open where the
//! patient is, and stands on weekends and federal holidays.

use chrono::{DateTime, Datelike, Days, Duration, NaiveDate, NaiveTime, TimeZone, Utc, Weekday};
use chrono_tz::Tz;

/// On which day of the year a holiday falls.
enum Falls {
    On(u32, u32),
    /// The first, second … such day of a month.
    Nth(Weekday, u8, u32),
    Last(Weekday, u32),
}

/// The federal holidays (5 U.S.C. 6103). One on a Saturday is observed on the
/// Friday before it, one on a Sunday on the Monday after it.
const HOLIDAYS: [Falls; 11] = [
    Falls::On(1, 1),
    Falls::Nth(Weekday::Mon, 3, 1),
    Falls::Nth(Weekday::Mon, 3, 2),
    Falls::Last(Weekday::Mon, 5),
    Falls::On(6, 19),
    Falls::On(7, 4),
    Falls::Nth(Weekday::Mon, 1, 9),
    Falls::Nth(Weekday::Mon, 2, 10),
    Falls::On(11, 11),
    Falls::Nth(Weekday::Thu, 4, 11),
    Falls::On(12, 25),
];

/// When the practice opens and closes, in the local time of the state.
const OPENS: u32 = 9;
const CLOSES: u32 = 17;

impl Falls {
    fn observed_in(&self, year: i32) -> Option<NaiveDate> {
        let day = match self {
            Self::On(month, day) => NaiveDate::from_ymd_opt(year, *month, *day)?,
            Self::Nth(weekday, n, month) => {
                NaiveDate::from_weekday_of_month_opt(year, *month, *weekday, *n)?
            }
            Self::Last(weekday, month) => {
                let fifth = NaiveDate::from_weekday_of_month_opt(year, *month, *weekday, 5);
                fifth.or_else(|| NaiveDate::from_weekday_of_month_opt(year, *month, *weekday, 4))?
            }
        };
        match day.weekday() {
            Weekday::Sat => day.pred_opt(),
            Weekday::Sun => day.succ_opt(),
            _ => Some(day),
        }
    }
}

/// Whether a federal holiday is observed on that day.
pub fn is_holiday(day: NaiveDate) -> bool {
    // New Year's Day may be observed in the year before it.
    [day.year(), day.year() + 1]
        .into_iter()
        .any(|year| HOLIDAYS.iter().any(|holiday| holiday.observed_in(year) == Some(day)))
}

pub fn is_business_day(day: NaiveDate) -> bool {
    !matches!(day.weekday(), Weekday::Sat | Weekday::Sun) && !is_holiday(day)
}

/// From when to when the practice is open on a day; `None` where it is closed.
fn open_on(zone: Tz, day: NaiveDate) -> Option<(DateTime<Utc>, DateTime<Utc>)> {
    let at = |hour| {
        let local = day.and_time(NaiveTime::from_hms_opt(hour, 0, 0)?);
        // Clocks are set at night, so that these hours are there once a day.
        zone.from_local_datetime(&local).earliest().map(|at| at.with_timezone(&Utc))
    };
    if is_business_day(day) { Some((at(OPENS)?, at(CLOSES)?)) } else { None }
}

/// The days from that of `from` on, where the practice is open.
fn windows(zone: Tz, from: DateTime<Utc>) -> impl Iterator<Item = (DateTime<Utc>, DateTime<Utc>)> {
    let first = from.with_timezone(&zone).date_naive();
    first
        .iter_days()
        .filter_map(move |day| open_on(zone, day))
        .map(move |(opens, closes)| (opens.max(from), closes))
        .filter(|(opens, closes)| opens < closes)
}

/// The moment at which so much of business time has passed.
pub fn add(zone: Tz, from: DateTime<Utc>, time: Duration) -> DateTime<Utc> {
    let mut left = time;
    if left <= Duration::zero() {
        return from;
    }
    for (opens, closes) in windows(zone, from) {
        if left <= closes - opens {
            return opens + left;
        }
        left -= closes - opens;
    }
    from + time
}

/// How much business time passes between two moments.
pub fn between(zone: Tz, from: DateTime<Utc>, to: DateTime<Utc>) -> Duration {
    let beyond = to.checked_add_days(Days::new(1)).unwrap_or(to);
    windows(zone, from)
        .take_while(|(opens, _)| *opens < to && *opens < beyond)
        .map(|(opens, closes)| closes.min(to) - opens)
        .fold(Duration::zero(), |sum, open| sum + open)
}

#[cfg(test)]
mod tests {
    use kernel::UsState;
    use proptest::prelude::*;

    use super::*;

    fn at(text: &str) -> DateTime<Utc> {
        text.parse().unwrap()
    }

    fn day(text: &str) -> NaiveDate {
        text.parse().unwrap()
    }

    /// The dates that the Office of Personnel Management publishes.
    #[test]
    fn the_holidays_of_2026_and_2027_are_those_that_are_published() {
        let published = [
            "2026-01-01",
            "2026-01-19",
            "2026-02-16",
            "2026-05-25",
            "2026-06-19",
            "2026-07-03",
            "2026-09-07",
            "2026-10-12",
            "2026-11-11",
            "2026-11-26",
            "2026-12-25",
            "2027-01-01",
            "2027-01-18",
            "2027-02-15",
            "2027-05-31",
            "2027-06-18",
            "2027-07-05",
            "2027-09-06",
            "2027-10-11",
            "2027-11-11",
            "2027-11-25",
            "2027-12-24",
            "2027-12-31",
        ];
        let first = day("2026-01-01");
        let found: Vec<NaiveDate> =
            first.iter_days().take(730).filter(|day| is_holiday(*day)).collect();
        assert_eq!(found, published.map(day));
    }

    #[test]
    fn the_clock_is_that_of_the_patients_state_and_stands_when_it_is_closed() {
        let eight = Duration::hours(8);
        let due = |state: UsState, from: &str| add(state.zone(), at(from), eight);
        // Friday, 6 March 2026, three in the afternoon in Boston: six hours of
        // it are left for Monday, when daylight time has begun.
        assert_eq!(due(UsState::Ma, "2026-03-06T20:00:00Z"), at("2026-03-09T19:00:00Z"));
        // The same moment is noon in California.
        assert_eq!(due(UsState::Ca, "2026-03-06T20:00:00Z"), at("2026-03-09T19:00:00Z"));
        // At night it begins in the morning.
        assert_eq!(due(UsState::Ma, "2026-03-03T04:00:00Z"), at("2026-03-03T22:00:00Z"));
        // Thanksgiving is left out.
        assert_eq!(due(UsState::Tx, "2026-11-25T22:00:00Z"), at("2026-11-27T22:00:00Z"));
    }

    proptest! {
        /// What was added has passed in between, in every zone and season, and
        /// lies within open hours.
        #[test]
        fn what_was_added_has_passed(
            start in 1_770_000_000i64..1_830_000_000, minutes in 1i64..6000,
            state in prop::sample::select(vec![
                UsState::Ma, UsState::Tx, UsState::Az, UsState::Ca, UsState::Ak, UsState::Hi,
            ]),
        ) {
            let from = DateTime::from_timestamp(start, 0).unwrap();
            let (zone, time) = (state.zone(), Duration::minutes(minutes));
            let due = add(zone, from, time);
            prop_assert_eq!(between(zone, from, due), time);
            prop_assert!(due - from >= time);
            let local = due.with_timezone(&zone);
            prop_assert!(is_business_day(local.date_naive()));
        }
    }
}
