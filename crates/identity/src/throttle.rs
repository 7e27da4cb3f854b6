//! Back-off after failed logins. It is kept for each address that was tried,
//! whether or not an account has it, so that being locked out says nothing
//! about an account.

use chrono::{DateTime, TimeDelta, Utc};

/// Failures that cost nothing but themselves.
pub const FREE_FAILURES: u32 = 5;

const FIRST_LOCK: TimeDelta = TimeDelta::minutes(1);
const LONGEST_LOCK: TimeDelta = TimeDelta::hours(1);
const MEMORY: TimeDelta = TimeDelta::hours(24);

#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Throttle {
    pub failures: u32,
    pub last_failure_at: Option<DateTime<Utc>>,
}

impl Throttle {
    /// Until when attempts are refused unseen; `None` when the next may run.
    pub fn locked_until(&self, now: DateTime<Utc>) -> Option<DateTime<Utc>> {
        let last = self.last_failure_at?;
        if self.failures < FREE_FAILURES || now - last >= MEMORY {
            return None;
        }
        let doublings = (self.failures - FREE_FAILURES).min(16);
        let lock = FIRST_LOCK * 2_i32.pow(doublings);
        Some(last + lock.min(LONGEST_LOCK)).filter(|until| now < *until)
    }

    pub fn fail(self, now: DateTime<Utc>) -> Self {
        let fresh = self.last_failure_at.is_none_or(|last| now - last >= MEMORY);
        let failures = if fresh { 1 } else { self.failures.saturating_add(1) };
        Self { failures, last_failure_at: Some(now) }
    }

    /// Before which a last failure no longer counts and may be forgotten.
    pub fn forgotten_before(now: DateTime<Utc>) -> DateTime<Utc> {
        now - MEMORY
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    fn at(seconds: i64) -> DateTime<Utc> {
        DateTime::from_timestamp(1_700_000_000 + seconds, 0).unwrap()
    }

    fn failed(times: u32, now: DateTime<Utc>) -> Throttle {
        (0..times).fold(Throttle::default(), |throttle, _| throttle.fail(now))
    }

    #[test]
    fn four_failures_lock_nothing_and_the_fifth_locks_a_minute() {
        assert_eq!(failed(4, at(0)).locked_until(at(0)), None);
        assert_eq!(failed(5, at(0)).locked_until(at(59)), Some(at(60)));
        assert_eq!(failed(5, at(0)).locked_until(at(60)), None);
    }

    #[test]
    fn the_lock_doubles_up_to_an_hour() {
        assert_eq!(failed(6, at(0)).locked_until(at(1)), Some(at(120)));
        assert_eq!(failed(8, at(0)).locked_until(at(1)), Some(at(480)));
        assert_eq!(failed(4_000_000, at(0)).locked_until(at(1)), Some(at(3600)));
    }

    #[test]
    fn a_day_without_failure_forgets_them() {
        let day = 24 * 3600;
        assert_eq!(failed(9, at(0)).fail(at(day)).failures, 1);
    }

    proptest! {
        /// More failures never shorten a lock, and a lock never outlasts an hour.
        #[test]
        fn locks_grow_and_are_bounded(failures in 0_u32..200, elapsed in 0_i64..90_000) {
            let less = failed(failures, at(0)).locked_until(at(elapsed));
            let more = failed(failures + 1, at(0)).locked_until(at(elapsed));
            prop_assert!(less <= more);
            if let Some(until) = more {
                prop_assert!(until > at(elapsed) && until <= at(3600));
            }
        }
    }
}
