//! The unit of work itself: what a commit brings with it, and what a transaction
//! leaves behind that was given up half-way.

use std::{
    path::{Path, PathBuf},
    sync::{
        Arc,
        atomic::{AtomicBool, Ordering},
    },
    time::Duration,
};

use kernel::{Actor, PatientId, RequestContext, RequestId, Uuid};
use ports::{AuditAction, AuditEntry, Event, JobRequest, JobSpec, PortError, UnitOfWork as _};
use salus_postgres::{
    Pg, PgTx,
    core::{ConnectionSettings, sharing},
};
use salus_tests::{Database, TestSealer, eventually};
use sea_orm::{
    ConnectionTrait as _, DbBackend, SqlxPostgresConnector, Statement, TransactionTrait as _,
};
use serde::{Deserialize, Serialize};
use tokio::{
    io::{AsyncReadExt as _, AsyncWriteExt as _},
    net::{UnixListener, UnixStream},
    task::JoinSet,
};

#[derive(Serialize, Deserialize)]
struct Numbered {
    number: u32,
}

impl JobSpec for Numbered {
    const KIND: &'static str = "tests.numbered";
}

fn system() -> Actor {
    Actor::system("tests.engine")
}

async fn texts(database: &Database, sql: &str) -> Vec<String> {
    let statement = Statement::from_string(DbBackend::Postgres, sql);
    let rows = database.superuser().await.query_all_raw(statement).await.unwrap();
    rows.iter().map(|row| row.try_get_by_index(0).unwrap()).collect()
}

fn verified(database: &Database) -> Event {
    Event::EmailVerified { account: database.env.fresh() }
}

fn entry(id: &str) -> AuditEntry {
    AuditEntry::new(AuditAction::Update, "account", id)
}

#[tokio::test]
async fn a_commit_writes_all_that_was_told_recorded_and_asked_for() {
    let database = Database::fresh().await;
    let mut tx = database.pg.open(&system()).await.unwrap();
    for number in 0..40 {
        tx.emit(verified(&database));
        tx.audit(entry(&number.to_string()));
    }
    for (key, number) in [(Some("a"), 1), (None, 2), (Some("a"), 3), (Some("b"), 4), (None, 5)] {
        let job = JobRequest::new(&Numbered { number });
        tx.enqueue(match key {
            Some(key) => job.key(key).queue("tests"),
            None => job,
        });
    }
    Box::new(tx).commit().await.unwrap();
    // The order of the log is that in which it was written.
    let entries = texts(&database, "SELECT entity_id FROM audit_entries ORDER BY seq").await;
    assert_eq!(entries, (0..40).map(|number| number.to_string()).collect::<Vec<_>>());
    let events = "SELECT count(DISTINCT id)::text FROM outbox_events";
    assert_eq!(texts(&database, events).await, ["40"]);
    // Of two jobs with one key the later one is there.
    let jobs = "SELECT payload->'payload'->>'number' FROM graphile_worker._private_jobs \
                WHERE payload->>'kind' = 'tests.numbered' ORDER BY 1";
    assert_eq!(texts(&database, jobs).await, ["2", "3", "4", "5"]);
    let queued = "SELECT key || ' ' || queue_name FROM graphile_worker._private_jobs j \
                  JOIN graphile_worker._private_job_queues q ON q.id = j.job_queue_id ORDER BY 1";
    assert_eq!(
        texts(&database, queued).await,
        ["tests.numbered:a tests", "tests.numbered:b tests"]
    );
}

#[tokio::test]
async fn what_is_not_committed_leaves_nothing() {
    let database = Database::fresh().await;
    let mut tx = database.pg.open(&system()).await.unwrap();
    tx.emit(verified(&database));
    tx.audit(entry("1"));
    tx.enqueue(JobRequest::new(&Numbered { number: 1 }));
    drop(tx);
    // Nor where the commit itself is refused.
    let mut tx = database.pg.open(&system()).await.unwrap();
    tx.emit(verified(&database));
    tx.audit(entry("nul \0"));
    Box::new(tx).commit().await.unwrap_err();
    for table in ["outbox_events", "deliveries", "audit_entries", "graphile_worker._private_jobs"] {
        let sql = format!("SELECT count(*)::text FROM {table}");
        assert_eq!(texts(&database, &sql).await, ["0"], "{table}");
    }
}

