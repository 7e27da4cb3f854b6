use std::sync::Arc;

use care::{
    CareError, CareStore, Dose, Frequency, Medication, PeriodUnit, PlanStatus, Sources, Treatment,
    TreatmentPlan,
    plans::{self, PlanRequest, TreatmentChanges},
    treatment::PlanVersion,
};
use chrono::{DateTime, Utc};
use kernel::{CategoryId, FieldError, PatientId, TreatmentPlanId, Uuid};
use poem_openapi::{
    Enum, Object, OpenApi,
    param::{Header, Path},
    payload::Json,
    types::Example,
};
use ports::Env;

use crate::core::{Body, Caller, Problem, Tag, idempotency_key};

pub struct PlansApi {
    pub env: Env,
    pub store: Arc<dyn CareStore>,
    pub sources: Sources,
}

/// A drug.
#[derive(Clone, Debug, Object)]
pub struct MedicationBody {
    /// The RxNorm concept of the clinical drug.
    pub rxnorm: String,
    /// The NDC of the package, with eleven digits and no dashes.
    pub ndc: String,
    /// The drug in words.
    pub display: String,
}

/// How much at a time.
#[derive(Clone, Debug, Object)]
pub struct DoseBody {
    pub value: f64,
    /// The UCUM unit, as in `mg`.
    pub unit: String,
}

/// The unit of a period: hours, days or weeks.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Enum)]
#[oai(rename_all = "lowercase")]
pub enum PeriodUnitWord {
    H,
    D,
    Wk,
}

/// `frequency` times in every `period`.
#[derive(Clone, Debug, Object)]
pub struct FrequencyBody {
    pub frequency: u32,
    pub period: u32,
    pub period_unit: PeriodUnitWord,
    /// Only when it is needed, at most so often.
    #[oai(default)]
    pub as_needed: bool,
}

/// What the patient is to take.
#[derive(Clone, Debug, Object)]
#[oai(example)]
pub struct TreatmentBody {
    pub medication: MedicationBody,
    pub dose: DoseBody,
    /// The directions in words, as they go on the label.
    pub sig: String,
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
    pub diagnosis: String,
}

impl Example for TreatmentBody {
    fn example() -> Self {
        Self {
            medication: MedicationBody {
                rxnorm: "312941".to_owned(),
                ndc: "16714061204".to_owned(),
                display: "sertraline 50 MG Oral Tablet".to_owned(),
            },
            dose: DoseBody { value: 50.0, unit: "mg".to_owned() },
            sig: "Take 1 tablet by mouth once a day.".to_owned(),
            frequency: FrequencyBody {
                frequency: 1,
                period: 1,
                period_unit: PeriodUnitWord::D,
                as_needed: false,
            },
            duration_days: 30,
            quantity: 30,
            quantity_unit: "tablet".to_owned(),
            refills: 2,
            diagnosis: "F41.1".to_owned(),
        }
    }
}

impl TreatmentBody {
    /// Reads the codes; the paths of bad ones begin with `treatment`.
    pub fn parse(self) -> Result<Treatment, CareError> {
        let mut errors = Vec::new();
        let rxnorm = code("treatment.medication.rxnorm", &self.medication.rxnorm, &mut errors);
        let ndc = code("treatment.medication.ndc", &self.medication.ndc, &mut errors);
        let diagnosis = code("treatment.diagnosis", &self.diagnosis, &mut errors);
        match (rxnorm, ndc, diagnosis) {
            (Some(rxnorm), Some(ndc), Some(diagnosis)) => Ok(Treatment {
                medication: Medication { rxnorm, ndc, display: self.medication.display },
                dose: self.dose.into(),
                sig: self.sig,
                frequency: self.frequency.into(),
                duration_days: self.duration_days,
                quantity: self.quantity,
                quantity_unit: self.quantity_unit,
                refills: self.refills,
                diagnosis,
            }),
            _ => Err(CareError::Invalid(errors)),
        }
    }
}

fn code<T: std::str::FromStr<Err: std::fmt::Display>>(
    path: &str,
    text: &str,
    errors: &mut Vec<FieldError>,
) -> Option<T> {
    text.parse()
        .map_err(|error: T::Err| errors.push(FieldError::new(path, "invalid", error.to_string())))
        .ok()
}

impl From<DoseBody> for Dose {
    fn from(dose: DoseBody) -> Self {
        Self { value: dose.value, unit: dose.unit }
    }
}

impl From<FrequencyBody> for Frequency {
    fn from(body: FrequencyBody) -> Self {
        Self {
            frequency: body.frequency,
            period: body.period,
            period_unit: match body.period_unit {
                PeriodUnitWord::H => PeriodUnit::H,
                PeriodUnitWord::D => PeriodUnit::D,
                PeriodUnitWord::Wk => PeriodUnit::Wk,
            },
            as_needed: body.as_needed,
        }
    }
}

impl From<Treatment> for TreatmentBody {
    fn from(treatment: Treatment) -> Self {
        Self {
            medication: MedicationBody {
                rxnorm: treatment.medication.rxnorm.into(),
                ndc: treatment.medication.ndc.into(),
                display: treatment.medication.display,
            },
            dose: DoseBody { value: treatment.dose.value, unit: treatment.dose.unit },
            sig: treatment.sig,
            frequency: FrequencyBody {
                frequency: treatment.frequency.frequency,
                period: treatment.frequency.period,
                period_unit: match treatment.frequency.period_unit {
                    PeriodUnit::H => PeriodUnitWord::H,
                    PeriodUnit::D => PeriodUnitWord::D,
                    PeriodUnit::Wk => PeriodUnitWord::Wk,
                },
                as_needed: treatment.frequency.as_needed,
            },
            duration_days: treatment.duration_days,
            quantity: treatment.quantity,
            quantity_unit: treatment.quantity_unit,
            refills: treatment.refills,
            diagnosis: treatment.diagnosis.into(),
        }
    }
}

