//! Assignment of reviews: the unassigned reviews, and which providers had each review.

use async_trait::async_trait;
use care::{
    Assessment, ReviewWord,
    assigning::{AssignmentTx, Unheld},
    assignment::Load,
};
use chrono::{DateTime, Utc};
use kernel::{AssessmentId, ProviderId, Uuid};
use ports::Result;
use sea_orm::{ColumnTrait as _, Condition, FromQueryResult};

use crate::{
    Tx,
    assessments::{self, Column},
};

#[derive(FromQueryResult)]
struct LoadRow {
    id: ProviderId,
    held: i64,
    last: Option<DateTime<Utc>>,
    had_it: bool,
}

impl From<LoadRow> for Load {
    fn from(row: LoadRow) -> Self {
        let held = u32::try_from(row.held).unwrap_or(u32::MAX);
        Self { provider: row.id, held, last: row.last, had_it: row.had_it }
    }
}

#[async_trait]
impl AssignmentTx for Tx {
    async fn unheld_reviews(
        &mut self,
        now: DateTime<Utc>,
        after: Option<&Unheld>,
        limit: u32,
    ) -> Result<Vec<Unheld>> {
        let after = after.map(|after| (after.priority.rank(), after.due_at, after.id));
        let free = Condition::any()
            .add(Column::Review.eq(ReviewWord::Waiting))
            .add(Column::ClaimedUntil.lte(now));
        let found = assessments::listed(self, free, after, u64::from(limit)).await?;
        let unheld = |row: assessments::Listed| {
            Ok(Unheld {
                id: row.id,
                patient: row.patient_id,
                category: row.category_id,
                state: row.state()?,
                priority: row.priority(),
                due_at: row.due_at,
            })
        };
        found.into_iter().map(unheld).collect()
    }

    async fn loads(
        &mut self,
        providers: &[ProviderId],
        review: AssessmentId,
        now: DateTime<Utc>,
    ) -> Result<Vec<Load>> {
        // Who let a claim run out has had the review as well.
        let sql = "SELECT asked.id, \
                (SELECT count(*) FROM care_assessments a WHERE a.review = 'claimed' \
                    AND a.review_provider_id = asked.id AND a.claimed_until > $3) AS held, \
                (SELECT max(t.assigned_at) FROM care_review_turns t \
                    WHERE t.provider_id = asked.id) AS last, \
                EXISTS (SELECT 1 FROM care_review_turns t \
                    WHERE t.assessment_id = $2 AND t.provider_id = asked.id \
                    AND NOT t.forgotten) \
                OR EXISTS (SELECT 1 FROM care_assessments a WHERE a.id = $2 \
                    AND a.review = 'claimed' AND a.review_provider_id = asked.id) AS had_it \
             FROM unnest($1::uuid[]) AS asked (id)";
        let ids: Vec<Uuid> = providers.iter().map(|provider| provider.uuid()).collect();
        let values = [ids.into(), review.into(), now.into()];
        let loads: Vec<LoadRow> = self.rows("counting what providers hold", sql, values).await?;
        Ok(loads.into_iter().map(Load::from).collect())
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
            [review.id.into(), provider.into(), review.patient.into(), at.into()],
        )
        .await
        .map(drop)
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
            [review.id.into(), provider.into(), review.patient.into(), at.into()],
        )
        .await
        .map(drop)
    }

    async fn forget_turns(&mut self, review: AssessmentId) -> Result<()> {
        self.execute(
            "forgetting who had a review",
            "UPDATE care_review_turns SET forgotten = true WHERE assessment_id = $1",
            [review.into()],
        )
        .await
        .map(drop)
    }
}
