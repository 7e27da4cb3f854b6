//! The store of the catalog.

mod articles;
mod entities;
mod flags;
mod mapping;

use async_trait::async_trait;
use catalog::{
    Article, CatalogStore, CatalogTx, Category, EntryKind, FeatureFlag, Plan, PlanFilter, Revision,
};
use kernel::{Actor, ArticleId, CategoryId, FeatureFlagId, PlanId, PriceId, Uuid};
use ports::Result;
use sea_orm::{
    ColumnTrait as _, Condition, EntityTrait as _, QueryFilter as _, QueryOrder as _,
    QuerySelect as _, Select, sea_query::OnConflict,
};

use self::{
    articles::{article, from_article, to_article},
    entities::{category, plan, price},
    flags::{flag, from_flag, to_flag},
    mapping::{from_category, from_plan, from_price, to_category, to_plan},
};
use crate::core::{Pg, PgTx, db, expect_changed};

#[async_trait]
impl CatalogStore for Pg {
    async fn begin(&self, actor: &Actor) -> Result<Box<dyn CatalogTx>> {
        Ok(Box::new(self.open(actor).await?))
    }
}

#[async_trait]
impl CatalogTx for PgTx {
    async fn categories(&mut self, active_only: bool) -> Result<Vec<Category>> {
        let mut query = category::Entity::find().order_by_asc(category::Column::Name);
        if active_only {
            query = query.filter(category::Column::Active.eq(true));
        }
        let rows = query.all(self.read()).await.map_err(|e| db("listing categories", e))?;
        rows.into_iter().map(to_category).collect()
    }

    async fn category(&mut self, id: CategoryId) -> Result<Option<Category>> {
        category::Entity::find_by_id(id.uuid())
            .one(self.read())
            .await
            .map_err(|e| db("loading a category", e))?
            .map(to_category)
            .transpose()
    }

    async fn insert_category(&mut self, category: &Category) -> Result<()> {
        category::Entity::insert(from_category(category))
            .exec_without_returning(self.write())
            .await
            .map_err(|e| db("inserting a category", e))?;
        Ok(())
    }

    async fn save_category(&mut self, category: &Category) -> Result<()> {
        let result = category::Entity::update_many()
            .set(from_category(category))
            .filter(category::Column::Id.eq(category.id.uuid()))
            .filter(category::Column::Version.eq(category.version - 1))
            .exec(self.write())
            .await
            .map_err(|e| db("saving a category", e))?;
        expect_changed(result.rows_affected, "category version")
    }

    async fn plans(&mut self, filter: PlanFilter) -> Result<Vec<Plan>> {
        let mut query = plan::Entity::find();
        if let Some(category) = filter.category {
            query = query.filter(plan::Column::CategoryId.eq(category.uuid()));
        }
        if let Some(at) = filter.offered_at {
            let active = category::Entity::find()
                .select_only()
                .column(category::Column::Id)
                .filter(category::Column::Active.eq(true));
            query = query
                .filter(plan::Column::Active.eq(true))
                .filter(open_or(plan::Column::ActiveFrom, plan::Column::ActiveFrom.lte(at)))
                .filter(open_or(plan::Column::ActiveUntil, plan::Column::ActiveUntil.gt(at)))
                .filter(
                    plan::Column::CategoryId.in_subquery(sea_orm::QueryTrait::into_query(active)),
                );
        }
        let mut plans = self.with_prices(query).await?;
        plans.sort_by(|a, b| (a.category, a.tier, &a.name).cmp(&(b.category, b.tier, &b.name)));
        Ok(plans)
    }

    async fn plan(&mut self, id: PlanId) -> Result<Option<Plan>> {
        Ok(self.with_prices(plan::Entity::find_by_id(id.uuid())).await?.pop())
    }

    async fn plan_of_price(&mut self, id: PriceId) -> Result<Option<Plan>> {
        let row = price::Entity::find_by_id(id.uuid())
            .one(self.read())
            .await
            .map_err(|e| db("loading a price", e))?;
        match row {
            Some(row) => CatalogTx::plan(self, row.plan_id.into()).await,
            None => Ok(None),
        }
    }

    async fn insert_plan(&mut self, plan: &Plan) -> Result<()> {
        plan::Entity::insert(from_plan(plan))
            .exec_without_returning(self.write())
            .await
            .map_err(|e| db("inserting a plan", e))?;
        self.put_prices(plan).await
    }

    async fn save_plan(&mut self, plan: &Plan) -> Result<()> {
        let result = plan::Entity::update_many()
            .set(from_plan(plan))
            .filter(plan::Column::Id.eq(plan.id.uuid()))
            .filter(plan::Column::Version.eq(plan.version - 1))
            .exec(self.write())
            .await
            .map_err(|e| db("saving a plan", e))?;
        expect_changed(result.rows_affected, "plan version")?;
        self.put_prices(plan).await
    }

