use async_trait::async_trait;
use chrono::{DateTime, Utc};
use kernel::{Actor, ArticleId, CategoryId, FeatureFlagId, PlanId, PriceId, Uuid};
use ports::{Result, UnitOfWork};

use crate::{Article, Category, EntryKind, FeatureFlag, Plan, Revision};

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

    /// By key.
    async fn flags(&mut self) -> Result<Vec<FeatureFlag>>;

    async fn flag(&mut self, id: FeatureFlagId) -> Result<Option<FeatureFlag>>;

    /// Fails with `Conflict("feature_flag_key")` where there is a flag of that
    /// key.
    async fn insert_flag(&mut self, flag: &FeatureFlag) -> Result<()>;

    /// Fails with `Conflict` unless the stored version is the one before.
    async fn save_flag(&mut self, flag: &FeatureFlag) -> Result<()>;

    /// Fails with `Conflict` unless this is the stored version.
    async fn delete_flag(&mut self, flag: &FeatureFlag) -> Result<()>;

    /// All articles of a category, by title.
    async fn articles(&mut self, category: CategoryId) -> Result<Vec<Article>>;

    async fn article(&mut self, id: ArticleId) -> Result<Option<Article>>;

    async fn insert_article(&mut self, article: &Article) -> Result<()>;

    /// Fails with `Conflict` unless the stored version is the one before.
    async fn save_article(&mut self, article: &Article) -> Result<()>;

    /// Fails with `Conflict` unless this is the stored version.
    async fn delete_article(&mut self, article: &Article) -> Result<()>;

    /// Keeps what an entry says in a version; once it is kept it stays.
    async fn keep_revision(&mut self, revision: &Revision) -> Result<()>;

    /// What an entry said in a version; `None` where that was not kept.
    async fn revision(
        &mut self,
        kind: EntryKind,
        entry: Uuid,
        version: i64,
    ) -> Result<Option<Revision>>;
}

#[async_trait]
pub trait CatalogStore: Send + Sync {
    async fn begin(&self, actor: &Actor) -> Result<Box<dyn CatalogTx>>;
}