/// A plan that a provider writes for a patient of their panel.
#[derive(Debug, Object)]
pub struct CreatePlan {
    pub patient_id: Uuid,
    pub category_id: Uuid,
    pub treatment: TreatmentBody,
    /// Why, for the chart.
    pub reason: String,
}

/// A new version of a plan's whole treatment.
#[derive(Debug, Object)]
pub struct ReplacePlan {
    pub treatment: TreatmentBody,
    /// Why, for the chart.
    pub reason: String,
}

/// What is to change of a plan; what is left out stays.
#[derive(Debug, Object)]
pub struct ModifyPlan {
    pub dose: Option<DoseBody>,
    pub sig: Option<String>,
    pub frequency: Option<FrequencyBody>,
    pub duration_days: Option<u32>,
    pub quantity: Option<u32>,
    pub refills: Option<u32>,
    /// Why, for the chart.
    pub reason: String,
}

/// The state of a plan.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Enum)]
#[oai(rename_all = "snake_case")]
pub enum PlanStatusWord {
    Active,
    Completed,
    Revoked,
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
    pub status: PlanStatusWord,
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
            status: match plan.status {
                PlanStatus::Active => PlanStatusWord::Active,
                PlanStatus::Completed => PlanStatusWord::Completed,
                PlanStatus::Revoked => PlanStatusWord::Revoked,
            },
            treatment: plan.current().treatment.clone().into(),
            versions: plan.versions().map(Into::into).collect(),
        }
    }
}

#[OpenApi(tag = "Tag::Care")]
impl PlansApi {
    /// Create a treatment plan
    ///
    /// For a patient of the provider's panel, where the provider holds an
    /// active licence in the patient's state. Doses are held against the
    /// drug's maximum. Repeated with the same `Idempotency-Key`, it answers
    /// with the plan that was made first.
    #[oai(path = "/api/treatment-plans", method = "post", operation_id = "createTreatmentPlan")]
    async fn create(
        &self,
        caller: Caller,
        /// A value that is unique to this plan; a repetition carries it again.
        #[oai(name = "Idempotency-Key")]
        key: Header<String>,
        body: Body<CreatePlan>,
    ) -> Result<Json<PlanView>, Problem> {
        let key = idempotency_key("care.create_treatment_plan", &key.0, &body.0)?;
        let request = PlanRequest {
            patient: PatientId(body.0.patient_id),
            category: CategoryId(body.0.category_id),
            treatment: body.0.treatment.parse()?,
            reason: body.0.reason,
        };
        let (store, actor) = (self.store.as_ref(), caller.actor());
        let plan = plans::create(&self.env, store, &self.sources, actor, request, &key).await?;
        Ok(Json(plan.into()))
    }

    /// Replace a plan's treatment
    ///
    /// Adds a version; the ones before are kept.
    #[oai(path = "/api/treatment-plans/:id", method = "put", operation_id = "replaceTreatmentPlan")]
    async fn replace(
        &self,
        caller: Caller,
        id: Path<Uuid>,
        body: Body<ReplacePlan>,
    ) -> Result<Json<PlanView>, Problem> {
        let (treatment, reason) = (body.0.treatment.parse()?, body.0.reason);
        let (id, actor) = (TreatmentPlanId(id.0), caller.actor());
        let (store, sources) = (self.store.as_ref(), &self.sources);
        let plan = plans::replace(&self.env, store, sources, actor, id, treatment, &reason).await?;
        Ok(Json(plan.into()))
    }

    /// List a patient's treatment plans
    ///
    /// `id` is the patient's: one's own, or that of a patient of one's panel.
    #[oai(path = "/api/treatment-plans/:id", method = "get", operation_id = "listTreatmentPlans")]
    async fn list(&self, caller: Caller, id: Path<Uuid>) -> Result<Json<PlansView>, Problem> {
        let patient = PatientId(id.0);
        let plans = plans::of_patient(self.store.as_ref(), caller.actor(), patient).await?;
        Ok(Json(PlansView { plans: plans.into_iter().map(Into::into).collect() }))
    }

    /// Modify a plan's treatment
    ///
    /// Changes the parts that are given and adds a version; the ones before
    /// are kept. Repeating it adds another version.
    #[oai(
        path = "/api/treatment-plans/:id/modify",
        method = "post",
        operation_id = "modifyTreatmentPlan"
    )]
    async fn modify(
        &self,
        caller: Caller,
        id: Path<Uuid>,
        body: Body<ModifyPlan>,
    ) -> Result<Json<PlanView>, Problem> {
        let reason = body.0.reason;
        let changes = TreatmentChanges {
            dose: body.0.dose.map(Into::into),
            sig: body.0.sig,
            frequency: body.0.frequency.map(Into::into),
            duration_days: body.0.duration_days,
            quantity: body.0.quantity,
            refills: body.0.refills,
        };
        let (id, actor) = (TreatmentPlanId(id.0), caller.actor());
        let (store, sources) = (self.store.as_ref(), &self.sources);
        let plan = plans::modify(&self.env, store, sources, actor, id, changes, &reason).await?;
        Ok(Json(plan.into()))
    }
}
