use std::sync::Arc;

use api::{Answer, Body, Caller, Mirror, PageQuery, Tag, Text, idempotency_key_on};
use care::{
    Assessment, CareStore, Priority, QueueItem, RejectionReason, ReviewWord, Severity, Sources,
    eligibility::{RuleResultWord, TracedRule},
    reviews::{self, Approval},
};
use chrono::{DateTime, Utc};
use kernel::{
    AssessmentId, CategoryId, FormResponseId, Page, PatientId, ProviderId, RuleSetId,
    TreatmentPlanId,
    text::{ChartNote, MeetingReport},
};
use poem_openapi::{
    Object, OpenApi,
    param::{Header, Path, Query},
    payload::Json,
};
use ports::{Env, events::AssessmentOutcome};
use serde_json::{Value, json};

use super::{
    assessments::ReasonView,
    dosing::DoseOverrideBody,
    names::{self, WhoView},
    treatment::{KidneysBody, PlanView, TreatmentBody},
};

pub struct ReviewsApi {
    pub env: Env,
    pub store: Arc<dyn CareStore>,
    pub sources: Sources,
}

/// A review that the provider may take.
#[derive(Debug, Object, Mirror)]
#[mirror(from = QueueItem)]
pub struct QueueItemView {
    #[mirror(id)]
    pub assessment_id: AssessmentId,
    #[oai(flatten)]
    #[mirror(patient)]
    pub who: WhoView,
    pub category_id: CategoryId,
    /// The postal code of the patient's state.
    pub state: String,
    pub priority: Priority,
    pub submitted_at: DateTime<Utc>,
    pub due_at: DateTime<Utc>,
    /// Until when the provider's own claim holds.
    #[mirror(|item| item.review.claimed_until())]
    pub claimed_until: Option<DateTime<Utc>>,
}

/// A page of the review queue.
#[derive(Debug, Object, Mirror)]
#[mirror(from = Page<QueueItem>)]
pub struct QueueView {
    /// Urgent ones first, then by the time at which they are due.
    #[mirror(items)]
    pub reviews: Vec<QueueItemView>,
    /// The cursor of the next page.
    pub next: Option<String>,
}

/// A review as the provider who works on it sees it.
#[derive(Debug, Object, Mirror)]
#[mirror(from = Assessment)]
pub struct ReviewView {
    #[mirror(id)]
    pub assessment_id: AssessmentId,
    pub patient_id: PatientId,
    pub category_id: CategoryId,
    #[mirror(|assessment| assessment.review.word())]
    pub review: ReviewWord,
    pub priority: Priority,
    pub due_at: Option<DateTime<Utc>>,
    /// Until when a claim holds.
    #[mirror(|assessment| assessment.review.claimed_until())]
    pub claimed_until: Option<DateTime<Utc>>,
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
    pub supersedes: Option<TreatmentPlanId>,
    /// When, where and how the two met, where state or category ask for a visit
    /// and none here is on file; else the answer is 409 `care.visit_required`.
    /// It stands in the plan's history.
    pub met_elsewhere: Option<Text<MeetingReport>>,
}

api::example!(ApproveReview {
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
});

/// A rejection.
#[derive(Debug, Object)]
#[oai(example)]
pub struct RejectReview {
    pub reason: RejectionReason,
    /// The provider's own words, for the chart; at most 4,000 characters.
    pub note: Option<Text<ChartNote>>,
}

api::example!(RejectReview {
    reason: RejectionReason::NeedsInPersonVisit,
    note: Some("The mole has to be looked at.".into()),
});

/// A rule as it was evaluated.
#[derive(Debug, Object, Mirror)]
#[mirror(from = TracedRule)]
pub struct TracedRuleView {
    #[mirror(rule.id)]
    pub id: String,
    #[mirror(rule.description)]
    pub description: String,
    #[mirror(rule.severity)]
    pub severity: Severity,
    /// The rule itself, in the Common Expression Language.
    #[mirror(rule.expression)]
    pub expression: String,
    /// The inputs that the rule names, by their path; null where missing.
    #[mirror(|traced| json!(traced.inputs))]
    pub inputs: Value,
    #[mirror(|traced| traced.result.word())]
    pub result: RuleResultWord,
    /// Why it could not be evaluated.
    #[mirror(|traced| traced.result.error().map(Into::into))]
    pub error: Option<String>,
    #[mirror(rule.urgent)]
    pub urgent: bool,
    #[mirror(|traced| ReasonView::of(&traced.rule))]
    pub reason: ReasonView,
}

