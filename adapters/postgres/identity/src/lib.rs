//! Identity's store: accounts, sessions, profiles, licenses and clients.

mod accounts;
mod clients;
mod factors;
mod profiles;
mod providers;
mod roles;
mod sessions;

pub use providers::holds_license_in_force;

use ports::{PortError, Result};


pg::store!(Tx {});

/// Reads a word or a number that the database holds to a set of values.
fn stored<T: std::str::FromStr>(column: &str, value: &str) -> Result<T> {
    value.parse().map_err(|_| PortError::bug(format!("{column} holds an unknown value")))
}

/// Reads bytes of a fixed length.
fn fixed(column: &str, bytes: &[u8]) -> Result<[u8; 32]> {
    bytes.try_into().map_err(|_| PortError::bug(format!("{column} does not hold 32 bytes")))
}
