//! The check itself: what is proposed, held against the record.

use std::collections::BTreeSet;

use kernel::{QuantityUnit, RxNorm};

use super::{
    AlertKind, AllergyCategory, ClinicalFacts, Formulary, Ingredient, InteractionProvider,
    SafetyAlert, Severity,
    formulary::{Allergen, PregnancyRisk, micrograms},
    interactions::conditions,
};
use crate::prescription::{Dosing, Medication, PlannedTreatment};

/// What is to be prescribed.
#[derive(Clone, Copy, Debug)]
pub struct Proposed<'a> {
    pub medication: &'a Medication,
    pub dosing: &'a Dosing,
}

impl<'a> Proposed<'a> {
    pub fn of_treatment(treatment: &'a PlannedTreatment) -> Self {
        Self { medication: &treatment.medication, dosing: &treatment.dosing }
    }
}

const OWN: &str = "Salus formulary";
const LABEL: &str = "FDA-approved labeling";

/// Classes in which an allergy to one member is taken for an allergy to each.
const CROSS_REACTIVE: &[&str] = &[
    "penicillin",
    "cephalosporin",
    "sulfonamide_antibiotic",
    "nsaid",
    "macrolide",
    "fluoroquinolone",
    "tetracycline",
    "ace_inhibitor",
    "opioid",
    "statin",
];

/// Pairs of classes with a weaker, known cross-reactivity.
const WEAKLY_CROSS_REACTIVE: &[(&str, &str, Severity)] = &[
    ("penicillin", "cephalosporin", Severity::Moderate),
    ("sulfonamide_antibiotic", "sulfonamide_other", Severity::Low),
];

/// Classes in which a second drug repeats the first. Classes that only say
/// how a drug interacts are not among them.
const THERAPEUTIC: &[&str] = &[
    "ssri",
    "snri",
    "tricyclic",
    "maoi",
    "pde5_inhibitor",
    "five_alpha_reductase_inhibitor",
    "statin",
    "ace_inhibitor",
    "arb",
    "beta_blocker",
    "calcium_channel_blocker",
    "nsaid",
    "ppi",
    "opioid",
    "benzodiazepine",
    "glp1_agonist",
    "tetracycline",
    "macrolide",
    "penicillin",
    "cephalosporin",
    "estrogen",
    "progestin",
    "retinoid",
    "anticoagulant",
    "alpha_blocker",
    "nitrate",
    "thiazide",
];

/// Everything that speaks against the proposal, the gravest first.
pub async fn check(
    formulary: &Formulary,
    interactions: &dyn InteractionProvider,
    facts: &ports::Result<ClinicalFacts>,
    proposed: Proposed<'_>,
) -> Vec<SafetyAlert> {
    let mut alerts = Vec::new();
    let medication = proposed.medication;
    let Some(ingredients) = formulary.ingredients_of(Some(&medication.rxnorm), &medication.display)
    else {
        alerts.push(SafetyAlert::proposed_unmapped(medication, OWN));
        return alerts;
    };
    maximum_dose(&ingredients, proposed, &mut alerts);
    match facts {
        Err(_) => alerts.push(SafetyAlert::new(
            AlertKind::Unavailable,
            "record",
            Severity::Undefined,
            "The clinical record could not be read, so nothing was checked against it.",
            OWN,
        )),
        Ok(facts) => {
            unasked(facts, &mut alerts);
            against_medications(formulary, interactions, facts, &ingredients, &mut alerts).await;
            against_allergies(formulary, facts, &ingredients, &mut alerts);
            if facts.pregnant == Some(true) {
                pregnancy(&ingredients, &mut alerts);
            }
            against_answers(facts, &ingredients, &mut alerts);
        }
    }
    alerts.sort_by_key(|alert| match alert.severity {
        Severity::High => 0,
        Severity::Undefined => 1,
        Severity::Moderate => 2,
        Severity::Low => 3,
    });
    let mut seen = BTreeSet::new();
    alerts.retain(|alert| seen.insert(alert.key.clone()));
    alerts
}

/// What was never asked cannot be checked against, and the prescriber is told.
fn unasked(facts: &ClinicalFacts, alerts: &mut Vec<SafetyAlert>) {
    for (missing, what) in
        [(facts.medications_unasked, "medications"), (facts.allergies_unasked, "allergies")]
    {
        if missing {
            alerts.push(SafetyAlert::new(
                AlertKind::Unavailable,
                what,
                Severity::Undefined,
                format!("The patient has not answered for {what}, so none could be checked."),
                OWN,
            ));
        }
    }
}

