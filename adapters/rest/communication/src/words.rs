//! The words of communication as they stand on the wire.

use communication::MessageStatus;
use poem_openapi::Enum;

/// How far a message has come.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Enum)]
#[oai(rename_all = "snake_case")]
pub enum StatusWord {
    Sent,
    Delivered,
    Read,
}

impl From<MessageStatus> for StatusWord {
    fn from(status: MessageStatus) -> Self {
        match status {
            MessageStatus::Sent => Self::Sent,
            MessageStatus::Delivered { .. } => Self::Delivered,
            MessageStatus::Read { .. } => Self::Read,
        }
    }
}
