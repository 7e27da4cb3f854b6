use chrono::{DateTime, Utc};

/// The time. Nothing else may ask for it, so that a test can set it.
pub trait Clock: Send + Sync {
    fn now(&self) -> DateTime<Utc>;
}
