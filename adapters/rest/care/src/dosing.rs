use std::sync::Arc;

use api::{Answer, Body, Caller, Mirror, Result, Tag, Text, Versioned};
use care::{
    CareError, CareStore, Sources,
    dosing::{
        self, ComputedDose, DoseAlert, DoseOverride, DoseRequest, DosingRule, Method,
        OverrideReason, RenalBand, RenalEffect, Rounding, SurfaceFormula,
    },
};
use chrono::NaiveDate;
use kernel::{
    FieldError, PatientId, RxNorm, Seen, TreatmentPlanId,
    text::{DrugCode, OverrideNote, Reference, UnitOfMeasure},
};
use poem_openapi::{
    Enum, Object, OpenApi,
    param::{Header, Path, Query},
    payload::Json,
};
use ports::Env;

use super::{
    plans::seen_or,
    treatment::{DoseBody, TitrationStepBody},
};

pub struct DosingApi {
    pub env: Env,
    pub store: Arc<dyn CareStore>,
    pub sources: Sources,
}

/// An alert that the provider takes upon themselves.
#[derive(Clone, Debug, Object, Mirror)]
#[mirror(from = DoseOverride, into = DoseOverride)]
pub struct DoseOverrideBody {
    pub alert: DoseAlert,
    pub reason: OverrideReason,
    /// Required with `other`.
    pub note: Option<Text<OverrideNote>>,
}

/// What a dose is derived from.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Enum)]
#[oai(rename_all = "snake_case")]
pub enum DosingMethodWord {
    Fixed,
    PerKilogram,
    /// The body's surface after Mosteller.
    PerSquareMetreMosteller,
    /// The body's surface after Du Bois.
    PerSquareMetreDuBois,
}

/// What reduced kidneys do to a dose.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Enum)]
#[oai(rename_all = "snake_case")]
pub enum RenalEffectWord {
    /// `value` is a factor up to 1.
    Multiply,
    /// `value` is the largest dose.
    AtMost,
    Contraindicated,
}

/// Holds where the creatinine clearance is below so many mL/min; of several
/// that do, the lowest counts.
#[derive(Clone, Debug, Object)]
pub struct RenalBandBody {
    pub below: f64,
    pub effect: RenalEffectWord,
    pub value: Option<f64>,
}

impl From<Method> for DosingMethodWord {
    fn from(method: Method) -> Self {
        match method {
            Method::Fixed { .. } => Self::Fixed,
            Method::PerKilogram { .. } => Self::PerKilogram,
            Method::PerSquareMetre { formula, .. } => match formula {
                SurfaceFormula::Mosteller => Self::PerSquareMetreMosteller,
                SurfaceFormula::DuBois => Self::PerSquareMetreDuBois,
            },
        }
    }
}

impl DosingMethodWord {
    fn of(self, amount: f64) -> Method {
        let surface = |formula| Method::PerSquareMetre { amount, formula };
        match self {
            Self::Fixed => Method::Fixed { amount },
            Self::PerKilogram => Method::PerKilogram { amount },
            Self::PerSquareMetreMosteller => surface(SurfaceFormula::Mosteller),
            Self::PerSquareMetreDuBois => surface(SurfaceFormula::DuBois),
        }
    }
}

impl From<RenalBand> for RenalBandBody {
    fn from(band: RenalBand) -> Self {
        let (effect, value) = match band.effect {
            RenalEffect::Multiply { factor } => (RenalEffectWord::Multiply, Some(factor)),
            RenalEffect::AtMost { amount } => (RenalEffectWord::AtMost, Some(amount)),
            RenalEffect::Contraindicated => (RenalEffectWord::Contraindicated, None),
        };
        Self { below: band.below, effect, value }
    }
}

impl From<RenalBandBody> for RenalBand {
    fn from(band: RenalBandBody) -> Self {
        // A value that is missing is none that a rule can have.
        let value = band.value.unwrap_or(f64::NAN);
        let effect = match band.effect {
            RenalEffectWord::Multiply => RenalEffect::Multiply { factor: value },
            RenalEffectWord::AtMost => RenalEffect::AtMost { amount: value },
            RenalEffectWord::Contraindicated => RenalEffect::Contraindicated,
        };
        Self { below: band.below, effect }
    }
}

