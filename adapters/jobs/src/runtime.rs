use std::{
    convert::Infallible,
    sync::{Arc, Mutex, PoisonError},
    time::Duration,
};

use graphile_worker::{WorkerOptions, WorkerRecoveryConfig};
use ports::{Registry, jobs::JOB_TASK, registry::Running};
use sqlx::PgPool;
use tokio_util::sync::CancellationToken;

use crate::{
    supervise::{Liveness, supervise},
    tasks::{Registered, RunJob},
};

/// How soon it is looked again whether jobs wait.
const WHILE_BUSY: Duration = Duration::from_millis(20);
const WHILE_IDLE: Duration = Duration::from_millis(250);

#[derive(Clone, Debug)]
pub struct RuntimeSettings {
    pub concurrency: usize,
    /// How long running jobs may go on once the server stops.
    pub grace: Duration,
    /// Whether no other server can share this database. Jobs that a killed
    /// server held are then free at once, not after its heartbeat went missing.
    pub sole_server: bool,
    /// What each run of a job takes place in.
    pub within: fn(Running) -> Running,
}

#[derive(Debug, thiserror::Error)]
pub enum RuntimeError {
    #[error("the job runtime could not be set up: {0}")]
    Build(String),
    #[error("the job runtime stopped: {0}")]
    Run(String),
    #[error("the job queue could not be read")]
    Database(#[from] sqlx::Error),
}

pub struct Runtime {
    pool: PgPool,
    registry: Arc<Registry>,
    settings: RuntimeSettings,
    liveness: Liveness,
    /// The worker that ran last; what it still holds is free once it ended.
    last_worker: Mutex<Option<String>>,
}

/// How far the queue is behind.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct Backlog {
    /// Jobs that could run now.
    pub waiting: i64,
    /// The age of the oldest of them.
    pub oldest: Duration,
    /// Jobs that failed for the last time and wait for a person. One that a
    /// newer request with its key replaced while it ran is not among them.
    pub exhausted: i64,
}

impl Runtime {
    pub fn new(pool: PgPool, registry: Arc<Registry>, settings: RuntimeSettings) -> Self {
        Self {
            pool,
            registry,
            settings,
            liveness: Liveness::default(),
            last_worker: Mutex::default(),
        }
    }

    /// Whether jobs are being worked on.
    pub fn liveness(&self) -> &Liveness {
        &self.liveness
    }

    /// Runs until `stop`, then drains. The worker ends at the first error of
    /// its connection, so another is started then, for as long as it takes.
    pub async fn run(&self, stop: CancellationToken) -> Result<(), RuntimeError> {
        // A schedule that cannot be read stays so.
        self.options(&stop)?;
        supervise("the job worker", &self.liveness, &stop, || self.work(&stop)).await;
        Ok(())
    }

    async fn work(&self, stop: &CancellationToken) -> Result<(), RuntimeError> {
        self.release_held_jobs().await?;
        let worker = self.options(stop)?.init().await;
        let worker = worker.map_err(|error| RuntimeError::Build(error.to_string()))?;
        *self.last_worker.lock().unwrap_or_else(PoisonError::into_inner) =
            Some(worker.worker_id().clone());
        self.liveness.runs();
        tokio::select! {
            done = worker.run() => done.map_err(|error| RuntimeError::Run(error.to_string())),
            never = self.keep_going() => match never {},
        }
    }

