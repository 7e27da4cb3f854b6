//! Invoices with their lines, and the series of their numbers.

use std::collections::HashMap;

use billing::{
    Invoice, InvoiceLine, InvoiceNumber, InvoiceState, Lookup, Period, invoice::Finalized,
};
use chrono::{DateTime, Utc};
use kernel::{
    CategoryId, Currency, InvoiceId, Money, Page, PageRequest, PatientId, SubscriptionId, Uuid,
};
use ports::{PortError, Result};
use sea_orm::{ConnectionTrait as _, DbBackend, QueryResult, Statement, Value};

use super::{REACHED, get, lock, money, overfetch, promised, reached, word};
use crate::Tx;
use pg::{cursor, db, expect_changed};

const PARTIES: &str = "invoices.parties";

pub async fn one(tx: &Tx, id: InvoiceId, lookup: Lookup) -> Result<Option<Invoice>> {
    let condition = format!("id = $3 AND {REACHED} {}", lock(lookup));
    Ok(load(tx, &condition, vec![id.uuid().into()]).await?.pop())
}

pub async fn of_period(
    tx: &Tx,
    subscription: SubscriptionId,
    start: DateTime<Utc>,
) -> Result<Option<Invoice>> {
    let condition = format!("subscription_id = $3 AND period_start = $4 AND {REACHED}");
    Ok(load(tx, &condition, vec![subscription.uuid().into(), start.into()]).await?.pop())
}

pub async fn open(tx: &Tx, patient: PatientId) -> Result<Vec<Invoice>> {
    let condition = format!(
        "patient_id = $3 AND status = 'open' AND {REACHED} \
         AND NOT EXISTS (SELECT 1 FROM billing_ended_subscriptions ended \
             WHERE ended.subscription_id = invoices.subscription_id) \
         ORDER BY finalized_at, number"
    );
    load(tx, &condition, vec![patient.uuid().into()]).await
}

pub async fn lock_open(tx: &Tx, subscription: SubscriptionId) -> Result<Vec<Invoice>> {
    let condition = format!(
        "subscription_id = $3 AND status = 'open' AND {REACHED} ORDER BY finalized_at, number \
         FOR UPDATE"
    );
    load(tx, &condition, vec![subscription.uuid().into()]).await
}

pub async fn of_patient(tx: &Tx, patient: PatientId, page: &PageRequest) -> Result<Page<Invoice>> {
    let before = cursor(page, |number| number.parse().ok())?;
    let condition =
        format!("patient_id = $3 AND number < $4 AND {REACHED} ORDER BY number DESC LIMIT $5");
    let values = vec![patient.uuid().into(), before.unwrap_or(i64::MAX).into(), overfetch(page)];
    let items = load(tx, &condition, values).await?;
    Ok(Page::from_overfetch(items, page, |invoice| {
        invoice.finalized.as_ref().map_or(0, |finalized| finalized.number.0).to_string()
    }))
}

pub async fn uncharged(tx: &Tx, since: DateTime<Utc>, limit: u32) -> Result<Vec<InvoiceId>> {
    let sql = "SELECT invoice.id FROM invoices invoice \
         JOIN payment_methods method ON method.patient_id = invoice.patient_id \
             AND method.is_default AND method.status = 'active' \
         WHERE ($1 OR invoice.patient_id = $2) AND invoice.status = 'open' \
         AND invoice.finalized_at <= $3 \
         AND NOT EXISTS (SELECT 1 FROM payments WHERE payments.invoice_id = invoice.id \
             AND payments.status NOT IN ('failed', 'canceled')) \
         AND coalesce((SELECT last.retry_at IS NOT NULL AND last.retry_at <= $3 \
             FROM payments last WHERE last.invoice_id = invoice.id \
             AND last.payment_method_id = method.id AND last.status = 'failed' \
             ORDER BY last.attempt DESC LIMIT 1), true) \
         ORDER BY invoice.finalized_at LIMIT $4";
    let values = [since.into(), i64::from(limit).into()];
    let rows = reached(tx, "looking for uncharged invoices", sql, values).await?;
    rows.iter().map(|row| Ok(InvoiceId(get::<Uuid>(row, "id")?))).collect()
}

pub async fn next_number(tx: &mut Tx) -> Result<InvoiceNumber> {
    let doing = "taking the next number of an invoice";
    let statement = Statement::from_string(
        DbBackend::Postgres,
        "UPDATE invoice_series SET last_number = last_number + 1 WHERE name = 'SAL' \
         RETURNING last_number",
    );
    let row = tx.write().query_one_raw(statement).await.map_err(|error| db(doing, error))?;
    let row = row.ok_or_else(|| PortError::bug("the series of invoices has no row"))?;
    Ok(InvoiceNumber(get(&row, "last_number")?))
}