#[tokio::test]
async fn whoever_knows_the_handlers_lists_their_deliveries_with_the_event() {
    let database = Database::fresh().await;
    let tell = async || {
        let mut tx = database.pg.open(&system()).await.unwrap();
        tx.emit(verified(&database));
        tx.audit(entry("1"));
        Box::new(tx).commit().await.unwrap();
    };
    tell().await;
    let listed = "SELECT handler FROM deliveries ORDER BY 1";
    assert_eq!(texts(&database, listed).await, ["*"], "a command knows no handlers");

    let handlers = |event: &Event| match event {
        Event::EmailVerified { .. } => vec!["tests.one", "tests.two"],
        _ => vec!["tests.three"],
    };
    database.pg.subscribe(Box::new(handlers)).unwrap();
    tell().await;
    assert_eq!(texts(&database, listed).await, ["*", "tests.one", "tests.two"]);
    database.pg.subscribe(Box::new(handlers)).unwrap_err();
}

/// However far a request has come when its client goes away, its connection
/// comes back to the pool outside any transaction.
#[tokio::test]
async fn a_transaction_that_is_given_up_half_way_is_rolled_back() {
    let database = Database::fresh().await;
    // A pool of one, so that the same connection is used again.
    let pool = database.pg.connect_queue(1).await.unwrap();
    let pool = SqlxPostgresConnector::from_sqlx_postgres_pool(pool);
    let pg = Pg::new(pool, database.env.clone(), Arc::new(TestSealer));
    let superuser = database.superuser().await;
    let work = async || {
        let mut tx = pg.open(&system()).await.unwrap();
        tx.emit(verified(&database));
        tx.audit(entry("given up"));
        Box::new(tx).commit().await.unwrap();
    };
    for step in 0..300_u64 {
        let _ = tokio::time::timeout(Duration::from_micros(step * 10), work()).await;
        let own = Statement::from_string(DbBackend::Postgres, "SELECT pg_backend_pid()");
        let row = pg.pool().query_one_raw(own).await.unwrap().unwrap();
        let own: i32 = row.try_get_by_index(0).unwrap();
        let sql = format!("SELECT state FROM pg_stat_activity WHERE pid = {own}");
        let state = Statement::from_string(DbBackend::Postgres, sql);
        let row = superuser.query_one_raw(state).await.unwrap().unwrap();
        let state: String = row.try_get_by_index(0).unwrap();
        assert_eq!(state, "idle", "step {step}");
    }
    // The connection still works, and each commit is whole.
    work().await;
    let whole = "SELECT (count(*) > 0 AND count(*) = (SELECT count(*) FROM audit_entries))::text \
                 FROM outbox_events";
    assert_eq!(texts(&database, whole).await, ["true"]);
}

/// As where a chart is closed between the check and the write.
#[tokio::test]
async fn a_write_that_row_level_security_refuses_is_a_conflict() {
    let database = Database::fresh().await;
    let mut tx = database.pg.open(&Actor::anonymous(RequestContext::default())).await.unwrap();
    let sql = "INSERT INTO care_closed_charts (provider_id, patient_id, unlicensed) \
               VALUES (gen_random_uuid(), gen_random_uuid(), true)";
    let refused = tx.execute("closing a chart", sql, []).await.unwrap_err();
    assert!(matches!(refused, PortError::Conflict(_)), "{refused:?}");
}

/// Which transaction this is.
const BEGAN: &str =
    "SELECT pid || ' ' || xact_start FROM pg_stat_activity WHERE pid = pg_backend_pid()";

async fn began(pg: &Pg, actor: &Actor) -> String {
    text(&pg.open(actor).await.unwrap(), BEGAN).await
}

async fn text(tx: &PgTx, sql: &str) -> String {
    let statement = Statement::from_string(DbBackend::Postgres, sql);
    let row = tx.read().query_one_raw(statement).await.unwrap().unwrap();
    row.try_get_by_index(0).unwrap()
}

