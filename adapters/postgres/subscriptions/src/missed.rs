//! Periods that were missed.

use chrono::{DateTime, Utc};
use kernel::{AccountId, Page, PageRequest, SubscriptionId, Uuid};
use ports::{PortError, Result};
use sea_orm::{ConnectionTrait as _, DbBackend, QueryResult, Statement, TryGetable, Value};
use subscriptions::{
    Period,
    missed::{DecidedPeriod, MissedPeriod},
};

use crate::Tx;
use pg::{cursor, db, expect_changed};

fn index(value: u32) -> Result<i32> {
    i32::try_from(value).map_err(|error| PortError::internal("the index of a period", error))
}

pub async fn add(tx: &mut Tx, missed: &MissedPeriod) -> Result<()> {
    tx.execute(
        "noting a missed period",
        "INSERT INTO subscription_missed_periods (subscription_id, period_index, patient_id, \
         category_id, starts_at, ends_at, noted_at) VALUES ($1, $2, $3, $4, $5, $6, $7) \
         ON CONFLICT DO NOTHING",
        [
            missed.subscription.uuid().into(),
            index(missed.period.index)?.into(),
            missed.patient.uuid().into(),
            missed.category.uuid().into(),
            missed.period.start.into(),
            missed.period.end.into(),
            missed.noted_at.into(),
        ],
    )
    .await?;
    Ok(())
}

pub async fn one(tx: &Tx, id: SubscriptionId, number: u32) -> Result<Option<MissedPeriod>> {
    let sql = "SELECT * FROM subscription_missed_periods \
               WHERE subscription_id = $1 AND period_index = $2";
    // No period has a number beyond what the column holds.
    let Ok(number) = i32::try_from(number) else { return Ok(None) };
    let rows = all(tx, sql, vec![id.uuid().into(), number.into()]).await?;
    rows.first().map(|row| read(tx, row)).transpose()
}

/// Those without a decision, the first noted first.
pub async fn open(tx: &Tx, page: &PageRequest) -> Result<Page<MissedPeriod>> {
    let mut values: Vec<Value> = vec![i64::from(page.limit() + 1).into()];
    let mut beyond = "";
    let last = cursor(page, |text| {
        let (id, number) = text.split_once('/')?;
        Some((id.parse::<Uuid>().ok()?, number.parse::<i32>().ok()?))
    })?;
    if let Some((id, number)) = last {
        beyond = "AND (subscription_id, period_index) > ($2, $3)";
        values.extend([id.into(), number.into()]);
    }
    let sql = format!(
        "SELECT * FROM subscription_missed_periods WHERE decision IS NULL {beyond} \
         ORDER BY subscription_id, period_index LIMIT $1"
    );
    let rows = all(tx, &sql, values).await?;
    let items = rows.iter().map(|row| read(tx, row)).collect::<Result<Vec<_>>>()?;
    Ok(Page::from_overfetch(items, page, |last| {
        format!("{}/{}", last.subscription, last.period.index)
    }))
}

pub async fn decide(tx: &mut Tx, missed: &MissedPeriod) -> Result<()> {
    let decided = missed.decided.as_ref().ok_or_else(|| PortError::bug("nothing was decided"))?;
    let column = column(missed.period.index);
    let reason = tx.seal(&column, missed.subscription, decided.reason.as_bytes())?;
    let saved = tx
        .execute(
            "deciding about a missed period",
            "UPDATE subscription_missed_periods SET decision = $3, decided_at = $4, \
             decided_by = $5, reason = $6 \
             WHERE subscription_id = $1 AND period_index = $2 AND decision IS NULL",
            [
                missed.subscription.uuid().into(),
                index(missed.period.index)?.into(),
                decided.decision.to_string().into(),
                decided.at.into(),
                decided.by.uuid().into(),
                reason.into(),
            ],
        )
        .await?;
    expect_changed(saved.rows_affected(), "subscription_missed_periods")
}

/// What a sealed reason is bound to beside the subscription.
fn column(index: u32) -> String {
    format!("subscription_missed_periods.reason/{index}")
}

async fn all(tx: &Tx, sql: &str, values: Vec<Value>) -> Result<Vec<QueryResult>> {
    let statement = Statement::from_sql_and_values(DbBackend::Postgres, sql, values);
    let doing = "reading missed periods";
    tx.read().query_all_raw(statement).await.map_err(|error| db(doing, error))
}

fn get<T: TryGetable>(row: &QueryResult, column: &str) -> Result<T> {
    row.try_get("", column).map_err(|error| db("reading a missed period", error))
}

fn read(tx: &Tx, row: &QueryResult) -> Result<MissedPeriod> {
    let subscription = SubscriptionId(get::<Uuid>(row, "subscription_id")?);
    let index = get::<i32>(row, "period_index")?.unsigned_abs();
    let decided = match get::<Option<String>>(row, "decision")? {
        None => None,
        Some(decision) => Some(DecidedPeriod {
            decision: decision
                .parse()
                .map_err(|error| PortError::internal("a decision is unknown", error))?,
            at: get::<DateTime<Utc>>(row, "decided_at")?,
            by: AccountId(get::<Uuid>(row, "decided_by")?),
            reason: tx.unseal_text(&column(index), subscription, get(row, "reason")?)?,
        }),
    };
    Ok(MissedPeriod {
        subscription,
        patient: get::<Uuid>(row, "patient_id")?.into(),
        category: get::<Uuid>(row, "category_id")?.into(),
        period: Period { index, start: get(row, "starts_at")?, end: get(row, "ends_at")? },
        noted_at: get(row, "noted_at")?,
        decided,
    })
}
