use std::sync::Arc;

use api::{Body, Caller, PageQuery, Problem, Tag, Text, idempotency_key_on};
use care::{
    Assessment, CareStore, QueueItem, Review, Sources,
    eligibility::{RuleResult, TracedRule},
    reviews::{self, Approval},
};
use chrono::{DateTime, Utc};
use kernel::{
    AssessmentId, Page, PatientId, TreatmentPlanId, Uuid,
    text::{ChartNote, MeetingReport},
};
use poem_openapi::{
    Enum, Object, OpenApi,
    param::{Header, Path, Query},
    payload::Json,
};
use ports::{Env, events::AssessmentOutcome};
use serde_json::{Value, json};

use super::{
    assessments::ReasonView,
    dosing::DoseOverrideBody,
    names::{Names, PatientNameView},
    treatment::{KidneysBody, PlanView, TreatmentBody},
};

pub struct ReviewsApi {
    pub env: Env,
    pub store: Arc<dyn CareStore>,
    pub sources: Sources,
}

/// A review that the provider may take.
#[derive(Debug, Object)]
pub struct QueueItemView {
    pub assessment_id: Uuid,
    pub patient_id: Uuid,
    /// Who that is; absent where the patient has no profile.
    pub patient: Option<PatientNameView>,
    pub category_id: Uuid,
    /// The postal code of the patient's state.
    pub state: String,
    pub priority: care::Priority,
    pub submitted_at: DateTime<Utc>,
    pub due_at: DateTime<Utc>,
    /// Until when the provider's own claim holds.
    pub claimed_until: Option<DateTime<Utc>>,
}

/// A page of the review queue.
#[derive(Debug, Object)]
pub struct QueueView {
    /// Urgent ones first, then by the time at which they are due.
    pub reviews: Vec<QueueItemView>,
    /// The cursor of the next page.
    pub next: Option<String>,
}

impl QueueItemView {
    fn of(item: QueueItem, names: &Names) -> Self {
        Self {
            assessment_id: item.id.uuid(),
            patient_id: item.patient.uuid(),
            patient: names.view(item.patient),
            category_id: item.category.uuid(),
            state: item.state.to_string(),
            priority: item.priority,
            submitted_at: item.submitted_at,
            due_at: item.due_at,
            claimed_until: match item.review {
                Review::Claimed { until, .. } => Some(until),
                _ => None,
            },
        }
    }
}

/// A review as the provider who works on it sees it.
#[derive(Debug, Object)]
pub struct ReviewView {
    pub assessment_id: Uuid,
    pub patient_id: Uuid,
    pub category_id: Uuid,
    pub review: care::ReviewWord,
    pub priority: care::Priority,
    pub due_at: Option<DateTime<Utc>>,
    /// Until when a claim holds.
    pub claimed_until: Option<DateTime<Utc>>,
}

impl From<Assessment> for ReviewView {
    fn from(assessment: Assessment) -> Self {
        Self {
            assessment_id: assessment.id.uuid(),
            patient_id: assessment.patient.uuid(),
            category_id: assessment.category.uuid(),
            review: assessment.review.word(),
            priority: assessment.priority,
            due_at: assessment.due_at,
            claimed_until: match assessment.review {
                Review::Claimed { until, .. } => Some(until),
                _ => None,
            },
        }
    }
}

/// An approval; without a treatment it is the category's protocol.
#[derive(Debug, Object)]
#[oai(example)]
pub struct ApproveReview {
    /// The `version` of the whole review as it was read, with the treatment that
    /// is signed. Where anything of it has changed since, the answer is 409
    /// `care.review_changed` and names the parts.
    #[oai(validator(min_length = 1, max_length = 200))]
    pub version: String,
    pub treatment: Option<TreatmentBody>,
    /// For the category's protocol, where its dose depends on the kidneys; a
    /// treatment has its own.
    pub kidneys: Option<KidneysBody>,
    /// Alerts of the category's protocol that the provider takes upon themselves; a
    /// treatment has its own.
    #[oai(default)]
    pub overrides: Vec<DoseOverrideBody>,
    /// The patient's active plan of the category, which is to end: the new plan
    /// takes its place.
    pub supersedes: Option<Uuid>,
    /// When, where and how the two met, where state or category ask for a visit
    /// and none here is on file; else the answer is 409 `care.visit_required`.
    /// It stands in the plan's history.
    pub met_elsewhere: Option<Text<MeetingReport>>,
}

