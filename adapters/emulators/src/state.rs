//! State that outlives its process: the vendors remember what Salus told them
//! even when the emulator was killed, as real ones do.

use std::{
    fs,
    io::Write as _,
    path::{Path, PathBuf},
    sync::Mutex,
};

use anyhow::Context as _;
use serde::{Serialize, de::DeserializeOwned};

/// A value whose every change is on disk before it is acknowledged.
#[derive(Debug)]
pub struct Persisted<T> {
    path: PathBuf,
    value: Mutex<T>,
}

impl<T: Serialize + DeserializeOwned + Default + Clone> Persisted<T> {
    /// Opens the snapshot at `path`, or starts from the default.
    pub fn open(path: impl AsRef<Path>) -> anyhow::Result<Self> {
        let path = path.as_ref().to_path_buf();
        if let Some(folder) = path.parent() {
            fs::create_dir_all(folder).with_context(|| format!("creating {}", folder.display()))?;
        }
        let value = match fs::read(&path) {
            Ok(bytes) => serde_json::from_slice(&bytes)
                .with_context(|| format!("reading {}", path.display()))?,
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
        let mut file = fs::File::create(&temporary)?;
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
}
