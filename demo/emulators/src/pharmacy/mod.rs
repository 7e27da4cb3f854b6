//! A pharmacy on the eRx network: it takes NewRx messages over HTTPS, answers
//! each with a Status or an Error, and later has a pharmacist verify it, which
//! it tells the sender by a Verify to the sender's own address.
//!
//! A message id that came before gets the answer it got then. What was taken
//! is on disk before it is answered, so that a pharmacy that was killed still
//! verifies what it took.

mod script;
mod tls;

use std::{path::PathBuf, sync::Arc, time::Duration};

use anyhow::Context as _;
use chrono::{DateTime, SecondsFormat, Utc};
use poem::{
    Body, EndpointExt as _, Request, Response, Route, Server,
    error::ResponseError,
    get, handler,
    http::{StatusCode, header},
    listener::TcpAcceptor,
    post,
    web::{Data, Json, Path},
};
use serde::{Deserialize, Serialize};
use sha2::{Digest as _, Sha256};
use tokio::sync::Notify;
use tokio_util::sync::CancellationToken;

pub use self::tls::root_ca;
use crate::state::Persisted;

#[derive(Clone, Debug)]
pub struct PharmacyConfig {
    /// Where certificates and what was received are kept. The certificate
    /// authority to trust lies there as `ca.pem`.
    pub data_dir: PathBuf,
    /// The `Authorization` header that senders must give, whole.
    pub authorization: String,
    /// Where Verify messages go.
    pub callback_url: String,
    /// The `Authorization` header that goes with them, whole.
    pub callback_authorization: String,
    /// How long the pharmacist takes.
    pub verify_after: Duration,
}

/// A message as it was taken.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
struct Taken {
    message_id: String,
    xml: String,
    received_at: DateTime<Utc>,
    /// How many times it came.
    deliveries: u32,
    /// Whether a Verify is still owed, and how many in all are to be sent.
    verify_owed: u32,
    verify_attempts: u32,
}

#[derive(Clone, Debug, Default, Serialize, Deserialize)]
struct Book {
    taken: Vec<Taken>,
    faults: Vec<Fault>,
}

/// What a test lets go wrong.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
enum FaultKind {
    /// The server answers 500 and does nothing.
    #[serde(rename = "status_500")]
    Status500,
    /// The server takes nothing and never answers.
    Hang,
    /// The server takes the message and breaks the connection.
    DropAfter,
    /// The Verify is there before the Status.
    VerifyFirst,
    /// The Verify comes twice.
    DuplicateVerify,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
struct Fault {
    fault: FaultKind,
    times: u32,
}

struct Pharmacy {
    config: PharmacyConfig,
    book: Persisted<Book>,
    http: reqwest::Client,
    /// Wakes the pharmacist.
    work: Notify,
    shutdown: CancellationToken,
}

/// Serves until `shutdown`.
pub async fn serve(
    config: PharmacyConfig,
    listener: std::net::TcpListener,
    shutdown: CancellationToken,
) -> anyhow::Result<()> {
    let certificate = tls::server_certificate(&config.data_dir)?;
    let book = Persisted::open(config.data_dir.join("pharmacy.json"))?;
    let http = reqwest::Client::builder().timeout(Duration::from_secs(10)).build()?;
    let pharmacy =
        Arc::new(Pharmacy { config, book, http, work: Notify::new(), shutdown: shutdown.clone() });
    listener.set_nonblocking(true).context("preparing the pharmacy's listener")?;
    let acceptor = tls::accept(TcpAcceptor::from_std(listener)?, certificate)?;
    let app = Route::new()
        .at("/script", post(script_message))
        .at("/_control/messages", get(list_messages))
        .at("/_control/messages/:id", get(one_message))
        .at("/_control/faults", post(add_fault))
        .data(pharmacy.clone());
    let pharmacist = tokio::spawn(verify_what_is_owed(pharmacy));
    Server::new_with_acceptor(acceptor)
        .run_with_graceful_shutdown(app, shutdown.cancelled_owned(), Some(Duration::from_secs(2)))
        .await
        .context("serving the pharmacy")?;
    pharmacist.await.context("ending the pharmacist's work")
}

impl Pharmacy {
    /// Takes one use of a fault out of the book, if there is one.
    fn fault(&self, kind: FaultKind) -> anyhow::Result<bool> {
        let armed = |fault: &Fault| fault.fault == kind && fault.times > 0;
        if !self.book.read(|book| book.faults.iter().any(armed)) {
            return Ok(false);
        }
        self.book.mutate(|book| {
            let found = book.faults.iter_mut().find(|fault| armed(fault));
            found.map(|fault| fault.times -= 1).is_some()
        })
    }