/// An assessment with all that it rests on.
#[derive(Debug, Object, Mirror)]
#[mirror(from = Assessment)]
pub struct TracedAssessmentView {
    pub id: AssessmentId,
    pub category_id: CategoryId,
    pub response_id: FormResponseId,
    pub decided_at: DateTime<Utc>,
    pub outcome: AssessmentOutcome,
    pub reasons: Vec<ReasonView>,
    #[mirror(|assessment| assessment.review.word())]
    pub review: ReviewWord,
    /// The provider who holds the review or decided it.
    #[mirror(|assessment| assessment.review.provider())]
    pub review_provider_id: Option<ProviderId>,
    pub priority: Priority,
    /// The rule set; absent where the category had none.
    #[mirror(trace.rule_set)]
    pub rule_set_id: Option<RuleSetId>,
    #[mirror(trace.rule_set_version)]
    pub rule_set_version: i32,
    /// The patient's age in years, sex and state at the decision.
    #[mirror(|assessment| json!(assessment.trace.inputs.patient))]
    pub patient: Value,
    /// Every answer that was looked at, by link id.
    #[mirror(|assessment| json!(assessment.trace.inputs.answers))]
    pub answers: Value,
    /// The scores of the form, by name.
    #[mirror(|assessment| json!(assessment.trace.inputs.scores))]
    pub scores: Value,
    /// Active medications of the record.
    #[mirror(|assessment| json!(assessment.trace.inputs.medications))]
    pub medications: Value,
    /// Active allergies of the record.
    #[mirror(|assessment| json!(assessment.trace.inputs.allergies))]
    pub allergies: Value,
    /// Whether the drug was on the state's allowlist.
    #[mirror(trace.gates.allowlisted)]
    pub allowlisted: bool,
    /// Whether the state permits asynchronous care.
    #[mirror(trace.gates.asynchronous)]
    pub asynchronous: bool,
    /// Whether sex and age fit those of the patient's earlier decisions.
    #[mirror(trace.gates.profile_unchanged)]
    pub profile_unchanged: bool,
    /// Who answers for automatic approvals in the state.
    #[mirror(trace.gates.supervising_provider)]
    pub supervising_provider_id: Option<ProviderId>,
    /// Every rule, in the set's order.
    #[mirror(trace.rules)]
    pub rules: Vec<TracedRuleView>,
}

#[derive(Debug, Object)]
pub struct EligibilityView {
    /// Newest first.
    pub assessments: Vec<TracedAssessmentView>,
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
    ) -> Answer<QueueView> {
        let page = PageQuery::read(limit, cursor)?;
        let (store, sources, actor) = (&*self.store, &self.sources, caller.actor());
        let found = reviews::queue(&self.env, store, sources, actor, &page).await?;
        let mut shown = QueueView::from(found);
        names::name(&*sources.facts, shown.reviews.iter_mut().map(|item| &mut item.who)).await?;
        Ok(Json(shown))
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
    async fn claim(&self, caller: Caller, assessment_id: Path<AssessmentId>) -> Answer<ReviewView> {
        let (store, id) = (&*self.store, assessment_id.0);
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
        assessment_id: Path<AssessmentId>,
    ) -> Answer<ReviewView> {
        let (store, id) = (&*self.store, assessment_id.0);
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
        assessment_id: Path<AssessmentId>,
        body: Body<ApproveReview>,
    ) -> Answer<PlanView> {
        let id = assessment_id.0;
        let key = idempotency_key_on("care.approve_review", id, &key.0, &body.0)?;
        let approval = Approval {
            seen: body.0.version,
            treatment: body.0.treatment.map(TreatmentBody::parse).transpose()?,
            kidneys: body.0.kidneys.map(Into::into),
            overrides: body.0.overrides.into_iter().map(Into::into).collect(),
            supersedes: body.0.supersedes,
            met_elsewhere: body.0.met_elsewhere.map(Into::into),
        };
        let (store, sources, actor) = (&*self.store, &self.sources, caller.actor());
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
        assessment_id: Path<AssessmentId>,
        body: Body<RejectReview>,
    ) -> Answer<ReviewView> {
        let (reason, note) = (body.0.reason, body.0.note.map(Into::into));
        let (store, sources, actor) = (&*self.store, &self.sources, caller.actor());
        let id = assessment_id.0;
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
        user_id: Path<PatientId>,
    ) -> Answer<EligibilityView> {
        let (store, patient) = (&*self.store, user_id.0);
        let assessments = reviews::eligibility(store, caller.actor(), patient).await?;
        Ok(Json(EligibilityView { assessments: assessments.into_iter().map(Into::into).collect() }))
    }
}
