//! What administrators set, by name and key.

use ports::Result;
use sea_orm::{
    ActiveValue::Set, QueryOrder as _, QueryTrait as _, entity::prelude::*, sea_query::OnConflict,
};
use serde_json::Value;

use crate::Tx;
use pg::db;

#[derive(Clone, Debug, PartialEq, Eq, DeriveEntityModel)]
#[sea_orm(table_name = "care_settings")]
pub struct Model {
    #[sea_orm(primary_key, auto_increment = false)]
    pub name: String,
    #[sea_orm(primary_key, auto_increment = false)]
    pub key: String,
    pub value: Json,
    pub version: i64,
}

#[derive(Copy, Clone, Debug, EnumIter, DeriveRelation)]
pub enum Relation {}

impl ActiveModelBehavior for ActiveModel {}

pub async fn one(tx: &Tx, name: &str, key: &str) -> Result<Option<(Value, i64)>> {
    let found = Entity::find_by_id((name.to_owned(), key.to_owned())).one(tx.read()).await;
    let found = found.map_err(|error| db("reading a setting", error))?;
    Ok(found.map(|setting| (setting.value, setting.version)))
}

pub async fn all(tx: &Tx, name: &str) -> Result<Vec<(Value, i64)>> {
    let found = Entity::find().filter(Column::Name.eq(name)).order_by_asc(Column::Key);
    let found = found.all(tx.read()).await.map_err(|error| db("reading settings", error))?;
    Ok(found.into_iter().map(|setting| (setting.value, setting.version)).collect())
}

pub async fn keep(tx: &mut Tx, name: &str, key: &str, value: &Value, version: i64) -> Result<()> {
    let setting = ActiveModel {
        name: Set(name.to_owned()),
        key: Set(key.to_owned()),
        value: Set(value.clone()),
        version: Set(version),
    };
    let replaced = OnConflict::columns([Column::Name, Column::Key])
        .update_columns([Column::Value, Column::Version])
        .to_owned();
    let insert = Entity::insert(setting).on_conflict(replaced);
    tx.change("keeping a setting", insert.into_query()).await.map(drop)
}