impl poem_openapi::types::Example for ApproveReview {
    fn example() -> Self {
        Self {
            version: [
                "9f86d081884c7d659a2feaa0c55ad015",
                "a3bf4f1b2b0b822cd15d6c15b0f00a08",
                "60303ae22b998861bce3b28f33eec1be",
                "fd61a03af4f77d870fc21e05e7e80678",
                "3fc9b689459d738f8c88a3a48aa9e335",
            ]
            .join("-"),
            treatment: None,
            kidneys: None,
            overrides: Vec::new(),
            supersedes: None,
            met_elsewhere: None,
        }
    }
}

/// A rejection.
#[derive(Debug, Object)]
#[oai(example)]
pub struct RejectReview {
    pub reason: care::RejectionReason,
    /// The provider's own words, for the chart; at most 4,000 characters.
    pub note: Option<Text<ChartNote>>,
}

impl poem_openapi::types::Example for RejectReview {
    fn example() -> Self {
        Self {
            reason: care::RejectionReason::NeedsInPersonVisit,
            note: Some("The mole has to be looked at.".into()),
        }
    }
}

/// What became of a rule.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Enum)]
#[oai(rename_all = "snake_case")]
pub enum RuleResultWord {
    Fired,
    NotFired,
    /// It could not be evaluated, which counts as a reason for review.
    Errored,
}

/// A rule as it was evaluated.
#[derive(Debug, Object)]
pub struct TracedRuleView {
    pub id: String,
    pub description: String,
    pub severity: care::Severity,
    /// The rule itself, in the Common Expression Language.
    pub expression: String,
    /// The inputs that the rule names, by their path; null where missing.
    pub inputs: Value,
    pub result: RuleResultWord,
    /// Why it could not be evaluated.
    pub error: Option<String>,
    pub urgent: bool,
    pub reason: ReasonView,
}

impl From<TracedRule> for TracedRuleView {
    fn from(traced: TracedRule) -> Self {
        let (result, error) = match traced.result {
            RuleResult::Fired => (RuleResultWord::Fired, None),
            RuleResult::NotFired => (RuleResultWord::NotFired, None),
            RuleResult::Errored { message } => (RuleResultWord::Errored, Some(message)),
        };
        Self {
            id: traced.rule.id,
            description: traced.rule.description,
            severity: traced.rule.severity,
            expression: traced.rule.expression,
            inputs: json!(traced.inputs),
            result,
            error,
            urgent: traced.rule.urgent,
            reason: ReasonView { code: traced.rule.reason_code, text: traced.rule.reason_text },
        }
    }
}

/// An assessment with all that it rests on.
#[derive(Debug, Object)]
pub struct TracedAssessmentView {
    pub id: Uuid,
    pub category_id: Uuid,
    pub response_id: Uuid,
    pub decided_at: DateTime<Utc>,
    pub outcome: AssessmentOutcome,
    pub reasons: Vec<ReasonView>,
    pub review: care::ReviewWord,
    /// The provider who holds the review or decided it.
    pub review_provider_id: Option<Uuid>,
    pub priority: care::Priority,
    /// The rule set; absent where the category had none.
    pub rule_set_id: Option<Uuid>,
    pub rule_set_version: i32,
    /// The patient's age in years, sex and state at the decision.
    pub patient: Value,
    /// Every answer that was looked at, by link id.
    pub answers: Value,
    /// The scores of the form, by name.
    pub scores: Value,
    /// Active medications of the record.
    pub medications: Value,
    /// Active allergies of the record.
    pub allergies: Value,
    /// Whether the drug was on the state's allowlist.
    pub allowlisted: bool,
    /// Whether the state permits asynchronous care.
    pub asynchronous: bool,
    /// Whether sex and age fit those of the patient's earlier decisions.
    pub profile_unchanged: bool,
    /// Who answers for automatic approvals in the state.
    pub supervising_provider_id: Option<Uuid>,
    /// Every rule, in the set's order.
    pub rules: Vec<TracedRuleView>,
}

