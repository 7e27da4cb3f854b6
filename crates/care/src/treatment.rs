//! Treatment plans: what a patient is to take, and every version of it.

use chrono::{DateTime, Utc};
use kernel::{
    AssessmentId, CategoryId, FieldError, Icd10, Ndc, PatientId, ProviderId, RxNorm,
    TreatmentPlanId,
};
use serde::{Deserialize, Serialize};
use strum::{Display, EnumString, IntoStaticStr};

use crate::{CareError, DoseLimit};

#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct Medication {
    /// The semantic clinical drug.
    pub rxnorm: RxNorm,
    /// The package that is dispensed.
    pub ndc: Ndc,
    pub display: String,
}

/// An amount with its UCUM unit, as in 50 `mg`.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct Dose {
    pub value: f64,
    pub unit: String,
}

/// FHIR's units of time, as far as dosing uses them.
#[derive(
    Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize, Display, EnumString, IntoStaticStr,
)]
#[serde(rename_all = "lowercase")]
#[strum(serialize_all = "lowercase")]
pub enum PeriodUnit {
    H,
    D,
    Wk,
}

impl PeriodUnit {
    fn days(self) -> f64 {
        match self {
            Self::H => 1.0 / 24.0,
            Self::D => 1.0,
            Self::Wk => 7.0,
        }
    }
}

/// `frequency` times in every `period`, as in FHIR's Timing.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Frequency {
    pub frequency: u32,
    pub period: u32,
    pub period_unit: PeriodUnit,
    /// Only when it is needed, at most so often.
    #[serde(default)]
    pub as_needed: bool,
}

impl Frequency {
    pub fn per_day(&self) -> f64 {
        f64::from(self.frequency) / (f64::from(self.period) * self.period_unit.days())
    }
}

#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct Treatment {
    pub medication: Medication,
    /// How much at a time.
    pub dose: Dose,
    /// The directions in words, as they go on the label.
    pub sig: String,
    pub frequency: Frequency,
    /// For how many days one fill lasts.
    pub duration_days: u32,
    /// How many units one fill holds.
    pub quantity: u32,
    /// The unit that is counted, as in `tablet` or `g`.
    pub quantity_unit: String,
    pub refills: u32,
    pub diagnosis: Icd10,
}

impl Treatment {
    /// Checks the shape, then the dose against the drug's limit. A drug
    /// without a limit is off the formulary: an unknown maximum is not a safe
    /// one. Paths begin with `prefix`, as in `treatment`.
    pub fn validate(&self, limit: Option<&DoseLimit>, prefix: &str) -> Result<(), CareError> {
        let mut errors = Vec::new();
        let mut refuse = |path: &str, code: &str, message: String| {
            errors.push(FieldError::new(format!("{prefix}.{path}"), code, message));
        };
        if self.medication.display.trim().is_empty() || self.medication.display.len() > 200 {
            refuse("medication.display", "invalid", "Between 1 and 200 characters.".into());
        }
        if self.sig.trim().is_empty() || self.sig.chars().count() > 1000 {
            refuse("sig", "invalid", "Between 1 and 1,000 characters.".into());
        }
        if self.frequency.frequency == 0 || self.frequency.frequency > 24 {
            refuse("frequency.frequency", "out_of_range", "Between 1 and 24.".into());
        }
        if self.frequency.period == 0 || self.frequency.period > 90 {
            refuse("frequency.period", "out_of_range", "Between 1 and 90.".into());
        }
        if !(1..=365).contains(&self.duration_days) {
            refuse("duration_days", "out_of_range", "Between 1 and 365 days.".into());
        }
        if !(1..=1000).contains(&self.quantity) {
            refuse("quantity", "out_of_range", "Between 1 and 1,000.".into());
        }
        if self.quantity_unit.trim().is_empty() || self.quantity_unit.len() > 40 {
            refuse("quantity_unit", "invalid", "Between 1 and 40 characters.".into());
        }
        if self.refills > 11 {
            refuse("refills", "out_of_range", "At most 11.".into());
        }
        let dose_is_sound = self.dose.value.is_finite() && self.dose.value > 0.0;
        if !dose_is_sound {
            refuse("dose.value", "out_of_range", "More than nothing.".into());
        }
        match limit {
            None => refuse(
                "medication.rxnorm",
                "not_on_formulary",
                "There is no maximum dose on file for this drug, so it cannot be prescribed."
                    .into(),
            ),
            Some(limit) if limit.unit != self.dose.unit => refuse(
                "dose.unit",
                "unit_mismatch",
                format!("The dose of this drug is given in {}.", limit.unit),
            ),
            Some(limit) if dose_is_sound => {
                // A sum of parts may miss the limit by a rounding error.
                const SLACK: f64 = 1.000_001;
                if self.dose.value > limit.max_single * SLACK {
                    refuse(
                        "dose.value",
                        "above_maximum",
                        format!("At most {} {} at a time.", limit.max_single, limit.unit),
                    );
                }
                let per_day = self.dose.value * self.frequency.per_day();
                if per_day.is_finite() && per_day > limit.max_daily * SLACK {
                    refuse(
                        "frequency",
                        "above_maximum",
                        format!("At most {} {} a day.", limit.max_daily, limit.unit),
                    );
                }
            }
            Some(_) => {}
        }
        if errors.is_empty() { Ok(()) } else { Err(CareError::Invalid(errors)) }
    }
}

