//! The whole of a review, for the provider who signs it.

use std::sync::Arc;

use api::{Body, Caller, Mirror, Result, Tag};
use care::{
    AlertSeverity, AskedQuestion, Assessment, CareStore, Consultation, ConsultationStatus,
    ReviewWord, SafetyAlert, Sources,
    dosing::DoseAlert,
    whole_review::{self, Proposal, WholeReview},
};
use chrono::{DateTime, NaiveDate, Utc};
use kernel::{
    AssessmentId, CategoryId, Coding, ConsultationId, PatientId, ProviderId, TreatmentPlanId,
};
use poem_openapi::{ApiResponse, Object, OpenApi, param::Path, payload::Json};
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
#[derive(Debug, Object, Mirror)]
#[mirror(from = Coding)]
pub struct CodedView {
    pub system: String,
    pub code: String,
    pub display: String,
}

/// What is known of the patient now.
#[derive(Debug, Object)]
pub struct ChartView {
    pub patient_id: PatientId,
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

impl ChartView {
    fn of(whole: &WholeReview) -> Self {
        let facts = &whole.facts;
        let coded = |codes: &[Coding]| codes.iter().cloned().map(Into::into).collect();
        Self {
            patient_id: whole.assessment.patient,
            patient: whole.name.clone().map(Into::into),
            age: whole.age.years,
            age_counted_on: whole.age.on,
            sex: facts.sex.to_string(),
            state: facts.state.into(),
            medications: coded(&facts.medications),
            allergies: coded(&facts.allergies),
            record_answered: facts.record_answered,
            pregnant: whole.pregnant,
        }
    }
}

/// A question of the form with its answer.
#[derive(Debug, Object, Mirror)]
#[mirror(from = AskedQuestion)]
pub struct AskedQuestionView {
    pub link_id: String,
    /// As the patient read it.
    pub question: String,
    /// In the words of the form.
    pub answer: String,
    /// As rules read it.
    pub value: Value,
}

/// What the safety check finds.
#[derive(Debug, Object, Mirror)]
#[mirror(from = SafetyAlert)]
pub struct ProposedAlertView {
    /// What names it when the prescription overrides it.
    pub key: String,
    pub kind: String,
    pub severity: AlertSeverity,
    pub summary: String,
    /// Where the knowledge comes from.
    pub source: String,
    /// The prescription waits until it is overridden.
    #[mirror(blocks)]
    pub blocking: bool,
    pub overridable: bool,
}

/// A treatment as it would be signed.
#[derive(Debug, Object, Mirror)]
#[mirror(from = Proposal)]
pub struct ProposalView {
    /// It is the category's default, and not one of the provider's own.
    pub is_default: bool,
    pub treatment: TreatmentBody,
    /// What the formulary says of the drug.
    #[mirror(limit)]
    pub formulary: Option<FormularyDrugBody>,
    /// How the drug is dosed, where a rule says so.
    #[mirror(rule)]
    pub dosing_rule: Option<DosingRuleBody>,
    /// What speaks against the dose; each that blocks needs an override, or a
    /// measurement of the kidneys, in the approval.
    pub dose_alerts: Vec<DoseAlert>,
    /// What the safety check finds on the record as it is.
    pub alerts: Vec<ProposedAlertView>,
}

/// Another assessment of the patient.
#[derive(Debug, Object, Mirror)]
#[mirror(from = Assessment)]
pub struct EarlierAssessmentView {
    pub id: AssessmentId,
    pub category_id: CategoryId,
    pub decided_at: DateTime<Utc>,
    pub outcome: AssessmentOutcome,
    #[mirror(|assessment| assessment.review.word())]
    pub review: ReviewWord,
    pub reasons: Vec<ReasonView>,
}

/// A visit of the patient.
#[derive(Debug, Object, Mirror)]
#[mirror(from = Consultation)]
pub struct EarlierVisitView {
    pub id: ConsultationId,
    pub provider_id: ProviderId,
    pub category_id: Option<CategoryId>,
    pub starts_at: DateTime<Utc>,
    pub status: ConsultationStatus,
}

/// Everything that a provider signs on.
#[derive(Debug, Object, Mirror)]
#[mirror(from = WholeReview)]
pub struct WholeReviewView {
    /// Names what was shown; an approval sends it back.
    #[mirror(|whole| whole.version())]
    pub version: String,
    /// What the rules decided, with all that they looked at.
    pub assessment: TracedAssessmentView,
    #[mirror(|whole| ChartView::of(whole))]
    pub chart: ChartView,
    /// What was asked and answered, in the order and the words of the version of
    /// the form that the patient saw.
    pub questions: Vec<AskedQuestionView>,
    /// What was asked in the review itself, oldest first.
    pub exchanges: Vec<ExchangeView>,
    /// Absent where the category has no default treatment.
    #[mirror(proposal)]
    pub proposed: Option<ProposalView>,
    /// The active plan of the category, which an approval names in `supersedes`.
    #[mirror(|whole| whole.replaces())]
    pub replaces: Option<TreatmentPlanId>,
    /// The patient's other assessments, newest first.
    #[mirror(earlier)]
    pub assessments: Vec<EarlierAssessmentView>,
    /// The patient's plans in every category, newest first.
    pub plans: Vec<PlanView>,
    /// The patient's visits, newest first.
    pub visits: Vec<EarlierVisitView>,
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

api::example!(ProposeTreatment { treatment: TreatmentBody::example() });

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
        assessment_id: Path<AssessmentId>,
    ) -> Result<WholeReviewFound> {
        let (store, sources) = (&*self.store, &self.sources);
        let (actor, id) = (caller.actor(), assessment_id.0);
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
        assessment_id: Path<AssessmentId>,
        body: Body<ProposeTreatment>,
    ) -> Result<WholeReviewFound> {
        let given = Some(body.0.treatment.parse()?);
        let (store, sources) = (&*self.store, &self.sources);
        let (actor, id) = (caller.actor(), assessment_id.0);
        let whole = whole_review::read(&self.env, store, sources, actor, id, given).await?;
        Ok(whole.into())
    }
}