#[derive(Debug, Object)]
pub struct EligibilityView {
    /// Newest first.
    pub assessments: Vec<TracedAssessmentView>,
}

impl From<Assessment> for TracedAssessmentView {
    fn from(assessment: Assessment) -> Self {
        let trace = assessment.trace;
        Self {
            id: assessment.id.uuid(),
            category_id: assessment.category.uuid(),
            response_id: assessment.response.uuid(),
            decided_at: assessment.decided_at,
            outcome: assessment.outcome,
            reasons: assessment
                .reasons
                .into_iter()
                .map(|reason| ReasonView { code: reason.code, text: reason.text })
                .collect(),
            review: assessment.review.word(),
            review_provider_id: assessment.review.provider().map(Into::into),
            priority: assessment.priority,
            rule_set_id: trace.rule_set.map(Into::into),
            rule_set_version: trace.rule_set_version,
            patient: json!(trace.inputs.patient),
            answers: json!(trace.inputs.answers),
            scores: json!(trace.inputs.scores),
            medications: json!(trace.inputs.medications),
            allergies: json!(trace.inputs.allergies),
            allowlisted: trace.gates.allowlisted,
            asynchronous: trace.gates.asynchronous,
            profile_unchanged: trace.gates.profile_unchanged,
            supervising_provider_id: trace.gates.supervising_provider.map(Into::into),
            rules: trace.rules.into_iter().map(Into::into).collect(),
        }
    }
}

#[OpenApi(tag = "Tag::Care")]
impl ReviewsApi {
    /// List open reviews
    ///
    /// Those of patients in states where the provider holds an active license
    /// right now, without those that another provider has claimed.
    #[oai(path = "/api/providers/review-queue", method = "get", operation_id = "listReviewQueue")]
    async fn queue(
        &self,
        caller: Caller,
        limit: Query<Option<u32>>,
        cursor: Query<Option<String>>,
    ) -> Result<Json<QueueView>, Problem> {
        let page = PageQuery::read(limit, cursor)?;
        let (store, actor) = (self.store.as_ref(), caller.actor());
        let Page { items, next } =
            reviews::queue(&self.env, store, &self.sources, actor, &page).await?;
        let names =
            Names::of(self.sources.facts.as_ref(), items.iter().map(|item| item.patient)).await?;
        let reviews = items.into_iter().map(|item| QueueItemView::of(item, &names)).collect();
        Ok(Json(QueueView { reviews, next }))
    }

