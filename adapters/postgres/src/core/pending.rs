//! The events, audit entries and jobs of a unit of work. They are kept until the
//! commit, which writes all of them in one statement.

use chrono::{DateTime, Utc};
use kernel::{Actor, ActorKind, AuditEntryId};
use ports::{AuditEntry, Envelope, JobRequest, PortError, Result};
use serde_json::{Value, json};
use sqlx::{Postgres, QueryBuilder};

use super::{
    connection::{Connection, executed},
    error::db,
};

#[derive(Default)]
pub(super) struct Pending {
    events: Vec<Envelope>,
    entries: Vec<(AuditEntryId, DateTime<Utc>, AuditEntry)>,
    jobs: Vec<Job>,
}

/// A job as the queue takes it.
struct Job {
    task: &'static str,
    payload: Value,
    key: Option<String>,
    queue: Option<String>,
    run_at: Option<DateTime<Utc>>,
}

impl Job {
    fn new(task: &'static str, payload: Value) -> Self {
        Self { task, payload, key: None, queue: None, run_at: None }
    }
}

impl Pending {
    /// With a delivery for each of the handlers, where they are known here; else
    /// whichever server takes the relay finds them.
    pub fn emit(&mut self, envelope: Envelope, handlers: Option<Vec<&'static str>>) {
        let id = envelope.id;
        match handlers {
            Some(names) => self.jobs.extend(names.into_iter().map(|handler| {
                Job::new(ports::jobs::DELIVERY_TASK, json!({ "event": id, "handler": handler }))
            })),
            None => self.jobs.push(Job::new(ports::jobs::RELAY_TASK, json!({ "event": id }))),
        }
        self.events.push(envelope);
    }

    pub fn audit(&mut self, id: AuditEntryId, at: DateTime<Utc>, entry: AuditEntry) {
        self.entries.push((id, at, entry));
    }

    pub fn enqueue(&mut self, job: JobRequest) {
        let key = job.key.map(|key| format!("{}:{key}", job.kind));
        // The queue takes each key once in a statement.
        if key.is_some() {
            self.jobs.retain(|earlier| earlier.key != key);
        }
        let payload = json!({ "kind": job.kind, "payload": job.payload });
        let asked = Job::new(ports::jobs::JOB_TASK, payload);
        self.jobs.push(Job { key, queue: job.queue, run_at: job.run_at, ..asked });
    }

    pub fn is_audited(&self) -> bool {
        !self.entries.is_empty()
    }

    pub fn has_events(&self) -> bool {
        !self.events.is_empty()
    }

    /// Writes everything in one statement, in the actor's name.
    pub async fn write(self, connection: &Connection, actor: &Actor) -> Result<()> {
        let mut sql = QueryBuilder::<Postgres>::new("");
        let mut parts = 0;
        let mut part = |sql: &mut QueryBuilder<Postgres>| {
            sql.push(if parts == 0 { "WITH " } else { ", " });
            parts += 1;
        };
        if !self.events.is_empty() {
            part(&mut sql);
            write_events(&mut sql, &self.events)?;
        }
        if !self.entries.is_empty() {
            part(&mut sql);
            write_entries(&mut sql, self.entries, actor);
        }
        match self.jobs.is_empty() {
            // What changes rows runs to its end whether it is read or not.
            true if parts == 0 => return Ok(()),
            true => drop(sql.push(" SELECT 0::bigint")),
            false => write_jobs(&mut sql, self.jobs),
        }
        let done = sql.build().fetch_one(&mut **connection.driver().await).await;
        done.map(drop).map_err(|error| db("writing what a commit brings with it", executed(error)))
    }
}

