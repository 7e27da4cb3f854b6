//! A server under measurement with its PostgreSQL, in a folder of its own that
//! goes with it.

use std::{
    fs::{self, Permissions},
    io::{BufRead as _, BufReader},
    os::unix::{fs::PermissionsExt as _, process::CommandExt as _},
    path::Path,
    process::{Child, Command, Stdio},
    time::Duration,
};

use anyhow::{Context as _, bail};
use identity::Services;
use postgres::cluster::{Cluster, Durability};
use salus::{
    store::{As, Foundation},
    wiring::identity_services,
};
use sqlx::{
    PgPool,
    postgres::{PgConnectOptions, PgPoolOptions},
};
use tempfile::TempDir;

use super::{decisions::Decisions, serving};

pub struct Clinic {
    pub url: String,
    pub http: reqwest::Client,
    /// The database as its superuser, whom neither row-level security nor a
    /// time limit holds.
    pub admin: PgPool,
    pub decisions: Decisions,
    /// What Salus itself works with, for making patients.
    pub services: Services,
    /// Whether the database counts what its statements take.
    pub counts_statements: bool,
    pub postmaster: u32,
    // The server ends before its folder goes.
    server: Server,
    _folder: TempDir,
}

impl Clinic {
    pub async fn open(parent: &Path, mail_port: u16) -> anyhow::Result<Self> {
        // The cluster's own user has to reach it, so it is open to be entered.
        let folder = tempfile::Builder::new()
            .prefix("salus-bench-")
            .permissions(Permissions::from_mode(0o755))
            .tempdir_in(parent)
            .with_context(|| format!("making a folder in {}", parent.display()))?;
        let data_dir = folder.path().canonicalize()?.join("data");
        prepare(&data_dir).await.context("preparing the cluster")?;

        let log = folder.path().join("server.log");
        let mut server = Server::start(&data_dir, mail_port, &log)?;
        let url = server.url(&log).await?;

        let mut config = serving::config(data_dir.clone(), mail_port);
        config.server.public_url.clone_from(&url);
        config.database.max_connections = 4;
        let foundation = Foundation::open(&config, As::Setup).await?;
        let services = identity_services(&config, &foundation)?;
        let cluster = foundation.cluster.as_ref().context("the server has a cluster")?;
        let admin = PgPoolOptions::new()
            .max_connections(4)
            .connect_with(cluster.superuser_url("salus").parse::<PgConnectOptions>()?)
            .await?;
        let counts_statements = count_statements(&admin).await?;
        let decisions = Decisions::listen(&admin).await?;
        let postmaster = fs::read_to_string(data_dir.join("postgres").join("postmaster.pid"))
            .context("reading the process id of PostgreSQL")?;
        let postmaster = postmaster.lines().next().unwrap_or_default().trim().parse()?;
        let http = reqwest::Client::builder().timeout(Duration::from_secs(120)).build()?;
        Ok(Self {
            url,
            http,
            admin,
            decisions,
            services,
            counts_statements,
            postmaster,
            server,
            _folder: folder,
        })
    }

    /// The process id of the server.
    pub fn pid(&self) -> u32 {
        self.server.child.id()
    }
}

/// A cluster that is stopped when this is dropped.
struct Running(Cluster);

impl Drop for Running {
    fn drop(&mut self) {
        if let Err(error) = self.0.stop() {
            eprintln!("the cluster does not stop: {error}");
        }
    }
}

/// Makes the cluster and lets it count its statements, which it only can from
/// its start on. The library is part of PostgreSQL, and packaged apart by some.
async fn prepare(data_dir: &Path) -> anyhow::Result<()> {
    let start = || Cluster::start(data_dir, Durability::Full).map(Running);
    let cluster = tokio::task::block_in_place(start)?;
    let url = cluster.0.superuser_url("postgres");
    let pool = PgPoolOptions::new().max_connections(1).connect(&url).await?;
    let (available,): (bool,) = sqlx::query_as(
        "SELECT EXISTS (SELECT FROM pg_available_extensions WHERE name = 'pg_stat_statements')",
    )
    .fetch_one(&pool)
    .await?;
    if available {
        sqlx::query("ALTER SYSTEM SET shared_preload_libraries = 'pg_stat_statements'")
            .execute(&pool)
            .await?;
    }
    pool.close().await;
    Ok(())
}

async fn count_statements(admin: &PgPool) -> anyhow::Result<bool> {
    let (loaded,): (String,) =
        sqlx::query_as("SHOW shared_preload_libraries").fetch_one(admin).await?;
    if loaded.is_empty() {
        return Ok(false);
    }
    // Each BEGIN with its settings would be a statement of its own, and counting them would
    // cost more than running them.
    for sql in [
        "CREATE EXTENSION pg_stat_statements",
        "ALTER SYSTEM SET pg_stat_statements.track_utility = off",
        "SELECT pg_reload_conf()",
    ] {
        sqlx::query(sql).execute(admin).await?;
    }
    Ok(true)
}

/// The process of the server; it is stopped in good order when this is dropped.
struct Server {
    child: Child,
}

impl Server {
    fn start(data_dir: &Path, mail_port: u16, log: &Path) -> anyhow::Result<Self> {
        let child = Command::new(std::env::current_exe()?)
            .args(["serve", "--mail-port", &mail_port.to_string(), "--data-dir"])
            .arg(data_dir)
            .env_remove("SALUS_DEMO_PASSWORD")
            // A group of its own keeps Ctrl-C from it: it is stopped when this
            // process lets go of its standard input.
            .process_group(0)
            .stdin(Stdio::piped())
            .stdout(Stdio::piped())
            .stderr(fs::File::create(log)?)
            .spawn()
            .context("starting the server")?;
        Ok(Self { child })
    }

    /// Waits until the server says under which address it is up.
    async fn url(&mut self, log: &Path) -> anyhow::Result<String> {
        let out = self.child.stdout.take().context("the server's output")?;
        let mut lines = BufReader::new(out).lines();
        let found = tokio::task::spawn_blocking(move || {
            let url = lines.by_ref().map_while(Result::ok).find_map(|line| {
                let rest = line.trim().strip_prefix("API")?.trim();
                rest.strip_suffix("/api").map(str::to_owned)
            });
            // What it says later is read away, so that it never waits for a
            // reader.
            std::thread::spawn(move || lines.for_each(drop));
            url
        })
        .await?;
        let Some(url) = found else {
            let said = fs::read_to_string(log).unwrap_or_default();
            let from = said.char_indices().nth_back(2_000).map_or(0, |(at, _)| at);
            bail!("the server ended before it was up: {}", &said[from..]);
        };
        Ok(url)
    }
}

impl Drop for Server {
    fn drop(&mut self) {
        drop(self.child.stdin.take());
        // It stops its cluster before it ends, and only then may the folder go.
        let _ = self.child.wait();
    }
}
