//! Sealing: envelope encryption of what may not lie in the clear, and keyed
//! blind indexes for what must still be found. And the keys of the audit chain.

use crate::Result;

/// A sealed value: it names its key, so that the ring can rotate.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Sealed(pub Vec<u8>);

#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub struct BlindIndex(pub [u8; 32]);

pub trait Sealer: Send + Sync {
    /// Seals `plain` for one place, as in `message.body` with the row's id
    /// after it; it opens only with the same place, so that a sealed value
    /// moved to another row or column does not open.
    fn seal(&self, place: &str, plain: &[u8]) -> Result<Sealed>;

    fn open(&self, place: &str, sealed: &Sealed) -> Result<Vec<u8>>;

    /// A keyed digest of a normalised value, equal for equal values of one
    /// purpose and of no use without the key.
    fn blind_index(&self, purpose: &str, value: &str) -> Result<BlindIndex>;
}

/// Keys that vouch for the audit chain. Numbers only grow.
pub trait ChainKeys: Send + Sync {
    /// The key that vouches for what is chained now.
    fn active(&self) -> u32;

    /// HMAC-SHA-256 of a message; `None` where there is no such key.
    fn mac(&self, key: u32, message: &[u8]) -> Option<[u8; 32]>;
}
