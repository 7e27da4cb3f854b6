//! Treatments and plans as they stand on the wire.

use api::{Problem, Text};
use care::{
    Dose, EndReason, FieldChange, Frequency, Medication, PeriodUnit, PlanEnding, Treatment,
    TreatmentPlan,
    dosing::{Kidneys, Titration, TitrationStep},
    plans::{PlanHistory, VersionHistory},
    treatment::PlanVersion,
};
use chrono::{DateTime, NaiveDate, Utc};
use kernel::{
    Uuid,
    text::{
        ChartNote, DiagnosisCode, DrugCode, DrugDescription, MeetingReport, PackageCode,
        PlanReason, Sig, UnitOfMeasure,
    },
};
use poem_openapi::{Enum, Object, types::Example};
use serde_json::Value;

use super::dosing::DoseOverrideBody;

/// A drug.
#[derive(Clone, Debug, Object)]
pub struct MedicationBody {
    /// The RxNorm concept of the clinical drug.
    pub rxnorm: Text<DrugCode>,
    /// The NDC of the package: eleven digits, or as printed with hyphens.
    pub ndc: Text<PackageCode>,
    /// The drug in words.
    pub display: Text<DrugDescription>,
}

/// How much at a time.
#[derive(Clone, Debug, Object)]
pub struct DoseBody {
    pub value: f64,
    /// The UCUM unit, as in `mg`.
    pub unit: Text<UnitOfMeasure>,
}

/// `frequency` times in every `period`.
#[derive(Clone, Debug, Object)]
pub struct FrequencyBody {
    pub frequency: u32,
    pub period: u32,
    pub period_unit: PeriodUnit,
    /// Only when it is needed, at most so often.
    #[oai(default)]
    pub as_needed: bool,
}

/// One step of a titration.
#[derive(Clone, Debug, Object)]
pub struct TitrationStepBody {
    /// In the unit of the treatment's dose.
    pub dose: f64,
    /// For how many days; the last step has none and goes on.
    pub days: Option<u32>,
}

/// A dose that changes step by step.
#[derive(Clone, Debug, Object)]
pub struct TitrationBody {
    pub starts_on: NaiveDate,
    /// The first one is the treatment's dose.
    pub steps: Vec<TitrationStepBody>,
}

impl From<TitrationStepBody> for TitrationStep {
    fn from(step: TitrationStepBody) -> Self {
        Self { dose: step.dose, days: step.days }
    }
}

impl From<TitrationStep> for TitrationStepBody {
    fn from(step: TitrationStep) -> Self {
        Self { dose: step.dose, days: step.days }
    }
}

impl From<TitrationBody> for Titration {
    fn from(body: TitrationBody) -> Self {
        Self { starts_on: body.starts_on, steps: body.steps.into_iter().map(Into::into).collect() }
    }
}

impl From<Titration> for TitrationBody {
    fn from(titration: Titration) -> Self {
        Self {
            starts_on: titration.starts_on,
            steps: titration.steps.into_iter().map(Into::into).collect(),
        }
    }
}

/// What is known of a patient's kidneys.
#[derive(Clone, Debug, Object)]
pub struct KidneysBody {
    pub serum_creatinine_mg_dl: f64,
    pub weight_kg: f64,
    /// After a year it tells nothing of today.
    pub measured_on: NaiveDate,
}

impl From<KidneysBody> for Kidneys {
    fn from(body: KidneysBody) -> Self {
        Self {
            serum_creatinine_mg_dl: body.serum_creatinine_mg_dl,
            weight_kg: body.weight_kg,
            measured_on: body.measured_on,
        }
    }
}

impl From<Kidneys> for KidneysBody {
    fn from(kidneys: Kidneys) -> Self {
        Self {
            serum_creatinine_mg_dl: kidneys.serum_creatinine_mg_dl,
            weight_kg: kidneys.weight_kg,
            measured_on: kidneys.measured_on,
        }
    }
}