/// How a drug is dosed.
#[derive(Clone, Debug, Object, Mirror)]
#[mirror(from = DosingRule)]
#[oai(example)]
pub struct DosingRuleBody {
    /// The UCUM unit of every amount, as in `mg`.
    pub unit: Text<UnitOfMeasure>,
    pub method: DosingMethodWord,
    /// A dose, or a dose for each kilogram or square metre.
    #[mirror(|rule| rule.method.amount())]
    pub amount: f64,
    /// The least amount that can be dispensed: a dose is a multiple of it.
    pub increment: f64,
    pub rounding: Rounding,
    /// No dose of this rule is larger.
    pub max_dose: Option<f64>,
    /// In whole years.
    pub min_age: Option<u32>,
    /// In whole years.
    pub max_age: Option<u32>,
    #[oai(default)]
    pub renal: Vec<RenalBandBody>,
    /// The steps in which the dose changes, where the drug is titrated; the first
    /// is `amount`.
    #[oai(default, skip_serializing_if_is_empty)]
    pub schedule: Vec<TitrationStepBody>,
    /// Where it is written.
    pub reference: Text<Reference>,
}

api::example!(DosingRuleBody {
    unit: "mg".into(),
    method: DosingMethodWord::Fixed,
    amount: 50.0,
    increment: 25.0,
    rounding: Rounding::Down,
    max_dose: Some(100.0),
    min_age: Some(18),
    max_age: None,
    renal: vec![RenalBandBody { below: 30.0, effect: RenalEffectWord::AtMost, value: Some(25.0) }],
    schedule: Vec::new(),
    reference: "Prescribing information of sildenafil, section 2".into(),
});

impl DosingRuleBody {
    fn of(self, rxnorm: RxNorm) -> DosingRule {
        DosingRule {
            rxnorm,
            unit: self.unit.into(),
            method: self.method.of(self.amount),
            increment: self.increment,
            rounding: self.rounding,
            max_dose: self.max_dose,
            min_age: self.min_age,
            max_age: self.max_age,
            renal: self.renal.into_iter().map(Into::into).collect(),
            schedule: self.schedule.into_iter().map(Into::into).collect(),
            reference: self.reference.into(),
        }
    }
}

/// What the provider has measured; age and sex are those of the profile.
#[derive(Debug, Object)]
#[oai(example)]
pub struct ComputeDose {
    /// The RxNorm concept of the drug.
    pub rxnorm: Text<DrugCode>,
    pub weight_kg: Option<f64>,
    pub height_cm: Option<f64>,
    /// With it the creatinine clearance is estimated after Cockcroft and Gault.
    pub serum_creatinine_mg_dl: Option<f64>,
}

api::example!(ComputeDose {
    rxnorm: "213270".into(),
    weight_kg: Some(82.5),
    height_cm: Some(181.0),
    serum_creatinine_mg_dl: Some(1.1),
});

/// A dose with what it rests on. It is a proposal: the provider signs a plan.
#[derive(Debug, Object, Mirror)]
#[mirror(from = ComputedDose)]
pub struct ComputedDoseView {
    pub dose: DoseBody,
    /// Before it met the kidneys, the largest dose and what can be dispensed.
    pub raw: f64,
    /// In m², where the rule asks for it.
    pub body_surface: Option<f64>,
    /// In mL/min, where the creatinine is known.
    pub creatinine_clearance: Option<f64>,
    /// The steps that follow, where the drug is titrated.
    #[oai(default, skip_serializing_if_is_empty)]
    pub schedule: Vec<TitrationStepBody>,
    pub alerts: Vec<DoseAlert>,
}

/// The dose of a plan on a day.
#[derive(Debug, Object)]
pub struct DoseOnView {
    pub on: NaiveDate,
    /// Absent before a titration begins.
    pub dose: Option<DoseBody>,
    /// The step of the titration, counted from 1.
    pub step: Option<u32>,
    /// The first day of the step.
    pub from: Option<NaiveDate>,
    /// The last day of the step; the last step has none.
    pub until: Option<NaiveDate>,
}

