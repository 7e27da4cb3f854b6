//! Treatment plans and their versions.

use std::collections::BTreeMap;

use care::{PlanEnding, Reach, Treatment, TreatmentPlan, treatment::PlanVersion};
use kernel::{AssessmentId, CategoryId, PatientId, ProviderId, TreatmentPlanId, Uuid};
use ports::{PortError, Result};
use sea_orm::{QueryResult, Value};

use super::{all, get, handover, json, one as query_one, to_json, word};
use crate::Tx;
use pg::expect_changed;

const TREATMENT: &str = "care_treatment_plan_versions.treatment";
const END_NOTE: &str = "care_treatment_plans.end_note";
const REASON: &str = "care_treatment_plan_versions.reason";

fn within(reach: &Reach) -> (&'static str, Vec<Value>) {
    match reach {
        Reach::Nobody => ("false", vec![]),
        Reach::All => ("true", vec![]),
        Reach::Patient(patient) => ("patient_id = $1", vec![patient.uuid().into()]),
        Reach::Provider { provider, .. } => {
            ("salus_care_treats($1, patient_id)", vec![provider.uuid().into()])
        }
    }
}

pub async fn one(tx: &mut Tx, id: TreatmentPlanId, reach: &Reach) -> Result<Option<TreatmentPlan>> {
    let (within, mut values) = within(reach);
    values.push(id.uuid().into());
    let sql =
        format!("SELECT * FROM care_treatment_plans WHERE {within} AND id = ${}", values.len());
    let row = query_one(tx, "loading a treatment plan", &sql, values).await?;
    Ok(with_versions(tx, row.as_slice()).await?.pop())
}

pub async fn of_patient(
    tx: &mut Tx,
    patient: PatientId,
    reach: &Reach,
) -> Result<Vec<TreatmentPlan>> {
    let (within, mut values) = within(reach);
    values.push(patient.uuid().into());
    let sql = format!(
        "SELECT * FROM care_treatment_plans WHERE {within} AND patient_id = ${} \
         ORDER BY created_at DESC, id DESC",
        values.len()
    );
    let rows = all(tx, "loading a patient's treatment plans", &sql, values).await?;
    with_versions(tx, &rows).await
}

pub async fn active(
    tx: &mut Tx,
    patient: PatientId,
    category: CategoryId,
) -> Result<Option<TreatmentPlanId>> {
    let row = query_one(
        tx,
        "looking for an active treatment plan",
        "SELECT id FROM care_treatment_plans \
         WHERE patient_id = $1 AND category_id = $2 AND status = 'active'",
        vec![patient.uuid().into(), category.uuid().into()],
    )
    .await?;
    row.map(|row| Ok(TreatmentPlanId(get::<Uuid>(&row, "id")?))).transpose()
}

pub async fn add(tx: &mut Tx, plan: &TreatmentPlan) -> Result<()> {
    handover::hold_off(tx, plan.patient).await?;
    tx.execute(
        "adding a treatment plan",
        "INSERT INTO care_treatment_plans (id, patient_id, provider_id, category_id, \
         assessment_id, automatic, status, created_at, version) \
         VALUES ($1, $2, $3, $4, $5, $6, $7, $8, $9)",
        [
            plan.id.uuid().into(),
            plan.patient.uuid().into(),
            plan.provider.uuid().into(),
            plan.category.uuid().into(),
            plan.assessment.map(AssessmentId::uuid).into(),
            plan.automatic.into(),
            plan.status.to_string().into(),
            plan.first.at.into(),
            plan.version.into(),
        ],
    )
    .await?;
    handover::rejoin(tx, plan.provider, plan.patient).await?;
    add_versions(tx, plan).await
}

pub async fn save(tx: &mut Tx, plan: &TreatmentPlan) -> Result<()> {
    let ended = plan.ended.as_ref();
    let note = ended.and_then(|ending| ending.note.as_ref());
    let note = note.map(|note| tx.seal(END_NOTE, plan.id, note.as_bytes())).transpose()?;
    let saved = tx
        .execute(
            "saving a treatment plan",
            "UPDATE care_treatment_plans SET status = $3, ended_at = $4, ended_by = $5, \
             end_reason = $6, end_note = $7, superseded_by = $8, provider_id = $9, version = version + 1 \
             WHERE id = $1 AND version = $2",
            [
                plan.id.uuid().into(),
                plan.version.into(),
                plan.status.to_string().into(),
                ended.map(|ending| ending.at).into(),
                ended.and_then(|ending| ending.by).map(ProviderId::uuid).into(),
                ended.map(|ending| ending.reason.to_string()).into(),
                note.into(),
                ended.and_then(|ending| ending.superseded_by).map(TreatmentPlanId::uuid).into(),
                plan.provider.uuid().into(),
            ],
        )
        .await?;
    expect_changed(saved.rows_affected(), "the treatment plan")?;
    add_versions(tx, plan).await
}