/// What the patient is to take.
#[derive(Clone, Debug, Object)]
#[oai(example)]
pub struct TreatmentBody {
    pub medication: MedicationBody,
    pub dose: DoseBody,
    /// The directions in words, as they go on the label.
    pub sig: Text<Sig>,
    pub frequency: FrequencyBody,
    /// For how many days one fill lasts.
    pub duration_days: u32,
    /// How many units one fill holds.
    pub quantity: u32,
    /// What is counted: `tablet`, `capsule`, `g`, `ml` or `each`.
    pub quantity_unit: String,
    /// How often it may be filled again.
    pub refills: u32,
    /// The ICD-10-CM code of what is treated.
    pub diagnosis: Text<DiagnosisCode>,
    /// Where the dose changes step by step.
    pub titration: Option<TitrationBody>,
    /// Required, or an override, where the drug's dose depends on the kidneys.
    pub kidneys: Option<KidneysBody>,
    /// The alerts that the provider takes upon themselves, each with a reason;
    /// without them a dose above the maximum is refused. They hold for this
    /// version alone.
    #[oai(default, skip_serializing_if_is_empty)]
    pub overrides: Vec<DoseOverrideBody>,
}

impl Example for TreatmentBody {
    fn example() -> Self {
        Self {
            medication: MedicationBody {
                rxnorm: "312941".into(),
                ndc: "16714061201".into(),
                display: "sertraline 50 MG Oral Tablet".into(),
            },
            dose: DoseBody { value: 50.0, unit: "mg".into() },
            sig: "Take 1 tablet by mouth once a day.".into(),
            frequency: FrequencyBody {
                frequency: 1,
                period: 1,
                period_unit: PeriodUnit::D,
                as_needed: false,
            },
            duration_days: 30,
            quantity: 30,
            quantity_unit: "tablet".into(),
            refills: 2,
            diagnosis: "F41.1".into(),
            titration: None,
            kidneys: None,
            overrides: Vec::new(),
        }
    }
}

impl TreatmentBody {
    pub fn parse(self) -> Result<Treatment, Problem> {
        Ok(Treatment {
            medication: Medication {
                rxnorm: self.medication.rxnorm.read("treatment.medication.rxnorm")?,
                ndc: self.medication.ndc.ndc("treatment.medication.ndc")?,
                display: self.medication.display.into(),
            },
            dose: self.dose.into(),
            sig: self.sig.into(),
            frequency: self.frequency.into(),
            duration_days: self.duration_days,
            quantity: self.quantity,
            quantity_unit: self.quantity_unit,
            refills: self.refills,
            diagnosis: self.diagnosis.read("treatment.diagnosis")?,
            titration: self.titration.map(Into::into),
            kidneys: self.kidneys.map(Into::into),
            overrides: self.overrides.into_iter().map(Into::into).collect(),
        })
    }
}

impl From<DoseBody> for Dose {
    fn from(dose: DoseBody) -> Self {
        Self { value: dose.value, unit: dose.unit.into() }
    }
}

impl From<FrequencyBody> for Frequency {
    fn from(body: FrequencyBody) -> Self {
        Self {
            frequency: body.frequency,
            period: body.period,
            period_unit: body.period_unit,
            as_needed: body.as_needed,
        }
    }
}

impl From<Treatment> for TreatmentBody {
    fn from(treatment: Treatment) -> Self {
        Self {
            medication: MedicationBody {
                rxnorm: treatment.medication.rxnorm.as_str().into(),
                ndc: treatment.medication.ndc.as_str().into(),
                display: treatment.medication.display.into(),
            },
            dose: DoseBody { value: treatment.dose.value, unit: treatment.dose.unit.into() },
            sig: treatment.sig.into(),
            frequency: FrequencyBody {
                frequency: treatment.frequency.frequency,
                period: treatment.frequency.period,
                period_unit: treatment.frequency.period_unit,
                as_needed: treatment.frequency.as_needed,
            },
            duration_days: treatment.duration_days,
            quantity: treatment.quantity,
            quantity_unit: treatment.quantity_unit,
            refills: treatment.refills,
            diagnosis: treatment.diagnosis.as_str().into(),
            titration: treatment.titration.map(Into::into),
            kidneys: treatment.kidneys.map(Into::into),
            overrides: treatment.overrides.into_iter().map(Into::into).collect(),
        }
    }
}

/// A plan that a provider writes for a patient of their panel.
#[derive(Debug, Object)]
#[oai(example)]
pub struct CreatePlan {
    pub patient_id: Uuid,
    pub category_id: Uuid,
    pub treatment: TreatmentBody,
    /// Why, for the chart.
    pub reason: Text<PlanReason>,
    /// The patient's active plan of the category, which is to end: the new plan
    /// takes its place.
    pub supersedes: Option<Uuid>,
    /// When, where and how the two met, where state or category ask for a visit
    /// and none here is on file; else the answer is 409 `care.visit_required`.
    pub met_elsewhere: Option<Text<MeetingReport>>,
}

