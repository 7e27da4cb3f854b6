use std::sync::Arc;

use async_trait::async_trait;
use chrono::{DateTime, Utc};
use kernel::{Actor, ActorKind, AuditEntryId, EventId, Uuid};
use ports::{
    AuditEntry, Delivery, Env, Envelope, Event, IdempotencyKey, JobRequest, PortError, Result,
    Sealed, Sealer, UnitOfWork,
};
use sea_orm::{ConnectionTrait, DatabaseTransaction, DbBackend, ExecResult, Statement, Value};

use super::error::db;

/// One transaction in an actor's name. Dropping it rolls back.
pub struct PgTx {
    tx: DatabaseTransaction,
    actor: Actor,
    env: Env,
    sealer: Arc<dyn Sealer>,
    changed: bool,
    audited: bool,
}

impl PgTx {
    pub(super) fn new(
        tx: DatabaseTransaction,
        actor: Actor,
        env: Env,
        sealer: Arc<dyn Sealer>,
    ) -> Self {
        Self { tx, actor, env, sealer, changed: false, audited: false }
    }

    /// The connection for queries.
    pub fn read(&self) -> &DatabaseTransaction {
        &self.tx
    }

    /// The connection for changes; from here on the commit wants an audit entry.
    pub fn write(&mut self) -> &DatabaseTransaction {
        self.changed = true;
        &self.tx
    }

    pub fn actor(&self) -> &Actor {
        &self.actor
    }

    pub fn env(&self) -> &Env {
        &self.env
    }

    pub fn now(&self) -> DateTime<Utc> {
        self.env.now()
    }

    pub fn sealer(&self) -> &dyn Sealer {
        self.sealer.as_ref()
    }

    /// Seals `plain` for a column of a row, as in
    /// `tx.seal("messages.body", id, text.as_bytes())`.
    pub fn seal(&self, column: &str, row: impl Into<Uuid>, plain: &[u8]) -> Result<Vec<u8>> {
        Ok(self.sealer.seal(&place(column, row.into()), plain)?.0)
    }

    pub fn unseal(&self, column: &str, row: impl Into<Uuid>, sealed: Vec<u8>) -> Result<Vec<u8>> {
        self.sealer.open(&place(column, row.into()), &Sealed(sealed))
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

    /// Runs one statement with values; for changes only.
    pub async fn execute(
        &mut self,
        doing: &str,
        sql: &str,
        values: impl IntoIterator<Item = Value> + Send,
    ) -> Result<ExecResult> {
        self.changed = true;
        self.run(doing, sql, values).await
    }

    /// Holds what the key names until the transaction ends, against everybody
    /// else who asks for the same key.
    pub async fn lock(&mut self, doing: &str, key: String) -> Result<()> {
        let sql = "SELECT pg_advisory_xact_lock(hashtextextended($1, 0))";
        self.run(doing, sql, [key.into()]).await.map(drop)
    }

    /// Holds off whoever locks the key, and nobody who shares it.
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

    /// Who acts, as the audit log and the idempotency keys name them.
    fn actor_id(&self) -> Option<String> {
        match &self.actor.kind {
            ActorKind::Anonymous => None,
            ActorKind::Account { account, .. } => Some(account.to_string()),
            ActorKind::Client { client, .. } => Some(client.to_string()),
            ActorKind::System { name } => Some((*name).to_owned()),
        }
    }
}

fn place(column: &str, row: Uuid) -> String {
    format!("{column}/{row}")
}

const ADD_JOB: &str = "SELECT graphile_worker.add_job($1, $2::json, queue_name := $3, \
     run_at := $4, job_key := $5, max_attempts := 25)";

#[async_trait]
impl UnitOfWork for PgTx {
    async fn emit(&mut self, event: Event) -> Result<()> {
        let envelope =
            Envelope { id: self.env.fresh::<EventId>(), occurred_at: self.env.now(), event };
        let kind: &'static str = (&envelope.event).into();
        let payload = serde_json::to_value(&envelope.event)
            .map_err(|error| PortError::internal("an event does not serialize", error))?;
        self.execute(
            "writing the outbox",
            "INSERT INTO outbox_events (id, kind, payload, occurred_at) VALUES ($1, $2, $3, $4)",
            [envelope.id.uuid().into(), kind.into(), payload.into(), envelope.occurred_at.into()],
        )
        .await?;
        let relay = serde_json::json!({ "event": envelope.id });
        self.run(
            "enqueueing the relay of an event",
            ADD_JOB,
            [
                ports::jobs::RELAY_TASK.into(),
                relay.to_string().into(),
                Value::String(None),
                Value::ChronoDateTimeUtc(None),
                Value::String(None),
            ],
        )
        .await?;
        Ok(())
    }

    async fn audit(&mut self, entry: AuditEntry) -> Result<()> {
        let roles: Vec<String> = match &self.actor.kind {
            ActorKind::Account { roles, .. } => roles.iter().map(ToString::to_string).collect(),
            _ => Vec::new(),
        };
        let request = self.actor.request.clone();
        self.run(
            "writing the audit log",
            "INSERT INTO audit_entries (id, occurred_at, actor_kind, actor_id, roles, action, \
             entity, entity_id, patient_id, outcome, request_id, ip, user_agent, detail) \
             VALUES ($1, $2, $3, $4, $5, $6, $7, $8, $9, $10, $11, $12, $13, $14)",
            [
                self.env.fresh::<AuditEntryId>().uuid().into(),
                self.env.now().into(),
                self.actor.kind_word().into(),
                self.actor_id().into(),
                roles.into(),
                <&'static str>::from(entry.action).into(),
                entry.entity.into(),
                entry.entity_id.into(),
                entry.patient.map(|id| id.uuid()).into(),
                <&'static str>::from(entry.outcome).into(),
                request.request_id.map(|id| id.uuid()).into(),
                request.ip.map(|ip| ip.to_string()).into(),
                request.user_agent.into(),
                serde_json::Value::Object(entry.detail).into(),
            ],
        )
        .await?;
        self.audited = true;
        Ok(())
    }

    async fn enqueue(&mut self, job: JobRequest) -> Result<()> {
        let payload = serde_json::json!({ "kind": job.kind, "payload": job.payload });
        self.run(
            "enqueueing a job",
            ADD_JOB,
            [
                ports::jobs::JOB_TASK.into(),
                payload.to_string().into(),
                job.queue.into(),
                job.run_at.into(),
                job.key.map(|key| format!("{}:{key}", job.kind)).into(),
            ],
        )
        .await?;
        Ok(())
    }

    async fn first_delivery(&mut self, delivery: Delivery) -> Result<bool> {
        let now = self.env.now();
        let result = self
            .run(
                "recording a delivery",
                "INSERT INTO handled_deliveries (event_id, handler, handled_at) \
                 VALUES ($1, $2, $3) ON CONFLICT DO NOTHING",
                [delivery.event.uuid().into(), delivery.handler.into(), now.into()],
            )
            .await?;
        Ok(result.rows_affected() == 1)
    }

    async fn claim(&mut self, key: &IdempotencyKey, resource: Uuid) -> Result<Option<Uuid>> {
        let actor = self.actor_id().unwrap_or_else(|| "anonymous".to_owned());
        let now = self.env.now();
        let digest = self.sealer.blind_index("idempotency_keys.key", &key.key)?.0.to_vec();
        let fingerprint = self
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

    async fn commit(self: Box<Self>) -> Result<()> {
        if self.changed && !self.audited {
            return Err(PortError::bug(
                "a change was about to be committed without an audit entry",
            ));
        }
        self.tx.commit().await.map_err(|error| db("committing", error))
    }
}
