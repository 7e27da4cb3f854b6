use std::sync::Arc;

use api::{Answer, Body, Caller, PageQuery, Result, Tag};
use chrono::{DateTime, Utc};
use communication::{
    Channel, CommunicationError, CommunicationStore, Notification, NotificationKind,
    NotificationState, Preference, StateWord, Templates, reading,
};
use kernel::{AccountId, NotificationId, Page, Uuid};
use poem_openapi::{
    Object, OpenApi,
    param::{Header, Path, Query},
    payload::Json,
    types::Example,
};
use ports::Env;

pub struct NotificationsApi {
    pub env: Env,
    pub store: Arc<dyn CommunicationStore>,
    pub templates: Arc<Templates>,
}

/// A notification.
#[derive(Debug, Object)]
pub struct NotificationView {
    pub id: NotificationId,
    pub kind: NotificationKind,
    pub channel: Channel,
    /// What it says; absent for mails.
    pub title: Option<String>,
    /// What it says; absent for mails.
    pub text: Option<String>,
    /// The kind of thing that it is about, as in `shipment`.
    pub about_entity: String,
    /// The id of the thing that it is about.
    pub about_id: Uuid,
    /// The status that the thing came to.
    pub about_status: Option<String>,
    pub state: StateWord,
    pub created_at: DateTime<Utc>,
    pub delivered_at: Option<DateTime<Utc>>,
    pub read_at: Option<DateTime<Utc>>,
    /// How often a mail was handed to a mail server.
    pub attempts: u32,
    /// Why a mail failed or was not sent, as in `recipient_refused`.
    pub reason: Option<String>,
}

/// The in-app notifications of an account, the newest first.
#[derive(Debug, Object)]
pub struct InboxView {
    pub notifications: Vec<NotificationView>,
    /// How many are unread on all pages.
    pub unread: u64,
    /// The `cursor` of the next page; absent on the last one.
    pub next: Option<String>,
}

/// Everything an account was told, the newest first.
#[derive(Debug, Object)]
pub struct HistoryView {
    pub notifications: Vec<NotificationView>,
    /// The `cursor` of the next page; absent on the last one.
    pub next: Option<String>,
}

/// Whether a kind of notification goes through a channel.
#[derive(Debug, Object)]
#[oai(remote = "Preference")]
pub struct PreferenceView {
    pub kind: NotificationKind,
    pub channel: Channel,
    pub enabled: bool,
}

/// Choices to change; without any, nothing changes.
#[derive(Debug, Object)]
#[oai(example)]
pub struct ChangePreferences {
    #[oai(validator(max_items = 100))]
    pub preferences: Vec<PreferenceView>,
}

impl Example for ChangePreferences {
    fn example() -> Self {
        let preference = PreferenceView {
            kind: NotificationKind::ShipmentChanged,
            channel: Channel::Mail,
            enabled: false,
        };
        Self { preferences: vec![preference] }
    }
}

/// Every choice as it applies.
#[derive(Debug, Object)]
pub struct PreferencesView {
    pub preferences: Vec<PreferenceView>,
}

impl NotificationsApi {
    fn view(
        &self,
        notification: Notification,
        language: Option<&str>,
    ) -> Result<NotificationView, CommunicationError> {
        let words = match notification.channel {
            Channel::Mail => None,
            Channel::InApp => self.templates.in_app(
                notification.kind,
                notification.about.status.as_deref(),
                language.unwrap_or_default(),
            )?,
        };
        let (title, text) = words.map(|words| (words.title, words.text)).unzip();
        let (delivered_at, read_at, reason) = match notification.state {
            NotificationState::Queued { .. } | NotificationState::Sending { .. } => {
                (None, None, None)
            }
            NotificationState::Delivered { at, .. } => (Some(at), None, None),
            NotificationState::Read { delivered_at, at } => (Some(delivered_at), Some(at), None),
            NotificationState::Failed { reason, .. } => (None, None, Some(reason.to_string())),
            NotificationState::Dropped { reason, .. } => (None, None, Some(reason.to_string())),
        };
        Ok(NotificationView {
            id: notification.id,
            kind: notification.kind,
            channel: notification.channel,
            title,
            text,
            attempts: notification.attempts(),
            about_entity: notification.about.entity,
            about_id: notification.about.id,
            about_status: notification.about.status,
            state: notification.state.word(),
            created_at: notification.created_at,
            delivered_at,
            read_at,
            reason,
        })
    }

