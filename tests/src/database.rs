//! A database for each test, cloned from a template that was migrated once for all
//! processes that have the same migrations.
//! The server is the one that `TEST_DATABASE_URL` names, else a private
//! cluster of this process, else a container.

use std::{
    hash::{Hash as _, Hasher as _},
    path::{Path, PathBuf},
    sync::{
        Arc, Mutex,
        atomic::{AtomicU32, Ordering},
    },
};

use anyhow::Context as _;
use migrations::Migrator;
use ports::{Env, Sealer};
use postgres::{
    Pg,
    cluster::{Cluster, Durability},
    core::ConnectionSettings,
};
use sea_orm::{ConnectionTrait as _, DatabaseConnection, DbBackend, Statement};
use testcontainers::{
    ContainerAsync, GenericImage, ImageExt as _, core::WaitFor, runners::AsyncRunner as _,
};
use tokio::sync::OnceCell;

use crate::{FixedClock, TestSealer, test_env};

const TEMPLATE: &str = "salus_template";

struct Server {
    /// URLs with `{}` for the name of the database.
    url: String,
    owner_url: String,
    superuser_url: String,
    _container: Option<ContainerAsync<GenericImage>>,
    _cluster: Option<Cluster>,
}

static SERVER: OnceCell<Server> = OnceCell::const_new();
static COUNT: AtomicU32 = AtomicU32::new(0);

/// A fresh, migrated database.
pub struct Database {
    pub pg: Pg,
    pub env: Env,
    pub clock: Arc<FixedClock>,
    pub url: String,
    owner_url: String,
    /// The same database as its superuser, for tests that tamper.
    pub superuser_url: String,
    _discarded: Discarded,
}

/// Databases whose tests have ended. The next clone drops them, so that a run takes the
/// disk of the tests that run at once, not of all.
static ENDED: Mutex<Vec<String>> = Mutex::new(Vec::new());

/// The name of a database that is dropped some time after this value.
struct Discarded(String);

impl Drop for Discarded {
    fn drop(&mut self) {
        ENDED.lock().expect("no test panics here").push(std::mem::take(&mut self.0));
    }
}

impl Database {
    /// Panics where no PostgreSQL can be had: a test that needs one never
    /// passes without it.
    pub async fn fresh() -> Self {
        Self::with_sealer(Arc::new(TestSealer)).await
    }

    pub async fn with_sealer(sealer: Arc<dyn Sealer>) -> Self {
        let server = SERVER
            .get_or_init(|| async { Server::start().await.expect("a PostgreSQL for the tests") })
            .await;
        let name =
            format!("salus_test_{}_{}", std::process::id(), COUNT.fetch_add(1, Ordering::Relaxed));
        server.clone_template(&name).await.expect("a database cloned from the template");
        let url = server.url.replace("{}", &name);
        let pool = connect(&url).await.expect("a connection to the test's database");
        let (env, clock) = test_env();
        Self {
            pg: Pg::new(pool, env.clone(), sealer),
            env,
            clock,
            url,
            owner_url: server.owner_url.replace("{}", &name),
            superuser_url: server.superuser_url.replace("{}", &name),
            _discarded: Discarded(name),
        }
    }

    /// A pool of the role that owns the tables, for tests that make some.
    pub async fn owner(&self) -> DatabaseConnection {
        connect(&self.owner_url).await.expect("the owner's connection")
    }

    /// A pool with the superuser's rights, which row-level security and
    /// triggers do not hold back once it switches them off.
    pub async fn superuser(&self) -> DatabaseConnection {
        connect(&self.superuser_url).await.expect("a superuser's connection")
    }

    /// An empty database without any migration, as its owner, for tests of the
    /// migrations.
    pub async fn unmigrated() -> DatabaseConnection {
        let server = SERVER
            .get_or_init(|| async { Server::start().await.expect("a PostgreSQL for the tests") })
            .await;
        let name =
            format!("salus_empty_{}_{}", std::process::id(), COUNT.fetch_add(1, Ordering::Relaxed));
        let admin =
            connect(&server.owner_url.replace("{}", "postgres")).await.expect("a connection");
        admin.execute_unprepared(&format!("CREATE DATABASE {name}")).await.expect("a database");
        connect(&server.owner_url.replace("{}", &name)).await.expect("a connection")
    }
}

