//! Electronic prescribing: the message that carries a prescription to the
//! pharmacy, the replies, and the network between them.

pub mod deliver;
pub mod new_rx;
pub mod receive;

use async_trait::async_trait;
use chrono::{DateTime, Utc};
use kernel::{ErxMessageId, PrescriptionId};

pub use deliver::{SendNewRx, send_new_rx};
pub use new_rx::NewRx;
pub use receive::{Answer, receive_message, refuse};

/// A message of ours. Its text is composed once, before the first attempt,
/// and every attempt sends the same.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct ErxMessage {
    pub id: ErxMessageId,
    pub prescription: PrescriptionId,
    pub text: String,
    pub created_at: DateTime<Utc>,
}

/// A message of the pharmacy's side, kept as it came.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct ReceivedMessage {
    /// The sender's own id; a repetition carries it again.
    pub message_id: String,
    pub relates_to: ErxMessageId,
    pub prescription: PrescriptionId,
    /// `status`, `error` or `verify`.
    pub kind: &'static str,
    pub text: String,
    pub received_at: DateTime<Utc>,
}

/// What a message of the pharmacy's side says.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Reply {
    /// The message was accepted.
    Status { code: String },
    /// The message was refused.
    Error { code: String, description_code: Option<String>, description: String },
    /// A pharmacist has verified the prescription.
    Verify { code: String },
}

impl Reply {
    pub const fn kind(&self) -> &'static str {
        match self {
            Self::Status { .. } => "status",
            Self::Error { .. } => "error",
            Self::Verify { .. } => "verify",
        }
    }
}

/// A reply with the ids that tie it to what it answers.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Inbound {
    pub message_id: String,
    /// The id of our message; `None` when it names none or one that cannot be
    /// ours.
    pub relates_to: Option<ErxMessageId>,
    pub reply: Reply,
}

/// What we answer to a message that came in.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Acknowledgement {
    /// The id of our answer.
    pub id: ErxMessageId,
    /// The id of the message it answers, where that could be read.
    pub relates_to: Option<String>,
    pub at: DateTime<Utc>,
    /// The cause when it is refused.
    pub refusal: Option<String>,
}

/// The network that carries messages. Composing and reading are pure; only
/// `deliver` reaches out.
#[async_trait]
pub trait ErxNetwork: Send + Sync {
    /// The text of a message. What is composed once is sent as often as it
    /// takes.
    fn compose(&self, new_rx: &NewRx) -> ports::Result<String>;

    /// Sends a message and reads the reply to it. `PortError::Refused` says
    /// that the network will never take this text; `Unavailable` that nothing
    /// was done; `Unknown` that it may have arrived.
    async fn deliver(&self, text: &str) -> ports::Result<Inbound>;

    /// Reads a message that came in. `PortError::Refused` when it is none.
    fn read(&self, text: &str) -> ports::Result<Inbound>;

    /// The text of an answer to a message that came in.
    fn acknowledge(&self, answer: &Acknowledgement) -> ports::Result<String>;
}