/// FHIR's states of a care plan, as far as they are used.
#[derive(
    Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize, Display, EnumString, IntoStaticStr,
)]
#[serde(rename_all = "snake_case")]
#[strum(serialize_all = "snake_case")]
pub enum PlanStatus {
    Active,
    Completed,
    Revoked,
}

/// One version of a plan; a version never changes.
#[derive(Clone, Debug, PartialEq)]
pub struct PlanVersion {
    pub number: u32,
    pub treatment: Treatment,
    pub author: ProviderId,
    pub reason: String,
    pub at: DateTime<Utc>,
}

#[derive(Clone, Debug, PartialEq)]
pub struct TreatmentPlan {
    pub id: TreatmentPlanId,
    pub patient: PatientId,
    /// Who signed it and answers for it.
    pub provider: ProviderId,
    pub category: CategoryId,
    pub assessment: Option<AssessmentId>,
    /// Signed under protocol, without a provider's own look.
    pub automatic: bool,
    pub status: PlanStatus,
    /// The first version, and then every later one in order.
    pub first: PlanVersion,
    pub later: Vec<PlanVersion>,
    pub version: i64,
}

/// What is said of a plan when it is made.
#[derive(Clone, Debug, PartialEq)]
pub struct NewPlan {
    pub id: TreatmentPlanId,
    pub patient: PatientId,
    pub provider: ProviderId,
    pub category: CategoryId,
    pub assessment: Option<AssessmentId>,
    pub automatic: bool,
    pub treatment: Treatment,
    pub reason: String,
}

impl TreatmentPlan {
    pub fn create(new: NewPlan, now: DateTime<Utc>) -> Self {
        Self {
            id: new.id,
            patient: new.patient,
            provider: new.provider,
            category: new.category,
            assessment: new.assessment,
            automatic: new.automatic,
            status: PlanStatus::Active,
            first: PlanVersion {
                number: 1,
                treatment: new.treatment,
                author: new.provider,
                reason: new.reason,
                at: now,
            },
            later: Vec::new(),
            version: 1,
        }
    }

    pub fn current(&self) -> &PlanVersion {
        self.later.last().unwrap_or(&self.first)
    }

    pub fn versions(&self) -> impl Iterator<Item = &PlanVersion> {
        std::iter::once(&self.first).chain(&self.later)
    }

    /// The last fill of its prescription is used, so that what the patient asks
    /// for next is a new plan. `None` where the plan has ended already.
    pub fn complete(mut self) -> Option<Self> {
        (self.status == PlanStatus::Active).then(|| {
            self.status = PlanStatus::Completed;
            self
        })
    }

    /// Adds a version; the ones before stay as they are.
    pub fn modify(
        mut self,
        treatment: Treatment,
        author: ProviderId,
        reason: &str,
        now: DateTime<Utc>,
    ) -> Result<Self, CareError> {
        if self.status != PlanStatus::Active {
            return Err(CareError::PlanNotActive);
        }
        let reason = reason.trim();
        if reason.is_empty() || reason.chars().count() > 1000 {
            return Err(CareError::field("reason", "invalid", "Between 1 and 1,000 characters."));
        }
        let number = self.current().number + 1;
        self.later.push(PlanVersion {
            number,
            treatment,
            author,
            reason: reason.to_owned(),
            at: now,
        });
        Ok(self)
    }
}

#[cfg(test)]
mod tests {
    use kernel::{DomainError, Uuid};
    use proptest::prelude::*;

    use super::*;

