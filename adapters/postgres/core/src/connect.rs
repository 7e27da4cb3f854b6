//! Connecting, migrating and asking after the state of both.

use std::time::Duration;

use graphile_worker::WorkerUtils;
use migrations::Migrator;
use ports::{PortError, Result};
use sea_orm::{
    ConnectOptions, ConnectionTrait as _, Database, DatabaseConnection, DbBackend, Statement,
};
use sea_orm_migration::MigratorTrait as _;
use sqlx::postgres::{PgConnectOptions, PgPoolOptions};

use super::error::db;

/// How long a request waits for a connection while the pool is busy; that the
/// database is away is known sooner, by its pulse.
const ACQUIRE_TIMEOUT: Duration = Duration::from_secs(10);
/// The queue's own connections are needed for moments only, and a server that
/// stops while the database is away waits for them.
const QUEUE_ACQUIRE_TIMEOUT: Duration = Duration::from_millis(1_500);

/// A connection that was idle for this long is pinged before use.
const IDLE: Duration = Duration::from_secs(1);
/// How many prepared statements each connection keeps. Salus uses more than the driver's
/// default of 100, and a statement that is evicted is parsed and planned again.
const STATEMENTS: usize = 1_000;

#[derive(Clone, Debug)]
pub struct ConnectionSettings {
    pub url: String,
    pub max_connections: u32,
}

#[derive(Clone, Debug, PartialEq, Eq)]
pub struct MigrationState {
    pub applied: usize,
    pub pending: Vec<String>,
}

impl super::Pg {
    /// Connects a pool; queries that run away end after half a minute.
    pub async fn connect(settings: &ConnectionSettings) -> Result<DatabaseConnection> {
        let mut options = ConnectOptions::new(settings.url.clone());
        options
            .max_connections(settings.max_connections)
            .min_connections(1)
            .acquire_timeout(ACQUIRE_TIMEOUT)
            .statement_timeout(Duration::from_secs(30))
            .set_application_name("salus")
            .sqlx_logging(false)
            // A ping before each use is one more round trip for every transaction. A BEGIN
            // on a dead connection is repeated instead.
            .test_before_acquire_if_idle_for(IDLE)
            .map_sqlx_postgres_opts(|options| options.statement_cache_capacity(STATEMENTS));
        Database::connect(options).await.map_err(|error| db("connecting", error))
    }

    /// A pool for the job queue's own bookkeeping: taking jobs and crossing
    /// them off. Its commits are not waited for until they are on disk. The
    /// log is written in order, so what a crash undoes is the last of them
    /// alone, and a job that is no longer crossed off runs once more, as one
    /// does whose server was killed before it could say that it was done.
    pub async fn connect_queue(&self, max_connections: u32) -> Result<sqlx::PgPool> {
        let pool = self.pool().get_postgres_connection_pool();
        let options = PgConnectOptions::clone(&pool.connect_options())
            .options([("synchronous_commit", "off")]);
        PgPoolOptions::new()
            .max_connections(max_connections)
            .acquire_timeout(QUEUE_ACQUIRE_TIMEOUT)
            .connect_with(options)
            .await
            .map_err(|error| PortError::internal("the job queue has no connection", error))
    }

    /// Brings the schema and the job queue's schema up to date.
    pub async fn migrate(pool: &DatabaseConnection) -> Result<()> {
        let utils =
            WorkerUtils::new(pool.get_postgres_connection_pool().clone(), "graphile_worker");
        utils.migrate().await.map_err(|error| {
            PortError::internal("the job queue's schema does not migrate", error)
        })?;
        Migrator::up(pool, None).await.map_err(|error| db("migrating", error))
    }

    /// Whether the database belongs to the ring that computes this mark. One that
    /// belongs to none yet is given to it where that is asked for.
    pub async fn belongs_to(pool: &DatabaseConnection, mark: &[u8], take: bool) -> Result<bool> {
        let doing = "asking for the mark of the key ring";
        if take {
            let sql = "INSERT INTO keyring_mark (mark) VALUES ($1) ON CONFLICT DO NOTHING";
            let given =
                Statement::from_sql_and_values(DbBackend::Postgres, sql, [mark.to_vec().into()]);
            pool.execute_raw(given).await.map_err(|error| db(doing, error))?;
        }
        let asked = Statement::from_string(DbBackend::Postgres, "SELECT mark FROM keyring_mark");
        let row = pool.query_one_raw(asked).await.map_err(|error| db(doing, error))?;
        let Some(row) = row else { return Ok(true) };
        let kept: Vec<u8> = row.try_get("", "mark").map_err(|error| db(doing, error))?;
        Ok(kept == mark)
    }

    /// Takes back the newest steps, all of them without a number.
    pub async fn migrate_down(pool: &DatabaseConnection, steps: Option<u32>) -> Result<()> {
        Migrator::down(pool, steps).await.map_err(|error| db("migrating down", error))
    }

    pub async fn migration_state(pool: &DatabaseConnection) -> Result<MigrationState> {
        let doing = "reading the state of the migrations";
        let applied =
            Migrator::get_applied_migrations_read_only(pool).await.map_err(|e| db(doing, e))?.len();
        let pending =
            Migrator::get_pending_migrations_read_only(pool).await.map_err(|e| db(doing, e))?;
        Ok(MigrationState {
            applied,
            pending: pending.iter().map(|migration| migration.name().to_owned()).collect(),
        })
    }
}
