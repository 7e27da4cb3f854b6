//! A message of a thread and how far it has come.

use chrono::{DateTime, Utc};
use kernel::{AccountId, MessageId, PatientId, ThreadId, Word};
use ports::Aggregate;

use crate::{CommunicationError, MessageBody, Side, Thread};

/// The state of a message.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Word)]
pub enum StatusWord {
    Sent,
    Delivered,
    Read,
}

/// How far a message has come, and when; it never goes back.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum MessageStatus {
    Sent,
    /// The recipient's client has fetched it.
    Delivered {
        at: DateTime<Utc>,
    },
    Read {
        delivered_at: DateTime<Utc>,
        at: DateTime<Utc>,
    },
}

impl MessageStatus {
    pub fn word(self) -> &'static str {
        self.status().word()
    }

    pub fn status(self) -> StatusWord {
        match self {
            Self::Sent => StatusWord::Sent,
            Self::Delivered { .. } => StatusWord::Delivered,
            Self::Read { .. } => StatusWord::Read,
        }
    }

    pub fn delivered_at(self) -> Option<DateTime<Utc>> {
        match self {
            Self::Sent => None,
            Self::Delivered { at } | Self::Read { delivered_at: at, .. } => Some(at),
        }
    }

    pub fn read_at(self) -> Option<DateTime<Utc>> {
        match self {
            Self::Read { at, .. } => Some(at),
            _ => None,
        }
    }

    /// The status that these times stand for.
    pub fn from_times(delivered: Option<DateTime<Utc>>, read: Option<DateTime<Utc>>) -> Self {
        match (delivered, read) {
            (_, Some(at)) => Self::Read { delivered_at: delivered.unwrap_or(at), at },
            (Some(at), None) => Self::Delivered { at },
            (None, None) => Self::Sent,
        }
    }
}

#[derive(Clone, Debug, PartialEq, Eq, Aggregate)]
#[aggregate("message", patient)]
pub struct Message {
    pub id: MessageId,
    pub thread: ThreadId,
    /// The patient of the thread.
    pub patient: PatientId,
    pub sender: AccountId,
    pub recipient: AccountId,
    pub body: MessageBody,
    pub status: MessageStatus,
    pub sent_at: DateTime<Utc>,
    pub version: i64,
}

impl Message {
    /// What one side of the thread writes to the other.
    pub fn write(
        id: MessageId,
        thread: &Thread,
        from: Side,
        body: MessageBody,
        now: DateTime<Utc>,
    ) -> Self {
        let sender = match from {
            Side::Patient => thread.patient.account(),
            Side::Provider => thread.provider.account(),
        };
        Self {
            id,
            thread: thread.id,
            patient: thread.patient,
            sender,
            recipient: thread.recipient_of(from),
            body,
            status: MessageStatus::Sent,
            sent_at: now,
            version: 1,
        }
    }

    /// The recipient has read it. A second reading changes nothing, so the
    /// first time stands.
    pub fn read_by(
        &mut self,
        reader: AccountId,
        now: DateTime<Utc>,
    ) -> Result<(), CommunicationError> {
        if reader != self.recipient {
            return Err(CommunicationError::NotTheRecipient);
        }
        self.status = match self.status {
            MessageStatus::Read { .. } => self.status,
            MessageStatus::Sent => MessageStatus::Read { delivered_at: now, at: now },
            MessageStatus::Delivered { at } => MessageStatus::Read { delivered_at: at, at: now },
        };
        Ok(())
    }
}

#[cfg(test)]
mod tests {
    use chrono::TimeDelta;
    use kernel::{PatientId, ProviderId, Uuid};

    use super::*;
    use crate::{BodyFormat, Topic};

    fn message() -> Message {
        let thread = Thread {
            id: ThreadId(Uuid::from_u128(3)),
            patient: PatientId(Uuid::from_u128(1)),
            provider: ProviderId(Uuid::from_u128(2)),
            topic: Topic::General,
            subscription: None,
            created_at: DateTime::UNIX_EPOCH,
        };
        let body = MessageBody::parse(BodyFormat::Plain, "Hello").unwrap();
        let id = MessageId(Uuid::from_u128(5));
        Message::write(id, &thread, Side::Patient, body, DateTime::UNIX_EPOCH)
    }

    #[test]
    fn the_first_reading_counts_and_implies_delivery() {
        let first = DateTime::UNIX_EPOCH + TimeDelta::minutes(1);
        let later = first + TimeDelta::minutes(1);
        let reader = message().recipient;
        let mut read = message();
        read.read_by(reader, first).unwrap();
        read.read_by(reader, later).unwrap();
        assert_eq!(read.status, MessageStatus::Read { delivered_at: first, at: first });

        let mut read = Message { status: MessageStatus::Delivered { at: first }, ..message() };
        read.read_by(reader, later).unwrap();
        assert_eq!(read.status, MessageStatus::Read { delivered_at: first, at: later });
    }

    #[test]
    fn a_sender_cannot_mark_the_own_message_as_read() {
        let sender = message().sender;
        let refused = message().read_by(sender, DateTime::UNIX_EPOCH);
        assert!(matches!(refused, Err(CommunicationError::NotTheRecipient)));
    }

    #[test]
    fn a_status_survives_being_stored_as_times() {
        let at = DateTime::UNIX_EPOCH;
        for status in [
            MessageStatus::Sent,
            MessageStatus::Delivered { at },
            MessageStatus::Read { delivered_at: at, at: at + TimeDelta::hours(1) },
        ] {
            assert_eq!(MessageStatus::from_times(status.delivered_at(), status.read_at()), status);
        }
    }
}