    fn options(&self, stop: &CancellationToken) -> Result<WorkerOptions, RuntimeError> {
        let recovery = WorkerRecoveryConfig::default()
            .heartbeat_interval(Duration::from_secs(5))
            .sweep_interval(Duration::from_secs(10))
            .sweep_threshold(Duration::from_secs(30))
            .recovery_delay(Duration::ZERO);
        let stop = stop.clone();
        let mut options = WorkerOptions::default()
            .pg_pool(self.pool.clone())
            .schema("graphile_worker")
            .concurrency(self.settings.concurrency)
            .poll_interval(Duration::from_secs(1))
            .worker_recovery(recovery)
            .listen_os_shutdown_signals(false)
            .shutdown_signal(async move { stop.cancelled().await })
            .shutdown_grace_period(self.settings.grace)
            .add_extension(Registered(self.registry.clone(), self.settings.within))
            .define_job::<RunJob>();
        for (schedule, kind) in self.registry.schedules() {
            // What was due while nothing ran is caught up with, once: every
            // run of a kind has one key. A job of every minute is soon due.
            let fill = if schedule.starts_with('*') { "" } else { "&fill=1d" };
            let line = format!(
                "{schedule} {JOB_TASK} ?id={kind}&jobKey={kind}{fill} \
                 {{kind:\"{kind}\",payload:{{}}}}"
            );
            options = options
                .with_cron(line.as_str())
                .map_err(|error| RuntimeError::Build(format!("{kind}: {error:?}")))?;
        }
        Ok(options)
    }

    /// Wakes the worker for as long as jobs wait. By itself it takes one job a
    /// slot for each notice of a new one, and remembers so many notices; what is
    /// left of a burst then waits for the next poll, for one job a slot again.
    async fn keep_going(&self) -> Infallible {
        loop {
            let woken = sqlx::query(
                "SELECT pg_notify('jobs:insert', n::text) FROM generate_series(1, 4) AS n \
                 WHERE EXISTS (SELECT FROM graphile_worker._private_jobs \
                     WHERE is_available AND run_at <= now() AND (job_queue_id IS NULL \
                         OR job_queue_id IN (SELECT id FROM graphile_worker._private_job_queues \
                                             WHERE is_available)))",
            )
            .execute(&self.pool)
            .await;
            // Where the database cannot be asked, the worker says so as well.
            let waits = woken.is_ok_and(|woken| woken.rows_affected() > 0);
            tokio::time::sleep(if waits { WHILE_BUSY } else { WHILE_IDLE }).await;
        }
    }

    /// Frees what is held by workers that are gone: by this server's own last
    /// one, and by all where no other server can be there.
    async fn release_held_jobs(&self) -> Result<(), RuntimeError> {
        let last = self.last_worker.lock().unwrap_or_else(PoisonError::into_inner).clone();
        sqlx::query(
            "SELECT graphile_worker.force_unlock_workers(array_agg(DISTINCT locked_by)) \
             FROM (SELECT locked_by FROM graphile_worker._private_jobs \
                   UNION SELECT locked_by FROM graphile_worker._private_job_queues) AS held \
             WHERE locked_by IS NOT NULL AND ($1 OR locked_by = $2) HAVING count(*) > 0",
        )
        .bind(self.settings.sole_server)
        .bind(last)
        .execute(&self.pool)
        .await?;
        Ok(())
    }

    pub async fn backlog(&self) -> Result<Backlog, RuntimeError> {
        let (waiting, oldest, exhausted): (i64, f64, i64) = sqlx::query_as(
            "SELECT count(*) FILTER (WHERE due), \
                    coalesce(extract(epoch FROM now() - min(run_at) FILTER (WHERE due)), 0)::float8, \
                    count(*) FILTER (WHERE attempts >= max_attempts AND locked_at IS NULL) \
             FROM (SELECT run_at, attempts, max_attempts, locked_at, \
                          locked_at IS NULL AND attempts < max_attempts AND run_at <= now() AS due \
                   FROM graphile_worker._private_jobs AS job \
                   WHERE NOT EXISTS (SELECT FROM graphile_worker._private_job_retirements AS retired \
                                     WHERE retired.id = job.id)) AS jobs",
        )
        .fetch_one(&self.pool)
        .await?;
        Ok(Backlog { waiting, oldest: Duration::from_secs_f64(oldest.max(0.0)), exhausted })
    }
}
