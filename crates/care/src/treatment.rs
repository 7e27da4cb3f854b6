//! Treatment plans: what a patient is to take, and every version of it.

mod dispensed;

use chrono::{DateTime, NaiveDate, Utc};
use kernel::{
    AssessmentId, CategoryId, FieldError, Icd10, Ndc, PatientId, ProviderId, QuantityUnit, RxNorm,
    TextKind as _, TreatmentPlanId, Word,
    text::{DrugDescription, PlanReason, Sig},
};
use ports::Aggregate;
use serde::{Deserialize, Serialize};

use crate::{
    CareError, DoseLimit, EndReason, PlanEnding,
    dosing::{DoseAlert, DoseOn, DoseOverride, Kidneys, Titration, is_close},
};

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

/// The unit of a period: hours, days or weeks.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize, Word)]
#[word("PeriodUnitWord")]
#[serde(rename_all = "lowercase")]
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

    /// The same as a FHIR R4 Timing; that it is only as needed stands beside
    /// it in a Dosage, as `asNeededBoolean`.
    pub fn timing(&self) -> serde_json::Value {
        serde_json::json!({ "repeat": {
            "frequency": self.frequency,
            "period": self.period,
            "periodUnit": self.period_unit,
        }})
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
    /// A dose that changes step by step; it begins with `dose`.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub titration: Option<Titration>,
    /// What was known of the kidneys, where the dose depends on them.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub kidneys: Option<Kidneys>,
    /// The alerts that the author has taken upon themselves for this version.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub overrides: Vec<DoseOverride>,
}

impl Treatment {
    /// Checks the shape, then the dose against the drug's limit. A drug
    /// without a limit is off the formulary: an unknown maximum is not a safe
    /// one. Paths begin with `prefix`, as in `treatment`.
    pub fn validate(&self, limit: Option<&DoseLimit>, prefix: &str) -> Result<(), CareError> {
        let above = self.overrides.iter().any(|one| one.alert == DoseAlert::AboveMaximum);
        self.check(limit, prefix, above)
    }

    /// The same for a treatment that is only shown: a dose above the maximum
    /// stands among its alerts.
    pub fn validate_shape(&self, limit: Option<&DoseLimit>, prefix: &str) -> Result<(), CareError> {
        self.check(limit, prefix, true)
    }

    fn check(
        &self,
        limit: Option<&DoseLimit>,
        prefix: &str,
        may_exceed: bool,
    ) -> Result<(), CareError> {
        let mut errors = Vec::new();
        // What the prescription will have to carry.
        let display = format!("{prefix}.medication.display");
        DrugDescription::check(&mut errors, &display, &self.medication.display);
        Sig::check(&mut errors, &format!("{prefix}.sig"), &self.sig);
        let mut refuse = |path: &str, code: &str, message: String| {
            errors.push(FieldError::new(format!("{prefix}.{path}"), code, message));
        };
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
        if QuantityUnit::from_word(&self.quantity_unit).is_none() {
            refuse("quantity_unit", "unknown", "One of tablet, capsule, mL, g and each.".into());
        }
        if self.refills > 11 {
            refuse("refills", "out_of_range", "At most 11.".into());
        }
        if let Some(limit) = limit {
            // The checks go by the concept, and the parcel by the package.
            if self.medication.display != limit.display {
                refuse(
                    "medication.display",
                    "not_this_drug",
                    format!("The formulary calls this drug {}.", limit.display),
                );
            }
            if !limit.ndcs.contains(&self.medication.ndc) {
                refuse(
                    "medication.ndc",
                    "not_this_drug",
                    "The formulary has no such package of this drug.".into(),
                );
            }
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
            Some(_) if may_exceed => {}
            Some(limit) if dose_is_sound => {
                // An amount without bound comes of a frequency that is refused above.
                for (path, amount, most, time) in self.excesses(limit) {
                    if amount.is_finite() {
                        let message = format!("At most {most} {} {time}.", limit.unit);
                        refuse(path, "above_maximum", message);
                    }
                }
            }
            Some(_) => {}
        }
        if let Some(limit) = limit.filter(|_| dose_is_sound) {
            self.check_units(limit, &mut refuse);
        }
        if let Some(titration) = &self.titration {
            titration.validate(self.dose.value, &format!("{prefix}.titration"), &mut errors);
        }
        if errors.is_empty() { Ok(()) } else { Err(CareError::Invalid(errors)) }
    }

