//! Provider tasks.

use async_trait::async_trait;
use care::{
    Task, TaskKind, TaskStatus,
    task::TaskEnding,
    tasks::{Shown, TaskScope},
};
use chrono::{DateTime, Utc};
use kernel::{Actor, Page, PageRequest, PatientId, ProviderId, TaskId, Uuid};
use ports::Result;
use sea_orm::{
    ActiveModelTrait as _, Condition, IntoActiveModel as _, Order, QueryOrder as _,
    QuerySelect as _, QueryTrait as _,
    entity::prelude::*,
    sea_query::{Expr, ExprTrait as _, OnConflict, SimpleExpr},
};

use crate::{Changed, Tx, codes, handover, text, text_of};
use pg::{PgTx, Row, Unreadable, db, page, reached};

#[derive(Clone, Debug, PartialEq, Eq, DeriveEntityModel)]
#[sea_orm(table_name = "care_tasks")]
pub struct Model {
    #[sea_orm(primary_key, auto_increment = false)]
    pub id: TaskId,
    pub kind: TaskKind,
    pub provider_id: Option<ProviderId>,
    pub patient_id: PatientId,
    pub state: Option<String>,
    pub subject_id: Uuid,
    pub status: TaskStatus,
    pub created_at: ChronoDateTimeUtc,
    pub due_at: ChronoDateTimeUtc,
    pub snoozed_until: Option<ChronoDateTimeUtc>,
    pub done_at: Option<ChronoDateTimeUtc>,
    pub done_by: Option<ProviderId>,
    pub note: Option<Vec<u8>>,
    pub version: i64,
}

#[derive(Copy, Clone, Debug, EnumIter, DeriveRelation)]
pub enum Relation {}

impl ActiveModelBehavior for ActiveModel {}

/// A provider's own tasks, and those of nobody where they are licensed. Of a
/// patient whose chart is closed to them only what is still open and theirs, so
/// that they can give it away.
pub const REACH: &str = "((provider_id = $1 AND status = 'open') \
     OR ((provider_id = $1 OR (provider_id IS NULL AND state = ANY($2))) \
     AND NOT salus_care_is_closed($1, patient_id)))";

#[async_trait]
impl Row for Model {
    type Aggregate = Task;

    const SEALED: &'static [Column] = &[Column::Note];

    fn open(self) -> Result<Task, Unreadable> {
        let (by, note) = (self.done_by, text_of(self.note)?);
        Ok(Task {
            id: self.id,
            kind: self.kind,
            provider: self.provider_id,
            patient: self.patient_id,
            state: self.state.map(|code| code.parse()).transpose()?,
            subject: self.subject_id,
            created_at: self.created_at,
            due_at: self.due_at,
            snoozed_until: self.snoozed_until,
            ended: self.done_at.map(|at| TaskEnding { at, by, note }),
            version: self.version,
        })
    }

    fn close(task: &Task) -> Self {
        let ended = task.ended.as_ref();
        Self {
            id: task.id,
            kind: task.kind,
            provider_id: task.provider,
            patient_id: task.patient,
            state: task.state.map(|state| state.to_string()),
            subject_id: task.subject,
            status: task.status(),
            created_at: task.created_at,
            due_at: task.due_at,
            snoozed_until: task.snoozed_until,
            done_at: ended.map(|ending| ending.at),
            done_by: ended.and_then(|ending| ending.by),
            note: text(ended.and_then(|ending| ending.note.as_ref())),
            version: task.version,
        }
    }

    /// Like [`REACH`], but without the states of the provider's licenses. The use case
    /// removes unassigned tasks of other states.
    fn reach(actor: &Actor) -> Condition {
        match actor.as_provider() {
            _ if actor.is_system() => Condition::all(),
            Some(provider) => Condition::all().add(Expr::cust_with_values(
                "((provider_id = $1 AND status = 'open') OR ((provider_id = $1 \
                 OR provider_id IS NULL) AND NOT salus_care_is_closed($1, patient_id)))",
                [provider.uuid()],
            )),
            None => Condition::all().add(Expr::value(false)),
        }
    }

    /// The provider of a task gets access to the chart.
    async fn save_parts(tx: &mut PgTx, task: &Task) -> Result<()> {
        match task.provider {
            Some(provider) => handover::add_holder(tx, provider, task.patient).await,
            None => Ok(()),
        }
    }
}

