//! A video vendor that counts.

use std::sync::atomic::{AtomicUsize, Ordering};

use async_trait::async_trait;
use care::{Archive, CallbackCredentials, ClientToken, TokenRequest, VideoCallback, VideoRooms};
use chrono::{DateTime, Utc};
use ports::{PortError, Result};

/// Counts the sessions that it makes, and takes a body that is a session's
/// name for the news of a connection in it.
#[derive(Default)]
pub struct Counting(AtomicUsize);

impl Counting {
    pub fn made(&self) -> usize {
        self.0.load(Ordering::SeqCst)
    }
}

#[async_trait]
impl VideoRooms for Counting {
    async fn create_session(&self) -> Result<String> {
        Ok(format!("session-{}", self.0.fetch_add(1, Ordering::SeqCst)))
    }

    fn client_token(&self, request: &TokenRequest) -> Result<ClientToken> {
        let token = format!("{} {} {}", request.session, request.role, request.data);
        Ok(ClientToken { project: "project".into(), token })
    }

    async fn start_archive(&self, _: &str, _: &str) -> Result<Archive> {
        Err(PortError::bug("nothing is archived here"))
    }

    async fn stop_archive(&self, _: &str) -> Result<Archive> {
        Err(PortError::bug("nothing is archived here"))
    }

    fn read_callback(
        &self,
        _: &CallbackCredentials,
        body: &[u8],
        _: DateTime<Utc>,
    ) -> Result<Option<VideoCallback>> {
        let session = String::from_utf8_lossy(body).into_owned();
        Ok(Some(VideoCallback::Connected { session }))
    }
}
