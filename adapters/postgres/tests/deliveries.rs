//! From a committed event to its handlers: each once, in the transaction that
//! crosses the delivery off.

use std::{
    sync::{
        Arc,
        atomic::{AtomicBool, AtomicU32, Ordering},
    },
    time::Duration,
};

use kernel::Actor;
use ports::{AuditAction, AuditEntry, Envelope, Event, PortError, Registry, UnitOfWork as _};
use salus_postgres::{Pg, core::Consumer};
use salus_tests::{Database, TestSealer, eventually};
use sea_orm::{ConnectionTrait as _, DbBackend, SqlxPostgresConnector, Statement};
use tokio::task::JoinHandle;
use tokio_util::sync::CancellationToken;

const PATIENCE: Duration = Duration::from_secs(60);

fn entry(action: AuditAction, entity: &'static str, id: impl ToString) -> AuditEntry {
    AuditEntry::new(action, entity, id)
}

async fn texts(database: &Database, sql: &str) -> Vec<String> {
    let statement = Statement::from_string(DbBackend::Postgres, sql);
    let rows = database.superuser().await.query_all_raw(statement).await.unwrap();
    rows.iter().map(|row| row.try_get_by_index(0).unwrap()).collect()
}

async fn number(database: &Database, sql: &str) -> u32 {
    texts(database, &format!("SELECT ({sql})::text")).await[0].parse().unwrap()
}

/// Tells of events, a hundred in a commit.
async fn tell(pg: &Pg, database: &Database, count: u32) {
    for from in (0..count).step_by(100) {
        let mut tx = pg.open(&Actor::system("tests.telling")).await.unwrap();
        for _ in from..count.min(from + 100) {
            tx.emit(Event::EmailVerified { account: database.env.fresh() });
        }
        tx.audit(entry(AuditAction::Execute, "tests", "told"));
        Box::new(tx).commit().await.unwrap();
    }
}

/// The effect of a handler: an entry that names the event.
async fn effect(pg: &Pg, handler: &'static str, envelope: &Envelope) -> Result<(), PortError> {
    let mut tx = pg.open(&Actor::system(handler)).await?;
    tx.audit(entry(AuditAction::Update, handler, envelope.id));
    Box::new(tx).commit().await
}

fn verified(event: &Event) -> bool {
    matches!(event, Event::EmailVerified { .. })
}

