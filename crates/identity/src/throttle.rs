//! Back-off after failed sign-ins. Failures are counted for an address and the
//! network that tried it together, so that strangers do not lock the owner out;
//! all networks that the address was never signed in from share a further, larger
//! count, so that many networks are no way around the back-off. Counts are kept
//! for each address that was tried, whether or not an account has it, so that
//! being locked out says nothing about an account.

use chrono::{DateTime, TimeDelta, Utc};

/// Failures that cost nothing but themselves.
pub const FREE_FAILURES: u32 = 5;
/// The same, for all strangers to an address together.
pub const FREE_FAILURES_OF_STRANGERS: u32 = 20;

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
        self.locked_beyond(FREE_FAILURES, now)
    }

    fn locked_beyond(&self, free: u32, now: DateTime<Utc>) -> Option<DateTime<Utc>> {
        let last = self.last_failure_at?;
        if self.failures < free || now - last >= MEMORY {
            return None;
        }
        let doublings = (self.failures - free).min(16);
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

/// Before which a network that was last signed in from is forgotten.
pub fn networks_forgotten_before(now: DateTime<Utc>) -> DateTime<Utc> {
    now - TimeDelta::days(180)
}

/// What counts for one attempt.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Throttles {
    /// Of the address and this network.
    pub own: Throttle,
    /// Of the address and all strangers; `None` where the network is known,
    /// because the address has signed in from it.
    pub strangers: Option<Throttle>,
}

impl Throttles {
    pub fn locked_until(&self, now: DateTime<Utc>) -> Option<DateTime<Utc>> {
        let strangers = self.strangers.as_ref();
        let strangers =
            strangers.and_then(|all| all.locked_beyond(FREE_FAILURES_OF_STRANGERS, now));
        self.own.locked_until(now).max(strangers)
    }

    pub fn fail(self, now: DateTime<Utc>) -> Self {
        Self { own: self.own.fail(now), strangers: self.strangers.map(|all| all.fail(now)) }
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
    fn strangers_share_a_count_that_a_known_network_does_not_feel() {
        let strangers = failed(20, at(0));
        let new = Throttles { strangers: Some(strangers), ..Throttles::default() };
        assert_eq!(new.locked_until(at(1)), Some(at(60)), "another network helps nobody");
        assert_eq!(Throttles::default().locked_until(at(1)), None);
        let few = Throttles { strangers: Some(failed(19, at(0))), ..Throttles::default() };
        assert_eq!(few.locked_until(at(1)), None);
        let worst = Throttles { own: failed(8, at(0)), strangers: Some(strangers) };
        assert_eq!(worst.locked_until(at(1)), Some(at(480)), "the longer wait counts");
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
