//! The events, audit entries and jobs of a unit of work. They are kept until the
//! commit, which writes all of them in one statement.

use std::sync::Arc;

use chrono::{DateTime, Utc};
use kernel::{Actor, ActorKind, AuditEntryId, EventId};
use ports::{AuditEntry, Envelope, JobRequest, PortError, Result, jobs::JOB_TASK};
use serde_json::{Value, json};
use sqlx::{Postgres, QueryBuilder};

use super::{
    connection::{Connection, executed},
    deliveries::EVERY_HANDLER,
    error::db,
    readings::{self, Cause},
    repository::Change,
};

#[derive(Default)]
pub(super) struct Pending {
    events: Vec<Envelope>,
    /// Who is to hear of which event.
    deliveries: Vec<(EventId, &'static str)>,
    entries: Vec<Entry>,
    jobs: Vec<Job>,
    /// The deliveries that this has handled.
    delivered: Vec<i64>,
}

#[derive(Clone)]
pub(super) struct Entry {
    pub id: AuditEntryId,
    pub at: DateTime<Utc>,
    pub entry: AuditEntry,
    pub actor: Arc<Actor>,
}

/// A job as the queue takes it.
struct Job {
    payload: Value,
    key: Option<String>,
    queue: Option<String>,
    run_at: Option<DateTime<Utc>>,
}

impl Pending {
    /// With a delivery for each of the handlers, where they are known here; else
    /// whichever server takes it up finds them.
    pub fn emit(&mut self, envelope: Envelope, handlers: Option<Vec<&'static str>>) {
        for handler in handlers.unwrap_or_else(|| vec![EVERY_HANDLER]) {
            self.deliver(envelope.id, handler);
        }
        self.events.push(envelope);
    }

    pub fn deliver(&mut self, event: EventId, handler: &'static str) {
        self.deliveries.push((event, handler));
    }

    pub fn delivered(&mut self, position: i64) {
        self.delivered.push(position);
    }

    pub fn audit(
        &mut self,
        id: AuditEntryId,
        at: DateTime<Utc>,
        entry: AuditEntry,
        actor: &Arc<Actor>,
    ) {
        self.entries.push(Entry { id, at, entry, actor: Arc::clone(actor) });
    }

    pub fn enqueue(&mut self, job: JobRequest) {
        let key = job.key.map(|key| format!("{}:{key}", job.kind));
        // The queue takes each key once in a statement.
        if key.is_some() {
            self.jobs.retain(|earlier| earlier.key != key);
        }
        let payload = json!({ "kind": job.kind, "payload": job.payload });
        self.jobs.push(Job { payload, key, queue: job.queue, run_at: job.run_at });
    }

    /// Adds what another unit of work has committed after this one.
    pub fn append(&mut self, later: Self) {
        let Self { events, deliveries, entries, jobs, delivered } = later;
        self.events.extend(events);
        self.deliveries.extend(deliveries);
        self.entries.extend(entries);
        self.jobs.retain(|earlier| {
            earlier.key.is_none() || jobs.iter().all(|job| job.key != earlier.key)
        });
        self.jobs.extend(jobs);
        self.delivered.extend(delivered);
    }

    /// The latest entry that tells of a change already.
    pub fn entry_of(&mut self, change: &Change) -> Option<&mut AuditEntry> {
        let mut entries = self.entries.iter_mut().rev().map(|entry| &mut entry.entry);
        entries.find(|entry| change.is_told_by(entry))
    }

    pub fn is_audited(&self) -> bool {
        !self.entries.is_empty()
    }

    pub fn of_entries(entries: Vec<Entry>) -> Self {
        Self { entries, ..Self::default() }
    }

    pub fn entries(&self) -> usize {
        self.entries.len()
    }

    /// Makes one entry of what Salus has read for itself since there were so many.
    pub fn fold(&mut self, since: usize, cause: &Cause) {
        let new = self.entries.split_off(since.min(self.entries.len()));
        self.entries.extend(readings::fold(new, cause));
    }

    /// The audit entries, where there is nothing else.
    pub fn only_entries(&mut self) -> Option<Vec<Entry>> {
        let Self { events, deliveries, entries, jobs, delivered } = self;
        let others = [events.len(), deliveries.len(), jobs.len(), delivered.len()];
        (others == [0; 4] && !entries.is_empty()).then(|| std::mem::take(entries))
    }

    /// A statement that writes entries.
    pub fn recording(entries: impl IntoIterator<Item = Entry>) -> QueryBuilder<Postgres> {
        let mut sql = QueryBuilder::new("");
        insert_entries(&mut sql, entries);
        sql
    }

    pub fn is_empty(&self) -> bool {
        let Self { events, deliveries, entries, jobs, delivered } = self;
        [events.len(), deliveries.len(), entries.len(), jobs.len(), delivered.len()] == [0; 5]
    }

    pub fn has_deliveries(&self) -> bool {
        !self.deliveries.is_empty()
    }

    pub fn has_events(&self) -> bool {
        !self.events.is_empty()
    }

