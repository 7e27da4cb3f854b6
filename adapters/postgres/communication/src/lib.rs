//! The store of threads, messages and notifications.

mod messages;
mod notifications;
mod rows;

use async_trait::async_trait;
use chrono::{DateTime, Utc};
use communication::{
    CommunicationTx, Message, Notification, NotificationKind, Preference,
    Preferences, Thread, ThreadSummary,
};

pg::store!(Tx {});

use kernel::{
    AccountId, EmailAddress, MessageId, NotificationId, Page, PageRequest, PatientId,
    ProviderId, ThreadId,
};
use ports::Result;
use sea_orm::{DbBackend, FromQueryResult, Statement, Value};

use pg::{db, id_cursor};

#[async_trait]
impl CommunicationTx for Tx {
    async fn thread(&mut self, id: ThreadId, participant: AccountId) -> Result<Option<Thread>> {
        messages::thread(self, id, participant).await
    }

    async fn open_thread(&mut self, thread: &Thread) -> Result<Thread> {
        messages::open_thread(self, thread).await
    }

    async fn threads_of(
        &mut self,
        account: AccountId,
        page: &PageRequest,
    ) -> Result<Page<ThreadSummary>> {
        messages::threads_of(self, account, page).await
    }

    async fn move_threads(
        &mut self,
        patient: PatientId,
        from: ProviderId,
        to: ProviderId,
    ) -> Result<u64> {
        messages::move_threads(self, patient, from, to).await
    }

    async fn add_message(&mut self, thread: &Thread, message: &Message) -> Result<()> {
        messages::add(self, thread, message).await
    }

    async fn message(
        &mut self,
        id: MessageId,
        participant: AccountId,
    ) -> Result<Option<(Thread, Message)>> {
        messages::message(self, id, participant).await
    }

    async fn save_message(&mut self, message: &Message) -> Result<()> {
        messages::save(self, message).await
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
        notifications::preferences(self, account).await
    }

    async fn save_preferences(&mut self, account: AccountId, changes: &[Preference]) -> Result<()> {
        notifications::save_preferences(self, account, changes).await
    }

    async fn add_notification(&mut self, notification: &Notification) -> Result<bool> {
        notifications::add(self, notification).await
    }

    async fn notification(&mut self, id: NotificationId) -> Result<Option<Notification>> {
        notifications::one(self, id, None).await
    }

    async fn notification_of(
        &mut self,
        id: NotificationId,
        recipient: AccountId,
    ) -> Result<Option<Notification>> {
        notifications::one(self, id, Some(recipient)).await
    }

    async fn save_notification(&mut self, notification: &Notification) -> Result<()> {
        notifications::save(self, notification).await
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
        notifications::is_suppressed(self, address).await
    }

    async fn suppress(&mut self, address: &EmailAddress, because_of: NotificationId) -> Result<()> {
        notifications::suppress(self, address, because_of).await
    }
}

/// The rows of a query, read in this transaction.
async fn rows<T: FromQueryResult>(
    tx: &Tx,
    doing: &str,
    sql: &str,
    values: impl IntoIterator<Item = Value>,
) -> Result<Vec<T>> {
    T::find_by_statement(Statement::from_sql_and_values(DbBackend::Postgres, sql, values))
        .all(tx.read())
        .await
        .map_err(|error| db(doing, error))
}

/// The id below which the page begins, and how many rows to read of it.
fn bounds(page: &PageRequest) -> Result<(Value, Value)> {
    Ok((id_cursor(page)?.into(), (i64::from(page.limit()) + 1).into()))
}
