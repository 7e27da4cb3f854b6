//! The ambient world behind the clock and id ports: the only place that asks
//! the system for the time and for randomness.

use chrono::{DateTime, Utc};
use kernel::Uuid;
use ports::{Clock, Ids};
use rand::Rng as _;

#[derive(Debug, Default)]
pub struct SystemClock;

impl Clock for SystemClock {
    #[expect(clippy::disallowed_methods, reason = "This is the clock that all others go through.")]
    fn now(&self) -> DateTime<Utc> {
        // PostgreSQL keeps microseconds; a time that came back from it must
        // equal the one that went in.
        let now = Utc::now();
        now - chrono::TimeDelta::nanoseconds(i64::from(now.timestamp_subsec_nanos() % 1_000))
    }
}

#[derive(Debug, Default)]
pub struct SystemIds;

impl Ids for SystemIds {
    #[expect(clippy::disallowed_methods, reason = "This is the source of ids.")]
    fn uuid(&self) -> Uuid {
        Uuid::now_v7()
    }

    #[expect(clippy::disallowed_methods, reason = "This is the source of secrets.")]
    fn secret(&self) -> [u8; 32] {
        let mut secret = [0; 32];
        rand::rng().fill_bytes(&mut secret);
        secret
    }
}
