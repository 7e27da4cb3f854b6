//! The stores of communication. Every query that is made in a person's name
//! takes that person, and what is not theirs is not found. A page's cursor is
//! the id of its last row: ids are ordered by time.

use async_trait::async_trait;
use chrono::{DateTime, Utc};
use kernel::{
    AccountId, Actor, EmailAddress, MessageId, NotificationId, Page, PageRequest, PatientId,
    ProviderId, ThreadId,
};
use ports::{Result, UnitOfWork};

use crate::{
    Message, Notification, NotificationKind, Preference, Preferences, Thread, ThreadSummary,
};

#[async_trait]
pub trait CommunicationTx: UnitOfWork {
    /// The thread, where the account takes part in it.
    async fn thread(&mut self, id: ThreadId, participant: AccountId) -> Result<Option<Thread>>;

    /// Adds the thread, unless the two already have one on that topic and
    /// subscription, and gives the one that stands.
    async fn open_thread(&mut self, thread: &Thread) -> Result<Thread>;

    /// The threads of an account with at least one message, the one with the
    /// newest message first.
    async fn threads_of(
        &mut self,
        account: AccountId,
        page: &PageRequest,
    ) -> Result<Page<ThreadSummary>>;

    /// Gives the threads of a patient to another provider, with what the one
    /// before has not read, and says how many there were. Where the two have a
    /// thread on the same already, the messages join that one.
    async fn move_threads(
        &mut self,
        patient: PatientId,
        from: ProviderId,
        to: ProviderId,
    ) -> Result<u64>;

    async fn add_message(&mut self, thread: &Thread, message: &Message) -> Result<()>;

    /// The message, where the account sent or received it.
    async fn message(
        &mut self,
        id: MessageId,
        participant: AccountId,
    ) -> Result<Option<(Thread, Message)>>;

    /// Stores a new status of the message.
    async fn save_message(&mut self, message: &Message) -> Result<()>;

    /// The messages of a thread, the newest first.
    async fn messages(&mut self, thread: ThreadId, page: &PageRequest) -> Result<Page<Message>>;

    /// How many messages to the account it has not read.
    async fn unread_messages(&mut self, recipient: AccountId) -> Result<u64>;

    /// Marks what the account has not fetched before as delivered, and says
    /// how many those were.
    async fn mark_delivered(
        &mut self,
        thread: ThreadId,
        recipient: AccountId,
        now: DateTime<Utc>,
    ) -> Result<u64>;

    async fn preferences(&mut self, account: AccountId) -> Result<Preferences>;

    async fn save_preferences(&mut self, account: AccountId, changes: &[Preference]) -> Result<()>;

    /// Adds the notification; `false` when the event has already told this
    /// recipient through this channel.
    async fn add_notification(&mut self, notification: &Notification) -> Result<bool>;

    /// The notification whoever it is for; for the job that sends it.
    async fn notification(&mut self, id: NotificationId) -> Result<Option<Notification>>;

    async fn notification_of(
        &mut self,
        id: NotificationId,
        recipient: AccountId,
    ) -> Result<Option<Notification>>;

    async fn save_notification(&mut self, notification: &Notification) -> Result<()>;

    /// What stands in the application for the account, the newest first.
    async fn inbox(
        &mut self,
        recipient: AccountId,
        unread_only: bool,
        page: &PageRequest,
    ) -> Result<Page<Notification>>;

    async fn unread_notifications(&mut self, recipient: AccountId) -> Result<u64>;

    /// Every notification of the account through every channel, the newest
    /// first.
    async fn history(
        &mut self,
        recipient: AccountId,
        kind: Option<NotificationKind>,
        page: &PageRequest,
    ) -> Result<Page<Notification>>;

    /// Whether mails to that address are refused for good.
    async fn is_suppressed(&mut self, address: &EmailAddress) -> Result<bool>;

    async fn suppress(&mut self, address: &EmailAddress, because_of: NotificationId) -> Result<()>;
}

#[async_trait]
pub trait CommunicationStore: Send + Sync {
    async fn begin(&self, actor: &Actor) -> Result<Box<dyn CommunicationTx>>;
}
