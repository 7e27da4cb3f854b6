//! Identity's store: accounts, sessions, profiles, licenses and clients.

mod accounts;
mod clients;
mod factors;
mod profiles;
mod providers;
mod roles;
mod sessions;

use async_trait::async_trait;
use identity::{IdentityStore, IdentityTx};
use kernel::Actor;
use ports::{PortError, Result};

use crate::Pg;

#[async_trait]
impl IdentityStore for Pg {
    async fn begin(&self, actor: &Actor) -> Result<Box<dyn IdentityTx>> {
        Ok(Box::new(self.open(actor).await?))
    }
}

/// Reads a word or a number that the database holds to a set of values.
fn stored<T: std::str::FromStr>(column: &str, value: &str) -> Result<T> {
    value.parse().map_err(|_| PortError::bug(format!("{column} holds an unknown value")))
}

/// Reads bytes of a fixed length.
fn fixed(column: &str, bytes: &[u8]) -> Result<[u8; 32]> {
    bytes.try_into().map_err(|_| PortError::bug(format!("{column} does not hold 32 bytes")))
}
