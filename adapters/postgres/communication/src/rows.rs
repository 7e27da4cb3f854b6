//! The rows as they stand in the tables, and what they mean.

use chrono::{DateTime, Utc};
use communication::{
    About, DropReason, FailureReason, Message, MessageBody, MessageStatus, Notification,
    NotificationState, Preference, Thread, ThreadSummary,
};
use kernel::{AccountId, MessageId, PatientId, ProviderId, SubscriptionId, ThreadId, Uuid};
use ports::{PortError, Result};
use sea_orm::FromQueryResult;

use crate::Tx;

/// The column that holds a body; a sealed body opens only as this column of
/// its own row.
pub(super) const BODY: &str = "messages.body";

#[derive(Debug, FromQueryResult)]
pub(super) struct ThreadRow {
    pub id: Uuid,
    pub patient_id: Uuid,
    pub provider_id: Uuid,
    pub topic: String,
    pub subscription_id: Option<Uuid>,
    pub created_at: DateTime<Utc>,
}

#[derive(Debug, FromQueryResult)]
pub(super) struct SummaryRow {
    #[sea_orm(nested)]
    pub thread: ThreadRow,
    pub last_message_id: Uuid,
    pub last_message_at: DateTime<Utc>,
    pub unread: i64,
}

#[derive(Debug, FromQueryResult)]
pub(super) struct MessageRow {
    pub id: Uuid,
    pub thread_id: Uuid,
    pub sender_id: Uuid,
    pub recipient_id: Uuid,
    pub format: String,
    pub body: Vec<u8>,
    pub sent_at: DateTime<Utc>,
    pub delivered_at: Option<DateTime<Utc>>,
    pub read_at: Option<DateTime<Utc>>,
    pub version: i64,
}

#[derive(Debug, FromQueryResult)]
pub(super) struct NotificationRow {
    pub id: Uuid,
    pub event_id: Uuid,
    pub recipient_id: Uuid,
    pub channel: String,
    pub kind: String,
    pub about_entity: String,
    pub about_id: Uuid,
    pub about_status: Option<String>,
    pub state: String,
    pub attempts: i32,
    pub delivered_at: Option<DateTime<Utc>>,
    pub read_at: Option<DateTime<Utc>>,
    pub ended_at: Option<DateTime<Utc>>,
    pub reason: Option<String>,
    pub created_at: DateTime<Utc>,
    pub version: i64,
}

#[derive(Debug, FromQueryResult)]
pub(super) struct PreferenceRow {
    pub kind: String,
    pub channel: String,
    pub enabled: bool,
}

#[derive(Debug, FromQueryResult)]
pub(super) struct CountRow {
    pub count: i64,
}

impl ThreadRow {
    pub fn into_domain(self) -> Result<Thread> {
        Ok(Thread {
            id: ThreadId(self.id),
            patient: PatientId(self.patient_id),
            provider: ProviderId(self.provider_id),
            topic: word(&self.topic, "message_threads.topic")?,
            subscription: self.subscription_id.map(SubscriptionId),
            created_at: self.created_at,
        })
    }
}

impl SummaryRow {
    pub fn into_domain(self) -> Result<ThreadSummary> {
        Ok(ThreadSummary {
            thread: self.thread.into_domain()?,
            last_message_at: self.last_message_at,
            unread: self.unread.unsigned_abs(),
        })
    }
}

impl MessageRow {
    pub fn into_domain(self, tx: &Tx) -> Result<Message> {
        let text = tx.unseal_text(BODY, self.id, self.body)?;
        Ok(Message {
            id: MessageId(self.id),
            thread: ThreadId(self.thread_id),
            sender: AccountId(self.sender_id),
            recipient: AccountId(self.recipient_id),
            body: MessageBody::stored(word(&self.format, "messages.format")?, text),
            status: MessageStatus::from_times(self.delivered_at, self.read_at),
            sent_at: self.sent_at,
            version: self.version,
        })
    }
}

impl NotificationRow {
    pub fn into_domain(self) -> Result<Notification> {
        let state = self.state()?;
        Ok(Notification {
            id: self.id.into(),
            event: self.event_id.into(),
            recipient: self.recipient_id.into(),
            channel: word(&self.channel, "notifications.channel")?,
            kind: word(&self.kind, "notifications.kind")?,
            about: About {
                entity: self.about_entity,
                id: self.about_id,
                status: self.about_status,
            },
            state,
            created_at: self.created_at,
            version: self.version,
        })
    }

    fn state(&self) -> Result<NotificationState> {
        let attempts = self.attempts.unsigned_abs();
        let reason = self.reason.as_deref().unwrap_or_default();
        let state = match (self.state.as_str(), self.delivered_at, self.read_at, self.ended_at) {
            ("queued", ..) => NotificationState::Queued { attempts },
            ("sending", ..) => NotificationState::Sending { attempts },
            ("delivered", Some(at), ..) => NotificationState::Delivered { attempts, at },
            ("read", Some(delivered_at), Some(at), _) => {
                NotificationState::Read { delivered_at, at }
            }
            ("failed", _, _, Some(at)) => NotificationState::Failed {
                attempts,
                at,
                reason: word::<FailureReason>(reason, "notifications.reason")?,
            },
            ("dropped", _, _, Some(at)) => NotificationState::Dropped {
                attempts,
                at,
                reason: word::<DropReason>(reason, "notifications.reason")?,
            },
            _ => return Err(unreadable("notifications.state", &self.state)),
        };
        Ok(state)
    }
}

impl PreferenceRow {
    /// `None` for a kind that there is no more: an old choice of it is moot.
    pub fn into_domain(self) -> Option<Preference> {
        Some(Preference {
            kind: self.kind.parse().ok()?,
            channel: self.channel.parse().ok()?,
            enabled: self.enabled,
        })
    }
}

/// The columns that a notification's state is spread over.
pub(super) struct StateColumns {
    pub state: &'static str,
    pub attempts: i32,
    pub delivered_at: Option<DateTime<Utc>>,
    pub read_at: Option<DateTime<Utc>>,
    pub ended_at: Option<DateTime<Utc>>,
    pub reason: Option<String>,
}

impl StateColumns {
    pub fn of(notification: &Notification) -> Self {
        let state = notification.state;
        let mut columns = Self {
            state: state.word(),
            attempts: i32::try_from(notification.attempts()).unwrap_or(i32::MAX),
            delivered_at: None,
            read_at: None,
            ended_at: None,
            reason: None,
        };
        match state {
            NotificationState::Queued { .. } | NotificationState::Sending { .. } => {}
            NotificationState::Delivered { at, .. } => columns.delivered_at = Some(at),
            NotificationState::Read { delivered_at, at } => {
                columns.delivered_at = Some(delivered_at);
                columns.read_at = Some(at);
            }
            NotificationState::Failed { at, reason, .. } => {
                columns.ended_at = Some(at);
                columns.reason = Some(reason.to_string());
            }
            NotificationState::Dropped { at, reason, .. } => {
                columns.ended_at = Some(at);
                columns.reason = Some(reason.to_string());
            }
        }
        columns
    }
}

fn word<T: std::str::FromStr>(value: &str, column: &str) -> Result<T> {
    value.parse().map_err(|_| unreadable(column, value))
}

fn unreadable(column: &str, value: &str) -> PortError {
    PortError::bug(format!("{column} holds {value:?}, which has no meaning"))
}