#[tokio::test]
async fn what_a_request_reads_in_a_row_is_one_transaction_until_it_writes() {
    let database = Database::fresh().await;
    let (pg, nobody) = (&database.pg, Actor::anonymous(RequestContext::default()));
    let scope = "SELECT current_setting('salus.scope')";
    sharing(async {
        // On a machine under load the one may wait too long for the other.
        eventually("two readings in one transaction", Duration::from_secs(10), async || {
            let first = began(pg, &system()).await;
            (began(pg, &nobody).await == first).then_some(())
        })
        .await;
        // Each has the reach of its own actor.
        assert_eq!(text(&pg.open(&nobody).await.unwrap(), scope).await, "nobody");
        assert_eq!(text(&pg.open(&system()).await.unwrap(), scope).await, "system");
        // What is recorded has given its connection back.
        let mut reading = pg.open(&system()).await.unwrap();
        let own = text(&reading, BEGAN).await;
        reading.audit(entry("read"));
        Box::new(reading).commit().await.unwrap();
        assert_ne!(began(pg, &system()).await, own);
        assert_eq!(texts(&database, "SELECT entity_id FROM audit_entries").await, ["read"]);
        // A request holds one connection, so that no pool stands still in which each
        // request waits for a second one.
        let working = pg.open(&system()).await.unwrap();
        let Err(refused) = pg.open(&system()).await else { panic!("a second connection") };
        assert!(matches!(refused, PortError::Internal { .. }), "{refused:?}");
        drop(working);
        let (one, actor) = (system(), system());
        let (one, another) = tokio::join!(pg.open(&one), pg.open(&actor));
        assert_ne!(one.is_ok(), another.is_ok(), "two at the same time");
        drop((one, another));

        // A change that is dropped is taken back, and a lock is given up.
        let mut changing = pg.open(&system()).await.unwrap();
        let sql = "INSERT INTO care_closed_charts (provider_id, patient_id, unlicensed) \
                   VALUES (gen_random_uuid(), gen_random_uuid(), true)";
        changing.execute("closing a chart", sql, []).await.unwrap();
        drop(changing);
        let second = began(pg, &system()).await;
        let closed = "SELECT count(*)::text FROM care_closed_charts";
        assert_eq!(text(&pg.open(&system()).await.unwrap(), closed).await, "0");
        let mut locking = pg.open(&system()).await.unwrap();
        locking.lock("locking", "tests".to_owned()).await.unwrap();
        drop(locking);
        let third = began(pg, &system()).await;
        assert_ne!(third, second);
        // So is one in which a statement failed.
        let failing = pg.open(&system()).await.unwrap();
        failing.read().execute_unprepared("SELECT 1 / 0").await.unwrap_err();
        drop(failing);
        assert_ne!(began(pg, &system()).await, third);
        // And one that is dropped in the midst of a statement.
        let slow = pg.open(&system()).await.unwrap();
        let sleeping = slow.read().execute_unprepared("SELECT pg_sleep(0.3)");
        tokio::time::timeout(Duration::from_millis(30), sleeping).await.unwrap_err();
        drop(slow);
        began(pg, &system()).await;
    })
    .await
    .1
    .unwrap();
}

/// A reading of a patient's record that Salus needs for something else.
async fn read_for_itself(pg: &Pg, patient: u128, purpose: &'static str, entity: &'static str) {
    let patient = PatientId(Uuid::from_u128(patient));
    let mut tx = pg.open(&Actor::system(purpose)).await.unwrap();
    tx.audit(AuditEntry::new(AuditAction::Read, entity, patient).patient(patient));
    Box::new(tx).commit().await.unwrap();
}

#[tokio::test]
async fn what_salus_reads_for_itself_is_one_entry_of_the_request() {
    let database = Database::fresh().await;
    let log = "SELECT concat_ws(' ', actor_kind, actor_id, entity, entity_id, \
               detail->'read', request_id) FROM audit_entries ORDER BY seq";
    let (request, patient) = (RequestId(Uuid::from_u128(2)), Uuid::from_u128(1));
    let person =
        Actor::anonymous(RequestContext { request_id: Some(request), ..RequestContext::default() });
    let both = format!(
        "system tests.one patient_record {patient} {{\"profile\": [\"tests.one\", \
         \"tests.three\"], \"summary\": [\"tests.two\"]}} {}",
        request.uuid()
    );
    // With the commit of what it was read for.
    sharing(async {
        drop(database.pg.open(&person).await.unwrap());
        read_for_itself(&database.pg, 1, "tests.one", "profile").await;
        read_for_itself(&database.pg, 1, "tests.two", "summary").await;
        read_for_itself(&database.pg, 9, "tests.two", "profile").await;
        read_for_itself(&database.pg, 1, "tests.three", "profile").await;
        assert!(texts(&database, log).await.is_empty());
        let mut tx = database.pg.open(&person).await.unwrap();
        tx.lock("locking", "tests".to_owned()).await.unwrap();
        tx.audit(entry("changed"));
        Box::new(tx).commit().await.unwrap();
        let changed = format!("anonymous account changed {}", request.uuid());
        let another = Uuid::from_u128(9);
        let another = format!("system tests.two profile {another} {}", request.uuid());
        assert_eq!(texts(&database, log).await, [both.clone(), another, changed]);
        // What has been written is not written again.
        read_for_itself(&database.pg, 1, "tests.four", "profile").await;
    })
    .await
    .1
    .unwrap();
    let last = format!("system tests.four profile {patient} {}", request.uuid());
    assert_eq!(texts(&database, log).await[3], last);
    // What a commit could not write is written at the end, before there is an answer.
    sharing(async {
        drop(database.pg.open(&person).await.unwrap());
        read_for_itself(&database.pg, 1, "tests.four", "profile").await;
        let mut tx = database.pg.open(&person).await.unwrap();
        tx.audit(entry("a word with \0 in it"));
        tx.execute("locking", "SELECT pg_advisory_xact_lock(1)", []).await.unwrap();
        Box::new(tx).commit().await.unwrap_err();
    })
    .await
    .1
    .unwrap();
    assert_eq!(texts(&database, log).await[4..], [last]);
}

