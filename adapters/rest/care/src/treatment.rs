//! Treatments and plans as they stand on the wire.

use api::{Mirror, Result, Text};
use care::{
    Dose, EndReason, FieldChange, Frequency, Medication, PeriodUnit, PlanEnding, PlanStatus,
    Treatment, TreatmentPlan,
    dosing::{Kidneys, Titration, TitrationStep},
    plans::{PlanHistory, PlanRequest, TreatmentChanges, VersionHistory},
    treatment::PlanVersion,
};
use chrono::{DateTime, NaiveDate, Utc};
use kernel::{
    AssessmentId, CategoryId, PatientId, ProviderId, TreatmentPlanId, Uuid,
    text::{
        ChartNote, DiagnosisCode, DrugCode, DrugDescription, MeetingReport, PackageCode,
        PlanReason, Sig, UnitOfMeasure,
    },
};
use poem_openapi::{Enum, Object};
use serde_json::Value;

use super::dosing::DoseOverrideBody;

/// A drug.
#[derive(Clone, Debug, Object, Mirror)]
#[mirror(from = Medication)]
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
#[oai(remote = "Dose")]
pub struct DoseBody {
    pub value: f64,
    /// The UCUM unit, as in `mg`.
    pub unit: Text<UnitOfMeasure>,
}

/// `frequency` times in every `period`.
#[derive(Clone, Debug, Object)]
#[oai(remote = "Frequency")]
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
#[oai(remote = "TitrationStep")]
pub struct TitrationStepBody {
    /// In the unit of the treatment's dose.
    pub dose: f64,
    /// For how many days; the last step has none and goes on.
    pub days: Option<u32>,
}

/// A dose that changes step by step.
#[derive(Clone, Debug, Object, Mirror)]
#[mirror(from = Titration, into = Titration)]
pub struct TitrationBody {
    pub starts_on: NaiveDate,
    /// The first one is the treatment's dose.
    pub steps: Vec<TitrationStepBody>,
}

/// What is known of a patient's kidneys.
#[derive(Clone, Debug, Object)]
#[oai(remote = "Kidneys")]
pub struct KidneysBody {
    pub serum_creatinine_mg_dl: f64,
    pub weight_kg: f64,
    /// After a year it tells nothing of today.
    pub measured_on: NaiveDate,
}

/// What the patient is to take.
#[derive(Clone, Debug, Object, Mirror)]
#[mirror(from = Treatment)]
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

api::example!(TreatmentBody {
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
});

