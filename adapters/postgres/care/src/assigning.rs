//! Giving out reviews: the clinic's policy, what nobody holds, and who had
//! which turn.

use async_trait::async_trait;
use care::{
    Assessment, AssignmentPolicy,
    assigning::{AssignmentTx, Unheld},
    assignment::Load,
};
use chrono::{DateTime, Utc};
use kernel::{AssessmentId, CategoryId, PatientId, ProviderId, Uuid};
use ports::{PortError, Result};
use sea_orm::Value;

use super::{
    all, assessments, get, one,
    reference::{document, value},
    word,
};
use crate::Tx;
use pg::expect_changed;

async fn policy(tx: &Tx, lock: &str) -> Result<(AssignmentPolicy, i64)> {
    let sql = format!("SELECT policy, version FROM care_assignment_policy {lock}");
    let row = one(tx, "reading the assignment policy", &sql, vec![]).await?;
    let row = row.ok_or_else(|| PortError::bug("there is no assignment policy"))?;
    Ok((document(&row, "policy")?, get(&row, "version")?))
}

#[async_trait]
impl AssignmentTx for Tx {
    async fn assignment_policy(&mut self) -> Result<(AssignmentPolicy, i64)> {
        policy(self, "").await
    }

    async fn lock_assignment_policy(&mut self) -> Result<(AssignmentPolicy, i64)> {
        policy(self, "FOR UPDATE").await
    }

    async fn save_assignment_policy(
        &mut self,
        policy: &AssignmentPolicy,
        version: i64,
    ) -> Result<()> {
        let document = value("an assignment policy", policy)?;
        let saved = self
            .execute(
                "saving the assignment policy",
                "UPDATE care_assignment_policy SET policy = $1, version = $2 \
                 WHERE version = $2 - 1",
                [document, version.into()],
            )
            .await?;
        expect_changed(saved.rows_affected(), "the assignment policy")
    }

    async fn unheld_reviews(
        &mut self,
        now: DateTime<Utc>,
        after: Option<&Unheld>,
        limit: u32,
    ) -> Result<Vec<Unheld>> {
        let mut values: Vec<Value> = vec![now.into(), i64::from(limit).into()];
        let mut beyond = "";
        if let Some(after) = after {
            beyond = "AND (priority, due_at, id) > ($3, $4, $5)";
            values.extend([
                after.priority.rank().into(),
                after.due_at.into(),
                after.id.uuid().into(),
            ]);
        }
        let sql = format!(
            "SELECT id, patient_id, category_id, state, priority, due_at FROM care_assessments \
             WHERE review IN ('waiting', 'claimed') \
             AND (review = 'waiting' OR claimed_until <= $1) {beyond} \
             ORDER BY priority, due_at, id LIMIT $2"
        );
        let rows = all(self, "looking for reviews that nobody holds", &sql, values).await?;
        rows.iter()
            .map(|row| {
                Ok(Unheld {
                    id: AssessmentId(get::<Uuid>(row, "id")?),
                    patient: PatientId(get::<Uuid>(row, "patient_id")?),
                    category: CategoryId(get::<Uuid>(row, "category_id")?),
                    state: word(row, "state")?,
                    priority: assessments::priority(get(row, "priority")?),
                    due_at: get(row, "due_at")?,
                })
            })
            .collect()
    }

    async fn loads(
        &mut self,
        providers: &[ProviderId],
        review: AssessmentId,
        now: DateTime<Utc>,
    ) -> Result<Vec<Load>> {
        let ids: Vec<Uuid> = providers.iter().map(|provider| provider.uuid()).collect();
        // Who let a claim run out has had the review as well.
        let rows = all(
            self,
            "counting what providers hold",
            "SELECT asked.id, \
                (SELECT count(*) FROM care_assessments a WHERE a.review = 'claimed' \
                    AND a.review_provider_id = asked.id AND a.claimed_until > $3) AS held, \
                (SELECT max(t.assigned_at) FROM care_review_turns t \
                    WHERE t.provider_id = asked.id) AS last, \
                EXISTS (SELECT 1 FROM care_review_turns t \
                    WHERE t.assessment_id = $2 AND t.provider_id = asked.id \
                    AND NOT t.forgotten) \
                OR EXISTS (SELECT 1 FROM care_assessments a WHERE a.id = $2 \
                    AND a.review = 'claimed' AND a.review_provider_id = asked.id) AS had_it \
             FROM unnest($1::uuid[]) AS asked (id)",
            vec![ids.into(), review.uuid().into(), now.into()],
        )
        .await?;
        rows.iter()
            .map(|row| {
                let held: i64 = get(row, "held")?;
                Ok(Load {
                    provider: ProviderId(get::<Uuid>(row, "id")?),
                    held: u32::try_from(held).unwrap_or(u32::MAX),
                    last: get(row, "last")?,
                    had_it: get(row, "had_it")?,
                })
            })
            .collect()
    }

    async fn add_turn(
        &mut self,
        review: &Assessment,
        provider: ProviderId,
        at: DateTime<Utc>,
    ) -> Result<()> {
        self.execute(
            "recording an assignment",
            "INSERT INTO care_review_turns (assessment_id, provider_id, patient_id, assigned_at) \
             VALUES ($1, $2, $3, $4) ON CONFLICT (assessment_id, provider_id) \
             DO UPDATE SET assigned_at = excluded.assigned_at, forgotten = false",
            [
                review.id.uuid().into(),
                provider.uuid().into(),
                review.patient.uuid().into(),
                at.into(),
            ],
        )
        .await?;
        Ok(())
    }

    async fn let_go(
        &mut self,
        review: &Assessment,
        provider: ProviderId,
        at: DateTime<Utc>,
    ) -> Result<()> {
        self.execute(
            "recording that a review was given back",
            "INSERT INTO care_review_turns (assessment_id, provider_id, patient_id, let_go_at) \
             VALUES ($1, $2, $3, $4) ON CONFLICT (assessment_id, provider_id) \
             DO UPDATE SET let_go_at = excluded.let_go_at, forgotten = false",
            [
                review.id.uuid().into(),
                provider.uuid().into(),
                review.patient.uuid().into(),
                at.into(),
            ],
        )
        .await?;
        Ok(())
    }

    async fn forget_turns(&mut self, review: AssessmentId) -> Result<()> {
        self.execute(
            "forgetting who had a review",
            "UPDATE care_review_turns SET forgotten = true WHERE assessment_id = $1",
            [review.uuid().into()],
        )
        .await?;
        Ok(())
    }
}
