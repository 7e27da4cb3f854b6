//! Assessments and the review queue.

use care::{Assessment, Priority, QueueItem, Reach, Review};
use chrono::{DateTime, Duration, Utc};
use kernel::{
    AssessmentId, CategoryId, FormResponseId, Page, PageRequest, PatientId, ProviderId,
    TreatmentPlanId, UsState, Uuid,
};
use ports::{PortError, Result, events::AssessmentOutcome};
use sea_orm::{QueryResult, Value};

use super::{all, codes, get, handover, json, one as query_one, to_json, word};
use crate::Tx;
use pg::{cursor, expect_changed, read_time_cursor, time_cursor_of};

const REASONS: &str = "care_assessments.reasons";
const TRACE: &str = "care_assessments.trace";
const NOTE: &str = "care_assessments.rejection_note";

/// The condition that holds a query to a reach; its parameters come first.
fn within(reach: &Reach) -> (&'static str, Vec<Value>) {
    match reach {
        Reach::Nobody => ("false", vec![]),
        Reach::All => ("true", vec![]),
        Reach::Patient(patient) => ("patient_id = $1", vec![patient.uuid().into()]),
        Reach::Provider { provider, states } => (
            "(review_provider_id = $1 \
             OR (review IN ('waiting', 'claimed') AND state = ANY($2)) \
             OR salus_care_treats($1, patient_id))",
            vec![provider.uuid().into(), codes(states)],
        ),
    }
}

pub async fn one(tx: &mut Tx, id: AssessmentId, reach: &Reach) -> Result<Option<Assessment>> {
    let (within, mut values) = within(reach);
    values.push(id.uuid().into());
    let sql = format!("SELECT * FROM care_assessments WHERE {within} AND id = ${}", values.len());
    let row = query_one(tx, "loading an assessment", &sql, values).await?;
    row.map(|row| assessment(tx, &row)).transpose()
}

pub async fn of_patient(tx: &mut Tx, patient: PatientId, reach: &Reach) -> Result<Vec<Assessment>> {
    let (within, mut values) = within(reach);
    values.push(patient.uuid().into());
    let sql = format!(
        "SELECT * FROM care_assessments WHERE {within} AND patient_id = ${} \
         ORDER BY decided_at DESC, id DESC",
        values.len()
    );
    let rows = all(tx, "loading a patient's assessments", &sql, values).await?;
    rows.iter().map(|row| assessment(tx, row)).collect()
}

pub async fn of_response(tx: &mut Tx, response: FormResponseId) -> Result<Option<AssessmentId>> {
    let row = query_one(
        tx,
        "looking for an assessment",
        "SELECT id FROM care_assessments WHERE response_id = $1",
        vec![response.uuid().into()],
    )
    .await?;
    row.map(|row| Ok(AssessmentId(get::<Uuid>(&row, "id")?))).transpose()
}

pub async fn add(tx: &mut Tx, assessment: &Assessment) -> Result<()> {
    let reasons = tx.seal(REASONS, assessment.id, &to_json("reasons", &assessment.reasons)?)?;
    let trace = tx.seal(TRACE, assessment.id, &to_json("a trace", &assessment.trace)?)?;
    tx.execute(
        "adding an assessment",
        "INSERT INTO care_assessments (id, patient_id, category_id, response_id, state, \
         decided_at, outcome, reasons, trace, priority, due_at, review, version) \
         VALUES ($1, $2, $3, $4, $5, $6, $7, $8, $9, $10, $11, $12, $13)",
        [
            assessment.id.uuid().into(),
            assessment.patient.uuid().into(),
            assessment.category.uuid().into(),
            assessment.response.uuid().into(),
            assessment.state.to_string().into(),
            assessment.decided_at.into(),
            <&str>::from(assessment.outcome).into(),
            reasons.into(),
            trace.into(),
            assessment.priority.rank().into(),
            assessment.due_at.into(),
            assessment.review.word().into(),
            assessment.version.into(),
        ],
    )
    .await?;
    Ok(())
}

pub async fn lock_reviews(tx: &mut Tx, patient: PatientId, category: CategoryId) -> Result<()> {
    tx.lock("locking the reviews of a patient", format!("care_reviews {patient} {category}")).await
}

