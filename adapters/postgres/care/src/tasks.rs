//! Provider tasks.

use care::{
    Task, TaskKind, TaskStatus,
    task::TaskEnding,
    tasks::{Shown, TaskScope},
};
use chrono::{DateTime, Utc};
use kernel::{Page, PageRequest, PatientId, ProviderId, TaskId, Uuid};
use ports::{PortError, Result};
use sea_orm::{QueryResult, Value};

use super::{all, codes, get, handover, one as query_one, word};
use crate::Tx;
use pg::{expect_changed, time_cursor, time_cursor_of};

const NOTE: &str = "care_tasks.note";

pub async fn add(tx: &mut Tx, task: &Task) -> Result<bool> {
    let added = tx
        .execute(
            "adding a task",
            "INSERT INTO care_tasks (id, kind, provider_id, patient_id, state, subject_id, \
             status, created_at, due_at, version) \
             VALUES ($1, $2, $3, $4, $5, $6, $7, $8, $9, $10) \
             ON CONFLICT (kind, subject_id) WHERE status = 'open' DO NOTHING",
            [
                task.id.uuid().into(),
                task.kind.to_string().into(),
                task.provider.map(ProviderId::uuid).into(),
                task.patient.uuid().into(),
                task.state.map(|state| state.to_string()).into(),
                task.subject.into(),
                task.status().to_string().into(),
                task.created_at.into(),
                task.due_at.into(),
                task.version.into(),
            ],
        )
        .await?;
    Ok(added.rows_affected() == 1)
}

/// A provider's own tasks, and those of nobody where they are licensed. Of a
/// patient whose chart is closed to them only what is still open and theirs, so
/// that they can give it away.
pub const REACH: &str = "((provider_id = $1 AND status = 'open') \
     OR ((provider_id = $1 OR (provider_id IS NULL AND state = ANY($2))) \
     AND NOT salus_care_is_closed($1, patient_id)))";

pub async fn one(tx: &mut Tx, id: TaskId, scope: &TaskScope) -> Result<Option<Task>> {
    let sql = format!("SELECT * FROM care_tasks WHERE {REACH} AND id = $3");
    let values = vec![scope.provider.uuid().into(), codes(&scope.states), id.uuid().into()];
    let row = query_one(tx, "loading a task", &sql, values).await?;
    row.map(|row| task(tx, &row)).transpose()
}

pub async fn save(tx: &mut Tx, task: &Task) -> Result<()> {
    let ended = task.ended.as_ref();
    let note = ended
        .and_then(|ending| ending.note.as_ref())
        .map(|note| tx.seal(NOTE, task.id, note.as_bytes()))
        .transpose()?;
    // Only a task that is newly assigned to a provider puts the patient back on that
    // provider's panel. Completing a task left over from before a handover does not.
    let given = match task.provider {
        Some(provider) => {
            let sql = "SELECT 1 AS given FROM care_tasks \
                 WHERE id = $1 AND provider_id IS DISTINCT FROM $2";
            let values = vec![task.id.uuid().into(), provider.uuid().into()];
            query_one(tx, "reading whose a task was", sql, values).await?.is_some()
        }
        None => false,
    };
    let saved = tx
        .execute(
            "saving a task",
            "UPDATE care_tasks SET provider_id = $3, status = $4, snoozed_until = $5, \
             done_at = $6, done_by = $7, note = $8, version = version + 1 \
             WHERE id = $1 AND version = $2",
            [
                task.id.uuid().into(),
                task.version.into(),
                task.provider.map(ProviderId::uuid).into(),
                task.status().to_string().into(),
                task.snoozed_until.into(),
                ended.map(|ending| ending.at).into(),
                ended.and_then(|ending| ending.by).map(ProviderId::uuid).into(),
                note.into(),
            ],
        )
        .await?;
    expect_changed(saved.rows_affected(), "the task")?;
    if let Some(provider) = task.provider {
        // Whoever has the task needs the chart.
        tx.execute(
            "recording who holds a task",
            "INSERT INTO care_review_holders (patient_id, provider_id) VALUES ($1, $2) \
             ON CONFLICT DO NOTHING",
            [task.patient.uuid().into(), provider.uuid().into()],
        )
        .await?;
        if given {
            handover::rejoin(tx, provider, task.patient).await?;
        }
    }
    Ok(())
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
            [
                subject.into(),
                now.into(),
                by.map(ProviderId::uuid).into(),
                kinds(&TaskKind::BY_HAND),
            ],
        )
        .await?;
    Ok(settled.rows_affected())
}

