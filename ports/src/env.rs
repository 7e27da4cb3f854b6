use std::sync::Arc;

use crate::{Clock, Ids};

/// The surroundings of a use case: the time and fresh ids.
#[derive(Clone)]
pub struct Env {
    pub clock: Arc<dyn Clock>,
    pub ids: Arc<dyn Ids>,
}

impl Env {
    pub fn now(&self) -> chrono::DateTime<chrono::Utc> {
        self.clock.now()
    }

    /// A fresh typed id, as in `env.fresh::<InvoiceId>()`.
    pub fn fresh<T: From<kernel::Uuid>>(&self) -> T {
        self.ids.fresh()
    }
}
