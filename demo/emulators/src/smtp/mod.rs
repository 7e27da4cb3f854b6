//! A mailbox provider: an SMTP server (RFC 5321) that keeps what it takes, and
//! a small HTTP side on which tests and the demo read the mailboxes and script
//! its replies.
//!
//! As providers do, it shows one copy of messages that carry the same
//! Message-ID to one recipient; it counts the deliveries all the same.
//!
//! Control surface:
//! - `GET /_control/messages?to=ada@example.com` lists a mailbox, or all;
//! - `POST /_control/replies` `{"recipient": "ada@example.com", "code": 550,
//!   "times": 1}` scripts the reply to a recipient (without `times` for good);
//! - `POST /_control/faults` `{"fault": "drop_after", "times": 1}` with
//!   `refuse_data` (451), `reject_data` (554), `drop_after` (the message is
//!   kept, the connection dropped before the reply) or `hang`.

mod control;
mod mailbox;
mod session;

use std::{net::TcpListener, path::PathBuf, sync::Arc};

use anyhow::Context as _;
use poem::listener::TcpAcceptor;
use tokio_util::sync::CancellationToken;

use self::{mailbox::Mailboxes, session::Session};
use crate::state::Persisted;

#[derive(Clone, Debug)]
pub struct SmtpConfig {
    /// The file that the mailboxes are kept in.
    pub state: PathBuf,
    /// The name that the server greets with.
    pub hostname: String,
    /// The largest message, in bytes.
    pub max_size: usize,
    /// The only user and password, where signing in is demanded.
    pub credentials: Option<(String, String)>,
    /// Whether it takes addresses that are not ASCII (RFC 6531).
    pub international: bool,
}

impl SmtpConfig {
    pub fn new(state: impl Into<PathBuf>) -> Self {
        Self {
            state: state.into(),
            hostname: "mail.emulator.test".to_owned(),
            max_size: 10 * 1024 * 1024,
            credentials: None,
            international: true,
        }
    }
}

pub(crate) struct Provider {
    config: SmtpConfig,
    mailboxes: Persisted<Mailboxes>,
}

/// Serves SMTP on one listener and the control surface on the other until
/// `shutdown`.
pub async fn serve(
    config: SmtpConfig,
    smtp: TcpListener,
    control: TcpListener,
    shutdown: CancellationToken,
) -> anyhow::Result<()> {
    let mailboxes = Persisted::open(&config.state)?;
    let provider = Arc::new(Provider { config, mailboxes });
    smtp.set_nonblocking(true).context("preparing the SMTP listener")?;
    control.set_nonblocking(true).context("preparing the control listener")?;
    let smtp = tokio::net::TcpListener::from_std(smtp)?;
    let http = poem::Server::new_with_acceptor(TcpAcceptor::from_std(control)?)
        .run_with_graceful_shutdown(
            control::routes(provider.clone()),
            shutdown.clone().cancelled_owned(),
            None,
        );
    let mail = accept(provider, smtp, shutdown);
    let (http, ()) = tokio::join!(http, mail);
    http.context("serving the control surface of the mail emulator")
}

async fn accept(
    provider: Arc<Provider>,
    listener: tokio::net::TcpListener,
    shutdown: CancellationToken,
) {
    loop {
        let stream = tokio::select! {
            () = shutdown.cancelled() => return,
            accepted = listener.accept() => match accepted {
                Ok((stream, _)) => stream,
                Err(error) => {
                    tracing::warn!(%error, "a connection to the mail emulator failed");
                    continue;
                }
            },
        };
        let session = Session::new(provider.clone(), stream);
        let shutdown = shutdown.clone();
        tokio::spawn(async move {
            tokio::select! {
                () = shutdown.cancelled() => {}
                result = session.run() => if let Err(error) = result {
                    tracing::debug!(%error, "an SMTP session broke off");
                },
            }
        });
    }
}
