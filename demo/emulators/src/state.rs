//! State that outlives its process: the vendors remember what Salus told them
//! even when the emulator was killed, as real ones do. What they are told is
//! about patients, so only the owner of the files reads them.

use std::{
    fs::{self, DirBuilder, File, OpenOptions, Permissions},
    io::{self, Write as _},
    os::unix::fs::{DirBuilderExt as _, OpenOptionsExt as _, PermissionsExt as _},
    path::{Path, PathBuf},
    sync::Mutex,
};

use anyhow::Context as _;
use serde::{Serialize, de::DeserializeOwned};

/// A folder that only its owner enters, made or tightened. Missing folders
/// above it are made alike.
pub fn private_folder(path: &Path) -> io::Result<()> {
    DirBuilder::new().recursive(true).mode(0o700).create(path)?;
    fs::set_permissions(path, Permissions::from_mode(0o700))
}

/// An empty file that only its owner reads, in place of what was there.
pub(crate) fn private_file(path: &Path) -> io::Result<File> {
    let file = OpenOptions::new().write(true).create(true).truncate(true).mode(0o600).open(path)?;
    // One that was there keeps its mode when it is opened.
    file.set_permissions(Permissions::from_mode(0o600))?;
    Ok(file)
}

/// A value whose every change is on disk before it is acknowledged.
#[derive(Debug)]
pub struct Persisted<T> {
    path: PathBuf,
    value: Mutex<T>,
}

impl<T: Serialize + DeserializeOwned + Default + Clone> Persisted<T> {
    /// Opens the snapshot at `path`, or starts from the default. Its folder is
    /// made when it is missing; one that is there may be anybody's and keeps
    /// its mode.
    pub fn open(path: impl AsRef<Path>) -> anyhow::Result<Self> {
        let path = path.as_ref().to_path_buf();
        if let Some(folder) = path.parent() {
            DirBuilder::new()
                .recursive(true)
                .mode(0o700)
                .create(folder)
                .with_context(|| format!("creating {}", folder.display()))?;
        }
        let value = match fs::read(&path) {
            Ok(bytes) => {
                fs::set_permissions(&path, Permissions::from_mode(0o600))
                    .with_context(|| format!("protecting {}", path.display()))?;
                serde_json::from_slice(&bytes)
                    .with_context(|| format!("reading {}", path.display()))?
            }
            Err(error) if error.kind() == std::io::ErrorKind::NotFound => T::default(),
            Err(error) => return Err(error).with_context(|| format!("opening {}", path.display())),
        };
        Ok(Self { path, value: Mutex::new(value) })
    }

    pub fn read<R>(&self, f: impl FnOnce(&T) -> R) -> R {
        f(&self.lock())
    }

    /// Changes the value and writes the snapshot; when writing fails the value
    /// stays what it was.
    pub fn mutate<R>(&self, f: impl FnOnce(&mut T) -> R) -> anyhow::Result<R> {
        let mut value = self.lock();
        let mut next = value.clone();
        let result = f(&mut next);
        let temporary = self.path.with_extension("tmp");
        let mut file = private_file(&temporary)?;
        file.write_all(&serde_json::to_vec(&next)?)?;
        file.sync_data()?;
        fs::rename(&temporary, &self.path)?;
        *value = next;
        Ok(result)
    }

    fn lock(&self) -> std::sync::MutexGuard<'_, T> {
        // A panic while the lock was held left the last written value behind,
        // because changes are made on a copy.
        self.value.lock().unwrap_or_else(std::sync::PoisonError::into_inner)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_change_is_there_after_reopening() {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("state/list.json");
        let state: Persisted<Vec<u32>> = Persisted::open(&path).unwrap();
        state.mutate(|list| list.push(7)).unwrap();
        drop(state);
        let again: Persisted<Vec<u32>> = Persisted::open(&path).unwrap();
        assert_eq!(again.read(Clone::clone), vec![7]);
    }

    fn mode(path: &Path) -> u32 {
        fs::metadata(path).unwrap().permissions().mode() & 0o777
    }

    #[test]
    fn only_the_owner_reads_it() {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("state/inner/list.json");
        let state: Persisted<Vec<u32>> = Persisted::open(&path).unwrap();
        state.mutate(|list| list.push(7)).unwrap();
        assert_eq!(mode(&path), 0o600);
        assert_eq!(mode(&folder.path().join("state")), 0o700);
        assert_eq!(mode(&folder.path().join("state/inner")), 0o700);
    }

    #[test]
    fn what_others_could_read_is_closed_to_them() {
        let folder = tempfile::tempdir().unwrap();
        let outer = folder.path().join("state");
        fs::create_dir(&outer).unwrap();
        let (path, leftover) = (outer.join("list.json"), outer.join("list.tmp"));
        for file in [&path, &leftover] {
            fs::write(file, "[7]").unwrap();
            fs::set_permissions(file, Permissions::from_mode(0o644)).unwrap();
        }
        fs::set_permissions(&outer, Permissions::from_mode(0o755)).unwrap();
        private_folder(&outer).unwrap();
        let state: Persisted<Vec<u32>> = Persisted::open(&path).unwrap();
        assert_eq!((mode(&outer), mode(&path)), (0o700, 0o600));
        state.mutate(|list| list.push(8)).unwrap();
        assert_eq!(mode(&path), 0o600);
        assert_eq!(state.read(Clone::clone), vec![7, 8]);
    }
}
