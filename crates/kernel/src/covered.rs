//! What a plan sells and what a patient is treated with, and whether the one is
//! the other. Every context that sells, renews or sends out asks here.

use serde::{Deserialize, Serialize};

use crate::{
    FieldError, RxNorm, Word,
    text::{DrugName, TextKind as _, UnitOfMeasure},
};

/// The form of a product, as far as its RxNorm name tells it.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, Serialize, Deserialize, Word)]
#[serde(rename_all = "snake_case")]
pub enum DoseForm {
    OralTablet,
    OralCapsule,
    OralSolution,
    TopicalGel,
    TopicalCream,
    TopicalSolution,
    TopicalFoam,
    TopicalLotion,
    Injection,
}

impl DoseForm {
    /// The form at the end of an RxNorm name, as in `Oral Tablet`; `None` for a
    /// form that no plan sells.
    pub fn of_name(display: &str) -> Option<Self> {
        let name = display.split('[').next().unwrap_or_default().trim().to_lowercase();
        Some(match &name {
            name if name.ends_with(" oral tablet") => Self::OralTablet,
            name if name.ends_with(" oral capsule") => Self::OralCapsule,
            name if name.ends_with(" oral solution") => Self::OralSolution,
            name if name.ends_with(" topical gel") => Self::TopicalGel,
            name if name.ends_with(" topical cream") => Self::TopicalCream,
            name if name.ends_with(" topical solution") => Self::TopicalSolution,
            name if name.ends_with(" topical foam") => Self::TopicalFoam,
            name if name.ends_with(" topical lotion") => Self::TopicalLotion,
            name if ["-injector", " pen injector", " injection", " prefilled syringe"]
                .iter()
                .any(|form| name.ends_with(form)) =>
            {
                Self::Injection
            }
            _ => return None,
        })
    }
}

/// An amount at a time in thousandths, so that two of them are equal or not.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
#[serde(try_from = "f64", into = "f64")]
pub struct DoseAmount(u32);

#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
#[error("a dose is more than nothing, at most 1,000,000, with at most three decimals")]
pub struct InvalidDose;

impl DoseAmount {
    const MOST: f64 = 1_000_000.0;
}

impl TryFrom<f64> for DoseAmount {
    type Error = InvalidDose;

    fn try_from(value: f64) -> Result<Self, InvalidDose> {
        let thousandths = (value * 1000.0).round();
        let exact = (value * 1000.0 - thousandths).abs() < 1e-6;
        if value > 0.0 && value <= Self::MOST && exact {
            Ok(Self(thousandths as u32))
        } else {
            Err(InvalidDose)
        }
    }
}

impl From<DoseAmount> for f64 {
    fn from(dose: DoseAmount) -> Self {
        Self::from(dose.0) / 1000.0
    }
}

/// A treatment that a plan pays for.
#[derive(Clone, Debug, PartialEq, Eq, Hash, Serialize, Deserialize)]
pub struct CoveredTreatment {
    /// The RxNorm ingredient, so that a brand and its generic are one drug.
    pub drug: RxNorm,
    /// The name of the drug, for people.
    pub name: String,
    pub form: DoseForm,
    /// The UCUM unit of the doses.
    pub unit: String,
    /// How much is taken at a time, in each of the steps that are covered.
    pub doses: Vec<DoseAmount>,
}

impl CoveredTreatment {
    const MOST: usize = 20;
    const MOST_DOSES: usize = 30;

    /// Says at `path` what is wrong with the treatments of one plan.
    pub fn check(all: &[Self], path: &str, errors: &mut Vec<FieldError>) {
        if all.len() > Self::MOST {
            errors.push(FieldError::new(path, "too_many", "At most 20 treatments."));
        }
        for (index, one) in all.iter().enumerate() {
            DrugName::check(errors, &format!("{path}[{index}].name"), &one.name);
            UnitOfMeasure::check(errors, &format!("{path}[{index}].unit"), &one.unit);
            let mut refuse = |field: &str, code: &str, message: &str| {
                errors.push(FieldError::new(format!("{path}[{index}].{field}"), code, message));
            };
            if !(1..=Self::MOST_DOSES).contains(&one.doses.len()) {
                refuse("doses", "length", "Between 1 and 30 doses.");
            }
            let same = |other: &Self| {
                (&other.drug, other.form, &other.unit) == (&one.drug, one.form, &one.unit)
            };
            if all[..index].iter().any(same) {
                refuse("drug", "duplicate", "The plan names this drug in this form already.");
            }
        }
    }
}

/// What a patient is treated with, or what a pharmacy is to send.
#[derive(Clone, Debug, PartialEq)]
pub struct TreatedWith {
    /// The RxNorm ingredients of the product; none where they are not known.
    pub drugs: Vec<RxNorm>,
    pub form: Option<DoseForm>,
    /// The doses at a time with their UCUM unit, those of a titration
    /// included; `None` where only the product is known.
    pub doses: Option<(String, Vec<f64>)>,
}

/// Why a plan does not sell a treatment.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize, Word)]
#[serde(rename_all = "snake_case")]
pub enum Misfit {
    /// The plan names no treatment at all.
    NamesNone,
    OtherDrug,
    OtherForm,
    OtherDose,
}

