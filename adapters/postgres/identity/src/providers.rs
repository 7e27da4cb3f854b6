//! Providers, each with the licenses and the hours, and the alerts of licenses that end.

use std::collections::BTreeMap;

use async_trait::async_trait;
use chrono::{DateTime, NaiveDate, Utc, Weekday};
use identity::{
    ExpiringLicense, License, LicenseStatus, LicensedProvider, ProviderProfile, Shift,
    WorkingHours, store::Providers, working_hours::clock,
};
use kernel::{HumanName, ProviderId, UsState};
use ports::{PortError, Result};
use sea_orm::{
    ActiveModelTrait as _, ConnectionTrait as _, DbBackend, FromQueryResult, IntoActiveModel as _,
    QueryOrder as _, QuerySelect as _, QueryTrait as _, Select, Statement, entity::prelude::*,
    sea_query::Expr,
};
use serde::Deserialize;
use serde_json::json;

use crate::Tx;
use pg::{PgTx, Row, Unreadable, db, opened_with, reached};

#[derive(Clone, Debug, PartialEq, Eq, DeriveEntityModel)]
#[sea_orm(table_name = "identity_providers")]
pub struct Model {
    #[sea_orm(primary_key, auto_increment = false, column_name = "provider_id")]
    pub id: ProviderId,
    pub given_name: String,
    pub family_name: String,
    pub npi: String,
    pub dea: Option<String>,
    pub specialities: Vec<String>,
    pub time_zone: Option<String>,
    pub updated_at: ChronoDateTimeUtc,
    pub version: i64,
}

#[derive(Copy, Clone, Debug, EnumIter, DeriveRelation)]
pub enum Relation {}

impl ActiveModelBehavior for ActiveModel {}

mod license {
    use kernel::ProviderId;
    use sea_orm::entity::prelude::*;
    use serde::Deserialize;

    #[derive(Clone, Debug, PartialEq, Eq, Deserialize, DeriveEntityModel)]
    #[sea_orm(table_name = "identity_licenses")]
    pub struct Model {
        #[sea_orm(primary_key, auto_increment = false)]
        pub provider_id: ProviderId,
        #[sea_orm(primary_key, auto_increment = false)]
        pub state: String,
        pub number: String,
        pub expires_on: Date,
        pub status: String,
    }

    #[derive(Copy, Clone, Debug, EnumIter, DeriveRelation)]
    pub enum Relation {}

    impl ActiveModelBehavior for ActiveModel {}
}

mod hours {
    use kernel::ProviderId;
    use sea_orm::entity::prelude::*;
    use serde::Deserialize;

    #[derive(Clone, Debug, PartialEq, Eq, Deserialize, DeriveEntityModel)]
    #[sea_orm(table_name = "identity_working_hours")]
    pub struct Model {
        #[sea_orm(primary_key, auto_increment = false)]
        pub provider_id: ProviderId,
        /// From Monday, which is 1.
        #[sea_orm(primary_key, auto_increment = false)]
        pub weekday: i16,
        #[sea_orm(primary_key, auto_increment = false)]
        pub from_minute: i16,
        pub until_minute: i16,
    }

    #[derive(Copy, Clone, Debug, EnumIter, DeriveRelation)]
    pub enum Relation {}

    impl ActiveModelBehavior for ActiveModel {}
}

impl hours::Model {
    fn open(&self) -> Result<Shift, Unreadable> {
        Ok(Shift {
            day: Weekday::try_from(u8::try_from(self.weekday - 1)?)?,
            from: self.from_minute.try_into()?,
            until: self.until_minute.try_into()?,
        })
    }

    fn close(provider: ProviderId, shift: &Shift) -> Result<Self, Unreadable> {
        Ok(Self {
            provider_id: provider,
            weekday: shift.day.number_from_monday().try_into()?,
            from_minute: shift.from.try_into()?,
            until_minute: shift.until.try_into()?,
        })
    }
}

impl license::Model {
    fn open(self) -> Result<License, Unreadable> {
        Ok(License {
            state: self.state.parse()?,
            number: self.number,
            expires_on: self.expires_on,
            status: self.status.parse::<LicenseStatus>()?,
        })
    }

    fn read(self) -> Result<License> {
        self.open().map_err(|error| PortError::internal("a license cannot be read", error))
    }

    fn close(provider: ProviderId, license: &License) -> Self {
        Self {
            provider_id: provider,
            state: license.state.to_string(),
            number: license.number.clone(),
            expires_on: license.expires_on,
            status: license.status.to_string(),
        }
    }
}

