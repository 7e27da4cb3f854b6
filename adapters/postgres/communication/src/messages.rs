//! Messages.

use communication::{BodyFormat, Message, MessageBody, MessageStatus};
use kernel::{AccountId, Actor, MessageId, Page, PageRequest, PatientId, ThreadId};
use ports::Result;
use sea_orm::{Condition, Order, entity::prelude::*};

use super::{queries::count, threads};
use pg::{PgTx, Row, Unreadable, page_by_id};

#[derive(Clone, Debug, PartialEq, Eq, DeriveEntityModel)]
#[sea_orm(table_name = "messages")]
pub struct Model {
    #[sea_orm(primary_key, auto_increment = false)]
    pub id: MessageId,
    pub thread_id: ThreadId,
    pub patient_id: PatientId,
    pub sender_id: AccountId,
    pub recipient_id: AccountId,
    pub format: BodyFormat,
    pub body: Vec<u8>,
    pub sent_at: ChronoDateTimeUtc,
    pub delivered_at: Option<ChronoDateTimeUtc>,
    pub read_at: Option<ChronoDateTimeUtc>,
    pub version: i64,
}

#[derive(Copy, Clone, Debug, EnumIter, DeriveRelation)]
pub enum Relation {}

impl ActiveModelBehavior for ActiveModel {}

impl Row for Model {
    type Aggregate = Message;

    const SEALED: &'static [Column] = &[Column::Body];

    fn open(self) -> Result<Message, Unreadable> {
        Ok(Message {
            id: self.id,
            thread: self.thread_id,
            patient: self.patient_id,
            sender: self.sender_id,
            recipient: self.recipient_id,
            body: MessageBody::stored(self.format, String::from_utf8(self.body)?),
            status: MessageStatus::from_times(self.delivered_at, self.read_at),
            sent_at: self.sent_at,
            version: self.version,
        })
    }

    fn close(message: &Message) -> Self {
        Self {
            id: message.id,
            thread_id: message.thread,
            patient_id: message.patient,
            sender_id: message.sender,
            recipient_id: message.recipient,
            format: message.body.format(),
            body: message.body.text().into(),
            sent_at: message.sent_at,
            delivered_at: message.status.delivered_at(),
            read_at: message.status.read_at(),
            version: message.version,
        }
    }

    /// What the actor sent or received, in the threads that they still take part in.
    fn reach(actor: &Actor) -> Condition {
        let sides = actor.account().map(|own| {
            Condition::any().add(Column::SenderId.eq(own)).add(Column::RecipientId.eq(own))
        });
        Condition::all()
            .add_option(sides)
            .add(Column::ThreadId.in_subquery(threads::of_actor(actor)))
    }
}

/// All messages of a thread. The caller has checked that the reader may see the thread; a
/// provider who takes it over also sees the messages to the previous one.
pub async fn of_thread(tx: &PgTx, thread: ThreadId, page: &PageRequest) -> Result<Page<Message>> {
    let found = Entity::find().filter(Column::ThreadId.eq(thread));
    page_by_id::<Model>(tx, found, Order::Desc, page).await
}

pub async fn unread(tx: &PgTx, recipient: AccountId) -> Result<u64> {
    count(
        tx,
        "counting unread messages",
        "SELECT count(*) AS count FROM message_threads t \
         JOIN messages m ON m.thread_id = t.id AND m.recipient_id = $1 AND m.read_at IS NULL \
         WHERE t.patient_id = $1 OR t.provider_id = $1",
        recipient.into(),
    )
    .await
}

pub async fn mark_delivered(
    tx: &mut PgTx,
    thread: ThreadId,
    recipient: AccountId,
    now: ChronoDateTimeUtc,
) -> Result<u64> {
    let result = tx
        .execute(
            "marking messages as delivered",
            "UPDATE messages SET delivered_at = $3, version = version + 1 \
             WHERE thread_id = $1 AND recipient_id = $2 AND delivered_at IS NULL",
            [thread.into(), recipient.into(), now.into()],
        )
        .await?;
    Ok(result.rows_affected())
}
