use async_trait::async_trait;
use chrono::{DateTime, Utc};
use identity::{License, LicensedProvider, ProviderProfile, store::Providers};
use kernel::{HumanName, ProviderId, UsState};
use ports::Result;
use sea_orm::{
    ActiveModelTrait, ColumnTrait, ConnectionTrait, DbBackend, EntityTrait, IntoActiveModel,
    QueryFilter, QueryOrder, Statement,
};

use super::stored;
use crate::{PgTx, core::expect_changed, db};

mod provider {
    use sea_orm::entity::prelude::*;

    #[derive(Clone, Debug, PartialEq, Eq, DeriveEntityModel)]
    #[sea_orm(table_name = "identity_providers")]
    pub struct Model {
        #[sea_orm(primary_key, auto_increment = false)]
        pub provider_id: Uuid,
        pub given_name: String,
        pub family_name: String,
        pub npi: String,
        pub dea: Option<String>,
        pub specialities: Vec<String>,
        pub updated_at: DateTimeUtc,
        pub version: i64,
    }

    #[derive(Clone, Copy, Debug, EnumIter, DeriveRelation)]
    pub enum Relation {}

    impl ActiveModelBehavior for ActiveModel {}
}

mod license {
    use sea_orm::entity::prelude::*;

    #[derive(Clone, Debug, PartialEq, Eq, DeriveEntityModel)]
    #[sea_orm(table_name = "identity_licenses")]
    pub struct Model {
        #[sea_orm(primary_key, auto_increment = false)]
        pub provider_id: Uuid,
        #[sea_orm(primary_key, auto_increment = false)]
        pub state: String,
        pub number: String,
        pub expires_on: Date,
        pub status: String,
    }

    #[derive(Clone, Copy, Debug, EnumIter, DeriveRelation)]
    pub enum Relation {}

    impl ActiveModelBehavior for ActiveModel {}
}

fn license_of(row: license::Model) -> Result<License> {
    Ok(License {
        state: stored("identity_licenses.state", &row.state)?,
        number: row.number,
        expires_on: row.expires_on,
        status: stored("identity_licenses.status", &row.status)?,
    })
}

#[async_trait]
impl Providers for PgTx {
    async fn provider(&mut self, id: ProviderId) -> Result<Option<ProviderProfile>> {
        let doing = "loading a provider";
        let row = provider::Entity::find_by_id(id.uuid())
            .one(self.read())
            .await
            .map_err(|error| db(doing, error))?;
        let Some(row) = row else { return Ok(None) };
        let licenses = license::Entity::find()
            .filter(license::Column::ProviderId.eq(id.uuid()))
            .order_by_asc(license::Column::State)
            .all(self.read())
            .await
            .map_err(|error| db(doing, error))?;
        Ok(Some(ProviderProfile {
            provider: id,
            name: HumanName { given: row.given_name, family: row.family_name },
            npi: stored("identity_providers.npi", &row.npi)?,
            dea: row.dea.map(|dea| stored("identity_providers.dea", &dea)).transpose()?,
            specialities: row.specialities,
            licenses: licenses.into_iter().map(license_of).collect::<Result<_>>()?,
            updated_at: row.updated_at,
            version: row.version,
        }))
    }

    async fn save_provider(&mut self, profile: &ProviderProfile) -> Result<()> {
        let doing = "saving a provider";
        let id = profile.provider.uuid();
        let row = provider::Model {
            provider_id: id,
            given_name: profile.name.given.clone(),
            family_name: profile.name.family.clone(),
            npi: profile.npi.to_string(),
            dea: profile.dea.as_ref().map(ToString::to_string),
            specialities: profile.specialities.clone(),
            updated_at: profile.updated_at,
            version: profile.version + 1,
        };
        let row = row.into_active_model().reset_all();
        if profile.version == 0 {
            provider::Entity::insert(row)
                .exec_without_returning(self.write())
                .await
                .map_err(|error| db(doing, error))?;
        } else {
            let saved = provider::Entity::update_many()
                .set(row)
                .filter(provider::Column::ProviderId.eq(id))
                .filter(provider::Column::Version.eq(profile.version))
                .exec(self.write())
                .await
                .map_err(|error| db(doing, error))?;
            expect_changed(saved.rows_affected, "identity_providers.version")?;
        }
        license::Entity::delete_many()
            .filter(license::Column::ProviderId.eq(id))
            .exec(self.write())
            .await
            .map_err(|error| db(doing, error))?;
        let licenses: Vec<_> = profile
            .licenses
            .iter()
            .map(|license| {
                license::Model {
                    provider_id: id,
                    state: license.state.to_string(),
                    number: license.number.clone(),
                    expires_on: license.expires_on,
                    status: license.status.to_string(),
                }
                .into_active_model()
                .reset_all()
            })
            .collect();
        if !licenses.is_empty() {
            license::Entity::insert_many(licenses)
                .exec_without_returning(self.write())
                .await
                .map_err(|error| db(doing, error))?;
        }
        Ok(())
    }

    async fn providers_licensed_in(
        &mut self,
        state: UsState,
        at: DateTime<Utc>,
    ) -> Result<Vec<LicensedProvider>> {
        let doing = "finding the providers licensed in a state";
        // The last day counts where the licence is, so the date is the state's.
        let there = at.with_timezone(&state.zone()).date_naive();
        let statement = Statement::from_sql_and_values(
            DbBackend::Postgres,
            "SELECT p.provider_id, p.given_name, p.family_name, \
                    l.state, l.number, l.expires_on, l.status \
             FROM identity_licenses l \
             JOIN identity_providers p ON p.provider_id = l.provider_id \
             JOIN identity_accounts a ON a.id = p.provider_id AND a.status = 'active' \
             JOIN identity_account_roles r ON r.account_id = a.id AND r.role = 'provider' \
             WHERE l.state = $1 AND l.status = 'active' AND l.expires_on >= $2 \
             ORDER BY p.provider_id",
            [state.to_string().into(), there.into()],
        );
        let rows = self.read().query_all_raw(statement).await.map_err(|error| db(doing, error))?;
        rows.iter()
            .map(|row| {
                let text = |column| -> Result<String> {
                    row.try_get("", column).map_err(|error| db(doing, error))
                };
                let id: kernel::Uuid =
                    row.try_get("", "provider_id").map_err(|error| db(doing, error))?;
                let license = license::Model {
                    provider_id: id,
                    state: text("state")?,
                    number: text("number")?,
                    expires_on: row.try_get("", "expires_on").map_err(|error| db(doing, error))?,
                    status: text("status")?,
                };
                Ok(LicensedProvider {
                    provider: id.into(),
                    name: HumanName { given: text("given_name")?, family: text("family_name")? },
                    license: license_of(license)?,
                })
            })
            .collect()
    }
}
