//! The store of threads, messages and notifications.

mod messages;
mod notifications;
mod preferences;
mod queries;
mod suppressions;
mod threads;

use async_trait::async_trait;
use chrono::{DateTime, Utc};
use communication::{
    CommunicationTx, Message, Notification, NotificationKind, Preference, Preferences, Thread,
    ThreadSummary,
};
use kernel::{
    AccountId, EmailAddress, NotificationId, Page, PageRequest, PatientId, ProviderId, ThreadId,
};
use ports::Result;

pg::store!(Tx {
    Message => messages::Model,
    Notification => notifications::Model,
});

#[async_trait]
impl CommunicationTx for Tx {
    async fn thread(&mut self, id: ThreadId, participant: AccountId) -> Result<Option<Thread>> {
        threads::one(self, id, participant).await
    }

    async fn open_thread(&mut self, thread: &Thread) -> Result<Thread> {
        threads::open(self, thread).await
    }

    async fn threads_of(
        &mut self,
        account: AccountId,
        page: &PageRequest,
    ) -> Result<Page<ThreadSummary>> {
        threads::of_account(self, account, page).await
    }

    async fn move_threads(
        &mut self,
        patient: PatientId,
        from: ProviderId,
        to: ProviderId,
    ) -> Result<u64> {
        threads::hand_over(self, patient, from, to).await
    }

    async fn messages(&mut self, thread: ThreadId, page: &PageRequest) -> Result<Page<Message>> {
        messages::of_thread(self, thread, page).await
    }

    async fn unread_messages(&mut self, recipient: AccountId) -> Result<u64> {
        messages::unread(self, recipient).await
    }

    async fn mark_delivered(
        &mut self,
        thread: ThreadId,
        recipient: AccountId,
        now: DateTime<Utc>,
    ) -> Result<u64> {
        messages::mark_delivered(self, thread, recipient, now).await
    }

    async fn preferences(&mut self, account: AccountId) -> Result<Preferences> {
        preferences::of(self, account).await
    }

    async fn save_preferences(&mut self, account: AccountId, changes: &[Preference]) -> Result<()> {
        preferences::save(self, account, changes).await
    }

    async fn add_notification(&mut self, notification: &Notification) -> Result<bool> {
        notifications::add(self, notification).await
    }

    async fn inbox(
        &mut self,
        recipient: AccountId,
        unread_only: bool,
        page: &PageRequest,
    ) -> Result<Page<Notification>> {
        notifications::inbox(self, recipient, unread_only, page).await
    }

    async fn unread_notifications(&mut self, recipient: AccountId) -> Result<u64> {
        notifications::unread(self, recipient).await
    }

    async fn history(
        &mut self,
        recipient: AccountId,
        kind: Option<NotificationKind>,
        page: &PageRequest,
    ) -> Result<Page<Notification>> {
        notifications::history(self, recipient, kind, page).await
    }

    async fn is_suppressed(&mut self, address: &EmailAddress) -> Result<bool> {
        suppressions::holds(self, address).await
    }

    async fn suppress(&mut self, address: &EmailAddress, because_of: NotificationId) -> Result<()> {
        suppressions::add(self, address, because_of).await
    }
}