    fn views(
        &self,
        page: Page<Notification>,
        language: Option<&str>,
    ) -> Result<(Vec<NotificationView>, Option<String>), CommunicationError> {
        let views = page.items.into_iter().map(|notification| self.view(notification, language));
        Ok((views.collect::<Result<_, _>>()?, page.next))
    }
}

#[OpenApi(tag = "Tag::Communication")]
impl NotificationsApi {
    /// List an account's notifications
    ///
    /// The in-app notifications of the account, the newest first. Only the
    /// account's own holder sees them.
    #[oai(path = "/api/notifications/:user_id", method = "get", operation_id = "listNotifications")]
    async fn list(
        &self,
        caller: Caller,
        user_id: Path<AccountId>,
        /// Leave out what was read.
        unread_only: Query<Option<bool>>,
        limit: Query<Option<u32>>,
        cursor: Query<Option<String>>,
        /// The language that the words are wanted in; English without one.
        #[oai(name = "Accept-Language")]
        language: Header<Option<String>>,
    ) -> Answer<InboxView> {
        let page = PageQuery::read(limit, cursor)?;
        let (store, account) = (&*self.store, user_id.0);
        let unread_only = unread_only.0.unwrap_or(false);
        let inbox = reading::list_inbox(store, caller.actor(), account, unread_only, &page).await?;
        let (notifications, next) = self.views(inbox.notifications, language.0.as_deref())?;
        Ok(Json(InboxView { notifications, unread: inbox.unread, next }))
    }

    /// Mark a notification as read
    ///
    /// Only an in-app notification can be; the time of the first call is kept.
    #[oai(
        path = "/api/notifications/:id/read",
        method = "put",
        operation_id = "markNotificationRead"
    )]
    async fn read(&self, caller: Caller, id: Path<NotificationId>) -> Answer<NotificationView> {
        let (env, store) = (&self.env, &*self.store);
        let read = reading::mark_notification_read(env, store, caller.actor(), id.0).await?;
        Ok(Json(self.view(read, None)?))
    }

    /// Change notification preferences
    ///
    /// Changes the caller's own choices, all or none, and answers with every
    /// choice as it applies from now on. Mandatory mails, such as the one that
    /// verifies an address, cannot be switched off.
    #[oai(
        path = "/api/notifications/preferences",
        method = "post",
        operation_id = "changeNotificationPreferences"
    )]
    async fn change_preferences(
        &self,
        caller: Caller,
        body: Body<ChangePreferences>,
    ) -> Answer<PreferencesView> {
        let changes: Vec<_> = body.0.preferences.into_iter().map(Into::into).collect();
        let all = reading::change_preferences(&*self.store, caller.actor(), &changes).await?;
        Ok(Json(PreferencesView { preferences: all.into_iter().map(Into::into).collect() }))
    }

    /// List an account's notification history
    ///
    /// Everything the account was told through every channel, with what became
    /// of it. Only the account's own holder sees it.
    #[oai(
        path = "/api/notifications/history/:user_id",
        method = "get",
        operation_id = "listNotificationHistory"
    )]
    async fn history(
        &self,
        caller: Caller,
        user_id: Path<AccountId>,
        /// Only notifications of this kind.
        kind: Query<Option<NotificationKind>>,
        limit: Query<Option<u32>>,
        cursor: Query<Option<String>>,
        /// The language that the words are wanted in; English without one.
        #[oai(name = "Accept-Language")]
        language: Header<Option<String>>,
    ) -> Answer<HistoryView> {
        let page = PageQuery::read(limit, cursor)?;
        let (store, account) = (&*self.store, user_id.0);
        let history = reading::list_history(store, caller.actor(), account, kind.0, &page).await?;
        let (notifications, next) = self.views(history, language.0.as_deref())?;
        Ok(Json(HistoryView { notifications, next }))
    }
}
