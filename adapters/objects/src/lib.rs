//! Objects in a folder, or in whatever else `object_store` reaches. It owns
//! the rule for names and the durability of a write, and knows nothing of what
//! the objects hold.

use std::{path::PathBuf, sync::Arc};

use async_trait::async_trait;
use bytes::Bytes;
use futures::TryStreamExt;
use object_store::{ObjectStore, ObjectStoreExt, local::LocalFileSystem, path::Path};
use ports::{PortError, objects::Objects};

const MAX_NAME: usize = 512;

/// Objects of one store.
pub struct StoredObjects {
    store: Arc<dyn ObjectStore>,
}

#[derive(Debug, thiserror::Error)]
#[error(
    "{name:?} is not the name of an object: slash-separated words of letters, digits, '.', '_' and '-' that begin with a letter or a digit"
)]
struct InvalidName {
    name: String,
}

impl StoredObjects {
    /// Objects in a folder, which is made where it is absent. A put that was
    /// acknowledged survives the machine.
    pub fn in_folder(dir: impl Into<PathBuf>) -> ports::Result<Self> {
        let dir = dir.into();
        std::fs::create_dir_all(&dir)
            .map_err(|error| PortError::internal("making the folder of the objects", error))?;
        let store = LocalFileSystem::new_with_prefix(&dir)
            .map_err(|error| PortError::internal("opening the folder of the objects", error))?
            .with_fsync(true);
        Ok(Self { store: Arc::new(store) })
    }

    /// Objects in any store, as in a bucket.
    pub fn new(store: Arc<dyn ObjectStore>) -> Self {
        Self { store }
    }
}

#[async_trait]
impl Objects for StoredObjects {
    async fn put(&self, name: &str, bytes: Bytes) -> ports::Result<()> {
        let path = path(name)?;
        self.store.put(&path, bytes.into()).await.map_err(failed("putting an object"))?;
        Ok(())
    }

    async fn get(&self, name: &str) -> ports::Result<Option<Bytes>> {
        let path = path(name)?;
        match self.store.get(&path).await {
            Ok(found) => found.bytes().await.map(Some).map_err(failed("reading an object")),
            Err(object_store::Error::NotFound { .. }) => Ok(None),
            Err(error) => Err(failed("getting an object")(error)),
        }
    }

    async fn delete(&self, name: &str) -> ports::Result<()> {
        let path = path(name)?;
        match self.store.delete(&path).await {
            Ok(()) | Err(object_store::Error::NotFound { .. }) => Ok(()),
            Err(error) => Err(failed("deleting an object")(error)),
        }
    }

    async fn list(&self, prefix: &str) -> ports::Result<Vec<String>> {
        let prefix = path(prefix)?;
        let mut names: Vec<String> = self
            .store
            .list(Some(&prefix))
            .map_ok(|object| object.location.to_string())
            .try_collect()
            .await
            .map_err(failed("listing objects"))?;
        names.sort_unstable();
        Ok(names)
    }
}

fn failed(doing: &'static str) -> impl FnOnce(object_store::Error) -> PortError {
    move |error| PortError::internal(doing, error)
}

fn path(name: &str) -> ports::Result<Path> {
    let word = |word: &str| {
        word.starts_with(|first: char| first.is_ascii_alphanumeric())
            && word.chars().all(|c| c.is_ascii_alphanumeric() || matches!(c, '.' | '_' | '-'))
    };
    if name.len() <= MAX_NAME && name.split('/').all(word) {
        Path::parse(name).map_err(|error| PortError::internal("naming an object", error))
    } else {
        let invalid = InvalidName { name: name.chars().take(MAX_NAME).collect() };
        Err(PortError::internal("naming an object", invalid))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[tokio::test]
    async fn objects_are_kept_and_listed_in_order() {
        let dir = tempfile::tempdir().unwrap();
        let objects = StoredObjects::in_folder(dir.path().join("objects")).unwrap();
        assert_eq!(objects.get("a/1.json").await.unwrap(), None);
        assert!(objects.list("a").await.unwrap().is_empty());
        for name in ["a/2.json", "a/10.json", "a/1.json", "b/1.json"] {
            objects.put(name, Bytes::from(name.to_owned())).await.unwrap();
        }
        objects.put("a/1.json", Bytes::from_static(b"new")).await.unwrap();

        let again = StoredObjects::in_folder(dir.path().join("objects")).unwrap();
        assert_eq!(again.get("a/1.json").await.unwrap(), Some(Bytes::from_static(b"new")));
        assert_eq!(again.list("a").await.unwrap(), ["a/1.json", "a/10.json", "a/2.json"]);
    }

    #[tokio::test]
    async fn a_deleted_object_is_gone_and_may_be_deleted_again() {
        let dir = tempfile::tempdir().unwrap();
        let objects = StoredObjects::in_folder(dir.path().join("objects")).unwrap();
        objects.put("a/1", Bytes::from_static(b"x")).await.unwrap();
        objects.put("a/2", Bytes::from_static(b"y")).await.unwrap();
        objects.delete("a/1").await.unwrap();
        objects.delete("a/1").await.unwrap();
        assert_eq!(objects.get("a/1").await.unwrap(), None);
        assert_eq!(objects.list("a").await.unwrap(), ["a/2"]);
    }

    #[tokio::test]
    async fn a_name_cannot_leave_the_folder() {
        let dir = tempfile::tempdir().unwrap();
        let objects = StoredObjects::in_folder(dir.path().join("objects")).unwrap();
        let long = "a".repeat(600);
        for name in
            ["", "/a", "a/", "a//b", "../a", "a/../b", ".a", "a\\b", "a b", "a\0", "é", &long]
        {
            assert!(objects.put(name, Bytes::new()).await.is_err(), "{name:?}");
            assert!(objects.get(name).await.is_err(), "{name:?}");
            assert!(objects.delete(name).await.is_err(), "{name:?}");
        }
    }
}
