//! The server: foundation, emulators, wiring, then requests and jobs until a
//! signal; then everything is drained in the opposite order.

use std::{
    convert::Infallible,
    io::Write as _,
    net::{Ipv4Addr, SocketAddr},
    process::ExitCode,
    sync::Arc,
    time::Duration,
};

use anyhow::Context as _;
use jobs::{Liveness, Runtime, RuntimeSettings, supervise};
use poem::EndpointExt as _;
use ports::JobFailure;
use postgres::core::{Consumer, sharing};
use rest::core::Proxies;
use tokio::{
    net::TcpListener,
    signal::unix::{Signal, SignalKind, signal},
    sync::watch,
    task::JoinHandle,
};
use tokio_util::sync::CancellationToken;

use crate::{
    config::Config,
    edge,
    emulation::Emulators,
    health::{self, Health},
    sealer,
    store::{As, Foundation, close_files},
    telemetry,
    wiring::Wiring,
};

pub async fn run(mut config: Config, port: Option<u16>) -> anyhow::Result<ExitCode> {
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
    config.check_serving()?;
    let internal = listen_internally(&config, address).await?;
    config.server.internal_listen = internal.local_addr()?.to_string();
    if config.server.public_url.is_empty() {
        config.server.public_url = format!("http://{address}");
    }

    close_files(&config.data_dir)?;
    let foundation = Foundation::open(&config, As::Server).await?;

    let draining = CancellationToken::new();
    let emulators = Emulators::start(&mut config, &foundation.data_dir).await?;
    let wiring = Wiring::build(&config, &foundation).await?;
    let queue = foundation.pg.connect_queue(config.jobs.connections()).await?;
    let runtime = Arc::new(Runtime::new(
        queue.clone(),
        wiring.registry.clone(),
        RuntimeSettings {
            concurrency: config.jobs.concurrency,
            grace: Duration::from_secs(config.server.drain_seconds),
            sole_server: foundation.cluster.is_some(),
            within: |run| {
                Box::pin(async {
                    let (done, recorded) = sharing(run).await;
                    done.and(recorded.map_err(|error| JobFailure::from_error(&error)))
                })
            },
        },
    ));
    let consumer = Consumer::new((*foundation.pg).clone(), wiring.registry, config.jobs.consumers);
    let consumer = Arc::new(consumer);
    let (notices_alive, sealer_alive) = (Liveness::default(), Liveness::default());
    let deliveries_alive = Liveness::default();
    let health = Health {
        pg: foundation.pg.clone(),
        chain: Arc::new(foundation.pg.clone()),
        jobs: runtime.clone(),
        deliveries: consumer.clone(),
        tasks: vec![
            ("notices", notices_alive.clone()),
            ("audit_sealer", sealer_alive.clone()),
            ("delivering", deliveries_alive.clone()),
        ],
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
    let stop_delivering = CancellationToken::new();
    let mut delivering = {
        let stop = stop_delivering.clone();
        tokio::spawn(async move {
            supervise("the deliveries", &deliveries_alive, &stop, || {
                consumer.run(&stop, || deliveries_alive.runs())
            })
            .await;
        })
    };
    let stop_watching = CancellationToken::new();
    let watching = watch_database(&foundation, &stop_watching);
    let stop_notices = CancellationToken::new();
    let notices = {
        let (pg, stop) = (foundation.pg.clone(), stop_notices.clone());
        let (identity, rollout, shown) = (wiring.identity, wiring.rollout, wiring.shown);
        tokio::spawn(async move {
            let forget = || {
                identity.forget_matrix();
                rollout.forget();
                shown.forget();
            };
            supervise("the notices", &notices_alive, &stop, || async {
                notices_alive.runs();
                let channels = ["salus_permissions", "salus_feature_flags", "salus_categories"];
                let (_never, stopped) = watch::channel(false);
                tokio::select! {
                    () = pg.on_notice(&channels, forget, stopped) => {}
                    () = stop.cancelled() => {}
                }
                Ok::<_, Infallible>(())
            })
            .await;
        })
    };
    let stop_sealing = CancellationToken::new();
    let sealing = {
        let (env, stop) = (foundation.env.clone(), stop_sealing.clone());
        let (pg, objects) = (foundation.pg.clone(), foundation.objects.clone());
        let keys = foundation.keyring.clone();
        tokio::spawn(async move {
            supervise("the audit sealer", &sealer_alive, &stop, || async {
                sealer_alive.runs();
                let (pg, objects) = (Arc::new(pg.clone()), objects.clone());
                sealer::run(env.clone(), pg, objects, keys.clone(), stop.clone()).await;
                Ok::<_, Infallible>(())
            })
            .await;
        })
    };

    #[cfg(feature = "demo")]
    if config.demo.seed {
        crate::commands::seed::create(&foundation, &config)
            .await
            .context("seeding the demo data")?;
    }
    // Whoever is told that Salus is up may stop it at once.
    let [mut terminate, mut interrupt] = stop_signals()?;
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
        tokio::select! {
            _ = terminate.recv() => {}
            _ = interrupt.recv() => {}
        }
        tracing::info!("draining");
        stop.cancel();
    });
    edge::serve(listener, endpoint, connections, proxies, draining, drain).await;
    drained.cancel();
    for_operators.await?;

    stop_jobs.cancel();
    if let Err(error) = jobs.await? {
        tracing::error!(%error, "the job runtime failed");
    }
    stop_delivering.cancel();
    // What it has under way is rolled back, and delivered by whoever is next.
    if tokio::time::timeout(drain, &mut delivering).await.is_err() {
        delivering.abort();
    }
    stop_notices.cancel();
    notices.await?;
    stop_sealing.cancel();
    sealing.await?;
    emulators.stop().await;
    queue.close().await;
    stop_watching.cancel();
    for watcher in watching {
        watcher.await?;
    }
    foundation.close().await?;
    Ok(ExitCode::SUCCESS)
}

/// Watches the database, and the private cluster where it is that.
fn watch_database(foundation: &Foundation, stop: &CancellationToken) -> Vec<JoinHandle<()>> {
    let (pg, stopped) = (foundation.pg.clone(), stop.clone());
    let mut watching = vec![tokio::spawn(async move {
        stopped.run_until_cancelled(pg.feel_pulse()).await;
    })];
    if let Some(cluster) = foundation.cluster.clone() {
        let stopped = stop.clone();
        watching.push(tokio::spawn(async move {
            stopped.run_until_cancelled(cluster.keep_up()).await;
        }));
    }
    watching
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

fn stop_signals() -> anyhow::Result<[Signal; 2]> {
    let listen = |kind| signal(kind).context("listening for the signals to stop");
    Ok([listen(SignalKind::terminate())?, listen(SignalKind::interrupt())?])
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
