//! The store of the catalog.

mod articles;
mod categories;
mod flags;
mod plans;
mod prices;

use async_trait::async_trait;
use catalog::{Article, CatalogTx, Category, FeatureFlag, Plan, PlanFilter};
use kernel::{CategoryId, PriceId};
use ports::Result;

pg::store!(Tx {
    Article => articles::Model,
    Category => categories::Model,
    FeatureFlag => flags::Model,
    Plan => plans::Model,
});

#[async_trait]
impl CatalogTx for Tx {
    async fn categories(&mut self, active_only: bool) -> Result<Vec<Category>> {
        categories::all(self, active_only).await
    }

    async fn plans(&mut self, filter: PlanFilter) -> Result<Vec<Plan>> {
        plans::all(self, filter).await
    }

    async fn plan_of_price(&mut self, id: PriceId) -> Result<Option<Plan>> {
        plans::of_price(self, id).await
    }

    async fn flags(&mut self) -> Result<Vec<FeatureFlag>> {
        flags::all(self).await
    }

    async fn articles(&mut self, category: CategoryId) -> Result<Vec<Article>> {
        articles::of_category(self, category).await
    }
}
