//! Intake, from the submission of a form to its decision.
//!
//! A submission is answered when it is committed. Its decision is made after
//! that by a handler of its event, so both moments are measured. The load is a closed loop: a client waits for its decision before
//! it submits again, each time as another patient.

pub mod clinic;
mod decisions;
mod floors;
mod history;
pub mod load;
pub mod mailbox;
pub mod patients;
mod rows;
pub mod serving;
pub mod usage;

use std::{collections::VecDeque, path::PathBuf, process::ExitCode, sync::Arc, time::Duration};

use anyhow::Context as _;
use clap::Args;

use serde_json::{Value, json};

use self::{
    clinic::Clinic,
    load::{Bed, Run, Sample},
    usage::Meter,
};
use crate::measure::Spread;

#[derive(Args)]
pub struct Options {
    /// How long each measurement takes.
    #[arg(long, default_value_t = 20)]
    seconds: u64,
    /// How many clients work at a time, one measurement for each.
    #[arg(long, value_delimiter = ',', default_values_t = [1, 16, 64])]
    clients: Vec<usize>,
    /// How many responses the full table holds.
    #[arg(long, default_value_t = 1_000_000)]
    responses: u64,
    /// And the table that it is held against.
    #[arg(long, default_value_t = 10_000)]
    baseline: u64,
    /// With how many clients the two tables are compared.
    #[arg(long, value_delimiter = ',', default_values_t = [1, 16])]
    growth_clients: Vec<usize>,
    /// In how many turns: the two are measured by turns, so that what else the
    /// machine does befalls both.
    #[arg(long, default_value_t = 4)]
    rounds: u32,
    /// Where the clusters lie while it runs; a million responses take 12 GB.
    #[arg(long, default_value_os_t = std::env::temp_dir())]
    folder: PathBuf,
    /// Show the statements that took most.
    #[arg(long)]
    statements: bool,
}

/// How much slower a full table may be.
const CEILING: f64 = 1.3;

pub async fn run(options: Options) -> anyhow::Result<ExitCode> {
    // What is under way is dropped, and with it the servers and the folders.
    tokio::select! {
        biased;
        () = interrupted() => {
            eprintln!("interrupted; stopping the servers and removing what they left");
            Ok(ExitCode::FAILURE)
        }
        done = measure(&options) => done,
    }
}

async fn interrupted() {
    use tokio::signal::unix::{SignalKind, signal};
    match signal(SignalKind::terminate()) {
        Ok(mut terminate) => {
            tokio::select! {
                _ = tokio::signal::ctrl_c() => {}
                _ = terminate.recv() => {}
            }
        }
        Err(_) => drop(tokio::signal::ctrl_c().await),
    }
}

async fn measure(options: &Options) -> anyhow::Result<ExitCode> {
    let mail_port = mailbox::open().await?;
    println!(
        "A server and a PostgreSQL of their own start below {}, and go when this ends.",
        options.folder.display()
    );
    let mut small = open(options, mail_port).await?;
    by_clients(options, &mut small).await?;
    let met = by_size(options, &mut small, mail_port).await?;
    if cfg!(debug_assertions) {
        println!("this is a debug build; a release build is several times as fast");
    }
    Ok(if met { ExitCode::SUCCESS } else { ExitCode::FAILURE })
}

/// A clinic that is warm: every category was submitted to.
async fn open(options: &Options, mail_port: u16) -> anyhow::Result<Bed> {
    let clinic = Clinic::open(&options.folder, mail_port).await?;
    let mut patients = VecDeque::new();
    patients::register(&clinic, &mut patients, 1).await?;
    let guide = patients.pop_front().context("a patient was made")?;
    let submissions = Arc::new(patients::submissions(&clinic, &guide).await?);
    let mut bed = Bed { clinic, submissions, patients };
    load::run(&mut bed, 8, warm_up(options)).await.context("warming up")?;
    Ok(bed)
}

fn warm_up(options: &Options) -> Duration {
    Duration::from_secs(options.seconds) / 5
}

