//! What the same machine takes for next to nothing: a request that does
//! nothing, and a commit of one row.

use std::time::{Duration, Instant};

use anyhow::ensure;
use sqlx::{Connection as _, PgConnection};
use tokio::task::JoinSet;

use super::clinic::Clinic;
use crate::measure::Spread;

pub struct Floors {
    pub request: Spread,
    pub commit: Spread,
}

pub async fn measure(clinic: &Clinic, clients: usize, time: Duration) -> anyhow::Result<Floors> {
    let mut requests = JoinSet::new();
    let until = Instant::now() + time;
    for _ in 0..clients {
        let (http, url) = (clinic.http.clone(), format!("{}/health/live", clinic.url));
        requests.spawn(async move {
            let mut times = Vec::new();
            while times.is_empty() || Instant::now() < until {
                let started = Instant::now();
                let response = http.get(&url).send().await?;
                ensure!(response.status().is_success(), "/health/live: {}", response.status());
                response.bytes().await?;
                times.push(started.elapsed());
            }
            anyhow::Ok(times)
        });
    }
    let request = spread(requests).await?;

    sqlx::query("CREATE TABLE IF NOT EXISTS bench_floor (at timestamptz NOT NULL)")
        .execute(&clinic.admin)
        .await?;
    let options = clinic.admin.connect_options();
    let mut connections = Vec::new();
    for _ in 0..clients {
        connections.push(PgConnection::connect_with(&options).await?);
    }
    let mut commits = JoinSet::new();
    let until = Instant::now() + time;
    for mut connection in connections {
        commits.spawn(async move {
            let mut times = Vec::new();
            while times.is_empty() || Instant::now() < until {
                let started = Instant::now();
                sqlx::query("INSERT INTO bench_floor VALUES (now())")
                    .execute(&mut connection)
                    .await?;
                times.push(started.elapsed());
            }
            connection.close().await?;
            anyhow::Ok(times)
        });
    }
    Ok(Floors { request, commit: spread(commits).await? })
}

async fn spread(mut tasks: JoinSet<anyhow::Result<Vec<Duration>>>) -> anyhow::Result<Spread> {
    let mut times = Vec::new();
    while let Some(done) = tasks.join_next().await {
        times.extend(done??);
    }
    Spread::of(times).ok_or_else(|| anyhow::anyhow!("nothing was measured"))
}
