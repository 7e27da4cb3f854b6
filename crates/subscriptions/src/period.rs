//! The calendar of a subscription. Every period is computed from the anchor
//! day, never from the period before it, so that a subscription of the 31st
//! bills on 28 February and again on 31 March. The edges are local midnights
//! in the patient's zone.

use chrono::{DateTime, LocalResult, Months, NaiveDate, NaiveTime, TimeDelta, TimeZone, Utc};
use chrono_tz::Tz;
use serde::{Deserialize, Serialize};

use crate::SubscriptionError;

/// How long one period lasts, in whole months.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, Serialize, Deserialize)]
#[serde(try_from = "u32", into = "u32")]
pub struct BillingInterval(u32);

#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
#[error("a billing interval has 1 to 36 months")]
pub struct InvalidInterval;

impl BillingInterval {
    pub const MONTH: Self = Self(1);
    pub const QUARTER: Self = Self(3);
    pub const YEAR: Self = Self(12);

    pub fn of_months(months: u32) -> Result<Self, InvalidInterval> {
        if (1..=36).contains(&months) { Ok(Self(months)) } else { Err(InvalidInterval) }
    }

    pub const fn months(self) -> u32 {
        self.0
    }
}

impl TryFrom<u32> for BillingInterval {
    type Error = InvalidInterval;

    fn try_from(months: u32) -> Result<Self, InvalidInterval> {
        Self::of_months(months)
    }
}

impl From<BillingInterval> for u32 {
    fn from(value: BillingInterval) -> u32 {
        value.0
    }
}

/// One period: from `start` up to, and not including, `end`.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Period {
    /// The first period has the index 0.
    pub index: u32,
    pub start: DateTime<Utc>,
    pub end: DateTime<Utc>,
}

impl Period {
    /// The period with that index of a subscription that began on the local
    /// day `anchor`.
    pub fn of(
        anchor: NaiveDate,
        zone: Tz,
        interval: BillingInterval,
        index: u32,
    ) -> Result<Self, SubscriptionError> {
        let next = index.checked_add(1).ok_or(SubscriptionError::OutOfCalendar)?;
        let start = local_midnight(edge(anchor, interval, index)?, zone);
        let end = local_midnight(edge(anchor, interval, next)?, zone);
        Ok(Self { index, start, end })
    }

    pub fn contains(&self, moment: DateTime<Utc>) -> bool {
        self.start <= moment && moment < self.end
    }
}

/// The local day on which the period with that index begins: so many intervals
/// after the anchor, or the last day of the month where it is shorter.
pub fn edge(
    anchor: NaiveDate,
    interval: BillingInterval,
    index: u32,
) -> Result<NaiveDate, SubscriptionError> {
    interval
        .months()
        .checked_mul(index)
        .and_then(|months| anchor.checked_add_months(Months::new(months)))
        .ok_or(SubscriptionError::OutOfCalendar)
}

/// The first instant of a local day. Some zones change their clocks at
/// midnight: where it comes twice the first one counts, and where it is left
/// out the day begins when the clock has jumped.
pub fn local_midnight(day: NaiveDate, zone: Tz) -> DateTime<Utc> {
    let midnight = day.and_time(NaiveTime::MIN);
    // A zone that moved across the date line left out a whole day, hence the
    // search over a little more than one.
    for quarter in 0..=100 {
        let candidate = midnight + TimeDelta::minutes(15 * quarter);
        match zone.from_local_datetime(&candidate) {
            LocalResult::Single(moment) | LocalResult::Ambiguous(moment, _) => {
                return moment.to_utc();
            }
            LocalResult::None => {}
        }
    }
    Utc.from_utc_datetime(&midnight)
}

#[cfg(test)]
mod tests {
    use chrono::Datelike;
    use proptest::prelude::*;

    use super::*;

    fn day(year: i32, month: u32, day: u32) -> NaiveDate {
        NaiveDate::from_ymd_opt(year, month, day).unwrap()
    }

    fn edges(anchor: NaiveDate, interval: BillingInterval, count: u32) -> Vec<NaiveDate> {
        (0..count).map(|index| edge(anchor, interval, index).unwrap()).collect()
    }

