//! Clients that submit, wait for the decision, and submit again.

use std::{
    collections::VecDeque,
    sync::{Arc, Mutex, PoisonError},
    time::{Duration, Instant},
};

use anyhow::{Context as _, bail};
use kernel::Uuid;
use serde_json::Value;
use tokio::task::JoinSet;

use super::{
    clinic::Clinic,
    patients::{Patient, register},
    usage::{Meter, Usage},
};
use crate::measure::Spread;

/// A clinic with what its clients submit and who they are.
pub struct Bed {
    pub clinic: Clinic,
    pub submissions: Arc<Vec<Vec<u8>>>,
    pub patients: VecDeque<Patient>,
}

#[derive(Clone, Copy)]
pub struct Sample {
    /// From sending the submission to its answer.
    pub answer: Duration,
    /// From sending it to the moment its decision could be read.
    pub decision: Duration,
}

/// A measurement.
pub struct Run {
    pub samples: Vec<Sample>,
    pub elapsed: Duration,
    /// How long the rest of the work took after the last decision: the record,
    /// notifications, mails and figures.
    pub rest: Duration,
    pub usage: Usage,
}

impl Run {
    pub fn answers(&self) -> Option<Spread> {
        Spread::of(self.samples.iter().map(|sample| sample.answer))
    }

    pub fn decisions(&self) -> Option<Spread> {
        Spread::of(self.samples.iter().map(|sample| sample.decision))
    }

    pub fn per_second(&self) -> f64 {
        self.samples.len() as f64 / self.elapsed.as_secs_f64()
    }
}

/// More patients than a second of one machine can serve.
const PATIENTS_A_SECOND: f64 = 250.0;

/// Lets so many clients work for so long, and waits until all they caused is
/// done.
pub async fn run(bed: &mut Bed, clients: usize, time: Duration) -> anyhow::Result<Run> {
    let patients = (time.as_secs_f64() * PATIENTS_A_SECOND) as usize + clients;
    register(&bed.clinic, &mut bed.patients, patients).await?;
    drain(&bed.clinic).await?;

    let meter = Meter::start(&bed.clinic).await?;
    let queue = Arc::new(Mutex::new(std::mem::take(&mut bed.patients)));
    let started = Instant::now();
    let mut tasks = JoinSet::new();
    for first in 0..clients {
        let client = Client {
            http: bed.clinic.http.clone(),
            url: format!("{}/api/forms/submit", bed.clinic.url),
            decisions: bed.clinic.decisions.clone(),
            submissions: bed.submissions.clone(),
            queue: queue.clone(),
            next: first,
        };
        tasks.spawn(client.work(started + time));
    }
    let mut samples = Vec::new();
    while let Some(done) = tasks.join_next().await {
        samples.extend(done??);
    }
    let elapsed = started.elapsed();
    let rest = drain(&bed.clinic).await?;
    let usage = meter.read(&bed.clinic).await?;
    bed.patients = std::mem::take(&mut *queue.lock().unwrap_or_else(PoisonError::into_inner));
    Ok(Run { samples, elapsed, rest, usage })
}

struct Client {
    http: reqwest::Client,
    url: String,
    decisions: super::decisions::Decisions,
    submissions: Arc<Vec<Vec<u8>>>,
    queue: Arc<Mutex<VecDeque<Patient>>>,
    next: usize,
}

impl Client {
    async fn work(mut self, until: Instant) -> anyhow::Result<Vec<Sample>> {
        let mut samples = Vec::new();
        while Instant::now() < until {
            let patient = self.queue.lock().unwrap_or_else(PoisonError::into_inner).pop_front();
            let Some(patient) = patient else { break };
            samples.push(self.submit(&patient).await?);
        }
        Ok(samples)
    }

    async fn submit(&mut self, patient: &Patient) -> anyhow::Result<Sample> {
        let body = self.submissions[self.next % self.submissions.len()].clone();
        self.next += 1;
        let started = Instant::now();
        let response = self
            .http
            .post(&self.url)
            .bearer_auth(&patient.token)
            .header("Content-Type", "application/json")
            // Keys are each patient's own, and nobody submits twice.
            .header("Idempotency-Key", "the-first-and-only-one")
            .body(body)
            .send()
            .await
            .context("submitting")?;
        let status = response.status();
        let bytes = response.bytes().await?;
        let answer = started.elapsed();
        if status.as_u16() != 201 {
            bail!("a submission got {status}: {}", String::from_utf8_lossy(&bytes));
        }
        let taken: Value = serde_json::from_slice(&bytes)?;
        let id: Uuid = taken["id"].as_str().context("a response has an id")?.parse()?;
        let decided = self.decisions.of(id).await?;
        Ok(Sample { answer, decision: decided.saturating_duration_since(started) })
    }
}

/// Work that is left for longer is taken for work that never ends.
const PATIENCE: Duration = Duration::from_secs(600);

/// Waits until no job is left that could run, and says how long that took.
pub async fn drain(clinic: &Clinic) -> anyhow::Result<Duration> {
    let started = Instant::now();
    loop {
        let (left,): (i64,) = sqlx::query_as(
            "SELECT (SELECT count(*) FROM graphile_worker._private_jobs \
                     WHERE run_at <= now() AND attempts < max_attempts) \
                  + (SELECT count(*) FROM deliveries WHERE run_at <= now() AND attempts < 25)",
        )
        .fetch_one(&clinic.admin)
        .await?;
        if left == 0 {
            return Ok(started.elapsed());
        }
        if started.elapsed() > PATIENCE {
            bail!("{left} jobs are still left after {} s", PATIENCE.as_secs());
        }
        tokio::time::sleep(Duration::from_millis(50)).await;
    }
}
