use std::collections::{BTreeMap, BTreeSet};

use async_trait::async_trait;
use chrono::{DateTime, NaiveDate, Utc, Weekday};
use identity::{
    ExpiringLicense, License, LicensedProvider, ProviderProfile, Shift, WorkingHours,
    store::Providers,
};
use kernel::{HumanName, ProviderId, UsState, Uuid};
use ports::{PortError, Result};
use sea_orm::{
    ActiveModelTrait, ColumnTrait, ConnectionTrait, DbBackend, DbErr, EntityTrait, IntoActiveModel,
    QueryFilter, QueryOrder, QueryResult, Statement,
};

use super::stored;
use crate::Tx;
use pg::{PgTx, db, expect_changed};

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
        pub time_zone: Option<String>,
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

mod hours {
    use sea_orm::entity::prelude::*;

    #[derive(Clone, Debug, PartialEq, Eq, DeriveEntityModel)]
    #[sea_orm(table_name = "identity_working_hours")]
    pub struct Model {
        #[sea_orm(primary_key, auto_increment = false)]
        pub provider_id: Uuid,
        /// From Monday, which is 1.
        #[sea_orm(primary_key, auto_increment = false)]
        pub weekday: i16,
        #[sea_orm(primary_key, auto_increment = false)]
        pub from_minute: i16,
        pub until_minute: i16,
    }

    #[derive(Clone, Copy, Debug, EnumIter, DeriveRelation)]
    pub enum Relation {}

    impl ActiveModelBehavior for ActiveModel {}
}

fn shift_of(row: &hours::Model) -> Result<Shift> {
    let odd = || PortError::bug("identity_working_hours holds what is no shift");
    let day = u8::try_from(row.weekday - 1).ok().and_then(|day| Weekday::try_from(day).ok());
    Ok(Shift {
        day: day.ok_or_else(odd)?,
        from: u16::try_from(row.from_minute).map_err(|_| odd())?,
        until: u16::try_from(row.until_minute).map_err(|_| odd())?,
    })
}

fn row_of(provider: Uuid, shift: &Shift) -> Result<hours::Model> {
    let minute = |minute: u16| {
        i16::try_from(minute)
            .map_err(|error| PortError::internal("a shift ends after the day", error))
    };
    let weekday = match shift.day {
        Weekday::Mon => 1,
        Weekday::Tue => 2,
        Weekday::Wed => 3,
        Weekday::Thu => 4,
        Weekday::Fri => 5,
        Weekday::Sat => 6,
        Weekday::Sun => 7,
    };
    Ok(hours::Model {
        provider_id: provider,
        weekday,
        from_minute: minute(shift.from)?,
        until_minute: minute(shift.until)?,
    })
}

fn profile_of(
    row: provider::Model,
    licenses: Vec<license::Model>,
    shifts: &[hours::Model],
) -> Result<ProviderProfile> {
    let zone = row.time_zone.map(|zone| stored("identity_providers.time_zone", &zone));
    let hours = zone.transpose()?.filter(|_| !shifts.is_empty()).map(|zone| {
        let shifts = shifts.iter().map(shift_of).collect::<Result<Vec<_>>>()?;
        WorkingHours::new(zone, shifts)
            .map_err(|error| PortError::internal("identity_working_hours holds no week", error))
    });
    let specialities: BTreeSet<_> = row
        .specialities
        .iter()
        .map(|code| stored("identity_providers.specialities", code))
        .collect::<Result<_>>()?;
    Ok(ProviderProfile {
        provider: row.provider_id.into(),
        name: HumanName { given: row.given_name, family: row.family_name },
        npi: stored("identity_providers.npi", &row.npi)?,
        dea: row.dea.map(|dea| stored("identity_providers.dea", &dea)).transpose()?,
        specialities,
        licenses: licenses.into_iter().map(license_of).collect::<Result<_>>()?,
        hours: hours.transpose()?,
        updated_at: row.updated_at,
        version: row.version,
    })
}

fn license_of(row: license::Model) -> Result<License> {
    Ok(License {
        state: stored("identity_licenses.state", &row.state)?,
        number: row.number,
        expires_on: row.expires_on,
        status: stored("identity_licenses.status", &row.status)?,
    })
}

/// The columns of a license in a row that has more.
fn license_in(row: &QueryResult) -> std::result::Result<license::Model, DbErr> {
    Ok(license::Model {
        provider_id: row.try_get("", "provider_id")?,
        state: row.try_get("", "state")?,
        number: row.try_get("", "number")?,
        expires_on: row.try_get("", "expires_on")?,
        status: row.try_get("", "status")?,
    })
}

