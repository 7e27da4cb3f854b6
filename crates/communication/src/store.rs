//! The stores of communication. Every query that is made in a person's name
//! takes that person, and what is not theirs is not found. A page's cursor is
//! the id of its last row: ids are ordered by time.
//!
//! The repositories know whose transaction it is: of a message its sender and its
//! recipient as long as they take part in the thread, of a notification its recipient,
//! and Salus itself for the job that sends it.

use async_trait::async_trait;
use chrono::{DateTime, Utc};
use kernel::{
    AccountId, Actor, EmailAddress, NotificationId, Page, PageRequest, PatientId, ProviderId,
    ThreadId,
};
use ports::{Repository, Result, UnitOfWork};

use crate::{
    Message, Notification, NotificationKind, Preference, Preferences, Thread, ThreadSummary,
};

#[async_trait]
pub trait CommunicationTx: UnitOfWork + Repository<Message> + Repository<Notification> {
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