async fn against_medications(
    formulary: &Formulary,
    interactions: &dyn InteractionProvider,
    facts: &ClinicalFacts,
    proposed: &[&Ingredient],
    alerts: &mut Vec<SafetyAlert>,
) {
    let mut taken: Vec<&Ingredient> = Vec::new();
    let mut prescribed: BTreeSet<&RxNorm> = BTreeSet::new();
    for medication in &facts.medications {
        match formulary.ingredients_of(medication.rxnorm.as_ref(), &medication.display) {
            Some(found) => {
                if medication.prescribed {
                    prescribed.extend(found.iter().map(|ingredient| &ingredient.code));
                }
                taken.extend(found);
            }
            None => {
                let about = medication
                    .rxnorm
                    .as_ref()
                    .map_or_else(|| medication.display.to_lowercase(), ToString::to_string);
                alerts.push(SafetyAlert::new(
                    AlertKind::Unmapped,
                    &format!("medication-{about}"),
                    Severity::Undefined,
                    format!(
                        "{} is on the record and could not be mapped to its ingredients, so \
                         nothing is known of its interactions.",
                        medication.display
                    ),
                    OWN,
                ));
            }
        }
    }
    let codes = |of: &[&Ingredient]| -> Vec<RxNorm> {
        let set: BTreeSet<RxNorm> = of.iter().map(|one| one.code.clone()).collect();
        set.into_iter().collect()
    };
    match interactions.interactions(&codes(proposed), &codes(&taken)).await {
        Ok(found) => alerts.extend(found.into_iter().map(|interaction| {
            SafetyAlert::new(
                AlertKind::Interaction,
                &format!("{}-{}", interaction.first, interaction.second),
                interaction.severity,
                interaction.summary,
                interaction.source,
            )
        })),
        Err(_) => alerts.push(SafetyAlert::new(
            AlertKind::Unavailable,
            "interactions",
            Severity::Undefined,
            "Interactions could not be checked.",
            OWN,
        )),
    }
    for new in proposed {
        for old in &taken {
            if new.code == old.code && prescribed.contains(&old.code) {
                // Two supplies of one drug would go out, so a provider has to
                // say why.
                alerts.push(SafetyAlert::new(
                    AlertKind::DuplicateTherapy,
                    new.code.as_str(),
                    Severity::High,
                    format!("Another prescription of the patient is for {} already.", old.name),
                    OWN,
                ));
            } else if new.code == old.code {
                alerts.push(SafetyAlert::new(
                    AlertKind::DuplicateTherapy,
                    new.code.as_str(),
                    Severity::Moderate,
                    format!("The patient already takes {}.", old.name),
                    OWN,
                ));
            } else if let Some(class) = new
                .classes
                .intersection(&old.classes)
                .find(|class| THERAPEUTIC.contains(&class.as_str()))
            {
                alerts.push(SafetyAlert::new(
                    AlertKind::DuplicateTherapy,
                    &format!("{}-{}", new.code, old.code),
                    Severity::Moderate,
                    format!(
                        "{} and {}, which the patient takes, are of one class ({}).",
                        new.name,
                        old.name,
                        class.replace('_', " ")
                    ),
                    OWN,
                ));
            }
        }
    }
}

fn against_allergies(
    formulary: &Formulary,
    facts: &ClinicalFacts,
    proposed: &[&Ingredient],
    alerts: &mut Vec<SafetyAlert>,
) {
    for allergy in &facts.allergies {
        let Some(allergen) = formulary.allergen(&allergy.codings, &allergy.display) else {
            // A food or pollen that is not listed stands in no drug's way.
            let may_be_a_drug = allergy.categories.is_empty()
                || allergy.categories.iter().any(|category| {
                    matches!(category, AllergyCategory::Medication | AllergyCategory::Biologic)
                });
            if may_be_a_drug {
                alerts.push(SafetyAlert::new(
                    AlertKind::Unmapped,
                    &format!("allergy-{}", allergy.display.to_lowercase()),
                    Severity::Undefined,
                    format!(
                        "The recorded allergy to {} could not be mapped to a drug.",
                        allergy.display
                    ),
                    OWN,
                ));
            }
            continue;
        };
        for new in proposed {
            if let Some((severity, why)) = reacts(formulary, &allergen, new) {
                alerts.push(SafetyAlert::new(
                    AlertKind::Allergy,
                    &format!("{}-{}", new.code, allergy.display.to_lowercase()),
                    severity,
                    format!("Recorded allergy to {}: {why}.", allergy.display),
                    OWN,
                ));
            }
        }
    }
}

