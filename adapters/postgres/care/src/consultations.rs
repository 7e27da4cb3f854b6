//! Video consultations.

use care::{Consultation, ConsultationStatus, Reach};
use chrono::{DateTime, Utc};
use kernel::{CategoryId, ConsultationId, Page, PageRequest, PatientId, ProviderId, Uuid};
use ports::Result;
use sea_orm::{QueryResult, Value};

use super::{all, get, handover, one as query_one, word};
use crate::Tx;
use pg::{expect_changed, time_cursor, time_cursor_of};

const NOTES: &str = "care_consultations.notes";

/// A consultation belongs to the two who meet, whoever else treats the patient.
fn within(reach: &Reach) -> (&'static str, Vec<Value>) {
    match reach {
        Reach::Nobody => ("false", vec![]),
        Reach::All => ("true", vec![]),
        Reach::Patient(patient) => ("patient_id = $1", vec![patient.uuid().into()]),
        Reach::Provider { provider, .. } => ("provider_id = $1", vec![provider.uuid().into()]),
    }
}

pub async fn one(tx: &mut Tx, id: ConsultationId, reach: &Reach) -> Result<Option<Consultation>> {
    let (within, mut values) = within(reach);
    values.push(id.uuid().into());
    let sql = format!("SELECT * FROM care_consultations WHERE {within} AND id = ${}", values.len());
    let row = query_one(tx, "loading a consultation", &sql, values).await?;
    row.map(|row| consultation(tx, &row)).transpose()
}

pub async fn list(
    tx: &mut Tx,
    reach: &Reach,
    status: Option<ConsultationStatus>,
    page: &PageRequest,
) -> Result<Page<Consultation>> {
    let (within, mut values) = within(reach);
    let mut filter = String::new();
    if let Some(status) = status {
        values.push(status.to_string().into());
        filter.push_str(&format!("AND status = ${} ", values.len()));
    }
    if let Some((at, id)) = time_cursor(page)? {
        values.extend([at.into(), id.into()]);
        let (at, id) = (values.len() - 1, values.len());
        filter.push_str(&format!("AND (starts_at, id) < (${at}, ${id}) "));
    }
    values.push(i64::from(page.limit() + 1).into());
    let sql = format!(
        "SELECT * FROM care_consultations WHERE {within} {filter} \
         ORDER BY starts_at DESC, id DESC LIMIT ${}",
        values.len()
    );
    let rows = all(tx, "listing consultations", &sql, values).await?;
    let items = rows.iter().map(|row| consultation(tx, row)).collect::<Result<Vec<_>>>()?;
    Ok(Page::from_overfetch(items, page, |last| time_cursor_of(last.starts_at, last.id.uuid())))
}

pub async fn in_room(tx: &mut Tx, room: &str) -> Result<Option<Consultation>> {
    let row = query_one(
        tx,
        "finding a consultation by its room",
        "SELECT * FROM care_consultations WHERE room = $1",
        vec![room.into()],
    )
    .await?;
    row.map(|row| consultation(tx, &row)).transpose()
}

pub async fn since(
    tx: &mut Tx,
    patient: PatientId,
    since: DateTime<Utc>,
) -> Result<Vec<Consultation>> {
    let rows = all(
        tx,
        "reading the later consultations of a patient",
        "SELECT * FROM care_consultations WHERE patient_id = $1 AND starts_at >= $2",
        vec![patient.uuid().into(), since.into()],
    )
    .await?;
    rows.iter().map(|row| consultation(tx, row)).collect()
}

pub async fn ahead(tx: &mut Tx, patient: PatientId, now: DateTime<Utc>) -> Result<u64> {
    tx.lock("waiting for a patient's bookings", format!("booking/{patient}")).await?;
    let row = query_one(
        tx,
        "counting the bookings of a patient",
        "SELECT count(*) AS ahead FROM care_consultations \
         WHERE patient_id = $1 AND status = 'scheduled' AND starts_at > $2",
        vec![patient.uuid().into(), now.into()],
    )
    .await?;
    let counted = row.map(|row| get::<i64>(&row, "ahead")).transpose()?;
    Ok(counted.and_then(|count| u64::try_from(count).ok()).unwrap_or_default())
}

pub async fn add(tx: &mut Tx, consultation: &Consultation) -> Result<()> {
    handover::hold_off(tx, consultation.patient).await?;
    let notes = sealed_notes(tx, consultation)?;
    tx.execute(
        "adding a consultation",
        "INSERT INTO care_consultations (id, patient_id, provider_id, category_id, state, \
         starts_at, status, room, notes, version) \
         VALUES ($1, $2, $3, $4, $5, $6, $7, $8, $9, $10)",
        [
            consultation.id.uuid().into(),
            consultation.patient.uuid().into(),
            consultation.provider.uuid().into(),
            consultation.category.map(CategoryId::uuid).into(),
            consultation.state.to_string().into(),
            consultation.starts_at.into(),
            consultation.status.to_string().into(),
            consultation.room.clone().into(),
            notes.into(),
            consultation.version.into(),
        ],
    )
    .await?;
    handover::rejoin(tx, consultation.provider, consultation.patient).await
}

pub async fn save(tx: &mut Tx, consultation: &Consultation) -> Result<()> {
    let notes = sealed_notes(tx, consultation)?;
    let saved = tx
        .execute(
            "saving a consultation",
            "UPDATE care_consultations SET status = $3, room = $4, notes = $5, \
             began_at = $6, ended_at = $7, version = version + 1 \
             WHERE id = $1 AND version = $2",
            [
                consultation.id.uuid().into(),
                consultation.version.into(),
                consultation.status.to_string().into(),
                consultation.room.clone().into(),
                notes.into(),
                consultation.began_at.into(),
                consultation.ended_at.into(),
            ],
        )
        .await?;
    expect_changed(saved.rows_affected(), "the consultation")
}

fn sealed_notes(tx: &Tx, consultation: &Consultation) -> Result<Option<Vec<u8>>> {
    let notes = consultation.notes.as_ref();
    notes.map(|notes| tx.seal(NOTES, consultation.id, notes.as_bytes())).transpose()
}

fn consultation(tx: &Tx, row: &QueryResult) -> Result<Consultation> {
    let id = ConsultationId(get::<Uuid>(row, "id")?);
    Ok(Consultation {
        id,
        patient: PatientId(get::<Uuid>(row, "patient_id")?),
        provider: ProviderId(get::<Uuid>(row, "provider_id")?),
        category: get::<Option<Uuid>>(row, "category_id")?.map(CategoryId),
        state: word(row, "state")?,
        starts_at: get(row, "starts_at")?,
        status: word(row, "status")?,
        began_at: get(row, "began_at")?,
        ended_at: get(row, "ended_at")?,
        room: get(row, "room")?,
        notes: get::<Option<Vec<u8>>>(row, "notes")?
            .map(|sealed| tx.unseal_text(NOTES, id, sealed))
            .transpose()?,
        version: get(row, "version")?,
    })
}
