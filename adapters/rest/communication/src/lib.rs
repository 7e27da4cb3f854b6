//! Threads, messages and notifications.

mod messages;
mod notifications;

pub use self::{messages::MessagesApi, notifications::NotificationsApi};
