//! Threads, messages and notifications.

mod messages;
mod notifications;
mod words;

pub use self::{
    messages::{MessageView, MessagesApi, MessagesView, SendMessage, ThreadView, ThreadsView},
    notifications::{
        ChangePreferences, HistoryView, InboxView, NotificationView, NotificationsApi,
        PreferenceView, PreferencesView,
    },
    words::StatusWord,
};
