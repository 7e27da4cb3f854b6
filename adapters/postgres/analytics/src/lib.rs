//! The store of what figures are made of.

mod category;

use analytics::{
    AnalyticsTx, CategoryFigures, JourneyDay, JourneyStage, Position, store::CategoryRevenue,
};

pg::store!(Tx {});

use async_trait::async_trait;
use chrono::{DateTime, NaiveDate, Utc};
use chrono_tz::Tz;
use kernel::{CategoryId, Currency, Money, PatientId, Uuid};
use ports::{PortError, Result};
use sea_orm::{DbBackend, FromQueryResult, Statement};

use pg::db;

#[derive(Debug, FromQueryResult)]
struct RevenueRow {
    category_id: Uuid,
    currency: String,
    monthly_minor: i64,
    subscriptions: i64,
}

#[derive(Debug, FromQueryResult)]
struct JourneyRow {
    day: NaiveDate,
    stage: String,
    people: i64,
}

#[async_trait]
impl AnalyticsTx for Tx {
    async fn save_position(&mut self, position: &Position, monthly: Money) -> Result<()> {
        let now = self.now();
        self.execute(
            "projecting a subscription",
            "INSERT INTO analytics_subscriptions \
             (subscription_id, category_id, standing, monthly_minor, currency, updated_at) \
             VALUES ($1, $2, $3, $4, $5, $6) ON CONFLICT (subscription_id) DO UPDATE \
             SET category_id = excluded.category_id, standing = excluded.standing, \
             monthly_minor = excluded.monthly_minor, currency = excluded.currency, \
             updated_at = excluded.updated_at",
            [
                position.subscription.uuid().into(),
                position.category.uuid().into(),
                position.standing.to_string().into(),
                monthly.minor.into(),
                monthly.currency.code().into(),
                now.into(),
            ],
        )
        .await?;
        Ok(())
    }

    async fn reach(
        &mut self,
        patient: PatientId,
        stage: JourneyStage,
        at: DateTime<Utc>,
    ) -> Result<()> {
        self.execute(
            "projecting a stage of the journey",
            "INSERT INTO analytics_journey AS j (patient_id, stage, reached_at) \
             VALUES ($1, $2, $3) ON CONFLICT (patient_id, stage) \
             DO UPDATE SET reached_at = least(j.reached_at, excluded.reached_at)",
            [patient.uuid().into(), stage.to_string().into(), at.into()],
        )
        .await?;
        Ok(())
    }

    async fn revenue(&mut self) -> Result<Vec<CategoryRevenue>> {
        let doing = "summing up revenue";
        let statement = Statement::from_string(
            DbBackend::Postgres,
            "SELECT category_id, currency::text AS currency, \
             sum(monthly_minor)::bigint AS monthly_minor, count(*) AS subscriptions \
             FROM analytics_subscriptions WHERE standing = 'active' \
             GROUP BY category_id, currency ORDER BY category_id, currency",
        );
        let found = RevenueRow::find_by_statement(statement)
            .all(self.read())
            .await
            .map_err(|error| db(doing, error))?;
        found
            .into_iter()
            .map(|row| {
                let currency: Currency =
                    row.currency.parse().map_err(|error| PortError::internal(doing, error))?;
                Ok(CategoryRevenue {
                    category: CategoryId(row.category_id),
                    currency,
                    monthly: Money::new(row.monthly_minor, currency),
                    subscriptions: row.subscriptions.unsigned_abs(),
                })
            })
            .collect()
    }

    async fn journey(
        &mut self,
        from: NaiveDate,
        to: NaiveDate,
        zone: Tz,
    ) -> Result<Vec<JourneyDay>> {
        let doing = "counting the journey";
        // The bounds are local midnights, so that the index on the time helps.
        let statement = Statement::from_sql_and_values(
            DbBackend::Postgres,
            "SELECT (reached_at AT TIME ZONE $3)::date AS day, stage, count(*) AS people \
             FROM analytics_journey \
             WHERE reached_at >= $1::date::timestamp AT TIME ZONE $3 \
             AND reached_at < ($2::date + 1)::timestamp AT TIME ZONE $3 \
             GROUP BY day, stage ORDER BY day, stage",
            [from.into(), to.into(), zone.name().into()],
        );
        let found = JourneyRow::find_by_statement(statement)
            .all(self.read())
            .await
            .map_err(|error| db(doing, error))?;
        found
            .into_iter()
            .map(|row| {
                let stage = row.stage.parse().map_err(|error| PortError::internal(doing, error))?;
                Ok(JourneyDay { day: row.day, stage, people: row.people.unsigned_abs() })
            })
            .collect()
    }

    async fn category_figures(
        &mut self,
        category: CategoryId,
        from: NaiveDate,
        to: NaiveDate,
        zone: Tz,
    ) -> Result<CategoryFigures> {
        category::figures(self, category, (from, to), zone).await
    }
}