    /// Keeps a message, or finds that it was here before.
    fn take(&self, message_id: &str, xml: &str) -> anyhow::Result<()> {
        let verifies = if self.fault(FaultKind::DuplicateVerify)? { 2 } else { 1 };
        self.book.mutate(|book| {
            if let Some(taken) = book.taken.iter_mut().find(|taken| taken.message_id == message_id)
            {
                taken.deliveries += 1;
                return;
            }
            book.taken.push(Taken {
                message_id: message_id.to_owned(),
                xml: xml.to_owned(),
                received_at: now(),
                deliveries: 1,
                verify_owed: verifies,
                verify_attempts: 0,
            });
        })
    }

    /// Sends one Verify; `true` when the sender took it.
    async fn verify(&self, message_id: &str) -> bool {
        let verify = script::Outgoing {
            // The same each time, so that the sender can tell a repetition.
            message_id: derived_id("verify", message_id),
            relates_to: message_id.to_owned(),
            sent_at: timestamp(),
        };
        let sent = self
            .http
            .post(&self.config.callback_url)
            .header(header::AUTHORIZATION, &self.config.callback_authorization)
            .header(header::CONTENT_TYPE, "application/xml")
            .body(verify.verify())
            .send()
            .await;
        let answer = match sent {
            Ok(response) if response.status().is_success() => response.text().await,
            Ok(response) => {
                tracing::info!(status = response.status().as_u16(), "a Verify was not taken");
                return false;
            }
            Err(error) => Err(error),
        };
        match answer {
            Ok(answer) => {
                // An Error is an answer too: the sender wants no more of it.
                let refused = script::Fields::read(&answer)
                    .is_ok_and(|fields| fields.has("Message/Body/Error"));
                if refused {
                    tracing::warn!("the sender refused a Verify");
                }
                true
            }
            Err(error) => {
                tracing::info!(error = %error.without_url(), "a Verify did not arrive");
                false
            }
        }
    }

