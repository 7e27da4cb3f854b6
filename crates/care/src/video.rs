//! The port to the video vendor. It hears of sessions, roles and times, and
//! never of patients.

use async_trait::async_trait;
use chrono::{DateTime, Utc};
use ports::Result;
use strum::{Display, IntoStaticStr};

/// What the holder of a token may do in a session.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Display, IntoStaticStr)]
#[strum(serialize_all = "lowercase")]
pub enum TokenRole {
    Subscriber,
    Publisher,
    Moderator,
}

#[derive(Clone, Debug, PartialEq, Eq)]
pub struct TokenRequest {
    pub session: String,
    pub role: TokenRole,
    pub issued_at: DateTime<Utc>,
    pub expires_at: DateTime<Utc>,
    /// What the other side of the session sees of the connection; at most
    /// 1,000 characters, and no PHI.
    pub data: String,
    /// Makes two tokens of one moment differ.
    pub nonce: String,
}

/// What a client connects with.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct ClientToken {
    /// The vendor's project or application, which clients name as well.
    pub project: String,
    pub token: String,
}

/// A recording, in the vendor's words.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Archive {
    pub id: String,
    /// As in `started`, `stopped`, `available`, `failed`.
    pub status: String,
}

/// What came with a callback to prove where it is from.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct CallbackCredentials {
    pub authorization: Option<String>,
    /// The secret in the callback's URL, where the vendor cannot sign.
    pub secret: Option<String>,
}

/// What the vendor tells of a session.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum VideoCallback {
    Connected {
        session: String,
    },
    Disconnected {
        session: String,
    },
    ArchiveChanged {
        session: String,
        archive: Archive,
    },
    /// Something that Salus does not act on.
    Other,
    /// Genuine, and nothing that can be read; staff have to see it.
    Unreadable(&'static str),
}

#[async_trait]
pub trait VideoRooms: Send + Sync {
    /// Makes a session and gives its id. Calling it twice makes two sessions;
    /// one that nobody joins costs nothing.
    async fn create_session(&self) -> Result<String>;

    /// Signs a token; no call is made.
    fn client_token(&self, request: &TokenRequest) -> Result<ClientToken>;

    /// Starts to record a session that has a connection.
    async fn start_archive(&self, session: &str, name: &str) -> Result<Archive>;

    async fn stop_archive(&self, archive: &str) -> Result<Archive>;

    /// Proves a callback's origin and reads it. `None` where the proof is
    /// missing or wrong; whatever is genuine is taken.
    fn read_callback(
        &self,
        credentials: &CallbackCredentials,
        body: &[u8],
        now: DateTime<Utc>,
    ) -> Result<Option<VideoCallback>>;
}
