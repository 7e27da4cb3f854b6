//! The history of subscriptions.

use ::subscriptions::{Change, ChangeReason, StateWord, Subscription};
use kernel::{AccountId, PatientId, Permission, SubscriptionId};
use ports::Result;
use sea_orm::{ActiveValue::Set, QueryOrder as _, QueryTrait as _, entity::prelude::*};

use super::stored;
use pg::{PgTx, db, reach};

#[derive(Clone, Debug, PartialEq, Eq, DeriveEntityModel)]
#[sea_orm(table_name = "subscription_changes")]
pub struct Model {
    #[sea_orm(primary_key)]
    pub seq: i64,
    pub subscription_id: SubscriptionId,
    pub patient_id: PatientId,
    pub changed_at: ChronoDateTimeUtc,
    pub from_state: Option<StateWord>,
    pub to_state: StateWord,
    pub reason: ChangeReason,
    pub period_index: i32,
    pub actor_kind: String,
    pub actor_id: Option<AccountId>,
}

#[derive(Copy, Clone, Debug, EnumIter, DeriveRelation)]
pub enum Relation {}

impl ActiveModelBehavior for ActiveModel {}

pub async fn add(tx: &mut PgTx, subscription: &Subscription, change: &Change) -> Result<()> {
    let row = ActiveModel {
        subscription_id: Set(subscription.id),
        patient_id: Set(subscription.patient),
        changed_at: Set(change.at),
        from_state: Set(change.from),
        to_state: Set(change.to),
        reason: Set(change.reason),
        period_index: Set(stored(change.period_index)),
        actor_kind: Set(change.actor_kind.clone()),
        actor_id: Set(change.actor),
        ..Default::default()
    };
    let insert = Entity::insert(row).into_query();
    tx.change("adding to a subscription's history", insert).await.map(drop)
}

pub async fn of(tx: &PgTx, id: SubscriptionId) -> Result<Vec<Change>> {
    let rows = Entity::find()
        .filter(reach(tx.actor(), Column::PatientId, Permission::SubscriptionReadAny))
        .filter(Column::SubscriptionId.eq(id))
        .order_by_asc(Column::Seq)
        .all(tx.read())
        .await
        .map_err(|error| db("reading a subscription's history", error))?;
    let change = |row: Model| Change {
        at: row.changed_at,
        from: row.from_state,
        to: row.to_state,
        reason: row.reason,
        period_index: row.period_index.unsigned_abs(),
        actor_kind: row.actor_kind,
        actor: row.actor_id,
    };
    Ok(rows.into_iter().map(change).collect())
}
