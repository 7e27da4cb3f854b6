//! Reference data that a node keeps in memory. An edit of this process is seen at
//! once, one of another node when its notice is heard. While notices are not heard
//! nothing is served from memory, and nothing is kept for long in any case.

use std::{
    hash::Hash,
    sync::{
        Arc,
        atomic::{AtomicBool, AtomicU64, Ordering},
    },
    time::Duration,
};

use moka::future::Cache;

use crate::{PortError, Result};

/// Whether the notices of other nodes are heard. A process that has nobody to
/// listen for it takes itself for the only one.
#[derive(Clone, Debug, Default)]
pub struct Hearing(Arc<AtomicBool>);

impl Hearing {
    pub fn set(&self, hears: bool) {
        self.0.store(!hears, Ordering::SeqCst);
    }

    fn is_lost(&self) -> bool {
        self.0.load(Ordering::SeqCst)
    }
}

#[derive(Clone)]
pub struct Kept<K, V> {
    /// By the number of edits that this process has made or heard of, so that what was
    /// read before an edit does not come back after it.
    values: Cache<(u64, K), V>,
    edits: Arc<AtomicU64>,
    hearing: Hearing,
}

impl<K, V> Kept<K, V>
where
    K: Clone + Eq + Hash + Send + Sync + 'static,
    V: Clone + Send + Sync + 'static,
{
    /// Keeps so many values, each for at most that long.
    pub fn new(capacity: u64, life: Duration, hearing: Hearing) -> Self {
        let values = Cache::builder().max_capacity(capacity).time_to_live(life).build();
        Self { values, edits: Arc::default(), hearing }
    }

    /// The value of the key, from memory or as it is loaded, once for all who ask at
    /// the same time.
    pub async fn get(&self, key: K, load: impl Future<Output = Result<V>>) -> Result<V> {
        if self.hearing.is_lost() {
            return load.await;
        }
        let key = (self.edits.load(Ordering::SeqCst), key);
        self.values.try_get_with(key, load).await.map_err(|error| PortError::clone(&error))
    }

    /// Lets the next question load anew, as after an edit.
    pub fn forget(&self) {
        self.edits.fetch_add(1, Ordering::SeqCst);
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[tokio::test]
    async fn what_is_kept_is_forgotten_by_an_edit_and_not_used_while_notices_are_lost() {
        let hearing = Hearing::default();
        let kept = Kept::new(10, Duration::from_secs(60), hearing.clone());
        let loads = AtomicU64::new(0);
        let get = async || {
            let load = async { Ok(loads.fetch_add(1, Ordering::Relaxed)) };
            kept.get("key", load).await.unwrap()
        };
        assert_eq!((get().await, get().await), (0, 0));
        kept.forget();
        assert_eq!((get().await, get().await), (1, 1));
        hearing.set(false);
        assert_eq!((get().await, get().await), (2, 3));
        hearing.set(true);
        assert_eq!(get().await, 1);
        let failed = kept.get("other", async { Err(PortError::bug("no")) }).await;
        assert!(failed.is_err(), "a failure is not kept");
        assert_eq!(kept.get("other", async { Ok(9) }).await.unwrap(), 9);
    }
}
