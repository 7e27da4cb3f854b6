//! What orchestrators and operators ask: is it alive, is it ready, and what
//! does it measure. Whoever reaches the public address hears yes or no; what it
//! stands on and what it measures is for the internal one.

use std::{sync::Arc, time::Duration};

use compliance::ChainStore;
use jobs::{Liveness, Runtime};
use metrics_exporter_prometheus::PrometheusHandle;
use poem::{
    EndpointExt as _, IntoResponse, Response, Route, get, handler,
    http::{StatusCode, header},
    web::{Data, Json},
};
use postgres::{Pg, core::Consumer};
use rest::core::RETRY_AFTER;
use serde::Serialize;
use tokio::task::AbortHandle;
use tokio_util::sync::CancellationToken;

/// The oldest waiting job may be this old before the server is not ready.
const LATEST_JOB: Duration = Duration::from_secs(120);
/// The oldest unchained audit entry may be this old.
const LATEST_SEAL: Duration = Duration::from_secs(30);
/// How long the database may take to say how it is.
const PATIENCE: Duration = Duration::from_millis(1_500);

pub struct Health {
    pub pg: Pg,
    pub chain: Arc<dyn ChainStore>,
    pub jobs: Arc<Runtime>,
    pub deliveries: Arc<Consumer>,
    /// Further tasks that must run, by their names.
    pub tasks: Vec<(&'static str, Liveness)>,
    pub vendors: Arc<Vec<Vendor>>,
    pub metrics: PrometheusHandle,
    pub draining: CancellationToken,
}

/// How Salus speaks to a vendor.
#[derive(Clone, Debug, Serialize)]
pub struct Vendor {
    pub name: &'static str,
    /// `live` or `emulator`.
    pub mode: &'static str,
    /// The emulator's own address, for demonstrations and tests.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub emulator: Option<String>,
    /// The emulator's task, where there is one.
    #[serde(skip)]
    pub task: Option<AbortHandle>,
}

impl Vendor {
    fn has_ended(&self) -> bool {
        self.task.as_ref().is_some_and(AbortHandle::is_finished)
    }
}

#[derive(Serialize)]
struct Check {
    name: &'static str,
    ok: bool,
    detail: String,
}

#[derive(Serialize)]
struct Report {
    status: &'static str,
    version: &'static str,
    checks: Vec<Check>,
    vendors: Vec<Vendor>,
}

/// Adds what everybody may ask to the routes of others.
pub fn routes(health: Arc<Health>, routes: Route) -> Route {
    routes
        .at("/health", get(in_short).data(health.clone()))
        .at("/health/ready", get(in_short).data(health))
        .at("/health/live", get(live))
}

/// The routes of the internal address.
pub fn internal(health: Arc<Health>) -> Route {
    Route::new()
        .at("/health", get(ready).data(health.clone()))
        .at("/health/ready", get(ready).data(health.clone()))
        .at("/health/live", get(live))
        .at("/metrics", get(measure).data(health))
}

/// The process runs and answers; nothing else is asked.
#[handler]
async fn live() -> Json<serde_json::Value> {
    Json(serde_json::json!({ "status": "live" }))
}

/// Whether it is ready, and nothing of why.
#[handler]
async fn in_short(health: Data<&Arc<Health>>) -> Response {
    let ok = health.checks().await.iter().all(|check| check.ok);
    let word = if ok { "ready" } else { "unready" };
    answer(ok, Json(serde_json::json!({ "status": word })))
}

#[handler]
async fn ready(health: Data<&Arc<Health>>) -> Response {
    let checks = health.checks().await;
    let ok = checks.iter().all(|check| check.ok);
    let report = Report {
        status: if ok { "ready" } else { "unready" },
        version: env!("CARGO_PKG_VERSION"),
        checks,
        vendors: health.vendors.to_vec(),
    };
    answer(ok, Json(report))
}

fn answer(ok: bool, body: impl IntoResponse) -> Response {
    if ok {
        return body.into_response();
    }
    let unready = body.with_status(StatusCode::SERVICE_UNAVAILABLE);
    unready.with_header(header::RETRY_AFTER, RETRY_AFTER).into_response()
}

#[handler]
async fn measure(health: Data<&Arc<Health>>) -> Response {
    if let Ok(backlog) = health.jobs.backlog().await {
        metrics::gauge!("jobs_waiting").set(backlog.waiting as f64);
        metrics::gauge!("jobs_oldest_seconds").set(backlog.oldest.as_secs_f64());
        metrics::gauge!("jobs_exhausted").set(backlog.exhausted as f64);
    }
    if let Ok(backlog) = health.deliveries.backlog().await {
        metrics::gauge!("deliveries_waiting").set(backlog.waiting as f64);
        metrics::gauge!("deliveries_oldest_seconds").set(backlog.oldest.as_secs_f64());
        metrics::gauge!("deliveries_dead").set(backlog.dead as f64);
        metrics::gauge!("deliveries_unknown").set(backlog.unknown as f64);
    }
    if let Ok(lag) = health.chain.lag().await {
        metrics::gauge!("audit_seal_lag_seconds").set(lag.as_secs_f64());
    }
    Response::builder().content_type("text/plain; version=0.0.4").body(health.metrics.render())
}

impl Health {
    /// A server that plays its vendors is ready for a demo, and says so; one
    /// whose emulator has ended reaches that vendor no more.
    fn vendors_check(&self) -> Check {
        let emulated = self.vendors.iter().filter(|vendor| vendor.emulator.is_some());
        let names: Vec<&str> = emulated.map(|vendor| vendor.name).collect();
        let ended: Vec<&str> =
            self.vendors.iter().filter(|vendor| vendor.has_ended()).map(|each| each.name).collect();
        let detail = match (names.as_slice(), ended.as_slice()) {
            ([], _) => "all live".to_owned(),
            (_, []) => format!("{} emulated, not real", names.join(", ")),
            _ => format!("the emulators of {} have ended", ended.join(", ")),
        };
        Check { name: "vendors", ok: ended.is_empty(), detail }
    }