impl TreatmentBody {
    pub fn parse(self) -> Result<Treatment> {
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

/// A plan that a provider writes for a patient of their panel.
#[derive(Debug, Object)]
#[oai(example)]
pub struct CreatePlan {
    pub patient_id: PatientId,
    pub category_id: CategoryId,
    pub treatment: TreatmentBody,
    /// Why, for the chart.
    pub reason: Text<PlanReason>,
    /// The patient's active plan of the category, which is to end: the new plan
    /// takes its place.
    pub supersedes: Option<TreatmentPlanId>,
    /// When, where and how the two met, where state or category ask for a visit
    /// and none here is on file; else the answer is 409 `care.visit_required`.
    pub met_elsewhere: Option<Text<MeetingReport>>,
}

api::example!(CreatePlan {
    patient_id: Uuid::from_u128(0x0190_0000_0000_7000_8000_0000_0000_0001).into(),
    category_id: Uuid::from_u128(0x0190_0000_0000_7000_8000_0000_0000_0003).into(),
    treatment: TreatmentBody::example(),
    reason: "Asked for in the visit.".into(),
    supersedes: None,
    met_elsewhere: None,
});

impl CreatePlan {
    pub fn parse(self) -> Result<PlanRequest> {
        Ok(PlanRequest {
            patient: self.patient_id,
            category: self.category_id,
            treatment: self.treatment.parse()?,
            reason: self.reason.into(),
            supersedes: self.supersedes,
            met_elsewhere: self.met_elsewhere.map(Into::into),
        })
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

api::example!(ReplacePlan {
    treatment: TreatmentBody::example(),
    reason: "Another strength suits better.".into(),
});

/// The parts of a treatment that change.
#[derive(Debug, Object, Mirror)]
#[mirror(into = TreatmentChanges)]
pub struct TreatmentChangesBody {
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
}

/// What is to change of a plan; what is left out stays.
#[derive(Debug, Object)]
#[oai(example)]
pub struct ModifyPlan {
    #[oai(flatten)]
    pub changes: TreatmentChangesBody,
    /// Why, for the chart.
    pub reason: Text<PlanReason>,
}

api::example!(ModifyPlan {
    changes: TreatmentChangesBody {
        dose: Some(DoseBody { value: 25.0, unit: "mg".into() }),
        sig: Some("Take half a tablet by mouth once a day.".into()),
        frequency: None,
        duration_days: None,
        quantity: Some(15),
        refills: None,
        titration: None,
        kidneys: None,
        overrides: Vec::new(),
    },
    reason: "Less after side effects.".into(),
});

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

api::example!(RevokePlan {
    reason: RevocationWord::AdverseReaction,
    note: Some("Rash on both arms since the second week.".into()),
});

/// A plan that has done what it was for.
#[derive(Debug, Object)]
#[oai(example)]
pub struct CompletePlan {
    /// The provider's own words, for the chart; at most 4,000 characters.
    pub note: Option<Text<ChartNote>>,
}

api::example!(CompletePlan { note: Some("The goal is reached.".into()) });

/// How a plan ended.
#[derive(Debug, Object, Mirror)]
#[mirror(from = PlanEnding)]
pub struct PlanEndingView {
    pub at: DateTime<Utc>,
    /// The provider who ended it; absent where the last fill did.
    #[mirror(by)]
    pub provider_id: Option<ProviderId>,
    pub reason: EndReason,
    pub note: Option<String>,
    /// The plan that took its place.
    pub superseded_by: Option<TreatmentPlanId>,
}

/// One version of a plan.
#[derive(Debug, Object, Mirror)]
#[mirror(from = PlanVersion)]
pub struct PlanVersionView {
    pub number: u32,
    pub treatment: TreatmentBody,
    /// The provider who wrote it.
    pub author_id: ProviderId,
    pub reason: String,
    pub at: DateTime<Utc>,
}

/// A treatment plan.
#[derive(Debug, Object, Mirror)]
#[mirror(from = TreatmentPlan)]
pub struct PlanView {
    pub id: TreatmentPlanId,
    pub patient_id: PatientId,
    /// The provider who signed it.
    pub provider_id: ProviderId,
    pub category_id: CategoryId,
    /// The assessment that it comes from.
    pub assessment_id: Option<AssessmentId>,
    /// Signed under protocol, without a provider's own look.
    pub automatic: bool,
    pub status: PlanStatus,
    /// How it ended, once it has.
    pub ended: Option<PlanEndingView>,
    /// Counts the changes; send it back as `If-Match` to be told of others.
    pub version: i64,
    /// The treatment that holds now.
    #[mirror(|plan| plan.current().treatment.clone().into())]
    pub treatment: TreatmentBody,
    /// Every version, oldest first; the last one holds.
    #[mirror(|plan| plan.versions().cloned().map(Into::into).collect())]
    pub versions: Vec<PlanVersionView>,
}

#[derive(Debug, Object)]
pub struct PlansView {
    /// Newest first.
    pub plans: Vec<PlanView>,
}

/// One field that a version changed.
#[derive(Debug, Object, Mirror)]
#[mirror(from = FieldChange)]
pub struct FieldChangeView {
    /// The field's JSON path within the treatment, as in `dose.value`.
    pub path: String,
    /// Absent where the field was not there before.
    pub before: Option<Value>,
    /// Absent where the field is no longer there.
    pub after: Option<Value>,
}

/// A version with what it changed.
#[derive(Debug, Object, Mirror)]
#[mirror(from = VersionHistory)]
pub struct VersionHistoryView {
    #[mirror(version.number)]
    pub number: u32,
    /// The provider who wrote it.
    #[mirror(version.author)]
    pub author_id: ProviderId,
    #[mirror(version.reason)]
    pub reason: String,
    #[mirror(version.at)]
    pub at: DateTime<Utc>,
    /// Against the version before; the first one has none.
    pub changes: Vec<FieldChangeView>,
}

/// What became of a plan.
#[derive(Debug, Object, Mirror)]
#[mirror(from = PlanHistory)]
pub struct PlanHistoryView {
    #[mirror(plan.id)]
    pub plan_id: TreatmentPlanId,
    #[mirror(plan.status)]
    pub status: PlanStatus,
    /// Oldest first.
    pub versions: Vec<VersionHistoryView>,
    #[mirror(plan.ended)]
    pub ended: Option<PlanEndingView>,
}