pub async fn list(
    tx: &mut Tx,
    scope: &TaskScope,
    shown: Shown,
    now: DateTime<Utc>,
    page: &PageRequest,
) -> Result<Page<Task>> {
    let mut values: Vec<Value> = vec![
        scope.provider.uuid().into(),
        codes(&scope.states),
        now.into(),
        i64::from(page.limit() + 1).into(),
    ];
    let (filter, column, beyond, order) = match shown {
        Shown::Open => (
            "status = 'open' AND (snoozed_until IS NULL OR snoozed_until <= $3)",
            "due_at",
            ">",
            "due_at, id",
        ),
        Shown::Snoozed => ("status = 'open' AND snoozed_until > $3", "due_at", ">", "due_at, id"),
        Shown::Done => {
            ("status = 'done' AND done_at <= $3", "done_at", "<", "done_at DESC, id DESC")
        }
    };
    let after = match time_cursor(page)? {
        None => String::new(),
        Some((at, id)) => {
            values.extend([at.into(), id.into()]);
            format!("AND ({column}, id) {beyond} ($5, $6)")
        }
    };
    let sql = format!(
        "SELECT * FROM care_tasks WHERE {filter} AND {REACH} {after} ORDER BY {order} LIMIT $4"
    );
    let rows = all(tx, "listing tasks", &sql, values).await?;
    let items = rows.iter().map(|row| task(tx, row)).collect::<Result<Vec<_>>>()?;
    Ok(Page::from_overfetch(items, page, |task| {
        let at = task.ended.as_ref().map_or(task.due_at, |ending| ending.at);
        time_cursor_of(at, task.id.uuid())
    }))
}

/// The open tasks of these kinds about a patient, the oldest first.
pub async fn open_about(
    tx: &mut Tx,
    patient: PatientId,
    of: &[TaskKind],
) -> Result<Vec<(TaskId, i64)>> {
    let rows = all(
        tx,
        "reading the open tasks about a patient",
        "SELECT id, version FROM care_tasks WHERE patient_id = $1 AND status = 'open' \
         AND kind = ANY($2) ORDER BY created_at, id",
        vec![patient.uuid().into(), kinds(of)],
    )
    .await?;
    rows.iter().map(|row| Ok((TaskId(get::<Uuid>(row, "id")?), get(row, "version")?))).collect()
}

/// News of what an open task is about: it counts up, and shows at once.
pub async fn renew(tx: &mut Tx, kind: TaskKind, subject: Uuid) -> Result<Option<TaskId>> {
    let sql = "UPDATE care_tasks SET version = version + 1, snoozed_until = NULL \
         WHERE kind = $1 AND subject_id = $2 AND status = 'open' RETURNING id";
    tx.write();
    let values = vec![kind.to_string().into(), subject.into()];
    let row = query_one(tx, "adding news to a task", sql, values).await?;
    row.map(|row| Ok(TaskId(get::<Uuid>(&row, "id")?))).transpose()
}

fn kinds(of: &[TaskKind]) -> Value {
    of.iter().map(ToString::to_string).collect::<Vec<_>>().into()
}

pub async fn count_open(tx: &mut Tx, provider: ProviderId) -> Result<u64> {
    let row = query_one(
        tx,
        "counting tasks",
        "SELECT count(*) AS open FROM care_tasks WHERE status = 'open' AND provider_id = $1",
        vec![provider.uuid().into()],
    )
    .await?;
    let open: i64 = row.map_or(Ok(0), |row| get(&row, "open"))?;
    u64::try_from(open).map_err(|error| PortError::internal("a count is negative", error))
}

fn task(tx: &Tx, row: &QueryResult) -> Result<Task> {
    let id = TaskId(get::<Uuid>(row, "id")?);
    let state: Option<String> = get(row, "state")?;
    let status: TaskStatus = word(row, "status")?;
    let ended = match status {
        TaskStatus::Open => None,
        TaskStatus::Done => Some(TaskEnding {
            at: get(row, "done_at")?,
            by: get::<Option<Uuid>>(row, "done_by")?.map(ProviderId),
            note: get::<Option<Vec<u8>>>(row, "note")?
                .map(|sealed| tx.unseal_text(NOTE, id, sealed))
                .transpose()?,
        }),
    };
    Ok(Task {
        id,
        kind: word(row, "kind")?,
        provider: get::<Option<Uuid>>(row, "provider_id")?.map(ProviderId),
        patient: PatientId(get::<Uuid>(row, "patient_id")?),
        state: state
            .map(|code| code.parse())
            .transpose()
            .map_err(|error| PortError::internal("a task's state is unknown", error))?,
        subject: get(row, "subject_id")?,
        created_at: get(row, "created_at")?,
        due_at: get(row, "due_at")?,
        snoozed_until: get(row, "snoozed_until")?,
        ended,
        version: get(row, "version")?,
    })
}
