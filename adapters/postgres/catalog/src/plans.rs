//! Plans, each with its prices.

use std::collections::BTreeMap;

use async_trait::async_trait;
use catalog::{ActivationWindow, Plan, PlanFilter, Tier};
use kernel::{CategoryId, PlanId, PriceId};
use ports::Result;
use sea_orm::{
    Condition, QueryOrder as _, QuerySelect as _, QueryTrait as _, Select, entity::prelude::*,
};
use serde_json::json;

use super::{categories, prices};
use pg::{PgTx, Row, Unreadable, db, opened_with, reached};

#[derive(Clone, Debug, PartialEq, Eq, DeriveEntityModel)]
#[sea_orm(table_name = "catalog_plans")]
pub struct Model {
    #[sea_orm(primary_key, auto_increment = false)]
    pub id: PlanId,
    pub category_id: CategoryId,
    pub name: String,
    pub description: String,
    pub tier: Tier,
    pub features: Json,
    pub treatments: Json,
    pub comparison: Json,
    pub active_from: Option<ChronoDateTimeUtc>,
    pub active_until: Option<ChronoDateTimeUtc>,
    pub active: bool,
    pub version: i64,
}

#[derive(Copy, Clone, Debug, EnumIter, DeriveRelation)]
pub enum Relation {
    #[sea_orm(has_many = "prices::Entity")]
    Prices,
}

impl Related<prices::Entity> for Entity {
    fn to() -> RelationDef {
        Relation::Prices.def()
    }
}

impl ActiveModelBehavior for ActiveModel {}

#[async_trait]
impl Row for Model {
    type Aggregate = Plan;

    const HAS_PARTS: bool = true;

    fn open(self) -> Result<Plan, Unreadable> {
        Ok(Plan {
            id: self.id,
            category: self.category_id,
            name: self.name,
            description: self.description,
            tier: self.tier,
            features: serde_json::from_value(self.features)?,
            treatments: serde_json::from_value(self.treatments)?,
            comparison: serde_json::from_value(self.comparison)?,
            window: ActivationWindow { from: self.active_from, until: self.active_until },
            active: self.active,
            prices: Vec::new(),
            version: self.version,
        })
    }

    fn close(plan: &Plan) -> Self {
        Self {
            id: plan.id,
            category_id: plan.category,
            name: plan.name.clone(),
            description: plan.description.clone(),
            tier: plan.tier,
            features: json!(plan.features),
            treatments: json!(plan.treatments),
            comparison: json!(plan.comparison),
            active_from: plan.window.from,
            active_until: plan.window.until,
            active: plan.active,
            version: plan.version,
        }
    }

    async fn load(tx: &PgTx, select: Select<Entity>) -> Result<Vec<Plan>> {
        let found = select
            .find_with_related(prices::Entity)
            .order_by_asc(prices::Column::Position)
            .all(tx.read())
            .await
            .map_err(|error| db("reading plans", error))?;
        let plan = |(row, prices): (Self, Vec<prices::Model>)| {
            opened_with(tx, row, |plan| {
                plan.prices =
                    prices.into_iter().map(prices::Model::open).collect::<Result<_, _>>()?;
                Ok(())
            })
        };
        found.into_iter().map(plan).collect()
    }

    async fn save_parts(tx: &mut PgTx, plan: &Plan) -> Result<()> {
        prices::save(tx, plan).await
    }

    /// Those on offer; a retired one is no part of what a plan says.
    fn parts(plan: &Plan) -> BTreeMap<String, Json> {
        let prices = plan.offered_prices();
        prices
            .map(|price| (format!("prices.{}", price.interval), price.amount.to_string().into()))
            .collect()
    }
}

pub async fn all(tx: &PgTx, filter: PlanFilter) -> Result<Vec<Plan>> {
    let mut found = reached::<Model>(tx);
    if let Some(category) = filter.category {
        found = found.filter(Column::CategoryId.eq(category));
    }
    if let Some(at) = filter.offered_at {
        let active = categories::Entity::find()
            .select_only()
            .column(categories::Column::Id)
            .filter(categories::Column::Active.eq(true));
        found = found
            .filter(Column::Active.eq(true))
            .filter(open_or(Column::ActiveFrom, Column::ActiveFrom.lte(at)))
            .filter(open_or(Column::ActiveUntil, Column::ActiveUntil.gt(at)))
            .filter(Column::CategoryId.in_subquery(active.into_query()));
    }
    let mut plans = Model::load(tx, found).await?;
    plans.sort_by(|a, b| (a.category, a.tier, &a.name).cmp(&(b.category, b.tier, &b.name)));
    Ok(plans)
}

pub async fn of_price(tx: &PgTx, id: PriceId) -> Result<Option<Plan>> {
    let plan =
        prices::Entity::find_by_id(id).select_only().column(prices::Column::PlanId).into_query();
    Ok(Model::load(tx, reached::<Model>(tx).filter(Column::Id.in_subquery(plan))).await?.pop())
}

/// A bound that holds, or that there is none.
fn open_or(column: Column, bound: sea_orm::sea_query::SimpleExpr) -> Condition {
    Condition::any().add(column.is_null()).add(bound)
}
