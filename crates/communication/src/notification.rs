//! A notification: one piece of news for one person through one channel.

use chrono::{DateTime, Utc};
use kernel::{AccountId, EventId, NotificationId, Uuid, Word};
use ports::Aggregate;

use crate::{Channel, CommunicationError, NotificationKind};

/// What the news is about: the thing's id and the status it came to. Words for
/// a person are made from it when it is shown, and none are stored.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct About {
    /// The kind of thing, as in `shipment`.
    pub entity: String,
    pub id: Uuid,
    pub status: Option<String>,
}

/// Why a mail was given up although it could be written.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Word)]
pub enum FailureReason {
    /// The server knows no such mailbox.
    RecipientRefused,
    /// The server will not take this mail.
    MessageRefused,
    /// It was tried as often as it may be.
    GaveUp,
}

/// Why a mail was not sent at all.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Word)]
pub enum DropReason {
    /// The account does not exist any more.
    NoRecipient,
    /// An earlier mail to the address was refused for good.
    AddressSuppressed,
    /// There is nothing left to verify or to reset.
    NoLongerNeeded,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum NotificationState {
    /// A mail that waits for its job, or for its next attempt.
    Queued {
        attempts: u32,
    },
    /// An attempt was begun; until its outcome is stored nobody knows whether
    /// the mail went out.
    Sending {
        attempts: u32,
    },
    /// It stands in the application, or a mail server took it.
    Delivered {
        attempts: u32,
        at: DateTime<Utc>,
    },
    /// The recipient has seen it in the application.
    Read {
        delivered_at: DateTime<Utc>,
        at: DateTime<Utc>,
    },
    Failed {
        attempts: u32,
        at: DateTime<Utc>,
        reason: FailureReason,
    },
    Dropped {
        attempts: u32,
        at: DateTime<Utc>,
        reason: DropReason,
    },
}

/// What became of a notification.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Word)]
pub enum StateWord {
    Queued,
    Sending,
    Delivered,
    Read,
    Failed,
    Dropped,
}

#[derive(Clone, Debug, PartialEq, Eq, Aggregate)]
#[aggregate("notification")]
pub struct Notification {
    pub id: NotificationId,
    /// The event it follows from; with recipient, channel and kind it is
    /// unique, so that an event tells nobody twice.
    pub event: EventId,
    pub recipient: AccountId,
    pub channel: Channel,
    pub kind: NotificationKind,
    pub about: About,
    pub state: NotificationState,
    pub created_at: DateTime<Utc>,
    pub version: i64,
}

/// What came of the attempt to send a mail.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Attempt {
    Accepted,
    Refused(FailureReason),
    /// Nothing was handed over, or nobody knows; it may be tried again.
    Inconclusive,
}

impl Notification {
    /// After that many attempts a mail is given up. With a back-off that grows
    /// to hours the last one comes well into the first day.
    pub const MAX_ATTEMPTS: u32 = 12;

    pub fn raise(
        id: NotificationId,
        event: EventId,
        recipient: AccountId,
        channel: Channel,
        kind: NotificationKind,
        about: About,
        now: DateTime<Utc>,
    ) -> Self {
        let state = match channel {
            Channel::InApp => NotificationState::Delivered { attempts: 0, at: now },
            Channel::Mail => NotificationState::Queued { attempts: 0 },
        };
        Self { id, event, recipient, channel, kind, about, state, created_at: now, version: 1 }
    }

    pub fn attempts(&self) -> u32 {
        match self.state {
            NotificationState::Queued { attempts }
            | NotificationState::Sending { attempts }
            | NotificationState::Delivered { attempts, .. }
            | NotificationState::Failed { attempts, .. }
            | NotificationState::Dropped { attempts, .. } => attempts,
            NotificationState::Read { .. } => 0,
        }
    }

    /// Whether there is still a mail to send. One whose attempt was cut short
    /// counts: its next attempt carries the same Message-ID.
    pub fn is_open(&self) -> bool {
        matches!(self.state, NotificationState::Queued { .. } | NotificationState::Sending { .. })
    }

    /// An attempt begins. It is stored before the call, so that a process
    /// which dies in the call leaves a trace of it.
    pub fn begin_attempt(&mut self) {
        let attempts = self.attempts().saturating_add(1);
        self.state = NotificationState::Sending { attempts };
    }