pub async fn save_review(tx: &mut Tx, assessment: &Assessment) -> Result<()> {
    let mut waiting: Option<(DateTime<Utc>, i64)> = None;
    let mut superseded: Option<(Uuid, DateTime<Utc>)> = None;
    let (mut until, mut reviewed_at, mut plan, mut reason, mut note) =
        (None, None, None, None, None);
    match &assessment.review {
        Review::NotNeeded | Review::Waiting => {}
        Review::Superseded { by, at } => superseded = Some((by.uuid(), *at)),
        Review::Claimed { until: end, .. } => until = Some(*end),
        Review::WaitingOnPatient { since, left, .. } => {
            waiting = Some((*since, left.num_seconds()));
        }
        Review::Approved { at, treatment_plan, .. } => {
            reviewed_at = Some(*at);
            plan = Some(treatment_plan.uuid());
        }
        Review::Rejected { at, reason: why, note: text, .. } => {
            reviewed_at = Some(*at);
            reason = Some(why.to_string());
            note = text
                .as_ref()
                .map(|text| tx.seal(NOTE, assessment.id, text.as_bytes()))
                .transpose()?;
        }
    }
    let provider = assessment.review.provider().map(ProviderId::uuid);
    if provider.is_some() {
        handover::hold_off(tx, assessment.patient).await?;
    }
    let saved = tx
        .execute(
            "saving a review",
            "UPDATE care_assessments SET review = $3, review_provider_id = $4, \
             claimed_until = $5, reviewed_at = $6, treatment_plan_id = $7, \
             rejection_reason = $8, rejection_note = $9, priority = $10, due_at = $11, \
             escalated_at = $12, waiting_since = $13, seconds_left = $14, \
             superseded_by = $15, superseded_at = $16, state = $17, \
             version = version + 1 \
             WHERE id = $1 AND version = $2",
            [
                assessment.id.uuid().into(),
                assessment.version.into(),
                assessment.review.word().into(),
                provider.into(),
                until.into(),
                reviewed_at.into(),
                plan.into(),
                reason.into(),
                note.into(),
                assessment.priority.rank().into(),
                assessment.due_at.into(),
                assessment.escalated_at.into(),
                waiting.map(|(since, _)| since).into(),
                waiting.map(|(_, left)| left).into(),
                superseded.map(|(by, _)| by).into(),
                superseded.map(|(_, at)| at).into(),
                assessment.state.to_string().into(),
            ],
        )
        .await?;
    expect_changed(saved.rows_affected(), "the review")?;
    if let Some(provider) = provider {
        tx.execute(
            "recording who held a review",
            "INSERT INTO care_review_holders (patient_id, provider_id) VALUES ($1, $2) \
             ON CONFLICT DO NOTHING",
            [assessment.patient.uuid().into(), provider.into()],
        )
        .await?;
        handover::rejoin(tx, ProviderId(provider), assessment.patient).await?;
    }
    Ok(())
}

pub async fn overdue(
    tx: &mut Tx,
    now: DateTime<Utc>,
    limit: u32,
) -> Result<Vec<(AssessmentId, UsState)>> {
    let rows = all(
        tx,
        "looking for overdue reviews",
        "SELECT id, state FROM care_assessments WHERE review IN ('waiting', 'claimed') \
         AND escalated_at IS NULL AND due_at <= $1 ORDER BY due_at, id LIMIT $2",
        vec![now.into(), i64::from(limit).into()],
    )
    .await?;
    rows.iter()
        .map(|row| Ok((AssessmentId(get::<Uuid>(row, "id")?), word(row, "state")?)))
        .collect()
}

