//! From a committed event to those who handle it.
//!
//! The commit that tells of an event lists a delivery for each of its handlers. A
//! consumer takes the oldest of them, runs their handlers in one transaction and
//! crosses them off with its commit, so that a delivery and its effect are one.
//! Where one of several fails they are taken back and run in smaller numbers; one
//! that fails alone is counted, waits, and is run by itself from then on. After
//! [`ATTEMPTS`] it is a dead letter, which a person replays.

use std::{
    panic::AssertUnwindSafe,
    sync::Arc,
    time::{Duration, Instant},
};

use chrono::{DateTime, Utc};
use futures::{FutureExt as _, future::try_join_all};
use kernel::{Actor, EventId, Uuid};
use ports::{
    AuditAction, AuditEntry, Envelope, JobFailure, PortError, Registry, Result, UnitOfWork as _,
};
use sea_orm::{ConnectionTrait as _, DbBackend, ExecResult, QueryResult, Statement, Value};
use tokio_util::sync::CancellationToken;

use super::{
    Pg,
    connection::{Connection, Session},
    error::db,
    joining::joining,
    pending::Pending,
    readings::Cause,
};

/// Stands for every handler of an event that a process without handlers told of.
pub(super) const EVERY_HANDLER: &str = "*";
/// How often a delivery is tried.
const ATTEMPTS: i32 = 25;
/// How many deliveries one transaction takes, and for how long it goes on with them.
/// Other workers cannot take these deliveries until it ends, and nobody sees their
/// effects before that.
const MOST: usize = 100;
const LONGEST: Duration = Duration::from_millis(20);
/// How often it is looked whether another process has told of something, or a
/// failed delivery is due again.
const EVERY: Duration = Duration::from_millis(250);
/// How often a delivery may collide with other transactions before that counts
/// as a failure.
const COLLISIONS: u32 = 10;

/// How far the deliveries are behind.
#[derive(Clone, Copy, Debug, Default, PartialEq)]
pub struct DeliveryBacklog {
    /// Those that this server can make and has not given up.
    pub waiting: i64,
    /// The age of the oldest of them that is due.
    pub oldest: Duration,
    /// Those that have failed for the last time and wait for a person.
    pub dead: i64,
    /// Those whose handler this server does not have.
    pub unknown: i64,
}

/// Delivers events to the handlers of this process.
pub struct Consumer {
    pg: Pg,
    registry: Arc<Registry>,
    workers: usize,
    /// The handlers' names, as SQL takes them.
    names: Vec<String>,
}

/// A delivery that this transaction has taken.
struct Taken {
    position: i64,
    handler: String,
    event: EventId,
    attempts: i32,
    envelope: std::result::Result<Envelope, JobFailure>,
}

/// What a worker remembers from one transaction to the next.
struct Pace {
    /// How many deliveries the next transaction takes: one after a failure, then
    /// twice as many each time, up to what it has time for.
    limit: usize,
    /// Where to look for the next, and since when. What is before it has been
    /// handled but for what was committed late, so it is looked at now and then.
    after: i64,
    since: Instant,
    collisions: u32,
}

impl Consumer {
    pub fn new(pg: Pg, registry: Arc<Registry>, workers: usize) -> Self {
        let names = registry.handlers().iter().map(|handler| handler.name.to_owned());
        let names = names.chain([EVERY_HANDLER.to_owned()]).collect();
        Self { pg, registry, workers, names }
    }

    /// Delivers until `stop`, or until the database fails. It calls `started` once
    /// it reaches the database.
    pub async fn run(&self, stop: &CancellationToken, started: impl FnOnce()) -> Result<()> {
        let suspects = self.suspects().await?;
        started();
        let workers = (0..self.workers).map(|number| self.work(number, suspects, stop));
        try_join_all(workers).await.map(drop)
    }