/// Whether the provider's account is active, has the role and holds a license
/// in force in the state. Account and profile are held, so that a change of
/// them waits for this transaction; whoever has none has no license.
pub async fn holds_license_in_force(
    tx: &PgTx,
    provider: ProviderId,
    state: UsState,
    at: DateTime<Utc>,
) -> Result<bool> {
    let doing = "holding a provider's license";
    let held = Statement::from_sql_and_values(
        DbBackend::Postgres,
        "SELECT a.id FROM identity_accounts a \
         JOIN identity_providers p ON p.provider_id = a.id \
         WHERE a.id = $1 AND a.status = 'active' FOR SHARE",
        [provider.uuid().into()],
    );
    let held = tx.read().query_one_raw(held).await.map_err(|error| db(doing, error))?;
    // What is read from here on is what no other transaction changes.
    let role = Statement::from_sql_and_values(
        DbBackend::Postgres,
        "SELECT role FROM identity_account_roles WHERE account_id = $1 AND role = 'provider'",
        [provider.uuid().into()],
    );
    let role = tx.read().query_one_raw(role).await.map_err(|error| db(doing, error))?;
    if held.is_none() || role.is_none() {
        return Ok(false);
    }
    let found = license::Entity::find_by_id((provider.uuid(), state.to_string()))
        .one(tx.read())
        .await
        .map_err(|error| db(doing, error))?;
    found.map_or(Ok(false), |row| Ok(license_of(row)?.in_force(at)))
}

#[async_trait]
impl Providers for Tx {
    async fn provider(&mut self, id: ProviderId) -> Result<Option<ProviderProfile>> {
        Ok(self.providers(&[id]).await?.into_iter().next())
    }

