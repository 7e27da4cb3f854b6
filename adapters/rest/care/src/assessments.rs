use std::sync::Arc;

use api::{Caller, Problem, Tag};
use care::{Assessment, CareStore, Review, reviews};
use chrono::{DateTime, Utc};
use kernel::{AssessmentId, Uuid};
use poem_openapi::{Object, OpenApi, param::Path, payload::Json};
use ports::events::AssessmentOutcome;

pub struct AssessmentsApi {
    pub store: Arc<dyn CareStore>,
}

/// Why it was decided so.
#[derive(Debug, Object)]
pub struct ReasonView {
    /// A stable word.
    pub code: String,
    /// The reason in words for the patient.
    pub text: String,
}

/// An assessment as its patient sees it.
#[derive(Debug, Object)]
pub struct AssessmentView {
    pub id: Uuid,
    pub category_id: Uuid,
    /// The form response that was assessed.
    pub response_id: Uuid,
    pub decided_at: DateTime<Utc>,
    pub outcome: AssessmentOutcome,
    pub reasons: Vec<ReasonView>,
    pub review: care::ReviewWord,
    /// When a provider decides at the latest, while the review is open.
    pub due_at: Option<DateTime<Utc>>,
    /// The plan that an approving provider made.
    pub treatment_plan_id: Option<Uuid>,
}

#[derive(Debug, Object)]
pub struct AssessmentsView {
    /// Newest first.
    pub assessments: Vec<AssessmentView>,
}

impl From<Assessment> for AssessmentView {
    fn from(assessment: Assessment) -> Self {
        let mut reasons: Vec<ReasonView> = assessment
            .reasons
            .into_iter()
            .map(|reason| ReasonView { code: reason.code, text: reason.text })
            .collect();
        let mut treatment_plan_id = None;
        match &assessment.review {
            Review::Approved { treatment_plan, .. } => {
                treatment_plan_id = Some(treatment_plan.uuid());
            }
            // The provider's answer replaces the reasons for asking one.
            Review::Rejected { reason, .. } => {
                reasons =
                    vec![ReasonView { code: reason.to_string(), text: reason.text().to_owned() }];
            }
            Review::NotNeeded
            | Review::Waiting
            | Review::Claimed { .. }
            | Review::WaitingOnPatient { .. }
            | Review::Superseded { .. } => {}
        }
        let open = matches!(assessment.review, Review::Waiting | Review::Claimed { .. });
        Self {
            id: assessment.id.uuid(),
            category_id: assessment.category.uuid(),
            response_id: assessment.response.uuid(),
            decided_at: assessment.decided_at,
            outcome: assessment.outcome,
            reasons,
            review: assessment.review.word(),
            due_at: assessment.due_at.filter(|_| open),
            treatment_plan_id,
        }
    }
}

#[OpenApi(tag = "Tag::Care")]
impl AssessmentsApi {
    /// List one's own assessments
    ///
    /// What was decided of each form that the patient submitted, newest first,
    /// with the reasons in words.
    #[oai(path = "/api/assessments", method = "get", operation_id = "listOwnAssessments")]
    async fn list(&self, caller: Caller) -> Result<Json<AssessmentsView>, Problem> {
        let assessments = reviews::own(self.store.as_ref(), caller.actor()).await?;
        let assessments = assessments.into_iter().map(Into::into).collect();
        Ok(Json(AssessmentsView { assessments }))
    }

    /// Read one of one's own assessments
    ///
    /// What was decided and why, and where its review stands.
    #[oai(path = "/api/assessments/:id", method = "get", operation_id = "getOwnAssessment")]
    async fn get(&self, caller: Caller, id: Path<Uuid>) -> Result<Json<AssessmentView>, Problem> {
        let id = AssessmentId(id.0);
        Ok(Json(reviews::own_one(self.store.as_ref(), caller.actor(), id).await?.into()))
    }
}
