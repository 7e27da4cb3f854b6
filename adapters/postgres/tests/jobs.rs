//! The queue's own figures on PostgreSQL.

use std::{sync::Arc, time::Duration};

use care::CareError;
use jobs::{Registry, Runtime, RuntimeSettings};
use kernel::Actor;
use ports::{JobRequest, JobSpec, UnitOfWork as _};
use salus_tests::Database;
use sea_orm::ConnectionTrait as _;
use serde::{Deserialize, Serialize};
use tokio::{sync::Semaphore, time::timeout};
use tokio_util::sync::CancellationToken;

async fn execute(database: &Database, sql: &str) {
    database.superuser().await.execute_unprepared(sql).await.unwrap();
}

#[tokio::test]
async fn a_job_replaced_while_it_ran_is_not_given_up_and_one_that_failed_is() {
    let database = Database::fresh().await;
    let pool = database.pg.pool().get_postgres_connection_pool().clone();
    let settings =
        RuntimeSettings { concurrency: 1, grace: Duration::from_secs(1), sole_server: false };
    let runtime = Runtime::new(pool, Registry::default(), settings);
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
        tx.enqueue(JobRequest::new(&Count)).await.unwrap();
    }
    Box::new(tx).commit().await.unwrap();

    let done = Arc::new(Semaphore::new(0));
    let mut registry = Registry::default();
    let counted = done.clone();
    registry.job(move |_: Count| {
        counted.add_permits(1);
        async { Ok::<(), CareError>(()) }
    });
    let settings =
        RuntimeSettings { concurrency: 1, grace: Duration::from_secs(1), sole_server: false };
    let queue = database.pg.connect_queue(3).await.unwrap();
    let runtime = Runtime::new(queue, registry, settings);
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
