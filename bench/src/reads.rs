//! Readings over HTTP: one record over FHIR and one over REST, each with its token
//! checked and its entry in the audit log, and a list that anybody may read.

use std::{
    collections::VecDeque,
    path::PathBuf,
    pin::pin,
    process::ExitCode,
    time::{Duration, Instant},
};

use anyhow::{Context as _, ensure};
use clap::Args;
use kernel::{AccountId, Actor};
use ports::{AuditAction, AuditEntry, Event};
use sqlx::{Connection as _, PgConnection};
use tokio::task::JoinSet;

use crate::{
    intake::{clinic::Clinic, load, mailbox, patients, usage},
    measure::Spread,
};

#[derive(Args)]
pub struct Options {
    /// How long each measurement takes.
    #[arg(long, default_value_t = 60)]
    seconds: u64,
    #[arg(long, default_value_t = 8)]
    clients: usize,
    /// Where the cluster lies while it runs.
    #[arg(long, default_value_os_t = std::env::temp_dir())]
    folder: PathBuf,
    /// List the statements of PostgreSQL that took most of each reading.
    #[arg(long)]
    statements: bool,
}

/// What is asked for, in answers a second.
const AUDITED: f64 = 5_000.0;
const PUBLIC: f64 = 15_000.0;
/// How far the chain of the audit log may be behind afterwards.
const LAG: f64 = 2.0;

pub async fn run(options: Options) -> anyhow::Result<ExitCode> {
    let mail_port = mailbox::open().await?;
    let clinic = Clinic::open(&options.folder, mail_port).await?;
    let time = Duration::from_secs(options.seconds);
    let mut known = VecDeque::new();
    patients::register(&clinic, &mut known, options.clients).await?;
    let actor = Actor::system("bench.reads");
    let mut tx = clinic.services.store.begin(&actor).await?;
    for patient in &known {
        let patient = patient.account.as_patient();
        tx.emit(Event::PatientProfileChanged { patient });
        tx.audit(AuditEntry::new(AuditAction::Update, "profile", patient));
    }
    tx.commit().await?;
    let readers: Vec<_> =
        known.iter().map(|patient| (patient.token.clone(), patient.account.to_string())).collect();
    load::drain(&clinic).await?;

    println!(
        "{:<44} {:>9} {:>7} {:>7} {:>8} {:>11} {:>11} {:>10}",
        "answers, or transactions",
        "a second",
        "p50 ms",
        "p99 ms",
        "entries",
        "CPU, server",
        "CPU, client",
        "chain lag"
    );
    let selects = floor(&clinic, options.clients, time / 6, SELECT).await?;
    show("floor: a transaction with scope and SELECT", selects.0, selects.1, None);
    let commits = floor(&clinic, options.clients, time / 6, INSERT).await?;
    show("floor: an INSERT and its commit", commits.0, commits.1, None);
    let mut met = true;
    for (name, path, least) in [
        ("GET /health/live", "/health/live", 0.0),
        ("GET /api/categories", "/api/categories", PUBLIC),
        ("GET /fhir/Patient/{id}", "/fhir/Patient/{id}", AUDITED),
        ("GET /api/profile", "/api/profile", AUDITED),
    ] {
        let audited = least == AUDITED;
        let entries = entries(&clinic).await?;
        let before = (usage::of_process(clinic.pid())?, usage::own()?);
        if options.statements && clinic.counts_statements {
            sqlx::query("SELECT pg_stat_statements_reset()").execute(&clinic.admin).await?;
        }
        let times = read(&clinic, &readers, path, time).await?;
        let lag = lag(&clinic).await?;
        let cpu = (usage::of_process(clinic.pid())? - before.0, usage::own()? - before.1);
        let count = times.len();
        let rate = count as f64 / time.as_secs_f64();
        let entries = self::entries(&clinic).await? - entries;
        let spread = Spread::of(times).context("nothing was read")?;
        show(name, rate, spread, Some((entries, cpu, lag)));
        if audited {
            ensure!(entries >= i64::try_from(count)?, "{entries} entries for {count} answers");
            met &= lag <= LAG;
        }
        met &= rate >= least;
        if options.statements && clinic.counts_statements {
            for statement in usage::statements(&clinic.admin, 12).await? {
                let each = statement.milliseconds / count as f64;
                let calls = statement.calls as f64 / count as f64;
                println!("    {each:>8.4} ms  {calls:>6.2} calls  {}", statement.text);
            }
        }
    }
    met &= beside_deliveries(&clinic, &readers, known[0].account, time).await?;
    println!(
        "{AUDITED:.0} audited readings and {PUBLIC:.0} public lists a second, with the chain at most \
         {LAG:.0} s behind, are asked for: {}",
        if met { "met" } else { "NOT met" }
    );
    if cfg!(debug_assertions) {
        println!("this is a debug build; a release build is several times as fast");
    }
    Ok(if met { ExitCode::SUCCESS } else { ExitCode::FAILURE })
}

/// How many deliveries wait, and how long they may take.
const WAITING: i64 = 100_000;
const DRAINED: Duration = Duration::from_secs(20);

