//! The connection of one transaction, for SeaORM's queries and for our own SQL.

use std::sync::{
    Arc, Mutex as SyncMutex, PoisonError,
    atomic::{AtomicBool, Ordering},
};

use async_trait::async_trait;
use futures::future::BoxFuture;
use ports::{PortError, Result};
use sea_orm::{
    ConnectionTrait, DbBackend, DbErr, ExecResult, QueryResult, RuntimeErr, Statement, Values,
};
use sea_query_sqlx::SqlxValues;
use sqlx::{AssertSqlSafe, Executor as _, PgConnection, Postgres, Transaction, query::Query};
use tokio::sync::{Mutex, MutexGuard};

use super::{error::db, pending::Pending, readings::Cause};

/// A transaction that is under way. Several units of work may share it; it is
/// rolled back when the last of them is dropped, also where a future that used it
/// was dropped half-way.
pub(super) struct Session {
    state: Mutex<State>,
    /// What units of work that share it have committed.
    joined: SyncMutex<Pending>,
    is_over: AtomicBool,
    is_spoiled: AtomicBool,
    has_collided: AtomicBool,
    /// Whether it has changed or locked something, has failed, or was dropped in the
    /// middle of a statement.
    is_used: AtomicBool,
}

struct State {
    /// Until the commit.
    tx: Option<Transaction<'static, Postgres>>,
    /// The settings that row-level security reads, as they are now.
    walls: Arc<str>,
}

impl State {
    fn set(&mut self, walls: Arc<str>) -> BoxFuture<'_, sqlx::Result<()>> {
        Box::pin(async move {
            if let Some(tx) = &mut self.tx {
                tx.execute(AssertSqlSafe(walls.to_string())).await?;
                self.walls = walls;
            }
            Ok(())
        })
    }
}

impl Session {
    pub fn new(tx: Transaction<'static, Postgres>, walls: Arc<str>) -> Arc<Self> {
        Arc::new(Self {
            state: Mutex::new(State { tx: Some(tx), walls }),
            joined: SyncMutex::default(),
            is_over: AtomicBool::new(false),
            is_spoiled: AtomicBool::new(false),
            has_collided: AtomicBool::new(false),
            is_used: AtomicBool::new(false),
        })
    }

    pub fn connection(self: &Arc<Self>, walls: Arc<str>) -> Connection {
        Connection { session: Arc::clone(self), walls }
    }

    /// Adds what a unit of work that shares the transaction has committed.
    pub fn join(&self, pending: Pending) -> Result<()> {
        if self.is_over() {
            return Err(PortError::bug("a unit of work outlived the transaction it shares"));
        }
        self.joined.lock().unwrap_or_else(PoisonError::into_inner).append(pending);
        Ok(())
    }

    /// How many audit entries there are so far of those who have joined.
    pub fn entries(&self) -> usize {
        self.joined.lock().unwrap_or_else(PoisonError::into_inner).entries()
    }

    /// Makes one entry of what Salus has read for itself since there were so many.
    pub fn fold(&self, since: usize, cause: &Cause) {
        self.joined.lock().unwrap_or_else(PoisonError::into_inner).fold(since, cause);
    }

    pub fn take_joined(&self) -> Pending {
        std::mem::take(&mut self.joined.lock().unwrap_or_else(PoisonError::into_inner))
    }

    /// Takes everything back now, so that nobody waits for its locks.
    pub async fn roll_back(&self) {
        self.end();
        if let Some(tx) = self.state.lock().await.tx.take() {
            // Where it fails the connection is gone, and its transaction with it.
            let _ = tx.rollback().await;
        }
    }

    /// Whether the transaction was committed or given up.
    pub fn is_over(&self) -> bool {
        self.is_over.load(Ordering::Relaxed)
    }

    pub fn end(&self) {
        self.is_over.store(true, Ordering::Relaxed);
    }

    /// Whether a unit of work changed something and was then dropped, which only
    /// the end of the whole transaction takes back.
    pub fn is_spoiled(&self) -> bool {
        self.is_spoiled.load(Ordering::Relaxed)
    }

    pub fn spoil(&self) {
        self.is_spoiled.store(true, Ordering::Relaxed);
    }

    /// Whether another transaction stood in its way, so that it is worth
    /// repeating.
    pub fn has_collided(&self) -> bool {
        self.has_collided.load(Ordering::Relaxed)
    }

    /// Whether it has only read, so that another unit of work can go on with it.
    pub fn is_unused(&self) -> bool {
        !self.is_used.load(Ordering::Relaxed) && !self.is_over()
    }

    /// Runs a statement, and remembers whether it was a reading that ended well.
    pub async fn run<T>(
        &self,
        sql: &str,
        statement: impl Future<Output = sqlx::Result<T>>,
    ) -> sqlx::Result<T> {
        let was_used = self.is_used.swap(true, Ordering::Relaxed);
        let done = statement.await.map_err(|error| self.note(error))?;
        self.is_used.store(was_used || !reads(sql), Ordering::Relaxed);
        Ok(done)
    }