    /// What this process, or another, may have had under way when it was killed are
    /// the oldest. One of them may be what killed it, so they are run one by one,
    /// and each attempt is counted beforehand. Gives the last of them.
    async fn suspects(&self) -> Result<i64> {
        let sql = "SELECT coalesce(max(position), 0) FROM ( \
                       SELECT position FROM deliveries \
                       WHERE attempts = 0 AND handler = ANY ($1) \
                       ORDER BY position LIMIT $2) AS oldest";
        let most = i64::try_from(self.workers * MOST).unwrap_or(i64::MAX);
        let values = [self.names.clone().into(), most.into()];
        let row = self.one("looking for old deliveries", sql, values).await?;
        row.map_or(Ok(0), |row| column(&row, 0))
    }

    async fn work(&self, number: usize, suspects: i64, stop: &CancellationToken) -> Result<()> {
        let mut pace = Pace { limit: 1, after: 0, since: Instant::now(), collisions: 0 };
        while !stop.is_cancelled() && self.counted(Some(suspects)).await? {}
        let mut looked = Instant::now();
        while !stop.is_cancelled() {
            if self.batch(&mut pace).await? {
                continue;
            }
            // Only the first worker looks for deliveries of other processes and for
            // retries that are due.
            let looks = number == 0;
            if looks && looked.elapsed() >= EVERY {
                while !stop.is_cancelled() && self.counted(None).await? {}
                looked = Instant::now();
            }
            tokio::select! {
                () = stop.cancelled() => {}
                () = self.pg.told.notified() => {}
                () = tokio::time::sleep(EVERY), if looks => {}
            }
        }
        Ok(())
    }

    /// Takes what is due and handles it in one transaction. Whether there may be
    /// more.
    async fn batch(&self, pace: &mut Pace) -> Result<bool> {
        let session = self.begin().await?;
        if pace.since.elapsed() >= EVERY {
            (pace.after, pace.since) = (0, Instant::now());
        }
        let mut taken = self.take(&session, pace).await?;
        if taken.is_empty() && pace.after > 0 {
            (pace.after, pace.since) = (0, Instant::now());
            taken = self.take(&session, pace).await?;
        }
        let Some(first) = taken.first() else { return Ok(false) };
        pace.after = first.position - 1;
        if taken.len() == pace.limit {
            // Somebody else may take what comes after these.
            self.pg.told.notify_one();
        }
        let (began, alone) = (Instant::now(), taken.len() == 1);
        let (done, failed) = if alone {
            (1, self.handle_alone(&session, first).await?)
        } else {
            self.handle_all(&session, &taken, began).await?
        };
        let Some(failure) = failed else {
            for delivery in &taken[..done] {
                report(&delivery.handler, "success");
            }
            pace.limit = match done < taken.len() {
                true => done,
                false if began.elapsed() < LONGEST / 2 => (pace.limit * 2).min(MOST),
                false => pace.limit,
            };
            pace.collisions = 0;
            return Ok(true);
        };
        pace.limit = 1;
        let collided = session.has_collided();
        // Its row is locked until then.
        drop(session);
        if collided && pace.collisions < COLLISIONS {
            pace.collisions += 1;
        } else if alone {
            pace.collisions = 0;
            let sql = "UPDATE deliveries SET attempts = 1, failure = $2, \
                       run_at = now() + interval '1 second' WHERE position = $1 AND attempts = 0";
            self.record(first, &failure, sql).await?;
        }
        Ok(true)
    }

    /// Handles what there is time for, and commits. Gives the number of those that
    /// were handled, and the failure of any of them.
    async fn handle_all(
        &self,
        session: &Arc<Session>,
        taken: &[Taken],
        began: Instant,
    ) -> Result<(usize, Option<JobFailure>)> {
        let mut done = 0;
        for delivery in taken {
            if let Err(failure) = self.handle(session, delivery).await {
                return Ok((done, Some(failure)));
            }
            done += 1;
            if began.elapsed() >= LONGEST {
                break;
            }
        }
        if session.is_spoiled() {
            return Ok((done, Some(JobFailure("a change was taken back".to_owned()))));
        }
        Ok((done, self.finish(session, &taken[..done]).await?))
    }

