//! The whole of a review, for the provider who signs it.

use std::sync::Arc;

use api::{Body, Caller, Problem, Tag};
use care::{
    AlertSeverity, AskedQuestion, CareStore, SafetyAlert, Sources,
    whole_review::{self, Proposal, WholeReview},
};
use chrono::{DateTime, NaiveDate, Utc};
use kernel::{AssessmentId, Coding, Uuid};
use poem_openapi::{
    ApiResponse, Enum, Object, OpenApi, param::Path, payload::Json, types::Example,
};
use ports::{Env, events::AssessmentOutcome};
use serde_json::Value;

use super::{
    assessments::ReasonView,
    dosing::DosingRuleBody,
    information::ExchangeView,
    names::PatientNameView,
    reviews::TracedAssessmentView,
    settings::FormularyDrugBody,
    treatment::{PlanView, TreatmentBody},
};

pub struct WholeReviewApi {
    pub env: Env,
    pub store: Arc<dyn CareStore>,
    pub sources: Sources,
}

/// A code of the record with its words.
#[derive(Debug, Object)]
pub struct CodedView {
    pub system: String,
    pub code: String,
    pub display: String,
}

impl From<Coding> for CodedView {
    fn from(coding: Coding) -> Self {
        Self { system: coding.system, code: coding.code, display: coding.display }
    }
}

/// What is known of the patient now.
#[derive(Debug, Object)]
pub struct ChartView {
    pub patient_id: Uuid,
    pub patient: Option<PatientNameView>,
    /// In completed years.
    pub age: u32,
    /// The day that the age was counted on, in the patient's state.
    pub age_counted_on: NaiveDate,
    pub sex: String,
    /// The postal code of the patient's state.
    pub state: String,
    /// Active medications of the record, and what is prescribed here.
    pub medications: Vec<CodedView>,
    /// Active allergies of the record.
    pub allergies: Vec<CodedView>,
    /// Whether the patient has answered for both; without that an empty list says
    /// nothing.
    pub record_answered: bool,
    /// What the patient has last told of a pregnancy; absent where nothing was.
    pub pregnant: Option<bool>,
}

/// A question of the form with its answer.
#[derive(Debug, Object)]
pub struct AskedQuestionView {
    pub link_id: String,
    /// As the patient read it.
    pub question: String,
    /// In the words of the form.
    pub answer: String,
    /// As rules read it.
    pub value: Value,
}

impl From<AskedQuestion> for AskedQuestionView {
    fn from(asked: AskedQuestion) -> Self {
        Self {
            link_id: asked.link_id,
            question: asked.question,
            answer: asked.answer,
            value: asked.value,
        }
    }
}

/// How grave a finding is.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Enum)]
#[oai(rename_all = "snake_case")]
pub enum AlertSeverityWord {
    High,
    Moderate,
    Low,
    /// Not known, and therefore not safe.
    Undefined,
}

/// What the safety check finds.
#[derive(Debug, Object)]
pub struct ProposedAlertView {
    /// What names it when the prescription overrides it.
    pub key: String,
    pub kind: String,
    pub severity: AlertSeverityWord,
    pub summary: String,
    /// Where the knowledge comes from.
    pub source: String,
    /// The prescription waits until it is overridden.
    pub blocking: bool,
    pub overridable: bool,
}

impl From<SafetyAlert> for ProposedAlertView {
    fn from(alert: SafetyAlert) -> Self {
        Self {
            key: alert.key,
            kind: alert.kind,
            severity: match alert.severity {
                AlertSeverity::High => AlertSeverityWord::High,
                AlertSeverity::Moderate => AlertSeverityWord::Moderate,
                AlertSeverity::Low => AlertSeverityWord::Low,
                AlertSeverity::Undefined => AlertSeverityWord::Undefined,
            },
            summary: alert.summary,
            source: alert.source,
            blocking: alert.blocks,
            overridable: alert.overridable,
        }
    }
}

/// A treatment as it would be signed.
#[derive(Debug, Object)]
pub struct ProposalView {
    /// It is the category's default, and not one of the provider's own.
    pub is_default: bool,
    pub treatment: TreatmentBody,
    /// What the formulary says of the drug.
    pub formulary: Option<FormularyDrugBody>,
    /// How the drug is dosed, where a rule says so.
    pub dosing_rule: Option<DosingRuleBody>,
    /// What speaks against the dose; each that blocks needs an override, or a
    /// measurement of the kidneys, in the approval.
    pub dose_alerts: Vec<care::dosing::DoseAlert>,
    /// What the safety check finds on the record as it is.
    pub alerts: Vec<ProposedAlertView>,
}

impl From<Proposal> for ProposalView {
    fn from(proposal: Proposal) -> Self {
        Self {
            is_default: proposal.is_default,
            treatment: proposal.treatment.into(),
            formulary: proposal.limit.map(Into::into),
            dosing_rule: proposal.rule.map(Into::into),
            dose_alerts: proposal.dose_alerts.into_iter().collect(),
            alerts: proposal.alerts.into_iter().map(Into::into).collect(),
        }
    }
}

/// Another assessment of the patient.
#[derive(Debug, Object)]
pub struct EarlierAssessmentView {
    pub id: Uuid,
    pub category_id: Uuid,
    pub decided_at: DateTime<Utc>,
    pub outcome: AssessmentOutcome,
    pub review: care::ReviewWord,
    pub reasons: Vec<ReasonView>,
}

/// A visit of the patient.
#[derive(Debug, Object)]
pub struct EarlierVisitView {
    pub id: Uuid,
    pub provider_id: Uuid,
    pub category_id: Option<Uuid>,
    pub starts_at: DateTime<Utc>,
    pub status: care::ConsultationStatus,
}

