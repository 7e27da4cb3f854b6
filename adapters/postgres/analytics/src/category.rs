//! The figures of one category, from the views of `migrations/sql/097_analytics.up.sql`.

use analytics::{CategoryFigures, Tally};
use chrono::{NaiveDate, TimeDelta};
use chrono_tz::Tz;
use kernel::CategoryId;
use ports::{PortError, Result};
use sea_orm::{DbBackend, FromQueryResult, Statement};

use crate::Tx;
use pg::db;

#[derive(Debug, FromQueryResult)]
struct TallyRow {
    count: i64,
    people: i64,
}

#[derive(Debug, FromQueryResult)]
struct DecisionRow {
    decision: String,
    count: i64,
    people: i64,
}

#[derive(Debug, FromQueryResult)]
struct SpeedRow {
    people: i64,
    seconds: Option<f64>,
}

const DOING: &str = "counting what came into a category";

/// Both bounds are local midnights, so that an index on the time helps.
fn within(column: &str) -> String {
    format!(
        "category_id = $1 AND {column} >= $2::date::timestamp AT TIME ZONE $4 \
         AND {column} < ($3::date + 1)::timestamp AT TIME ZONE $4"
    )
}

pub async fn figures(
    tx: &Tx,
    category: CategoryId,
    (from, to): (NaiveDate, NaiveDate),
    zone: Tz,
) -> Result<CategoryFigures> {
    let statement = |sql: String| {
        let values = [category.uuid().into(), from.into(), to.into(), zone.name().into()];
        Statement::from_sql_and_values(DbBackend::Postgres, sql, values)
    };
    let tally = async |view: &str, column: &str| -> Result<Tally> {
        let sql = format!(
            "SELECT count(*) AS count, count(DISTINCT patient_id) AS people \
             FROM {view} WHERE {}",
            within(column)
        );
        let row = TallyRow::find_by_statement(statement(sql))
            .one(tx.read())
            .await
            .map_err(|error| db(DOING, error))?;
        Ok(row.map(|row| to_tally(row.count, row.people)).unwrap_or_default())
    };
    let sql = format!(
        "SELECT decision, count(*) AS count, count(DISTINCT patient_id) AS people \
         FROM analytics_submissions WHERE {} GROUP BY decision ORDER BY decision",
        within("decided_at")
    );
    let decisions = DecisionRow::find_by_statement(statement(sql))
        .all(tx.read())
        .await
        .map_err(|error| db(DOING, error))?;
    let sql = format!(
        "SELECT count(DISTINCT patient_id) AS people, \
         (percentile_cont(0.5) WITHIN GROUP \
         (ORDER BY extract(epoch FROM decided_at - submitted_at)))::float8 AS seconds \
         FROM analytics_submissions WHERE {}",
        within("decided_at")
    );
    let speed = SpeedRow::find_by_statement(statement(sql))
        .one(tx.read())
        .await
        .map_err(|error| db(DOING, error))?;
    let (decided_people, median) =
        speed.map_or((0, None), |row| (row.people.unsigned_abs(), row.seconds));
    let decisions = decisions
        .into_iter()
        .map(|row| {
            let decision =
                row.decision.parse().map_err(|error| PortError::internal(DOING, error))?;
            Ok((decision, to_tally(row.count, row.people)))
        })
        .collect::<Result<_>>()?;
    Ok(CategoryFigures {
        submissions: tally("analytics_submissions", "submitted_at").await?,
        decisions,
        decided_people,
        median_to_decision: median.map(|seconds| TimeDelta::seconds(seconds.round() as i64)),
        cancellations: tally("analytics_cancellations", "canceled_at").await?,
    })
}

fn to_tally(count: i64, people: i64) -> Tally {
    Tally { count: count.unsigned_abs(), people: people.unsigned_abs() }
}
