//! Provider tasks.

use care::Task;
use kernel::{Page, PageRequest, PatientId, ProviderId, TaskId, UsState, Uuid};
use ports::{PortError, Result};
use sea_orm::{QueryResult, Value};

use super::{all, codes, get, one, word};
use crate::core::{PgTx, time_cursor, time_cursor_of};

pub async fn add(tx: &mut PgTx, task: &Task) -> Result<bool> {
    let added = tx
        .execute(
            "adding a task",
            "INSERT INTO care_tasks (id, kind, provider_id, patient_id, state, subject_id, \
             status, created_at, due_at) VALUES ($1, $2, $3, $4, $5, $6, $7, $8, $9) \
             ON CONFLICT ON CONSTRAINT care_tasks_subject DO NOTHING",
            [
                task.id.uuid().into(),
                task.kind.to_string().into(),
                task.provider.map(ProviderId::uuid).into(),
                task.patient.uuid().into(),
                task.state.map(|state| state.to_string()).into(),
                task.subject.into(),
                task.status.to_string().into(),
                task.created_at.into(),
                task.due_at.into(),
            ],
        )
        .await?;
    Ok(added.rows_affected() == 1)
}

pub async fn open(
    tx: &mut PgTx,
    provider: ProviderId,
    states: &[UsState],
    page: &PageRequest,
) -> Result<Page<Task>> {
    let mut values: Vec<Value> =
        vec![provider.uuid().into(), codes(states), i64::from(page.limit() + 1).into()];
    let mut beyond = "";
    if let Some((due, id)) = time_cursor(page)? {
        beyond = "AND (due_at, id) > ($4, $5)";
        values.extend([due.into(), id.into()]);
    }
    let sql = format!(
        "SELECT * FROM care_tasks WHERE status = 'open' \
         AND (provider_id = $1 OR (provider_id IS NULL AND state = ANY($2))) {beyond} \
         ORDER BY due_at, id LIMIT $3"
    );
    let rows = all(tx, "listing tasks", &sql, values).await?;
    let items = rows.iter().map(task).collect::<Result<Vec<_>>>()?;
    Ok(Page::from_overfetch(items, page, |task| time_cursor_of(task.due_at, task.id.uuid())))
}

pub async fn count_open(tx: &mut PgTx, provider: ProviderId) -> Result<u64> {
    let row = one(
        tx,
        "counting tasks",
        "SELECT count(*) AS open FROM care_tasks WHERE status = 'open' AND provider_id = $1",
        vec![provider.uuid().into()],
    )
    .await?;
    let open: i64 = row.map_or(Ok(0), |row| get(&row, "open"))?;
    u64::try_from(open).map_err(|error| PortError::internal("a count is negative", error))
}

fn task(row: &QueryResult) -> Result<Task> {
    let state: Option<String> = get(row, "state")?;
    Ok(Task {
        id: TaskId(get::<Uuid>(row, "id")?),
        kind: word(row, "kind")?,
        provider: get::<Option<Uuid>>(row, "provider_id")?.map(ProviderId),
        patient: PatientId(get::<Uuid>(row, "patient_id")?),
        state: state
            .map(|code| code.parse())
            .transpose()
            .map_err(|error| PortError::internal("a task's state is unknown", error))?,
        subject: get(row, "subject_id")?,
        status: word(row, "status")?,
        created_at: get(row, "created_at")?,
        due_at: get(row, "due_at")?,
    })
}
