use std::sync::Arc;

use api::{Body, Caller, PageQuery, Problem, Tag};
use chrono::{DateTime, Utc};
use communication::{
    CommunicationError, CommunicationStore, Notification, NotificationState, Preference, Templates,
    reading,
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
    pub id: Uuid,
    pub kind: communication::NotificationKind,
    pub channel: communication::Channel,
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
    pub state: communication::StateWord,
    pub created_at: DateTime<Utc>,
    pub delivered_at: Option<DateTime<Utc>>,
    pub read_at: Option<DateTime<Utc>>,
    /// How often a mail was handed to a mail server.
    pub attempts: u32,
    /// Why a mail failed or was not sent, as in `recipient_refused`.
    pub reason: Option<String>,
}

/// What stands in the application for an account, the newest first.
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
pub struct PreferenceView {
    pub kind: communication::NotificationKind,
    pub channel: communication::Channel,
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
            kind: communication::NotificationKind::ShipmentChanged,
            channel: communication::Channel::Mail,
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

impl From<Preference> for PreferenceView {
    fn from(preference: Preference) -> Self {
        Self { kind: preference.kind, channel: preference.channel, enabled: preference.enabled }
    }
}

impl From<PreferenceView> for Preference {
    fn from(view: PreferenceView) -> Self {
        Self { kind: view.kind, channel: view.channel, enabled: view.enabled }
    }
}

impl NotificationsApi {
    fn view(
        &self,
        notification: Notification,
        language: Option<&str>,
    ) -> Result<NotificationView, CommunicationError> {
        let words = match notification.channel {
            communication::Channel::Mail => None,
            communication::Channel::InApp => self.templates.in_app(
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
            id: notification.id.uuid(),
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
    /// What stands in the application for the account, the newest first. Only
    /// the account's own holder sees it.
    #[oai(path = "/api/notifications/:user_id", method = "get", operation_id = "listNotifications")]
    async fn list(
        &self,
        caller: Caller,
        user_id: Path<Uuid>,
        /// Leave out what was read.
        unread_only: Query<Option<bool>>,
        limit: Query<Option<u32>>,
        cursor: Query<Option<String>>,
        /// The language that the words are wanted in; English without one.
        #[oai(name = "Accept-Language")]
        language: Header<Option<String>>,
    ) -> Result<Json<InboxView>, Problem> {
        let page = PageQuery::read(limit, cursor)?;
        let (store, account) = (self.store.as_ref(), AccountId(user_id.0));
        let unread_only = unread_only.0.unwrap_or(false);
        let inbox = reading::list_inbox(store, caller.actor(), account, unread_only, &page).await?;
        let (notifications, next) = self.views(inbox.notifications, language.0.as_deref())?;
        Ok(Json(InboxView { notifications, unread: inbox.unread, next }))
    }

    /// Mark a notification as read
    ///
    /// Only what stands in the application can be; the first time stands.
    #[oai(
        path = "/api/notifications/:id/read",
        method = "put",
        operation_id = "markNotificationRead"
    )]
    async fn mark_read(
        &self,
        caller: Caller,
        id: Path<Uuid>,
    ) -> Result<Json<NotificationView>, Problem> {
        let (store, id) = (self.store.as_ref(), NotificationId(id.0));
        let notification =
            reading::mark_notification_read(&self.env, store, caller.actor(), id).await?;
        Ok(Json(self.view(notification, None)?))
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
    ) -> Result<Json<PreferencesView>, Problem> {
        let changes: Vec<Preference> = body.0.preferences.into_iter().map(Into::into).collect();
        let matrix =
            reading::change_preferences(self.store.as_ref(), caller.actor(), &changes).await?;
        Ok(Json(PreferencesView { preferences: matrix.into_iter().map(Into::into).collect() }))
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
        user_id: Path<Uuid>,
        /// Only notifications of this kind.
        kind: Query<Option<communication::NotificationKind>>,
        limit: Query<Option<u32>>,
        cursor: Query<Option<String>>,
        /// The language that the words are wanted in; English without one.
        #[oai(name = "Accept-Language")]
        language: Header<Option<String>>,
    ) -> Result<Json<HistoryView>, Problem> {
        let page = PageQuery::read(limit, cursor)?;
        let (store, account) = (self.store.as_ref(), AccountId(user_id.0));
        let kind = kind.0;
        let history = reading::list_history(store, caller.actor(), account, kind, &page).await?;
        let (notifications, next) = self.views(history, language.0.as_deref())?;
        Ok(Json(HistoryView { notifications, next }))
    }
}
