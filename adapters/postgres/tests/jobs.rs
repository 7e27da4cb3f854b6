//! The queue's own figures on PostgreSQL.

use std::time::Duration;

use jobs::{Registry, Runtime, RuntimeSettings};
use salus_tests::Database;
use sea_orm::ConnectionTrait as _;

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
