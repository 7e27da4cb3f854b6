//! The Ed25519 keys that sign access tokens, in a folder of their own: a file
//! `key-NNNNNNNN` each, of mode 0600, the highest number current.

use std::{
    path::{Path, PathBuf},
    sync::{Arc, RwLock},
};

use identity::{SigningKey, SigningKeys};

use crate::{KeyringError, folder};

/// Keys that still verify, the current one among them: a token lives minutes,
/// so one key before the current is enough.
const KEPT: usize = 2;

/// The signing keys of a folder, made at the first start.
pub struct SigningKeyFolder {
    dir: PathBuf,
    keys: RwLock<Keys>,
}

struct Keys {
    current: Arc<SigningKey>,
    /// Newest first, the current one included.
    verifying: Vec<Arc<SigningKey>>,
}

impl SigningKeyFolder {
    /// Opens the folder, and makes it with a first key where there is none.
    ///
    /// # Errors
    ///
    /// When the folder or a file of it can be read by anyone else, or a file
    /// of it holds no key.
    pub fn open_or_create(dir: impl AsRef<Path>) -> Result<Self, KeyringError> {
        let dir = dir.as_ref().to_owned();
        folder::ensure(&dir)?;
        let _lock = folder::lock(&dir)?;
        if folder::read_numbered(&dir)?.is_empty() {
            folder::write_numbered(&dir, 1)?;
        }
        let keys = RwLock::new(read(&dir)?);
        Ok(Self { dir, keys })
    }

    /// Makes a new key current. Tokens of the one before stay good until they
    /// expire; older keys verify no more.
    pub fn rotate(&self) -> Result<(), KeyringError> {
        let _lock = folder::lock(&self.dir)?;
        let next = folder::read_numbered(&self.dir)?.keys().next_back().map_or(1, |last| last + 1);
        folder::write_numbered(&self.dir, next)?;
        let fresh = read(&self.dir)?;
        *self.keys.write().unwrap_or_else(|poisoned| poisoned.into_inner()) = fresh;
        Ok(())
    }

    fn with_keys<T>(&self, use_keys: impl FnOnce(&Keys) -> T) -> T {
        use_keys(&self.keys.read().unwrap_or_else(|poisoned| poisoned.into_inner()))
    }
}

fn read(dir: &Path) -> Result<Keys, KeyringError> {
    let verifying: Vec<_> = folder::read_numbered(dir)?
        .values()
        .rev()
        .take(KEPT)
        .map(|seed| Arc::new(SigningKey::from_seed(seed)))
        .collect();
    match verifying.first() {
        Some(current) => Ok(Keys { current: Arc::clone(current), verifying }),
        None => Err(KeyringError::Missing { path: dir.to_owned() }),
    }
}

impl SigningKeys for SigningKeyFolder {
    fn current(&self) -> Arc<SigningKey> {
        self.with_keys(|keys| Arc::clone(&keys.current))
    }

    fn all(&self) -> Vec<Arc<SigningKey>> {
        self.with_keys(|keys| keys.verifying.clone())
    }
}

#[cfg(test)]
mod tests {
    use std::{fs, os::unix::fs::PermissionsExt as _};

    use chrono::DateTime;
    use identity::{
        Policy,
        token::{Bearer, issue, verify},
    };
    use kernel::Uuid;

    use super::*;

    #[test]
    fn the_first_start_makes_a_key_that_later_starts_find() {
        let home = tempfile::tempdir().unwrap();
        let dir = home.path().join("signing");
        let first = SigningKeyFolder::open_or_create(&dir).unwrap();
        let again = SigningKeyFolder::open_or_create(&dir).unwrap();
        assert_eq!(first.current().kid(), again.current().kid());
        let mode = |path: &Path| fs::metadata(path).unwrap().permissions().mode() & 0o7777;
        assert_eq!(mode(&dir), 0o700);
        assert_eq!(mode(&dir.join("key-00000001")), 0o600);
    }

    #[test]
    fn a_key_that_others_can_read_is_refused() {
        let home = tempfile::tempdir().unwrap();
        let dir = home.path().join("signing");
        SigningKeyFolder::open_or_create(&dir).unwrap();
        fs::set_permissions(dir.join("key-00000001"), fs::Permissions::from_mode(0o644)).unwrap();
        let refused = SigningKeyFolder::open_or_create(&dir);
        assert!(matches!(refused, Err(KeyringError::TooOpen { mode: 0o644, .. })));
    }

    #[test]
    fn a_token_outlives_one_rotation_of_the_key_and_not_two() {
        let home = tempfile::tempdir().unwrap();
        let keys = SigningKeyFolder::open_or_create(home.path().join("signing")).unwrap();
        let policy = Policy::new("https://salus.example");
        let now = DateTime::from_timestamp(1_700_000_000, 0).unwrap();
        let bearer = Bearer::Account {
            account: Uuid::from_u128(1).into(),
            session: Uuid::from_u128(2).into(),
            roles: Vec::new(),
        };
        let (token, _) = issue(&keys, &policy, bearer.clone(), Uuid::from_u128(3), now).unwrap();
        keys.rotate().unwrap();
        assert_eq!(verify(&keys, &policy, &token, now).unwrap(), bearer);
        keys.rotate().unwrap();
        assert!(verify(&keys, &policy, &token, now).is_err());
        assert_eq!(keys.all().len(), 2);
    }
}
