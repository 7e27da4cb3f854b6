//! What tests stand on: a database each, a clock that is set, and waiting for a
//! condition instead of sleeping.

mod database;
mod surroundings;
mod wait;

pub use database::Database;
pub use surroundings::{FixedClock, TestIds, TestSealer, test_env};
pub use wait::eventually;
