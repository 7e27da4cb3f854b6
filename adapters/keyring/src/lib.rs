//! The key ring: envelope encryption with AES-256-GCM under keys that lie in a
//! folder, and blind indexes by HMAC-SHA-256. It owns the format of a sealed
//! value and the files of the ring, and knows nothing of what is sealed. Beside
//! the ring stand the keys that sign access tokens, the digests of
//! passwords, and the list of those that were breached.

mod breaches;
mod envelope;
mod folder;
mod passwords;
mod signing;

pub use self::{breaches::BreachList, passwords::Argon2Passwords, signing::SigningKeyFolder};

use std::{
    collections::BTreeMap,
    path::{Path, PathBuf},
    sync::RwLock,
};

use hmac::{Hmac, KeyInit, Mac};
use ports::{BlindIndex, ChainKeys, PortError, Sealed, Sealer};
use sha2::Sha256;
use zeroize::Zeroizing;

/// 256 bits, wiped from memory when dropped.
type SecretKey = Zeroizing<[u8; 32]>;

/// The number of a key-encryption key. Numbers only grow, and the highest one
/// is active.
pub type KeyId = u32;

#[derive(Debug, thiserror::Error)]
pub enum KeyringError {
    #[error("{}: {what}", path.display())]
    Io {
        path: PathBuf,
        what: &'static str,
        #[source]
        cause: std::io::Error,
    },
    #[error(
        "{} can be read by others (mode {mode:04o}); keys need 0700 for the folder and 0600 for files",
        path.display()
    )]
    TooOpen { path: PathBuf, mode: u32 },
    #[error("{} is not a key of the ring", path.display())]
    Malformed { path: PathBuf },
    #[error("{} is missing from a ring that was complete once; restore it from the backup", path.display())]
    Missing { path: PathBuf },
    #[error(
        "{} is no list of breached passwords: SHA-1 digests in hexadecimal, one a line and in order",
        path.display()
    )]
    NoBreachList { path: PathBuf },
    #[error("the operating system gave no randomness")]
    Randomness,
    #[error("the sealed value names key {0}, which the ring does not hold")]
    UnknownKey(KeyId),
    #[error("the value is not sealed in a known format")]
    UnknownFormat,
    #[error("the sealed value was altered, or sealed for another place")]
    Altered,
}

/// A ring of keys. Sealing uses the active key; every key of the ring opens.
pub struct Keyring {
    dir: PathBuf,
    keys: RwLock<BTreeMap<KeyId, SecretKey>>,
    index: SecretKey,
    /// Those of the audit chain. A process that runs goes on with the newest it
    /// knows, so that only its next start takes a new one.
    chain: RwLock<BTreeMap<KeyId, SecretKey>>,
}

impl Keyring {
    /// Opens the ring in `dir`, and makes one where the folder is absent or
    /// empty.
    ///
    /// # Errors
    ///
    /// When the folder or a file of it can be read by anyone else, or when a
    /// ring that was complete once lacks a key.
    pub fn open_or_create(dir: impl AsRef<Path>) -> Result<Self, KeyringError> {
        let dir = dir.as_ref().to_owned();
        let ring = folder::open_or_create(&dir)?;
        let (keys, chain) = (RwLock::new(ring.keys), RwLock::new(ring.chain));
        Ok(Self { dir, keys, index: ring.index, chain })
    }

    /// Adds a key-encryption key and a key of the audit chain, and makes them
    /// the active ones. What was sealed before still opens; other processes find
    /// the new keys when they meet them.
    pub fn rotate(&self) -> Result<KeyId, KeyringError> {
        let ring = folder::rotate(&self.dir)?;
        *self.chain.write().unwrap_or_else(|poisoned| poisoned.into_inner()) = ring.chain;
        self.replace(ring.keys);
        Ok(self.active())
    }

    /// The key that seals now.
    pub fn active(&self) -> KeyId {
        self.with_keys(|keys| keys.keys().next_back().copied().unwrap_or_default())
    }

    /// Every key of the ring, oldest first.
    pub fn key_ids(&self) -> Vec<KeyId> {
        self.with_keys(|keys| keys.keys().copied().collect())
    }

    fn key(&self, id: KeyId) -> Result<SecretKey, KeyringError> {
        if let Some(key) = self.with_keys(|keys| keys.get(&id).cloned()) {
            return Ok(key);
        }
        // Another process may have rotated the ring since it was read.
        let ring = folder::read(&self.dir)?;
        let key = ring.keys.get(&id).cloned().ok_or(KeyringError::UnknownKey(id));
        self.replace(ring.keys);
        key
    }

    fn with_keys<T>(&self, read: impl FnOnce(&BTreeMap<KeyId, SecretKey>) -> T) -> T {
        // A reader that panicked has not changed the map, so a poisoned lock
        // still guards a whole ring.
        read(&self.keys.read().unwrap_or_else(|poisoned| poisoned.into_inner()))
    }

    fn replace(&self, keys: BTreeMap<KeyId, SecretKey>) {
        *self.keys.write().unwrap_or_else(|poisoned| poisoned.into_inner()) = keys;
    }
}

impl Sealer for Keyring {
    fn seal(&self, place: &str, plain: &[u8]) -> ports::Result<Sealed> {
        let id = self.active();
        self.key(id)
            .and_then(|key| envelope::seal(id, &key, place, plain))
            .map(Sealed)
            .map_err(|error| PortError::internal("sealing a value", error))
    }

    fn open(&self, place: &str, sealed: &Sealed) -> ports::Result<Vec<u8>> {
        envelope::Parts::parse(&sealed.0)
            .and_then(|parts| envelope::open(&parts, &self.key(parts.key)?, place))
            .map_err(|error| PortError::internal("opening a sealed value", error))
    }

    fn blind_index(&self, purpose: &str, value: &str) -> ports::Result<BlindIndex> {
        let mut mac = Hmac::<Sha256>::new_from_slice(self.index.as_slice())
            .map_err(|error| PortError::internal("keying a blind index", error))?;
        // The length keeps ("ab", "c") apart from ("a", "bc").
        mac.update(&(purpose.len() as u64).to_be_bytes());
        mac.update(purpose.as_bytes());
        mac.update(value.as_bytes());
        Ok(BlindIndex(mac.finalize().into_bytes().into()))
    }
}

impl Keyring {
    fn chain_key(&self, id: KeyId) -> Option<SecretKey> {
        let known = || {
            let keys = self.chain.read().unwrap_or_else(|poisoned| poisoned.into_inner());
            keys.get(&id).cloned()
        };
        known().or_else(|| {
            // Another process may have rotated the ring since it was read.
            let ring = folder::read(&self.dir).ok()?;
            *self.chain.write().unwrap_or_else(|poisoned| poisoned.into_inner()) = ring.chain;
            known()
        })
    }
}

impl ChainKeys for Keyring {
    fn active(&self) -> u32 {
        let keys = self.chain.read().unwrap_or_else(|poisoned| poisoned.into_inner());
        keys.keys().next_back().copied().unwrap_or_default()
    }

    fn mac(&self, key: u32, message: &[u8]) -> Option<[u8; 32]> {
        let key = self.chain_key(key)?;
        let mut mac = Hmac::<Sha256>::new_from_slice(key.as_slice()).ok()?;
        mac.update(message);
        Some(mac.finalize().into_bytes().into())
    }
}

#[cfg(test)]
mod tests;