async fn by_clients(options: &Options, bed: &mut Bed) -> anyhow::Result<()> {
    println!();
    println!(
        "From a submission to its answer and to its decision, in milliseconds; a client waits for"
    );
    println!("its decision before it submits again.");
    println!(
        "{:>7} {:>9}  {:>16}  {:>16}  {:>12}  {:>14}  {:>14}  {:>9}",
        "", "", "answer", "decision", "do-nothing", "one-row commit", "answer /", "decision /"
    );
    println!(
        "{:>7} {:>9}  {:>7} {:>8}  {:>7} {:>8}  {:>12}  {:>14}  {:>14}  {:>9}",
        "clients",
        "a second",
        "p50",
        "p99",
        "p50",
        "p99",
        "request p50",
        "p50",
        "request",
        "commit"
    );
    let mut shares = Vec::new();
    for &clients in &options.clients {
        let floors = floors::measure(&bed.clinic, clients, warm_up(options)).await?;
        let run = load::run(bed, clients, Duration::from_secs(options.seconds)).await?;
        let (answer, decision) = spreads(&run)?;
        println!(
            "{clients:>7} {:>9.1}  {:>7.1} {:>8.1}  {:>7.1} {:>8.1}  {:>12.2}  {:>14.2}  {:>13.1}x  {:>8.1}x",
            run.per_second(),
            answer.p50,
            answer.p99,
            decision.p50,
            decision.p99,
            floors.request.p50,
            floors.commit.p50,
            answer.p50 / floors.request.p50,
            decision.p50 / floors.commit.p50,
        );
        if options.statements && bed.clinic.counts_statements {
            print_statements(bed, &run).await?;
        }
        shares.push((clients, run));
    }
    print_shares(&shares);
    println!();
    println!(
        "Submissions a second beside the rows that one leaves, written by hand in one statement."
    );
    println!("{:>7}  {:>9}  {:>12}  {:>5}", "clients", "a second", "rows alone", "ratio");
    for (clients, run) in &shares {
        let rows = rows::of_one(&run.usage.rows, run.samples.len());
        let floor = rows::written(&bed.clinic, &rows, *clients, warm_up(options)).await?;
        let rate = run.per_second();
        println!(
            "{clients:>7}  {rate:>9.1}  {floor:>12.1}  {:>4.2}x  ({} rows in {} tables)",
            rate / floor,
            rows.values().sum::<i64>(),
            rows.len()
        );
    }
    print_claims(bed).await
}

/// How many transactions a claim of a review takes with all that it causes; each
/// review is claimed by somebody who may.
async fn print_claims(bed: &Bed) -> anyhow::Result<()> {
    let clinic = &bed.clinic;
    let mut claims = Vec::new();
    for token in patients::providers(clinic).await? {
        let url = format!("{}/api/providers/review-queue?limit=100", clinic.url);
        let answer = clinic.http.get(url).bearer_auth(&token).send().await?.error_for_status()?;
        let queue: Value = answer.json().await?;
        for review in queue["reviews"].as_array().context("a queue")? {
            let id = review["assessment_id"].as_str().context("a review's id")?.to_owned();
            if review["claimed_until"].is_null() && claims.iter().all(|(one, _)| *one != id) {
                claims.push((id, token.clone()));
            }
        }
    }
    load::drain(clinic).await?;
    let meter = Meter::start(clinic).await?;
    for (review, token) in &claims {
        let url = format!("{}/api/providers/reviews/{review}/claim", clinic.url);
        let claim = clinic.http.post(url).bearer_auth(token).json(&json!({}));
        claim.send().await?.error_for_status()?;
    }
    load::drain(clinic).await?;
    let usage = meter.read(clinic).await?;
    println!();
    println!(
        "{} reviews are claimed; a claim takes {:.1} transactions",
        claims.len(),
        usage.transactions / claims.len().max(1) as f64
    );
    Ok(())
}

