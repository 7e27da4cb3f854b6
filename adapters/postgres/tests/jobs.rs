//! The queue's own figures on PostgreSQL.

use std::{sync::Arc, time::Duration};

use care::CareError;
use jobs::{Runtime, RuntimeSettings};
use kernel::Actor;
use ports::{JobRequest, JobSpec, Registry, UnitOfWork as _, registry::Running};
use salus_postgres::{
    Pg,
    cluster::{Cluster, Durability},
    core::ConnectionSettings,
};
use salus_tests::{Database, TestSealer, eventually, test_env};
use sea_orm::{ConnectionTrait as _, DbBackend, Statement};
use serde::{Deserialize, Serialize};
use tokio::{sync::Semaphore, time::timeout};
use tokio_util::sync::CancellationToken;

/// What a job runs in: nothing.
fn within(run: Running) -> Running {
    run
}

async fn execute(database: &Database, sql: &str) {
    database.superuser().await.execute_unprepared(sql).await.unwrap();
}

#[tokio::test]
async fn a_job_replaced_while_it_ran_is_not_given_up_and_one_that_failed_is() {
    let database = Database::fresh().await;
    let pool = database.pg.pool().get_postgres_connection_pool().clone();
    let settings = RuntimeSettings {
        concurrency: 1,
        grace: Duration::from_secs(1),
        sole_server: false,
        within,
    };
    let runtime = Runtime::new(pool, Arc::default(), settings);
    let request = "SELECT graphile_worker.add_job('salus_job', '{}'::json, job_key := 'k', max_attempts := 2)";
    let running = "UPDATE graphile_worker._private_jobs SET locked_by = 'w', locked_at = now(), \
                   attempts = attempts + 1 WHERE attempts < max_attempts";
    let failed = "UPDATE graphile_worker._private_jobs SET locked_by = NULL, locked_at = NULL, \
                  last_error = 'it failed'";

    execute(&database, request).await;
    execute(&database, running).await;
    execute(&database, request).await;
    execute(&database, failed).await;
    let backlog = runtime.backlog().await.unwrap();
    assert_eq!((backlog.waiting, backlog.exhausted), (1, 0));

    for _ in 0..2 {
        execute(&database, running).await;
        execute(&database, failed).await;
    }
    let backlog = runtime.backlog().await.unwrap();
    assert_eq!((backlog.waiting, backlog.exhausted), (0, 1));
}

#[derive(Serialize, Deserialize)]
struct Count;

impl JobSpec for Count {
    const KIND: &'static str = "tests.count";
}

#[tokio::test]
async fn a_burst_is_worked_off_without_waiting_for_the_next_poll() {
    const BURST: usize = 200;
    let database = Database::fresh().await;
    let mut tx = database.pg.open(&Actor::system("tests.jobs")).await.unwrap();
    for _ in 0..BURST {
        tx.enqueue(JobRequest::new(&Count));
    }
    Box::new(tx).commit().await.unwrap();

    let done = Arc::new(Semaphore::new(0));
    let mut registry = Registry::default();
    let counted = done.clone();
    registry.job(move |_: Count| {
        counted.add_permits(1);
        async { Ok::<(), CareError>(()) }
    });
    let settings = RuntimeSettings {
        concurrency: 1,
        grace: Duration::from_secs(1),
        sole_server: false,
        within,
    };
    let queue = database.pg.connect_queue(3).await.unwrap();
    let runtime = Runtime::new(queue, Arc::new(registry), settings);
    let stop = CancellationToken::new();
    let running = tokio::spawn({
        let stop = stop.clone();
        async move { runtime.run(stop).await }
    });

    // A job for each poll would take as many seconds as there are jobs.
    let all = done.acquire_many(u32::try_from(BURST).unwrap());
    timeout(Duration::from_secs(60), all).await.expect("all are done in time").unwrap().forget();
    stop.cancel();
    running.await.unwrap().unwrap();
    assert_eq!(done.available_permits(), 0);
}

