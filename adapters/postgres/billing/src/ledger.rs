//! The ledger.

use std::collections::HashMap;

use billing::{LedgerTransaction, Posting};
use kernel::{InvoiceId, Page, PageRequest, PatientId, PaymentId, Uuid};
use ports::{PortError, Result};
use sea_orm::QueryResult;

use super::{REACHED, get, money, overfetch, reached, word};
use crate::Tx;
use pg::{time_cursor, time_cursor_of};

pub async fn post(tx: &mut Tx, transaction: &LedgerTransaction) -> Result<()> {
    if !transaction.is_balanced() {
        return Err(PortError::bug("a ledger transaction does not balance"));
    }
    tx.execute(
        "posting to the ledger",
        "INSERT INTO ledger_transactions \
         (id, kind, patient_id, invoice_id, payment_id, occurred_at) \
         VALUES ($1, $2, $3, $4, $5, $6)",
        [
            transaction.id.into(),
            transaction.kind.to_string().into(),
            transaction.patient.uuid().into(),
            transaction.invoice.uuid().into(),
            transaction.payment.map(PaymentId::uuid).into(),
            transaction.occurred_at.into(),
        ],
    )
    .await?;
    for (position, posting) in (1i16..).zip(&transaction.postings) {
        tx.execute(
            "posting to an account",
            "INSERT INTO ledger_postings \
             (transaction_id, position, patient_id, account, side, amount, currency) \
             VALUES ($1, $2, $3, $4, $5, $6, $7)",
            [
                transaction.id.into(),
                position.into(),
                transaction.patient.uuid().into(),
                posting.account.to_string().into(),
                posting.side.to_string().into(),
                posting.amount.minor.into(),
                posting.amount.currency.code().into(),
            ],
        )
        .await?;
    }
    Ok(())
}

pub async fn of_patient(
    tx: &Tx,
    patient: PatientId,
    page: &PageRequest,
) -> Result<Page<LedgerTransaction>> {
    let mut values = vec![patient.uuid().into(), overfetch(page)];
    let mut beyond = "";
    if let Some((at, id)) = time_cursor(page)? {
        beyond = "AND (occurred_at, id) < ($5, $6)";
        values.extend([at.into(), id.into()]);
    }
    let sql = format!(
        "SELECT * FROM ledger_transactions WHERE patient_id = $3 AND {REACHED} {beyond} \
         ORDER BY occurred_at DESC, id DESC LIMIT $4"
    );
    let rows = reached(tx, "reading the ledger", &sql, values).await?;
    let mut items = rows.iter().map(transaction).collect::<Result<Vec<LedgerTransaction>>>()?;
    let ids: Vec<Uuid> = items.iter().map(|transaction| transaction.id).collect();
    let sql = format!(
        "SELECT * FROM ledger_postings WHERE transaction_id = ANY($3) AND {REACHED} \
         ORDER BY transaction_id, position"
    );
    let mut postings: HashMap<Uuid, Vec<Posting>> = HashMap::new();
    for row in reached(tx, "reading the postings", &sql, [ids.into()]).await? {
        postings.entry(get(&row, "transaction_id")?).or_default().push(posting(&row)?);
    }
    for item in &mut items {
        item.postings = postings.remove(&item.id).unwrap_or_default();
    }
    Ok(Page::from_overfetch(items, page, |item| time_cursor_of(item.occurred_at, item.id)))
}

fn transaction(row: &QueryResult) -> Result<LedgerTransaction> {
    Ok(LedgerTransaction {
        id: get(row, "id")?,
        kind: word(row, "kind")?,
        patient: PatientId(get::<Uuid>(row, "patient_id")?),
        invoice: InvoiceId(get::<Uuid>(row, "invoice_id")?),
        payment: get::<Option<Uuid>>(row, "payment_id")?.map(PaymentId),
        postings: Vec::new(),
        occurred_at: get(row, "occurred_at")?,
    })
}

fn posting(row: &QueryResult) -> Result<Posting> {
    Ok(Posting {
        account: word(row, "account")?,
        side: word(row, "side")?,
        amount: money(row, "amount")?,
    })
}
