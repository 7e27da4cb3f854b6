use chrono::{DateTime, Utc};
use communication::{Message, Thread, ThreadSummary};
use kernel::{AccountId, MessageId, Page, PageRequest, PatientId, ProviderId, ThreadId};
use ports::{PortError, Result};

use super::{
    bounds, rows,
    rows::{BODY, CountRow, MessageRow, SummaryRow, ThreadRow},
};
use crate::Tx;
use pg::expect_changed;

const THREAD: &str = "t.id, t.patient_id, t.provider_id, t.topic, t.subscription_id, t.created_at";
const MESSAGE: &str = "m.id, m.thread_id, m.sender_id, m.recipient_id, m.format, m.body, m.sent_at, \
     m.delivered_at, m.read_at, m.version";

pub(super) async fn thread(
    tx: &Tx,
    id: ThreadId,
    participant: AccountId,
) -> Result<Option<Thread>> {
    let sql = format!(
        "SELECT {THREAD} FROM message_threads t \
         WHERE t.id = $1 AND (t.patient_id = $2 OR t.provider_id = $2)"
    );
    let values = [id.uuid().into(), participant.uuid().into()];
    let found: Vec<ThreadRow> = rows(tx, "loading a thread", &sql, values).await?;
    found.into_iter().next().map(ThreadRow::into_domain).transpose()
}

pub(super) async fn open_thread(tx: &mut Tx, thread: &Thread) -> Result<Thread> {
    let subscription = thread.subscription.map(|id| id.uuid());
    tx.execute(
        "opening a thread",
        "INSERT INTO message_threads \
         (id, patient_id, provider_id, topic, subscription_id, created_at) \
         VALUES ($1, $2, $3, $4, $5, $6) \
         ON CONFLICT ON CONSTRAINT message_threads_one_a_topic DO NOTHING",
        [
            thread.id.uuid().into(),
            thread.patient.uuid().into(),
            thread.provider.uuid().into(),
            thread.topic.to_string().into(),
            subscription.into(),
            thread.created_at.into(),
        ],
    )
    .await?;
    let sql = format!(
        "SELECT {THREAD} FROM message_threads t \
         WHERE t.patient_id = $1 AND t.provider_id = $2 AND t.topic = $3 \
         AND t.subscription_id IS NOT DISTINCT FROM $4::uuid"
    );
    let values = [
        thread.patient.uuid().into(),
        thread.provider.uuid().into(),
        thread.topic.to_string().into(),
        subscription.into(),
    ];
    let found: Vec<ThreadRow> = rows(tx, "loading a thread", &sql, values).await?;
    let standing = found.into_iter().next();
    standing.ok_or_else(|| PortError::Conflict("message_threads".to_owned()))?.into_domain()
}

pub(super) async fn move_threads(
    tx: &mut Tx,
    patient: PatientId,
    from: ProviderId,
    to: ProviderId,
) -> Result<u64> {
    let who = || [patient.uuid().into(), from.uuid().into(), to.uuid().into()];
    tx.execute(
        "handing over what was not read",
        "UPDATE messages m SET recipient_id = $3, version = m.version + 1 \
         FROM message_threads t WHERE t.id = m.thread_id AND t.patient_id = $1 \
         AND t.provider_id = $2 AND m.recipient_id = $2 AND m.read_at IS NULL",
        who(),
    )
    .await?;
    let joined = tx
        .execute(
            "joining threads on the same",
            "UPDATE messages m SET thread_id = kept.id \
             FROM message_threads t JOIN message_threads kept \
                 ON kept.patient_id = t.patient_id AND kept.provider_id = $3 \
                 AND kept.topic = t.topic \
                 AND kept.subscription_id IS NOT DISTINCT FROM t.subscription_id \
             WHERE t.id = m.thread_id AND t.patient_id = $1 AND t.provider_id = $2",
            who(),
        )
        .await?;
    let moved = tx
        .execute(
            "handing over threads",
            "UPDATE message_threads t SET provider_id = $3 \
             WHERE t.patient_id = $1 AND t.provider_id = $2 AND NOT EXISTS ( \
                 SELECT 1 FROM message_threads kept \
                 WHERE kept.patient_id = t.patient_id AND kept.provider_id = $3 \
                 AND kept.topic = t.topic \
                 AND kept.subscription_id IS NOT DISTINCT FROM t.subscription_id)",
            who(),
        )
        .await?;
    Ok(moved.rows_affected() + u64::from(joined.rows_affected() > 0))
}

