use chrono::TimeDelta;
use compliance::retention::{EVENTS_KEPT, KEYS_KEPT, PurgeHistory, Purged, purge_history};
use kernel::{Actor, Uuid};
use ports::{AuditAction, AuditEntry, Event, IdempotencyKey, PortError, UnitOfWork};
use salus_postgres::Pg;
use salus_tests::Database;
use sea_orm::{ConnectionTrait as _, DbBackend, Statement};

async fn count(pg: &Pg, sql: &str) -> i64 {
    let row = pg
        .pool()
        .query_one_raw(Statement::from_string(DbBackend::Postgres, sql))
        .await
        .expect("a query")
        .expect("a row");
    row.try_get_by_index(0).expect("a count")
}

fn system() -> Actor {
    Actor::system("tests.platform")
}

#[tokio::test]
async fn an_unaudited_change_is_refused_and_leaves_nothing() {
    let database = Database::fresh().await;
    let mut tx = database.pg.open(&system()).await.unwrap();
    tx.emit(Event::EmailVerified { account: database.env.fresh() });
    let refused = Box::new(tx).commit().await;
    assert!(matches!(refused, Err(PortError::Internal { .. })), "{refused:?}");
    assert_eq!(count(&database.pg, "SELECT count(*) FROM outbox_events").await, 0);
    assert_eq!(count(&database.pg, "SELECT count(*) FROM deliveries").await, 0);
}

#[tokio::test]
async fn state_event_job_and_audit_entry_are_committed_together() {
    let database = Database::fresh().await;
    let mut tx = database.pg.open(&system()).await.unwrap();
    tx.emit(Event::EmailVerified { account: database.env.fresh() });
    tx.audit(AuditEntry::new(AuditAction::Update, "account", "1"));
    Box::new(tx).commit().await.unwrap();
    assert_eq!(count(&database.pg, "SELECT count(*) FROM outbox_events").await, 1);
    assert_eq!(count(&database.pg, "SELECT count(*) FROM audit_entries").await, 1);
    assert_eq!(count(&database.pg, "SELECT count(*) FROM deliveries").await, 1);
}

#[tokio::test]
async fn the_audit_log_refuses_to_be_changed() {
    let database = Database::fresh().await;
    let mut tx = database.pg.open(&system()).await.unwrap();
    tx.audit(AuditEntry::new(AuditAction::Read, "account", "1"));
    Box::new(tx).commit().await.unwrap();
    for sql in [
        "UPDATE audit_entries SET entity_id = '2'",
        "DELETE FROM audit_entries",
        "TRUNCATE audit_entries",
    ] {
        let refused = database.pg.pool().execute_unprepared(sql).await;
        assert!(refused.unwrap_err().to_string().contains("permission denied"), "{sql}");
        let refused = database.owner().await.execute_unprepared(sql).await;
        assert!(refused.unwrap_err().to_string().contains("append-only"), "{sql}");
    }
}

#[tokio::test]
async fn the_servers_role_cannot_take_down_its_walls() {
    let database = Database::fresh().await;
    let pool = database.pg.pool();
    assert_eq!(salus_postgres::core::Pg::role_faults(pool).await.unwrap(), [""; 0]);
    for sql in [
        "ALTER TABLE audit_entries DISABLE TRIGGER ALL",
        "DROP TRIGGER audit_entries_append_only ON audit_entries",
        "ALTER TABLE audit_entries DISABLE ROW LEVEL SECURITY",
        "ALTER TABLE identity_profiles NO FORCE ROW LEVEL SECURITY",
        "DROP POLICY actor_scope ON prescriptions",
        "CREATE POLICY mine ON prescriptions USING (true)",
        "CREATE TABLE mine (id integer)",
        "CREATE TEMPORARY TABLE audit_entries (id uuid)",
        "CREATE SCHEMA mine",
        "CREATE OR REPLACE FUNCTION salus_reaches(owner uuid) RETURNS boolean LANGUAGE sql \
         AS 'SELECT true'",
        "CREATE FUNCTION mine() RETURNS integer LANGUAGE sql AS 'SELECT 1'",
        "TRUNCATE prescriptions",
        "DELETE FROM audit_chain",
        "UPDATE audit_chain SET sealed_at = now()",
        "UPDATE ledger_postings SET account = account",
        "DELETE FROM seaql_migrations",
        "INSERT INTO graphile_worker.migrations (id) VALUES (1000)",
        "SET ROLE salus",
        "SET SESSION AUTHORIZATION salus",
        "SET session_replication_role = 'replica'",
    ] {
        let error = pool.execute_unprepared(sql).await.expect_err(sql).to_string();
        let refused = ["permission denied", "must be owner", "must be able to SET ROLE"];
        assert!(refused.iter().any(|words| error.contains(words)), "{sql}: {error}");
    }
}