fn write_events(sql: &mut QueryBuilder<Postgres>, events: &[Envelope]) -> Result<()> {
    let (mut ids, mut kinds, mut payloads, mut times) = (vec![], vec![], vec![], vec![]);
    for envelope in events {
        ids.push(envelope.id.uuid());
        kinds.push(<&'static str>::from(&envelope.event));
        let payload = serde_json::to_value(&envelope.event);
        payloads.push(
            payload.map_err(|error| PortError::internal("an event does not serialize", error))?,
        );
        times.push(envelope.occurred_at);
    }
    sql.push(
        "events AS (INSERT INTO outbox_events (id, kind, payload, occurred_at) SELECT * FROM unnest(",
    );
    sql.push_bind(ids).push(", ").push_bind(kinds).push(", ");
    sql.push_bind(payloads).push(", ").push_bind(times).push("))");
    Ok(())
}

fn write_entries(
    sql: &mut QueryBuilder<Postgres>,
    entries: Vec<(AuditEntryId, DateTime<Utc>, AuditEntry)>,
    actor: &Actor,
) {
    let (mut ids, mut times, mut actions) = (vec![], vec![], vec![]);
    let (mut entities, mut entity_ids, mut patients) = (vec![], vec![], vec![]);
    let (mut outcomes, mut details) = (vec![], vec![]);
    for (id, at, entry) in entries {
        ids.push(id.uuid());
        times.push(at);
        actions.push(<&'static str>::from(entry.action));
        entities.push(entry.entity);
        entity_ids.push(entry.entity_id);
        patients.push(entry.patient.map(|id| id.uuid()));
        outcomes.push(<&'static str>::from(entry.outcome));
        details.push(Value::Object(entry.detail));
    }
    let roles: Vec<String> = match &actor.kind {
        ActorKind::Account { roles, .. } => roles.iter().map(ToString::to_string).collect(),
        _ => Vec::new(),
    };
    let request = actor.request.clone();
    // In the order in which they were made, which is that of `seq`.
    sql.push(
        "entries AS (INSERT INTO audit_entries (id, occurred_at, action, entity, entity_id, \
         patient_id, outcome, detail, actor_kind, actor_id, roles, request_id, ip, user_agent) \
         SELECT id, at, action, entity, entity_id, patient, outcome, detail, ",
    );
    sql.push_bind(actor.kind_word()).push(", ").push_bind(actor_id(actor)).push(", ");
    sql.push_bind(roles).push(", ").push_bind(request.request_id.map(|id| id.uuid()));
    sql.push(", ").push_bind(request.ip.map(|ip| ip.to_string())).push(", ");
    sql.push_bind(request.user_agent).push(" FROM unnest(");
    sql.push_bind(ids).push(", ").push_bind(times).push(", ").push_bind(actions).push(", ");
    sql.push_bind(entities).push(", ").push_bind(entity_ids).push(", ");
    sql.push_bind(patients).push(", ").push_bind(outcomes).push(", ").push_bind(details);
    sql.push(
        ") WITH ORDINALITY AS entry (id, at, action, entity, entity_id, patient, outcome, \
         detail, number) ORDER BY number)",
    );
}

fn write_jobs(sql: &mut QueryBuilder<Postgres>, jobs: Vec<Job>) {
    let (mut tasks, mut payloads, mut queues) = (vec![], vec![], vec![]);
    let (mut times, mut keys) = (vec![], vec![]);
    for job in jobs {
        tasks.push(job.task);
        payloads.push(job.payload.to_string());
        queues.push(job.queue);
        times.push(job.run_at);
        keys.push(job.key);
    }
    sql.push(
        " SELECT count(*) FROM graphile_worker.add_jobs(ARRAY( \
             SELECT ROW(task, payload::json, queue, run_at, 25, key, NULL, NULL)\
                 ::graphile_worker.job_spec \
             FROM unnest(",
    );
    sql.push_bind(tasks).push(", ").push_bind(payloads).push(", ").push_bind(queues);
    sql.push(", ").push_bind(times).push(", ").push_bind(keys);
    sql.push(") AS job (task, payload, queue, run_at, key)))");
}

/// Who acts, as the audit log and the idempotency keys name them.
pub(super) fn actor_id(actor: &Actor) -> Option<String> {
    match &actor.kind {
        ActorKind::Anonymous => None,
        ActorKind::Account { account, .. } => Some(account.to_string()),
        ActorKind::Client { client, .. } => Some(client.to_string()),
        ActorKind::System { name } => Some((*name).to_owned()),
    }
}