    /// Handles a delivery that is the only one of its transaction, and commits.
    async fn handle_alone(
        &self,
        session: &Arc<Session>,
        delivery: &Taken,
    ) -> Result<Option<JobFailure>> {
        if let Err(failure) = self.handle(session, delivery).await {
            return Ok(Some(failure));
        }
        if !session.is_spoiled() {
            return self.finish(session, std::slice::from_ref(delivery)).await;
        }
        if !session.take_joined().is_empty() {
            let what = "a handler committed one change and left another without a commit";
            return Ok(Some(JobFailure(what.to_owned())));
        }
        // What a handler began and then left is no effect of the delivery, which is done
        // all the same.
        session.roll_back().await;
        let sql = "DELETE FROM deliveries WHERE position = $1";
        self.execute("crossing off a delivery", sql, [delivery.position.into()]).await?;
        Ok(None)
    }

    /// Takes one delivery that has failed before and is due, or one of the
    /// suspects; counts the attempt, and then handles it by itself. Whether there
    /// may be more.
    async fn counted(&self, suspects: Option<i64>) -> Result<bool> {
        let (wanted, order) = match suspects {
            Some(last) => (format!("attempts = 0 AND position <= {last}"), "position"),
            None => {
                (format!("attempts BETWEEN 1 AND {} AND run_at <= now()", ATTEMPTS - 1), "run_at")
            }
        };
        let sql = format!(
            "UPDATE deliveries SET attempts = attempts + 1, \
                 run_at = now() + least(interval '6 hours', interval '1 second' * 2 ^ attempts) \
             WHERE position = ( \
                 SELECT position FROM deliveries WHERE {wanted} AND handler = ANY ($1) \
                 ORDER BY {order} LIMIT 1 FOR UPDATE SKIP LOCKED) RETURNING position"
        );
        let names = self.names.clone();
        let counted = self.one("counting an attempt", &sql, [names.into()]).await?;
        let Some(counted) = counted else { return Ok(false) };
        let position: i64 = column(&counted, 0)?;

        let session = self.begin().await?;
        let taken = self.take_one(&session, position).await?;
        let Some(delivery) = taken.first() else { return Ok(true) };
        let failed = self.handle_alone(&session, delivery).await?;
        drop(session);
        match failed {
            None => report(&delivery.handler, "success"),
            Some(failure) => {
                let sql = "UPDATE deliveries SET failure = $2 WHERE position = $1";
                self.record(delivery, &failure, sql).await?;
            }
        }
        Ok(true)
    }

    async fn begin(&self) -> Result<Arc<Session>> {
        self.pg.begin_as("beginning to deliver events", &self.pg.system_walls()).await
    }

    async fn take(&self, session: &Arc<Session>, pace: &Pace) -> Result<Vec<Taken>> {
        let wanted = "attempts = 0 AND position > $1 AND handler = ANY ($2)";
        let limit = i64::try_from(pace.limit).unwrap_or(i64::MAX);
        let values = [pace.after.into(), self.names.clone().into(), limit.into()];
        take(&self.pg.system(session), &format!("{wanted} ORDER BY position LIMIT $3"), values)
            .await
    }

    async fn take_one(&self, session: &Arc<Session>, position: i64) -> Result<Vec<Taken>> {
        take(&self.pg.system(session), "position = $1", [position.into()]).await
    }

