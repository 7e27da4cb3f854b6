//! Threads. They have no version: one is opened once, and changes hands with its patient.

use communication::{Thread, ThreadSummary, Topic};
use kernel::{
    AccountId, Actor, MessageId, Page, PageRequest, PatientId, ProviderId, SubscriptionId, ThreadId,
};
use ports::{PortError, Result};
use sea_orm::{
    Condition, FromQueryResult, IntoActiveModel as _, QuerySelect as _, QueryTrait as _,
    entity::prelude::*,
    sea_query::{OnConflict, SelectStatement},
};

use pg::{PgTx, db, id_cursor};

#[derive(Clone, Debug, PartialEq, Eq, DeriveEntityModel)]
#[sea_orm(table_name = "message_threads")]
pub struct Model {
    #[sea_orm(primary_key, auto_increment = false)]
    pub id: ThreadId,
    pub patient_id: PatientId,
    pub provider_id: ProviderId,
    pub topic: Topic,
    pub subscription_id: Option<SubscriptionId>,
    pub created_at: ChronoDateTimeUtc,
}

#[derive(Copy, Clone, Debug, EnumIter, DeriveRelation)]
pub enum Relation {}

impl ActiveModelBehavior for ActiveModel {}

impl From<Model> for Thread {
    fn from(row: Model) -> Self {
        let Model { id, patient_id, provider_id, topic, subscription_id, created_at } = row;
        Self {
            id,
            patient: patient_id,
            provider: provider_id,
            topic,
            subscription: subscription_id,
            created_at,
        }
    }
}

#[derive(FromQueryResult)]
struct Summary {
    #[sea_orm(nested)]
    thread: Model,
    last_message_id: MessageId,
    last_message_at: ChronoDateTimeUtc,
    unread: i64,
}

/// The ids of the threads that the actor takes part in as what they are now: a provider
/// who lost that role reaches nothing that was written to the role.
pub fn of_actor(actor: &Actor) -> SelectStatement {
    let roles = Condition::any()
        .add(Expr::value(false))
        .add_option(actor.as_patient().map(|own| Column::PatientId.eq(own)))
        .add_option(actor.as_provider().map(|own| Column::ProviderId.eq(own)));
    Entity::find().select_only().column(Column::Id).filter(roles).into_query()
}

pub async fn one(tx: &PgTx, id: ThreadId, participant: AccountId) -> Result<Option<Thread>> {
    let sides = Condition::any()
        .add(Column::PatientId.eq(participant))
        .add(Column::ProviderId.eq(participant));
    let found = Entity::find_by_id(id).filter(sides).one(tx.read()).await;
    Ok(found.map_err(|error| db("loading a thread", error))?.map(Into::into))
}

pub async fn open(tx: &mut PgTx, thread: &Thread) -> Result<Thread> {
    let Thread { id, patient, provider, topic, subscription, created_at } = *thread;
    let row = Model {
        id,
        patient_id: patient,
        provider_id: provider,
        topic,
        subscription_id: subscription,
        created_at,
    };
    let there = OnConflict::constraint("message_threads_one_a_topic").do_nothing().to_owned();
    let insert = Entity::insert(row.into_active_model().reset_all()).on_conflict(there);
    tx.change("opening a thread", insert.into_query()).await?;
    let same = match subscription {
        Some(id) => Column::SubscriptionId.eq(id),
        None => Column::SubscriptionId.is_null(),
    };
    let standing = Entity::find()
        .filter(Column::PatientId.eq(patient))
        .filter(Column::ProviderId.eq(provider))
        .filter(Column::Topic.eq(topic))
        .filter(same)
        .one(tx.read())
        .await
        .map_err(|error| db("loading a thread", error))?;
    let missing = || PortError::Conflict("message_threads".to_owned());
    standing.map(Into::into).ok_or_else(missing)
}

pub async fn of_account(
    tx: &PgTx,
    account: AccountId,
    page: &PageRequest,
) -> Result<Page<ThreadSummary>> {
    let found: Vec<Summary> = tx
        .rows(
            "listing threads",
            "SELECT t.*, l.last_message_id, l.last_message_at, u.unread FROM message_threads t \
         CROSS JOIN LATERAL (SELECT m.id AS last_message_id, m.sent_at AS last_message_at \
             FROM messages m WHERE m.thread_id = t.id ORDER BY m.id DESC LIMIT 1) l \
         CROSS JOIN LATERAL (SELECT count(*) AS unread FROM messages m \
             WHERE m.thread_id = t.id AND m.recipient_id = $1 AND m.read_at IS NULL) u \
         WHERE (t.patient_id = $1 OR t.provider_id = $1) \
         AND ($2::uuid IS NULL OR l.last_message_id < $2) \
         ORDER BY l.last_message_id DESC LIMIT $3",
            [account.into(), id_cursor(page)?.into(), (i64::from(page.limit()) + 1).into()],
        )
        .await?;
    let page = Page::from_overfetch(found, page, |row| row.last_message_id.to_string());
    let summary = |row: Summary| ThreadSummary {
        thread: row.thread.into(),
        last_message_at: row.last_message_at,
        unread: row.unread.unsigned_abs(),
    };
    Ok(Page { items: page.items.into_iter().map(summary).collect(), next: page.next })
}

pub async fn hand_over(
    tx: &mut PgTx,
    patient: PatientId,
    from: ProviderId,
    to: ProviderId,
) -> Result<u64> {
    let who = || [patient.into(), from.into(), to.into()];
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