/// Adds the versions that are not there yet; those that are cannot change.
async fn add_versions(tx: &mut Tx, plan: &TreatmentPlan) -> Result<()> {
    let row = query_one(
        tx,
        "counting a plan's versions",
        "SELECT count(*) AS kept FROM care_treatment_plan_versions WHERE plan_id = $1",
        vec![plan.id.uuid().into()],
    )
    .await?;
    let kept: i64 = row.map_or(Ok(0), |row| get(&row, "kept"))?;
    for version in plan.versions().filter(|version| i64::from(version.number) > kept) {
        let treatment = to_json("a treatment", &version.treatment)?;
        let treatment = tx.seal(&column(TREATMENT, version.number), plan.id, &treatment)?;
        let reason =
            tx.seal(&column(REASON, version.number), plan.id, version.reason.as_bytes())?;
        let number = i32::try_from(version.number)
            .map_err(|error| PortError::internal("a plan has too many versions", error))?;
        tx.execute(
            "adding a version of a treatment plan",
            "INSERT INTO care_treatment_plan_versions (plan_id, number, patient_id, treatment, \
             author_id, reason, created_at) VALUES ($1, $2, $3, $4, $5, $6, $7)",
            [
                plan.id.uuid().into(),
                number.into(),
                plan.patient.uuid().into(),
                treatment.into(),
                version.author.uuid().into(),
                reason.into(),
                version.at.into(),
            ],
        )
        .await?;
    }
    Ok(())
}

/// A version's row has no id of its own, so its number is part of the place.
fn column(name: &str, number: u32) -> String {
    format!("{name}.{number}")
}

/// The plans of these rows, with their versions in one query.
async fn with_versions(tx: &Tx, rows: &[QueryResult]) -> Result<Vec<TreatmentPlan>> {
    if rows.is_empty() {
        return Ok(Vec::new());
    }
    let ids = rows.iter().map(|row| get::<Uuid>(row, "id")).collect::<Result<Vec<_>>>()?;
    let found = all(
        tx,
        "loading the versions of plans",
        "SELECT * FROM care_treatment_plan_versions WHERE plan_id = ANY($1) ORDER BY number",
        vec![ids.into()],
    )
    .await?;
    let mut versions: BTreeMap<Uuid, Vec<PlanVersion>> = BTreeMap::new();
    for row in &found {
        let id = get::<Uuid>(row, "plan_id")?;
        versions.entry(id).or_default().push(version(tx, TreatmentPlanId(id), row)?);
    }
    rows.iter().map(|row| plan(tx, row, &mut versions)).collect()
}

fn plan(
    tx: &Tx,
    row: &QueryResult,
    versions: &mut BTreeMap<Uuid, Vec<PlanVersion>>,
) -> Result<TreatmentPlan> {
    let id = TreatmentPlanId(get::<Uuid>(row, "id")?);
    let mut versions = versions.remove(&id.uuid()).unwrap_or_default().into_iter();
    let first = versions
        .next()
        .ok_or_else(|| PortError::bug(format!("the treatment plan {id} has no version")))?;
    Ok(TreatmentPlan {
        id,
        patient: PatientId(get::<Uuid>(row, "patient_id")?),
        provider: ProviderId(get::<Uuid>(row, "provider_id")?),
        category: CategoryId(get::<Uuid>(row, "category_id")?),
        assessment: get::<Option<Uuid>>(row, "assessment_id")?.map(AssessmentId),
        automatic: get(row, "automatic")?,
        status: word(row, "status")?,
        first,
        later: versions.collect(),
        ended: ending(tx, id, row)?,
        version: get(row, "version")?,
    })
}

fn ending(tx: &Tx, id: TreatmentPlanId, row: &QueryResult) -> Result<Option<PlanEnding>> {
    let Some(at) = get(row, "ended_at")? else { return Ok(None) };
    Ok(Some(PlanEnding {
        at,
        by: get::<Option<Uuid>>(row, "ended_by")?.map(ProviderId),
        reason: word(row, "end_reason")?,
        note: get::<Option<Vec<u8>>>(row, "end_note")?
            .map(|sealed| tx.unseal_text(END_NOTE, id, sealed))
            .transpose()?,
        superseded_by: get::<Option<Uuid>>(row, "superseded_by")?.map(TreatmentPlanId),
    }))
}

fn version(tx: &Tx, id: TreatmentPlanId, row: &QueryResult) -> Result<PlanVersion> {
    let number = u32::try_from(get::<i32>(row, "number")?)
        .map_err(|error| PortError::internal("a version's number is negative", error))?;
    let treatment = tx.unseal(&column(TREATMENT, number), id, get(row, "treatment")?)?;
    Ok(PlanVersion {
        number,
        treatment: json::<Treatment>("a treatment", &treatment)?,
        author: ProviderId(get::<Uuid>(row, "author_id")?),
        reason: tx.unseal_text(&column(REASON, number), id, get(row, "reason")?)?,
        at: get(row, "created_at")?,
    })
}