/// A registry with plain handlers of these names.
fn plain(pg: &Pg, names: &[&'static str]) -> Registry {
    let mut registry = Registry::default();
    for name in names.iter().copied() {
        let pg = pg.clone();
        registry.on(name, verified, move |envelope| {
            let pg = pg.clone();
            async move { effect(&pg, name, &envelope).await }
        });
    }
    registry
}

struct Delivering {
    consumer: Arc<Consumer>,
    stop: CancellationToken,
    task: JoinHandle<Result<(), PortError>>,
}

impl Delivering {
    fn start(pg: &Pg, registry: Registry, workers: usize) -> Self {
        let consumer = Arc::new(Consumer::new((**pg).clone(), Arc::new(registry), workers));
        let stop = CancellationToken::new();
        let task = tokio::spawn({
            let (consumer, stop) = (consumer.clone(), stop.clone());
            async move { consumer.run(&stop, || {}).await }
        });
        Self { consumer, stop, task }
    }

    async fn stop(self) {
        self.stop.cancel();
        self.task.await.unwrap().unwrap();
    }
}

async fn emptied(database: &Database) {
    eventually("the deliveries to be made", PATIENCE, async || {
        let waiting = "SELECT count(*) FROM deliveries WHERE attempts < 25";
        (number(database, waiting).await == 0).then_some(())
    })
    .await;
}

/// How often the handler has had its effect, in all and for different events.
async fn effects(database: &Database, handler: &str) -> (u32, u32) {
    let from = format!("FROM audit_entries WHERE entity = '{handler}'");
    let all = number(database, &format!("SELECT count(*) {from}")).await;
    (all, number(database, &format!("SELECT count(DISTINCT entity_id) {from}")).await)
}

#[tokio::test]
async fn two_consumers_give_every_handler_each_event_once() {
    let database = Database::fresh().await;
    let names = ["tests.one", "tests.two"];
    let registry = plain(&database.pg, &names);
    database.pg.subscribe(Box::new(registry.interests())).unwrap();
    tell(&database.pg, &database, 300).await;
    let another = plain(&database.pg, &names);
    let first = Delivering::start(&database.pg, registry, 2);
    let second = Delivering::start(&database.pg, another, 2);
    tell(&database.pg, &database, 300).await;
    emptied(&database).await;
    for name in names {
        assert_eq!(effects(&database, name).await, (600, 600), "{name}");
    }
    assert_eq!(first.consumer.backlog().await.unwrap(), Default::default());
    first.stop().await;
    second.stop().await;
}

#[tokio::test]
async fn an_event_of_a_process_without_handlers_reaches_all_of_them() {
    let database = Database::fresh().await;
    tell(&database.pg, &database, 3).await;
    let registry = plain(&database.pg, &["tests.one", "tests.two"]);
    let running = Delivering::start(&database.pg, registry, 1);
    emptied(&database).await;
    for name in ["tests.one", "tests.two"] {
        assert_eq!(effects(&database, name).await, (3, 3), "{name}");
    }
    running.stop().await;
}

/// Whatever a handler and those whom it asks begin is one transaction, which sees
/// what was done before in it; a pool of one connection is enough.
#[tokio::test]
async fn a_handler_and_whom_it_asks_share_one_connection_and_their_own_reach() {
    let database = Database::fresh().await;
    let pool = database.pg.connect_queue(1).await.unwrap();
    let pool = SqlxPostgresConnector::from_sqlx_postgres_pool(pool);
    let pg = Pg::new(pool, database.env.clone(), Arc::new(TestSealer));
    let mut registry = Registry::default();
    let own = pg.clone();
    registry.on("tests.asking", verified, move |envelope| {
        let pg = own.clone();
        async move {
            let mut outer = pg.open(&Actor::system("tests.asking")).await?;
            let sql = "INSERT INTO care_closed_charts (provider_id, patient_id, unlicensed) \
                       VALUES (gen_random_uuid(), gen_random_uuid(), true)";
            outer.execute("closing a chart", sql, []).await?;
            let seen = "SELECT count(*)::text FROM care_closed_charts";
            let count = async |actor: &Actor| {
                let inner = pg.open(actor).await?;
                let statement = Statement::from_string(DbBackend::Postgres, seen);
                let row = inner.read().query_one_raw(statement).await.unwrap().unwrap();
                Ok::<String, PortError>(row.try_get_by_index(0).unwrap())
            };
            let system = count(&Actor::system("tests.asked")).await?;
            let nobody = count(&Actor::anonymous(Default::default())).await?;
            // The scope of whoever asked is theirs again.
            let again = count(&Actor::system("tests.asked")).await?;
            let detail = format!("{system} {nobody} {again}");
            outer.audit(entry(AuditAction::Update, "tests.asking", envelope.id));
            outer.audit(entry(AuditAction::Read, "tests.seen", detail));
            Box::new(outer).commit().await
        }
    });
    pg.subscribe(Box::new(registry.interests())).unwrap();
    tell(&pg, &database, 2).await;
    let running = Delivering::start(&pg, registry, 1);
    emptied(&database).await;
    let seen = "SELECT entity_id FROM audit_entries WHERE entity = 'tests.seen' ORDER BY seq";
    assert_eq!(texts(&database, seen).await, ["1 0 1", "2 0 2"]);
    running.stop().await;
}

#[tokio::test]
async fn what_a_handler_reads_on_the_way_is_one_entry_that_names_the_event() {
    let database = Database::fresh().await;
    let mut registry = Registry::default();
    let own = database.pg.clone();
    registry.on("tests.reading", verified, move |envelope| {
        let pg = own.clone();
        async move {
            let Event::EmailVerified { account } = envelope.event else { return Ok(()) };
            let patient = account.as_patient();
            for entity in ["profile", "summary", "profile"] {
                let mut tx = pg.open(&Actor::system("tests.asked")).await?;
                tx.audit(entry(AuditAction::Read, entity, patient).patient(patient));
                Box::new(tx).commit().await?;
            }
            effect(&pg, "tests.reading", &envelope).await
        }
    });
    database.pg.subscribe(Box::new(registry.interests())).unwrap();
    tell(&database.pg, &database, 3).await;
    let running = Delivering::start(&database.pg, registry, 1);
    emptied(&database).await;
    running.stop().await;
    let read = "SELECT concat_ws(' ', actor_id, detail->>'read', detail->>'handler') \
                FROM audit_entries JOIN outbox_events AS event ON event.id::text = detail->>'event' \
                WHERE entity = 'patient_record' AND entity_id = payload->>'account' \
                AND patient_id::text = entity_id";
    let one = "tests.asked {\"profile\": [\"tests.asked\"], \"summary\": [\"tests.asked\"]} \
               tests.reading";
    assert_eq!(texts(&database, read).await, [one; 3]);
    let all = number(&database, "SELECT count(*) FROM audit_entries WHERE action = 'read'").await;
    assert_eq!((all, effects(&database, "tests.reading").await), (3, (3, 3)));
}

#[tokio::test]
async fn a_handler_that_always_fails_holds_up_nobody_and_ends_as_a_dead_letter() {
    let database = Database::fresh().await;
    let mut registry = plain(&database.pg, &["tests.one"]);
    let (mended, tries) = (Arc::new(AtomicBool::new(false)), Arc::new(AtomicU32::new(0)));
    let (own, pg, counted) = (mended.clone(), database.pg.clone(), tries.clone());
    registry.on("tests.failing", verified, move |envelope| {
        let (mended, pg, counted) = (own.clone(), pg.clone(), counted.clone());
        async move {
            counted.fetch_add(1, Ordering::Relaxed);
            // Its change goes with it, and leaves the others' alone.
            let effect = effect(&pg, "tests.failing", &envelope).await;
            match mended.load(Ordering::Relaxed) {
                true => effect,
                false => Err(PortError::bug("it always fails")),
            }
        }
    });
    database.pg.subscribe(Box::new(registry.interests())).unwrap();
    tell(&database.pg, &database, 40).await;
    let running = Delivering::start(&database.pg, registry, 2);
    eventually("the others to go on", PATIENCE, async || {
        (effects(&database, "tests.one").await == (40, 40)).then_some(())
    })
    .await;
    let failing = "SELECT count(*) FROM deliveries WHERE handler = 'tests.failing' \
                   AND attempts > 0 AND failure LIKE '%it always fails%'";
    eventually("each to be counted", PATIENCE, async || {
        (number(&database, failing).await == 40).then_some(())
    })
    .await;
    assert_eq!(effects(&database, "tests.failing").await, (0, 0));
    // The last attempt is due.
    let last = "UPDATE deliveries SET attempts = 24, run_at = now()";
    database.superuser().await.execute_unprepared(last).await.unwrap();
    eventually("the last attempt", PATIENCE, async || {
        (running.consumer.backlog().await.unwrap().dead == 40).then_some(())
    })
    .await;
    let backlog = running.consumer.backlog().await.unwrap();
    assert_eq!((backlog.waiting, backlog.unknown), (0, 0));
    let before = tries.load(Ordering::Relaxed);

    mended.store(true, Ordering::Relaxed);
    assert_eq!(database.pg.replay_deliveries(Some("tests.other")).await.unwrap(), 0);
    assert_eq!(database.pg.replay_deliveries(None).await.unwrap(), 40);
    emptied(&database).await;
    assert_eq!(effects(&database, "tests.failing").await, (40, 40));
    assert!(tries.load(Ordering::Relaxed) >= before + 40);
    running.stop().await;
}

/// A handler that panics, and one that leaves a change behind without a commit,
/// which counts as nothing done.
#[tokio::test]
async fn what_a_handler_leaves_behind_is_taken_back() {
    let database = Database::fresh().await;
    let mut registry = plain(&database.pg, &["tests.one"]);
    let pg = database.pg.clone();
    registry.on("tests.leaving", verified, move |_| {
        let pg = pg.clone();
        async move {
            let mut tx = pg.open(&Actor::system("tests.leaving")).await?;
            let sql = "INSERT INTO care_closed_charts (provider_id, patient_id, unlicensed) \
                       VALUES (gen_random_uuid(), gen_random_uuid(), true)";
            tx.execute("closing a chart", sql, []).await.map(drop)
        }
    });
    // One that commits a change and leaves another is neither done nor half done.
    let pg = database.pg.clone();
    registry.on("tests.halving", verified, move |envelope| {
        let pg = pg.clone();
        async move {
            effect(&pg, "tests.halving", &envelope).await?;
            let mut tx = pg.open(&Actor::system("tests.halving")).await?;
            let sql = "INSERT INTO care_closed_charts (provider_id, patient_id, unlicensed) \
                       VALUES (gen_random_uuid(), gen_random_uuid(), true)";
            tx.execute("closing a chart", sql, []).await.map(drop)
        }
    });
    let panicked = Arc::new(AtomicBool::new(false));
    let (own, pg) = (panicked.clone(), database.pg.clone());
    registry.on("tests.panicking", verified, move |envelope| {
        let (panicked, pg) = (own.clone(), pg.clone());
        async move {
            effect(&pg, "tests.panicking", &envelope).await?;
            assert!(panicked.swap(true, Ordering::Relaxed), "the first one panics");
            Ok::<_, PortError>(())
        }
    });
    database.pg.subscribe(Box::new(registry.interests())).unwrap();
    tell(&database.pg, &database, 10).await;
    let running = Delivering::start(&database.pg, registry, 2);
    let others = "SELECT count(*) FROM deliveries WHERE handler <> 'tests.halving'";
    eventually("the others to be delivered", PATIENCE, async || {
        (number(&database, others).await == 0).then_some(())
    })
    .await;
    let halved = "SELECT count(*) FROM deliveries WHERE handler = 'tests.halving' AND attempts > 0 \
                  AND failure LIKE '%left another without a commit%'";
    eventually("the failures to be counted", PATIENCE, async || {
        (number(&database, halved).await == 10).then_some(())
    })
    .await;
    assert_eq!(effects(&database, "tests.halving").await, (0, 0));
    for name in ["tests.one", "tests.panicking"] {
        assert_eq!(effects(&database, name).await, (10, 10), "{name}");
    }
    assert_eq!(number(&database, "SELECT count(*) FROM care_closed_charts").await, 0);
    running.stop().await;
}

#[tokio::test]
async fn what_is_for_a_handler_of_another_version_waits_and_is_reported() {
    let database = Database::fresh().await;
    database.pg.subscribe(Box::new(|_: &Event| vec!["tests.newer", "tests.one"])).unwrap();
    tell(&database.pg, &database, 5).await;
    let running = Delivering::start(&database.pg, plain(&database.pg, &["tests.one"]), 1);
    eventually("what is known to be made", PATIENCE, async || {
        (effects(&database, "tests.one").await == (5, 5)).then_some(())
    })
    .await;
    let backlog = running.consumer.backlog().await.unwrap();
    assert_eq!((backlog.waiting, backlog.unknown, backlog.dead), (0, 5, 0));
    assert_eq!(backlog.oldest, Duration::ZERO, "the server is ready all the same");
    running.stop().await;

    // A handler that is new hears of what was told before it came.
    let registry = plain(&database.pg, &["tests.newer", "tests.latest"]);
    let since = database.env.now() - chrono::TimeDelta::days(1);
    let listed = database.pg.backfill_deliveries("tests.latest", since).await.unwrap();
    assert_eq!(listed, 5);
    let running = Delivering::start(&database.pg, registry, 1);
    emptied(&database).await;
    for name in ["tests.newer", "tests.latest"] {
        assert_eq!(effects(&database, name).await, (5, 5), "{name}");
    }
    running.stop().await;
}

/// The consumer is cut off in the midst of a handler, as by a kill, each time that it
/// comes to one event.
#[tokio::test]
async fn a_delivery_that_ends_its_process_is_counted_beforehand_and_given_up() {
    let database = Database::fresh().await;
    // Older deliveries with an unknown handler do not hide the one that kills.
    let gone = "INSERT INTO deliveries (handler, event_id) \
                SELECT 'tests.gone', gen_random_uuid() FROM generate_series(1, 500)";
    database.superuser().await.execute_unprepared(gone).await.unwrap();
    let mut tx = database.pg.open(&Actor::system("tests.telling")).await.unwrap();
    tx.emit(Event::EmailVerified { account: database.env.fresh() });
    tx.emit(Event::AddressLeft { account: database.env.fresh() });
    tx.audit(entry(AuditAction::Execute, "tests", "told"));
    Box::new(tx).commit().await.unwrap();
    let entered = Arc::new(tokio::sync::Semaphore::new(0));
    let start = || {
        let mut registry = Registry::default();
        let (pg, entered) = (database.pg.clone(), entered.clone());
        registry.on(
            "tests.killing",
            |_| true,
            move |envelope| {
                let (pg, entered) = (pg.clone(), entered.clone());
                async move {
                    effect(&pg, "tests.killing", &envelope).await?;
                    if verified(&envelope.event) {
                        entered.add_permits(1);
                        std::future::pending::<()>().await;
                    }
                    Ok::<_, PortError>(())
                }
            },
        );
        Delivering::start(&database.pg, registry, 1)
    };
    let attempts = "SELECT coalesce(max(attempts), 0) FROM deliveries";
    let killed = async || {
        let running = start();
        entered.acquire().await.unwrap().forget();
        running.task.abort();
        running.task.await.unwrap_err();
        number(&database, attempts).await
    };
    // Killed when nobody knew, and then with each attempt on record.
    assert!(killed().await <= 1);
    let counted = killed().await;
    assert!((1..=2).contains(&counted), "{counted}");
    let last = "UPDATE deliveries SET attempts = 24, run_at = now() WHERE attempts > 0";
    database.superuser().await.execute_unprepared(last).await.unwrap();
    assert_eq!(killed().await, 25);
    let gone = "DELETE FROM deliveries WHERE handler = 'tests.gone'";
    database.superuser().await.execute_unprepared(gone).await.unwrap();
    let running = start();
    emptied(&database).await;
    assert_eq!(running.consumer.backlog().await.unwrap().dead, 1);
    assert_eq!(effects(&database, "tests.killing").await, (1, 1), "the other event alone");
    running.stop().await;
}
