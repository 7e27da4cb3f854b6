//! Stripe, as far as Salus is paid with it: customers, payment methods, setup
//! intents, payment intents, refunds and events, with idempotency keys and
//! signed webhooks that are sent again until they are taken.
//!
//! Written from the vendor's side: it knows nothing of invoices or
//! subscriptions. Bodies are form-encoded and the answers are JSON, as on the
//! real wire. Beside the vendor's own operations there is a control surface
//! under `/_control/` for tests and the demo:
//!
//! - `GET /_control/state`: everything that it holds.
//! - `GET /_control/charges?invoice_id=…`: the charges that moved money, by the
//!   metadata of their intents.
//! - `GET /_control/requests`: what was called, with its idempotency key.
//! - `POST /_control/cards/{payment_method}` `{"decline_code": …}`: charges of
//!   this saved card are declined from now on; `null` makes it good again.
//! - `POST /_control/intents/{id}/succeed`: the cardholder authenticates.
//! - `POST /_control/intents/{id}/dispute` `{"status": …}`: the cardholder
//!   disputes the payment, or the dispute comes to that status.
//! - `POST /_control/intents/{id}/warn`: the card's issuer warns of fraud.
//! - `POST /_control/events/{id}/replay` `{"signature"?: "bad" | "old",
//!   "url"?: …}`: sends an event again, on request with a wrong or an outdated
//!   signature, or to another endpoint.
//! - `POST /_control/webhooks` `{"held": bool, "reverse"?: bool}`: holds the
//!   webhooks back, and releases them, on request the newest first.
//! - `POST /_control/faults` `{"fault": "status_500" | "hang" | "drop_after",
//!   "times", "path"?}`: the next calls fail; `drop_after` does the work and
//!   loses the answer.

mod api;
mod cards;
mod control;
mod http;
mod objects;
mod webhooks;
mod world;

use std::{path::PathBuf, sync::Arc, time::Duration};

use anyhow::Context as _;
use poem::{EndpointExt as _, Route, Server, endpoint::make, get, listener::TcpAcceptor, post};
use tokio::sync::Notify;
use tokio_util::sync::CancellationToken;

use self::world::World;
use crate::state::Persisted;

#[derive(Clone, Debug)]
pub struct StripeConfig {
    /// Where the state is kept between runs.
    pub state_path: PathBuf,
    /// The only key that is let in, as in `sk_test_…`.
    pub secret_key: String,
    /// Where webhooks go; without it none are sent.
    pub webhook_url: Option<String>,
    /// As in `whsec_…`.
    pub webhook_secret: String,
}

/// What the operations share.
struct Shared {
    config: StripeConfig,
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
    config: StripeConfig,
    listener: std::net::TcpListener,
    shutdown: CancellationToken,
) -> anyhow::Result<()> {
    listener.set_nonblocking(true)?;
    let world = Persisted::open(&config.state_path)?;
    let shared = Arc::new(Shared { config, world, wake: Notify::new() });
    let sender = tokio::spawn(webhooks::send(shared.clone(), shutdown.clone()));
    let vendor = {
        let shared = shared.clone();
        make(move |request| {
            let shared = shared.clone();
            async move { http::answer(&shared, request).await }
        })
    };
    let control = Route::new()
        .at("/state", get(control::state))
        .at("/charges", get(control::charges))
        .at("/requests", get(control::requests))
        .at("/cards/:id", post(control::decline_card))
        .at("/intents/:id/succeed", post(control::authenticate))
        .at("/intents/:id/dispute", post(control::dispute))
        .at("/intents/:id/warn", post(control::warn))
        .at("/events/:id/replay", post(control::replay))
        .at("/webhooks", post(control::hold))
        .at("/faults", post(control::faults))
        .data(shared);
    let app = Route::new().nest("/v1", vendor).nest("/_control", control).map_to_response();
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
    Ok(())
}

/// The vendor's clock, which is not ours, in seconds.
#[expect(clippy::disallowed_methods, reason = "The vendor has a clock of its own.")]
fn now() -> chrono::DateTime<chrono::Utc> {
    chrono::Utc::now()
}

/// An id in the vendor's form, as in `pi_…`.
#[expect(clippy::disallowed_methods, reason = "The vendor makes ids of its own.")]
fn fresh(prefix: &str) -> String {
    let random = uuid::Uuid::new_v4().simple().to_string();
    format!("{prefix}_{}", &random[..24])
}