async fn connect(url: &str) -> anyhow::Result<DatabaseConnection> {
    let settings = ConnectionSettings { url: url.to_owned(), max_connections: 40 };
    Ok(postgres::core::Pg::connect(&settings).await?)
}

/// The role that the server serves with, which tests use as well.
const SERVER_ROLE: &str = "DO $$ BEGIN \
     IF NOT EXISTS (SELECT FROM pg_roles WHERE rolname = 'salus_server') THEN \
         CREATE ROLE salus_server LOGIN PASSWORD 'salus'; \
     END IF; \
     EXCEPTION WHEN duplicate_object OR unique_violation THEN NULL; END $$";

/// A URL with the server's role in the place of its own.
fn as_server(url: &str) -> anyhow::Result<String> {
    let (scheme, rest) = url.split_once("://").context("a database URL")?;
    let host = rest.split_once('@').map_or(rest, |(_, host)| host);
    Ok(format!("{scheme}://salus_server:salus@{host}"))
}

const FOLDER: &str = "/tmp/salus-tests-";

/// Removes the folders of processes that are gone; the clusters in them have
/// taken their data along.
fn clear_up() {
    let Ok(entries) = std::fs::read_dir("/tmp") else { return };
    for entry in entries.flatten() {
        let path = entry.path();
        let process = path.to_str().and_then(|path| path.strip_prefix(FOLDER)?.parse::<u32>().ok());
        if process.is_some_and(|id| !std::path::Path::new(&format!("/proc/{id}")).exists()) {
            // Another process may have been quicker, and a folder of somebody
            // else stays.
            std::fs::remove_dir_all(&path).ok();
        }
    }
}

/// The folder of a migrated cluster that test processes copy. Its name holds a digest of
/// the migrations and of which PostgreSQL is installed.
fn migrated_cluster() -> PathBuf {
    let mut hash = std::hash::DefaultHasher::new();
    Migrator::text().hash(&mut hash);
    std::env::var_os("SALUS_PG_BIN").hash(&mut hash);
    let installed = std::fs::read_dir("/usr/lib/postgresql").into_iter().flatten().flatten();
    let mut installed: Vec<_> = installed.map(|version| version.file_name()).collect();
    installed.sort();
    installed.hash(&mut hash);
    let user = std::env::var_os("USER").unwrap_or_default();
    PathBuf::from(format!("/tmp/salus-migrated-{}-{:016x}", user.display(), hash.finish()))
}

/// Copies a cluster that is stopped, with its owners.
fn copy(from: &Path, to: &Path) -> anyhow::Result<()> {
    let copied = std::process::Command::new("cp").arg("-a").arg(from).arg(to).status()?;
    anyhow::ensure!(copied.success(), "{} was not copied", from.display());
    Ok(())
}

impl Server {
    async fn start() -> anyhow::Result<Self> {
        let server = if let Ok(url) = std::env::var("TEST_DATABASE_URL") {
            Self::at(&url)?
        } else {
            match Self::private().await {
                Ok(server) => server,
                Err(error) => Self::container()
                    .await
                    .with_context(|| format!("no private cluster either: {error:#}"))?,
            }
        };
        server.ensure_template().await?;
        Ok(server)
    }

    /// The server that a URL names; its database is replaced by each test's
    /// own. Another superuser than the URL's own can be given beside it, which
    /// makes the server's role.
    fn at(url: &str) -> anyhow::Result<Self> {
        let template = |url: &str| -> anyhow::Result<String> {
            let (head, query) = url.split_once('?').map_or((url, None), |(h, q)| (h, Some(q)));
            let (server, _) = head.rsplit_once('/').context("a database URL with a database")?;
            Ok(query.map_or(format!("{server}/{{}}"), |query| format!("{server}/{{}}?{query}")))
        };
        let superuser = std::env::var("TEST_SUPERUSER_URL").unwrap_or_else(|_| url.to_owned());
        let owner_url = template(url)?;
        Ok(Self {
            url: as_server(&owner_url)?,
            owner_url,
            superuser_url: template(&superuser)?,
            _container: None,
            _cluster: None,
        })
    }

