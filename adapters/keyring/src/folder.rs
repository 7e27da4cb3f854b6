//! The files of the ring. `key-NNNNNNNN` holds a key-encryption key and
//! `index.key` the key of the blind indexes, each as base64; `ring` is written
//! last and says that the ring was complete once, so that a lost key is told
//! from a creation that was cut short. `chain-NNNNNNNN` holds a key of the audit
//! chain, and `chain` says the same of these, which older rings lack. `lock`
//! keeps two processes from making or rotating the ring at once.

use std::{
    collections::BTreeMap,
    fs::{self, DirBuilder, File, OpenOptions},
    io::{self, Write},
    os::unix::fs::{DirBuilderExt, OpenOptionsExt, PermissionsExt},
    path::{Path, PathBuf},
};

use base64::{Engine, engine::general_purpose::STANDARD};
use zeroize::Zeroizing;

use crate::{KeyId, KeyringError, SecretKey, envelope::random};

const INDEX: &str = "index.key";
const COMPLETE: &str = "ring";
const CHAIN_COMPLETE: &str = "chain";
const LOCK: &str = "lock";
const KEY_PREFIX: &str = "key-";
const CHAIN_PREFIX: &str = "chain-";

/// What the folder holds.
pub(crate) struct Ring {
    pub(crate) keys: BTreeMap<KeyId, SecretKey>,
    pub(crate) index: SecretKey,
    pub(crate) chain: BTreeMap<KeyId, SecretKey>,
}

pub(crate) fn open_or_create(dir: &Path) -> Result<Ring, KeyringError> {
    ensure(dir)?;
    let _lock = lock(dir)?;
    if !dir.join(COMPLETE).exists() {
        // Nothing was ever sealed with a ring that was not complete, so what
        // an interrupted creation left is finished and never replaced.
        for name in [name_of(KEY_PREFIX, 1), INDEX.to_owned()] {
            if !dir.join(&name).exists() {
                write_new(dir, &name, encode(&Zeroizing::new(random()?)).as_bytes())?;
            }
        }
        write_new(dir, COMPLETE, b"1\n")?;
    }
    if !dir.join(CHAIN_COMPLETE).exists() {
        if !dir.join(name_of(CHAIN_PREFIX, 1)).exists() {
            write_key(dir, CHAIN_PREFIX, 1)?;
        }
        write_new(dir, CHAIN_COMPLETE, b"1\n")?;
    }
    read(dir)
}

pub(crate) fn rotate(dir: &Path) -> Result<Ring, KeyringError> {
    refuse_if_open(dir)?;
    let _lock = lock(dir)?;
    let ring = read(dir)?;
    for (prefix, keys) in [(KEY_PREFIX, &ring.keys), (CHAIN_PREFIX, &ring.chain)] {
        let next = keys.keys().next_back().map_or(1, |last| last + 1);
        write_key(dir, prefix, next)?;
    }
    read(dir)
}

pub(crate) fn read(dir: &Path) -> Result<Ring, KeyringError> {
    refuse_if_open(dir)?;
    let index_path = dir.join(INDEX);
    if !index_path.exists() {
        return Err(KeyringError::Missing { path: index_path });
    }
    let index = read_key(&index_path)?;
    let (keys, chain) = (read_whole(dir, KEY_PREFIX)?, read_whole(dir, CHAIN_PREFIX)?);
    Ok(Ring { keys, index, chain })
}

/// The keys of a prefix. Numbers are given in order, so that a gap is a lost
/// key.
fn read_whole(dir: &Path, prefix: &str) -> Result<BTreeMap<KeyId, SecretKey>, KeyringError> {
    let keys = read_keys(dir, prefix)?;
    for id in 1..=keys.keys().next_back().copied().unwrap_or(1) {
        if !keys.contains_key(&id) {
            return Err(KeyringError::Missing { path: dir.join(name_of(prefix, id)) });
        }
    }
    Ok(keys)
}

/// Makes the folder where there is none, and refuses one that others can read.
pub(crate) fn ensure(dir: &Path) -> Result<(), KeyringError> {
    if !dir.exists() {
        DirBuilder::new()
            .recursive(true)
            .mode(0o700)
            .create(dir)
            .map_err(at(dir, "the folder could not be made"))?;
    }
    refuse_if_open(dir)
}

