//! The prices of a plan, a part of it.

use catalog::{Plan, Price};
use kernel::{Money, PlanId, PriceId};
use ports::Result;
use sea_orm::{
    ActiveValue::Set, EntityTrait, QueryTrait as _, entity::prelude::*, sea_query::OnConflict,
};

use super::plans;
use pg::{PgTx, Unreadable};

#[derive(Clone, Debug, PartialEq, Eq, DeriveEntityModel)]
#[sea_orm(table_name = "catalog_prices")]
pub struct Model {
    #[sea_orm(primary_key, auto_increment = false)]
    pub id: PriceId,
    pub plan_id: PlanId,
    pub position: i32,
    pub billing_interval: String,
    pub amount_minor: i64,
    #[sea_orm(column_type = "Char(Some(3))")]
    pub currency: String,
    pub active: bool,
}

#[derive(Copy, Clone, Debug, EnumIter, DeriveRelation)]
pub enum Relation {
    #[sea_orm(belongs_to = "plans::Entity", from = "Column::PlanId", to = "plans::Column::Id")]
    Plan,
}

impl Related<plans::Entity> for Entity {
    fn to() -> RelationDef {
        Relation::Plan.def()
    }
}

impl ActiveModelBehavior for ActiveModel {}

impl Model {
    pub fn open(self) -> Result<Price, Unreadable> {
        Ok(Price {
            id: self.id,
            interval: self.billing_interval.parse()?,
            amount: Money::new(self.amount_minor, self.currency.parse()?),
            active: self.active,
        })
    }
}

/// Writes the prices in their order. Retired ones stand before those that replace them, so
/// that at no moment two of an interval are active.
pub async fn save(tx: &mut PgTx, plan: &Plan) -> Result<()> {
    let rows = (0..).zip(&plan.prices).map(|(position, price)| ActiveModel {
        id: Set(price.id),
        plan_id: Set(plan.id),
        position: Set(position),
        billing_interval: Set(price.interval.to_string()),
        amount_minor: Set(price.amount.minor),
        currency: Set(price.amount.currency.code().to_owned()),
        active: Set(price.active),
    });
    let there = OnConflict::column(Column::Id)
        .update_columns([Column::Active, Column::Position])
        .to_owned();
    let insert = Entity::insert_many(rows).on_conflict(there).into_query();
    tx.change("writing the prices of a plan", insert).await.map(drop)
}