pub(super) fn drug(text: &str) -> Result<RxNorm, CareError> {
    text.parse().map_err(|error: kernel::code::InvalidCode| {
        CareError::Invalid(vec![FieldError::new("rxnorm", "invalid", error.to_string())])
    })
}

#[OpenApi(tag = "Tag::Care")]
impl DosingApi {
    /// Compute a dose for a patient
    ///
    /// By the drug's rule, for a patient of the provider's panel: fixed, by
    /// weight or by the body's surface, adjusted to the kidneys and rounded to
    /// what can be dispensed. What speaks against the dose comes as alerts.
    #[oai(
        path = "/api/providers/patients/:user_id/dose",
        method = "post",
        operation_id = "computeDose"
    )]
    async fn compute(
        &self,
        caller: Caller,
        user_id: Path<PatientId>,
        body: Body<ComputeDose>,
    ) -> Answer<ComputedDoseView> {
        let request = DoseRequest {
            drug: body.0.rxnorm.read("rxnorm")?,
            weight_kg: body.0.weight_kg,
            height_cm: body.0.height_cm,
            serum_creatinine_mg_dl: body.0.serum_creatinine_mg_dl,
        };
        let (store, actor) = (&*self.store, caller.actor());
        let (sources, patient) = (&self.sources, user_id.0);
        let computed =
            dosing::compute_for_patient(&self.env, store, sources, actor, patient, request).await?;
        Ok(Json(computed.into()))
    }

    /// Read a plan's dose on a day
    ///
    /// Of a titration it is the step that holds on that day. For the patient
    /// and for those who treat them.
    #[oai(
        path = "/api/treatment-plans/:id/dose",
        method = "get",
        operation_id = "getTreatmentPlanDose"
    )]
    async fn on(
        &self,
        caller: Caller,
        id: Path<TreatmentPlanId>,
        /// The day; today in UTC where it is left out.
        on: Query<Option<NaiveDate>>,
    ) -> Answer<DoseOnView> {
        let day = on.0.unwrap_or_else(|| self.env.now().date_naive());
        let found = dosing::dose_on(&*self.store, caller.actor(), id.0, day).await?;
        let (dose, at) = found.unzip();
        let step = at.as_ref().and_then(|at| at.step);
        Ok(Json(DoseOnView {
            on: day,
            dose: dose.map(Into::into),
            step: step.and_then(|step| u32::try_from(step + 1).ok()),
            from: at.as_ref().and_then(|at| at.from),
            until: at.as_ref().and_then(|at| at.until),
        }))
    }

    /// Read a drug's dosing rule
    ///
    /// Takes `rule.administer`.
    #[oai(path = "/api/admin/dosing-rules/:rxnorm", method = "get", operation_id = "getDosingRule")]
    async fn rule(
        &self,
        caller: Caller,
        rxnorm: Path<String>,
    ) -> Result<Versioned<DosingRuleBody>> {
        care::setting::may_read(caller.actor())?;
        let drug = drug(&rxnorm.0)?;
        let (rule, version) = dosing::rule(&*self.store, caller.actor(), &drug).await?;
        Ok(Versioned::at(version, rule))
    }

    /// Set a drug's dosing rule
    ///
    /// Takes `rule.administer`. `If-Match` names the version that is replaced
    /// and is left out for a drug that has no rule yet; else the answer is 412.
    #[oai(path = "/api/admin/dosing-rules/:rxnorm", method = "put", operation_id = "setDosingRule")]
    async fn set_rule(
        &self,
        caller: Caller,
        rxnorm: Path<String>,
        /// The version that is replaced.
        #[oai(name = "If-Match")]
        if_match: Header<Option<String>>,
        body: Body<DosingRuleBody>,
    ) -> Result<Versioned<DosingRuleBody>> {
        let rule = body.0.of(drug(&rxnorm.0)?);
        let seen = seen_or(&if_match, Seen::from(0))?;
        let version = dosing::set_rule(&*self.store, caller.actor(), &rule, &seen).await?;
        Ok(Versioned::at(version, rule))
    }
}
