//! When a declined charge is tried again: one policy, whoever asks.

use chrono::{DateTime, Duration, Utc};

use crate::gateway::{Decline, DeclineKind};

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Retry {
    At(DateTime<Utc>),
    /// Not with this card. Another payment method starts afresh.
    Never,
}

/// Soft declines are tried again on a schedule; hard ones and those that need
/// the cardholder never by themselves.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct RetryPolicy {
    /// How long to wait after the first, the second, … declined attempt.
    pub waits: Vec<Duration>,
}

impl Default for RetryPolicy {
    /// Eight attempts within two weeks, closer together at the start, when
    /// most of what recovers recovers.
    fn default() -> Self {
        Self { waits: [1, 1, 2, 2, 2, 3, 3].into_iter().map(Duration::days).collect() }
    }
}

impl RetryPolicy {
    /// What follows the `attempt`-th decline (from 1) with one method.
    pub fn after(&self, attempt: u32, decline: &Decline, now: DateTime<Utc>) -> Retry {
        match decline.kind() {
            DeclineKind::Hard | DeclineKind::Authentication => Retry::Never,
            DeclineKind::Soft => {
                let index = attempt.saturating_sub(1) as usize;
                self.waits.get(index).map_or(Retry::Never, |wait| Retry::At(now + *wait))
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn soft() -> Decline {
        Decline::new("insufficient_funds", "")
    }

    #[test]
    fn soft_declines_make_eight_attempts_within_two_weeks() {
        let policy = RetryPolicy::default();
        let start = DateTime::UNIX_EPOCH;
        let (mut now, mut attempts) = (start, 1);
        while let Retry::At(next) = policy.after(attempts, &soft(), now) {
            assert!(next > now);
            now = next;
            attempts += 1;
        }
        assert_eq!(attempts, 8);
        assert_eq!(now - start, Duration::days(14));
    }

    #[test]
    fn a_hard_decline_and_a_missing_authentication_are_never_retried() {
        let policy = RetryPolicy::default();
        for code in ["stolen_card", "authentication_required"] {
            let retry = policy.after(1, &Decline::new(code, ""), DateTime::UNIX_EPOCH);
            assert_eq!(retry, Retry::Never);
        }
    }
}
