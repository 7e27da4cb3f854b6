//! What the server and the database took for their work.

use std::{
    collections::BTreeMap,
    fs,
    time::{Duration, Instant},
};

use anyhow::Context as _;
use sqlx::PgPool;

use super::{
    clinic::Clinic,
    rows::{self, Counts},
};

/// Linux counts the time of processes in hundredths of a second.
const TICKS: f64 = 100.0;

#[derive(Clone, Debug, Default)]
pub struct Usage {
    /// Seconds of processor time.
    pub server: f64,
    pub database: f64,
    /// Milliseconds that statements ran, without parsing them and without their
    /// commits; `None` where the database does not count them.
    pub statements: Option<f64>,
    /// Commits and rollbacks, without those that an idle server makes.
    pub transactions: f64,
    /// The rows that each table has gained.
    pub rows: Counts,
}

/// A statement and what it took.
pub struct Statement {
    pub text: String,
    pub calls: i64,
    pub milliseconds: f64,
}

/// Counting from a moment on.
pub struct Meter {
    server: f64,
    database: BTreeMap<u32, f64>,
    began: Instant,
    transactions: f64,
    /// Transactions a second of a server that has nothing to do.
    idle: f64,
    rows: Counts,
}

/// How long the idle server is looked at.
const IDLE: Duration = Duration::from_secs(2);
/// After this an idle connection has reported what it did.
const REPORTED: Duration = Duration::from_millis(1_500);

impl Meter {
    pub async fn start(clinic: &Clinic) -> anyhow::Result<Self> {
        let before = transactions(&clinic.admin).await?;
        tokio::time::sleep(IDLE).await;
        let transactions = transactions(&clinic.admin).await?;
        if clinic.counts_statements {
            sqlx::query("SELECT pg_stat_statements_reset()").execute(&clinic.admin).await?;
        }
        Ok(Self {
            server: of_process(clinic.pid())?,
            database: of_postgres(clinic.postmaster)?,
            began: Instant::now(),
            transactions,
            idle: (transactions - before) / IDLE.as_secs_f64(),
            rows: rows::counts(&clinic.admin).await?,
        })
    }

    pub async fn read(&self, clinic: &Clinic) -> anyhow::Result<Usage> {
        let statements = if clinic.counts_statements {
            let (total,): (f64,) = sqlx::query_as(
                "SELECT coalesce(sum(total_exec_time), 0) FROM pg_stat_statements \
                 WHERE query NOT LIKE '%bench%' AND query NOT LIKE '%pg_stat_statements%'",
            )
            .fetch_one(&clinic.admin)
            .await?;
            Some(total)
        } else {
            None
        };
        // A process that ended meanwhile is counted by its parent.
        let now = of_postgres(clinic.postmaster)?;
        let before = |pid| self.database.get(pid).copied().unwrap_or_default();
        let database = now.iter().map(|(pid, time)| time - before(pid)).sum();
        let server = of_process(clinic.pid())? - self.server;
        tokio::time::sleep(REPORTED).await;
        let made = transactions(&clinic.admin).await? - self.transactions;
        let transactions = made - self.idle * self.began.elapsed().as_secs_f64();
        let mut rows = rows::counts(&clinic.admin).await?;
        for (table, count) in &mut rows {
            *count -= self.rows.get(table).copied().unwrap_or_default();
        }
        Ok(Usage { server, database, statements, transactions, rows })
    }
}

/// Commits and rollbacks since the statistics began.
async fn transactions(admin: &PgPool) -> anyhow::Result<f64> {
    let (made,): (i64,) = sqlx::query_as(
        "SELECT xact_commit + xact_rollback FROM pg_stat_database \
         WHERE datname = current_database()",
    )
    .fetch_one(admin)
    .await?;
    Ok(made as f64)
}

/// The statements that took most since the meter was started.
pub async fn statements(admin: &PgPool, limit: i64) -> anyhow::Result<Vec<Statement>> {
    let rows: Vec<(String, i64, f64)> = sqlx::query_as(
        "SELECT left(regexp_replace(query, '\\s+', ' ', 'g'), 110), calls, total_exec_time \
         FROM pg_stat_statements WHERE query NOT LIKE '%pg_stat_statements%' \
         ORDER BY total_exec_time DESC LIMIT $1",
    )
    .bind(limit)
    .fetch_all(admin)
    .await?;
    Ok(rows
        .into_iter()
        .map(|(text, calls, milliseconds)| Statement { text, calls, milliseconds })
        .collect())
}

struct Times {
    parent: u32,
    own: f64,
    of_the_ended: f64,
}

fn times(pid: u32) -> anyhow::Result<Times> {
    let path = format!("/proc/{pid}/stat");
    let stat = fs::read_to_string(&path).with_context(|| format!("reading {path}"))?;
    // The name stands in parentheses and may hold anything.
    let (_, rest) = stat.rsplit_once(')').context("a process without a name")?;
    let fields: Vec<&str> = rest.split_whitespace().collect();
    let field = |index: usize| -> anyhow::Result<f64> {
        Ok(fields.get(index).context("a field of a process")?.parse()?)
    };
    Ok(Times {
        parent: fields.get(1).context("a process without a parent")?.parse()?,
        own: (field(11)? + field(12)?) / TICKS,
        of_the_ended: (field(13)? + field(14)?) / TICKS,
    })
}

/// Seconds of processor time of this process.
pub fn own() -> anyhow::Result<f64> {
    of_process(std::process::id())
}

/// The same of another.
pub fn of_process(pid: u32) -> anyhow::Result<f64> {
    times(pid).map(|times| times.own)
}

/// The postmaster with those that ended below it, and each that runs below it.
fn of_postgres(postmaster: u32) -> anyhow::Result<BTreeMap<u32, f64>> {
    let own = times(postmaster)?;
    let mut all = BTreeMap::from([(postmaster, own.own + own.of_the_ended)]);
    for entry in fs::read_dir("/proc")?.flatten() {
        let Some(pid) = entry.file_name().to_str().and_then(|name| name.parse().ok()) else {
            continue;
        };
        // One that ended since the folder was read is nobody's any more.
        if let Ok(times) = times(pid)
            && times.parent == postmaster
        {
            all.insert(pid, times.own);
        }
    }
    Ok(all)
}