    async fn checks(&self) -> Vec<Check> {
        let draining = self.draining.is_cancelled();
        let mut checks = vec![Check {
            name: "server",
            ok: !draining,
            detail: if draining { "draining" } else { "serving" }.to_owned(),
        }];
        for (name, liveness) in &self.tasks {
            let dead = liveness.why_dead();
            checks.push(Check {
                name,
                ok: dead.is_none(),
                detail: dead.unwrap_or_else(|| "running".to_owned()),
            });
        }
        let asked = async {
            if !self.pg.is_reachable() {
                return None;
            }
            tokio::time::timeout(PATIENCE, self.database_checks()).await.ok()
        };
        checks.extend(asked.await.unwrap_or_else(|| {
            vec![Check { name: "database", ok: false, detail: "it does not answer".to_owned() }]
        }));
        checks
    }

    /// What only the database can tell.
    async fn database_checks(&self) -> Vec<Check> {
        let mut checks = Vec::new();
        checks.push(match postgres::core::Pg::migration_state(self.pg.pool()).await {
            Ok(state) => Check {
                name: "database",
                ok: state.pending.is_empty(),
                detail: format!(
                    "{} migrations applied, {} pending",
                    state.applied,
                    state.pending.len()
                ),
            },
            Err(error) => Check { name: "database", ok: false, detail: error.to_string() },
        });
        checks.push(self.vendors_check());
        checks.push(match self.jobs.backlog().await {
            Ok(backlog) => Check {
                name: "jobs",
                ok: backlog.oldest <= LATEST_JOB && self.jobs.liveness().is_alive(),
                detail: format!(
                    "{} waiting, the oldest for {} s, {} given up{}",
                    backlog.waiting,
                    backlog.oldest.as_secs(),
                    backlog.exhausted,
                    match self.jobs.liveness().why_dead() {
                        Some(why) => format!("; the worker is started again: {why}"),
                        None => String::new(),
                    }
                ),
            },
            Err(error) => Check { name: "jobs", ok: false, detail: error.to_string() },
        });
        checks.push(match self.deliveries.backlog().await {
            Ok(backlog) => Check {
                name: "deliveries",
                ok: backlog.oldest <= LATEST_JOB,
                detail: format!(
                    "{} waiting, the oldest for {} s, {} given up, {} for handlers unknown here",
                    backlog.waiting,
                    backlog.oldest.as_secs(),
                    backlog.dead,
                    backlog.unknown,
                ),
            },
            Err(error) => Check { name: "deliveries", ok: false, detail: error.to_string() },
        });
        checks.push(match self.chain.lag().await {
            Ok(lag) => Check {
                name: "audit_seal",
                ok: lag <= LATEST_SEAL,
                detail: format!("{} ms behind", lag.as_millis()),
            },
            Err(error) => Check { name: "audit_seal", ok: false, detail: error.to_string() },
        });
        checks
    }
}