impl Example for CreatePlan {
    fn example() -> Self {
        Self {
            patient_id: Uuid::from_u128(0x0190_0000_0000_7000_8000_0000_0000_0001),
            category_id: Uuid::from_u128(0x0190_0000_0000_7000_8000_0000_0000_0003),
            treatment: TreatmentBody::example(),
            reason: "Asked for in the visit.".into(),
            supersedes: None,
            met_elsewhere: None,
        }
    }
}

/// A new version of a plan's whole treatment.
#[derive(Debug, Object)]
#[oai(example)]
pub struct ReplacePlan {
    pub treatment: TreatmentBody,
    /// Why, for the chart.
    pub reason: Text<PlanReason>,
}

impl Example for ReplacePlan {
    fn example() -> Self {
        Self {
            treatment: TreatmentBody::example(),
            reason: "Another strength suits better.".into(),
        }
    }
}

/// What is to change of a plan; what is left out stays.
#[derive(Debug, Object)]
#[oai(example)]
pub struct ModifyPlan {
    pub dose: Option<DoseBody>,
    pub sig: Option<Text<Sig>>,
    pub frequency: Option<FrequencyBody>,
    pub duration_days: Option<u32>,
    pub quantity: Option<u32>,
    pub refills: Option<u32>,
    pub titration: Option<TitrationBody>,
    /// What was measured since; without it that of the version before counts.
    pub kidneys: Option<KidneysBody>,
    /// Alerts of the new version that the provider takes upon themselves; those
    /// of the version before are not taken over.
    #[oai(default)]
    pub overrides: Vec<DoseOverrideBody>,
    /// Why, for the chart.
    pub reason: Text<PlanReason>,
}

impl Example for ModifyPlan {
    fn example() -> Self {
        Self {
            dose: Some(DoseBody { value: 25.0, unit: "mg".into() }),
            sig: Some("Take half a tablet by mouth once a day.".into()),
            frequency: None,
            duration_days: None,
            quantity: Some(15),
            refills: None,
            titration: None,
            kidneys: None,
            overrides: Vec::new(),
            reason: "Less after side effects.".into(),
        }
    }
}

/// Why a provider takes a plan back.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Enum)]
#[oai(rename_all = "snake_case")]
pub enum RevocationWord {
    AdverseReaction,
    Ineffective,
    Contraindicated,
    PatientRequest,
    EnteredInError,
    /// The note says it in words.
    Other,
}

impl From<RevocationWord> for EndReason {
    fn from(word: RevocationWord) -> Self {
        match word {
            RevocationWord::AdverseReaction => Self::AdverseReaction,
            RevocationWord::Ineffective => Self::Ineffective,
            RevocationWord::Contraindicated => Self::Contraindicated,
            RevocationWord::PatientRequest => Self::PatientRequest,
            RevocationWord::EnteredInError => Self::EnteredInError,
            RevocationWord::Other => Self::Other,
        }
    }
}

/// A plan that is taken back.
#[derive(Debug, Object)]
#[oai(example)]
pub struct RevokePlan {
    pub reason: RevocationWord,
    /// The provider's own words, for the chart; at most 4,000 characters. It is
    /// required with `other`.
    pub note: Option<Text<ChartNote>>,
}

impl Example for RevokePlan {
    fn example() -> Self {
        let note = Some("Rash on both arms since the second week.".into());
        Self { reason: RevocationWord::AdverseReaction, note }
    }
}

/// A plan that has done what it was for.
#[derive(Debug, Object)]
#[oai(example)]
pub struct CompletePlan {
    /// The provider's own words, for the chart; at most 4,000 characters.
    pub note: Option<Text<ChartNote>>,
}

impl Example for CompletePlan {
    fn example() -> Self {
        Self { note: Some("The goal is reached.".into()) }
    }
}

/// How a plan ended.
#[derive(Debug, Object)]
pub struct PlanEndingView {
    pub at: DateTime<Utc>,
    /// The provider who ended it; absent where the last fill did.
    pub provider_id: Option<Uuid>,
    pub reason: care::EndReason,
    pub note: Option<String>,
    /// The plan that took its place.
    pub superseded_by: Option<Uuid>,
}

