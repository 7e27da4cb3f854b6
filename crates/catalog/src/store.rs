use async_trait::async_trait;
use chrono::{DateTime, Utc};
use kernel::{Actor, CategoryId, PlanId, PriceId};
use ports::{Result, UnitOfWork};

use crate::{Category, Plan};

/// Which plans to list.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct PlanFilter {
    pub category: Option<CategoryId>,
    /// Only plans of active categories that a new subscriber can take then.
    pub offered_at: Option<DateTime<Utc>>,
}

#[async_trait]
pub trait CatalogTx: UnitOfWork {
    /// By name; `active_only` leaves out what is not offered.
    async fn categories(&mut self, active_only: bool) -> Result<Vec<Category>>;

    async fn category(&mut self, id: CategoryId) -> Result<Option<Category>>;

    async fn insert_category(&mut self, category: &Category) -> Result<()>;

    /// Fails with `Conflict` unless the stored version is the one before.
    async fn save_category(&mut self, category: &Category) -> Result<()>;

    /// By category, tier and name.
    async fn plans(&mut self, filter: PlanFilter) -> Result<Vec<Plan>>;

    async fn plan(&mut self, id: PlanId) -> Result<Option<Plan>>;

    /// The plan that offers or once offered the price.
    async fn plan_of_price(&mut self, id: PriceId) -> Result<Option<Plan>>;

    /// Fails with `Conflict("plan_name_key")` where the category already has a
    /// plan of that name.
    async fn insert_plan(&mut self, plan: &Plan) -> Result<()>;

    /// Fails with `Conflict` unless the stored version is the one before, and
    /// with `Conflict("plan_name_key")` as `insert_plan` does.
    async fn save_plan(&mut self, plan: &Plan) -> Result<()>;
}

#[async_trait]
pub trait CatalogStore: Send + Sync {
    async fn begin(&self, actor: &Actor) -> Result<Box<dyn CatalogTx>>;
}
