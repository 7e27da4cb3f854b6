//! Where the eRx network delivers messages of the pharmacy's side.

use std::sync::Arc;

use api::{Problem, Result, Tag};
use base64::{Engine as _, engine::general_purpose::STANDARD};
use compliance::unread::{self, UnreadStore};
use kernel::ErrorKind;
use pharmacy::{
    erx::{self, ErxNetwork},
    prescription::PrescriptionStore,
};
use poem::{Request, http::header::AUTHORIZATION};
use poem_openapi::{ApiResponse, OpenApi, payload::PlainText};
use ports::Env;
use sha2::{Digest as _, Sha256};

/// The `Authorization` header that the network was told to send.
#[derive(Clone)]
pub struct WebhookCredential {
    digest: [u8; 32],
}

impl WebhookCredential {
    /// `header` is the whole value, as in `Bearer …` or `Basic …`.
    pub fn new(header: &str) -> Self {
        Self { digest: Sha256::digest(header.as_bytes()).into() }
    }

    /// HTTP Basic with a user and a password.
    pub fn basic(user: &str, password: &str) -> Self {
        Self::new(&format!("Basic {}", STANDARD.encode(format!("{user}:{password}"))))
    }

    /// Digests are compared, so that the time it takes says nothing of the
    /// secret.
    fn admits(&self, header: Option<&str>) -> bool {
        header.is_some_and(|header| {
            let given: [u8; 32] = Sha256::digest(header.as_bytes()).into();
            given == self.digest
        })
    }
}

pub struct ErxWebhookApi {
    pub env: Env,
    pub store: Arc<dyn PrescriptionStore>,
    pub network: Arc<dyn ErxNetwork>,
    pub credential: WebhookCredential,
    pub unread: Arc<dyn UnreadStore>,
}

/// The answer to a message, itself a message.
#[derive(Debug, ApiResponse)]
pub enum ErxAnswer {
    /// A Status when the message was taken, an Error when it was not.
    #[oai(status = 200, content_type = "application/xml")]
    Message(PlainText<String>),
}

#[OpenApi(tag = "Tag::Webhooks")]
impl ErxWebhookApi {
    /// Receive eRx message
    ///
    /// A Status, Error or Verify of the NCPDP SCRIPT standard, as raw XML. A
    /// message that came before is answered again and changes nothing. One that
    /// cannot be used, or is of another kind, is answered with an Error and kept
    /// for staff (`listUnreadNotices`).
    #[oai(path = "/webhooks/erx", method = "post", operation_id = "receiveErxMessage")]
    async fn receive(&self, request: &Request, body: Vec<u8>) -> Result<ErxAnswer> {
        let given = request.headers().get(AUTHORIZATION).and_then(|value| value.to_str().ok());
        if !self.credential.admits(given) {
            return Err(Problem::new(
                ErrorKind::Unauthenticated,
                "unauthenticated",
                "The network's credential is missing or wrong.",
            ));
        }
        let (store, network) = (&*self.store, &self.network);
        let answer = match std::str::from_utf8(&body) {
            Ok(text) => erx::receive_message(&self.env, store, network, text).await?,
            Err(_) => erx::refuse(&self.env, network.as_ref())?,
        };
        if let Some(reason) = answer.unread {
            unread::keep(&self.env, self.unread.as_ref(), "erx", reason, &body).await?;
        }
        Ok(ErxAnswer::Message(PlainText(answer.text)))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn only_the_very_credential_is_admitted() {
        let credential = WebhookCredential::new("Bearer secret");
        assert!(credential.admits(Some("Bearer secret")));
        for wrong in [None, Some(""), Some("Bearer"), Some("Bearer secret "), Some("bearer secret")]
        {
            assert!(!credential.admits(wrong), "{wrong:?}");
        }
        let basic = WebhookCredential::basic("salus", "secret");
        assert!(basic.admits(Some("Basic c2FsdXM6c2VjcmV0")));
    }
}
