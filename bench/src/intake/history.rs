//! A clinic's past, so that its tables are as full as those of one that has
//! worked for two years.

use anyhow::{Context as _, ensure};
use sqlx::{AssertSqlSafe, Connection as _, PgConnection};

use super::clinic::Clinic;

const TWO_YEARS: f64 = 730.0 * 24.0 * 3_600.0;

/// Submissions that a batch adds.
const BATCH: u64 = 10_000;

/// For as long as the tables are filled, nothing is done that would be done
/// again after; the commits of the fill itself need not be waited for.
const HASTE: [&str; 4] = [
    "full_page_writes = off",
    "autovacuum = off",
    "max_wal_size = '2GB'",
    "checkpoint_timeout = '30min'",
];

pub async fn responses(clinic: &Clinic) -> anyhow::Result<u64> {
    let (count,): (i64,) =
        sqlx::query_as("SELECT count(*) FROM intake_responses").fetch_one(&clinic.admin).await?;
    Ok(count.unsigned_abs())
}

/// Fills the tables up to so many responses, with what belongs to them; each
/// patient has three.
pub async fn fill(clinic: &Clinic, total: u64) -> anyhow::Result<()> {
    let there = responses(clinic).await?;
    ensure!(there > 0, "there is no submission to take as a pattern");
    let Some(missing) = total.checked_sub(there).filter(|missing| *missing > 0) else {
        return Ok(());
    };
    let mut admin = PgConnection::connect_with(&clinic.admin.connect_options()).await?;
    for setting in HASTE {
        let statement = format!("ALTER SYSTEM SET {setting}");
        sqlx::query(AssertSqlSafe(statement)).execute(&mut admin).await?;
    }
    sqlx::query("SELECT pg_reload_conf()").execute(&mut admin).await?;
    sqlx::query("SET synchronous_commit = off").execute(&mut admin).await?;

    let (now,): (f64,) =
        sqlx::query_as("SELECT extract(epoch FROM now())::float8").fetch_one(&mut admin).await?;
    // It ends a day ago, so that nothing of it lies between today's rows.
    let step = (TWO_YEARS - 24.0 * 3_600.0) / missing as f64;
    let script = include_str!("history.sql")
        .replace("{base}", &(now - TWO_YEARS).to_string())
        .replace("{step}", &step.to_string())
        .replace("{fill}", &missing.to_string())
        .replace("{patients}", &missing.div_ceil(3).to_string());
    sqlx::raw_sql(AssertSqlSafe(script)).execute(&mut admin).await.context("preparing to fill")?;
    let mut first = 0;
    while first < missing {
        let last = missing.min(first + BATCH) - 1;
        sqlx::query("CALL bench_fill($1, $2)")
            .bind(first.cast_signed())
            .bind(last.cast_signed())
            .execute(&mut admin)
            .await
            .context("filling the tables")?;
        first = last + 1;
        if first % (10 * BATCH) == 0 {
            eprintln!("  {first} of {missing} filled");
        }
    }

    for setting in HASTE {
        let name = setting.split(' ').next().unwrap_or_default();
        let statement = format!("ALTER SYSTEM RESET {name}");
        sqlx::query(AssertSqlSafe(statement)).execute(&mut admin).await?;
    }
    sqlx::query("SELECT pg_reload_conf()").execute(&mut admin).await?;
    Ok(())
}

/// Leaves nothing that PostgreSQL would catch up on while it is measured, and
/// says how large the database is.
pub async fn settle(clinic: &Clinic) -> anyhow::Result<String> {
    let mut admin = PgConnection::connect_with(&clinic.admin.connect_options()).await?;
    for statement in ["VACUUM (ANALYZE)", "CHECKPOINT"] {
        sqlx::raw_sql(statement).execute(&mut admin).await?;
    }
    let (size,): (String,) =
        sqlx::query_as("SELECT pg_size_pretty(pg_database_size(current_database()))")
            .fetch_one(&mut admin)
            .await?;
    Ok(size)
}