/// A provider with all parts, as one statement reads them.
#[derive(FromQueryResult)]
struct Whole {
    #[sea_orm(nested)]
    row: Model,
    licenses: Json,
    shifts: Json,
}

const LICENSES: &str = "(SELECT coalesce(jsonb_agg(l ORDER BY l.state), '[]') \
     FROM identity_licenses l WHERE l.provider_id = identity_providers.provider_id)";
const SHIFTS: &str = "(SELECT coalesce(jsonb_agg(h ORDER BY h.weekday, h.from_minute), '[]') \
     FROM identity_working_hours h WHERE h.provider_id = identity_providers.provider_id)";

#[async_trait]
impl Row for Model {
    type Aggregate = ProviderProfile;

    const HAS_PARTS: bool = true;

    fn open(self) -> Result<ProviderProfile, Unreadable> {
        Ok(ProviderProfile {
            provider: self.id,
            name: HumanName { given: self.given_name, family: self.family_name },
            npi: self.npi.parse()?,
            dea: self.dea.map(|dea| dea.parse()).transpose()?,
            specialities: self
                .specialities
                .iter()
                .map(|code| code.parse())
                .collect::<Result<_, _>>()?,
            licenses: Vec::new(),
            hours: None,
            updated_at: self.updated_at,
            version: self.version,
        })
    }

    fn close(profile: &ProviderProfile) -> Self {
        Self {
            id: profile.provider,
            given_name: profile.name.given.clone(),
            family_name: profile.name.family.clone(),
            npi: profile.npi.to_string(),
            dea: profile.dea.as_ref().map(ToString::to_string),
            specialities: profile.specialities.iter().map(ToString::to_string).collect(),
            time_zone: profile.hours.as_ref().map(|hours| hours.zone().name().to_owned()),
            updated_at: profile.updated_at,
            version: profile.version,
        }
    }

    async fn load(tx: &PgTx, select: Select<Entity>) -> Result<Vec<ProviderProfile>> {
        let found = select
            .expr_as(Expr::cust(LICENSES), "licenses")
            .expr_as(Expr::cust(SHIFTS), "shifts")
            .into_model::<Whole>()
            .all(tx.read())
            .await
            .map_err(|error| db("reading providers", error))?;
        let profile = |Whole { row, licenses, shifts }: Whole| {
            let zone = row.time_zone.clone();
            opened_with(tx, row, |profile| {
                let licenses = Vec::<license::Model>::deserialize(licenses)?;
                profile.licenses =
                    licenses.into_iter().map(license::Model::open).collect::<Result<_, _>>()?;
                let shifts = Vec::<hours::Model>::deserialize(shifts)?;
                if let Some(zone) = zone.filter(|_| !shifts.is_empty()) {
                    let shifts = shifts.iter().map(hours::Model::open).collect::<Result<_, _>>()?;
                    profile.hours = Some(WorkingHours::new(zone.parse()?, shifts)?);
                }
                Ok(())
            })
        };
        found.into_iter().map(profile).collect()
    }

    async fn save_parts(tx: &mut PgTx, profile: &ProviderProfile) -> Result<()> {
        let (doing, id) = ("writing a provider's licenses and hours", profile.provider);
        let delete = license::Entity::delete_many().filter(license::Column::ProviderId.eq(id));
        tx.change(doing, delete.into_query()).await?;
        let licenses = profile.licenses.iter().map(|license| license::Model::close(id, license));
        let licenses = licenses.map(|row| row.into_active_model().reset_all());
        if !profile.licenses.is_empty() {
            tx.change(doing, license::Entity::insert_many(licenses).into_query()).await?;
        }
        let delete = hours::Entity::delete_many().filter(hours::Column::ProviderId.eq(id));
        tx.change(doing, delete.into_query()).await?;
        let Some(week) = &profile.hours else { return Ok(()) };
        let shifts = week.shifts().iter().map(|shift| hours::Model::close(id, shift));
        let shifts: Vec<_> = shifts
            .map(|row| Ok(row?.into_active_model().reset_all()))
            .collect::<Result<_, Unreadable>>()
            .map_err(|error| PortError::internal("a shift ends after the day", error))?;
        tx.change(doing, hours::Entity::insert_many(shifts).into_query()).await?;
        Ok(())
    }