    async fn flags(&mut self) -> Result<Vec<FeatureFlag>> {
        let rows = flag::Entity::find()
            .order_by_asc(flag::Column::Key)
            .all(self.read())
            .await
            .map_err(|e| db("listing feature flags", e))?;
        rows.into_iter().map(to_flag).collect()
    }

    async fn flag(&mut self, id: FeatureFlagId) -> Result<Option<FeatureFlag>> {
        flag::Entity::find_by_id(id.uuid())
            .one(self.read())
            .await
            .map_err(|e| db("loading a feature flag", e))?
            .map(to_flag)
            .transpose()
    }

    async fn insert_flag(&mut self, flag: &FeatureFlag) -> Result<()> {
        flag::Entity::insert(from_flag(flag))
            .exec_without_returning(self.write())
            .await
            .map_err(|e| db("inserting a feature flag", e))?;
        Ok(())
    }

    async fn save_flag(&mut self, flag: &FeatureFlag) -> Result<()> {
        let result = flag::Entity::update_many()
            .set(from_flag(flag))
            .filter(flag::Column::Id.eq(flag.id.uuid()))
            .filter(flag::Column::Version.eq(flag.version - 1))
            .exec(self.write())
            .await
            .map_err(|e| db("saving a feature flag", e))?;
        expect_changed(result.rows_affected, "feature flag version")
    }

    async fn delete_flag(&mut self, flag: &FeatureFlag) -> Result<()> {
        let result = flag::Entity::delete_many()
            .filter(flag::Column::Id.eq(flag.id.uuid()))
            .filter(flag::Column::Version.eq(flag.version))
            .exec(self.write())
            .await
            .map_err(|e| db("deleting a feature flag", e))?;
        expect_changed(result.rows_affected, "feature flag version")
    }

    async fn articles(&mut self, category: CategoryId) -> Result<Vec<Article>> {
        let rows = article::Entity::find()
            .filter(article::Column::CategoryId.eq(category.uuid()))
            .order_by_asc(article::Column::Title)
            .order_by_asc(article::Column::Id)
            .all(self.read())
            .await
            .map_err(|e| db("listing articles", e))?;
        rows.into_iter().map(to_article).collect()
    }

    async fn article(&mut self, id: ArticleId) -> Result<Option<Article>> {
        article::Entity::find_by_id(id.uuid())
            .one(self.read())
            .await
            .map_err(|e| db("loading an article", e))?
            .map(to_article)
            .transpose()
    }

    async fn insert_article(&mut self, article: &Article) -> Result<()> {
        article::Entity::insert(from_article(article))
            .exec_without_returning(self.write())
            .await
            .map_err(|e| db("inserting an article", e))?;
        Ok(())
    }

    async fn save_article(&mut self, article: &Article) -> Result<()> {
        let result = article::Entity::update_many()
            .set(from_article(article))
            .filter(article::Column::Id.eq(article.id.uuid()))
            .filter(article::Column::Version.eq(article.version - 1))
            .exec(self.write())
            .await
            .map_err(|e| db("saving an article", e))?;
        expect_changed(result.rows_affected, "article version")
    }

    async fn delete_article(&mut self, article: &Article) -> Result<()> {
        let result = article::Entity::delete_many()
            .filter(article::Column::Id.eq(article.id.uuid()))
            .filter(article::Column::Version.eq(article.version))
            .exec(self.write())
            .await
            .map_err(|e| db("deleting an article", e))?;
        expect_changed(result.rows_affected, "article version")
    }

    async fn keep_revision(&mut self, revision: &Revision) -> Result<()> {
        self.put_revision(revision).await
    }

    async fn revision(
        &mut self,
        kind: EntryKind,
        entry: Uuid,
        version: i64,
    ) -> Result<Option<Revision>> {
        self.find_revision(kind, entry, version).await
    }
}

/// A bound that holds, or that there is none.
fn open_or(column: plan::Column, bound: sea_orm::sea_query::SimpleExpr) -> Condition {
    Condition::any().add(column.is_null()).add(bound)
}

impl PgTx {
    /// Plans with their prices, in one statement: two would show a plan of before
    /// a change with the prices of after it.
    async fn with_prices(&self, plans: Select<plan::Entity>) -> Result<Vec<Plan>> {
        let found = plans
            .find_with_related(price::Entity)
            .order_by_asc(price::Column::Position)
            .all(self.read())
            .await
            .map_err(|e| db("loading plans", e))?;
        found.into_iter().map(|(plan, prices)| to_plan(plan, prices)).collect()
    }

    /// Writes the prices in their order. Retired ones stand before those that
    /// replace them, so that at no moment two of an interval are active.
    async fn put_prices(&mut self, plan: &Plan) -> Result<()> {
        for (position, price) in (0..).zip(&plan.prices) {
            price::Entity::insert(from_price(plan, position, price))
                .on_conflict(
                    OnConflict::column(price::Column::Id)
                        .update_columns([price::Column::Active, price::Column::Position])
                        .to_owned(),
                )
                .exec_without_returning(self.write())
                .await
                .map_err(|e| db("writing a price", e))?;
        }
        Ok(())
    }
}
