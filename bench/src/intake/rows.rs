//! The floor of a submission: the rows that it leaves behind in every table, written
//! by hand in one statement, and so in one commit.

use std::{
    collections::BTreeMap,
    time::{Duration, Instant},
};

use anyhow::Context as _;
use sqlx::{AssertSqlSafe, Connection as _, PgConnection, PgPool};
use tokio::task::JoinSet;

use super::clinic::Clinic;

/// How many rows each table has gained since its statistics began.
pub type Counts = BTreeMap<String, i64>;

pub async fn counts(admin: &PgPool) -> anyhow::Result<Counts> {
    let rows: Vec<(String, i64)> = sqlx::query_as(
        "SELECT relname::text, n_tup_ins - n_tup_del FROM pg_stat_user_tables \
         WHERE schemaname = 'public' AND relname NOT LIKE 'bench%'",
    )
    .fetch_all(admin)
    .await?;
    Ok(rows.into_iter().collect())
}

/// The rows of each table that one of `submissions` has left.
pub fn of_one(gained: &Counts, submissions: usize) -> Counts {
    let each = |(table, rows): (&String, &i64)| {
        let each = (*rows as f64 / submissions.max(1) as f64).round() as i64;
        (each > 0).then(|| (table.clone(), each))
    };
    gained.iter().filter_map(each).collect()
}

/// How often a second as many connections write such rows, into tables with the same
/// indexes and constraints, and without triggers and row-level security.
pub async fn written(
    clinic: &Clinic,
    rows: &Counts,
    clients: usize,
    time: Duration,
) -> anyhow::Result<f64> {
    sqlx::raw_sql(
        "DROP SCHEMA IF EXISTS bench_rows CASCADE; CREATE SCHEMA bench_rows; \
         CREATE SEQUENCE bench_rows.number START 1000000000",
    )
    .execute(&clinic.admin)
    .await?;
    let mut parts = Vec::new();
    for (table, count) in rows {
        let sql = format!(
            "CREATE TABLE bench_rows.{table} (LIKE public.{table} INCLUDING ALL); \
             CREATE TABLE bench_rows.{table}_from AS \
                 SELECT * FROM public.{table} ORDER BY random() LIMIT 100"
        );
        sqlx::raw_sql(AssertSqlSafe(sql)).execute(&clinic.admin).await?;
        let (names, values): (Vec<_>, Vec<_>) =
            columns(&clinic.admin, table).await?.into_iter().unzip();
        let (names, values) = (names.join(", "), values.join(", "));
        parts.push(format!(
            "{table} AS (INSERT INTO bench_rows.{table} ({names}) SELECT {values} \
             FROM (SELECT * FROM bench_rows.{table}_from OFFSET floor(random() * 90) \
             LIMIT {count}) AS row)"
        ));
    }
    let statement = format!("WITH {} SELECT 1", parts.join(", "));
    let options = clinic.admin.connect_options();
    let mut writers = JoinSet::new();
    let started = Instant::now();
    for _ in 0..clients {
        let mut connection = PgConnection::connect_with(&options).await?;
        let statement = statement.clone();
        writers.spawn(async move {
            let mut written = 0_u32;
            while started.elapsed() < time {
                sqlx::query(AssertSqlSafe(statement.clone()))
                    .execute(&mut connection)
                    .await
                    .context("writing the rows of a submission")?;
                written += 1;
            }
            connection.close().await?;
            anyhow::Ok(written)
        });
    }
    let mut written = 0;
    while let Some(done) = writers.join_next().await {
        written += done??;
    }
    Ok(f64::from(written) / started.elapsed().as_secs_f64())
}

/// The columns of a table with what is written to them: something new where they have
/// to be unique, else what stands in a real row.
async fn columns(admin: &PgPool, table: &str) -> anyhow::Result<Vec<(String, String)>> {
    // Of each unique index one column is enough, and best one that nothing else binds.
    let columns: Vec<(String, String, bool)> = sqlx::query_as(
        "SELECT a.attname::text, format_type(a.atttypid, NULL), a.attnum IN ( \
             SELECT DISTINCT ON (i.indexrelid) k.attnum FROM pg_index i \
             JOIN pg_attribute k ON k.attrelid = i.indrelid AND k.attnum = ANY (i.indkey) \
             WHERE i.indrelid = a.attrelid AND i.indisunique \
             ORDER BY i.indexrelid, array_position(ARRAY['uuid', 'bytea', 'bigint', 'text'], \
                 format_type(k.atttypid, NULL)) NULLS LAST) \
         FROM pg_attribute a WHERE a.attrelid = ('public.' || $1)::regclass AND a.attnum > 0 \
             AND NOT a.attisdropped AND a.attidentity = '' AND a.attgenerated = ''",
    )
    .bind(table)
    .fetch_all(admin)
    .await?;
    let value = |(name, kind, unique): (String, String, bool)| {
        let value = match (unique, kind.as_str()) {
            (true, "uuid") => "gen_random_uuid()",
            (true, "text") => "gen_random_uuid()::text",
            (true, "bytea") => "sha256(gen_random_uuid()::text::bytea)",
            (true, "bigint") => "nextval('bench_rows.number')",
            _ => return (name.clone(), format!("row.{name}")),
        };
        (name, value.to_owned())
    };
    Ok(columns.into_iter().map(value).collect())
}
