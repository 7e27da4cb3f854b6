//! Objects: files by name, in a folder or in a bucket.

use async_trait::async_trait;
use bytes::Bytes;

use crate::Result;

#[async_trait]
pub trait Objects: Send + Sync {
    async fn put(&self, name: &str, bytes: Bytes) -> Result<()>;

    /// `None` where there is no such object.
    async fn get(&self, name: &str) -> Result<Option<Bytes>>;

    /// Removes the object; where there is none, nothing happens.
    async fn delete(&self, name: &str) -> Result<()>;

    /// The names below a prefix, in order.
    async fn list(&self, prefix: &str) -> Result<Vec<String>>;
}