pub async fn save(tx: &mut Tx, invoice: &Invoice) -> Result<()> {
    let finalized = invoice.finalized.as_ref();
    let parties = finalized
        .map(|finalized| {
            let plain = serde_json::to_vec(&finalized.parties)
                .map_err(|error| PortError::internal("the parties do not write", error))?;
            tx.seal(PARTIES, invoice.id, &plain)
        })
        .transpose()?;
    let status_at = match invoice.state {
        InvoiceState::Draft | InvoiceState::Open => None,
        InvoiceState::Paid { at }
        | InvoiceState::Void { at }
        | InvoiceState::Uncollectible { at } => Some(at),
    };
    let state: [Value; 6] = [
        invoice.state.word().into(),
        status_at.into(),
        finalized.map(|finalized| finalized.number.0).into(),
        finalized.map(|finalized| finalized.at).into(),
        parties.into(),
        invoice.total.minor.into(),
    ];
    if invoice.version > 0 {
        let values = state.into_iter().chain([invoice.id.uuid().into(), invoice.version.into()]);
        let changed = tx
            .execute(
                "saving an invoice",
                "UPDATE invoices SET status = $1, status_at = $2, number = $3, \
                 finalized_at = $4, parties = $5, total = $6, version = version + 1 \
                 WHERE id = $7 AND version = $8",
                values.collect::<Vec<_>>(),
            )
            .await?;
        return expect_changed(changed.rows_affected(), "invoices");
    }
    let values = state.into_iter().chain([
        invoice.id.uuid().into(),
        invoice.patient.uuid().into(),
        invoice.subscription.uuid().into(),
        invoice.category.uuid().into(),
        invoice.period.start.into(),
        invoice.period.end.into(),
        invoice.period.zone.name().into(),
        invoice.total.currency.code().into(),
        invoice.created_at.into(),
    ]);
    tx.execute(
        "adding an invoice",
        "INSERT INTO invoices (status, status_at, number, finalized_at, parties, total, id, \
         patient_id, subscription_id, category_id, period_start, period_end, time_zone, \
         currency, created_at, version) \
         VALUES ($1, $2, $3, $4, $5, $6, $7, $8, $9, $10, $11, $12, $13, $14, $15, 1)",
        values.collect::<Vec<_>>(),
    )
    .await?;
    for (position, line) in (1i16..).zip(&invoice.lines) {
        tx.execute(
            "adding a line of an invoice",
            "INSERT INTO invoice_lines (invoice_id, position, patient_id, description, \
             quantity, unit_price, amount) VALUES ($1, $2, $3, $4, $5, $6, $7)",
            [
                invoice.id.uuid().into(),
                position.into(),
                invoice.patient.uuid().into(),
                line.description.clone().into(),
                line.quantity.into(),
                line.unit_price.minor.into(),
                line.amount.minor.into(),
            ],
        )
        .await?;
    }
    Ok(())
}

/// Loads the invoices that meet a condition, and then the lines of all.
async fn load(tx: &Tx, condition: &str, values: Vec<Value>) -> Result<Vec<Invoice>> {
    let sql = format!("SELECT * FROM invoices WHERE {condition}");
    let rows = reached(tx, "loading invoices", &sql, values).await?;
    let mut invoices = rows.iter().map(|row| invoice(tx, row)).collect::<Result<Vec<Invoice>>>()?;
    let ids: Vec<Uuid> = invoices.iter().map(|invoice| invoice.id.uuid()).collect();
    let sql = format!(
        "SELECT * FROM invoice_lines WHERE invoice_id = ANY($3) AND {REACHED} \
         ORDER BY invoice_id, position"
    );
    let mut lines: HashMap<Uuid, Vec<QueryResult>> = HashMap::new();
    for row in reached(tx, "loading the lines of invoices", &sql, [ids.into()]).await? {
        lines.entry(get(&row, "invoice_id")?).or_default().push(row);
    }
    for invoice in &mut invoices {
        let rows = lines.remove(&invoice.id.uuid()).unwrap_or_default();
        let currency = invoice.total.currency;
        invoice.lines = rows.iter().map(|row| line(row, currency)).collect::<Result<_>>()?;
    }
    Ok(invoices)
}

fn invoice(tx: &Tx, row: &QueryResult) -> Result<Invoice> {
    let id = InvoiceId(get::<Uuid>(row, "id")?);
    let status: String = get(row, "status")?;
    let at = || promised(row, "status_at");
    let state = match status.as_str() {
        "draft" => InvoiceState::Draft,
        "open" => InvoiceState::Open,
        "paid" => InvoiceState::Paid { at: at()? },
        "void" => InvoiceState::Void { at: at()? },
        "uncollectible" => InvoiceState::Uncollectible { at: at()? },
        other => return Err(PortError::bug(format!("an invoice is {other}"))),
    };
    let finalized = match get::<Option<i64>>(row, "number")? {
        None => None,
        Some(number) => {
            let plain = tx.unseal(PARTIES, id, promised(row, "parties")?)?;
            Some(Finalized {
                number: InvoiceNumber(number),
                at: promised(row, "finalized_at")?,
                parties: serde_json::from_slice(&plain)
                    .map_err(|error| PortError::internal("the parties do not read", error))?,
            })
        }
    };
    Ok(Invoice {
        id,
        patient: PatientId(get::<Uuid>(row, "patient_id")?),
        subscription: SubscriptionId(get::<Uuid>(row, "subscription_id")?),
        category: CategoryId(get::<Uuid>(row, "category_id")?),
        period: Period {
            start: get(row, "period_start")?,
            end: get(row, "period_end")?,
            zone: word(row, "time_zone")?,
        },
        lines: Vec::new(),
        total: money(row, "total")?,
        state,
        finalized,
        created_at: get(row, "created_at")?,
        version: get(row, "version")?,
    })
}

fn line(row: &QueryResult, currency: Currency) -> Result<InvoiceLine> {
    Ok(InvoiceLine {
        description: get(row, "description")?,
        quantity: get(row, "quantity")?,
        unit_price: Money::new(get(row, "unit_price")?, currency),
        amount: Money::new(get(row, "amount")?, currency),
    })
}
