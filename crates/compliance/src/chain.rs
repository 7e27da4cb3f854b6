//! The hash chain: every link commits to its entry and to all links before it.

use std::{fmt, str::FromStr};

use chrono::{DateTime, SubsecRound, Utc};
use kernel::AuditEntryId;
use serde::{Deserialize, Serialize};
use sha2::{Digest, Sha256};

use crate::RecordedEntry;

/// A SHA-256 digest, written as hexadecimal.
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
#[serde(try_from = "String", into = "String")]
pub struct Hash(pub [u8; 32]);

impl fmt::Display for Hash {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&hex::encode(self.0))
    }
}

impl fmt::Debug for Hash {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "Hash({self})")
    }
}

#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
#[error("not a SHA-256 digest in hexadecimal")]
pub struct InvalidHash;

impl FromStr for Hash {
    type Err = InvalidHash;

    fn from_str(text: &str) -> Result<Self, InvalidHash> {
        let mut bytes = [0; 32];
        hex::decode_to_slice(text, &mut bytes).map_err(|_| InvalidHash)?;
        Ok(Self(bytes))
    }
}

impl TryFrom<String> for Hash {
    type Error = InvalidHash;

    fn try_from(text: String) -> Result<Self, InvalidHash> {
        text.parse()
    }
}

impl From<Hash> for String {
    fn from(hash: Hash) -> String {
        hash.to_string()
    }
}

/// One link. Positions begin at 1 and have no gaps.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Link {
    pub position: i64,
    pub entry: AuditEntryId,
    pub entry_hash: Hash,
    pub chain_hash: Hash,
    pub sealed_at: DateTime<Utc>,
}

/// The newest link, as far as the next one needs it.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Head {
    pub position: i64,
    pub entry: AuditEntryId,
    pub chain_hash: Hash,
    pub sealed_at: DateTime<Utc>,
}

impl From<&Link> for Head {
    fn from(link: &Link) -> Self {
        Self {
            position: link.position,
            entry: link.entry,
            chain_hash: link.chain_hash,
            sealed_at: link.sealed_at,
        }
    }
}

/// What stands before the first link.
pub const GENESIS: Hash = Hash([0; 32]);

/// SHA-256 over the words `salus.audit.chain.1`, the position and the time of
/// sealing in microseconds as eight bytes each, big-endian, the chain hash
/// before it and the digest of the entry.
pub fn chain_hash(position: i64, sealed_at: DateTime<Utc>, before: Hash, entry: Hash) -> Hash {
    let mut digest = Sha256::new_with_prefix(b"salus.audit.chain.1");
    digest.update(position.to_be_bytes());
    digest.update(sealed_at.timestamp_micros().to_be_bytes());
    digest.update(before.0);
    digest.update(entry.0);
    Hash(digest.finalize().into())
}

/// The links that follow `head` for these entries, in their order.
pub fn link(head: Option<&Head>, entries: &[RecordedEntry], now: DateTime<Utc>) -> Vec<Link> {
    let mut before = head.map_or(GENESIS, |head| head.chain_hash);
    // The database keeps microseconds.
    let now = now.trunc_subsecs(6);
    let first = head.map_or(1, |head| head.position + 1);
    (first..)
        .zip(entries)
        .map(|(position, entry)| {
            let entry_hash = entry.digest();
            before = chain_hash(position, now, before, entry_hash);
            Link { position, entry: entry.id, entry_hash, chain_hash: before, sealed_at: now }
        })
        .collect()
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::entry::tests::entry;

    #[test]
    fn a_chain_made_in_batches_is_the_chain_made_at_once() {
        let entries: Vec<_> = [3, 1, 2, 7, 5].map(entry).into();
        let now = entries[0].occurred_at;
        let whole = link(None, &entries, now);
        assert_eq!(whole.iter().map(|link| link.position).collect::<Vec<_>>(), [1, 2, 3, 4, 5]);
        for cut in 0..=entries.len() {
            let mut parts = link(None, &entries[..cut], now);
            let head = parts.last().map(Head::from);
            parts.extend(link(head.as_ref(), &entries[cut..], now));
            assert_eq!(parts, whole);
        }
    }

    #[test]
    fn order_and_position_matter() {
        let (one, two) = (entry(1), entry(2));
        let now = one.occurred_at;
        let forward = link(None, &[one.clone(), two.clone()], now);
        let backward = link(None, &[two, one], now);
        assert_ne!(forward[1].chain_hash, backward[1].chain_hash);
    }

    #[test]
    fn a_hash_reads_as_it_is_written() {
        let hash = Hash([0xab; 32]);
        assert_eq!(hash.to_string().parse(), Ok(hash));
        assert_eq!("ab".parse::<Hash>(), Err(InvalidHash));
    }
}
