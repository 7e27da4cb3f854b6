use std::sync::{
    Arc, Mutex,
    atomic::{AtomicU64, Ordering},
};

use chrono::{DateTime, TimeDelta, TimeZone as _, Utc};
use kernel::Uuid;
use ports::{BlindIndex, ChainKeys, Clock, Env, Ids, PortError, Result, Sealed, Sealer};
use sha2::{Digest as _, Sha256};

/// A clock that stands until it is moved.
#[derive(Debug)]
pub struct FixedClock(Mutex<DateTime<Utc>>);

impl FixedClock {
    pub fn at(now: DateTime<Utc>) -> Arc<Self> {
        Arc::new(Self(Mutex::new(now)))
    }

    pub fn advance(&self, by: TimeDelta) {
        let mut now = self.0.lock().expect("the clock's lock");
        *now += by;
    }

    pub fn set(&self, to: DateTime<Utc>) {
        *self.0.lock().expect("the clock's lock") = to;
    }
}

impl Clock for FixedClock {
    fn now(&self) -> DateTime<Utc> {
        *self.0.lock().expect("the clock's lock")
    }
}

/// Ids of the right form, ordered, and unique across processes that share a
/// database.
#[derive(Debug)]
pub struct TestIds {
    counter: AtomicU64,
    process: [u8; 8],
}

impl Default for TestIds {
    fn default() -> Self {
        // The standard library's hasher keys are fresh for every instance.
        use std::hash::{BuildHasher as _, RandomState};
        let seed = RandomState::new().hash_one(std::process::id());
        Self { counter: AtomicU64::new(1), process: seed.to_be_bytes() }
    }
}

impl Ids for TestIds {
    fn uuid(&self) -> Uuid {
        let count = self.counter.fetch_add(1, Ordering::Relaxed);
        let mut random = [0u8; 10];
        random[..2].copy_from_slice(&self.process[..2]);
        random[2..].copy_from_slice(&self.process);
        uuid::Builder::from_unix_timestamp_millis(1_700_000_000_000 + count, &random).into_uuid()
    }

    fn secret(&self) -> [u8; 32] {
        let mut secret = [0u8; 32];
        secret[..16].copy_from_slice(self.uuid().as_bytes());
        secret[16..].copy_from_slice(self.uuid().as_bytes());
        secret
    }
}

/// Marks what it seals with its place, so that a store that forgets to seal, or
/// opens at another place, is found out; it hides nothing.
#[derive(Debug, Default)]
pub struct TestSealer;

impl Sealer for TestSealer {
    fn seal(&self, place: &str, plain: &[u8]) -> Result<Sealed> {
        let mut sealed = format!("sealed:{place}:").into_bytes();
        sealed.extend(plain.iter().map(|byte| !byte));
        Ok(Sealed(sealed))
    }

    fn open(&self, place: &str, sealed: &Sealed) -> Result<Vec<u8>> {
        let prefix = format!("sealed:{place}:").into_bytes();
        let rest = sealed.0.strip_prefix(prefix.as_slice()).ok_or_else(|| {
            PortError::bug(format!("a value was opened at {place}, not where it was sealed"))
        })?;
        Ok(rest.iter().map(|byte| !byte).collect())
    }

    fn blind_index(&self, purpose: &str, value: &str) -> Result<BlindIndex> {
        Ok(BlindIndex(Sha256::digest(format!("{purpose}\u{0}{value}")).into()))
    }
}

/// One key of the audit chain; another secret is the key of another ring.
pub struct TestChainKeys(pub &'static str);

impl ChainKeys for TestChainKeys {
    fn active(&self) -> u32 {
        1
    }

    fn mac(&self, key: u32, message: &[u8]) -> Option<[u8; 32]> {
        let digest = Sha256::new_with_prefix(self.0).chain_update(message).finalize();
        (key == 1).then(|| digest.into())
    }
}

/// Surroundings whose clock stands at noon of 2 March 2026, UTC.
pub fn test_env() -> (Env, Arc<FixedClock>) {
    let noon = Utc.with_ymd_and_hms(2026, 3, 2, 12, 0, 0).single().expect("a valid time");
    let clock = FixedClock::at(noon);
    (Env { clock: clock.clone(), ids: Arc::new(TestIds::default()) }, clock)
}