    fn limit() -> DoseLimit {
        DoseLimit {
            rxnorm: "312941".parse().unwrap(),
            display: "sertraline 50 MG Oral Tablet".into(),
            max_single: 200.0,
            max_daily: 200.0,
            unit: "mg".into(),
            reference: "Label, section 2".into(),
        }
    }

    fn treatment(dose: f64, frequency: u32, period: u32, period_unit: PeriodUnit) -> Treatment {
        Treatment {
            medication: Medication {
                rxnorm: "312941".parse().unwrap(),
                ndc: "00049490066".parse().unwrap(),
                display: "sertraline 50 MG Oral Tablet".into(),
            },
            dose: Dose { value: dose, unit: "mg".into() },
            sig: "Take 1 tablet by mouth every morning.".into(),
            frequency: Frequency { frequency, period, period_unit, as_needed: false },
            duration_days: 30,
            quantity: 30,
            quantity_unit: "tablet".into(),
            refills: 2,
            diagnosis: "F41.1".parse().unwrap(),
        }
    }

    fn paths(result: Result<(), CareError>) -> Vec<String> {
        result
            .err()
            .map(|error| error.fields().iter().map(|field| field.path.clone()).collect())
            .unwrap_or_default()
    }

    #[test]
    fn the_maximum_dose_is_held_a_time_and_a_day() {
        let check = |treatment: Treatment| paths(treatment.validate(Some(&limit()), "treatment"));
        assert_eq!(check(treatment(50.0, 1, 1, PeriodUnit::D)), [""; 0]);
        assert_eq!(check(treatment(200.0, 1, 1, PeriodUnit::D)), [""; 0]);
        assert_eq!(check(treatment(250.0, 1, 7, PeriodUnit::D)), ["treatment.dose.value"]);
        assert_eq!(check(treatment(150.0, 2, 1, PeriodUnit::D)), ["treatment.frequency"]);
        assert_eq!(check(treatment(50.0, 1, 4, PeriodUnit::H)), ["treatment.frequency"]);
        assert_eq!(check(treatment(200.0, 7, 1, PeriodUnit::Wk)), [""; 0]);
    }

    #[test]
    fn another_unit_or_an_unknown_drug_is_refused() {
        let mut grams = treatment(1.0, 1, 1, PeriodUnit::D);
        grams.dose.unit = "g".into();
        assert_eq!(paths(grams.validate(Some(&limit()), "treatment")), ["treatment.dose.unit"]);
        let unknown = treatment(50.0, 1, 1, PeriodUnit::D);
        assert_eq!(paths(unknown.validate(None, "treatment")), ["treatment.medication.rxnorm"]);
    }

    #[test]
    fn a_dose_that_is_no_number_is_refused() {
        for value in [0.0, -5.0, f64::NAN, f64::INFINITY] {
            let result = treatment(value, 1, 1, PeriodUnit::D).validate(Some(&limit()), "t");
            assert_eq!(paths(result), ["t.dose.value"], "{value}");
        }
    }

    proptest! {
        #[test]
        fn every_version_is_kept_in_order(doses in prop::collection::vec(1u32..200, 0..10)) {
            let author = ProviderId(Uuid::from_u128(1));
            let mut plan = TreatmentPlan::create(
                NewPlan {
                    id: TreatmentPlanId(Uuid::from_u128(1)),
                    patient: PatientId(Uuid::from_u128(2)),
                    provider: author,
                    category: CategoryId(Uuid::from_u128(3)),
                    assessment: None,
                    automatic: false,
                    treatment: treatment(50.0, 1, 1, PeriodUnit::D),
                    reason: "Start.".into(),
                },
                DateTime::UNIX_EPOCH,
            );
            for dose in &doses {
                let before: Vec<_> = plan.versions().cloned().collect();
                plan = plan
                    .modify(
                        treatment(f64::from(*dose), 1, 1, PeriodUnit::D),
                        author,
                        "Titration.",
                        DateTime::UNIX_EPOCH,
                    )
                    .unwrap();
                let after: Vec<_> = plan.versions().cloned().collect();
                prop_assert_eq!(&after[..before.len()], &before[..]);
                prop_assert_eq!(plan.current().treatment.dose.value, f64::from(*dose));
            }
            let numbers: Vec<u32> = plan.versions().map(|version| version.number).collect();
            prop_assert_eq!(numbers, (1..=doses.len() as u32 + 1).collect::<Vec<_>>());
        }
    }
}