pub async fn queue(
    tx: &mut Tx,
    provider: ProviderId,
    states: &[UsState],
    now: DateTime<Utc>,
    page: &PageRequest,
) -> Result<Page<QueueItem>> {
    let mut values: Vec<Value> =
        vec![codes(states), provider.uuid().into(), now.into(), i64::from(page.limit() + 1).into()];
    let after = cursor(page, |text| {
        let (rank, place) = text.split_once('|')?;
        Some((rank.parse::<i16>().ok()?, read_time_cursor(place)?))
    })?;
    let mut beyond = "";
    if let Some((rank, (due, id))) = after {
        beyond = "AND (priority, due_at, id) > ($5, $6, $7)";
        values.extend([rank.into(), due.into(), id.into()]);
    }
    let sql = format!(
        "SELECT id, patient_id, category_id, state, priority, decided_at, due_at, review, \
         review_provider_id, claimed_until FROM care_assessments \
         WHERE review IN ('waiting', 'claimed') AND state = ANY($1) \
         AND (review = 'waiting' OR review_provider_id = $2 OR claimed_until <= $3) {beyond} \
         ORDER BY priority, due_at, id LIMIT $4"
    );
    let rows = all(tx, "reading the review queue", &sql, values).await?;
    let items = rows
        .iter()
        .map(|row| {
            let review = match get::<String>(row, "review")?.as_str() {
                "claimed" => Review::Claimed {
                    provider: ProviderId(get::<Uuid>(row, "review_provider_id")?),
                    until: get(row, "claimed_until")?,
                },
                _ => Review::Waiting,
            };
            Ok(QueueItem {
                id: AssessmentId(get::<Uuid>(row, "id")?),
                patient: PatientId(get::<Uuid>(row, "patient_id")?),
                category: CategoryId(get::<Uuid>(row, "category_id")?),
                state: word(row, "state")?,
                priority: priority(get(row, "priority")?),
                submitted_at: get(row, "decided_at")?,
                due_at: get(row, "due_at")?,
                review,
            })
        })
        .collect::<Result<Vec<_>>>()?;
    Ok(Page::from_overfetch(items, page, |item| {
        format!("{}|{}", item.priority.rank(), time_cursor_of(item.due_at, item.id.uuid()))
    }))
}

pub(super) fn priority(rank: i16) -> Priority {
    if rank == Priority::Urgent.rank() { Priority::Urgent } else { Priority::Routine }
}

pub(super) fn assessment(tx: &Tx, row: &QueryResult) -> Result<Assessment> {
    let id = AssessmentId(get::<Uuid>(row, "id")?);
    let outcome = match get::<String>(row, "outcome")?.as_str() {
        "auto_approved" => AssessmentOutcome::AutoApproved,
        "in_review" => AssessmentOutcome::InReview,
        "refused" => AssessmentOutcome::Refused,
        other => return Err(PortError::bug(format!("there is no outcome {other:?}"))),
    };
    Ok(Assessment {
        id,
        patient: PatientId(get::<Uuid>(row, "patient_id")?),
        category: CategoryId(get::<Uuid>(row, "category_id")?),
        response: FormResponseId(get::<Uuid>(row, "response_id")?),
        state: word(row, "state")?,
        decided_at: get(row, "decided_at")?,
        outcome,
        reasons: json("reasons", &tx.unseal(REASONS, id, get(row, "reasons")?)?)?,
        trace: json("a trace", &tx.unseal(TRACE, id, get(row, "trace")?)?)?,
        priority: priority(get(row, "priority")?),
        due_at: get(row, "due_at")?,
        review: review(tx, id, row)?,
        escalated_at: get(row, "escalated_at")?,
        version: get(row, "version")?,
    })
}

fn review(tx: &Tx, id: AssessmentId, row: &QueryResult) -> Result<Review> {
    let provider = || Ok::<_, PortError>(ProviderId(get::<Uuid>(row, "review_provider_id")?));
    Ok(match get::<String>(row, "review")?.as_str() {
        "not_needed" => Review::NotNeeded,
        "waiting" => Review::Waiting,
        "claimed" => Review::Claimed { provider: provider()?, until: get(row, "claimed_until")? },
        "waiting_on_patient" => Review::WaitingOnPatient {
            provider: provider()?,
            since: get(row, "waiting_since")?,
            left: Duration::seconds(get(row, "seconds_left")?),
        },
        "superseded" => Review::Superseded {
            by: AssessmentId(get::<Uuid>(row, "superseded_by")?),
            at: get(row, "superseded_at")?,
        },
        "approved" => Review::Approved {
            provider: provider()?,
            at: get(row, "reviewed_at")?,
            treatment_plan: TreatmentPlanId(get::<Uuid>(row, "treatment_plan_id")?),
        },
        "rejected" => Review::Rejected {
            provider: provider()?,
            at: get(row, "reviewed_at")?,
            reason: word(row, "rejection_reason")?,
            note: get::<Option<Vec<u8>>>(row, "rejection_note")?
                .map(|sealed| tx.unseal_text(NOTE, id, sealed))
                .transpose()?,
        },
        other => return Err(PortError::bug(format!("there is no review state {other:?}"))),
    })
}