#[tokio::test]
async fn a_request_that_waits_for_somebody_else_holds_no_transaction() {
    let database = Database::fresh().await;
    let pg = &database.pg;
    sharing(async {
        let first = began(pg, &system()).await;
        let pid = first.split(' ').next().unwrap();
        let idle = format!("SELECT state FROM pg_stat_activity WHERE pid = {pid}");
        eventually("the transaction to be given up", Duration::from_secs(10), async || {
            (texts(&database, &idle).await == ["idle"]).then_some(())
        })
        .await;
        assert_ne!(began(pg, &system()).await, first);
    })
    .await
    .1
    .unwrap();
}

#[tokio::test]
async fn of_readings_that_are_recorded_together_one_that_cannot_be_fails_alone() {
    let database = Database::fresh().await;
    let read = |id: String| {
        let pg = database.pg.clone();
        async move {
            let mut tx = pg.open(&system()).await.unwrap();
            tx.audit(entry(&id));
            Box::new(tx).commit().await
        }
    };
    let ids =
        (0..100).map(|number| if number == 50 { "nul \0".into() } else { number.to_string() });
    let results = futures::future::join_all(ids.map(read)).await;
    let failed: Vec<_> = results.iter().enumerate().filter(|(_, result)| result.is_err()).collect();
    assert!(matches!(failed[..], [(50, Err(PortError::Invalid(_)))]), "{failed:?}");
    let recorded = "SELECT count(DISTINCT entity_id) || ' ' || count(*) FROM audit_entries";
    assert_eq!(texts(&database, recorded).await, ["99 99"]);
}

#[tokio::test]
async fn readings_beyond_those_that_may_wait_are_refused_and_the_others_recorded() {
    const READINGS: usize = 7_000;
    let database = Database::fresh().await;
    let superuser = database.superuser().await;
    let closed = superuser.begin().await.unwrap();
    closed.execute_unprepared("LOCK TABLE audit_entries IN EXCLUSIVE MODE").await.unwrap();
    let mut readings = JoinSet::new();
    for number in 0..READINGS {
        let pg = database.pg.clone();
        readings.spawn(async move {
            let mut tx = pg.open(&system()).await.unwrap();
            tx.audit(entry(&number.to_string()));
            Box::new(tx).commit().await
        });
    }
    // While the table is locked, only refused readings get an answer.
    let first = readings.join_next().await.unwrap().unwrap();
    assert!(matches!(first, Err(PortError::Outage { .. })), "{first:?}");
    closed.rollback().await.unwrap();
    let mut recorded = 0;
    while let Some(done) = readings.join_next().await {
        match done.unwrap() {
            Ok(()) => recorded += 1,
            Err(error) => assert!(matches!(error, PortError::Outage { .. }), "{error:?}"),
        }
    }
    assert!((4_096..READINGS).contains(&recorded), "{recorded}");
    let entries = "SELECT count(DISTINCT entity_id) || ' ' || count(*) FROM audit_entries";
    assert_eq!(texts(&database, entries).await, [format!("{recorded} {recorded}")]);
}

/// Stands between the driver and the database, and drops the first connection on which
/// the database says this, before the driver hears of it. The database says what it
/// did once that is committed.
async fn losing(what: &'static [u8], socket: PathBuf, folder: &Path) -> Arc<AtomicBool> {
    let listener = UnixListener::bind(folder.join(".s.PGSQL.5432")).unwrap();
    let lost = Arc::new(AtomicBool::new(false));
    let was_lost = lost.clone();
    tokio::spawn(async move {
        while let Ok((driver, _)) = listener.accept().await {
            let database = UnixStream::connect(&socket).await.unwrap();
            tokio::spawn(relay(what, driver, database, was_lost.clone()));
        }
    });
    lost
}

