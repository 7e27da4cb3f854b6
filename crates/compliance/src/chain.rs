//! The hash chain: every link commits to its entry and to all links before it,
//! under a key that the database does not hold, so that whoever can write to the
//! database cannot write a chain. Links that were made before there was a key
//! are plain digests; a signed anchor vouches for them.

use std::{fmt, str::FromStr};

use chrono::{DateTime, SubsecRound, Utc};
use kernel::AuditEntryId;
use ports::{ChainKeys, PortError};
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
    /// The key that vouches for it; none for one of the older form.
    pub key: Option<u32>,
}

/// The newest link, as far as the next one needs it.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Head {
    pub position: i64,
    pub entry: AuditEntryId,
    pub chain_hash: Hash,
    pub sealed_at: DateTime<Utc>,
    pub key: Option<u32>,
}

impl From<&Link> for Head {
    fn from(link: &Link) -> Self {
        Self {
            position: link.position,
            entry: link.entry,
            chain_hash: link.chain_hash,
            sealed_at: link.sealed_at,
            key: link.key,
        }
    }
}

/// What stands before the first link.
pub const GENESIS: Hash = Hash([0; 32]);

/// What a link of the older form holds: SHA-256 over the words `salus.audit.chain.1`, the position and the time of
/// sealing in microseconds as eight bytes each, big-endian, the chain hash
/// before it and the digest of the entry.
pub fn plain_hash(position: i64, sealed_at: DateTime<Utc>, before: Hash, entry: Hash) -> Hash {
    let mut digest = Sha256::new_with_prefix(b"salus.audit.chain.1");
    digest.update(position.to_be_bytes());
    digest.update(sealed_at.timestamp_micros().to_be_bytes());
    digest.update(before.0);
    digest.update(entry.0);
    Hash(digest.finalize().into())
}

/// HMAC-SHA-256 under a key of the ring, over the words `salus.audit.chain.2`,
/// the number of the key as four bytes, and then as [`plain_hash`]; `None` where
/// the ring has no such key.
pub fn keyed_hash(
    keys: &dyn ChainKeys,
    key: u32,
    position: i64,
    sealed_at: DateTime<Utc>,
    before: Hash,
    entry: Hash,
) -> Option<Hash> {
    let mut message = b"salus.audit.chain.2".to_vec();
    message.extend(key.to_be_bytes());
    message.extend(position.to_be_bytes());
    message.extend(sealed_at.timestamp_micros().to_be_bytes());
    message.extend(before.0);
    message.extend(entry.0);
    keys.mac(key, &message).map(Hash)
}

/// The links that follow `head` for these entries, in their order.
///
/// # Errors
///
/// When the ring lacks its active key.
pub fn link(
    keys: &dyn ChainKeys,
    head: Option<&Head>,
    entries: &[RecordedEntry],
    now: DateTime<Utc>,
) -> ports::Result<Vec<Link>> {
    // Another node may have started with a newer key already.
    let newest = head.and_then(|head| head.key).filter(|key| keys.mac(*key, &[]).is_some());
    let key = keys.active().max(newest.unwrap_or_default());
    let mut before = head.map_or(GENESIS, |head| head.chain_hash);
    // The database keeps microseconds.
    let now = now.trunc_subsecs(6);
    let first = head.map_or(1, |head| head.position + 1);
    (first..)
        .zip(entries)
        .map(|(position, entry)| {
            let entry_hash = entry.digest();
            before = keyed_hash(keys, key, position, now, before, entry_hash)
                .ok_or_else(|| PortError::bug("the key ring lacks the key of the audit chain"))?;
            Ok(Link {
                position,
                entry: entry.id,
                entry_hash,
                chain_hash: before,
                sealed_at: now,
                key: Some(key),
            })
        })
        .collect()
}

#[cfg(test)]
pub(crate) mod tests {
    use super::*;
    use crate::entry::tests::entry;

    /// As many keys as its number says; another secret is another ring.
    pub(crate) struct Keys(pub u32, pub &'static str);

    impl ChainKeys for Keys {
        fn active(&self) -> u32 {
            self.0
        }

        fn mac(&self, key: u32, message: &[u8]) -> Option<[u8; 32]> {
            let mut digest = Sha256::new_with_prefix(self.1);
            digest.update(key.to_be_bytes());
            digest.update(message);
            (1..=self.0).contains(&key).then(|| digest.finalize().into())
        }
    }

    pub(crate) const KEYS: Keys = Keys(1, "ours");

    #[test]
    fn a_chain_made_in_batches_is_the_chain_made_at_once() {
        let entries: Vec<_> = [3, 1, 2, 7, 5].map(entry).into();
        let now = entries[0].occurred_at;
        let whole = link(&KEYS, None, &entries, now).unwrap();
        assert_eq!(whole.iter().map(|link| link.position).collect::<Vec<_>>(), [1, 2, 3, 4, 5]);
        for cut in 0..=entries.len() {
            let mut parts = link(&KEYS, None, &entries[..cut], now).unwrap();
            let head = parts.last().map(Head::from);
            parts.extend(link(&KEYS, head.as_ref(), &entries[cut..], now).unwrap());
            assert_eq!(parts, whole);
        }
    }

    #[test]
    fn order_and_position_matter() {
        let (one, two) = (entry(1), entry(2));
        let now = one.occurred_at;
        let forward = link(&KEYS, None, &[one.clone(), two.clone()], now).unwrap();
        let backward = link(&KEYS, None, &[two, one], now).unwrap();
        assert_ne!(forward[1].chain_hash, backward[1].chain_hash);
    }

    #[test]
    fn a_hash_reads_as_it_is_written() {
        let hash = Hash([0xab; 32]);
        assert_eq!(hash.to_string().parse(), Ok(hash));
        assert_eq!("ab".parse::<Hash>(), Err(InvalidHash));
    }
}