impl Misfit {
    /// What keeps the treatment from being one of those that are covered;
    /// `None` where it is. A product of several drugs, or of unknown ones, is
    /// none of them.
    pub fn of(covered: &[CoveredTreatment], treated: &TreatedWith) -> Option<Self> {
        if covered.is_empty() {
            return Some(Self::NamesNone);
        }
        let of_drug = |one: &&CoveredTreatment| treated.drugs == [one.drug.clone()];
        let of_form = |one: &&CoveredTreatment| Some(one.form) == treated.form;
        if !covered.iter().any(|one| of_drug(&one)) {
            return Some(Self::OtherDrug);
        }
        if !covered.iter().any(|one| of_drug(&one) && of_form(&one)) {
            return Some(Self::OtherForm);
        }
        let of_dose = |one: &&CoveredTreatment| {
            treated.doses.as_ref().is_none_or(|(unit, doses)| {
                *unit == one.unit
                    && doses.iter().all(|dose| {
                        DoseAmount::try_from(*dose).is_ok_and(|dose| one.doses.contains(&dose))
                    })
            })
        };
        let fits = covered.iter().filter(of_drug).filter(of_form).any(|one| of_dose(&one));
        (!fits).then_some(Self::OtherDose)
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    fn covered(drug: &str, form: DoseForm, doses: &[f64]) -> CoveredTreatment {
        CoveredTreatment {
            drug: drug.parse().unwrap(),
            name: "A drug".into(),
            form,
            unit: "mg".into(),
            doses: doses.iter().map(|dose| DoseAmount::try_from(*dose).unwrap()).collect(),
        }
    }

    fn treated(drugs: &[&str], form: DoseForm, unit: &str, doses: &[f64]) -> TreatedWith {
        TreatedWith {
            drugs: drugs.iter().map(|drug| drug.parse().unwrap()).collect(),
            form: Some(form),
            doses: Some((unit.into(), doses.to_vec())),
        }
    }

    #[test]
    fn a_form_is_read_from_the_name() {
        for (name, form) in [
            ("sildenafil 50 MG Oral Tablet [Viagra]", Some(DoseForm::OralTablet)),
            ("24 HR metformin 500 MG Extended Release Oral Tablet", Some(DoseForm::OralTablet)),
            ("doxycycline hyclate 100 MG Oral Capsule", Some(DoseForm::OralCapsule)),
            ("tretinoin 0.05 % Topical Gel", Some(DoseForm::TopicalGel)),
            ("0.5 ML semaglutide 0.5 MG/ML Auto-Injector [Wegovy]", Some(DoseForm::Injection)),
            ("3 ML liraglutide 6 MG/ML Pen Injector", Some(DoseForm::Injection)),
            ("nitroglycerin 0.4 MG Sublingual Tablet", None),
            ("", None),
        ] {
            assert_eq!(DoseForm::of_name(name), form, "{name}");
        }
    }

    #[test]
    fn the_first_of_drug_form_and_dose_that_differs_is_named() {
        use DoseForm::{OralCapsule, OralTablet};
        let plan = [
            covered("358263", OralTablet, &[2.5, 5.0]),
            covered("136411", OralTablet, &[25.0, 50.0, 100.0]),
        ];
        for (treatment, misfit) in [
            (treated(&["358263"], OralTablet, "mg", &[5.0]), None),
            (treated(&["136411"], OralTablet, "mg", &[25.0, 50.0]), None),
            (treated(&["6809"], OralTablet, "mg", &[5.0]), Some(Misfit::OtherDrug)),
            (treated(&["358263", "136411"], OralTablet, "mg", &[5.0]), Some(Misfit::OtherDrug)),
            (treated(&[], OralTablet, "mg", &[5.0]), Some(Misfit::OtherDrug)),
            (treated(&["358263"], OralCapsule, "mg", &[5.0]), Some(Misfit::OtherForm)),
            (treated(&["358263"], OralTablet, "mg", &[20.0]), Some(Misfit::OtherDose)),
            (treated(&["358263"], OralTablet, "mg", &[5.0, 10.0]), Some(Misfit::OtherDose)),
            (treated(&["358263"], OralTablet, "g", &[5.0]), Some(Misfit::OtherDose)),
        ] {
            assert_eq!(Misfit::of(&plan, &treatment), misfit, "{treatment:?}");
        }
        let product = TreatedWith { doses: None, ..treated(&["358263"], OralTablet, "mg", &[]) };
        assert_eq!(Misfit::of(&plan, &product), None, "a product alone has no dose to compare");
        assert_eq!(Misfit::of(&[], &product), Some(Misfit::NamesNone));
    }

    #[test]
    fn a_plan_names_each_drug_in_each_form_once_with_its_doses() {
        let mut twice = vec![covered("358263", DoseForm::OralTablet, &[5.0]); 2];
        twice[0].doses.clear();
        twice[0].name = " ".into();
        let mut errors = Vec::new();
        CoveredTreatment::check(&twice, "treatments", &mut errors);
        let paths: Vec<_> = errors.iter().map(|error| error.path.as_str()).collect();
        assert_eq!(paths, ["treatments[0].name", "treatments[0].doses", "treatments[1].drug"]);
    }

    proptest! {
        #[test]
        fn doses_survive_their_number(thousandths in 1u32..=1_000_000_000) {
            let number = f64::from(thousandths) / 1000.0;
            let dose = DoseAmount::try_from(number).unwrap();
            prop_assert_eq!(f64::from(dose), number);
            prop_assert!(DoseAmount::try_from(number + 0.000_4).is_err());
        }
    }
}
