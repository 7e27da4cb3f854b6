//! Notifications.

use communication::{About, Channel, Notification, NotificationKind, NotificationState, StateWord};
use kernel::{AccountId, Actor, EventId, NotificationId, Page, PageRequest};
use ports::Result;
use sea_orm::{
    Condition, DbBackend, IntoActiveModel as _, Order, QueryTrait as _, entity::prelude::*,
    sea_query::OnConflict,
};

use super::queries::count;
use pg::{PgTx, Row, Unreadable, page_by_id};

#[derive(Clone, Debug, PartialEq, Eq, DeriveEntityModel)]
#[sea_orm(table_name = "notifications")]
pub struct Model {
    #[sea_orm(primary_key, auto_increment = false)]
    pub id: NotificationId,
    pub event_id: EventId,
    pub recipient_id: AccountId,
    pub channel: Channel,
    pub kind: NotificationKind,
    pub about_entity: String,
    pub about_id: Uuid,
    pub about_status: Option<String>,
    pub state: StateWord,
    pub attempts: i32,
    pub delivered_at: Option<ChronoDateTimeUtc>,
    pub read_at: Option<ChronoDateTimeUtc>,
    pub ended_at: Option<ChronoDateTimeUtc>,
    pub reason: Option<String>,
    pub created_at: ChronoDateTimeUtc,
    pub version: i64,
}

#[derive(Copy, Clone, Debug, EnumIter, DeriveRelation)]
pub enum Relation {}

impl ActiveModelBehavior for ActiveModel {}

impl Model {
    fn state(&self) -> Result<NotificationState, Unreadable> {
        use NotificationState as State;
        let attempts = self.attempts.try_into()?;
        let reason = self.reason.as_deref().unwrap_or_default();
        Ok(match (self.state, self.delivered_at, self.read_at, self.ended_at) {
            (StateWord::Queued, ..) => State::Queued { attempts },
            (StateWord::Sending, ..) => State::Sending { attempts },
            (StateWord::Delivered, Some(at), ..) => State::Delivered { attempts, at },
            (StateWord::Read, Some(delivered_at), Some(at), _) => State::Read { delivered_at, at },
            (StateWord::Failed, .., Some(at)) => {
                State::Failed { attempts, at, reason: reason.parse()? }
            }
            (StateWord::Dropped, .., Some(at)) => {
                State::Dropped { attempts, at, reason: reason.parse()? }
            }
            _ => return Err(format!("it is {} at no time", self.state).into()),
        })
    }
}

impl Row for Model {
    type Aggregate = Notification;

    fn open(self) -> Result<Notification, Unreadable> {
        Ok(Notification {
            state: self.state()?,
            id: self.id,
            event: self.event_id,
            recipient: self.recipient_id,
            channel: self.channel,
            kind: self.kind,
            about: About {
                entity: self.about_entity,
                id: self.about_id,
                status: self.about_status,
            },
            created_at: self.created_at,
            version: self.version,
        })
    }

    fn close(notification: &Notification) -> Self {
        use NotificationState as State;
        let (delivered_at, read_at, ended_at, reason) = match notification.state {
            State::Queued { .. } | State::Sending { .. } => (None, None, None, None),
            State::Delivered { at, .. } => (Some(at), None, None, None),
            State::Read { delivered_at, at } => (Some(delivered_at), Some(at), None, None),
            State::Failed { at, reason, .. } => (None, None, Some(at), Some(reason.to_string())),
            State::Dropped { at, reason, .. } => (None, None, Some(at), Some(reason.to_string())),
        };
        let Notification { about, .. } = notification.clone();
        Self {
            id: notification.id,
            event_id: notification.event,
            recipient_id: notification.recipient,
            channel: notification.channel,
            kind: notification.kind,
            about_entity: about.entity,
            about_id: about.id,
            about_status: about.status,
            state: notification.state.word(),
            attempts: notification.attempts().try_into().unwrap_or(i32::MAX),
            delivered_at,
            read_at,
            ended_at,
            reason,
            created_at: notification.created_at,
            version: notification.version,
        }
    }

    /// A person's own; all for the job that sends them.
    fn reach(actor: &Actor) -> Condition {
        let own = actor.account().map(|own| Column::RecipientId.eq(own));
        let others = (!actor.is_system()).then(|| Expr::value(false));
        Condition::all().add_option(own.or(others))
    }
}

/// A delivery of an event that told everybody before changes nothing.
pub async fn add(tx: &mut PgTx, notification: &Notification) -> Result<bool> {
    let once = OnConflict::constraint("notifications_once").do_nothing().to_owned();
    let row = Model::close(notification).into_active_model().reset_all();
    let insert = Entity::insert(row).on_conflict(once).build(DbBackend::Postgres);
    let values = insert.values.map(|values| values.0).unwrap_or_default();
    let added = tx.execute("adding a notification", &insert.sql, values).await?;
    Ok(added.rows_affected() == 1)
}

pub async fn inbox(
    tx: &PgTx,
    recipient: AccountId,
    unread_only: bool,
    page: &PageRequest,
) -> Result<Page<Notification>> {
    let unread = unread_only.then(|| Column::State.eq(StateWord::Delivered));
    let found = Condition::all().add(Column::Channel.eq(Channel::InApp)).add_option(unread);
    of_recipient(tx, recipient, found, page).await
}

pub async fn history(
    tx: &PgTx,
    recipient: AccountId,
    kind: Option<NotificationKind>,
    page: &PageRequest,
) -> Result<Page<Notification>> {
    let found = Condition::all().add_option(kind.map(|kind| Column::Kind.eq(kind)));
    of_recipient(tx, recipient, found, page).await
}

async fn of_recipient(
    tx: &PgTx,
    recipient: AccountId,
    which: Condition,
    page: &PageRequest,
) -> Result<Page<Notification>> {
    let found = pg::reached::<Model>(tx).filter(Column::RecipientId.eq(recipient)).filter(which);
    page_by_id::<Model>(tx, found, Order::Desc, page).await
}

pub async fn unread(tx: &PgTx, recipient: AccountId) -> Result<u64> {
    count(
        tx,
        "counting unread notifications",
        "SELECT count(*) AS count FROM notifications \
         WHERE recipient_id = $1 AND channel = 'in_app' AND state = 'delivered'",
        recipient.into(),
    )
    .await
}
