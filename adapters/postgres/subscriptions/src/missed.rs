//! Periods that were missed.

use ::subscriptions::{
    Period,
    missed::{DecidedPeriod, MissedDecision, MissedPeriod},
};
use kernel::{AccountId, CategoryId, Page, PageRequest, PatientId, SubscriptionId, Uuid};
use ports::{PortError, Result};
use sea_orm::{
    ActiveValue::Set, IntoActiveModel as _, QueryTrait as _, entity::prelude::*,
    sea_query::OnConflict,
};

use super::stored;
use pg::{PgTx, cursor, db, expect_changed};

#[derive(Clone, Debug, PartialEq, Eq, DeriveEntityModel)]
#[sea_orm(table_name = "subscription_missed_periods")]
pub struct Model {
    #[sea_orm(primary_key, auto_increment = false)]
    pub subscription_id: SubscriptionId,
    #[sea_orm(primary_key, auto_increment = false)]
    pub period_index: i32,
    pub patient_id: PatientId,
    pub category_id: CategoryId,
    pub starts_at: ChronoDateTimeUtc,
    pub ends_at: ChronoDateTimeUtc,
    pub noted_at: ChronoDateTimeUtc,
    pub decision: Option<MissedDecision>,
    pub decided_at: Option<ChronoDateTimeUtc>,
    pub decided_by: Option<AccountId>,
    /// Sealed.
    pub reason: Option<Vec<u8>>,
}

#[derive(Copy, Clone, Debug, EnumIter, DeriveRelation)]
pub enum Relation {}

impl ActiveModelBehavior for ActiveModel {}

pub async fn add(tx: &mut PgTx, missed: &MissedPeriod) -> Result<()> {
    let row = Model {
        subscription_id: missed.subscription,
        period_index: stored(missed.period.index),
        patient_id: missed.patient,
        category_id: missed.category,
        starts_at: missed.period.start,
        ends_at: missed.period.end,
        noted_at: missed.noted_at,
        decision: None,
        decided_at: None,
        decided_by: None,
        reason: None,
    };
    let insert = Entity::insert(row.into_active_model().reset_all())
        .on_conflict(OnConflict::new().do_nothing().to_owned())
        .into_query();
    tx.change("noting a missed period", insert).await.map(drop)
}

pub async fn one(tx: &PgTx, id: SubscriptionId, number: u32) -> Result<Option<MissedPeriod>> {
    // No period has a number beyond what the column holds.
    let Ok(number) = i32::try_from(number) else { return Ok(None) };
    let row = Entity::find_by_id((id, number)).one(tx.read()).await;
    let row = row.map_err(|error| db("reading a missed period", error))?;
    row.map(|row| read(tx, row)).transpose()
}

/// Those without a decision.
pub async fn open(tx: &PgTx, page: &PageRequest) -> Result<Page<MissedPeriod>> {
    let last = cursor(page, |text| {
        let (id, number) = text.split_once('/')?;
        Some((id.parse::<Uuid>().ok()?, number.parse::<i32>().ok()?))
    })?;
    let mut found = Entity::find()
        .filter(Column::Decision.is_null())
        .cursor_by((Column::SubscriptionId, Column::PeriodIndex));
    if let Some(last) = last {
        found.after(last);
    }
    let rows = found.first(u64::from(page.limit()) + 1).all(tx.read()).await;
    let rows = rows.map_err(|error| db("reading missed periods", error))?;
    let items = rows.into_iter().map(|row| read(tx, row)).collect::<Result<Vec<_>>>()?;
    Ok(Page::from_overfetch(items, page, |last| {
        format!("{}/{}", last.subscription, last.period.index)
    }))
}

pub async fn decide(tx: &mut PgTx, missed: &MissedPeriod) -> Result<()> {
    let decided = missed.decided.as_ref().ok_or_else(|| PortError::bug("nothing was decided"))?;
    let index = stored(missed.period.index);
    let reason = tx.seal(&place(index), missed.subscription, decided.reason.as_bytes())?;
    let row = ActiveModel {
        decision: Set(Some(decided.decision)),
        decided_at: Set(Some(decided.at)),
        decided_by: Set(Some(decided.by)),
        reason: Set(Some(reason)),
        ..Default::default()
    };
    let update = Entity::update_many()
        .set(row)
        .filter(Column::SubscriptionId.eq(missed.subscription))
        .filter(Column::PeriodIndex.eq(index))
        .filter(Column::Decision.is_null())
        .into_query();
    let saved = tx.change("deciding about a missed period", update).await?;
    expect_changed(saved, "subscription_missed_periods")
}

/// What a sealed reason is bound to beside the subscription.
fn place(index: i32) -> String {
    format!("subscription_missed_periods.reason/{index}")
}

fn read(tx: &PgTx, row: Model) -> Result<MissedPeriod> {
    let subscription = row.subscription_id;
    let decided = match (row.decision, row.decided_at, row.decided_by, row.reason) {
        (Some(decision), Some(at), Some(by), Some(reason)) => {
            let reason = tx.unseal_text(&place(row.period_index), subscription, reason)?;
            Some(DecidedPeriod { decision, at, by, reason })
        }
        _ => None,
    };
    Ok(MissedPeriod {
        subscription,
        patient: row.patient_id,
        category: row.category_id,
        period: Period {
            index: row.period_index.unsigned_abs(),
            start: row.starts_at,
            end: row.ends_at,
        },
        noted_at: row.noted_at,
        decided,
    })
}
