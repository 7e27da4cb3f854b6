//! How many deliveries a second are made: events that wait, with three handlers
//! each, of which every one writes a row and an audit entry.

use std::{
    fs::Permissions,
    os::unix::fs::PermissionsExt as _,
    path::{Path, PathBuf},
    process::ExitCode,
    sync::Arc,
    time::{Duration, Instant},
};

use anyhow::Context as _;
use clap::Args;
use kernel::Actor;
use ports::{AuditAction, AuditEntry, Env, Event, PortError, Registry, UnitOfWork as _};
use postgres::{
    Pg,
    cluster::{Cluster, Durability},
    core::{ConnectionSettings, Consumer},
};
use salus::system::{SystemClock, SystemIds};
use sqlx::{PgPool, postgres::PgPoolOptions};
use tokio_util::sync::CancellationToken;

#[derive(Args)]
pub struct Options {
    /// How many events wait.
    #[arg(long, default_value_t = 30_000)]
    events: usize,
    /// With how many nodes, one measurement for each.
    #[arg(long, value_delimiter = ',', default_values_t = [1, 2])]
    nodes: Vec<usize>,
    /// Transactions at a time on each node.
    #[arg(long, default_value_t = 4)]
    workers: usize,
    /// Where the cluster lies while it runs.
    #[arg(long, default_value_os_t = std::env::temp_dir())]
    folder: PathBuf,
}

const HANDLERS: [&str; 3] = ["bench.one", "bench.two", "bench.three"];
/// What is asked for.
const FLOOR: f64 = 10_000.0;
const DATABASE: &str = "events";

pub async fn run(options: Options) -> anyhow::Result<ExitCode> {
    let folder = tempfile::Builder::new()
        .prefix("salus-bench-")
        .permissions(Permissions::from_mode(0o755))
        .tempdir_in(&options.folder)
        .with_context(|| format!("making a folder in {}", options.folder.display()))?;
    let start = || Bed::start(folder.path());
    let bed = tokio::task::block_in_place(start)?;
    let admin = bed.prepare().await?;

    println!(
        "{:>5} {:>8} {:>11} {:>9} {:>12}  {:>26}",
        "", "", "deliveries", "", "CPU of this", ""
    );
    println!(
        "{:>5} {:>8} {:>11} {:>9} {:>12}  {:>26}  {:>6}",
        "nodes", "workers", "a second", "seconds", "process", "rows moved alone, a second", "ratio"
    );
    let mut best = 0.0_f64;
    let one = async |nodes: usize, snapshot: bool| -> anyhow::Result<f64> {
        let floor = moved_alone(&admin, options.events * HANDLERS.len()).await?;
        let (rate, taken, cpu) = bed.deliver(&admin, &options, nodes, snapshot).await?;
        println!(
            "{nodes:>5} {:>8} {rate:>11.0} {:>9.2} {cpu:>10.2} s  {floor:>26.0}  {:>5.2}x{}",
            options.workers,
            taken.as_secs_f64(),
            rate / floor,
            if snapshot { "  with an old snapshot open" } else { "" }
        );
        Ok(rate)
    };
    for &nodes in &options.nodes {
        best = best.max(one(nodes, false).await?);
    }
    let held = one(1, true).await?;
    let fresh = one(1, false).await?;
    let met = best >= FLOOR && held >= fresh / 2.0;
    println!(
        "the best rate is {best:.0} deliveries a second; the rate with an old snapshot open is {:.2} \
         of that of the last row; {FLOOR:.0} and 0.50 are asked for: {}",
        held / fresh,
        if met { "met" } else { "NOT met" }
    );
    if cfg!(debug_assertions) {
        println!("this is a debug build; a release build is several times as fast");
    }
    admin.close().await;
    Ok(if met { ExitCode::SUCCESS } else { ExitCode::FAILURE })
}

struct Bed {
    cluster: Cluster,
    keys: PathBuf,
}

impl Drop for Bed {
    fn drop(&mut self) {
        if let Err(error) = self.cluster.stop() {
            eprintln!("the cluster does not stop: {error}");
        }
    }
}

impl Bed {
    fn start(folder: &Path) -> anyhow::Result<Self> {
        let cluster = Cluster::start(folder, Durability::Full)?;
        let bed = Self { cluster, keys: folder.join("keys") };
        bed.cluster.ensure_database(DATABASE)?;
        Ok(bed)
    }

    async fn prepare(&self) -> anyhow::Result<PgPool> {
        let owner = self.connect(self.cluster.owner_url(DATABASE)).await?;
        postgres::core::Pg::migrate(&owner).await?;
        postgres::core::Pg::admit(&owner, Cluster::SERVER).await?;
        owner.close().await?;
        let url = self.cluster.superuser_url(DATABASE);
        let admin = PgPoolOptions::new().max_connections(2).connect(&url).await?;
        for sql in [
            "CREATE TABLE bench_effects (event uuid NOT NULL, handler text NOT NULL)",
            "GRANT INSERT ON bench_effects TO PUBLIC",
            "CREATE TABLE bench_from (number bigint PRIMARY KEY)",
            "CREATE TABLE bench_to (number bigint NOT NULL)",
        ] {
            sqlx::query(sql).execute(&admin).await?;
        }
        Ok(admin)
    }