pub(super) async fn threads_of(
    tx: &Tx,
    account: AccountId,
    page: &PageRequest,
) -> Result<Page<ThreadSummary>> {
    let sql = format!(
        "SELECT {THREAD}, l.last_message_id, l.last_message_at, u.unread \
         FROM message_threads t \
         CROSS JOIN LATERAL (SELECT m.id AS last_message_id, m.sent_at AS last_message_at \
             FROM messages m WHERE m.thread_id = t.id ORDER BY m.id DESC LIMIT 1) l \
         CROSS JOIN LATERAL (SELECT count(*) AS unread FROM messages m \
             WHERE m.thread_id = t.id AND m.recipient_id = $1 AND m.read_at IS NULL) u \
         WHERE (t.patient_id = $1 OR t.provider_id = $1) \
         AND ($2::uuid IS NULL OR l.last_message_id < $2) \
         ORDER BY l.last_message_id DESC LIMIT $3"
    );
    let (before, limit) = bounds(page)?;
    let values = [account.uuid().into(), before, limit];
    let found: Vec<SummaryRow> = rows(tx, "listing threads", &sql, values).await?;
    let page = Page::from_overfetch(found, page, |row| row.last_message_id.to_string());
    let items = page.items.into_iter().map(SummaryRow::into_domain).collect::<Result<_>>()?;
    Ok(Page { items, next: page.next })
}

pub(super) async fn unread(tx: &Tx, recipient: AccountId) -> Result<u64> {
    let found: Vec<CountRow> = rows(
        tx,
        "counting unread messages",
        "SELECT count(*) AS count FROM message_threads t \
         JOIN messages m ON m.thread_id = t.id AND m.recipient_id = $1 AND m.read_at IS NULL \
         WHERE t.patient_id = $1 OR t.provider_id = $1",
        [recipient.uuid().into()],
    )
    .await?;
    Ok(found.first().map_or(0, |row| row.count.unsigned_abs()))
}

pub(super) async fn add(tx: &mut Tx, thread: &Thread, message: &Message) -> Result<()> {
    let body = tx.seal(BODY, message.id, message.body.text().as_bytes())?;
    tx.execute(
        "adding a message",
        "INSERT INTO messages (id, thread_id, patient_id, sender_id, recipient_id, format, body, \
         sent_at, delivered_at, read_at, version) \
         VALUES ($1, $2, $3, $4, $5, $6, $7, $8, $9, $10, $11)",
        [
            message.id.uuid().into(),
            message.thread.uuid().into(),
            thread.patient.uuid().into(),
            message.sender.uuid().into(),
            message.recipient.uuid().into(),
            message.body.format().to_string().into(),
            body.into(),
            message.sent_at.into(),
            message.status.delivered_at().into(),
            message.status.read_at().into(),
            message.version.into(),
        ],
    )
    .await?;
    Ok(())
}

pub(super) async fn message(
    tx: &Tx,
    id: MessageId,
    participant: AccountId,
) -> Result<Option<(Thread, Message)>> {
    let sql = format!(
        "SELECT {MESSAGE} FROM messages m \
         WHERE m.id = $1 AND (m.sender_id = $2 OR m.recipient_id = $2)"
    );
    let values = [id.uuid().into(), participant.uuid().into()];
    let found: Vec<MessageRow> = rows(tx, "loading a message", &sql, values).await?;
    let Some(row) = found.into_iter().next() else { return Ok(None) };
    let Some(thread) = thread(tx, ThreadId(row.thread_id), participant).await? else {
        return Ok(None);
    };
    Ok(Some((thread, row.into_domain(tx)?)))
}

pub(super) async fn save(tx: &mut Tx, message: &Message) -> Result<()> {
    let result = tx
        .execute(
            "saving a message",
            "UPDATE messages SET delivered_at = $3, read_at = $4, version = version + 1 \
             WHERE id = $1 AND version = $2",
            [
                message.id.uuid().into(),
                message.version.into(),
                message.status.delivered_at().into(),
                message.status.read_at().into(),
            ],
        )
        .await?;
    expect_changed(result.rows_affected(), "messages")
}

pub(super) async fn of_thread(
    tx: &Tx,
    thread: ThreadId,
    page: &PageRequest,
) -> Result<Page<Message>> {
    let sql = format!(
        "SELECT {MESSAGE} FROM messages m \
         WHERE m.thread_id = $1 AND ($2::uuid IS NULL OR m.id < $2) \
         ORDER BY m.id DESC LIMIT $3"
    );
    let (before, limit) = bounds(page)?;
    let values = [thread.uuid().into(), before, limit];
    let found: Vec<MessageRow> = rows(tx, "reading a thread", &sql, values).await?;
    let page = Page::from_overfetch(found, page, |row| row.id.to_string());
    let items = page.items.into_iter().map(|row| row.into_domain(tx)).collect::<Result<_>>()?;
    Ok(Page { items, next: page.next })
}

pub(super) async fn mark_delivered(
    tx: &mut Tx,
    thread: ThreadId,
    recipient: AccountId,
    now: DateTime<Utc>,
) -> Result<u64> {
    let result = tx
        .execute(
            "marking messages as delivered",
            "UPDATE messages SET delivered_at = $3, version = version + 1 \
             WHERE thread_id = $1 AND recipient_id = $2 AND delivered_at IS NULL",
            [thread.uuid().into(), recipient.uuid().into(), now.into()],
        )
        .await?;
    Ok(result.rows_affected())
}