    /// The units of the package make the dose, and the sig says how many. The
    /// steps of a titration have packages of their own.
    fn check_units(&self, limit: &DoseLimit, refuse: &mut impl FnMut(&str, &str, String)) {
        if self.titration.is_some() || self.dose.unit != limit.unit {
            return;
        }
        let Some(units) = dispensed::units_of(self.dose.value, limit) else { return };
        if !dispensed::is_whole(units) {
            let message = format!(
                "One unit has {}; a dose is a multiple of half a unit.",
                limit.strength.to_lowercase()
            );
            return refuse("dose.value", "not_dispensable", message);
        }
        let told = dispensed::told_by(&self.sig);
        if told.is_some_and(|told| !is_close(told, units)) {
            let message = format!("The dose is {units} of the units that are dispensed.");
            refuse("sig", "not_this_dose", message);
        }
    }

    /// The largest dose of all steps.
    pub(crate) fn largest(&self) -> f64 {
        let steps = self.titration.iter().flat_map(|titration| &titration.steps);
        steps.map(|step| step.dose).fold(self.dose.value, f64::max)
    }

    /// Whether a dose is above the drug's maximum, a time, a day or a week.
    pub fn exceeds(&self, limit: &DoseLimit) -> bool {
        self.excesses(limit).next().is_some()
    }

    /// What is above the drug's maximum: the field, the amount, the maximum, and
    /// the time that both are for.
    fn excesses(
        &self,
        limit: &DoseLimit,
    ) -> impl Iterator<Item = (&'static str, f64, f64, &'static str)> {
        let largest = self.largest();
        let per_day = largest * self.frequency.per_day();
        let maxima = [
            ("dose.value", largest, Some(limit.max_single), "at a time"),
            ("frequency", per_day, Some(limit.max_daily), "a day"),
            ("frequency", per_day * 7.0, limit.max_weekly, "a week"),
        ];
        maxima.into_iter().filter_map(|(path, amount, most, time)| {
            most.filter(|most| amount > most * SLACK).map(|most| (path, amount, most, time))
        })
    }

    /// The dose that holds on a day; `None` before a titration begins.
    pub fn on(&self, day: NaiveDate) -> Option<DoseOn> {
        match &self.titration {
            Some(titration) => titration.on(day),
            None => Some(DoseOn { step: None, dose: self.dose.value, from: None, until: None }),
        }
    }

    /// The overrides as the audit log tells them, without the words.
    pub fn overridden(&self) -> Vec<String> {
        let told = |one: &DoseOverride| format!("{}: {}", one.alert, one.reason);
        self.overrides.iter().map(told).collect()
    }
}

/// A sum of parts may miss the limit by a rounding error.
const SLACK: f64 = 1.000_001;

/// FHIR's states of a care plan, as far as they are used.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize, Word)]
#[word("PlanStatusWord")]
#[serde(rename_all = "snake_case")]
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

#[derive(Clone, Debug, PartialEq, Aggregate)]
#[aggregate("treatment_plan", patient)]
pub struct TreatmentPlan {
    pub id: TreatmentPlanId,
    pub patient: PatientId,
    /// Who answers for it: whoever signed it, or has taken it over since. Who signed which
    /// version stays.
    pub provider: ProviderId,
    pub category: CategoryId,
    pub assessment: Option<AssessmentId>,
    /// Signed under protocol, without a provider's own look.
    pub automatic: bool,
    pub status: PlanStatus,
    /// The first version, and then every later one in order.
    pub first: PlanVersion,
    pub later: Vec<PlanVersion>,
    /// How it ended; plans that ended before this was kept have none.
    pub ended: Option<PlanEnding>,
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
            ended: None,
            version: 1,
        }
    }

    /// Whether the treatment has changed since that version; events of before
    /// it was told have none, and are taken for the latest.
    pub fn is_outdated(&self, version: u32) -> bool {
        version != 0 && version < self.current().number
    }

    pub fn current(&self) -> &PlanVersion {
        self.later.last().unwrap_or(&self.first)
    }

    pub fn versions(&self) -> impl Iterator<Item = &PlanVersion> {
        std::iter::once(&self.first).chain(&self.later)
    }

    /// Whether a provider took it back, and not only put another in its place.
    pub fn was_taken_back(&self) -> bool {
        let reason = self.ended.as_ref().map(|ended| ended.reason);
        self.status == PlanStatus::Revoked && reason != Some(EndReason::Superseded)
    }

    /// Adds a version; the ones before stay as they are.
    pub fn modify(
        &mut self,
        treatment: Treatment,
        author: ProviderId,
        reason: &str,
        now: DateTime<Utc>,
    ) -> Result<(), CareError> {
        if self.status != PlanStatus::Active {
            return Err(CareError::PlanNotActive);
        }
        let reason = PlanReason::take("reason", reason)?;
        if treatment == self.current().treatment {
            // A version of nothing new would withdraw what was prescribed.
            return Err(CareError::field("treatment", "unchanged", "Nothing would change."));
        }
        let number = self.current().number + 1;
        self.later.push(PlanVersion { number, treatment, author, reason, at: now });
        Ok(())
    }
}

#[cfg(test)]
pub(crate) mod tests;