/// The words stand in the statement, as they do in the indexes for these rows.
fn open() -> SimpleExpr {
    Expr::cust("status = 'open'")
}

pub async fn add(tx: &mut Tx, task: &Task) -> Result<bool> {
    let open = OnConflict::columns([Column::Kind, Column::SubjectId])
        .target_and_where(open())
        .do_nothing()
        .to_owned();
    let row = Model::close(task).into_active_model().reset_all();
    let insert = Entity::insert(row).on_conflict(open);
    Ok(tx.change("adding a task", insert.into_query()).await? == 1)
}

pub async fn settle(
    tx: &mut Tx,
    subject: Uuid,
    by: Option<ProviderId>,
    now: DateTime<Utc>,
) -> Result<u64> {
    let settled = tx
        .execute(
            "settling the tasks about something",
            "UPDATE care_tasks SET status = 'done', done_at = $2, done_by = $3, \
             snoozed_until = NULL, version = version + 1 \
             WHERE subject_id = $1 AND status = 'open' AND NOT (kind = ANY($4))",
            [subject.into(), now.into(), by.into(), words(&TaskKind::BY_HAND)],
        )
        .await?;
    Ok(settled.rows_affected())
}

pub async fn list(
    tx: &mut Tx,
    scope: &TaskScope,
    shown: Shown,
    now: DateTime<Utc>,
    request: &PageRequest,
) -> Result<Page<Task>> {
    let theirs = Condition::any()
        .add(Column::ProviderId.eq(scope.provider))
        .add(Column::State.is_in(codes(&scope.states)));
    let of = |status| Condition::all().add(theirs).add(status);
    let (filter, by, order) = match shown {
        Shown::Open => {
            let asleep = Column::SnoozedUntil.is_not_null().and(Column::SnoozedUntil.gt(now));
            (of(open()).add(asleep.not()), Column::DueAt, Order::Asc)
        }
        Shown::Snoozed => (of(open()).add(Column::SnoozedUntil.gt(now)), Column::DueAt, Order::Asc),
        Shown::Done => (
            of(Expr::cust("status = 'done'")).add(Column::DoneAt.lte(now)),
            Column::DoneAt,
            Order::Desc,
        ),
    };
    let found = reached::<Model>(tx).filter(filter);
    let time = |task: &Task| task.ended.as_ref().map_or(task.due_at, |ending| ending.at);
    page::<Model>(tx, found, by, order, request, time).await
}

/// The open tasks of these kinds about a patient, the oldest first.
pub async fn open_about(
    tx: &mut Tx,
    patient: PatientId,
    of: &[TaskKind],
) -> Result<Vec<(TaskId, i64)>> {
    Entity::find()
        .select_only()
        .columns([Column::Id, Column::Version])
        .filter(Column::PatientId.eq(patient))
        .filter(open())
        .filter(Column::Kind.is_in(of.iter().copied()))
        .order_by_asc(Column::CreatedAt)
        .order_by_asc(Column::Id)
        .into_tuple()
        .all(tx.read())
        .await
        .map_err(|error| db("reading the open tasks about a patient", error))
}

/// News of what an open task is about: it counts up, and shows at once.
pub async fn renew(tx: &mut Tx, kind: TaskKind, subject: Uuid) -> Result<Option<TaskId>> {
    let sql = "UPDATE care_tasks SET version = version + 1, snoozed_until = NULL \
         WHERE kind = $1 AND subject_id = $2 AND status = 'open' RETURNING id";
    tx.write();
    let values = [kind.into(), subject.into()];
    let renewed: Vec<Changed> = tx.rows("adding news to a task", sql, values).await?;
    Ok(renewed.first().map(|task| TaskId(task.id)))
}

fn words(of: &[TaskKind]) -> Value {
    of.iter().map(ToString::to_string).collect::<Vec<_>>().into()
}

pub async fn count_open(tx: &mut Tx, provider: ProviderId) -> Result<u64> {
    Entity::find()
        .filter(open())
        .filter(Column::ProviderId.eq(provider))
        .count(tx.read())
        .await
        .map_err(|error| db("counting tasks", error))
}
