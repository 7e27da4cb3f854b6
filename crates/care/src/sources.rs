//! What care needs from other contexts, in its own words. The bridges
//! implement these over intake, identity and the clinical record.

use std::{collections::BTreeMap, sync::Arc};

use async_trait::async_trait;
use chrono::{DateTime, NaiveDate, Utc};
use chrono_tz::Tz;
use kernel::{
    AccountId, Age, CategoryId, Coding, FormResponseId, HumanName, PatientId, ProviderId, Sex,
    TreatmentPlanId, UsState, Word,
};
use ports::Result;
use serde::Serialize;
use serde_json::Value;

use crate::{Treatment, assignment::Colleague};

/// A submitted form response as eligibility reads it.
#[derive(Clone, Debug, PartialEq)]
pub struct SubmittedResponse {
    pub id: FormResponseId,
    pub patient: PatientId,
    pub category: CategoryId,
    pub submitted_at: DateTime<Utc>,
    /// By link id. Answers of items that the form's conditions disabled,
    /// directly or through a parent, are not among them. A choice is its code,
    /// a multiple choice a list of codes, a date an ISO string.
    pub answers: BTreeMap<String, Value>,
    /// The form's scores by name, as in `phq9`.
    pub scores: BTreeMap<String, f64>,
}

#[async_trait]
pub trait IntakeReader: Send + Sync {
    /// A submitted response; `None` while it does not exist.
    async fn submitted(&self, response: FormResponseId) -> Result<Option<SubmittedResponse>>;

    /// What was asked and answered, in the words and the order of the version
    /// that the patient was shown.
    async fn asked(&self, response: FormResponseId) -> Result<Option<Vec<AskedQuestion>>>;
}

/// A question of a form with its answer.
#[derive(Clone, Debug, PartialEq, Serialize)]
pub struct AskedQuestion {
    pub link_id: String,
    /// As the patient read it.
    pub question: String,
    /// In the words of the form: the texts of the choices, a number with its
    /// unit, the score of what is calculated.
    pub answer: String,
    /// As rules read it.
    pub value: Value,
}

/// How grave a finding of the safety check is.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Word)]
#[word("AlertSeverityWord")]
#[serde(rename_all = "snake_case")]
pub enum AlertSeverity {
    High,
    Moderate,
    Low,
    /// Not known, and therefore not safe.
    Undefined,
}

/// What the safety check finds against a treatment.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
pub struct SafetyAlert {
    /// What names it when it is overridden.
    pub key: String,
    pub kind: String,
    pub severity: AlertSeverity,
    pub summary: String,
    /// Where the knowledge comes from.
    pub source: String,
    /// The prescription will not be sent until it is overridden.
    pub blocks: bool,
    pub overridable: bool,
}

#[async_trait]
pub trait SafetyChecks: Send + Sync {
    /// Everything that speaks against the treatment, on the record as it is and
    /// beside what is prescribed, without the plan that it takes the place of.
    async fn alerts(
        &self,
        patient: PatientId,
        treatment: &Treatment,
        replaced: Option<TreatmentPlanId>,
    ) -> Result<Vec<SafetyAlert>>;
}

/// What is known of a patient apart from the form.
#[derive(Clone, Debug, PartialEq)]
pub struct ClinicalFacts {
    pub birth_date: NaiveDate,
    pub sex: Sex,
    /// Where the patient is now; it decides which license counts.
    pub state: UsState,
    /// Active medications of the record, and what is prescribed here.
    pub medications: Vec<Coding>,
    /// Active allergies of the record.
    pub allergies: Vec<Coding>,
    /// The patient has answered for both. Without that an empty list says
    /// nothing.
    pub record_answered: bool,
}

impl ClinicalFacts {
    pub fn age(&self, at: DateTime<Utc>) -> Age {
        Age::at(self.birth_date, self.state, at)
    }
}

/// What a list calls a patient by.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct PatientName {
    pub name: HumanName,
    pub birth_date: NaiveDate,
}

#[async_trait]
pub trait PatientFacts: Send + Sync {
    /// `None` while the profile lacks a birth date, a sex or a state.
    async fn facts(&self, patient: PatientId) -> Result<Option<ClinicalFacts>>;