/// Everything that a provider signs on.
#[derive(Debug, Object)]
pub struct WholeReviewView {
    /// Names what was shown; an approval sends it back.
    pub version: String,
    /// What the rules decided, with all that they looked at.
    pub assessment: TracedAssessmentView,
    pub chart: ChartView,
    /// What was asked and answered, in the order and the words of the version of
    /// the form that the patient saw.
    pub questions: Vec<AskedQuestionView>,
    /// What was asked in the review itself, oldest first.
    pub exchanges: Vec<ExchangeView>,
    /// Absent where the category has no default treatment.
    pub proposed: Option<ProposalView>,
    /// The active plan of the category, which an approval names in `supersedes`.
    pub replaces: Option<Uuid>,
    /// The patient's other assessments, newest first.
    pub assessments: Vec<EarlierAssessmentView>,
    /// The patient's plans in every category, newest first.
    pub plans: Vec<PlanView>,
    /// The patient's visits, newest first.
    pub visits: Vec<EarlierVisitView>,
}

impl From<WholeReview> for WholeReviewView {
    fn from(whole: WholeReview) -> Self {
        let (version, replaces) = (whole.version(), whole.replaces().map(Into::into));
        let (patient, facts) = (whole.assessment.patient, whole.facts);
        Self {
            version,
            replaces,
            chart: ChartView {
                patient_id: patient.uuid(),
                patient: whole.name.map(PatientNameView::from),
                age: whole.age.years,
                age_counted_on: whole.age.on,
                sex: facts.sex.to_string(),
                state: facts.state.to_string(),
                medications: facts.medications.into_iter().map(Into::into).collect(),
                allergies: facts.allergies.into_iter().map(Into::into).collect(),
                record_answered: facts.record_answered,
                pregnant: whole.pregnant,
            },
            assessment: whole.assessment.into(),
            questions: whole.questions.into_iter().map(Into::into).collect(),
            exchanges: whole.exchanges.into_iter().map(Into::into).collect(),
            proposed: whole.proposal.map(Into::into),
            assessments: whole
                .earlier
                .into_iter()
                .map(|other| EarlierAssessmentView {
                    id: other.id.uuid(),
                    category_id: other.category.uuid(),
                    decided_at: other.decided_at,
                    outcome: other.outcome,
                    review: other.review.word(),
                    reasons: other
                        .reasons
                        .into_iter()
                        .map(|reason| ReasonView { code: reason.code, text: reason.text })
                        .collect(),
                })
                .collect(),
            plans: whole.plans.into_iter().map(Into::into).collect(),
            visits: whole
                .visits
                .into_iter()
                .map(|visit| EarlierVisitView {
                    id: visit.id.uuid(),
                    provider_id: visit.provider.uuid(),
                    category_id: visit.category.map(Into::into),
                    starts_at: visit.starts_at,
                    status: visit.status,
                })
                .collect(),
        }
    }
}

/// The whole review with its version as the entity tag.
#[derive(ApiResponse)]
pub enum WholeReviewFound {
    /// The whole review.
    #[oai(status = 200)]
    Found(
        Json<WholeReviewView>,
        /// The `version`, in quotes.
        #[oai(header = "ETag")]
        String,
    ),
}

impl From<WholeReview> for WholeReviewFound {
    fn from(whole: WholeReview) -> Self {
        let view = WholeReviewView::from(whole);
        let tag = format!("\"{}\"", view.version);
        Self::Found(Json(view), tag)
    }
}

/// A treatment of the provider's own, to be looked at before it is signed.
#[derive(Debug, Object)]
#[oai(example)]
pub struct ProposeTreatment {
    pub treatment: TreatmentBody,
}

impl Example for ProposeTreatment {
    fn example() -> Self {
        Self { treatment: TreatmentBody::example() }
    }
}

#[OpenApi(tag = "Tag::Care")]
impl WholeReviewApi {
    /// Read the whole of a claimed review
    ///
    /// For the provider who holds it: the patient's chart as it is now, every
    /// answer with its question, the category's default treatment as it would be
    /// signed, what the formulary, the dose and the safety check say against it,
    /// and what was decided, planned and held before. An approval sends back the
    /// `version`.
    #[oai(
        path = "/api/providers/reviews/:assessment_id",
        method = "get",
        operation_id = "getReview"
    )]
    async fn read(
        &self,
        caller: Caller,
        assessment_id: Path<Uuid>,
    ) -> Result<WholeReviewFound, Problem> {
        let (store, sources) = (self.store.as_ref(), &self.sources);
        let (actor, id) = (caller.actor(), AssessmentId(assessment_id.0));
        let whole = whole_review::read(&self.env, store, sources, actor, id, None).await?;
        Ok(whole.into())
    }

    /// Look at a treatment of one's own before signing it
    ///
    /// The whole review with this treatment in the place of the default, and with
    /// what speaks against it. Nothing is kept; an approval with the same
    /// treatment sends back this `version`. What is measured and overridden may
    /// be added by then.
    #[oai(
        path = "/api/providers/reviews/:assessment_id/proposal",
        method = "post",
        operation_id = "proposeReviewTreatment"
    )]
    async fn propose(
        &self,
        caller: Caller,
        assessment_id: Path<Uuid>,
        body: Body<ProposeTreatment>,
    ) -> Result<WholeReviewFound, Problem> {
        let given = Some(body.0.treatment.parse()?);
        let (store, sources) = (self.store.as_ref(), &self.sources);
        let (actor, id) = (caller.actor(), AssessmentId(assessment_id.0));
        let whole = whole_review::read(&self.env, store, sources, actor, id, given).await?;
        Ok(whole.into())
    }
}
