//! The connection pool and the one unit of work that every context's store is
//! implemented on.

mod connect;
mod connection;
mod cursor;
mod deliveries;
mod error;
mod joining;
mod notices;
mod pending;
mod pulse;
mod reach;
mod readings;
mod recorder;
pub mod repository;
mod roles;
mod transaction;

use std::sync::{Arc, OnceLock};

pub use sea_orm::DatabaseConnection;

use kernel::{Actor, Permission, Uuid, actor::Scope};
use ports::{Env, Event, Hearing, PortError, Result, Sealer};
use sqlx::{AssertSqlSafe, postgres::PgConnectOptions};
use tokio::sync::Notify;

pub use self::{
    connect::{ConnectionSettings, MigrationState},
    connection::Connection,
    cursor::{cursor, id_cursor, read_time_cursor, time_cursor, time_cursor_of},
    deliveries::{Consumer, DeliveryBacklog},
    error::{db, expect_changed},
    joining::sharing,
    reach::reach,
    readings::PATIENT_RECORD,
    repository::{Row, Unreadable, locked, opened_with, page, page_by_id, reached},
    transaction::PgTx,
};
use self::{
    connection::{Session, executed},
    error::is_dead,
    joining::{Begin, Request, Seat},
    pending::{Entry, Pending},
    pulse::Pulse,
    recorder::Recorder,
};

/// The database as the stores see it. Cloning shares the pool.
#[derive(Clone)]
pub struct Pg {
    pool: DatabaseConnection,
    env: Env,
    sealer: Arc<dyn Sealer>,
    pulse: Pulse,
    handlers: Arc<OnceLock<Handlers>>,
    /// Wakes those who deliver events in this process.
    told: Arc<Notify>,
    recorder: Arc<OnceLock<Recorder>>,
    hearing: Hearing,
}

/// Names the handlers of an event.
pub type Handlers = Box<dyn Fn(&Event) -> Vec<&'static str> + Send + Sync>;

impl Pg {
    pub fn new(pool: DatabaseConnection, env: Env, sealer: Arc<dyn Sealer>) -> Self {
        let (pulse, handlers, told, recorder, hearing) = Default::default();
        Self { pool, env, sealer, pulse, handlers, told, recorder, hearing }
    }

    /// Sets which handlers receive an event, so that a commit lists their
    /// deliveries. A process that runs handlers calls this once.
    pub fn subscribe(&self, handlers: Handlers) -> Result<()> {
        let twice = |_| PortError::bug("the handlers of events are named twice");
        self.handlers.set(handlers).map_err(twice)
    }

    pub fn pool(&self) -> &DatabaseConnection {
        &self.pool
    }

    /// Whether this process hears the notices of the others.
    pub fn hearing(&self) -> &Hearing {
        &self.hearing
    }

    pub fn env(&self) -> &Env {
        &self.env
    }

    pub fn sealer(&self) -> &Arc<dyn Sealer> {
        &self.sealer
    }

    /// Begins a transaction with this statement, or says at once that the
    /// database is away.
    pub async fn begin(&self, doing: &str, statement: String) -> Result<Connection> {
        let walls: Arc<str> = "".into();
        Ok(self.session(doing, statement, walls.clone()).await?.connection(walls))
    }

    async fn session(
        &self,
        doing: &str,
        statement: String,
        walls: Arc<str>,
    ) -> Result<Arc<Session>> {
        let pool = self.pool.get_postgres_connection_pool().clone();
        // In a task of its own, so that it always finishes: where a BEGIN is dropped
        // half-way, the driver returns the connection inside the transaction.
        let begin = tokio::spawn(async move {
            // Every connection of the pool may be dead after an outage.
            let (mut dead, all) = (0, pool.options().get_max_connections());
            loop {
                match pool.begin_with(AssertSqlSafe(statement.clone())).await {
                    Err(error) if is_dead(&error) && dead < all => dead += 1,
                    done => return done,
                }
            }
        });
        tokio::select! {
            biased;
            outage = self.pulse.lost() => Err(outage),
            begun = begin => match begun {
                Ok(Ok(begun)) => Ok(Session::new(begun, walls)),
                Ok(Err(error)) => Err(db(doing, executed(error))),
                Err(error) => Err(PortError::internal(format!("{doing} was cut off"), error)),
            }
        }
    }