    /// Claim a review
    ///
    /// The claim keeps other providers out for 30 minutes; claiming again
    /// prolongs it.
    #[oai(
        path = "/api/providers/reviews/:assessment_id/claim",
        method = "post",
        operation_id = "claimReview"
    )]
    async fn claim(
        &self,
        caller: Caller,
        assessment_id: Path<Uuid>,
    ) -> Result<Json<ReviewView>, Problem> {
        let (store, id) = (self.store.as_ref(), AssessmentId(assessment_id.0));
        let review = reviews::claim(&self.env, store, &self.sources, caller.actor(), id).await?;
        Ok(Json(review.into()))
    }

    /// Release a claimed review
    ///
    /// Gives it back to the queue.
    #[oai(
        path = "/api/providers/reviews/:assessment_id/release",
        method = "post",
        operation_id = "releaseReview"
    )]
    async fn release(
        &self,
        caller: Caller,
        assessment_id: Path<Uuid>,
    ) -> Result<Json<ReviewView>, Problem> {
        let (store, id) = (self.store.as_ref(), AssessmentId(assessment_id.0));
        let review = reviews::release(&self.env, store, &self.sources, caller.actor(), id).await?;
        Ok(Json(review.into()))
    }

    /// Approve a claimed review
    ///
    /// Creates the treatment plan: with the given treatment, or with that of
    /// the category's protocol, as it was read: what is signed is what was shown.
    /// The license is checked once more, and the dose
    /// against the drug's maximum, the ages that it is meant for and the kidneys:
    /// what speaks against it needs an override with a reason. Where the patient has an active plan in the
    /// category, `supersedes` must name it: it ends in the same moment, and
    /// nothing more is filled or sent out for it. Repeated with the same
    /// `Idempotency-Key`, it answers with the plan that was made first.
    #[oai(
        path = "/api/providers/reviews/:assessment_id/approve",
        method = "post",
        operation_id = "approveReview"
    )]
    async fn approve(
        &self,
        caller: Caller,
        /// A value that is unique to this approval; a repetition carries it again.
        #[oai(name = "Idempotency-Key")]
        key: Header<String>,
        assessment_id: Path<Uuid>,
        body: Body<ApproveReview>,
    ) -> Result<Json<PlanView>, Problem> {
        let id = AssessmentId(assessment_id.0);
        let key = idempotency_key_on("care.approve_review", assessment_id.0, &key.0, &body.0)?;
        let approval = Approval {
            seen: body.0.version,
            treatment: body.0.treatment.map(TreatmentBody::parse).transpose()?,
            kidneys: body.0.kidneys.map(Into::into),
            overrides: body.0.overrides.into_iter().map(Into::into).collect(),
            supersedes: body.0.supersedes.map(TreatmentPlanId),
            met_elsewhere: body.0.met_elsewhere.map(Into::into),
        };
        let (store, sources, actor) = (self.store.as_ref(), &self.sources, caller.actor());
        let plan = reviews::approve(&self.env, store, sources, actor, id, approval, &key).await?;
        Ok(Json(plan.into()))
    }

    /// Reject a claimed review
    ///
    /// With a coded reason, which the patient reads, and words for the chart. Only
    /// who holds the review and is licensed where the patient is now can.
    #[oai(
        path = "/api/providers/reviews/:assessment_id/reject",
        method = "post",
        operation_id = "rejectReview"
    )]
    async fn reject(
        &self,
        caller: Caller,
        assessment_id: Path<Uuid>,
        body: Body<RejectReview>,
    ) -> Result<Json<ReviewView>, Problem> {
        let (reason, note) = (body.0.reason, body.0.note.map(Into::into));
        let (store, sources, actor) = (self.store.as_ref(), &self.sources, caller.actor());
        let id = AssessmentId(assessment_id.0);
        let review = reviews::reject(&self.env, store, sources, actor, id, reason, note).await?;
        Ok(Json(review.into()))
    }

    /// Read a patient's eligibility
    ///
    /// Every decision with the rules, their inputs and their results, for
    /// those who treat the patient.
    #[oai(
        path = "/api/providers/patients/:user_id/eligibility",
        method = "get",
        operation_id = "getPatientEligibility"
    )]
    async fn eligibility(
        &self,
        caller: Caller,
        user_id: Path<Uuid>,
    ) -> Result<Json<EligibilityView>, Problem> {
        let (store, patient) = (self.store.as_ref(), PatientId(user_id.0));
        let assessments = reviews::eligibility(store, caller.actor(), patient).await?;
        let assessments = assessments.into_iter().map(Into::into).collect();
        Ok(Json(EligibilityView { assessments }))
    }
}