    /// Counts an attempt and, when it succeeded, that one Verify less is owed.
    fn verified(&self, message_id: &str, arrived: bool) -> anyhow::Result<()> {
        self.book.mutate(|book| {
            if let Some(taken) = book.taken.iter_mut().find(|taken| taken.message_id == message_id)
            {
                taken.verify_attempts += 1;
                if arrived {
                    taken.verify_owed = taken.verify_owed.saturating_sub(1);
                }
            }
        })
    }
}

/// The pharmacist: verifies what is owed, and tries again until it arrives.
async fn verify_what_is_owed(pharmacy: Arc<Pharmacy>) {
    let mut pause = Duration::ZERO;
    loop {
        let owed: Vec<String> = pharmacy.book.read(|book| {
            book.taken
                .iter()
                .filter(|taken| taken.verify_owed > 0)
                .map(|taken| taken.message_id.clone())
                .collect()
        });
        let wait = async {
            if owed.is_empty() {
                pharmacy.work.notified().await;
            } else {
                tokio::time::sleep(pause.max(pharmacy.config.verify_after)).await;
            }
        };
        tokio::select! {
            () = pharmacy.shutdown.cancelled() => return,
            () = wait => {}
        }
        let mut all_arrived = true;
        for message_id in &owed {
            let arrived = tokio::select! {
                () = pharmacy.shutdown.cancelled() => return,
                arrived = pharmacy.verify(message_id) => arrived,
            };
            all_arrived &= arrived;
            if let Err(error) = pharmacy.verified(message_id, arrived) {
                tracing::error!(%error, "the pharmacy's book cannot be written");
            }
        }
        pause = if all_arrived {
            Duration::ZERO
        } else {
            (pause * 2).clamp(Duration::from_millis(200), Duration::from_secs(30))
        };
    }
}

/// A failure of the emulator itself.
#[derive(Debug, thiserror::Error)]
#[error("{0:#}")]
struct Failed(#[from] anyhow::Error);

impl ResponseError for Failed {
    fn status(&self) -> StatusCode {
        StatusCode::INTERNAL_SERVER_ERROR
    }
}

#[handler]
async fn script_message(
    Data(pharmacy): Data<&Arc<Pharmacy>>,
    request: &Request,
    body: String,
) -> poem::Result<Response> {
    let given = request.headers().get(header::AUTHORIZATION).and_then(|value| value.to_str().ok());
    if given != Some(pharmacy.config.authorization.as_str()) {
        return Ok(Response::builder().status(StatusCode::UNAUTHORIZED).finish());
    }
    if pharmacy.fault(FaultKind::Status500).map_err(Failed)? {
        return Ok(Response::builder().status(StatusCode::INTERNAL_SERVER_ERROR).finish());
    }
    if pharmacy.fault(FaultKind::Hang).map_err(Failed)? {
        pharmacy.shutdown.cancelled().await;
        return Ok(Response::builder().status(StatusCode::SERVICE_UNAVAILABLE).finish());
    }
    let fields = match script::Fields::read(&body) {
        Ok(fields) => fields,
        Err(cause) => return Ok(xml(script::unreadable(&cause, &timestamp()))),
    };
    let Some(message_id) = fields.get("Message/Header/MessageID") else {
        return Ok(xml(script::unreadable("Header/MessageID is missing", &timestamp())));
    };
    let reply = script::Outgoing {
        message_id: derived_id("reply", message_id),
        relates_to: message_id.to_owned(),
        sent_at: timestamp(),
    };
    if let Err(problem) = script::validate_new_rx(&fields) {
        return Ok(xml(reply.error(&problem)));
    }
    pharmacy.take(message_id, &body).map_err(Failed)?;
    if pharmacy.fault(FaultKind::VerifyFirst).map_err(Failed)? {
        let arrived = pharmacy.verify(message_id).await;
        pharmacy.verified(message_id, arrived).map_err(Failed)?;
    }
    pharmacy.work.notify_one();
    if pharmacy.fault(FaultKind::DropAfter).map_err(Failed)? {
        let broken = futures_stream_of_failure();
        return Ok(Response::builder().body(Body::from_bytes_stream(broken)));
    }
    Ok(xml(reply.status()))
}

/// A body that fails at once, which breaks the connection.
fn futures_stream_of_failure()
-> impl futures::Stream<Item = Result<Vec<u8>, std::io::Error>> + Send + 'static {
    futures::stream::once(async { Err(std::io::Error::other("the connection breaks here")) })
}

fn xml(text: String) -> Response {
    Response::builder().content_type("application/xml").body(text)
}

/// What `_control/messages` tells of a message.
#[derive(Serialize)]
struct Summary {
    message_id: String,
    received_at: DateTime<Utc>,
    deliveries: u32,
    verify_owed: u32,
    verify_attempts: u32,
}

#[handler]
fn list_messages(Data(pharmacy): Data<&Arc<Pharmacy>>) -> Json<Vec<Summary>> {
    Json(pharmacy.book.read(|book| {
        book.taken
            .iter()
            .map(|taken| Summary {
                message_id: taken.message_id.clone(),
                received_at: taken.received_at,
                deliveries: taken.deliveries,
                verify_owed: taken.verify_owed,
                verify_attempts: taken.verify_attempts,
            })
            .collect()
    }))
}

#[handler]
fn one_message(Data(pharmacy): Data<&Arc<Pharmacy>>, Path(id): Path<String>) -> Response {
    let found = pharmacy.book.read(|book| {
        book.taken.iter().find(|taken| taken.message_id == id).map(|taken| taken.xml.clone())
    });
    match found {
        Some(text) => xml(text),
        None => Response::builder().status(StatusCode::NOT_FOUND).finish(),
    }
}

#[handler]
fn add_fault(
    Data(pharmacy): Data<&Arc<Pharmacy>>,
    Json(fault): Json<Fault>,
) -> poem::Result<StatusCode> {
    pharmacy.book.mutate(|book| book.faults.push(fault)).map_err(Failed)?;
    Ok(StatusCode::NO_CONTENT)
}

/// An id that is always the same for the message it answers.
fn derived_id(kind: &str, message_id: &str) -> String {
    hex::encode(&Sha256::digest(format!("{kind}:{message_id}").as_bytes())[..16])
}

fn timestamp() -> String {
    now().to_rfc3339_opts(SecondsFormat::Millis, true)
}

#[expect(
    clippy::disallowed_methods,
    reason = "the pharmacy stands outside Salus and has a clock of its own"
)]
fn now() -> DateTime<Utc> {
    Utc::now()
}
