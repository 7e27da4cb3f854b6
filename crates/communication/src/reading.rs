//! Reading one's notifications and choosing among them.

use kernel::{AccountId, Actor, NotificationId, Page, PageRequest, Permission};
use ports::{AuditAction, AuditEntry, Env, PortError};

use crate::{
    CommunicationError, CommunicationStore, CommunicationTx, Notification, NotificationKind,
    Preference,
    error::check_cursor,
    messaging::{deny, deny_account, lock_own, of_own},
};

/// What stands in the application for an account, and how much of it is unread.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Inbox {
    pub notifications: Page<Notification>,
    pub unread: u64,
}

pub async fn list_inbox(
    store: &dyn CommunicationStore,
    actor: &Actor,
    account: AccountId,
    unread_only: bool,
    page: &PageRequest,
) -> Result<Inbox, CommunicationError> {
    check_cursor(page)?;
    let mut tx = own(store, actor, account, AuditAction::Search).await?;
    let notifications = tx.inbox(account, unread_only, page).await?;
    let unread = tx.unread_notifications(account).await?;
    audit_reading(tx, actor, account, notifications.items.len()).await?;
    Ok(Inbox { notifications, unread })
}

/// Everything an account was ever told, with what came of it.
pub async fn list_history(
    store: &dyn CommunicationStore,
    actor: &Actor,
    account: AccountId,
    kind: Option<NotificationKind>,
    page: &PageRequest,
) -> Result<Page<Notification>, CommunicationError> {
    check_cursor(page)?;
    let mut tx = own(store, actor, account, AuditAction::Search).await?;
    let history = tx.history(account, kind, page).await?;
    audit_reading(tx, actor, account, history.items.len()).await?;
    Ok(history)
}

pub async fn mark_notification_read(
    env: &Env,
    store: &dyn CommunicationStore,
    actor: &Actor,
    id: NotificationId,
) -> Result<Notification, CommunicationError> {
    actor.require(Permission::NotificationOwn)?;
    let mut tx = store.begin(actor).await?;
    let Some((_, mut notification)) = lock_own::<Notification>(tx.as_mut(), actor, id).await?
    else {
        return deny(tx, AuditAction::Update, "notification", id).await;
    };
    notification.read(env.now())?;
    if notification.state != notification.stored().state {
        tx.save(&mut notification).await?;
        let entry = AuditEntry::new(AuditAction::Update, "notification", id)
            .detail("state", notification.state.word().to_string());
        tx.audit(of_own(actor, entry));
        tx.commit().await?;
    }
    Ok(notification.into_inner())
}

/// Changes the actor's own choices and gives the whole matrix as it applies
/// from now on. Without changes it only tells.
pub async fn change_preferences(
    store: &dyn CommunicationStore,
    actor: &Actor,
    changes: &[Preference],
) -> Result<Vec<Preference>, CommunicationError> {
    actor.require(Permission::NotificationOwn)?;
    let account = actor.account().ok_or_else(|| PortError::not_found("account"))?;
    let mut tx = store.begin(actor).await?;
    let preferences = tx.preferences(account).await?.change(changes)?;
    if !changes.is_empty() {
        tx.save_preferences(account, changes).await?;
        let mut entry = AuditEntry::new(AuditAction::Update, "notification_preferences", account);
        for change in changes {
            entry = entry.detail(&format!("{}.{}", change.kind, change.channel), change.enabled);
        }
        tx.audit(of_own(actor, entry));
        tx.commit().await?;
    }
    Ok(preferences.effective())
}

/// A unit of work over the actor's own notifications. Someone else's do not
/// exist, and asking for them is written down.
async fn own(
    store: &dyn CommunicationStore,
    actor: &Actor,
    account: AccountId,
    action: AuditAction,
) -> Result<Box<dyn CommunicationTx>, CommunicationError> {
    actor.require(Permission::NotificationOwn)?;
    let tx = store.begin(actor).await?;
    if actor.account() == Some(account) {
        Ok(tx)
    } else {
        deny_account(tx, action, "notification", account).await
    }
}

async fn audit_reading(
    mut tx: Box<dyn CommunicationTx>,
    actor: &Actor,
    account: AccountId,
    count: usize,
) -> Result<(), CommunicationError> {
    let entry =
        AuditEntry::new(AuditAction::Search, "notification", account).detail("count", count);
    tx.audit(of_own(actor, entry));
    Ok(tx.commit().await?)
}
