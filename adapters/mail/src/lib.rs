//! Mail over SMTP: composes a mail and hands it to one server, over TLS or,
//! to a server on this machine, in the clear. It knows when a mail was handed
//! over and when nobody can say; it knows nothing of who gets which mail.

mod compose;
mod failure;

use std::time::Duration;

use async_trait::async_trait;
use communication::{Mail, Mailer, port::RECIPIENT_REFUSED};
use lettre::{
    message::Mailbox,
    transport::smtp::{
        authentication::{Credentials, Mechanism},
        client::{AsyncSmtpConnection, Certificate, TlsParameters},
        commands::{Data, Mail as MailFrom, Rcpt},
        extension::{ClientId, Extension, MailParameter},
    },
};
use ports::{PortError, Result};
use tokio::time::timeout;

use crate::failure::{Phase, VENDOR, unavailable};

/// How the connection to the server is protected.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Security {
    /// Not at all; for a server on this machine.
    None,
    /// The connection is upgraded, and without the upgrade nothing is sent.
    StartTls,
    /// The connection is TLS from the start.
    Tls,
}

#[derive(Clone)]
pub struct SmtpConfig {
    pub host: String,
    pub port: u16,
    pub security: Security,
    /// A user's name and password.
    pub credentials: Option<(String, String)>,
    /// The sender, as in `Salus <no-reply@salus.example.org>`.
    pub from: String,
    /// The name that this machine gives of itself.
    pub hello_name: String,
    /// The longest wait for each of: the connection, the envelope, and the
    /// server's word on the mail.
    pub timeout: Duration,
    /// A further root certificate to trust, in PEM, for a server of one's own.
    pub root_certificate: Option<Vec<u8>>,
}

/// The configuration cannot work.
#[derive(Debug, thiserror::Error)]
pub enum MailConfigError {
    #[error("the sender is not a mailbox: {0}")]
    Sender(#[from] lettre::address::AddressError),
    #[error("TLS cannot be set up: {0}")]
    Tls(#[from] lettre::transport::smtp::Error),
    #[error("credentials or mails in the clear go only to a server on this machine")]
    Unprotected,
}

/// Whether mails can be sent in this name.
pub fn is_sender(text: &str) -> bool {
    text.parse::<Mailbox>().is_ok()
}

/// Sends each mail over a connection of its own: a mail whose connection fails
/// then says nothing about any other.
pub struct SmtpMailer {
    config: SmtpConfig,
    from: Mailbox,
    tls: Option<TlsParameters>,
}

impl SmtpMailer {
    pub fn new(config: SmtpConfig) -> Result<Self, MailConfigError> {
        let from = config.from.parse()?;
        let tls = match config.security {
            Security::None if !is_loopback(&config.host) => {
                return Err(MailConfigError::Unprotected);
            }
            Security::None => None,
            Security::StartTls | Security::Tls => {
                let mut builder = TlsParameters::builder(config.host.clone());
                if let Some(pem) = &config.root_certificate {
                    builder = builder.add_root_certificate(Certificate::from_pem(pem)?);
                }
                Some(builder.build()?)
            }
        };
        Ok(Self { config, from, tls })
    }

    /// Connects and signs in.
    async fn connect(&self) -> Result<AsyncSmtpConnection> {
        let hello = ClientId::Domain(self.config.hello_name.clone());
        let server = (self.config.host.as_str(), self.config.port);
        let implicit = match self.config.security {
            Security::Tls => self.tls.clone(),
            Security::None | Security::StartTls => None,
        };
        let limit = Some(self.config.timeout);
        let mut connection =
            AsyncSmtpConnection::connect_tokio1(server, limit, &hello, implicit, None)
                .await
                .map_err(|error| failure::map(&error, Phase::Connecting))?;
        if self.config.security == Security::StartTls
            && let Some(tls) = &self.tls
        {
            let upgraded = connection.starttls(tls.clone(), &hello).await;
            upgraded.map_err(|error| failure::map(&error, Phase::Connecting))?;
        }
        if let Some((user, password)) = &self.config.credentials {
            let credentials = Credentials::new(user.clone(), password.clone());
            let mechanisms = [Mechanism::Plain, Mechanism::Login];
            let signed_in = connection.auth(&mechanisms, &credentials).await;
            signed_in.map_err(|error| failure::map(&error, Phase::Connecting))?;
        }
        Ok(connection)
    }

    /// Everything before the mail itself; when it fails, nothing was handed
    /// over.
    async fn announce(
        &self,
        connection: &mut AsyncSmtpConnection,
        envelope: &lettre::address::Envelope,
    ) -> Result<()> {
        let mut options = Vec::new();
        if !envelope.to().iter().all(|address| AsRef::<str>::as_ref(address).is_ascii()) {
            if !connection.server_info().supports_feature(Extension::SmtpUtfEight) {
                return Err(PortError::Refused {
                    vendor: VENDOR,
                    code: RECIPIENT_REFUSED.to_owned(),
                    message: "the server takes no internationalized address".to_owned(),
                });
            }
            options.push(MailParameter::SmtpUtfEight);
        }
        let sender = connection.command(MailFrom::new(envelope.from().cloned(), options)).await;
        sender.map_err(|error| failure::map(&error, Phase::Envelope))?;
        for recipient in envelope.to() {
            let named = connection.command(Rcpt::new(recipient.clone(), Vec::new())).await;
            named.map_err(|error| failure::map(&error, Phase::Recipient))?;
        }
        let ready = connection.command(Data).await;
        ready.map_err(|error| failure::map(&error, Phase::Envelope))?;
        Ok(())
    }
}

#[async_trait]
impl Mailer for SmtpMailer {
    async fn takes_international(&self) -> Result<bool> {
        let limit = self.config.timeout;
        let connection = timeout(limit, self.connect())
            .await
            .map_err(|_| unavailable("the connection took too long"))??;
        let takes = connection.server_info().supports_feature(Extension::SmtpUtfEight);
        close(connection, limit).await;
        Ok(takes)
    }

    async fn send(&self, mail: &Mail) -> Result<()> {
        let message = compose::compose(mail, &self.from)?;
        let limit = self.config.timeout;
        let mut connection = timeout(limit, self.connect())
            .await
            .map_err(|_| unavailable("the connection took too long"))??;
        let announced = timeout(limit, self.announce(&mut connection, message.envelope()))
            .await
            .unwrap_or_else(|_| Err(unavailable("the envelope took too long")));
        if let Err(error) = announced {
            close(connection, limit).await;
            return Err(error);
        }
        // From here on a silence does not mean that nothing happened.
        let handed_over = timeout(limit, connection.message(&message.formatted())).await;
        let outcome = match handed_over {
            Ok(Ok(_)) => Ok(()),
            Ok(Err(error)) => Err(failure::map(&error, Phase::HandedOver)),
            Err(_) => Err(PortError::Unknown {
                vendor: VENDOR,
                message: "the server did not answer in time".to_owned(),
            }),
        };
        if !matches!(outcome, Err(PortError::Unknown { .. })) {
            close(connection, limit).await;
        }
        outcome
    }
}

/// Takes leave; the outcome is known by then, so a failure changes nothing.
async fn close(mut connection: AsyncSmtpConnection, limit: Duration) {
    let _ = timeout(limit.min(Duration::from_secs(2)), connection.quit()).await;
}

/// Whether a host is this machine.
pub fn is_loopback(host: &str) -> bool {
    host == "localhost" || host.parse::<std::net::IpAddr>().is_ok_and(|ip| ip.is_loopback())
}
