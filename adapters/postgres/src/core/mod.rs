//! The connection pool and the one unit of work that every context's store is
//! implemented on.

mod connect;
mod connection;
mod cursor;
mod error;
mod notices;
mod pending;
mod pulse;
mod roles;
mod transaction;

use std::sync::{Arc, OnceLock};

pub use sea_orm::DatabaseConnection;

use kernel::{Actor, Permission, Uuid, actor::Scope};
use ports::{Env, Event, PortError, Result, Sealer};
use sqlx::AssertSqlSafe;

pub use self::{
    connect::{ConnectionSettings, MigrationState},
    connection::Connection,
    cursor::{cursor, id_cursor, read_time_cursor, time_cursor, time_cursor_of},
    error::{db, expect_changed},
    transaction::PgTx,
};
use self::{connection::executed, pulse::Pulse};

/// The database as the stores see it. Cloning shares the pool.
#[derive(Clone)]
pub struct Pg {
    pool: DatabaseConnection,
    env: Env,
    sealer: Arc<dyn Sealer>,
    pulse: Pulse,
    handlers: Arc<OnceLock<Handlers>>,
}

/// Names the handlers of an event.
pub type Handlers = Box<dyn Fn(&Event) -> Vec<&'static str> + Send + Sync>;

impl Pg {
    pub fn new(pool: DatabaseConnection, env: Env, sealer: Arc<dyn Sealer>) -> Self {
        Self { pool, env, sealer, pulse: Pulse::default(), handlers: Arc::default() }
    }

    /// Sets which handlers receive an event, so that a commit enqueues their
    /// deliveries. A process that runs handlers calls this once.
    pub fn subscribe(&self, handlers: Handlers) -> Result<()> {
        let twice = |_| PortError::bug("the handlers of events are named twice");
        self.handlers.set(handlers).map_err(twice)
    }

    pub fn pool(&self) -> &DatabaseConnection {
        &self.pool
    }

    pub fn env(&self) -> &Env {
        &self.env
    }

    pub fn sealer(&self) -> &Arc<dyn Sealer> {
        &self.sealer
    }

    /// Begins a transaction with this statement, or says at once that the
    /// database is away.
    pub(crate) async fn begin(&self, doing: &str, statement: String) -> Result<Connection> {
        let begin = async {
            // In a task of its own, so that it always finishes: where a BEGIN is dropped
            // half-way, the driver returns the connection inside the transaction.
            let pool = self.pool.get_postgres_connection_pool().clone();
            tokio::spawn(async move { pool.begin_with(AssertSqlSafe(statement)).await }).await
        };
        tokio::select! {
            biased;
            outage = self.pulse.lost() => Err(outage),
            begun = begin => match begun {
                Ok(Ok(begun)) => Ok(Connection::new(begun)),
                Ok(Err(error)) => Err(db(doing, executed(error))),
                Err(error) => Err(PortError::internal(format!("{doing} was cut off"), error)),
            }
        }
    }

    /// Opens a transaction in the actor's name; row-level security sees the
    /// actor's scope until it ends. One message begins it and names the actor, so
    /// nothing but words of ours, ids and a time may stand in it.
    pub async fn open(&self, actor: &Actor) -> Result<PgTx> {
        let (scope, patient) = match actor.scope() {
            Scope::Nobody => ("nobody", None),
            Scope::Patient(patient) => ("patient", Some(patient.uuid())),
            Scope::Staff => ("staff", None),
            Scope::System => ("system", None),
        };
        // Whoever treats as well reaches by that what they have written.
        let pharmacist = actor.as_pharmacist().filter(|_| actor.as_provider().is_none());
        // Some charts are closed to a provider; who may read any chart has none such.
        let provider = actor.as_provider().filter(|_| !actor.may(Permission::PatientReadAny));
        let id = |id: Option<Uuid>| id.map(|id| id.to_string()).unwrap_or_default();
        let statement = format!(
            "BEGIN; SET LOCAL salus.scope = '{scope}'; SET LOCAL salus.patient = '{}'; \
             SET LOCAL salus.pharmacist = '{}'; SET LOCAL salus.provider = '{}'; \
             SET LOCAL salus.now = '{}'",
            id(patient),
            id(pharmacist.map(|account| account.uuid())),
            id(provider.map(|provider| provider.uuid())),
            self.env.now().to_rfc3339(),
        );
        let tx = self.begin("opening a transaction", statement).await?;
        Ok(PgTx::new(tx, actor.clone(), self.clone()))
    }
}
