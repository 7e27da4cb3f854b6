use std::sync::Arc;

use api::{Problem, Tag};
use billing::{BillingStore, NoticeVerifier, notices};
use compliance::unread::{self, UnreadStore};
use poem_openapi::{ApiResponse, OpenApi, param::Header, payload::Binary};
use ports::Env;

pub struct StripeWebhookApi {
    pub env: Env,
    pub store: Arc<dyn BillingStore>,
    pub verifier: Arc<dyn NoticeVerifier>,
    pub unread: Arc<dyn UnreadStore>,
}

/// The notice was taken in.
#[derive(ApiResponse)]
pub enum NoticeReceived {
    /// It is stored, or was already.
    #[oai(status = 200)]
    Ok,
}

#[OpenApi(tag = "Tag::Webhooks")]
impl StripeWebhookApi {
    /// Receive a notice of Stripe
    ///
    /// The body is verified as it was received, byte for byte. A notice is
    /// processed once however often it comes; kinds that are not known are
    /// stored and nothing follows. Only a wrong signature or time is refused: what
    /// is genuine and cannot be used is kept for staff (`listUnreadNotices`).
    #[oai(path = "/webhooks/stripe", method = "post", operation_id = "receiveStripeNotice")]
    async fn receive(
        &self,
        /// `t=…,v1=…`: the time and the HMAC-SHA256 of the time and the body.
        #[oai(name = "Stripe-Signature")]
        signature: Header<Option<String>>,
        body: Binary<Vec<u8>>,
    ) -> Result<NoticeReceived, Problem> {
        let signature = signature.0.unwrap_or_default();
        let opened =
            self.verifier.verify(&body.0, &signature, self.env.now()).map_err(|error| {
                tracing::warn!(%error, "a notice of the payment gateway was refused");
                Problem::bad_request("billing.invalid_notice", error.to_string(), &[])
            })?;
        if let Some(notice) = &opened.notice {
            notices::receive_notice(&self.env, self.store.as_ref(), notice).await?;
        }
        if let Some(reason) = opened.unread {
            unread::keep(&self.env, self.unread.as_ref(), "stripe", reason, &body.0).await?;
        }
        Ok(NoticeReceived::Ok)
    }
}