/// What a later migration adds is granted by the next `salus migrate`, and what
/// somebody granted by hand is taken back.
#[tokio::test]
async fn every_migration_grants_anew() {
    let database = Database::fresh().await;
    let owner = database.owner().await;
    owner
        .execute_unprepared(
            "CREATE TABLE later (id integer GENERATED ALWAYS AS IDENTITY, note text); \
             GRANT TRUNCATE, TRIGGER ON prescriptions TO salus_server; \
             GRANT DELETE ON audit_entries TO salus_server",
        )
        .await
        .unwrap();
    let pool = database.pg.pool();
    assert_eq!(salus_postgres::core::Pg::role_faults(pool).await.unwrap().len(), 2);
    let add = "INSERT INTO later (note) VALUES ('a')";
    assert!(pool.execute_unprepared(add).await.is_err());
    salus_postgres::core::Pg::admit(&owner, "salus_server").await.unwrap();
    pool.execute_unprepared(add).await.unwrap();
    assert_eq!(salus_postgres::core::Pg::role_faults(pool).await.unwrap(), [""; 0]);
}

#[tokio::test]
async fn an_owner_and_a_superuser_are_no_roles_to_serve_with() {
    let database = Database::fresh().await;
    let faults =
        salus_postgres::core::Pg::role_faults(&database.owner().await).await.unwrap().join("\n");
    assert!(faults.contains("owns the database"), "{faults}");
    let faults = salus_postgres::core::Pg::role_faults(&database.superuser().await)
        .await
        .unwrap()
        .join("\n");
    assert!(faults.contains("is a superuser"), "{faults}");
}

#[tokio::test]
async fn an_idempotency_key_gives_the_first_resource_and_refuses_another_request() {
    let database = Database::fresh().await;
    let key = |fingerprint| IdempotencyKey {
        operation: "tests.create",
        key: "k".to_owned(),
        fingerprint: [fingerprint; 32],
    };
    let first: Uuid = database.env.fresh();
    let claim = async |key: IdempotencyKey, resource: Uuid| {
        let mut tx = database.pg.open(&system()).await.unwrap();
        let claimed = tx.claim(&key, resource).await?;
        Box::new(tx).commit().await?;
        Ok::<_, PortError>(claimed)
    };
    assert_eq!(claim(key(1), first).await.unwrap(), None);
    assert_eq!(claim(key(1), database.env.fresh()).await.unwrap(), Some(first));
    let reused = claim(key(2), database.env.fresh()).await;
    assert!(matches!(reused, Err(PortError::IdempotencyKeyReused)), "{reused:?}");
    // A key may be made of anything, an address even, so none is kept.
    let kept = Statement::from_string(
        DbBackend::Postgres,
        "SELECT count(*) FROM idempotency_keys \
         WHERE length(key) = 32 AND key <> sha256('k') AND length(fingerprint) = 32",
    );
    let row = database.superuser().await.query_one_raw(kept).await.unwrap().unwrap();
    assert_eq!(row.try_get_by_index::<i64>(0).unwrap(), 1);
}

#[tokio::test]
async fn what_was_heard_long_ago_is_purged_and_what_is_still_to_be_told_is_kept() {
    let database = Database::fresh().await;
    let tell = async |number: u128| {
        let key = IdempotencyKey {
            operation: "tests.create",
            key: number.to_string(),
            fingerprint: [1; 32],
        };
        let mut tx = database.pg.open(&system()).await.unwrap();
        tx.claim(&key, Uuid::from_u128(number)).await.unwrap();
        tx.emit(Event::EmailVerified { account: Uuid::from_u128(number).into() });
        tx.audit(AuditEntry::new(AuditAction::Update, "account", number));
        Box::new(tx).commit().await.unwrap();
    };
    let events = "SELECT count(*) FROM outbox_events";
    let keys = "SELECT count(*) FROM idempotency_keys";
    let purge = async || purge_history(&database.env, &database.pg, PurgeHistory {}).await.unwrap();
    for number in 0..3 {
        tell(number).await;
    }
    // Two of them are handled, and the third failed for the last time.
    let done = "DELETE FROM deliveries WHERE event_id IN \
                (SELECT id FROM outbox_events WHERE payload::text NOT LIKE '%00000000002\"%')";
    database.superuser().await.execute_unprepared(done).await.unwrap();
    database.clock.advance(KEYS_KEPT + TimeDelta::seconds(1));
    tell(3).await;
    assert_eq!(purge().await, Purged { events: 0, keys: 3 });
    assert_eq!(count(&database.pg, keys).await, 1, "the young key");
    database.clock.advance(EVENTS_KEPT - KEYS_KEPT);
    assert_eq!(purge().await, Purged { events: 2, keys: 1 });
    assert_eq!(count(&database.pg, events).await, 2, "the young one and what is still to be told");
    assert_eq!(purge().await, Purged::default());
    let audited =
        "SELECT count(*) FROM audit_entries WHERE entity = 'history' AND action = 'delete'";
    assert_eq!(count(&database.pg, audited).await, 2, "none for a purge of nothing");
}