/// A cluster of the test's own, which it may stop.
struct Own {
    folder: tempfile::TempDir,
    cluster: Arc<Cluster>,
}

impl Own {
    async fn start() -> (Self, Pg) {
        use std::os::unix::fs::PermissionsExt as _;
        // PostgreSQL's own user has to reach it.
        let folder = tempfile::Builder::new()
            .prefix("salus-outage-")
            .permissions(std::fs::Permissions::from_mode(0o755))
            .tempdir_in("/tmp")
            .unwrap();
        // A PostgreSQL that is killed keeps only what it has flushed.
        let cluster = Cluster::start(folder.path(), Durability::Full).unwrap();
        cluster.discard_with_this_process().unwrap();
        cluster.ensure_database("outage").unwrap();
        let pool = async |url: String| {
            salus_postgres::core::Pg::connect(&ConnectionSettings { url, max_connections: 8 })
                .await
                .unwrap()
        };
        let owner = pool(cluster.owner_url("outage")).await;
        salus_postgres::core::Pg::migrate(&owner).await.unwrap();
        salus_postgres::core::Pg::admit(&owner, Cluster::SERVER).await.unwrap();
        owner.close().await.unwrap();
        let (env, _) = test_env();
        let pg = Pg::new(pool(cluster.url("outage")).await, env, Arc::new(TestSealer));
        (Self { folder, cluster: Arc::new(cluster) }, pg)
    }

    fn postmaster(&self) -> String {
        let file = self.folder.path().join("postgres/postmaster.pid");
        let file = std::fs::read_to_string(file).unwrap_or_default();
        file.lines().next().unwrap_or_default().to_owned()
    }

    /// Ends the first process alone, as the system does for want of memory.
    fn kill_postmaster(&self) {
        let killed = std::process::Command::new("sh")
            .args(["-c", "kill -KILL \"$0\"", &self.postmaster()])
            .status()
            .unwrap();
        assert!(killed.success());
    }
}

#[tokio::test]
async fn the_worker_outlives_an_outage_of_the_database() {
    let (own, pg) = Own::start().await;
    let mut registry = Registry::default();
    let done = Arc::new(Semaphore::new(0));
    let counted = done.clone();
    registry.job(move |_: Count| {
        counted.add_permits(1);
        async { Ok::<(), CareError>(()) }
    });
    let enqueue = async || {
        let mut tx = pg.open(&Actor::system("tests.jobs")).await.unwrap();
        tx.enqueue(JobRequest::new(&Count));
        Box::new(tx).commit().await.unwrap();
    };
    let settings = RuntimeSettings {
        concurrency: 2,
        grace: Duration::from_secs(1),
        sole_server: false,
        within,
    };
    let queue = pg.connect_queue(3).await.unwrap();
    let runtime = Arc::new(Runtime::new(queue, Arc::new(registry), settings));
    let stop = CancellationToken::new();
    let running = tokio::spawn({
        let (runtime, stop) = (runtime.clone(), stop.clone());
        async move { runtime.run(stop).await }
    });
    enqueue().await;
    timeout(Duration::from_secs(30), done.acquire()).await.unwrap().unwrap().forget();

    let Own { folder, cluster } = own;
    cluster.stop().unwrap();
    // The outage lasts until the worker has died of it.
    eventually("the worker to die", Duration::from_secs(30), async || {
        (!runtime.liveness().is_alive()).then_some(())
    })
    .await;
    drop(cluster);
    let cluster = Cluster::start(folder.path(), Durability::Full).unwrap();
    eventually("the worker to be back", Duration::from_secs(60), async || {
        runtime.liveness().is_alive().then_some(())
    })
    .await;
    enqueue().await;
    timeout(Duration::from_secs(30), done.acquire()).await.unwrap().unwrap().forget();
    stop.cancel();
    running.await.unwrap().unwrap();
    cluster.stop().unwrap();
}