    async fn handle(
        &self,
        session: &Arc<Session>,
        taken: &Taken,
    ) -> std::result::Result<(), JobFailure> {
        let Taken { handler, envelope, .. } = taken;
        let envelope = envelope.as_ref().map_err(Clone::clone)?;
        let handlers = self.registry.handlers();
        if handler == EVERY_HANDLER {
            let mut pending = Pending::default();
            for handler in handlers.iter().filter(|handler| (handler.wants)(&envelope.event)) {
                pending.deliver(envelope.id, handler.name);
            }
            return session.join(pending).map_err(|error| JobFailure::from_error(&error));
        }
        let Some(handler) = handlers.iter().find(|known| known.name == handler) else {
            return Err(JobFailure(format!("no handler is registered as {handler}")));
        };
        // One that was asked for by hand may be of no interest.
        if !(handler.wants)(&envelope.event) {
            return Ok(());
        }
        let before = session.entries();
        let run = AssertUnwindSafe((handler.run)(envelope.clone())).catch_unwind();
        let done = joining(session, run).await;
        session.fold(before, &Cause::Delivery { event: envelope.id, handler: handler.name });
        done.unwrap_or_else(|_| Err(JobFailure("it panicked".to_owned())))
    }

    /// Commits with what was handled. What stands in its way is the failure of the
    /// deliveries; that the database is away is nobody's.
    async fn finish(&self, session: &Arc<Session>, done: &[Taken]) -> Result<Option<JobFailure>> {
        let mut pending = Pending::default();
        for delivery in done {
            pending.delivered(delivery.position);
        }
        match self.pg.finish(self.pg.system(session), pending, None).await {
            Ok(()) => Ok(None),
            Err(error @ PortError::Outage { .. }) => Err(error),
            Err(error) => Ok(Some(JobFailure::from_error(&error))),
        }
    }

    async fn record(&self, taken: &Taken, failure: &JobFailure, sql: &str) -> Result<()> {
        let (handler, event) = (&taken.handler, taken.event);
        if taken.attempts >= ATTEMPTS {
            tracing::error!(handler, %event, error = %failure, "a delivery failed and is given up");
        } else {
            tracing::warn!(handler, %event, error = %failure, "a delivery failed and is tried again");
        }
        report(handler, "failure");
        // A NUL character has no place in a column.
        let text = failure.0.replace('\0', "\u{fffd}");
        let values = [taken.position.into(), text.into()];
        self.execute("recording a failed delivery", sql, values).await.map(drop)
    }

    pub async fn backlog(&self) -> Result<DeliveryBacklog> {
        let sql = "SELECT count(*) FILTER (WHERE is_waiting), \
                       coalesce(extract(epoch FROM now() - min(run_at) \
                           FILTER (WHERE is_waiting AND run_at <= now())), 0)::float8, \
                       count(*) FILTER (WHERE attempts >= $2), \
                       count(*) FILTER (WHERE attempts < $2 AND NOT is_known) \
                   FROM (SELECT *, is_known AND attempts < $2 AS is_waiting FROM ( \
                       SELECT *, handler = ANY ($1) AS is_known FROM deliveries) AS d) AS d";
        let values = [self.names.clone().into(), ATTEMPTS.into()];
        let Some(row) = self.one("counting deliveries", sql, values).await? else {
            return Ok(DeliveryBacklog::default());
        };
        Ok(DeliveryBacklog {
            waiting: column(&row, 0)?,
            oldest: Duration::try_from_secs_f64(column(&row, 1)?).unwrap_or_default(),
            dead: column(&row, 2)?,
            unknown: column(&row, 3)?,
        })
    }

    async fn one<const N: usize>(
        &self,
        doing: &str,
        sql: &str,
        values: [Value; N],
    ) -> Result<Option<QueryResult>> {
        let statement = Statement::from_sql_and_values(DbBackend::Postgres, sql, values);
        self.pg.pool.query_one_raw(statement).await.map_err(|error| db(doing, error))
    }

    async fn execute<const N: usize>(
        &self,
        doing: &str,
        sql: &str,
        values: [Value; N],
    ) -> Result<ExecResult> {
        let statement = Statement::from_sql_and_values(DbBackend::Postgres, sql, values);
        self.pg.pool.execute_raw(statement).await.map_err(|error| db(doing, error))
    }
}

