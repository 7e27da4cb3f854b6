//! What anybody may read of the catalog, from memory.

use std::{sync::Arc, time::Duration};

use kernel::{Actor, Permission};
use ports::{Hearing, Kept};

use crate::{CatalogError, CatalogStore, Category, categories};

/// Should the notice of an edit be lost, it is seen within this time.
const LIFE: Duration = Duration::from_secs(3);

#[derive(Clone)]
pub struct Shown {
    store: Arc<dyn CatalogStore>,
    categories: Kept<(), Arc<Vec<Category>>>,
}

impl Shown {
    pub fn new(store: Arc<dyn CatalogStore>, hearing: Hearing) -> Self {
        Self { store, categories: Kept::new(2, LIFE, hearing) }
    }

    /// The categories that patients can start in, by name; an administrator sees the
    /// others as well.
    pub async fn categories(&self, actor: &Actor) -> Result<Arc<Vec<Category>>, CatalogError> {
        if actor.may(Permission::CatalogAdminister) {
            return categories(self.store.as_ref(), actor).await.map(Arc::new);
        }
        let load = async {
            let mut tx = self.store.begin(&Actor::system("catalog.shown")).await?;
            tx.categories(true).await.map(Arc::new)
        };
        Ok(self.categories.get((), load).await?)
    }

    /// Lets the next question read anew, as after an edit.
    pub fn forget(&self) {
        self.categories.forget();
    }
}