/// Readings while a handler catches up, as after an outage.
async fn beside_deliveries(
    clinic: &Clinic,
    readers: &[(String, String)],
    account: AccountId,
    time: Duration,
) -> anyhow::Result<bool> {
    let path = "/api/profile";
    let alone = Spread::of(read(clinic, readers, path, time / 2).await?).context("no reading")?;
    let mut tx = clinic.services.store.begin(&Actor::system("bench.reads")).await?;
    tx.emit(Event::EmailVerified { account });
    tx.audit(AuditEntry::new(AuditAction::Update, "account", account));
    tx.commit().await?;
    load::drain(clinic).await?;
    sqlx::query(
        "WITH event AS (INSERT INTO outbox_events (id, kind, payload, occurred_at) \
             SELECT gen_random_uuid(), kind, payload, occurred_at FROM ( \
                 SELECT * FROM outbox_events WHERE kind = 'email_verified' LIMIT 1) AS one, \
                 generate_series(1, $1) RETURNING id) \
         INSERT INTO deliveries (handler, event_id) SELECT $2, id FROM event",
    )
    .bind(WAITING)
    .bind(analytics::projecting::HANDLER)
    .execute(&clinic.admin)
    .await?;
    let started = Instant::now();
    let mut times = Vec::new();
    let mut draining = pin!(load::drain(clinic));
    let drained = loop {
        tokio::select! {
            drained = &mut draining => break drained.map(|_| started.elapsed())?,
            read = read(clinic, readers, path, Duration::from_secs(1)) => times.extend(read?),
        }
    };
    let during = Spread::of(times).context("no reading")?;
    println!(
        "{WAITING} deliveries wait: made in {:.1} s, {:.0} are asked for; the p99 of GET {path} \
         is {:.1} ms instead of {:.1} ms",
        drained.as_secs_f64(),
        DRAINED.as_secs_f64(),
        during.p99,
        alone.p99
    );
    Ok(drained <= DRAINED)
}

fn show(name: &str, rate: f64, spread: Spread, more: Option<(i64, (f64, f64), f64)>) {
    let more = more.map_or_else(String::new, |(entries, cpu, lag)| {
        format!("{entries:>8} {:>9.1} s {:>9.1} s {lag:>8.1} s", cpu.0, cpu.1)
    });
    println!("{name:<44} {rate:>9.0} {:>7.2} {:>7.2} {more}", spread.p50, spread.p99);
}

async fn read(
    clinic: &Clinic,
    readers: &[(String, String)],
    path: &str,
    time: Duration,
) -> anyhow::Result<Vec<Duration>> {
    let mut tasks = JoinSet::new();
    let until = Instant::now() + time;
    for (token, id) in readers {
        let (http, token) = (clinic.http.clone(), token.clone());
        let url = format!("{}{}", clinic.url, path.replace("{id}", id));
        tasks.spawn(async move {
            let mut times = Vec::new();
            while Instant::now() < until {
                let started = Instant::now();
                let response = http.get(&url).bearer_auth(&token).send().await?;
                ensure!(response.status().is_success(), "{url}: {}", response.status());
                response.bytes().await?;
                times.push(started.elapsed());
            }
            anyhow::Ok(times)
        });
    }
    let mut times = Vec::new();
    while let Some(done) = tasks.join_next().await {
        times.extend(done??);
    }
    Ok(times)
}

const SELECT: [&str; 3] = [
    "BEGIN; SET LOCAL salus.scope = 'system'",
    "SELECT id FROM intake_responses LIMIT 1",
    "ROLLBACK",
];
const INSERT: [&str; 3] =
    ["BEGIN; SET LOCAL salus.scope = 'system'", "INSERT INTO bench_floor VALUES (now())", "COMMIT"];

/// The same three messages again and again, on as many connections.
async fn floor(
    clinic: &Clinic,
    clients: usize,
    time: Duration,
    messages: [&'static str; 3],
) -> anyhow::Result<(f64, Spread)> {
    sqlx::query("CREATE TABLE IF NOT EXISTS bench_floor (at timestamptz NOT NULL)")
        .execute(&clinic.admin)
        .await?;
    let options = clinic.admin.connect_options();
    let mut tasks = JoinSet::new();
    for _ in 0..clients {
        let mut connection = PgConnection::connect_with(&options).await?;
        let [begin, statement, end] = messages;
        tasks.spawn(async move {
            let (mut times, until) = (Vec::new(), Instant::now() + time);
            while Instant::now() < until {
                let started = Instant::now();
                sqlx::raw_sql(begin).execute(&mut connection).await?;
                sqlx::query(statement).execute(&mut connection).await?;
                sqlx::raw_sql(end).execute(&mut connection).await?;
                times.push(started.elapsed());
            }
            connection.close().await?;
            anyhow::Ok(times)
        });
    }
    let mut times = Vec::new();
    while let Some(done) = tasks.join_next().await {
        times.extend(done??);
    }
    let rate = times.len() as f64 / time.as_secs_f64();
    Ok((rate, Spread::of(times).context("nothing was measured")?))
}

async fn entries(clinic: &Clinic) -> anyhow::Result<i64> {
    let sql = "SELECT count(*) FROM audit_entries";
    let (count,): (i64,) = sqlx::query_as(sql).fetch_one(&clinic.admin).await?;
    Ok(count)
}

/// The age of the oldest entry that is not chained, in seconds.
async fn lag(clinic: &Clinic) -> anyhow::Result<f64> {
    let sql = "SELECT coalesce(extract(epoch FROM clock_timestamp() - min(noted_at)), 0)::float8 \
               FROM audit_unchained";
    let (lag,): (f64,) = sqlx::query_as(sql).fetch_one(&clinic.admin).await?;
    Ok(lag)
}
