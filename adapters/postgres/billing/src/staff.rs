//! What contests payments, and the tasks of those who look after money.

use billing::{
    contest::{GatewayContest, PaymentContest},
    staff_task::{BillingTask, BillingTaskEnding},
};
use chrono::{DateTime, Utc};
use kernel::{
    AccountId, CategoryId, InvoiceId, Page, PageRequest, PatientId, PaymentId, TaskId, Uuid,
};
use ports::{PortError, Result};
use sea_orm::QueryResult;

use super::{REACHED, get, overfetch, reached};
use crate::Tx;
use pg::{expect_changed, id_cursor};

const NOTE: &str = "billing_tasks.note";

pub async fn contests_of(tx: &Tx, invoice: InvoiceId) -> Result<Vec<PaymentContest>> {
    let sql = format!(
        "SELECT * FROM payment_contests WHERE invoice_id = $3 AND {REACHED} \
         ORDER BY first_seen_at, id"
    );
    let rows =
        reached(tx, "loading what contests a payment", &sql, [invoice.uuid().into()]).await?;
    rows.iter().map(contest).collect()
}

pub async fn contests_about(
    tx: &Tx,
    patient: PatientId,
    category: CategoryId,
) -> Result<Vec<PaymentContest>> {
    let sql = format!(
        "SELECT * FROM payment_contests WHERE invoice_id IN \
         (SELECT id FROM invoices WHERE patient_id = $3 AND category_id = $4) AND {REACHED} \
         ORDER BY first_seen_at, id"
    );
    let values = [patient.uuid().into(), category.uuid().into()];
    let rows = reached(tx, "loading what contests a treatment's payments", &sql, values).await?;
    rows.iter().map(contest).collect()
}

pub async fn save_contest(tx: &mut Tx, contest: &PaymentContest) -> Result<()> {
    let found = &contest.found;
    tx.execute(
        "saving what contests a payment",
        "INSERT INTO payment_contests (id, gateway_id, kind, status, payment_id, invoice_id, \
         patient_id, first_seen_at, updated_at) VALUES ($1, $2, $3, $4, $5, $6, $7, $8, $9) \
         ON CONFLICT (gateway_id) DO UPDATE SET status = EXCLUDED.status, \
         updated_at = EXCLUDED.updated_at",
        [
            contest.id.into(),
            found.id.clone().into(),
            found.kind.to_string().into(),
            found.status.clone().into(),
            contest.payment.uuid().into(),
            contest.invoice.uuid().into(),
            contest.patient.uuid().into(),
            contest.first_seen_at.into(),
            contest.updated_at.into(),
        ],
    )
    .await?;
    tx.execute(
        "marking a contested payment",
        "UPDATE payments SET contest = $2, updated_at = $3 WHERE id = $1",
        [
            contest.payment.uuid().into(),
            format!("{}:{}", found.kind, found.status).into(),
            contest.updated_at.into(),
        ],
    )
    .await?;
    Ok(())
}

pub async fn has_paid(tx: &Tx, patient: PatientId, category: CategoryId) -> Result<bool> {
    let sql = format!(
        "SELECT id FROM invoices WHERE patient_id = $3 AND category_id = $4 \
         AND status = 'paid' AND {REACHED} LIMIT 1"
    );
    let values = [patient.uuid().into(), category.uuid().into()];
    Ok(!reached(tx, "looking for a paid invoice", &sql, values).await?.is_empty())
}

pub async fn add_task(tx: &mut Tx, task: &BillingTask) -> Result<bool> {
    let added = tx
        .execute(
            "adding a task of billing",
            "INSERT INTO billing_tasks (id, kind, patient_id, subject_id, created_at) \
             VALUES ($1, $2, $3, $4, $5) \
             ON CONFLICT (kind, subject_id) WHERE done_at IS NULL DO NOTHING",
            [
                task.id.uuid().into(),
                task.kind.to_string().into(),
                task.patient.uuid().into(),
                task.subject.into(),
                task.created_at.into(),
            ],
        )
        .await?;
    Ok(added.rows_affected() == 1)
}

pub async fn task(tx: &Tx, id: TaskId) -> Result<Option<BillingTask>> {
    let sql = format!("SELECT * FROM billing_tasks WHERE id = $3 AND {REACHED} FOR UPDATE");
    let rows = reached(tx, "loading a task of billing", &sql, [id.uuid().into()]).await?;
    rows.first().map(|row| task_of(tx, row)).transpose()
}

pub async fn open_tasks(tx: &Tx, page: &PageRequest) -> Result<Page<BillingTask>> {
    let mut values = vec![overfetch(page)];
    let mut beyond = "";
    if let Some(after) = id_cursor(page)? {
        beyond = "AND id > $4";
        values.push(after.into());
    }
    let sql = format!(
        "SELECT * FROM billing_tasks WHERE done_at IS NULL AND {REACHED} {beyond} \
         ORDER BY id LIMIT $3"
    );
    let rows = reached(tx, "listing tasks of billing", &sql, values).await?;
    let items = rows.iter().map(|row| task_of(tx, row)).collect::<Result<Vec<_>>>()?;
    Ok(Page::from_overfetch(items, page, |task| task.id.to_string()))
}

pub async fn end_task(tx: &mut Tx, task: &BillingTask) -> Result<()> {
    let ended = task.ended.as_ref().ok_or_else(|| PortError::bug("a task that is not done"))?;
    let note = tx.seal(NOTE, task.id, ended.note.as_bytes())?;
    let saved = tx
        .execute(
            "ending a task of billing",
            "UPDATE billing_tasks SET done_at = $2, done_by = $3, note = $4 \
             WHERE id = $1 AND done_at IS NULL",
            [task.id.uuid().into(), ended.at.into(), ended.by.uuid().into(), note.into()],
        )
        .await?;
    expect_changed(saved.rows_affected(), "billing_tasks")
}

fn contest(row: &QueryResult) -> Result<PaymentContest> {
    let kind: String = get(row, "kind")?;
    let kind = kind
        .parse()
        .map_err(|error| PortError::internal("what contests a payment is unknown", error))?;
    Ok(PaymentContest {
        id: get(row, "id")?,
        found: GatewayContest { id: get(row, "gateway_id")?, kind, status: get(row, "status")? },
        payment: PaymentId(get::<Uuid>(row, "payment_id")?),
        invoice: InvoiceId(get::<Uuid>(row, "invoice_id")?),
        patient: PatientId(get::<Uuid>(row, "patient_id")?),
        first_seen_at: get(row, "first_seen_at")?,
        updated_at: get(row, "updated_at")?,
    })
}

fn task_of(tx: &Tx, row: &QueryResult) -> Result<BillingTask> {
    let id = TaskId(get::<Uuid>(row, "id")?);
    let kind: String = get(row, "kind")?;
    let ended = match get::<Option<DateTime<Utc>>>(row, "done_at")? {
        None => None,
        Some(at) => Some(BillingTaskEnding {
            at,
            by: AccountId(get::<Uuid>(row, "done_by")?),
            note: tx.unseal_text(NOTE, id, get(row, "note")?)?,
        }),
    };
    Ok(BillingTask {
        id,
        kind: kind
            .parse()
            .map_err(|error| PortError::internal("a task's kind is unknown", error))?,
        patient: PatientId(get::<Uuid>(row, "patient_id")?),
        subject: get(row, "subject_id")?,
        created_at: get(row, "created_at")?,
        ended,
    })
}
