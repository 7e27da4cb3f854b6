//! What providers ask patients during a review, and the answers.

use care::information::Exchange;
use chrono::{DateTime, Utc};
use kernel::{AssessmentId, PatientId, ProviderId, Uuid};
use ports::Result;

use super::{all, get, one};
use crate::Tx;
use pg::expect_changed;

const QUESTION: &str = "care_review_exchanges.question";
const ANSWER: &str = "care_review_exchanges.answer";

pub async fn add(tx: &mut Tx, exchange: &Exchange) -> Result<()> {
    let question = tx.seal(QUESTION, exchange.id, exchange.question.as_bytes())?;
    tx.execute(
        "asking a patient",
        "INSERT INTO care_review_exchanges (id, assessment_id, patient_id, asked_by, asked_at, \
         question) VALUES ($1, $2, $3, $4, $5, $6)",
        [
            exchange.id.into(),
            exchange.assessment.uuid().into(),
            exchange.patient.uuid().into(),
            exchange.asked_by.uuid().into(),
            exchange.asked_at.into(),
            question.into(),
        ],
    )
    .await?;
    Ok(())
}

pub async fn answer(
    tx: &mut Tx,
    assessment: AssessmentId,
    answer: &str,
    at: DateTime<Utc>,
) -> Result<()> {
    let row = one(
        tx,
        "looking for the last question",
        "SELECT id FROM care_review_exchanges WHERE assessment_id = $1 AND answered_at IS NULL \
         ORDER BY asked_at DESC, id DESC LIMIT 1 FOR UPDATE",
        vec![assessment.uuid().into()],
    )
    .await?;
    let Some(row) = row else { return expect_changed(0, "the question to the patient") };
    let id: Uuid = get(&row, "id")?;
    let answer = tx.seal(ANSWER, id, answer.as_bytes())?;
    tx.execute(
        "keeping a patient's answer",
        "UPDATE care_review_exchanges SET answered_at = $2, answer = $3 WHERE id = $1",
        [id.into(), at.into(), answer.into()],
    )
    .await?;
    Ok(())
}

pub async fn of(tx: &mut Tx, assessment: AssessmentId) -> Result<Vec<Exchange>> {
    let rows = all(
        tx,
        "reading what was asked in a review",
        "SELECT * FROM care_review_exchanges WHERE assessment_id = $1 ORDER BY asked_at, id",
        vec![assessment.uuid().into()],
    )
    .await?;
    rows.iter()
        .map(|row| {
            let id: Uuid = get(row, "id")?;
            Ok(Exchange {
                id,
                assessment,
                patient: PatientId(get::<Uuid>(row, "patient_id")?),
                asked_by: ProviderId(get::<Uuid>(row, "asked_by")?),
                asked_at: get(row, "asked_at")?,
                question: tx.unseal_text(QUESTION, id, get(row, "question")?)?,
                answered_at: get(row, "answered_at")?,
                answer: get::<Option<Vec<u8>>>(row, "answer")?
                    .map(|sealed| tx.unseal_text(ANSWER, id, sealed))
                    .transpose()?,
            })
        })
        .collect()
}