    async fn providers(&mut self, ids: &[ProviderId]) -> Result<Vec<ProviderProfile>> {
        let doing = "loading providers";
        let ids: Vec<Uuid> = ids.iter().map(|id| id.uuid()).collect();
        let rows = provider::Entity::find()
            .filter(provider::Column::ProviderId.is_in(ids.clone()))
            .order_by_asc(provider::Column::ProviderId)
            .all(self.read())
            .await
            .map_err(|error| db(doing, error))?;
        if rows.is_empty() {
            return Ok(Vec::new());
        }
        let mut licenses: BTreeMap<Uuid, Vec<license::Model>> = BTreeMap::new();
        for row in license::Entity::find()
            .filter(license::Column::ProviderId.is_in(ids.clone()))
            .order_by_asc(license::Column::State)
            .all(self.read())
            .await
            .map_err(|error| db(doing, error))?
        {
            licenses.entry(row.provider_id).or_default().push(row);
        }
        let mut shifts: BTreeMap<Uuid, Vec<hours::Model>> = BTreeMap::new();
        for row in hours::Entity::find()
            .filter(hours::Column::ProviderId.is_in(ids))
            .order_by_asc(hours::Column::Weekday)
            .order_by_asc(hours::Column::FromMinute)
            .all(self.read())
            .await
            .map_err(|error| db(doing, error))?
        {
            shifts.entry(row.provider_id).or_default().push(row);
        }
        rows.into_iter()
            .map(|row| {
                let id = row.provider_id;
                let shifts = shifts.remove(&id).unwrap_or_default();
                profile_of(row, licenses.remove(&id).unwrap_or_default(), &shifts)
            })
            .collect()
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
            specialities: profile.specialities.iter().map(ToString::to_string).collect(),
            time_zone: profile.hours.as_ref().map(|hours| hours.zone().name().to_owned()),
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
        hours::Entity::delete_many()
            .filter(hours::Column::ProviderId.eq(id))
            .exec(self.write())
            .await
            .map_err(|error| db(doing, error))?;
        let shifts: Vec<_> = profile
            .hours
            .iter()
            .flat_map(WorkingHours::shifts)
            .map(|shift| Ok(row_of(id, shift)?.into_active_model().reset_all()))
            .collect::<Result<_>>()?;
        if !shifts.is_empty() {
            hours::Entity::insert_many(shifts)
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
        // Subqueries are looked up provider by provider; of a join, the planner may read
        // the accounts of all patients.
        let statement = Statement::from_sql_and_values(
            DbBackend::Postgres,
            "SELECT p.provider_id, p.given_name, p.family_name, \
                    l.state, l.number, l.expires_on, l.status \
             FROM identity_licenses l \
             JOIN identity_providers p ON p.provider_id = l.provider_id \
             WHERE l.state = $1 \
                 AND (SELECT status FROM identity_accounts WHERE id = l.provider_id) = 'active' \
                 AND (SELECT role FROM identity_account_roles \
                      WHERE account_id = l.provider_id AND role = 'provider') IS NOT NULL \
             ORDER BY p.provider_id",
            [state.to_string().into()],
        );
        let rows = self.read().query_all_raw(statement).await.map_err(|error| db(doing, error))?;
        let found = rows.iter().map(|row| {
            let text = |column| -> Result<String> {
                row.try_get("", column).map_err(|error| db(doing, error))
            };
            let license = license_in(row).map_err(|error| db(doing, error))?;
            Ok(LicensedProvider {
                provider: license.provider_id.into(),
                name: HumanName { given: text("given_name")?, family: text("family_name")? },
                license: license_of(license)?,
            })
        });
        let counts = |one: &Result<LicensedProvider>| {
            one.as_ref().is_ok_and(|one| one.license.in_force(at)) || one.is_err()
        };
        found.filter(counts).collect()
    }

    async fn licenses_expiring_by(&mut self, day: NaiveDate) -> Result<Vec<ExpiringLicense>> {
        let doing = "finding the licenses that expire";
        let statement = Statement::from_sql_and_values(
            DbBackend::Postgres,
            "SELECT l.provider_id, l.state, l.number, l.expires_on, l.status, \
                    ARRAY(SELECT t.days FROM identity_license_alerts t \
                          WHERE t.provider_id = l.provider_id AND t.state = l.state \
                          AND t.expires_on = l.expires_on) AS told \
             FROM identity_licenses l \
             JOIN identity_accounts a ON a.id = l.provider_id AND a.status = 'active' \
             JOIN identity_account_roles r ON r.account_id = a.id AND r.role = 'provider' \
             WHERE l.status = 'active' AND l.expires_on <= $1 \
             ORDER BY l.provider_id, l.state",
            [day.into()],
        );
        let rows = self.read().query_all_raw(statement).await.map_err(|error| db(doing, error))?;
        rows.iter()
            .map(|row| {
                let license = license_in(row).map_err(|error| db(doing, error))?;
                let told: Vec<i32> = row.try_get("", "told").map_err(|error| db(doing, error))?;
                Ok(ExpiringLicense {
                    provider: license.provider_id.into(),
                    license: license_of(license)?,
                    told: told.into_iter().filter_map(|days| u32::try_from(days).ok()).collect(),
                })
            })
            .collect()
    }

    async fn add_license_alert(
        &mut self,
        provider: ProviderId,
        license: &License,
        days: u32,
        at: DateTime<Utc>,
    ) -> Result<bool> {
        let days = i32::try_from(days)
            .map_err(|error| PortError::internal("an alert is too many days ahead", error))?;
        let added = self
            .execute(
                "recording an alert of a license",
                "INSERT INTO identity_license_alerts \
                 (provider_id, state, expires_on, days, alerted_at) VALUES ($1, $2, $3, $4, $5) \
                 ON CONFLICT DO NOTHING",
                [
                    provider.uuid().into(),
                    license.state.to_string().into(),
                    license.expires_on.into(),
                    days.into(),
                    at.into(),
                ],
            )
            .await?;
        Ok(added.rows_affected() == 1)
    }

    async fn licenses_ended_by(&mut self, day: NaiveDate) -> Result<Vec<(ProviderId, License)>> {
        let doing = "finding the licenses that have ended";
        let statement = Statement::from_sql_and_values(
            DbBackend::Postgres,
            "SELECT l.provider_id, l.state, l.number, l.expires_on, l.status \
             FROM identity_licenses l \
             WHERE l.status = 'active' AND l.expires_on < $1 \
             AND NOT EXISTS (SELECT 1 FROM identity_license_ends e \
                             WHERE e.provider_id = l.provider_id AND e.state = l.state \
                             AND e.expires_on = l.expires_on) \
             ORDER BY l.provider_id, l.state",
            [day.into()],
        );
        let rows = license::Entity::find()
            .from_raw_sql(statement)
            .all(self.read())
            .await
            .map_err(|error| db(doing, error))?;
        rows.into_iter().map(|row| Ok((row.provider_id.into(), license_of(row)?))).collect()
    }

    async fn add_license_end(
        &mut self,
        provider: ProviderId,
        license: &License,
        at: DateTime<Utc>,
    ) -> Result<bool> {
        let added = self
            .execute(
                "recording the end of a license",
                "INSERT INTO identity_license_ends (provider_id, state, expires_on, told_at) \
                 VALUES ($1, $2, $3, $4) ON CONFLICT DO NOTHING",
                [
                    provider.uuid().into(),
                    license.state.to_string().into(),
                    license.expires_on.into(),
                    at.into(),
                ],
            )
            .await?;
        Ok(added.rows_affected() == 1)
    }
}
