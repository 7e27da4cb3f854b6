//! What tests stand on: a database each, a clock that is set, a passkey in
//! software, and waiting for a
//! condition instead of sleeping.

mod authenticator;
mod database;
mod surroundings;
mod wait;

pub use authenticator::{Authenticator, totp_code};
pub use database::Database;
pub use surroundings::{FixedClock, TestChainKeys, TestIds, TestSealer, test_env};
pub use wait::eventually;
