//! What providers ask patients during a review, and the answers.

use care::information::Exchange;
use chrono::{DateTime, Utc};
use kernel::{AssessmentId, PatientId, ProviderId, Uuid};
use ports::{PortError, Result};
use sea_orm::{
    ActiveModelTrait as _, IntoActiveModel as _, QueryOrder as _, QuerySelect as _,
    QueryTrait as _, entity::prelude::*,
};

use crate::Tx;
use pg::db;

#[derive(Clone, Debug, PartialEq, Eq, DeriveEntityModel)]
#[sea_orm(table_name = "care_review_exchanges")]
pub struct Model {
    #[sea_orm(primary_key, auto_increment = false)]
    pub id: Uuid,
    pub assessment_id: AssessmentId,
    pub patient_id: PatientId,
    pub asked_by: ProviderId,
    pub asked_at: ChronoDateTimeUtc,
    pub question: Vec<u8>,
    pub answered_at: Option<ChronoDateTimeUtc>,
    pub answer: Option<Vec<u8>>,
}

#[derive(Copy, Clone, Debug, EnumIter, DeriveRelation)]
pub enum Relation {}

impl ActiveModelBehavior for ActiveModel {}

const QUESTION: &str = "care_review_exchanges.question";
const ANSWER: &str = "care_review_exchanges.answer";

pub async fn add(tx: &mut Tx, exchange: &Exchange) -> Result<()> {
    let question = tx.seal(QUESTION, exchange.id, exchange.question.as_bytes())?;
    let row = Model {
        id: exchange.id,
        assessment_id: exchange.assessment,
        patient_id: exchange.patient,
        asked_by: exchange.asked_by,
        asked_at: exchange.asked_at,
        question,
        answered_at: None,
        answer: None,
    };
    let insert = Entity::insert(row.into_active_model().reset_all());
    tx.change("asking a patient", insert.into_query()).await.map(drop)
}

pub async fn answer(
    tx: &mut Tx,
    assessment: AssessmentId,
    answer: &str,
    at: DateTime<Utc>,
) -> Result<()> {
    let asked = Entity::find()
        .filter(Column::AssessmentId.eq(assessment))
        .filter(Column::AnsweredAt.is_null())
        .order_by_desc(Column::AskedAt)
        .order_by_desc(Column::Id)
        .lock_exclusive()
        .one(tx.read())
        .await
        .map_err(|error| db("looking for the last question", error))?;
    let asked = asked.ok_or_else(|| PortError::bug("a review waits that asked nothing"))?;
    let answer = tx.seal(ANSWER, asked.id, answer.as_bytes())?;
    tx.execute(
        "keeping a patient's answer",
        "UPDATE care_review_exchanges SET answered_at = $2, answer = $3 WHERE id = $1",
        [asked.id.into(), at.into(), answer.into()],
    )
    .await
    .map(drop)
}

pub async fn of(tx: &Tx, assessment: AssessmentId) -> Result<Vec<Exchange>> {
    let found = Entity::find()
        .filter(Column::AssessmentId.eq(assessment))
        .order_by_asc(Column::AskedAt)
        .order_by_asc(Column::Id)
        .all(tx.read())
        .await
        .map_err(|error| db("reading what was asked in a review", error))?;
    let exchange = |row: Model| {
        let answer = row.answer.map(|sealed| tx.unseal_text(ANSWER, row.id, sealed));
        Ok(Exchange {
            id: row.id,
            assessment,
            patient: row.patient_id,
            asked_by: row.asked_by,
            asked_at: row.asked_at,
            question: tx.unseal_text(QUESTION, row.id, row.question)?,
            answered_at: row.answered_at,
            answer: answer.transpose()?,
        })
    };
    found.into_iter().map(exchange).collect()
}
