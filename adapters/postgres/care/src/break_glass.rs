//! Charts opened in an emergency.

use care::break_glass::{AccessReview, BreakGlass};
use chrono::{DateTime, Utc};
use kernel::{AccountId, BreakGlassId, Page, PageRequest, PatientId, ProviderId, Uuid};
use ports::Result;
use sea_orm::QueryResult;

use super::{all, get, handover, one as query_one};
use crate::Tx;
use pg::{expect_changed, id_cursor};

const REASON: &str = "care_break_glass.reason";
const NOTE: &str = "care_break_glass.review_note";

/// Holds the pair until the transaction ends, so that of two who break the
/// same glass at once the second finds it broken.
pub async fn lock(tx: &mut Tx, provider: ProviderId, patient: PatientId) -> Result<()> {
    tx.lock("locking an emergency access", format!("break_glass {provider} {patient}")).await
}

pub async fn open(
    tx: &mut Tx,
    provider: ProviderId,
    patient: PatientId,
    now: DateTime<Utc>,
) -> Result<Option<BreakGlass>> {
    let row = query_one(
        tx,
        "looking for an emergency access",
        "SELECT * FROM care_break_glass WHERE provider_id = $1 AND patient_id = $2 \
         AND opened_at <= $3 AND expires_at > $3 ORDER BY expires_at DESC LIMIT 1",
        vec![provider.uuid().into(), patient.uuid().into(), now.into()],
    )
    .await?;
    row.map(|row| glass(tx, &row)).transpose()
}

pub async fn locked(tx: &mut Tx, id: BreakGlassId) -> Result<Option<BreakGlass>> {
    let sql = "SELECT * FROM care_break_glass WHERE id = $1 FOR UPDATE";
    let row = query_one(tx, "loading an emergency access", sql, vec![id.uuid().into()]).await?;
    row.map(|row| glass(tx, &row)).transpose()
}

pub async fn add(tx: &mut Tx, glass: &BreakGlass) -> Result<()> {
    handover::open_until(tx, glass.provider, glass.patient, glass.expires_at).await?;
    let reason = tx.seal(REASON, glass.id, glass.reason.as_bytes())?;
    tx.execute(
        "opening a chart in an emergency",
        "INSERT INTO care_break_glass \
         (id, provider_id, patient_id, reason, opened_at, expires_at) \
         VALUES ($1, $2, $3, $4, $5, $6)",
        [
            glass.id.uuid().into(),
            glass.provider.uuid().into(),
            glass.patient.uuid().into(),
            reason.into(),
            glass.opened_at.into(),
            glass.expires_at.into(),
        ],
    )
    .await
    .map(drop)
}

pub async fn judge(tx: &mut Tx, glass: &BreakGlass) -> Result<()> {
    let Some(review) = &glass.review else { return Ok(()) };
    let note = tx.seal(NOTE, glass.id, review.note.as_bytes())?;
    let saved = tx
        .execute(
            "judging an emergency access",
            "UPDATE care_break_glass SET reviewed_at = $2, reviewed_by = $3, justified = $4, \
             review_note = $5 WHERE id = $1 AND reviewed_at IS NULL",
            [
                glass.id.uuid().into(),
                review.at.into(),
                review.by.uuid().into(),
                review.justified.into(),
                note.into(),
            ],
        )
        .await?;
    expect_changed(saved.rows_affected(), "care_break_glass.reviewed_at")
}

pub async fn page(tx: &mut Tx, pending: bool, page: &PageRequest) -> Result<Page<BreakGlass>> {
    let before = id_cursor(page)?;
    let rows = all(
        tx,
        "listing emergency accesses",
        "SELECT * FROM care_break_glass WHERE ($1::uuid IS NULL OR id < $1) \
         AND (NOT $2 OR reviewed_at IS NULL) ORDER BY id DESC LIMIT $3",
        vec![before.into(), pending.into(), (i64::from(page.limit()) + 1).into()],
    )
    .await?;
    let glasses = rows.iter().map(|row| glass(tx, row)).collect::<Result<Vec<_>>>()?;
    Ok(Page::from_overfetch(glasses, page, |glass| glass.id.to_string()))
}

fn glass(tx: &Tx, row: &QueryResult) -> Result<BreakGlass> {
    let id = BreakGlassId(get::<Uuid>(row, "id")?);
    let reviewed_at: Option<DateTime<Utc>> = get(row, "reviewed_at")?;
    let review = match reviewed_at {
        Some(at) => Some(AccessReview {
            by: AccountId(get::<Uuid>(row, "reviewed_by")?),
            at,
            justified: get(row, "justified")?,
            note: tx.unseal_text(NOTE, id, get(row, "review_note")?)?,
        }),
        None => None,
    };
    Ok(BreakGlass {
        id,
        provider: ProviderId(get::<Uuid>(row, "provider_id")?),
        patient: PatientId(get::<Uuid>(row, "patient_id")?),
        reason: tx.unseal_text(REASON, id, get(row, "reason")?)?,
        opened_at: get(row, "opened_at")?,
        expires_at: get(row, "expires_at")?,
        review,
    })
}