impl From<PlanEnding> for PlanEndingView {
    fn from(ending: PlanEnding) -> Self {
        Self {
            at: ending.at,
            provider_id: ending.by.map(Into::into),
            reason: ending.reason,
            note: ending.note,
            superseded_by: ending.superseded_by.map(Into::into),
        }
    }
}

/// One version of a plan.
#[derive(Debug, Object)]
pub struct PlanVersionView {
    pub number: u32,
    pub treatment: TreatmentBody,
    /// The provider who wrote it.
    pub author_id: Uuid,
    pub reason: String,
    pub at: DateTime<Utc>,
}

/// A treatment plan.
#[derive(Debug, Object)]
pub struct PlanView {
    pub id: Uuid,
    pub patient_id: Uuid,
    /// The provider who signed it.
    pub provider_id: Uuid,
    pub category_id: Uuid,
    /// The assessment that it comes from.
    pub assessment_id: Option<Uuid>,
    /// Signed under protocol, without a provider's own look.
    pub automatic: bool,
    pub status: care::PlanStatus,
    /// How it ended, once it has.
    pub ended: Option<PlanEndingView>,
    /// Counts the changes; send it back as `If-Match` to be told of others.
    pub version: i64,
    /// The treatment that holds now.
    pub treatment: TreatmentBody,
    /// Every version, oldest first; the last one holds.
    pub versions: Vec<PlanVersionView>,
}

#[derive(Debug, Object)]
pub struct PlansView {
    /// Newest first.
    pub plans: Vec<PlanView>,
}

impl From<&PlanVersion> for PlanVersionView {
    fn from(version: &PlanVersion) -> Self {
        Self {
            number: version.number,
            treatment: version.treatment.clone().into(),
            author_id: version.author.uuid(),
            reason: version.reason.clone(),
            at: version.at,
        }
    }
}

impl From<TreatmentPlan> for PlanView {
    fn from(plan: TreatmentPlan) -> Self {
        Self {
            id: plan.id.uuid(),
            patient_id: plan.patient.uuid(),
            provider_id: plan.provider.uuid(),
            category_id: plan.category.uuid(),
            assessment_id: plan.assessment.map(Into::into),
            automatic: plan.automatic,
            status: plan.status,
            version: plan.version,
            treatment: plan.current().treatment.clone().into(),
            versions: plan.versions().map(Into::into).collect(),
            ended: plan.ended.map(Into::into),
        }
    }
}

/// One field that a version changed.
#[derive(Debug, Object)]
pub struct FieldChangeView {
    /// The field's JSON path within the treatment, as in `dose.value`.
    pub path: String,
    /// Absent where the field was not there before.
    pub before: Option<Value>,
    /// Absent where the field is no longer there.
    pub after: Option<Value>,
}

impl From<FieldChange> for FieldChangeView {
    fn from(change: FieldChange) -> Self {
        Self { path: change.path, before: change.before, after: change.after }
    }
}

/// A version with what it changed.
#[derive(Debug, Object)]
pub struct VersionHistoryView {
    pub number: u32,
    /// The provider who wrote it.
    pub author_id: Uuid,
    pub reason: String,
    pub at: DateTime<Utc>,
    /// Against the version before; the first one has none.
    pub changes: Vec<FieldChangeView>,
}

impl From<VersionHistory> for VersionHistoryView {
    fn from(history: VersionHistory) -> Self {
        Self {
            number: history.version.number,
            author_id: history.version.author.uuid(),
            reason: history.version.reason,
            at: history.version.at,
            changes: history.changes.into_iter().map(Into::into).collect(),
        }
    }
}

/// What became of a plan.
#[derive(Debug, Object)]
pub struct PlanHistoryView {
    pub plan_id: Uuid,
    pub status: care::PlanStatus,
    /// Oldest first.
    pub versions: Vec<VersionHistoryView>,
    pub ended: Option<PlanEndingView>,
}

impl From<PlanHistory> for PlanHistoryView {
    fn from(history: PlanHistory) -> Self {
        Self {
            plan_id: history.plan.id.uuid(),
            status: history.plan.status,
            versions: history.versions.into_iter().map(Into::into).collect(),
            ended: history.plan.ended.map(Into::into),
        }
    }
}