    /// Opens a unit of work in the actor's name; row-level security sees the
    /// actor's scope in all that it does. Where it finds a transaction that it is
    /// to be part of it joins that, else it begins one.
    pub async fn open(&self, actor: &Actor) -> Result<PgTx> {
        let walls: Arc<str> = walls(actor).into();
        let actor = actor.clone();
        match joining::begin() {
            Begin::Joined(session) => {
                Ok(PgTx::joined(session.connection(walls), actor, self.clone()))
            }
            // It would hold one connection and wait for another, and a pool of which all do
            // that stands still. A debug build refuses it, so that a test finds it.
            Begin::Beside(_) if cfg!(debug_assertions) => {
                Err(PortError::bug("a request opened a unit of work within another"))
            }
            Begin::Beside(seat) => self.own(walls, actor, Some(seat), None).await,
            Begin::Own { seat, kept } => self.own(walls, actor, seat, kept).await,
        }
    }

    async fn own(
        &self,
        walls: Arc<str>,
        actor: Actor,
        seat: Option<Seat>,
        kept: Option<Arc<Session>>,
    ) -> Result<PgTx> {
        if let Some(seat) = &seat {
            seat.request().is_of(&actor);
        }
        let session = match kept {
            Some(session) => session,
            None => self.begin_as("opening a transaction", &walls).await?,
        };
        Ok(PgTx::own(session.connection(walls), actor, self.clone(), seat))
    }

    /// Writes what the commit brings with it, also for the units of work that
    /// have joined the transaction, and commits.
    async fn finish(
        &self,
        tx: Connection,
        pending: Pending,
        request: Option<&Request>,
    ) -> Result<()> {
        let session = tx.session();
        if session.is_spoiled() {
            return Err(PortError::bug("a unit of work left changes behind without a commit"));
        }
        let noted = request.map(Request::noted).unwrap_or_default();
        let count = noted.len();
        let mut all = Pending::of_entries(noted);
        all.append(session.take_joined());
        all.append(pending);
        let tells = all.has_deliveries();
        all.write(&tx).await?;
        tx.commit("committing").await?;
        if let Some(request) = request {
            request.forget(count);
        }
        if tells {
            self.told.notify_one();
        }
        Ok(())
    }

    /// Returns once the audit entries of what was only read are on disk, and with them
    /// what Salus has read for itself before.
    async fn record(&self, entries: Vec<Entry>, request: Option<&Request>) -> Result<()> {
        let mut all = request.map(Request::noted).unwrap_or_default();
        let count = all.len();
        all.extend(entries);
        if all.is_empty() {
            return Ok(());
        }
        let start = || {
            let options = self.pool.get_postgres_connection_pool().connect_options();
            Recorder::start(PgConnectOptions::clone(&options))
        };
        tokio::select! {
            biased;
            recorded = self.recorder.get_or_init(start).record(all) => recorded?,
            outage = self.pulse.lost() => return Err(outage),
        }
        if let Some(request) = request {
            request.forget(count);
        }
        Ok(())
    }

    /// One message begins it and names the actor, so nothing but words of ours,
    /// ids and a time may stand in it.
    async fn begin_as(&self, doing: &str, walls: &Arc<str>) -> Result<Arc<Session>> {
        let now = self.env.now().to_rfc3339();
        let statement = format!("BEGIN; {walls}; SET LOCAL salus.now = '{now}'");
        self.session(doing, statement, walls.clone()).await
    }
}

/// The settings by which row-level security knows the actor.
fn walls(actor: &Actor) -> String {
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
    format!(
        "SET LOCAL salus.scope = '{scope}'; SET LOCAL salus.patient = '{}'; \
         SET LOCAL salus.pharmacist = '{}'; SET LOCAL salus.provider = '{}'",
        id(patient),
        id(pharmacist.map(|account| account.uuid())),
        id(provider.map(|provider| provider.uuid())),
    )
}