impl Pg {
    /// Tries the dead letters again, all of them or those of one handler. Gives
    /// their number.
    pub async fn replay_deliveries(&self, handler: Option<&str>) -> Result<u64> {
        let sql = "UPDATE deliveries SET attempts = 1, run_at = now() \
                   WHERE attempts >= $1 AND ($2::text IS NULL OR handler = $2)";
        let values = [ATTEMPTS.into(), handler.map(str::to_owned).into()];
        self.list("replaying dead letters", "replay", handler, sql, values).await
    }

    /// Creates a delivery to the handler for every event since then, also for those that
    /// it has handled or does not want: the handler may be new to this version. Gives
    /// their number.
    pub async fn backfill_deliveries(&self, handler: &str, since: DateTime<Utc>) -> Result<u64> {
        let sql = "INSERT INTO deliveries (handler, event_id) SELECT $1, id \
                   FROM outbox_events AS event WHERE occurred_at >= $2 AND NOT EXISTS ( \
                       SELECT FROM deliveries WHERE handler = $1 AND event_id = event.id) \
                   ORDER BY occurred_at, id";
        let values = [handler.into(), since.into()];
        self.list("listing deliveries", "backfill", Some(handler), sql, values).await
    }

    async fn list<const N: usize>(
        &self,
        doing: &str,
        what: &'static str,
        handler: Option<&str>,
        sql: &str,
        values: [Value; N],
    ) -> Result<u64> {
        let mut tx = Box::new(self.open(&Actor::system("deliveries")).await?);
        let listed = tx.execute(doing, sql, values).await?.rows_affected();
        let entry = AuditEntry::new(AuditAction::Execute, "deliveries", handler.unwrap_or("all"));
        tx.audit(entry.detail("asked", what).detail("deliveries", listed));
        tx.commit().await?;
        Ok(listed)
    }

    fn system_walls(&self) -> Arc<str> {
        super::walls(&Actor::system("deliveries")).into()
    }

    fn system(&self, session: &Arc<Session>) -> Connection {
        session.connection(self.system_walls())
    }
}

async fn take<const N: usize>(
    connection: &Connection,
    wanted: &str,
    values: [Value; N],
) -> Result<Vec<Taken>> {
    let doing = "taking deliveries";
    let sql = format!(
        "SELECT d.position, d.handler, e.id, e.payload, e.occurred_at, d.attempts FROM ( \
             SELECT position, handler, event_id, attempts FROM deliveries WHERE {wanted} \
             FOR UPDATE SKIP LOCKED) AS d \
         JOIN outbox_events e ON e.id = d.event_id ORDER BY d.position"
    );
    let statement = Statement::from_sql_and_values(DbBackend::Postgres, sql, values);
    let rows = connection.query_all_raw(statement).await.map_err(|error| db(doing, error))?;
    let taken = rows.into_iter().map(|row| {
        let id = EventId(column::<Uuid>(&row, 2)?);
        let payload: serde_json::Value = column(&row, 3)?;
        let occurred_at: DateTime<Utc> = column(&row, 4)?;
        // One that cannot be read is a failed delivery, and holds up nobody else's.
        let envelope = serde_json::from_value(payload)
            .map(|event| Envelope { id, occurred_at, event })
            .map_err(|error| JobFailure::from_error(&error));
        let (position, handler) = (column(&row, 0)?, column(&row, 1)?);
        Ok(Taken { position, handler, event: id, attempts: column(&row, 5)?, envelope })
    });
    taken.collect()
}

fn column<T: sea_orm::TryGetable>(row: &QueryResult, number: usize) -> Result<T> {
    row.try_get_by_index(number).map_err(|error| db("reading a delivery", error))
}

fn report(handler: &str, outcome: &'static str) {
    metrics::counter!("job_runs_total", "kind" => handler.to_owned(), "outcome" => outcome)
        .increment(1);
}
