//! What tests stand on: a database each, a clock that is set, a passkey in
//! software, and waiting for a
//! condition instead of sleeping.

mod authenticator;
mod database;
mod surroundings;
mod wait;

pub use authenticator::{Authenticator, totp_code};
pub use database::Database;
/// A client of an endpoint in the same process. Only tests have this feature of poem.
pub use poem::test as http;
pub use surroundings::{FixedClock, TestChainKeys, TestIds, TestSealer, test_env};
pub use wait::eventually;