/// The keys of the folder by their numbers.
pub(crate) fn read_numbered(dir: &Path) -> Result<BTreeMap<KeyId, SecretKey>, KeyringError> {
    read_keys(dir, KEY_PREFIX)
}

fn read_keys(dir: &Path, prefix: &str) -> Result<BTreeMap<KeyId, SecretKey>, KeyringError> {
    let mut keys = BTreeMap::new();
    for entry in fs::read_dir(dir).map_err(at(dir, "the folder could not be listed"))? {
        let entry = entry.map_err(at(dir, "the folder could not be listed"))?;
        let name = entry.file_name();
        let Some(number) = name.to_str().and_then(|name| name.strip_prefix(prefix)) else {
            continue;
        };
        let path = entry.path();
        let id: KeyId =
            number.parse().map_err(|_| KeyringError::Malformed { path: path.clone() })?;
        keys.insert(id, read_key(&path)?);
    }
    Ok(keys)
}

/// Writes a fresh key under that number.
pub(crate) fn write_numbered(dir: &Path, id: KeyId) -> Result<(), KeyringError> {
    write_key(dir, KEY_PREFIX, id)
}

fn write_key(dir: &Path, prefix: &str, id: KeyId) -> Result<(), KeyringError> {
    write_new(dir, &name_of(prefix, id), encode(&Zeroizing::new(random()?)).as_bytes())
}

fn name_of(prefix: &str, id: KeyId) -> String {
    format!("{prefix}{id:08}")
}

fn encode(key: &SecretKey) -> Zeroizing<String> {
    Zeroizing::new(format!("{}\n", STANDARD.encode(key.as_slice())))
}

fn read_key(path: &Path) -> Result<SecretKey, KeyringError> {
    refuse_if_open(path)?;
    let text =
        Zeroizing::new(fs::read_to_string(path).map_err(at(path, "the key could not be read"))?);
    let malformed = || KeyringError::Malformed { path: path.to_owned() };
    let bytes = Zeroizing::new(STANDARD.decode(text.trim_end()).map_err(|_| malformed())?);
    Ok(Zeroizing::new(bytes.as_slice().try_into().map_err(|_| malformed())?))
}

fn refuse_if_open(path: &Path) -> Result<(), KeyringError> {
    let metadata = fs::metadata(path).map_err(at(path, "its permissions could not be read"))?;
    let mode = metadata.permissions().mode() & 0o7777;
    if mode & 0o077 == 0 {
        Ok(())
    } else {
        Err(KeyringError::TooOpen { path: path.to_owned(), mode })
    }
}

/// Holds the lock until the file is dropped.
pub(crate) fn lock(dir: &Path) -> Result<File, KeyringError> {
    let path = dir.join(LOCK);
    let file = OpenOptions::new()
        .create(true)
        .truncate(false)
        .write(true)
        .mode(0o600)
        .open(&path)
        .map_err(at(&path, "the lock could not be opened"))?;
    file.lock().map_err(at(&path, "the lock could not be taken"))?;
    Ok(file)
}

/// Writes a file that is whole or absent after a crash, and never replaces one.
fn write_new(dir: &Path, name: &str, bytes: &[u8]) -> Result<(), KeyringError> {
    let path = dir.join(name);
    let part = dir.join(format!(".{name}.part"));
    let write = || -> io::Result<()> {
        match fs::remove_file(&part) {
            Err(error) if error.kind() != io::ErrorKind::NotFound => return Err(error),
            _ => {}
        }
        let mut file = OpenOptions::new().create_new(true).write(true).mode(0o600).open(&part)?;
        file.write_all(bytes)?;
        file.sync_all()?;
        // A link, unlike a rename, fails where the name is taken.
        fs::hard_link(&part, &path)?;
        fs::remove_file(&part)?;
        File::open(dir)?.sync_all()
    };
    write().map_err(at(&path, "the file could not be written"))
}

fn at(path: &Path, what: &'static str) -> impl FnOnce(io::Error) -> KeyringError {
    let path: PathBuf = path.to_owned();
    move |cause| KeyringError::Io { path, what, cause }
}
