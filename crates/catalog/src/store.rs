use async_trait::async_trait;
use chrono::{DateTime, Utc};
use kernel::{Actor, CategoryId, PriceId};
use ports::{Repository, Result, UnitOfWork};

use crate::{Article, Category, FeatureFlag, Plan};

/// Which plans to list.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct PlanFilter {
    pub category: Option<CategoryId>,
    /// Only plans of active categories that a new subscriber can take then.
    pub offered_at: Option<DateTime<Utc>>,
}

/// Inserting and saving fail with `Conflict` and the name of the rule where a slug, a
/// plan's name or a flag's key is taken.
#[async_trait]
pub trait CatalogTx:
    UnitOfWork + Repository<Category> + Repository<Plan> + Repository<FeatureFlag> + Repository<Article>
{
    /// By name; `active_only` leaves out what is not offered.
    async fn categories(&mut self, active_only: bool) -> Result<Vec<Category>>;

    /// By category, tier and name.
    async fn plans(&mut self, filter: PlanFilter) -> Result<Vec<Plan>>;

    /// The plan that offers or once offered the price.
    async fn plan_of_price(&mut self, id: PriceId) -> Result<Option<Plan>>;

    /// By key.
    async fn flags(&mut self) -> Result<Vec<FeatureFlag>>;

    /// All articles of a category, by title.
    async fn articles(&mut self, category: CategoryId) -> Result<Vec<Article>>;
}

#[async_trait]
pub trait CatalogStore: Send + Sync {
    async fn begin(&self, actor: &Actor) -> Result<Box<dyn CatalogTx>>;
}