    async fn connect(&self, url: String) -> anyhow::Result<postgres::core::DatabaseConnection> {
        Ok(postgres::core::Pg::connect(&ConnectionSettings { url, max_connections: 8 }).await?)
    }

    /// Gives the deliveries a second, how long they took in all, and the processor
    /// time of this process.
    async fn deliver(
        &self,
        admin: &PgPool,
        options: &Options,
        nodes: usize,
        snapshot: bool,
    ) -> anyhow::Result<(f64, Duration, f64)> {
        let env = Env { clock: Arc::new(SystemClock), ids: Arc::new(SystemIds) };
        let sealer = Arc::new(keyring::Keyring::open_or_create(self.keys.clone())?);
        let mut all = Vec::new();
        for _ in 0..nodes {
            let pool = self.connect(self.cluster.url(DATABASE)).await?;
            let pg = Pg::new(pool, env.clone(), sealer.clone());
            let registry = registry(&pg);
            pg.subscribe(Box::new(registry.interests()))?;
            all.push((pg, Arc::new(registry)));
        }
        let Some((first, _)) = all.first() else { anyhow::bail!("no node was asked for") };
        tell(first, &env, options.events).await?;
        sqlx::query("VACUUM ANALYZE").execute(admin).await?;
        // As a report or a backup holds it: nothing that is deleted from here on goes.
        let aside = PgPoolOptions::new()
            .max_connections(1)
            .connect(&self.cluster.superuser_url(DATABASE))
            .await?;
        let old = if snapshot {
            let mut old = aside.begin_with("BEGIN ISOLATION LEVEL REPEATABLE READ").await?;
            sqlx::query("SELECT count(*) FROM deliveries").execute(&mut *old).await?;
            Some(old)
        } else {
            None
        };

        let (stop, mut tasks) = (CancellationToken::new(), Vec::new());
        let (began, cpu) = (Instant::now(), crate::intake::usage::own()?);
        for (pg, registry) in &all {
            let consumer = Consumer::new((**pg).clone(), registry.clone(), options.workers);
            let stop = stop.clone();
            tasks.push(tokio::spawn(async move { consumer.run(&stop, || {}).await }));
        }
        loop {
            let (waits,): (bool,) =
                sqlx::query_as("SELECT EXISTS (SELECT FROM deliveries)").fetch_one(admin).await?;
            if !waits {
                break;
            }
            tokio::time::sleep(Duration::from_millis(20)).await;
        }
        let (taken, cpu) = (began.elapsed(), crate::intake::usage::own()? - cpu);
        drop(old);
        stop.cancel();
        for task in tasks {
            task.await??;
        }
        for (pg, _) in all {
            pg.pool().clone().close().await?;
        }
        let made = options.events * HANDLERS.len();
        let (effects,): (i64,) =
            sqlx::query_as("SELECT count(*) FROM bench_effects").fetch_one(admin).await?;
        anyhow::ensure!(effects == i64::try_from(made)?, "{effects} effects of {made} deliveries");
        sqlx::query("TRUNCATE bench_effects").execute(admin).await?;
        Ok((made as f64 / taken.as_secs_f64(), taken, cpu))
    }
}

fn registry(pg: &Pg) -> Registry {
    let mut registry = Registry::default();
    for name in HANDLERS {
        let pg = pg.clone();
        registry.on(
            name,
            |_| true,
            move |envelope| {
                let pg = pg.clone();
                async move {
                    let mut tx = pg.open(&Actor::system(name)).await?;
                    let sql = "INSERT INTO bench_effects VALUES ($1, $2)";
                    let values = [envelope.id.uuid().into(), name.into()];
                    tx.execute("writing an effect", sql, values).await?;
                    tx.audit(AuditEntry::new(AuditAction::Update, "bench", envelope.id));
                    Box::new(tx).commit().await
                }
            },
        );
    }
    registry
}

async fn tell(pg: &Pg, env: &Env, count: usize) -> Result<(), PortError> {
    const BATCH: usize = 1_000;
    for from in (0..count).step_by(BATCH) {
        let mut tx = pg.open(&Actor::system("bench.telling")).await?;
        for _ in from..count.min(from + BATCH) {
            tx.emit(Event::EmailVerified { account: env.fresh() });
        }
        tx.audit(AuditEntry::new(AuditAction::Execute, "bench", "told"));
        Box::new(tx).commit().await?;
    }
    Ok(())
}

/// What PostgreSQL makes of the same number of rows that are moved from one table to
/// another in batches, by one connection that does nothing else.
async fn moved_alone(admin: &PgPool, count: usize) -> anyhow::Result<f64> {
    sqlx::query("TRUNCATE bench_from, bench_to").execute(admin).await?;
    sqlx::query("INSERT INTO bench_from SELECT generate_series(1, $1)")
        .bind(i64::try_from(count)?)
        .execute(admin)
        .await?;
    let began = Instant::now();
    loop {
        let moved = sqlx::query(
            "WITH gone AS (DELETE FROM bench_from WHERE number = ANY (ARRAY( \
                 SELECT number FROM bench_from ORDER BY number LIMIT 100 FOR UPDATE SKIP LOCKED)) \
                 RETURNING number) \
             INSERT INTO bench_to SELECT number FROM gone",
        )
        .execute(admin)
        .await?;
        if moved.rows_affected() == 0 {
            return Ok(count as f64 / began.elapsed().as_secs_f64());
        }
    }
}
