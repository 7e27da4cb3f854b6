use std::sync::Arc;

use async_trait::async_trait;
use chrono::{DateTime, Utc};
use kernel::{Actor, AuditEntryId, EventId, Uuid};
use ports::{
    AuditEntry, Env, Envelope, Event, IdempotencyKey, JobRequest, PortError, Result, Sealed,
    Sealer, UnitOfWork,
};
use sea_orm::{
    ConnectionTrait as _, DbBackend, ExecResult, FromQueryResult, Statement, StatementBuilder,
    Value,
};

use super::{
    Pg,
    connection::{Connection, Session},
    error::db,
    joining::Seat,
    pending::{Pending, actor_id},
    repository::Change,
};

/// One unit of work in an actor's name. Dropping it rolls back.
pub struct PgTx {
    tx: Connection,
    actor: Arc<Actor>,
    pg: Pg,
    ending: Ending,
    pending: Pending,
    changes: Vec<Change>,
}

/// What a unit of work leaves to its transaction when it ends.
struct Ending {
    session: Arc<Session>,
    /// Whether it has changed anything that it has not committed.
    changed: bool,
    belongs: Belongs,
}

/// To whom the transaction belongs.
enum Belongs {
    /// To somebody who began it before, and who ends it.
    Another,
    /// To this unit of work, of a request or not.
    This(Option<Seat>),
}

impl Drop for Ending {
    fn drop(&mut self) {
        match &mut self.belongs {
            Belongs::Another if self.changed => self.session.spoil(),
            Belongs::Another => {}
            Belongs::This(seat) => {
                let Some(seat) = seat.take() else { return };
                let request = Arc::clone(seat.request());
                drop(seat);
                if !self.changed && self.session.is_unused() {
                    request.keep(Arc::clone(&self.session));
                } else {
                    self.session.end();
                }
            }
        }
    }
}

impl PgTx {
    pub(super) fn joined(tx: Connection, actor: Actor, pg: Pg) -> Self {
        Self::new(tx, actor, pg, Belongs::Another)
    }

    pub(super) fn own(tx: Connection, actor: Actor, pg: Pg, seat: Option<Seat>) -> Self {
        Self::new(tx, actor, pg, Belongs::This(seat))
    }

    fn new(tx: Connection, actor: Actor, pg: Pg, belongs: Belongs) -> Self {
        let ending = Ending { session: Arc::clone(tx.session()), changed: false, belongs };
        let (pending, changes) = Default::default();
        Self { tx, actor: Arc::new(actor), pg, ending, pending, changes }
    }

    /// The connection for queries.
    pub fn read(&self) -> &Connection {
        &self.tx
    }

    /// The connection for changes; from here on the commit wants an audit entry.
    pub fn write(&mut self) -> &Connection {
        self.ending.changed = true;
        &self.tx
    }

    pub fn actor(&self) -> &Actor {
        &self.actor
    }

    pub fn env(&self) -> &Env {
        &self.pg.env
    }

    pub fn now(&self) -> DateTime<Utc> {
        self.pg.env.now()
    }

    pub fn sealer(&self) -> &dyn Sealer {
        self.pg.sealer.as_ref()
    }

    /// Seals `plain` for a column of a row, as in
    /// `tx.seal("messages.body", id, text.as_bytes())`.
    pub fn seal(&self, column: &str, row: impl Into<Uuid>, plain: &[u8]) -> Result<Vec<u8>> {
        Ok(self.pg.sealer.seal(&place(column, row.into()), plain)?.0)
    }

    pub fn unseal(&self, column: &str, row: impl Into<Uuid>, sealed: Vec<u8>) -> Result<Vec<u8>> {
        self.pg.sealer.open(&place(column, row.into()), &Sealed(sealed))
    }

    pub fn unseal_text(
        &self,
        column: &str,
        row: impl Into<Uuid>,
        sealed: Vec<u8>,
    ) -> Result<String> {
        String::from_utf8(self.unseal(column, row, sealed)?)
            .map_err(|error| PortError::internal(format!("{column} holds no UTF-8 text"), error))
    }

    /// The rows of a query with values.
    pub async fn rows<T: FromQueryResult>(
        &self,
        doing: &str,
        sql: &str,
        values: impl IntoIterator<Item = Value>,
    ) -> Result<Vec<T>> {
        let statement = Statement::from_sql_and_values(DbBackend::Postgres, sql, values);
        let found = T::find_by_statement(statement).all(&self.tx).await;
        found.map_err(|error| db(doing, error))
    }

    /// Runs one statement with values; for changes only.
    pub async fn execute(
        &mut self,
        doing: &str,
        sql: &str,
        values: impl IntoIterator<Item = Value> + Send,
    ) -> Result<ExecResult> {
        let done = self.run(doing, sql, values).await?;
        self.ending.changed |= done.rows_affected() > 0;
        Ok(done)
    }

    /// Runs one statement that SeaORM built; for changes only.
    pub async fn change(&mut self, doing: &str, statement: impl StatementBuilder) -> Result<u64> {
        let done = self.write().execute(&statement).await.map_err(|error| db(doing, error))?;
        Ok(done.rows_affected())
    }

    /// Has the commit tell the audit log of a change.
    pub(super) fn changed(&mut self, change: Change) {
        self.changes.push(change);
    }

