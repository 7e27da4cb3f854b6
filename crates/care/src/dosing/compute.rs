//! The arithmetic of a dose.

use kernel::{FieldError, Sex};

use super::{
    DoseAlert, DosingRule, Measurements, Method, RenalEffect, Rounding, SurfaceFormula,
    TitrationStep,
};
use crate::{CareError, Dose};

/// A dose with what it rests on.
#[derive(Clone, Debug, PartialEq)]
pub struct ComputedDose {
    pub dose: Dose,
    /// Before it met the kidneys, the largest dose and what can be dispensed.
    pub raw: f64,
    /// In m², where it was asked for.
    pub body_surface: Option<f64>,
    /// In mL/min, where the creatinine is known.
    pub creatinine_clearance: Option<f64>,
    /// The steps that follow, where the drug is titrated.
    pub schedule: Vec<TitrationStep>,
    /// In a stable order, each once.
    pub alerts: Vec<DoseAlert>,
}

/// The body's surface in m².
pub fn body_surface(formula: SurfaceFormula, weight_kg: f64, height_cm: f64) -> f64 {
    match formula {
        SurfaceFormula::Mosteller => (weight_kg * height_cm / 3600.0).sqrt(),
        SurfaceFormula::DuBois => 0.007_184 * weight_kg.powf(0.425) * height_cm.powf(0.725),
    }
}

/// The creatinine clearance in mL/min after Cockcroft and Gault (Nephron
/// 1976;16:31). Where the sex is not known it is the lower estimate.
pub fn creatinine_clearance(age: u32, sex: Sex, weight_kg: f64, creatinine_mg_dl: f64) -> f64 {
    let years = 140.0 - f64::from(age.min(139));
    let factor = if sex == Sex::Male { 1.0 } else { 0.85 };
    years * weight_kg * factor / (72.0 * creatinine_mg_dl)
}

/// Computes the dose that a rule gives for a body.
pub fn compute(rule: &DosingRule, body: &Measurements) -> Result<ComputedDose, CareError> {
    body.validate()?;
    let mut missing = Vec::new();
    let mut need = |path: &str, value: Option<f64>| {
        if value.is_none() {
            missing.push(FieldError::required(path));
        }
        value.unwrap_or(f64::NAN)
    };
    let (raw, surface) = match rule.method {
        Method::Fixed { amount } => (amount, None),
        Method::PerKilogram { amount } => (amount * need("weight_kg", body.weight_kg), None),
        Method::PerSquareMetre { amount, formula } => {
            let weight = need("weight_kg", body.weight_kg);
            let surface = body_surface(formula, weight, need("height_cm", body.height_cm));
            (amount * surface, Some(surface))
        }
    };
    if !missing.is_empty() {
        return Err(CareError::Invalid(missing));
    }
    let mut alerts = Vec::new();
    if !rule.fits_age(body.age) {
        alerts.push(DoseAlert::AgeLimit);
    }
    let clearance = clearance(body)?;
    let mut amount = raw;
    if !rule.renal.is_empty() {
        amount = for_kidneys(rule, clearance, amount, &mut alerts);
    }
    if let Some(most) = rule.max_dose
        && amount > most
    {
        amount = most;
        alerts.push(DoseAlert::Capped);
    }
    let value = dispensable(rule, amount);
    if value <= 0.0 {
        let message = "The dose is less than what can be dispensed.";
        return Err(CareError::field("weight_kg", "below_dispensable", message));
    }
    alerts.sort();
    alerts.dedup();
    Ok(ComputedDose {
        dose: Dose { value, unit: rule.unit.clone() },
        raw,
        body_surface: surface,
        creatinine_clearance: clearance,
        schedule: rule.schedule.clone(),
        alerts,
    })
}

/// The formula was found on adults and on weighed ones; for anybody else there
/// is no clearance, and what depends on it says so.
fn clearance(body: &Measurements) -> Result<Option<f64>, CareError> {
    match (body.serum_creatinine_mg_dl, body.weight_kg) {
        (None, _) => Ok(None),
        (Some(_), None) => Err(CareError::Invalid(vec![FieldError::required("weight_kg")])),
        (Some(_), Some(_)) if body.age < 18 => Ok(None),
        (Some(creatinine), Some(weight)) => {
            Ok(Some(creatinine_clearance(body.age, body.sex, weight, creatinine)))
        }
    }
}

fn for_kidneys(
    rule: &DosingRule,
    clearance: Option<f64>,
    amount: f64,
    alerts: &mut Vec<DoseAlert>,
) -> f64 {
    let Some(clearance) = clearance else {
        alerts.push(DoseAlert::RenalFunctionUnknown);
        return amount;
    };
    let holds = rule.renal.iter().filter(|band| clearance < band.below);
    let Some(band) = holds.min_by(|one, other| one.below.total_cmp(&other.below)) else {
        return amount;
    };
    let lowered = match band.effect {
        RenalEffect::Contraindicated => {
            alerts.push(DoseAlert::RenalContraindication);
            return amount;
        }
        RenalEffect::Multiply { factor } => amount * factor,
        RenalEffect::AtMost { amount: most } => amount.min(most),
    };
    if lowered < amount {
        alerts.push(DoseAlert::RenalReduction);
    }
    lowered
}

/// Whether two numbers are one, but for the rounding errors of their arithmetic.
pub(crate) fn is_close(one: f64, other: f64) -> bool {
    (one - other).abs() < 1e-9
}

/// A multiple of the increment that is never above the rule's largest dose.
fn dispensable(rule: &DosingRule, amount: f64) -> f64 {
    // What misses a whole count by a rounding error of its own is that count.
    let count = amount / rule.increment;
    let near = count.round();
    let count = if is_close(count, near) { near } else { count };
    let mut whole = match rule.rounding {
        Rounding::Nearest => count.round(),
        Rounding::Down => count.floor(),
    };
    if rule.max_dose.is_some_and(|most| whole * rule.increment > most * 1.000_000_001) {
        whole = count.floor();
    }
    // Six decimals are finer than anything that is dispensed.
    (whole * rule.increment * 1e6).round() / 1e6
}
