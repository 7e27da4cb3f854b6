//! Payments.

use billing::{Decline, Lookup, Payment, PaymentState};
use chrono::{DateTime, Utc};
use kernel::{InvoiceId, Page, PageRequest, PatientId, PaymentId, PaymentMethodId, Uuid};
use ports::{PortError, Result};
use sea_orm::{QueryResult, Value};

use super::{REACHED, count, get, lock, money, overfetch, promised, reached};
use crate::Tx;
use pg::{expect_changed, time_cursor, time_cursor_of};

pub async fn one(tx: &Tx, id: PaymentId, lookup: Lookup) -> Result<Option<Payment>> {
    let condition = format!("id = $3 AND {REACHED} {}", lock(lookup));
    Ok(load(tx, &condition, vec![id.uuid().into()]).await?.pop())
}

pub async fn of_intent(tx: &Tx, intent: &str) -> Result<Option<Payment>> {
    let condition = format!("gateway_id = $3 AND {REACHED}");
    Ok(load(tx, &condition, vec![intent.into()]).await?.pop())
}

pub async fn of_invoice(tx: &Tx, invoice: InvoiceId) -> Result<Vec<Payment>> {
    let condition = format!("invoice_id = $3 AND {REACHED} ORDER BY created_at, id");
    load(tx, &condition, vec![invoice.uuid().into()]).await
}

pub async fn of_patient(tx: &Tx, patient: PatientId, page: &PageRequest) -> Result<Page<Payment>> {
    let mut values = vec![patient.uuid().into(), overfetch(page)];
    let mut beyond = "";
    if let Some((at, id)) = time_cursor(page)? {
        beyond = "AND (created_at, id) < ($5, $6)";
        values.extend([at.into(), id.into()]);
    }
    let condition = format!(
        "patient_id = $3 AND {REACHED} {beyond} ORDER BY created_at DESC, id DESC LIMIT $4"
    );
    let items = load(tx, &condition, values).await?;
    Ok(Page::from_overfetch(items, page, |payment| {
        time_cursor_of(payment.created_at, payment.id.uuid())
    }))
}

pub async fn unsettled(tx: &Tx, now: DateTime<Utc>, limit: u32) -> Result<Vec<Payment>> {
    let condition = format!(
        "status IN ('intended', 'processing', 'confirming', 'requires_action') \
         AND check_at <= $3 AND {REACHED} ORDER BY check_at LIMIT $4 FOR UPDATE SKIP LOCKED"
    );
    load(tx, &condition, vec![now.into(), i64::from(limit).into()]).await
}

pub async fn save(tx: &mut Tx, payment: &Payment) -> Result<()> {
    let (decline, ended_at) = match &payment.state {
        PaymentState::Failed { decline, at, .. } => (Some(decline), Some(*at)),
        PaymentState::Succeeded { at, .. } | PaymentState::Canceled { at, .. } => (None, Some(*at)),
        _ => (None, None),
    };
    let number = |value: u32| i32::try_from(value).unwrap_or(i32::MAX);
    let state: [Value; 9] = [
        payment.state.word().into(),
        payment.state.intent().map(str::to_owned).into(),
        decline.map(|decline| decline.code.clone()).into(),
        decline.map(|decline| decline.message.clone()).into(),
        ended_at.into(),
        payment.retry_at.into(),
        payment.check_at.into(),
        number(payment.checks).into(),
        payment.updated_at.into(),
    ];
    if payment.version > 0 {
        let values = state.into_iter().chain([payment.id.uuid().into(), payment.version.into()]);
        let changed = tx
            .execute(
                "saving a payment",
                "UPDATE payments SET status = $1, gateway_id = $2, decline_code = $3, \
                 decline_message = $4, ended_at = $5, retry_at = $6, check_at = $7, \
                 checks = $8, updated_at = $9, version = version + 1 \
                 WHERE id = $10 AND version = $11",
                values.collect::<Vec<_>>(),
            )
            .await?;
        return expect_changed(changed.rows_affected(), "payments");
    }
    let values = state.into_iter().chain([
        payment.id.uuid().into(),
        payment.invoice.uuid().into(),
        payment.patient.uuid().into(),
        payment.method.uuid().into(),
        payment.amount.minor.into(),
        payment.amount.currency.code().into(),
        number(payment.attempt).into(),
        payment.created_at.into(),
    ]);
    tx.execute(
        "adding a payment",
        "INSERT INTO payments (status, gateway_id, decline_code, decline_message, ended_at, \
         retry_at, check_at, checks, updated_at, id, invoice_id, patient_id, \
         payment_method_id, amount, currency, attempt, created_at, version) VALUES ($1, $2, \
         $3, $4, $5, $6, $7, $8, $9, $10, $11, $12, $13, $14, $15, $16, $17, 1)",
        values.collect::<Vec<_>>(),
    )
    .await?;
    Ok(())
}

async fn load(tx: &Tx, condition: &str, values: Vec<Value>) -> Result<Vec<Payment>> {
    let sql = format!("SELECT * FROM payments WHERE {condition}");
    let rows = reached(tx, "loading payments", &sql, values).await?;
    rows.iter().map(payment).collect()
}

fn payment(row: &QueryResult) -> Result<Payment> {
    let status: String = get(row, "status")?;
    let intent = || promised::<String>(row, "gateway_id");
    let at = || promised::<DateTime<Utc>>(row, "ended_at");
    let state = match status.as_str() {
        "intended" => PaymentState::Intended,
        "processing" => PaymentState::Processing { intent: intent()? },
        "confirming" => PaymentState::Confirming { intent: intent()? },
        "requires_action" => PaymentState::RequiresAction { intent: intent()? },
        "succeeded" => PaymentState::Succeeded { intent: intent()?, at: at()? },
        "failed" => PaymentState::Failed {
            intent: get(row, "gateway_id")?,
            decline: Decline::new(
                promised::<String>(row, "decline_code")?,
                promised::<String>(row, "decline_message")?,
            ),
            at: at()?,
        },
        "canceled" => PaymentState::Canceled { intent: get(row, "gateway_id")?, at: at()? },
        other => return Err(PortError::bug(format!("a payment is {other}"))),
    };
    Ok(Payment {
        id: PaymentId(get::<Uuid>(row, "id")?),
        invoice: InvoiceId(get::<Uuid>(row, "invoice_id")?),
        patient: PatientId(get::<Uuid>(row, "patient_id")?),
        method: PaymentMethodId(get::<Uuid>(row, "payment_method_id")?),
        amount: money(row, "amount")?,
        attempt: count(row, "attempt")?,
        state,
        contest: get(row, "contest")?,
        retry_at: get(row, "retry_at")?,
        check_at: get(row, "check_at")?,
        checks: count(row, "checks")?,
        created_at: get(row, "created_at")?,
        updated_at: get(row, "updated_at")?,
        version: get(row, "version")?,
    })
}
