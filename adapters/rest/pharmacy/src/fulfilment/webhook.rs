use std::sync::Arc;

use api::{Problem, Result, Tag};
use compliance::unread::{self, UnreadStore};
use kernel::ErrorKind;
use pharmacy::{
    fulfilment::{CarrierWebhooks, FulfilmentStore},
    shipment::tracking::receive,
};
use poem_openapi::{ApiResponse, OpenApi, param::Header, payload::Binary};
use ports::Env;

/// What the carriers call.
pub struct CarrierWebhookApi {
    pub env: Env,
    pub store: Arc<dyn FulfilmentStore>,
    pub webhooks: Arc<dyn CarrierWebhooks>,
    pub unread: Arc<dyn UnreadStore>,
}

/// The notice was taken in.
#[derive(Debug, ApiResponse)]
pub enum CarrierNoticeTaken {
    /// It counts now, came before, or is not about a shipment of ours.
    #[oai(status = 200)]
    Ok,
}

#[OpenApi(tag = "Tag::Webhooks")]
impl CarrierWebhookApi {
    /// Receive a notice of the carriers
    ///
    /// The signature is verified over the body as it came, byte for byte. A
    /// notice counts once however often it comes, and in whichever order. Only a
    /// wrong signature is refused: what is genuine and cannot be used is kept for
    /// staff (`listUnreadNotices`), and the rest of the notice counts.
    #[oai(path = "/webhooks/easypost", method = "post", operation_id = "receiveCarrierNotice")]
    async fn receive(
        &self,
        /// `hmac-sha256-hex=` and the HMAC-SHA256 of the body.
        #[oai(name = "X-Hmac-Signature")]
        signature: Header<Option<String>>,
        body: Binary<Vec<u8>>,
    ) -> Result<CarrierNoticeTaken> {
        let opened = self.webhooks.open(&body.0, signature.0.as_deref()).map_err(|refused| {
            tracing::warn!(%refused, "a notice of the carriers was refused");
            let kind = ErrorKind::Unauthenticated;
            Problem::new(kind, "pharmacy.webhook_signature", refused.to_string())
        })?;
        if let Some(event) = opened.event {
            let received = receive(&self.env, &*self.store, event).await?;
            tracing::debug!(?received, "a notice of the carriers");
        }
        if let Some(reason) = opened.unread {
            unread::keep(&self.env, self.unread.as_ref(), "easypost", reason, &body.0).await?;
        }
        Ok(CarrierNoticeTaken::Ok)
    }
}
