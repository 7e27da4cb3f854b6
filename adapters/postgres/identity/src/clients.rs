use async_trait::async_trait;
use chrono::{DateTime, Utc};
use identity::{ApiClient, store::Clients};
use kernel::ApiClientId;
use ports::{PortError, Result};
use sea_orm::{
    ActiveModelTrait, ColumnTrait, EntityTrait, IntoActiveModel, QueryFilter, QueryOrder,
    QuerySelect,
};

use super::stored;
use crate::Tx;
use pg::{db, expect_changed};

mod client {
    use sea_orm::entity::prelude::*;

    #[derive(Clone, Debug, PartialEq, Eq, DeriveEntityModel)]
    #[sea_orm(table_name = "identity_clients")]
    pub struct Model {
        #[sea_orm(primary_key, auto_increment = false)]
        pub id: Uuid,
        pub name: String,
        #[sea_orm(column_type = "JsonBinary")]
        pub jwks: Json,
        pub scopes: Vec<String>,
        pub active: bool,
        pub generation: i32,
        pub disabled_at: Option<DateTimeUtc>,
        pub created_at: DateTimeUtc,
    }

    #[derive(Clone, Copy, Debug, EnumIter, DeriveRelation)]
    pub enum Relation {}

    impl ActiveModelBehavior for ActiveModel {}
}

fn from_row(row: client::Model) -> Result<ApiClient> {
    let keys = serde_json::from_value(row.jwks)
        .map_err(|error| PortError::internal("identity_clients.jwks does not parse", error))?;
    let scopes = row
        .scopes
        .iter()
        .map(|scope| stored("identity_clients.scopes", scope))
        .collect::<Result<_>>()?;
    Ok(ApiClient {
        id: row.id.into(),
        name: row.name,
        keys,
        scopes,
        disabled_at: row.disabled_at,
        generation: row.generation,
        created_at: row.created_at,
    })
}

fn to_row(client: &ApiClient) -> Result<client::Model> {
    let jwks = serde_json::to_value(&client.keys)
        .map_err(|error| PortError::internal("a JWK set does not serialize", error))?;
    Ok(client::Model {
        id: client.id.uuid(),
        name: client.name.clone(),
        jwks,
        scopes: client.scopes.iter().map(ToString::to_string).collect(),
        active: client.is_active(),
        generation: client.generation,
        disabled_at: client.disabled_at,
        created_at: client.created_at,
    })
}

#[async_trait]
impl Clients for Tx {
    async fn client(&mut self, id: ApiClientId) -> Result<Option<ApiClient>> {
        client::Entity::find_by_id(id.uuid())
            .one(self.read())
            .await
            .map_err(|error| db("loading an API client", error))?
            .map(from_row)
            .transpose()
    }

    async fn lock_client(&mut self, id: ApiClientId) -> Result<Option<ApiClient>> {
        client::Entity::find_by_id(id.uuid())
            .lock_exclusive()
            .one(self.read())
            .await
            .map_err(|error| db("locking an API client", error))?
            .map(from_row)
            .transpose()
    }

    async fn clients(&mut self) -> Result<Vec<ApiClient>> {
        client::Entity::find()
            .order_by_asc(client::Column::CreatedAt)
            .order_by_asc(client::Column::Id)
            .all(self.read())
            .await
            .map_err(|error| db("listing API clients", error))?
            .into_iter()
            .map(from_row)
            .collect()
    }

    async fn save_client(&mut self, client: &ApiClient) -> Result<()> {
        let saved = client::Entity::update_many()
            .set(to_row(client)?.into_active_model().reset_all())
            .filter(client::Column::Id.eq(client.id.uuid()))
            .exec(self.write())
            .await
            .map_err(|error| db("saving an API client", error))?;
        expect_changed(saved.rows_affected, "identity_clients.id")
    }

    async fn insert_client(&mut self, client: &ApiClient) -> Result<()> {
        client::Entity::insert(to_row(client)?.into_active_model().reset_all())
            .exec_without_returning(self.write())
            .await
            .map_err(|error| db("inserting an API client", error))?;
        Ok(())
    }

    async fn first_use_of(
        &mut self,
        client: ApiClientId,
        jti: &str,
        expires_at: DateTime<Utc>,
    ) -> Result<bool> {
        let now = self.now();
        // An expired assertion is refused by its time; its id is forgotten.
        self.execute(
            "forgetting expired assertions",
            "DELETE FROM identity_client_assertions WHERE client_id = $1 AND expires_at < $2",
            [client.uuid().into(), now.into()],
        )
        .await?;
        let inserted = self
            .execute(
                "remembering an assertion",
                "INSERT INTO identity_client_assertions (client_id, jti, expires_at) \
                 VALUES ($1, $2, $3) ON CONFLICT DO NOTHING",
                [client.uuid().into(), jti.into(), expires_at.into()],
            )
            .await?;
        Ok(inserted.rows_affected() == 1)
    }
}
