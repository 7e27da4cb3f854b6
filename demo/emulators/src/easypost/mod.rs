//! EasyPost, as far as Salus ships with it: shipments with rates and labels,
//! trackers, and signed `tracker.updated` webhooks with repetition.
//!
//! Written from the vendor's side: it knows nothing of dispatches or
//! prescriptions. Beside the vendor's own operations there is a control
//! surface under `/_control/` for tests and the demo:
//!
//! - `GET /_control/state`: everything that it holds.
//! - `POST /_control/trackers` `{"tracking_code", "status", "datetime"?,
//!   "send"?}`: adds a statement to a tracker and, unless `send` is false,
//!   tells of it.
//! - `POST /_control/events/{id}/replay` `{"signature"?: "bad"}`: sends an
//!   event again, on request with a wrong signature.
//! - `POST /_control/next_tracking_code` `{"tracking_code"}`: the next label
//!   gets this number, even one that was given out before.
//! - `POST /_control/faults` `{"fault": "status_500" | "hang" | "drop_after",
//!   "times", "path"?}`: the next calls fail; `drop_after` does the work and
//!   loses the answer.

mod api;
mod control;
mod webhooks;
mod world;

use std::{path::PathBuf, sync::Arc, time::Duration};

use anyhow::Context as _;
use poem::{EndpointExt as _, Route, Server, get, listener::TcpAcceptor, post};
use tokio::sync::Notify;
use tokio_util::sync::CancellationToken;

use self::world::World;
use crate::state::Persisted;

#[derive(Clone, Debug)]
pub struct EasyPostConfig {
    /// Where the state is kept between runs.
    pub state_path: PathBuf,
    /// The only key that is let in.
    pub api_key: String,
    /// Where webhooks go; without it none are sent.
    pub webhook_url: Option<String>,
    pub webhook_secret: String,
    /// How long a tracker rests before it moves on by itself; without it only
    /// the control surface moves it.
    pub advance_every: Option<Duration>,
}

/// What the operations share.
struct Shared {
    config: EasyPostConfig,
    world: Persisted<World>,
    /// There is something to send.
    wake: Notify,
}

impl Shared {
    /// Changes the world; nothing is answered before it is on disk.
    fn change<R>(&self, f: impl FnOnce(&mut World) -> R) -> poem::Result<R> {
        let result = self.world.mutate(f).map_err(|error| {
            tracing::error!(error = %format!("{error:#}"), "the state was not written");
            poem::Error::from_status(poem::http::StatusCode::INTERNAL_SERVER_ERROR)
        })?;
        self.wake.notify_one();
        Ok(result)
    }
}

/// Serves until `shutdown`.
pub async fn serve(
    config: EasyPostConfig,
    listener: std::net::TcpListener,
    shutdown: CancellationToken,
) -> anyhow::Result<()> {
    listener.set_nonblocking(true)?;
    let world = Persisted::open(&config.state_path)?;
    let shared = Arc::new(Shared { config, world, wake: Notify::new() });
    let sender = tokio::spawn(webhooks::send(shared.clone(), shutdown.clone()));
    let mover = tokio::spawn(webhooks::advance(shared.clone(), shutdown.clone()));
    let vendor = Route::new()
        .at("/shipments", get(api::list_shipments).post(api::create_shipment))
        .at("/shipments/:id", get(api::read_shipment))
        .at("/shipments/:id/buy", post(api::buy_shipment))
        .at("/trackers/:id", get(api::read_tracker))
        .around(|endpoint, request| async move { api::guard(endpoint.as_ref(), request).await });
    let control = Route::new()
        .at("/state", get(control::state))
        .at("/trackers", post(control::move_tracker))
        .at("/events/:id/replay", post(control::replay))
        .at("/next_tracking_code", post(control::next_tracking_code))
        .at("/faults", post(control::faults));
    let app =
        Route::new().nest("/v2", vendor).nest("/_control", control).data(shared).map_to_response();
    let acceptor = TcpAcceptor::from_std(listener).context("listening")?;
    Server::new_with_acceptor(acceptor)
        .run_with_graceful_shutdown(
            app,
            shutdown.clone().cancelled_owned(),
            Some(Duration::from_secs(1)),
        )
        .await?;
    shutdown.cancel();
    sender.await?;
    mover.await?;
    Ok(())
}

/// The vendor's clock, which is not ours.
#[expect(clippy::disallowed_methods, reason = "The vendor has a clock of its own.")]
fn now() -> chrono::DateTime<chrono::Utc> {
    chrono::Utc::now()
}

/// An id in the vendor's form, as in `shp_…`.
#[expect(clippy::disallowed_methods, reason = "The vendor makes ids of its own.")]
fn fresh(prefix: &str) -> String {
    format!("{prefix}_{}", uuid::Uuid::new_v4().simple())
}
