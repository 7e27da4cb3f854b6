use std::sync::Arc;

use api::{Answer, Caller, Mirror, Tag};
use care::{Assessment, CareStore, Review, ReviewWord, Rule, eligibility::Reason, reviews};
use chrono::{DateTime, Utc};
use kernel::{AssessmentId, CategoryId, FormResponseId, TreatmentPlanId};
use poem_openapi::{Object, OpenApi, param::Path, payload::Json};
use ports::events::AssessmentOutcome;

pub struct AssessmentsApi {
    pub store: Arc<dyn CareStore>,
}

/// Why it was decided so.
#[derive(Debug, Object, Mirror)]
#[mirror(from = Reason)]
pub struct ReasonView {
    /// A stable word.
    pub code: String,
    /// The reason in words for the patient.
    pub text: String,
}

impl ReasonView {
    pub(super) fn of(rule: &Rule) -> Self {
        Self { code: rule.reason_code.clone(), text: rule.reason_text.clone() }
    }
}

/// An assessment as its patient sees it.
#[derive(Debug, Object, Mirror)]
#[mirror(from = Assessment)]
pub struct AssessmentView {
    pub id: AssessmentId,
    pub category_id: CategoryId,
    /// The form response that was assessed.
    pub response_id: FormResponseId,
    pub decided_at: DateTime<Utc>,
    pub outcome: AssessmentOutcome,
    #[mirror(|assessment| told(assessment))]
    pub reasons: Vec<ReasonView>,
    #[mirror(|assessment| assessment.review.word())]
    pub review: ReviewWord,
    /// When a provider decides at the latest, while the review is open.
    #[mirror(|assessment| assessment.due_at.filter(|_| assessment.review.is_due()))]
    pub due_at: Option<DateTime<Utc>>,
    /// The plan that an approving provider made.
    #[mirror(|assessment| assessment.review.treatment_plan())]
    pub treatment_plan_id: Option<TreatmentPlanId>,
}

/// A provider's answer replaces the reasons for asking one.
fn told(assessment: &Assessment) -> Vec<ReasonView> {
    match &assessment.review {
        Review::Rejected { reason, .. } => {
            vec![ReasonView { code: reason.to_string(), text: reason.text().to_owned() }]
        }
        _ => assessment.reasons.iter().cloned().map(Into::into).collect(),
    }
}

#[derive(Debug, Object)]
pub struct AssessmentsView {
    /// Newest first.
    pub assessments: Vec<AssessmentView>,
}

#[OpenApi(tag = "Tag::Care")]
impl AssessmentsApi {
    /// List one's own assessments
    ///
    /// What was decided of each form that the patient submitted, newest first,
    /// with the reasons in words.
    #[oai(path = "/api/assessments", method = "get", operation_id = "listOwnAssessments")]
    async fn list(&self, caller: Caller) -> Answer<AssessmentsView> {
        let assessments = reviews::own(&*self.store, caller.actor()).await?;
        let assessments = assessments.into_iter().map(Into::into).collect();
        Ok(Json(AssessmentsView { assessments }))
    }

    /// Read one of one's own assessments
    ///
    /// What was decided and why, and where its review stands.
    #[oai(path = "/api/assessments/:id", method = "get", operation_id = "getOwnAssessment")]
    async fn get(&self, caller: Caller, id: Path<AssessmentId>) -> Answer<AssessmentView> {
        Ok(Json(reviews::own_one(&*self.store, caller.actor(), id.0).await?.into()))
    }
}