fn reacts(
    formulary: &Formulary,
    allergen: &Allergen,
    new: &Ingredient,
) -> Option<(Severity, String)> {
    if allergen.ingredients.contains(&new.code) {
        return Some((Severity::High, format!("{} is the allergen", new.name)));
    }
    let mut classes: BTreeSet<&str> = allergen.classes.iter().map(String::as_str).collect();
    for code in &allergen.ingredients {
        if let Some(ingredient) = formulary.ingredient(code) {
            classes.extend(
                ingredient
                    .classes
                    .iter()
                    .map(String::as_str)
                    .filter(|class| CROSS_REACTIVE.contains(class)),
            );
        }
    }
    if let Some(class) = new.classes.iter().find(|class| classes.contains(class.as_str())) {
        let class = class.replace('_', " ");
        return Some((Severity::High, format!("{} is of the same class ({class})", new.name)));
    }
    WEAKLY_CROSS_REACTIVE.iter().find_map(|(one, other, severity)| {
        let has = |class: &str| new.classes.contains(class);
        ((classes.contains(one) && has(other)) || (classes.contains(other) && has(one)))
            .then(|| (*severity, format!("{} may cross-react", new.name)))
    })
}

/// What the patient has affirmed in a form is held against the drug, whether or
/// not it is on the record by a code.
fn against_answers(facts: &ClinicalFacts, proposed: &[&Ingredient], alerts: &mut Vec<SafetyAlert>) {
    for condition in conditions().iter().filter(|one| facts.affirmed.contains(one.answer)) {
        for new in proposed.iter().filter(|new| condition.drugs.holds(new)) {
            alerts.push(SafetyAlert::new(
                AlertKind::Condition,
                &format!("{}-{}", new.code, condition.answer),
                condition.severity,
                format!("{}, as the patient has answered: {}", new.name, condition.summary),
                condition.source,
            ));
        }
    }
}

fn pregnancy(proposed: &[&Ingredient], alerts: &mut Vec<SafetyAlert>) {
    for new in proposed {
        let (severity, summary) = match new.pregnancy {
            None => continue,
            Some(PregnancyRisk::Contraindicated) => {
                (Severity::High, format!("{} is contraindicated in pregnancy.", new.name))
            }
            Some(PregnancyRisk::Caution) => {
                (Severity::Moderate, format!("{} carries a known risk in pregnancy.", new.name))
            }
        };
        alerts.push(SafetyAlert::new(
            AlertKind::Pregnancy,
            new.code.as_str(),
            severity,
            summary,
            LABEL,
        ));
    }
}

/// Holds tablets and capsules of one ingredient against its highest daily
/// dose. A product of several ingredients gives its strengths together, and a
/// liquid its strength by volume; neither is read here. What should be read
/// and cannot be is undefined.
fn maximum_dose(
    ingredients: &[&Ingredient],
    proposed: Proposed<'_>,
    alerts: &mut Vec<SafetyAlert>,
) {
    let [ingredient] = ingredients else { return };
    let about = ingredient.code.as_str();
    let days = u64::from(proposed.dosing.days_supply.max(1));
    if let (Some(most), QuantityUnit::Each) =
        (ingredient.most_weekly_micrograms, proposed.dosing.unit)
    {
        return maximum_of_a_week(ingredient, proposed, (most, days), alerts);
    }
    let (Some(most), QuantityUnit::Tablet | QuantityUnit::Capsule) =
        (ingredient.most_daily_micrograms, proposed.dosing.unit)
    else {
        return;
    };
    let units = u64::from(proposed.dosing.quantity.units()).div_ceil(days);
    match micrograms(&proposed.medication.strength, "") {
        Some(strength) if strength.saturating_mul(units) > most => {
            alerts.push(SafetyAlert::new(
                AlertKind::MaximumDose,
                about,
                Severity::High,
                format!(
                    "{} units of {} a day are more than the highest daily dose of {} mg.",
                    units,
                    proposed.medication.strength,
                    most / 1_000
                ),
                LABEL,
            ));
        }
        Some(_) => {}
        None => alerts.push(SafetyAlert::new(
            AlertKind::MaximumDose,
            about,
            Severity::Undefined,
            format!(
                "The strength {} could not be held against the highest daily dose.",
                proposed.medication.strength
            ),
            OWN,
        )),
    }
}

/// The same of single doses, as pens for an injection once a week.
fn maximum_of_a_week(
    ingredient: &Ingredient,
    proposed: Proposed<'_>,
    (most, days): (u64, u64),
    alerts: &mut Vec<SafetyAlert>,
) {
    let about = ingredient.code.as_str();
    let strength = &proposed.medication.strength;
    let units = u64::from(proposed.dosing.quantity.units());
    let alert = match micrograms(strength, "") {
        Some(one) if one.saturating_mul(units) * 7 > most.saturating_mul(days) => SafetyAlert::new(
            AlertKind::MaximumDose,
            about,
            Severity::High,
            format!(
                "{units} units of {strength} in {days} days are more than the highest weekly dose \
                 of {} micrograms.",
                most
            ),
            LABEL,
        ),
        Some(_) => return,
        None => SafetyAlert::new(
            AlertKind::MaximumDose,
            about,
            Severity::Undefined,
            format!("The strength {strength} could not be held against the highest weekly dose."),
            OWN,
        ),
    };
    alerts.push(alert);
}

#[cfg(test)]
mod tests;
