//! The server: foundation, emulators, wiring, then requests and jobs until a
//! signal; then everything is drained in the opposite order.

use std::{
    io::Write as _,
    net::{Ipv4Addr, SocketAddr},
    process::ExitCode,
    sync::Arc,
    time::Duration,
};

use anyhow::Context as _;
use jobs::{Runtime, RuntimeSettings};
use poem::EndpointExt as _;
use postgres::Pg;
use rest::core::Proxies;
use tokio::{net::TcpListener, sync::watch};
use tokio_util::sync::CancellationToken;

use crate::{
    commands::seed,
    config::Config,
    edge,
    emulation::Emulators,
    health::{self, Health},
    sealer,
    store::{As, Foundation},
    telemetry,
    wiring::Wiring,
};

pub async fn run(mut config: Config, port: Option<u16>, demo: bool) -> anyhow::Result<ExitCode> {
    if let Some(port) = port {
        config.server.listen = format!("127.0.0.1:{port}");
    }
    let _telemetry = telemetry::start(&config.telemetry)?;
    let metrics = telemetry::metrics()?;

    // The address is taken first, so that a second server stops before it
    // touches anything.
    let listener = TcpListener::bind(&config.server.listen)
        .await
        .with_context(|| format!("listening on {}", config.server.listen))?;
    let address = listener.local_addr()?;
    if demo {
        config.seed_demo()?;
    }
    config.check_serving()?;
    let internal = listen_internally(&config, address).await?;
    config.server.internal_listen = internal.local_addr()?.to_string();
    if config.server.public_url.is_empty() {
        config.server.public_url = format!("http://{address}");
    }

    let foundation = Foundation::open(&config, As::Server).await?;
    Pg::migrate(foundation.pg.pool()).await.context("migrating")?;

    let draining = CancellationToken::new();
    let emulators = Emulators::start(&mut config, &foundation.data_dir).await?;
    let wiring = Wiring::build(&config, &foundation).await?;
    let queue = foundation.pg.connect_queue(config.jobs.connections()).await?;
    let runtime = Arc::new(Runtime::new(
        queue.clone(),
        wiring.registry,
        RuntimeSettings {
            concurrency: config.jobs.concurrency,
            grace: Duration::from_secs(config.server.drain_seconds),
            sole_server: foundation.cluster.is_some(),
        },
    ));
    let health = Health {
        pg: foundation.pg.clone(),
        chain: Arc::new(foundation.pg.clone()),
        jobs: runtime.clone(),
        vendors: Arc::new(emulators.vendors()),
        metrics,
        draining: draining.clone(),
    };
    let health = Arc::new(health);
    let proxies = config.server.proxies()?;
    let endpoint = wiring.surface.endpoint(&config, foundation.env.clone(), health.clone())?;

    let stop_jobs = CancellationToken::new();
    let jobs = {
        let (runtime, stop) = (runtime.clone(), stop_jobs.clone());
        tokio::spawn(async move { runtime.run(stop).await })
    };
    let (stop_notices, stopped) = watch::channel(false);
    let notices = {
        let pg = foundation.pg.clone();
        let (identity, rollout) = (wiring.identity, wiring.rollout);
        tokio::spawn(async move {
            let forget = || {
                identity.forget_matrix();
                rollout.forget();
            };
            pg.on_notice(&["salus_permissions", "salus_feature_flags"], forget, stopped).await;
        })
    };
    let stop_sealing = CancellationToken::new();
    let sealing = tokio::spawn(sealer::run(
        foundation.env.clone(),
        Arc::new(foundation.pg.clone()),
        foundation.objects.clone(),
        stop_sealing.clone(),
    ));

    if config.demo.seed {
        seed::create(&foundation, &config).await.context("seeding the demo data")?;
    }
    announce(&config, &emulators);

    let drain = Duration::from_secs(config.server.drain_seconds);
    let connections = config.server.connections.clone();
    // Operators see how the server drains, so theirs is the last to close.
    let drained = CancellationToken::new();
    let for_operators = tokio::spawn(edge::serve(
        internal,
        health::internal(health).boxed(),
        connections.clone(),
        Proxies::None,
        drained.clone(),
        Duration::ZERO,
    ));
    let stop = draining.clone();
    tokio::spawn(async move {
        stop_signal().await;
        tracing::info!("draining");
        stop.cancel();
    });
    edge::serve(listener, endpoint.boxed(), connections, proxies, draining, drain).await;
    drained.cancel();
    for_operators.await?;

    stop_jobs.cancel();
    if let Err(error) = jobs.await? {
        tracing::error!(%error, "the job runtime failed");
    }
    // Nobody hears it where the task is gone already.
    let _ = stop_notices.send(true);
    notices.await?;
    stop_sealing.cancel();
    sealing.await?;
    emulators.stop().await;
    queue.close().await;
    foundation.close().await?;
    Ok(ExitCode::SUCCESS)
}

/// The listener of what operators alone see. Where nothing is configured it is
/// on loopback at the port after the public one, or at any that is free.
async fn listen_internally(config: &Config, public: SocketAddr) -> anyhow::Result<TcpListener> {
    let configured = &config.server.internal_listen;
    if !configured.is_empty() {
        return TcpListener::bind(configured)
            .await
            .with_context(|| format!("listening on {configured}"));
    }
    match TcpListener::bind((Ipv4Addr::LOCALHOST, public.port().wrapping_add(1))).await {
        Ok(listener) => Ok(listener),
        Err(_) => TcpListener::bind((Ipv4Addr::LOCALHOST, 0)).await.context("listening inside"),
    }
}

async fn stop_signal() {
    use tokio::signal::unix::{SignalKind, signal};
    let mut terminate = match signal(SignalKind::terminate()) {
        Ok(terminate) => terminate,
        Err(error) => {
            tracing::error!(%error, "SIGTERM cannot be listened for");
            return;
        }
    };
    tokio::select! {
        _ = tokio::signal::ctrl_c() => {}
        _ = terminate.recv() => {}
    }
}

fn announce(config: &Config, emulators: &Emulators) {
    let url = config.public_url();
    let mut out = std::io::stdout().lock();
    let mut lines = vec![
        "Salus is up.".to_owned(),
        format!("  API      {url}/api"),
        format!("  docs     {url}/docs"),
        format!("  FHIR     {url}/fhir/metadata"),
        format!("  health   http://{}/health", config.server.internal_listen),
        format!("  metrics  http://{}/metrics", config.server.internal_listen),
    ];
    for vendor in emulators.vendors() {
        if let Some(address) = vendor.emulator {
            lines.push(format!("  {:8} emulator at {address}", vendor.name));
        }
    }
    // A closed standard output is no reason to stop serving.
    let _ = writeln!(out, "{}", lines.join("\n"));
    let _ = out.flush();
}