#[tokio::test]
async fn what_postgresql_cannot_hold_is_the_callers_fault() {
    let database = Database::fresh().await;
    let mut tx = database.pg.open(&system()).await.unwrap();
    let entry = AuditEntry::new(AuditAction::Read, "tests", "nul \0");
    tx.audit(entry);
    let refused = Box::new(tx).commit().await;
    assert!(matches!(refused, Err(PortError::Invalid(_))), "{refused:?}");
}

#[tokio::test]
async fn concurrent_requests_with_one_key_make_one_resource() {
    let database = Database::fresh().await;
    let mut requests = tokio::task::JoinSet::new();
    for _ in 0..16 {
        let pg = database.pg.clone();
        let resource: Uuid = database.env.fresh();
        requests.spawn(async move {
            let key = IdempotencyKey {
                operation: "tests.create",
                key: "one".to_owned(),
                fingerprint: [0; 32],
            };
            let mut tx = pg.open(&system()).await.unwrap();
            let claimed = tx.claim(&key, resource).await.unwrap();
            Box::new(tx).commit().await.unwrap();
            claimed.unwrap_or(resource)
        });
    }
    let made: std::collections::BTreeSet<Uuid> = requests.join_all().await.into_iter().collect();
    assert_eq!(made.len(), 1);
}

#[tokio::test]
async fn row_level_security_hides_other_patients_rows_from_the_server_and_the_owner() {
    let database = Database::fresh().await;
    let owner = database.owner().await;
    owner
        .execute_unprepared(
            "CREATE TABLE walled (patient_id uuid); SELECT salus_protect('walled', 'patient_id')",
        )
        .await
        .unwrap();
    salus_postgres::core::Pg::admit(&owner, "salus_server").await.unwrap();
    let pool = database.pg.pool();
    let hidden = pool
        .execute_unprepared("INSERT INTO walled VALUES ('00000000-0000-7000-8000-000000000001')")
        .await;
    assert!(hidden.unwrap_err().to_string().contains("row-level security"));
    let hidden = owner
        .execute_unprepared("INSERT INTO walled VALUES ('00000000-0000-7000-8000-000000000001')")
        .await;
    assert!(hidden.unwrap_err().to_string().contains("row-level security"));
    let mut tx = database.pg.open(&system()).await.unwrap();
    tx.execute(
        "adding a row",
        "INSERT INTO walled VALUES ('00000000-0000-7000-8000-000000000001')",
        [],
    )
    .await
    .unwrap();
    tx.audit(AuditEntry::new(AuditAction::Create, "walled", "1"));
    Box::new(tx).commit().await.unwrap();
    assert_eq!(count(&database.pg, "SELECT count(*) FROM walled").await, 0);
}

#[tokio::test]
async fn every_migration_goes_up_and_down_and_up_again() {
    let pool = Database::unmigrated().await;
    salus_postgres::core::Pg::migrate(&pool).await.unwrap();
    let tables = "SELECT count(*) FROM information_schema.tables \
                  WHERE table_schema = 'public' AND table_name <> 'seaql_migrations'";
    let leftovers = "SELECT (SELECT count(*) FROM information_schema.tables \
                     WHERE table_schema = 'public' AND table_name <> 'seaql_migrations') \
                     + (SELECT count(*) FROM pg_proc p JOIN pg_namespace n ON n.oid = p.pronamespace \
                     WHERE n.nspname = 'public')";
    let query = async |sql: &str| -> i64 {
        let statement = Statement::from_string(DbBackend::Postgres, sql);
        pool.query_one_raw(statement).await.unwrap().unwrap().try_get_by_index(0).unwrap()
    };
    let before = query(tables).await;
    assert!(before >= 4);
    salus_postgres::core::Pg::migrate_down(&pool, None).await.unwrap();
    assert_eq!(query(leftovers).await, 0);
    salus_postgres::core::Pg::migrate(&pool).await.unwrap();
    assert_eq!(query(tables).await, before);
    assert!(salus_postgres::core::Pg::migration_state(&pool).await.unwrap().pending.is_empty());
}