    fn note(&self, error: sqlx::Error) -> sqlx::Error {
        let code = error.as_database_error().and_then(|cause| cause.code());
        if matches!(code.as_deref(), Some("40001" | "40P01")) {
            self.has_collided.store(true, Ordering::Relaxed);
        }
        error
    }
}

/// Whether a statement only reads: it locks nothing and changes nothing. In doubt
/// it does more.
fn reads(sql: &str) -> bool {
    let more = [" FOR ", "advisory", "INSERT", "UPDATE", "DELETE", "nextval", "set_config"];
    (sql.starts_with("SELECT") || sql.starts_with("WITH"))
        && !more.iter().any(|word| sql.contains(word))
}

/// A unit of work's view of its transaction: rows are seen as its actor may see
/// them.
pub struct Connection {
    session: Arc<Session>,
    walls: Arc<str>,
}

/// The driver's connection, locked: other queries of this transaction wait
/// until it is dropped.
pub(super) struct Driver<'a>(MutexGuard<'a, State>);

impl Driver<'_> {
    pub fn connection(&mut self) -> sqlx::Result<&mut PgConnection> {
        let ended = || sqlx::Error::Protocol("the transaction has ended".to_owned());
        Ok(&mut **self.0.tx.as_mut().ok_or_else(ended)?)
    }
}

impl Connection {
    pub(super) fn session(&self) -> &Arc<Session> {
        &self.session
    }

    pub(super) async fn driver(&self) -> sqlx::Result<Driver<'_>> {
        let mut state = self.session.state.lock().await;
        if state.walls != self.walls {
            self.session.run("SELECT", state.set(self.walls.clone())).await?;
        }
        Ok(Driver(state))
    }

    pub async fn commit(self, doing: &str) -> Result<()> {
        self.session.end();
        let Some(tx) = self.session.state.lock().await.tx.take() else {
            return Err(PortError::bug("a transaction was committed twice"));
        };
        let done = tx.commit().await;
        done.map_err(|error| db(doing, executed(self.session.note(error))))
    }
}

pub(super) fn executed(error: sqlx::Error) -> DbErr {
    DbErr::Exec(RuntimeErr::SqlxError(error.into()))
}

fn queried(error: sqlx::Error) -> DbErr {
    DbErr::Query(RuntimeErr::SqlxError(error.into()))
}

fn query(sql: &str, values: Option<Values>) -> Query<'_, Postgres, SqlxValues> {
    let values = values.unwrap_or(Values(Vec::new()));
    sqlx::query_with(AssertSqlSafe(sql.to_owned()), SqlxValues(values))
}

#[async_trait]
impl ConnectionTrait for Connection {
    fn get_database_backend(&self) -> DbBackend {
        DbBackend::Postgres
    }

    async fn execute_raw(&self, statement: Statement) -> std::result::Result<ExecResult, DbErr> {
        let Statement { sql, values, .. } = statement;
        let mut driver = self.driver().await.map_err(executed)?;
        let connection = driver.connection().map_err(executed)?;
        let done = self.session.run(&sql, query(&sql, values).execute(connection)).await;
        done.map(Into::into).map_err(executed)
    }

    async fn execute_unprepared(&self, sql: &str) -> std::result::Result<ExecResult, DbErr> {
        let mut driver = self.driver().await.map_err(executed)?;
        let connection = driver.connection().map_err(executed)?;
        let sent = connection.execute(AssertSqlSafe(sql.to_owned()));
        self.session.run(sql, sent).await.map(Into::into).map_err(executed)
    }

    async fn query_one_raw(
        &self,
        statement: Statement,
    ) -> std::result::Result<Option<QueryResult>, DbErr> {
        let Statement { sql, values, .. } = statement;
        let mut driver = self.driver().await.map_err(queried)?;
        let connection = driver.connection().map_err(queried)?;
        let row = self.session.run(&sql, query(&sql, values).fetch_optional(connection)).await;
        row.map(|row| row.map(Into::into)).map_err(queried)
    }

    async fn query_all_raw(
        &self,
        statement: Statement,
    ) -> std::result::Result<Vec<QueryResult>, DbErr> {
        let Statement { sql, values, .. } = statement;
        let mut driver = self.driver().await.map_err(queried)?;
        let connection = driver.connection().map_err(queried)?;
        let rows = self.session.run(&sql, query(&sql, values).fetch_all(connection)).await;
        rows.map(|rows| rows.into_iter().map(Into::into).collect()).map_err(queried)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_statement_that_locks_or_changes_is_no_reading() {
        for sql in ["SELECT 1", "WITH a AS (SELECT 1) SELECT * FROM a"] {
            assert!(reads(sql), "{sql}");
        }
        for sql in [
            "SELECT * FROM care_tasks FOR UPDATE",
            "SELECT pg_advisory_xact_lock(1)",
            "INSERT INTO idempotency_keys VALUES (1)",
            "WITH gone AS (DELETE FROM care_tasks RETURNING *) SELECT * FROM gone",
            "DO $$ BEGIN END $$",
        ] {
            assert!(!reads(sql), "{sql}");
        }
    }
}