    /// Writes everything in one statement.
    pub async fn write(self, connection: &Connection) -> Result<()> {
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
        if !self.deliveries.is_empty() {
            part(&mut sql);
            let (events, handlers): (Vec<_>, Vec<_>) =
                self.deliveries.iter().map(|(event, handler)| (event.uuid(), *handler)).unzip();
            sql.push("due AS (INSERT INTO deliveries (event_id, handler) SELECT * FROM unnest(");
            sql.push_bind(events).push(", ").push_bind(handlers).push("))");
        }
        if !self.delivered.is_empty() {
            part(&mut sql);
            sql.push("done AS (DELETE FROM deliveries WHERE position = ANY(");
            sql.push_bind(self.delivered).push("))");
        }
        if !self.entries.is_empty() {
            part(&mut sql);
            sql.push("entries AS (");
            insert_entries(&mut sql, self.entries);
            sql.push(")");
        }
        match self.jobs.is_empty() {
            // What changes rows runs to its end whether it is read or not.
            true if parts == 0 => return Ok(()),
            true => drop(sql.push(" SELECT 0::bigint")),
            false => write_jobs(&mut sql, self.jobs),
        }
        let doing = "writing what a commit brings with it";
        let mut driver = connection.driver().await.map_err(|error| db(doing, executed(error)))?;
        let driver = driver.connection().map_err(|error| db(doing, executed(error)))?;
        let written = connection.session().run("", sql.build().fetch_one(driver)).await;
        written.map(drop).map_err(|error| db(doing, executed(error)))
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

/// Inserts entries, but for those that are there already, of a commit whose end was not
/// known.
fn insert_entries(sql: &mut QueryBuilder<Postgres>, entries: impl IntoIterator<Item = Entry>) {
    let (mut ids, mut times, mut actions) = (vec![], vec![], vec![]);
    let (mut entities, mut entity_ids, mut patients) = (vec![], vec![], vec![]);
    let (mut outcomes, mut details, mut actors) = (vec![], vec![], vec![]);
    // Most of them are of one actor and one request.
    let (mut names, mut last) = (Vec::<Value>::new(), None::<Arc<Actor>>);
    for Entry { id, at, entry, actor } in entries {
        ids.push(id.uuid());
        times.push(at);
        actions.push(<&'static str>::from(entry.action));
        entities.push(entry.entity);
        entity_ids.push(entry.entity_id);
        patients.push(entry.patient.map(|id| id.uuid()));
        outcomes.push(<&'static str>::from(entry.outcome));
        details.push(Value::Object(entry.detail));
        if !last.as_ref().is_some_and(|last| Arc::ptr_eq(last, &actor)) {
            names.push(by(&actor));
            last = Some(actor);
        }
        actors.push(i32::try_from(names.len()).unwrap_or(i32::MAX));
    }
    // In the order in which they were made, which is that of `seq`.
    sql.push(
        "INSERT INTO audit_entries (id, occurred_at, action, entity, entity_id, \
         patient_id, outcome, detail, actor_kind, actor_id, roles, request_id, ip, user_agent) \
         SELECT id, at, action, entity, entity_id, patient, outcome, detail, by->>'kind', \
         by->>'id', ARRAY(SELECT jsonb_array_elements_text(by->'roles')), \
         (by->>'request')::uuid, by->>'ip', by->>'agent' FROM (SELECT *, (",
    );
    sql.push_bind(names).push("::jsonb[])[actor] AS by FROM unnest(");
    sql.push_bind(ids).push(", ").push_bind(times).push(", ").push_bind(actions).push(", ");
    sql.push_bind(entities).push(", ").push_bind(entity_ids).push(", ");
    sql.push_bind(patients).push(", ").push_bind(outcomes).push(", ").push_bind(details);
    sql.push(", ").push_bind(actors);
    sql.push(
        ") WITH ORDINALITY AS entry (id, at, action, entity, entity_id, patient, outcome, \
         detail, actor, number)) AS entry ORDER BY number ON CONFLICT (id) DO NOTHING",
    );
}

/// Who acts, and for which request.
fn by(actor: &Actor) -> Value {
    let roles: Vec<String> = match &actor.kind {
        ActorKind::Account { roles, .. } => roles.iter().map(ToString::to_string).collect(),
        _ => Vec::new(),
    };
    let request = &actor.request;
    json!({
        "kind": actor.kind_word(),
        "id": actor_id(actor),
        "roles": roles,
        "request": request.request_id.map(|id| id.uuid()),
        "ip": request.ip.map(|ip| ip.to_string()),
        "agent": request.user_agent,
    })
}

fn write_jobs(sql: &mut QueryBuilder<Postgres>, jobs: Vec<Job>) {
    let (mut payloads, mut queues, mut times, mut keys) = (vec![], vec![], vec![], vec![]);
    for job in jobs {
        payloads.push(job.payload.to_string());
        queues.push(job.queue);
        times.push(job.run_at);
        keys.push(job.key);
    }
    sql.push(
        " SELECT count(*) FROM graphile_worker.add_jobs(ARRAY( \
             SELECT ROW('",
    );
    sql.push(JOB_TASK);
    sql.push(
        "', payload::json, queue, run_at, 25, key, NULL, NULL)\
                 ::graphile_worker.job_spec \
             FROM unnest(",
    );
    sql.push_bind(payloads).push(", ").push_bind(queues);
    sql.push(", ").push_bind(times).push(", ").push_bind(keys);
    sql.push(") AS job (payload, queue, run_at, key)))");
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