#[tokio::test]
async fn the_log_of_the_private_cluster_names_no_values() {
    let (own, pg) = Own::start().await;
    let tx = pg.open(&Actor::system("tests.jobs")).await.unwrap();
    let values = ["Marfan syndrome".into()];
    let slow = "SELECT pg_sleep(1.1), $1::text";
    let statement = Statement::from_sql_and_values(DbBackend::Postgres, slow, values);
    tx.read().query_one_raw(statement).await.unwrap();
    // As where a row breaks a constraint: the detail quotes it.
    let failing = "DO $$ BEGIN RAISE EXCEPTION 'taken' USING DETAIL = 'Marfan ' || 'syndrome'; \
                   END $$";
    tx.read().execute_unprepared(failing).await.unwrap_err();
    drop(tx);
    own.cluster.stop().unwrap();
    let log = std::fs::read_to_string(own.folder.path().join("postgres/server.log")).unwrap();
    assert!(log.contains("pg_sleep(1.1)") && log.contains("taken"), "{log}");
    assert!(!log.contains("Marfan syndrome"), "{log}");
}

#[tokio::test]
async fn a_worker_stops_while_the_database_is_away() {
    let (own, pg) = Own::start().await;
    let settings = RuntimeSettings {
        concurrency: 2,
        grace: Duration::from_secs(1),
        sole_server: true,
        within,
    };
    let queue = pg.connect_queue(3).await.unwrap();
    let runtime = Arc::new(Runtime::new(queue, Arc::default(), settings));
    let stop = CancellationToken::new();
    let running = tokio::spawn({
        let (runtime, stop) = (runtime.clone(), stop.clone());
        async move { runtime.run(stop).await }
    });
    own.cluster.stop().unwrap();
    stop.cancel();
    timeout(Duration::from_secs(5), running).await.expect("it stops in time").unwrap().unwrap();
}

#[tokio::test]
async fn a_cluster_whose_first_process_was_killed_is_started_again_with_its_data() {
    let (own, pg) = Own::start().await;
    let pulse = tokio::spawn({
        let pg = pg.clone();
        async move { pg.feel_pulse().await }
    });
    let kept = tokio::spawn(own.cluster.clone().keep_up());
    let first = own.postmaster();
    // A statement that runs for long keeps its process, which no longer hears
    // of its parent's end.
    let busy = tokio::spawn({
        let pool = pg.pool().clone();
        async move { pool.execute_unprepared("SELECT pg_sleep(600)").await }
    });
    let active = "SELECT FROM pg_stat_activity WHERE query LIKE '%pg_sleep(600)%' \
                  AND state = 'active' AND pid <> pg_backend_pid()";
    eventually("the statement to run", Duration::from_secs(10), async || {
        let rows = pg.pool().execute_unprepared(active).await.unwrap().rows_affected();
        (rows > 0).then_some(())
    })
    .await;
    let mut tx = pg.open(&Actor::system("tests.jobs")).await.unwrap();
    tx.enqueue(JobRequest::new(&Count));
    Box::new(tx).commit().await.unwrap();

    own.kill_postmaster();
    let jobs = "SELECT FROM graphile_worker._private_jobs";
    let found = eventually("the cluster to be back", Duration::from_secs(60), async || {
        let tx = pg.open(&Actor::system("tests.jobs")).await.ok()?;
        Some(tx.read().execute_unprepared(jobs).await.ok()?.rows_affected())
    })
    .await;
    assert_eq!(found, 1, "what was committed is there");
    eventually("another first process", Duration::from_secs(30), async || {
        let now = own.postmaster();
        (!now.is_empty() && now != first).then_some(())
    })
    .await;
    assert!(busy.await.unwrap().is_err(), "the old process is gone");
    kept.abort();
    pulse.abort();
    own.cluster.stop().unwrap();
}
