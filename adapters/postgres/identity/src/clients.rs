//! API clients, and the assertions that they have used.

use async_trait::async_trait;
use chrono::{DateTime, Utc};
use identity::{ApiClient, store::Clients};
use kernel::ApiClientId;
use ports::Result;
use sea_orm::{QueryOrder as _, entity::prelude::*};
use serde_json::json;

use crate::Tx;
use pg::{Row, Unreadable, reached};

#[derive(Clone, Debug, PartialEq, DeriveEntityModel)]
#[sea_orm(table_name = "identity_clients")]
pub struct Model {
    #[sea_orm(primary_key, auto_increment = false)]
    pub id: ApiClientId,
    pub name: String,
    #[sea_orm(column_type = "JsonBinary")]
    pub jwks: Json,
    pub scopes: Vec<String>,
    pub active: bool,
    pub generation: i32,
    pub disabled_at: Option<ChronoDateTimeUtc>,
    pub created_at: ChronoDateTimeUtc,
    pub version: i64,
}

#[derive(Copy, Clone, Debug, EnumIter, DeriveRelation)]
pub enum Relation {}

impl ActiveModelBehavior for ActiveModel {}

impl Row for Model {
    type Aggregate = ApiClient;

    /// The audit log names keys by their ids.
    const UNTOLD: &'static [Column] = &[Column::Jwks];

    fn open(self) -> Result<ApiClient, Unreadable> {
        Ok(ApiClient {
            id: self.id,
            name: self.name,
            keys: serde_json::from_value(self.jwks)?,
            scopes: self.scopes.iter().map(|scope| scope.parse()).collect::<Result<_, _>>()?,
            disabled_at: self.disabled_at,
            generation: self.generation,
            created_at: self.created_at,
            version: self.version,
        })
    }

    fn close(client: &ApiClient) -> Self {
        Self {
            id: client.id,
            name: client.name.clone(),
            jwks: json!(client.keys),
            scopes: client.scopes.iter().map(ToString::to_string).collect(),
            active: client.is_active(),
            generation: client.generation,
            disabled_at: client.disabled_at,
            created_at: client.created_at,
            version: client.version,
        }
    }
}

#[async_trait]
impl Clients for Tx {
    async fn clients(&mut self) -> Result<Vec<ApiClient>> {
        let all = reached::<Model>(self).order_by_asc(Column::CreatedAt).order_by_asc(Column::Id);
        Model::load(self, all).await
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
            [client.into(), now.into()],
        )
        .await?;
        let inserted = self
            .execute(
                "remembering an assertion",
                "INSERT INTO identity_client_assertions (client_id, jti, expires_at) \
                 VALUES ($1, $2, $3) ON CONFLICT DO NOTHING",
                [client.into(), jti.into(), expires_at.into()],
            )
            .await?;
        Ok(inserted.rows_affected() == 1)
    }
}