/// What a submission took of the machine with all that it caused.
fn print_shares(runs: &[(usize, Run)]) {
    println!();
    println!(
        "What a submission takes with all that it causes (decision, record, notifications, mail,"
    );
    println!(
        "figures), in milliseconds: processor time of the server and of PostgreSQL's processes, and"
    );
    println!(
        "how long its statements ran, without parsing them and without their commits; and how"
    );
    println!("many transactions it takes, those of an idle server left out.");
    println!(
        "{:>7}  {:>11}  {:>15}  {:>9}  {:>10}  {:>12}  {:>28}",
        "clients",
        "CPU, server",
        "CPU, PostgreSQL",
        "its share",
        "statements",
        "transactions",
        "done after the last decision"
    );
    for (clients, run) in runs {
        let count = run.samples.len().max(1) as f64;
        let each = |seconds: f64| seconds * 1_000.0 / count;
        let statements = run
            .usage
            .statements
            .map_or_else(|| "not counted".to_owned(), |total| format!("{:.1}", total / count));
        println!(
            "{clients:>7}  {:>11.1}  {:>15.1}  {:>7.0} %  {statements:>10}  {:>12.1}  {:>26.1} s",
            each(run.usage.server),
            each(run.usage.database),
            100.0 * run.usage.database / (run.usage.database + run.usage.server),
            run.usage.transactions / count,
            run.rest.as_secs_f64(),
        );
    }
}

async fn print_statements(bed: &Bed, run: &Run) -> anyhow::Result<()> {
    let count = run.samples.len().max(1) as f64;
    println!("{:>12} {:>14}  statement", "ms a submit", "calls a submit");
    for statement in usage::statements(&bed.clinic.admin, 25).await? {
        println!(
            "{:>12.3} {:>14.1}  {}",
            statement.milliseconds / count,
            statement.calls as f64 / count,
            statement.text
        );
    }
    Ok(())
}

fn spreads(run: &Run) -> anyhow::Result<(Spread, Spread)> {
    run.answers().zip(run.decisions()).context("nothing was submitted")
}

/// Holds a full table against one that is nearly empty; whether it is as fast.
async fn by_size(options: &Options, small: &mut Bed, mail_port: u16) -> anyhow::Result<bool> {
    let mut large = open(options, mail_port).await?;
    println!();
    for (bed, total) in [(&mut *small, options.baseline), (&mut large, options.responses)] {
        load::drain(&bed.clinic).await?;
        history::fill(&bed.clinic, total).await?;
        let size = history::settle(&bed.clinic).await?;
        let count = history::responses(&bed.clinic).await?;
        println!("a clinic with {count} responses: {size}");
    }
    let slice = Duration::from_secs(options.seconds) * 2 / options.rounds.max(1);
    for bed in [&mut *small, &mut large] {
        load::run(bed, 8, warm_up(options)).await?;
    }
    println!(
        "{:>7}  {:>10}  {:>8} {:>8}  {:>8} {:>8}",
        "clients", "responses", "answer", "p99", "decision", "p99"
    );
    let mut met = true;
    for &clients in &options.growth_clients {
        let mut samples: [Vec<Sample>; 2] = Default::default();
        for round in 0..options.rounds.max(1) {
            // Who is first changes from turn to turn.
            let order = if round % 2 == 0 { [0, 1] } else { [1, 0] };
            for which in order {
                let bed = if which == 0 { &mut *small } else { &mut large };
                samples[which].extend(load::run(bed, clients, slice).await?.samples);
            }
        }
        let [few, many] = samples.map(|samples| {
            let of = |time: fn(&Sample) -> Duration| Spread::of(samples.iter().map(time));
            of(|sample| sample.answer).zip(of(|sample| sample.decision))
        });
        let (few, many) = few.zip(many).context("nothing was submitted")?;
        for (total, (answer, decision)) in [(options.baseline, few), (options.responses, many)] {
            println!(
                "{clients:>7}  {total:>10}  {:>8.1} {:>8.1}  {:>8.1} {:>8.1}",
                answer.p50, answer.p99, decision.p50, decision.p99
            );
        }
        let ratios = [
            many.0.p50 / few.0.p50,
            many.0.p99 / few.0.p99,
            many.1.p50 / few.1.p50,
            many.1.p99 / few.1.p99,
        ];
        let here = ratios.iter().all(|ratio| *ratio <= CEILING);
        met &= here;
        println!(
            "{clients:>7}  {:>10}  {:>7.2}x {:>7.2}x  {:>7.2}x {:>7.2}x  at most {CEILING}: {}",
            "ratio",
            ratios[0],
            ratios[1],
            ratios[2],
            ratios[3],
            if here { "met" } else { "NOT met" }
        );
    }
    println!(
        "{} responses in the table instead of {}: {}",
        options.responses,
        options.baseline,
        if met { "met" } else { "NOT met" }
    );
    Ok(met)
}
