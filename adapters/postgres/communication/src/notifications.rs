use communication::{Notification, NotificationKind, Preference, Preferences};
use kernel::{AccountId, EmailAddress, NotificationId, Page, PageRequest};
use ports::Result;
use sea_orm::Value;

use super::{
    bounds, rows,
    rows::{CountRow, NotificationRow, PreferenceRow, StateColumns},
};
use crate::Tx;
use pg::expect_changed;

const NOTIFICATION: &str = "id, event_id, recipient_id, channel, kind, about_entity, about_id, \
     about_status, state, attempts, delivered_at, read_at, ended_at, reason, created_at, version";

pub(super) async fn preferences(tx: &Tx, account: AccountId) -> Result<Preferences> {
    let found: Vec<PreferenceRow> = rows(
        tx,
        "loading notification preferences",
        "SELECT kind, channel, enabled FROM notification_preferences WHERE account_id = $1",
        [account.uuid().into()],
    )
    .await?;
    Ok(Preferences::new(found.into_iter().filter_map(PreferenceRow::into_domain)))
}

pub(super) async fn save_preferences(
    tx: &mut Tx,
    account: AccountId,
    changes: &[Preference],
) -> Result<()> {
    let now = tx.now();
    for change in changes {
        tx.execute(
            "saving a notification preference",
            "INSERT INTO notification_preferences \
             (account_id, kind, channel, enabled, changed_at) VALUES ($1, $2, $3, $4, $5) \
             ON CONFLICT (account_id, kind, channel) \
             DO UPDATE SET enabled = excluded.enabled, changed_at = excluded.changed_at",
            [
                account.uuid().into(),
                change.kind.to_string().into(),
                change.channel.to_string().into(),
                change.enabled.into(),
                now.into(),
            ],
        )
        .await?;
    }
    Ok(())
}

pub(super) async fn add(tx: &mut Tx, notification: &Notification) -> Result<bool> {
    let columns = StateColumns::of(notification);
    let result = tx
        .execute(
            "adding a notification",
            "INSERT INTO notifications (id, event_id, recipient_id, channel, kind, about_entity, \
             about_id, about_status, state, attempts, delivered_at, read_at, ended_at, reason, \
             created_at, version) \
             VALUES ($1, $2, $3, $4, $5, $6, $7, $8, $9, $10, $11, $12, $13, $14, $15, $16) \
             ON CONFLICT ON CONSTRAINT notifications_once DO NOTHING",
            [
                notification.id.uuid().into(),
                notification.event.uuid().into(),
                notification.recipient.uuid().into(),
                notification.channel.to_string().into(),
                notification.kind.to_string().into(),
                notification.about.entity.clone().into(),
                notification.about.id.into(),
                notification.about.status.clone().into(),
                columns.state.into(),
                columns.attempts.into(),
                columns.delivered_at.into(),
                columns.read_at.into(),
                columns.ended_at.into(),
                columns.reason.into(),
                notification.created_at.into(),
                notification.version.into(),
            ],
        )
        .await?;
    Ok(result.rows_affected() == 1)
}

pub(super) async fn one(
    tx: &Tx,
    id: NotificationId,
    recipient: Option<AccountId>,
) -> Result<Option<Notification>> {
    let sql = format!(
        "SELECT {NOTIFICATION} FROM notifications \
         WHERE id = $1 AND ($2::uuid IS NULL OR recipient_id = $2)"
    );
    let values = [id.uuid().into(), recipient.map(|account| account.uuid()).into()];
    let found: Vec<NotificationRow> = rows(tx, "loading a notification", &sql, values).await?;
    found.into_iter().next().map(NotificationRow::into_domain).transpose()
}