    /// Who the patients are, those without a profile left out. Whoever asks has
    /// written into the trail of each that they were shown.
    async fn names(&self, patients: &[PatientId]) -> Result<BTreeMap<PatientId, PatientName>>;

    /// Where the patients are, those without a profile left out.
    async fn states(&self, patients: &[PatientId]) -> Result<BTreeMap<PatientId, UsState>>;
}

/// A provider's own standing.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Standing {
    /// Where a license is in force.
    pub licensed_in: Vec<UsState>,
    /// Where the provider works, as far as they have said so.
    pub zone: Option<Tz>,
    /// The licenses in force that expire soon, the first to expire first.
    pub expiring: Vec<ExpiringLicense>,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct ExpiringLicense {
    pub state: UsState,
    /// The last day on which it is in force.
    pub expires_on: NaiveDate,
    pub days_left: u32,
}

#[async_trait]
pub trait ProviderDirectory: Send + Sync {
    /// The states in which the provider holds an active license at `at`.
    async fn licensed_states(
        &self,
        provider: ProviderId,
        at: DateTime<Utc>,
    ) -> Result<Vec<UsState>>;

    /// The providers with an active license in `state` at `at`, in a stable
    /// order.
    async fn licensed_providers(
        &self,
        state: UsState,
        at: DateTime<Utc>,
    ) -> Result<Vec<ProviderId>>;

    /// Those who judge access in an emergency.
    async fn access_reviewers(&self) -> Result<Vec<AccountId>>;

    async fn is_patient(&self, patient: PatientId) -> Result<bool>;

    /// Whether this is a provider, also one who does not practise any more.
    async fn is_provider(&self, provider: ProviderId) -> Result<bool>;

    /// The same providers with what decides which of them is given a review.
    async fn colleagues(&self, state: UsState, at: DateTime<Utc>) -> Result<Vec<Colleague>>;

    /// What a provider sees of their own standing. Licenses that expire within
    /// so many days are named.
    async fn standing(
        &self,
        provider: ProviderId,
        at: DateTime<Utc>,
        days: u32,
    ) -> Result<Standing>;

    /// Whether the provider is at work from the one moment until the other;
    /// `None` where they have not said when they work.
    async fn at_work(
        &self,
        provider: ProviderId,
        from: DateTime<Utc>,
        until: DateTime<Utc>,
    ) -> Result<Option<bool>>;
}

/// The feature of a plan that opens video visits.
pub const VIDEO_VISITS: &str = "video_visits";

/// What the plans of a category, or of any, say of video visits.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum VisitCover {
    NoSuchCategory,
    /// A subscription of the patient that is in force has them.
    Included,
    /// Plans have them, and none that the patient has in force.
    NotIncluded,
    /// No plan names them, so they are open to everybody.
    NotSold,
}

/// What a category asks of everybody who is treated in it.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct CategoryTerms {
    /// Provider and patient have to meet, whatever the state says.
    pub visit: bool,
    /// In completed years.
    pub minimum_age: u32,
    pub maximum_age: Option<u32>,
}

impl CategoryTerms {
    pub fn admits(&self, age: u32) -> bool {
        age >= self.minimum_age && self.maximum_age.is_none_or(|most| age <= most)
    }
}

/// The categories of the catalogue.
#[async_trait]
pub trait Categories: Send + Sync {
    /// `None` where there is no such category, active or not.
    async fn terms(&self, category: CategoryId) -> Result<Option<CategoryTerms>>;
}

#[async_trait]
pub trait VisitCovers: Categories {
    async fn video_visits(
        &self,
        patient: PatientId,
        category: Option<CategoryId>,
    ) -> Result<VisitCover>;
}

/// What became of plans at the pharmacy.
#[async_trait]
pub trait Prescribed: Send + Sync {
    /// The last version of the plan that a prescription was written from;
    /// `None` where there never was one.
    async fn last_version(&self, plan: TreatmentPlanId) -> Result<Option<u32>>;
}

/// All of them together, as the use cases take them.
#[derive(Clone)]
pub struct Sources {
    pub intake: Arc<dyn IntakeReader>,
    pub facts: Arc<dyn PatientFacts>,
    pub directory: Arc<dyn ProviderDirectory>,
    pub covers: Arc<dyn VisitCovers>,
    pub safety: Arc<dyn SafetyChecks>,
}