    fn parts(profile: &ProviderProfile) -> BTreeMap<String, Json> {
        let license = |license: &License| {
            let (expires_on, status) = (license.expires_on, license.status.word());
            let told =
                json!({ "number": license.number, "expires_on": expires_on, "status": status });
            (format!("licenses.{}", license.state), told)
        };
        let mut parts: BTreeMap<_, _> = profile.licenses.iter().map(license).collect();
        if let Some(week) = &profile.hours {
            let shift = |shift: &Shift| {
                format!("{} {}-{}", shift.day, clock(shift.from), clock(shift.until))
            };
            let shifts: Vec<String> = week.shifts().iter().map(shift).collect();
            parts.insert("shifts".to_owned(), json!(shifts));
        }
        parts
    }
}

fn statement(sql: &str, values: impl IntoIterator<Item = Value>) -> Statement {
    Statement::from_sql_and_values(DbBackend::Postgres, sql, values)
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
    let held = statement(
        "SELECT a.id FROM identity_accounts a \
         JOIN identity_providers p ON p.provider_id = a.id \
         WHERE a.id = $1 AND a.status = 'active' FOR SHARE",
        [provider.into()],
    );
    let held = tx.read().query_one_raw(held).await.map_err(|error| db(doing, error))?;
    // What is read from here on is what no other transaction changes.
    let role = statement(
        "SELECT role FROM identity_account_roles WHERE account_id = $1 AND role = 'provider'",
        [provider.into()],
    );
    let role = tx.read().query_one_raw(role).await.map_err(|error| db(doing, error))?;
    if held.is_none() || role.is_none() {
        return Ok(false);
    }
    let found = license::Entity::find_by_id((provider, state.to_string()))
        .one(tx.read())
        .await
        .map_err(|error| db(doing, error))?;
    found.map_or(Ok(false), |row| Ok(row.read()?.in_force(at)))
}

/// The columns of a license in a row that has more.
#[derive(FromQueryResult)]
struct Licensed {
    #[sea_orm(nested)]
    license: license::Model,
    given_name: String,
    family_name: String,
}

#[derive(FromQueryResult)]
struct Expiring {
    #[sea_orm(nested)]
    license: license::Model,
    told: Vec<i32>,
}

#[async_trait]
impl Providers for Tx {
    async fn providers(&mut self, ids: &[ProviderId]) -> Result<Vec<ProviderProfile>> {
        let found = reached::<Model>(self).filter(Column::Id.is_in(ids.iter().copied()));
        Model::load(self, found.order_by_asc(Column::Id)).await
    }

    async fn providers_licensed_in(
        &mut self,
        state: UsState,
        at: DateTime<Utc>,
    ) -> Result<Vec<LicensedProvider>> {
        let doing = "finding the providers licensed in a state";
        // Subqueries are looked up provider by provider; of a join, the planner may read
        // the accounts of all patients.
        let statement = statement(
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
        let rows = Licensed::find_by_statement(statement).all(self.read()).await;
        let mut found = Vec::new();
        for row in rows.map_err(|error| db(doing, error))? {
            let name = HumanName { given: row.given_name, family: row.family_name };
            let (provider, license) = (row.license.provider_id, row.license.read()?);
            if license.in_force(at) {
                found.push(LicensedProvider { provider, name, license });
            }
        }
        Ok(found)
    }

    async fn licenses_expiring_by(&mut self, day: NaiveDate) -> Result<Vec<ExpiringLicense>> {
        let doing = "finding the licenses that expire";
        let statement = statement(
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
        let rows = Expiring::find_by_statement(statement).all(self.read()).await;
        let expiring = |row: Expiring| {
            Ok(ExpiringLicense {
                provider: row.license.provider_id,
                license: row.license.read()?,
                told: row.told.into_iter().filter_map(|days| u32::try_from(days).ok()).collect(),
            })
        };
        rows.map_err(|error| db(doing, error))?.into_iter().map(expiring).collect()
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
                    provider.into(),
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
        let statement = statement(
            "SELECT l.provider_id, l.state, l.number, l.expires_on, l.status \
             FROM identity_licenses l \
             WHERE l.status = 'active' AND l.expires_on < $1 \
             AND NOT EXISTS (SELECT 1 FROM identity_license_ends e \
                             WHERE e.provider_id = l.provider_id AND e.state = l.state \
                             AND e.expires_on = l.expires_on) \
             ORDER BY l.provider_id, l.state",
            [day.into()],
        );
        let rows = license::Model::find_by_statement(statement).all(self.read()).await;
        let rows = rows.map_err(|error| db(doing, error))?;
        rows.into_iter().map(|row| Ok((row.provider_id, row.read()?))).collect()
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
                    provider.into(),
                    license.state.to_string().into(),
                    license.expires_on.into(),
                    at.into(),
                ],
            )
            .await?;
        Ok(added.rows_affected() == 1)
    }
}