    pub fn finish_attempt(&mut self, outcome: Attempt, now: DateTime<Utc>) {
        let attempts = self.attempts();
        self.state = match outcome {
            Attempt::Accepted => NotificationState::Delivered { attempts, at: now },
            Attempt::Refused(reason) => NotificationState::Failed { attempts, at: now, reason },
            Attempt::Inconclusive if attempts >= Self::MAX_ATTEMPTS => {
                NotificationState::Failed { attempts, at: now, reason: FailureReason::GaveUp }
            }
            Attempt::Inconclusive => NotificationState::Queued { attempts },
        };
    }

    pub fn drop_for(&mut self, reason: DropReason, now: DateTime<Utc>) {
        let attempts = self.attempts();
        self.state = NotificationState::Dropped { attempts, at: now, reason };
    }

    /// The recipient has seen it; the first time stands.
    pub fn read(&mut self, now: DateTime<Utc>) -> Result<(), CommunicationError> {
        match (self.channel, self.state) {
            (Channel::InApp, NotificationState::Delivered { at, .. }) => {
                self.state = NotificationState::Read { delivered_at: at, at: now };
            }
            (Channel::InApp, NotificationState::Read { .. }) => {}
            _ => return Err(CommunicationError::NotReadable),
        }
        Ok(())
    }

    /// The part of a mail's Message-ID before the `@`.
    pub fn message_id(&self, domain: &str) -> String {
        format!("{}@{domain}", self.id)
    }
}

impl NotificationState {
    pub fn word(self) -> StateWord {
        match self {
            Self::Queued { .. } => StateWord::Queued,
            Self::Sending { .. } => StateWord::Sending,
            Self::Delivered { .. } => StateWord::Delivered,
            Self::Read { .. } => StateWord::Read,
            Self::Failed { .. } => StateWord::Failed,
            Self::Dropped { .. } => StateWord::Dropped,
        }
    }
}

#[cfg(test)]
mod tests {
    use chrono::TimeDelta;
    use proptest::prelude::*;

    use super::*;

    fn notification(channel: Channel) -> Notification {
        Notification::raise(
            NotificationId(Uuid::from_u128(1)),
            EventId(Uuid::from_u128(2)),
            AccountId(Uuid::from_u128(3)),
            channel,
            NotificationKind::ShipmentChanged,
            About { entity: "shipment".into(), id: Uuid::from_u128(4), status: None },
            DateTime::UNIX_EPOCH,
        )
    }

    #[test]
    fn a_mail_is_given_up_only_after_its_last_attempt() {
        let mut mail = notification(Channel::Mail);
        for attempt in 1..Notification::MAX_ATTEMPTS {
            mail.begin_attempt();
            mail.finish_attempt(Attempt::Inconclusive, DateTime::UNIX_EPOCH);
            assert_eq!(mail.state, NotificationState::Queued { attempts: attempt });
        }
        mail.begin_attempt();
        mail.finish_attempt(Attempt::Inconclusive, DateTime::UNIX_EPOCH);
        assert!(matches!(
            mail.state,
            NotificationState::Failed { reason: FailureReason::GaveUp, .. }
        ));
        assert!(!mail.is_open());
    }

    #[test]
    fn an_attempt_that_was_cut_short_is_still_open_with_the_same_message_id() {
        let mut mail = notification(Channel::Mail);
        let before = mail.message_id("mail.example.org");
        mail.begin_attempt();
        assert!(mail.is_open());
        mail.begin_attempt();
        assert_eq!(mail.message_id("mail.example.org"), before);
    }

    #[test]
    fn only_what_stands_in_the_application_is_read_and_only_once() {
        let first = DateTime::UNIX_EPOCH + TimeDelta::hours(1);
        let mut read = notification(Channel::InApp);
        read.read(first).unwrap();
        let mut again = read.clone();
        again.read(first + TimeDelta::hours(1)).unwrap();
        assert_eq!(read, again);
        assert!(notification(Channel::Mail).read(first).is_err());
    }

    proptest! {
        #[test]
        fn a_finished_mail_stays_finished_or_is_tried_at_most_so_often(
            outcomes in prop::collection::vec(0u8..3, 1..40),
        ) {
            let mut mail = notification(Channel::Mail);
            let mut calls = 0;
            for outcome in outcomes {
                if !mail.is_open() {
                    break;
                }
                calls += 1;
                let outcome = match outcome {
                    0 => Attempt::Inconclusive,
                    1 => Attempt::Accepted,
                    _ => Attempt::Refused(FailureReason::RecipientRefused),
                };
                mail.begin_attempt();
                mail.finish_attempt(outcome, DateTime::UNIX_EPOCH);
                prop_assert_eq!(mail.attempts(), calls);
            }
            prop_assert!(calls <= Notification::MAX_ATTEMPTS);
        }
    }
}