async fn relay(
    what: &'static [u8],
    mut driver: UnixStream,
    mut database: UnixStream,
    lost: Arc<AtomicBool>,
) {
    let (mut asked, mut answer) = (Vec::with_capacity(65_536), Vec::with_capacity(65_536));
    loop {
        asked.clear();
        answer.clear();
        tokio::select! {
            read = driver.read_buf(&mut asked) => {
                if read.unwrap_or(0) == 0 || database.write_all(&asked).await.is_err() {
                    return;
                }
            }
            read = database.read_buf(&mut answer) => {
                if read.unwrap_or(0) == 0 {
                    return;
                }
                let said = answer.windows(what.len()).any(|text| text == what);
                if said && !lost.swap(true, Ordering::SeqCst) {
                    return;
                }
                if driver.write_all(&answer).await.is_err() {
                    return;
                }
            }
        }
    }
}

/// A pool behind a socket on which what the database says is lost once. None where the
/// environment names a server without a socket.
struct Forgetful {
    pg: Pg,
    lost: Arc<AtomicBool>,
    folder: tempfile::TempDir,
}

impl Forgetful {
    async fn of(database: &Database, what: &'static [u8]) -> Option<Self> {
        let (head, socket) = database.url.split_once("?host=")?;
        let folder = tempfile::tempdir().unwrap();
        let socket = Path::new(socket).join(".s.PGSQL.5432");
        let lost = losing(what, socket, folder.path()).await;
        let url = format!("{head}?host={}", folder.path().display());
        let settings = ConnectionSettings { url, max_connections: 2 };
        let pool = salus_postgres::core::Pg::connect(&settings).await.unwrap();
        let pg = Pg::new(pool, database.env.clone(), Arc::new(TestSealer));
        Some(Self { pg, lost, folder })
    }
}

const RECORDED: &str =
    "SELECT entity_id || ' ' || count(*) FROM audit_entries GROUP BY entity_id ORDER BY 1";

#[tokio::test]
async fn a_reading_whose_commit_was_not_answered_is_recorded_once() {
    let database = Database::fresh().await;
    let Some(forgetful) = Forgetful::of(&database, b"INSERT 0 ").await else { return };
    let mut tx = forgetful.pg.open(&system()).await.unwrap();
    tx.audit(entry("read"));
    Box::new(tx).commit().await.unwrap();
    assert!(forgetful.lost.load(Ordering::SeqCst), "an answer was lost");
    assert_eq!(texts(&database, RECORDED).await, ["read 1"]);
}

#[tokio::test]
async fn what_salus_read_for_a_commit_that_was_not_answered_is_recorded_once() {
    let database = Database::fresh().await;
    let Some(forgetful) = Forgetful::of(&database, b"COMMIT").await else { return };
    let pg = &forgetful.pg;
    sharing(async {
        read_for_itself(pg, 1, "tests.one", "profile").await;
        let mut tx = pg.open(&system()).await.unwrap();
        tx.lock("locking", "tests".to_owned()).await.unwrap();
        tx.audit(entry("changed"));
        let unknown = Box::new(tx).commit().await;
        assert!(matches!(unknown, Err(PortError::Outage { .. })), "{unknown:?}");
        assert!(forgetful.lost.load(Ordering::SeqCst), "an answer was lost");
        // What is read afterwards is another entry, and the next commit has both.
        read_for_itself(pg, 1, "tests.two", "summary").await;
        let mut tx = pg.open(&system()).await.unwrap();
        tx.lock("locking", "tests".to_owned()).await.unwrap();
        tx.audit(entry("changed again"));
        Box::new(tx).commit().await.unwrap();
    })
    .await
    .1
    .unwrap();
    let patient = Uuid::from_u128(1);
    let once = ["changed 1".to_owned(), "changed again 1".to_owned()];
    let mut expected = vec![format!("{patient} 2")];
    expected.extend(once);
    assert_eq!(texts(&database, RECORDED).await, expected);
    // An answer whose readings cannot be recorded does not leave.
    let (done, recorded) = sharing(async {
        read_for_itself(pg, 1, "tests.one", "profile").await;
        std::fs::remove_file(forgetful.folder.path().join(".s.PGSQL.5432")).unwrap();
        "an answer"
    })
    .await;
    assert_eq!(done, "an answer");
    assert!(matches!(recorded, Err(PortError::Outage { .. })), "{recorded:?}");
}
