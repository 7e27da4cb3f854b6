use std::sync::Arc;

use api::{Answer, Tag};
use care::{CallbackCredentials, CareStore, VideoRooms, consultations};
use compliance::unread::{self, UnreadStore};
use poem_openapi::{
    Object, OpenApi,
    param::{Header, Query},
    payload::{Binary, Json},
};
use ports::Env;

/// What the video vendor calls.
pub struct VideoWebhookApi {
    pub env: Env,
    pub store: Arc<dyn CareStore>,
    pub rooms: Arc<dyn VideoRooms>,
    pub unread: Arc<dyn UnreadStore>,
}

/// The callback was taken.
#[derive(Debug, Object)]
pub struct VideoCallbackTaken {
    pub received: bool,
}

#[OpenApi(tag = "Tag::Webhooks")]
impl VideoWebhookApi {
    /// Take a callback of the video vendor
    ///
    /// Session and archive callbacks. A callback proves its origin by a signed
    /// JWT over its body in `Authorization`, or by the secret in the URL that
    /// was given to the vendor. Only what proves no origin is refused; what is
    /// genuine and cannot be read is kept for staff (`listUnreadNotices`).
    #[oai(path = "/webhooks/opentok", method = "post", operation_id = "receiveVideoCallback")]
    async fn receive(
        &self,
        /// The signature, as `Bearer` and a JWT whose `payload_hash` is the
        /// SHA-256 of the body.
        #[oai(name = "Authorization")]
        authorization: Header<Option<String>>,
        /// The secret of the callback's URL.
        secret: Query<Option<String>>,
        body: Binary<Vec<u8>>,
    ) -> Answer<VideoCallbackTaken> {
        let credentials = CallbackCredentials { authorization: authorization.0, secret: secret.0 };
        let (store, rooms) = (&*self.store, &*self.rooms);
        let unread =
            consultations::on_video_callback(&self.env, store, rooms, &credentials, &body.0)
                .await?;
        if let Some(reason) = unread {
            unread::keep(&self.env, &*self.unread, "opentok", reason, &body.0).await?;
        }
        Ok(Json(VideoCallbackTaken { received: true }))
    }
}
