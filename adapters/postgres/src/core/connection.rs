//! The connection of one transaction, for SeaORM's queries and for our own SQL.

use async_trait::async_trait;
use ports::Result;
use sea_orm::{
    ConnectionTrait, DbBackend, DbErr, ExecResult, QueryResult, RuntimeErr, Statement, Values,
};
use sea_query_sqlx::SqlxValues;
use sqlx::{AssertSqlSafe, Executor as _, Postgres, Transaction, query::Query};
use tokio::sync::{Mutex, MutexGuard};

use super::error::db;

/// A transaction that is under way. Dropping it rolls back, also where a future
/// that used it was dropped half-way.
pub struct Connection(Mutex<Transaction<'static, Postgres>>);

impl Connection {
    pub(super) fn new(tx: Transaction<'static, Postgres>) -> Self {
        Self(Mutex::new(tx))
    }

    /// The driver's connection, locked: other queries of this transaction wait
    /// until the guard is dropped.
    pub(super) async fn driver(&self) -> MutexGuard<'_, Transaction<'static, Postgres>> {
        self.0.lock().await
    }

    pub async fn commit(self, doing: &str) -> Result<()> {
        self.0.into_inner().commit().await.map_err(|error| db(doing, executed(error)))
    }
}

pub(super) fn executed(error: sqlx::Error) -> DbErr {
    DbErr::Exec(RuntimeErr::SqlxError(error.into()))
}

fn queried(error: sqlx::Error) -> DbErr {
    DbErr::Query(RuntimeErr::SqlxError(error.into()))
}

fn query(statement: Statement) -> Query<'static, Postgres, SqlxValues> {
    let values = statement.values.unwrap_or(Values(Vec::new()));
    sqlx::query_with(AssertSqlSafe(statement.sql), SqlxValues(values))
}

#[async_trait]
impl ConnectionTrait for Connection {
    fn get_database_backend(&self) -> DbBackend {
        DbBackend::Postgres
    }

    async fn execute_raw(&self, statement: Statement) -> std::result::Result<ExecResult, DbErr> {
        let done = query(statement).execute(&mut **self.driver().await).await;
        done.map(Into::into).map_err(executed)
    }

    async fn execute_unprepared(&self, sql: &str) -> std::result::Result<ExecResult, DbErr> {
        let done = self.driver().await.execute(AssertSqlSafe(sql)).await;
        done.map(Into::into).map_err(executed)
    }

    async fn query_one_raw(
        &self,
        statement: Statement,
    ) -> std::result::Result<Option<QueryResult>, DbErr> {
        let row = query(statement).fetch_optional(&mut **self.driver().await).await;
        row.map(|row| row.map(Into::into)).map_err(queried)
    }

    async fn query_all_raw(
        &self,
        statement: Statement,
    ) -> std::result::Result<Vec<QueryResult>, DbErr> {
        let rows = query(statement).fetch_all(&mut **self.driver().await).await;
        rows.map(|rows| rows.into_iter().map(Into::into).collect()).map_err(queried)
    }
}