    /// A cluster of this process, on a copy of one that was migrated before.
    async fn private() -> anyhow::Result<Self> {
        clear_up();
        let folder = PathBuf::from(format!("{FOLDER}{}", std::process::id()));
        let migrated = migrated_cluster();
        if migrated.exists() {
            copy(&migrated, &folder)?;
            return Self::of(Cluster::start(&folder, Durability::None)?);
        }
        let first = Self::of(Cluster::start(&folder, Durability::None)?)?;
        first.ensure_template().await?;
        let cluster = first._cluster.as_ref().context("the private cluster")?;
        cluster.stop()?;
        let part = migrated.with_extension(std::process::id().to_string());
        copy(&folder, &part)?;
        if std::fs::rename(&part, &migrated).is_err() {
            // Another process was quicker.
            std::fs::remove_dir_all(&part)?;
        }
        drop(first);
        Self::of(Cluster::start(&folder, Durability::None)?)
    }

    fn of(cluster: Cluster) -> anyhow::Result<Self> {
        cluster.discard_with_this_process()?;
        Ok(Self {
            url: cluster.url("{}"),
            owner_url: cluster.owner_url("{}"),
            superuser_url: cluster.superuser_url("{}"),
            _container: None,
            _cluster: Some(cluster),
        })
    }

    async fn container() -> anyhow::Result<Self> {
        let container = GenericImage::new("postgres", "15-alpine")
            .with_wait_for(WaitFor::message_on_stderr("ready to accept connections"))
            .with_env_var("POSTGRES_PASSWORD", "salus")
            .start()
            .await?;
        let port = container.get_host_port_ipv4(5432).await?;
        let superuser_url = format!("postgres://postgres:salus@127.0.0.1:{port}/{{}}");
        let admin = connect(&superuser_url.replace("{}", "postgres")).await?;
        admin
            .execute_unprepared("CREATE ROLE salus LOGIN NOSUPERUSER CREATEDB PASSWORD 'salus'")
            .await?;
        let owner_url = format!("postgres://salus:salus@127.0.0.1:{port}/{{}}");
        Ok(Self {
            url: as_server(&owner_url)?,
            owner_url,
            superuser_url,
            _container: Some(container),
            _cluster: None,
        })
    }

    /// On a server that others use as well the template belongs to this process, because
    /// another may have been built from other migrations.
    fn template(&self) -> String {
        match self._cluster {
            Some(_) => TEMPLATE.to_owned(),
            None => format!("{TEMPLATE}_{}", std::process::id()),
        }
    }

    async fn ensure_template(&self) -> anyhow::Result<()> {
        let superuser = connect(&self.superuser_url.replace("{}", "postgres")).await?;
        superuser.execute_unprepared(SERVER_ROLE).await?;
        superuser.close().await?;
        let admin = connect(&self.owner_url.replace("{}", "postgres")).await?;
        let template = self.template();
        let sql = format!("SELECT 1 FROM pg_database WHERE datname = '{template}'");
        let is_there = Statement::from_string(DbBackend::Postgres, sql);
        if admin.query_one_raw(is_there).await?.is_none() {
            admin.execute_unprepared(&format!("CREATE DATABASE {template}")).await?;
        }
        admin.close().await?;
        let pool = connect(&self.owner_url.replace("{}", &template)).await?;
        postgres::core::Pg::migrate(&pool).await?;
        postgres::core::Pg::admit(&pool, Cluster::SERVER).await?;
        pool.close().await?;
        Ok(())
    }

    async fn clone_template(&self, name: &str) -> anyhow::Result<()> {
        // Cloning wants the template to itself, so clones of one process take
        // turns.
        static TURN: tokio::sync::Mutex<()> = tokio::sync::Mutex::const_new(());
        let _turn = TURN.lock().await;
        let ended = std::mem::take(&mut *ENDED.lock().expect("no test panics here"));
        if !ended.is_empty() {
            let superuser = connect(&self.superuser_url.replace("{}", "postgres")).await?;
            for name in ended {
                superuser.execute_unprepared(&format!("DROP DATABASE {name} WITH (FORCE)")).await?;
            }
            superuser.close().await?;
        }
        let admin = connect(&self.owner_url.replace("{}", "postgres")).await?;
        let template = self.template();
        admin.execute_unprepared(&format!("CREATE DATABASE {name} TEMPLATE {template}")).await?;
        // A copy has not the template's own grants.
        let revoke = format!("REVOKE TEMPORARY ON DATABASE {name} FROM PUBLIC");
        admin.execute_unprepared(&revoke).await?;
        admin.close().await?;
        Ok(())
    }
}