    #[test]
    fn the_thirty_first_comes_back_after_a_short_month() {
        assert_eq!(
            edges(day(2027, 1, 31), BillingInterval::MONTH, 5),
            [
                day(2027, 1, 31),
                day(2027, 2, 28),
                day(2027, 3, 31),
                day(2027, 4, 30),
                day(2027, 5, 31)
            ]
        );
    }

    #[test]
    fn a_leap_day_comes_back_every_fourth_year() {
        assert_eq!(
            edges(day(2028, 2, 29), BillingInterval::YEAR, 5),
            [
                day(2028, 2, 29),
                day(2029, 2, 28),
                day(2030, 2, 28),
                day(2031, 2, 28),
                day(2032, 2, 29)
            ]
        );
    }

    #[test]
    fn periods_follow_the_clock_changes_of_the_zone() {
        // In 2027 New York changes on 14 March and 7 November.
        let spring =
            Period::of(day(2027, 3, 1), Tz::America__New_York, BillingInterval::MONTH, 0).unwrap();
        assert_eq!(spring.start.to_rfc3339(), "2027-03-01T05:00:00+00:00");
        assert_eq!(spring.end.to_rfc3339(), "2027-04-01T04:00:00+00:00");
        let autumn =
            Period::of(day(2027, 11, 1), Tz::America__New_York, BillingInterval::MONTH, 0).unwrap();
        assert_eq!(autumn.end - autumn.start, TimeDelta::days(30) + TimeDelta::hours(1));
    }

    #[test]
    fn a_day_without_a_midnight_begins_when_the_clock_has_jumped() {
        // São Paulo went from 23:59:59 on 3 November 2018 to 01:00.
        let start = local_midnight(day(2018, 11, 4), Tz::America__Sao_Paulo);
        assert_eq!(start.to_rfc3339(), "2018-11-04T03:00:00+00:00");
        // Havana has two midnights when its summer time ends.
        let start = local_midnight(day(2026, 11, 1), Tz::America__Havana);
        assert_eq!(start.to_rfc3339(), "2026-11-01T04:00:00+00:00");
    }

    #[test]
    fn a_period_beyond_the_calendar_is_an_error() {
        let far = Period::of(day(2027, 1, 1), Tz::UTC, BillingInterval::YEAR, u32::MAX);
        assert!(matches!(far, Err(SubscriptionError::OutOfCalendar)));
    }

    fn zones() -> impl Strategy<Value = Tz> {
        prop::sample::select(chrono_tz::TZ_VARIANTS.to_vec())
    }

    proptest! {
        #[test]
        fn consecutive_periods_neither_overlap_nor_leave_a_gap(
            offset in 0i64..20_000, zone in zones(), months in 1u32..=36, index in 0u32..60,
        ) {
            let anchor = day(2000, 1, 1) + TimeDelta::days(offset);
            let interval = BillingInterval::of_months(months).unwrap();
            let this = Period::of(anchor, zone, interval, index).unwrap();
            let next = Period::of(anchor, zone, interval, index + 1).unwrap();
            prop_assert!(this.start < this.end);
            prop_assert_eq!(this.end, next.start);
            prop_assert!(this.contains(this.start) && !this.contains(this.end));
        }

        #[test]
        fn a_period_begins_on_the_anchor_day_or_the_last_day_of_its_month(
            offset in 0i64..20_000, months in 1u32..=36, index in 0u32..60,
        ) {
            let anchor = day(2000, 1, 1) + TimeDelta::days(offset);
            let interval = BillingInterval::of_months(months).unwrap();
            let start = edge(anchor, interval, index).unwrap();
            let last = start.succ_opt().unwrap().month() != start.month();
            prop_assert!(start.day() == anchor.day() || (last && start.day() < anchor.day()));
            let whole_months = (start.year() - anchor.year()) * 12
                + start.month() as i32 - anchor.month() as i32;
            prop_assert_eq!(whole_months as u32, months * index);
        }

        #[test]
        fn in_the_zone_an_edge_is_the_first_moment_of_its_day(
            offset in 0i64..10_000, zone in zones(),
        ) {
            let date = day(2001, 1, 1) + TimeDelta::days(offset);
            let start = local_midnight(date, zone);
            let before = (start - TimeDelta::seconds(1)).with_timezone(&zone).date_naive();
            prop_assert!(before < date);
            prop_assert!(start.with_timezone(&zone).date_naive() >= date);
        }
    }
}