pub(super) async fn save(tx: &mut Tx, notification: &Notification) -> Result<()> {
    let columns = StateColumns::of(notification);
    let result = tx
        .execute(
            "saving a notification",
            "UPDATE notifications SET state = $3, attempts = $4, delivered_at = $5, read_at = $6, \
             ended_at = $7, reason = $8, version = version + 1 WHERE id = $1 AND version = $2",
            [
                notification.id.uuid().into(),
                notification.version.into(),
                columns.state.into(),
                columns.attempts.into(),
                columns.delivered_at.into(),
                columns.read_at.into(),
                columns.ended_at.into(),
                columns.reason.into(),
            ],
        )
        .await?;
    expect_changed(result.rows_affected(), "notifications")
}

pub(super) async fn inbox(
    tx: &Tx,
    recipient: AccountId,
    unread_only: bool,
    page: &PageRequest,
) -> Result<Page<Notification>> {
    let sql = format!(
        "SELECT {NOTIFICATION} FROM notifications \
         WHERE recipient_id = $1 AND channel = 'in_app' AND ($2::uuid IS NULL OR id < $2) \
         AND (NOT $4 OR state = 'delivered') ORDER BY id DESC LIMIT $3"
    );
    let (before, limit) = bounds(page)?;
    list(tx, &sql, [recipient.uuid().into(), before, limit, unread_only.into()], page).await
}

pub(super) async fn history(
    tx: &Tx,
    recipient: AccountId,
    kind: Option<NotificationKind>,
    page: &PageRequest,
) -> Result<Page<Notification>> {
    let sql = format!(
        "SELECT {NOTIFICATION} FROM notifications \
         WHERE recipient_id = $1 AND ($2::uuid IS NULL OR id < $2) \
         AND ($4::text IS NULL OR kind = $4) ORDER BY id DESC LIMIT $3"
    );
    let (before, limit) = bounds(page)?;
    let kind = kind.map(|kind| kind.to_string());
    list(tx, &sql, [recipient.uuid().into(), before, limit, kind.into()], page).await
}

async fn list(
    tx: &Tx,
    sql: &str,
    values: [Value; 4],
    page: &PageRequest,
) -> Result<Page<Notification>> {
    let found: Vec<NotificationRow> = rows(tx, "listing notifications", sql, values).await?;
    let page = Page::from_overfetch(found, page, |row| row.id.to_string());
    let items = page.items.into_iter().map(NotificationRow::into_domain).collect::<Result<_>>()?;
    Ok(Page { items, next: page.next })
}

pub(super) async fn unread(tx: &Tx, recipient: AccountId) -> Result<u64> {
    let found: Vec<CountRow> = rows(
        tx,
        "counting unread notifications",
        "SELECT count(*) AS count FROM notifications \
         WHERE recipient_id = $1 AND channel = 'in_app' AND state = 'delivered'",
        [recipient.uuid().into()],
    )
    .await?;
    Ok(found.first().map_or(0, |row| row.count.unsigned_abs()))
}

pub(super) async fn is_suppressed(tx: &Tx, address: &EmailAddress) -> Result<bool> {
    let index = address_index(tx, address)?;
    let found: Vec<CountRow> = rows(
        tx,
        "looking for a suppressed address",
        "SELECT count(*) AS count FROM suppressed_mail_addresses WHERE address_index = $1",
        [index],
    )
    .await?;
    Ok(found.first().is_some_and(|row| row.count > 0))
}

pub(super) async fn suppress(
    tx: &mut Tx,
    address: &EmailAddress,
    because_of: NotificationId,
) -> Result<()> {
    let index = address_index(tx, address)?;
    let now = tx.now();
    tx.execute(
        "suppressing an address",
        "INSERT INTO suppressed_mail_addresses (address_index, notification_id, since) \
         VALUES ($1, $2, $3) ON CONFLICT (address_index) DO NOTHING",
        [index, because_of.uuid().into(), now.into()],
    )
    .await?;
    Ok(())
}

fn address_index(tx: &Tx, address: &EmailAddress) -> Result<Value> {
    let index = tx.sealer().blind_index("suppressed_mail_addresses.address", address.as_str())?;
    Ok(index.0.to_vec().into())
}
