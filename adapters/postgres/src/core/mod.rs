//! The connection pool and the one unit of work that every context's store is
//! implemented on.

mod connect;
mod cursor;
mod error;
mod notices;
mod transaction;

use std::sync::Arc;

use kernel::{Actor, actor::Scope};
use ports::{Env, Result, Sealer};
use sea_orm::{ConnectionTrait, DatabaseConnection, Statement, TransactionTrait};

pub use self::{
    connect::{ConnectionSettings, MigrationState},
    cursor::{cursor, id_cursor, read_time_cursor, time_cursor, time_cursor_of},
    error::{db, expect_changed},
    transaction::PgTx,
};

/// The database as the stores see it. Cloning shares the pool.
#[derive(Clone)]
pub struct Pg {
    pool: DatabaseConnection,
    env: Env,
    sealer: Arc<dyn Sealer>,
}

impl Pg {
    pub fn new(pool: DatabaseConnection, env: Env, sealer: Arc<dyn Sealer>) -> Self {
        Self { pool, env, sealer }
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

    /// Opens a transaction in the actor's name; row-level security sees the
    /// actor's scope until it ends.
    pub async fn open(&self, actor: &Actor) -> Result<PgTx> {
        let tx = self.pool.begin().await.map_err(|error| db("opening a transaction", error))?;
        let (scope, patient) = match actor.scope() {
            Scope::Nobody => ("nobody", String::new()),
            Scope::Patient(patient) => ("patient", patient.to_string()),
            Scope::Staff => ("staff", String::new()),
            Scope::System => ("system", String::new()),
        };
        // Whoever treats as well reaches by that what they have written.
        let pharmacist = actor.as_pharmacist().filter(|_| actor.as_provider().is_none());
        let pharmacist = pharmacist.map_or_else(String::new, |account| account.to_string());
        let statement = Statement::from_sql_and_values(
            sea_orm::DbBackend::Postgres,
            "SELECT set_config('salus.scope', $1, true), set_config('salus.patient', $2, true), \
             set_config('salus.pharmacist', $3, true)",
            [scope.into(), patient.into(), pharmacist.into()],
        );
        tx.query_one_raw(statement).await.map_err(|error| db("naming the actor", error))?;
        Ok(PgTx::new(tx, actor.clone(), self.env.clone(), self.sealer.clone()))
    }
}