    /// Tells each change in the entry that the use case wrote of it, or in one of its own.
    fn tell_changes(&mut self) {
        for change in std::mem::take(&mut self.changes) {
            match self.pending.entry_of(&change) {
                Some(entry) => change.tell(entry),
                None => self.audit(change.into_entry()),
            }
        }
    }

    /// Holds what the key names until the transaction ends, against everybody
    /// else who asks for the same key.
    pub async fn lock(&mut self, doing: &str, key: String) -> Result<()> {
        let sql = "SELECT pg_advisory_xact_lock(hashtextextended($1, 0))";
        self.run(doing, sql, [key.into()]).await.map(drop)
    }

    /// Takes a shared lock on the key until the transaction ends: [`Self::lock`]
    /// waits for it, and other shared locks do not.
    pub async fn share(&mut self, doing: &str, key: String) -> Result<()> {
        let sql = "SELECT pg_advisory_xact_lock_shared(hashtextextended($1, 0))";
        self.run(doing, sql, [key.into()]).await.map(drop)
    }

    async fn run(
        &self,
        doing: &str,
        sql: &str,
        values: impl IntoIterator<Item = Value> + Send,
    ) -> Result<ExecResult> {
        let statement = Statement::from_sql_and_values(DbBackend::Postgres, sql, values);
        self.tx.execute_raw(statement).await.map_err(|error| db(doing, error))
    }
}

fn place(column: &str, row: Uuid) -> String {
    format!("{column}/{row}")
}

#[async_trait]
impl UnitOfWork for PgTx {
    fn emit(&mut self, event: Event) {
        let id = self.pg.env.fresh::<EventId>();
        let handlers = self.pg.handlers.get().map(|handlers| handlers(&event));
        let envelope = Envelope { id, occurred_at: self.pg.env.now(), event };
        self.pending.emit(envelope, handlers);
    }

    fn audit(&mut self, entry: AuditEntry) {
        let (id, at) = (self.pg.env.fresh::<AuditEntryId>(), self.pg.env.now());
        self.pending.audit(id, at, entry, &self.actor);
    }

    fn enqueue(&mut self, job: JobRequest) {
        self.pending.enqueue(job);
    }

    async fn claim(&mut self, key: &IdempotencyKey, resource: Uuid) -> Result<Option<Uuid>> {
        let actor = actor_id(&self.actor).unwrap_or_else(|| "anonymous".to_owned());
        let now = self.pg.env.now();
        let digest = self.pg.sealer.blind_index("idempotency_keys.key", &key.key)?.0.to_vec();
        let fingerprint = self
            .pg
            .sealer
            .blind_index("idempotency_keys.fingerprint", &hex::encode(key.fingerprint))?
            .0
            .to_vec();
        let inserted = self
            .run(
                "claiming an idempotency key",
                "INSERT INTO idempotency_keys \
                 (actor, operation, key, fingerprint, resource, created_at) \
                 VALUES ($1, $2, $3, $4, $5, $6) ON CONFLICT DO NOTHING",
                [
                    actor.clone().into(),
                    key.operation.into(),
                    digest.clone().into(),
                    fingerprint.clone().into(),
                    resource.into(),
                    now.into(),
                ],
            )
            .await?;
        if inserted.rows_affected() == 1 {
            return Ok(None);
        }
        let statement = Statement::from_sql_and_values(
            DbBackend::Postgres,
            "SELECT fingerprint, resource FROM idempotency_keys \
             WHERE actor = $1 AND operation = $2 AND key = $3",
            [actor.into(), key.operation.into(), digest.into()],
        );
        let doing = "reading an idempotency key";
        let row = self.tx.query_one_raw(statement).await.map_err(|error| db(doing, error))?;
        let row = row.ok_or_else(|| PortError::Conflict("idempotency_keys_pkey".to_owned()))?;
        let earlier: Vec<u8> = row.try_get("", "fingerprint").map_err(|error| db(doing, error))?;
        let resource: Uuid = row.try_get("", "resource").map_err(|error| db(doing, error))?;
        if earlier == fingerprint {
            Ok(Some(resource))
        } else {
            Err(PortError::IdempotencyKeyReused)
        }
    }

    async fn commit(mut self: Box<Self>) -> Result<()> {
        self.tell_changes();
        // Emitting an event counts as a change.
        if (self.ending.changed || self.pending.has_events()) && !self.pending.is_audited() {
            return Err(PortError::bug(
                "a change was about to be committed without an audit entry",
            ));
        }
        let Self { tx, pg, mut ending, mut pending, .. } = *self;
        ending.changed = false;
        let request = match &ending.belongs {
            Belongs::Another => return ending.session.join(pending),
            Belongs::This(seat) => seat.as_ref().map(|seat| Arc::clone(seat.request())),
        };
        let request = request.as_deref();
        if ending.session.is_unused()
            && let Some(mut entries) = pending.only_entries()
        {
            if let Some(request) = request {
                match request.note(&pg, entries) {
                    Some(not_noted) => entries = not_noted,
                    None => return Ok(()),
                }
            }
            // The connection goes back to the pool before the entries are waited for, also
            // where the request could go on with it.
            ending.session.end();
            drop((tx, ending));
            return pg.record(entries, request).await;
        }
        pg.finish(tx, pending, request).await
    }
}
