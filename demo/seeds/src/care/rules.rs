//! The eligibility rules of the six categories. An answer that a form asks
//! only of some is looked at with `has`; what every form asks is not, so that
//! an answer that is missing sends the assessment to a provider.

use care::{Rule, Severity};
use kernel::CategoryId;

use crate::catalog;

/// A rule in short: id, expression, and what the patient reads when it fires.
type Short = (&'static str, &'static str, &'static str);

fn rule(severity: Severity, urgent: bool, (id, expression, text): Short) -> Rule {
    Rule {
        id: id.into(),
        description: description(id),
        severity,
        expression: expression.split_whitespace().collect::<Vec<_>>().join(" "),
        reason_code: id.into(),
        reason_text: text.into(),
        urgent,
    }
}

/// The id in words, as in `Recent heart attack`.
fn description(id: &str) -> String {
    let words = id.replace('_', " ");
    let mut letters = words.chars();
    letters
        .next()
        .map_or(String::new(), |first| format!("{}{}.", first.to_uppercase(), letters.as_str()))
}

fn refuse(short: Short) -> Rule {
    rule(Severity::Refuse, false, short)
}

fn review(short: Short) -> Rule {
    rule(Severity::Review, false, short)
}

fn urgent(short: Short) -> Rule {
    rule(Severity::Review, true, short)
}

fn info(short: Short) -> Rule {
    rule(Severity::Info, false, short)
}

pub fn of(category: CategoryId) -> Vec<Rule> {
    let own = match category {
        catalog::HAIR_LOSS => hair_loss(),
        catalog::ERECTILE_DYSFUNCTION => erectile_dysfunction(),
        catalog::WEIGHT_MANAGEMENT => weight_management(),
        catalog::ACNE => acne(),
        catalog::ANXIETY => anxiety(),
        catalog::DEPRESSION => depression(),
        _ => return Vec::new(),
    };
    let mut rules = common();
    rules.extend(own);
    rules
}

/// What holds for every category.
fn common() -> Vec<Rule> {
    vec![
        refuse(("under_age", "patient.age < 18", "This treatment is for adults.")),
        refuse((
            "no_consent",
            "!answers.consent_telehealth",
            "Without your consent to telehealth we cannot treat you.",
        )),
        review((
            "other_medications",
            "answers.medications",
            "A provider looks at the medications that you take.",
        )),
        review(("stated_allergies", "answers.allergies", "A provider looks at your allergies.")),
    ]
}

const PREGNANCY: Short = (
    "pregnancy",
    "(has(answers.pregnant) && answers.pregnant)
     || (has(answers.trying_to_conceive) && answers.trying_to_conceive)
     || (has(answers.breastfeeding) && answers.breastfeeding)",
    "This treatment is not safe around a pregnancy.",
);

const MAO_INHIBITOR: Short = (
    "mao_inhibitor_on_record",
    r#"medications.exists(m, m.display.contains("phenelzine")
       || m.display.contains("tranylcypromine") || m.display.contains("isocarboxazid")
       || m.display.contains("selegiline") || m.display.contains("linezolid"))"#,
    "Together with a medication on your record this treatment would not be safe.",
);

const SERTRALINE_ALLERGY: Short = (
    "sertraline_allergy_on_record",
    r#"allergies.exists(a, a.display.contains("sertraline"))"#,
    "You are allergic to this treatment.",
);

fn hair_loss() -> Vec<Rule> {
    vec![
        refuse(PREGNANCY),
        refuse((
            "allergy_on_record",
            r#"allergies.exists(a, a.display.contains("finasteride")
               || a.display.contains("dutasteride"))"#,
            "You are allergic to this treatment.",
        )),
        urgent((
            "suicidal_thoughts",
            "answers.suicidal_thoughts",
            "A provider looks at your answers as soon as possible. In a crisis call or text 988.",
        )),
        review((
            "not_male",
            r#"patient.sex != "male""#,
            "This treatment was studied in men; a provider finds what suits you.",
        )),
        review((
            "over_65",
            "patient.age > 65",
            "A provider looks at every request of people over 65.",
        )),
        review((
            "unusual_pattern",
            r#"answers.pattern in ["patches", "diffuse"] || answers.sudden"#,
            "Your hair loss may have another cause; a provider looks at it.",
        )),
        review((
            "scalp_symptoms",
            r#"answers.scalp.exists(s, s != "none")"#,
            "A provider looks at what you say of your scalp.",
        )),
        review((
            "earlier_side_effects",
            "has(answers.prior_side_effects) && answers.prior_side_effects",
            "You had side effects before; a provider looks at them.",
        )),
        review((
            "liver_disease",
            "answers.liver_disease",
            "The liver breaks this medication down; a provider looks at yours.",
        )),
        review((
            "depression_history",
            "answers.depression_history",
            "This medication can affect the mood; a provider looks at your history.",
        )),
        review((
            "sexual_dysfunction",
            "has(answers.sexual_dysfunction) && answers.sexual_dysfunction",
            "This medication can affect sexual function; a provider talks it over with you.",
        )),
        review((
            "prostate",
            "has(answers.prostate_cancer) && answers.prostate_cancer",
            "This medication changes the PSA; a provider looks at your history.",
        )),
        review((
            "duplicate_therapy",
            r#"medications.exists(m, m.display.contains("finasteride")
               || m.display.contains("dutasteride"))"#,
            "You have a medication of this kind already.",
        )),
        info(("blood_donor", "answers.blood_donor", "Do not donate blood during treatment.")),
        info(("heart_disease", "answers.heart_disease", "Tell us before you use minoxidil.")),
    ]
}

fn erectile_dysfunction() -> Vec<Rule> {
    vec![
        refuse((
            "not_indicated_by_sex",
            r#"patient.sex == "female""#,
            "This treatment is for men.",
        )),
        refuse((
            "nitrates",
            "answers.nitrates",
            "Together with nitrates this treatment can lower the blood pressure fatally.",
        )),
        refuse((
            "nitrates_on_record",
            r#"medications.exists(m, m.display.contains("nitroglycerin")
               || m.display.contains("isosorbide") || m.display.contains("amyl nitrite"))"#,
            "Together with a nitrate on your record this treatment would not be safe.",
        )),
        refuse((
            "riociguat",
            r#"answers.riociguat || medications.exists(m, m.display.contains("riociguat")
               || m.display.contains("vericiguat"))"#,
            "Together with riociguat or vericiguat this treatment would not be safe.",
        )),
        refuse((
            "recent_cardiovascular_event",
            r#"answers.cardiac_history.exists(c,
               c in ["heart_attack_6_months", "stroke_6_months", "unstable_angina"])"#,
            "Your heart needs to be seen in person first.",
        )),
        refuse((
            "blood_pressure_out_of_bounds",
            "(has(answers.bp_systolic) && (answers.bp_systolic >= 170 || answers.bp_systolic < 90))
             || (has(answers.bp_diastolic)
                 && (answers.bp_diastolic >= 110 || answers.bp_diastolic < 50))",
            "Your blood pressure needs to be treated first.",
        )),
        refuse((
            "retinitis",
            r#""retinitis" in answers.conditions"#,
            "With your eye disease this treatment would not be safe.",
        )),
        refuse((
            "allergy_on_record",
            r#"allergies.exists(a, a.display.contains("sildenafil"))"#,
            "You are allergic to this treatment.",
        )),
        review((
            "heart_disease",
            r#"answers.cardiac_history.exists(c,
               c in ["heart_failure", "arrhythmia", "valve_disease"])"#,
            "A provider looks at your heart's history.",
        )),
        review((
            "exertion_symptoms",
            "answers.exertion_symptoms",
            "A provider asks about your breath and your chest.",
        )),
        review((
            "blood_pressure_unknown_or_high",
            "!answers.bp_known || (has(answers.bp_systolic) && answers.bp_systolic >= 140)
             || (has(answers.bp_diastolic) && answers.bp_diastolic >= 90)",
            "A provider needs to know your blood pressure.",
        )),
        review((
            "alpha_blockers",
            r#"answers.alpha_blockers || medications.exists(m, m.display.contains("tamsulosin")
               || m.display.contains("doxazosin") || m.display.contains("terazosin"))"#,
            "With an alpha blocker the dose has to be chosen with care.",
        )),
        review((
            "organ_disease",
            r#"answers.conditions.exists(c,
               c in ["liver_disease", "kidney_disease", "sickle_cell", "peyronie"])"#,
            "A provider looks at your other conditions.",
        )),
        review(("priapism", "answers.priapism", "A provider asks about long erections.")),
        review((
            "over_65",
            "patient.age >= 65",
            "A provider looks at every request of people of 65 and over.",
        )),
        info(("smoker", r#"answers.smoking == "current""#, "Smoking makes this condition worse.")),
    ]
}

fn weight_management() -> Vec<Rule> {
    vec![
        refuse(PREGNANCY),
        refuse((
            "weight_not_high_enough",
            r#"scores.bmi < 27
               || (scores.bmi < 30 && !(has(answers.weight_conditions)
                   && answers.weight_conditions.exists(c, c != "none")))"#,
            "Medication is for a body-mass index of 30, or of 27 with a condition that weight \
             makes worse.",
        )),
        refuse((
            "type_1_diabetes",
            "answers.type_1_diabetes",
            "With type 1 diabetes your weight is treated together with your diabetes.",
        )),
        refuse((
            "allergy_on_record",
            r#"allergies.exists(a, a.display.contains("metformin"))"#,
            "You are allergic to this treatment.",
        )),
        urgent((
            "suicidal_thoughts",
            "answers.suicidal_thoughts",
            "A provider looks at your answers as soon as possible. In a crisis call or text 988.",
        )),
        review((
            "kidney_disease",
            "answers.kidney_disease",
            "A provider needs to know how your kidneys work.",
        )),
        review((
            "thyroid_cancer",
            "answers.thyroid_cancer || answers.men2",
            "Some of the medications are not for you; a provider chooses another.",
        )),
        review((
            "digestive_disease",
            "answers.pancreatitis || answers.gallbladder || answers.gastroparesis",
            "A provider looks at your digestion.",
        )),
        review((
            "glucose_lowering_treatment",
            "answers.insulin",
            "Together with your medication the blood sugar can fall; a provider adjusts the doses.",
        )),
        review((
            "eating_disorder",
            "answers.eating_disorder",
            "A provider talks with you before you start.",
        )),
        review((
            "retinopathy",
            "has(answers.retinopathy) && answers.retinopathy",
            "Your eyes have to be looked after during treatment.",
        )),
        info(("prior_glp1", "answers.prior_glp1", "Tell us which dose you had.")),
    ]
}

fn acne() -> Vec<Rule> {
    vec![
        refuse(PREGNANCY),
        refuse((
            "allergy_on_record",
            r#"allergies.exists(a, a.display.contains("tretinoin"))"#,
            "You are allergic to this treatment.",
        )),
        review((
            "severe_acne",
            r#"answers.severity == "severe" || answers.scarring"#,
            "Your acne may need more than this; a provider looks at it.",
        )),
        review((
            "retinoid_reaction",
            "has(answers.retinoid_reaction) && answers.retinoid_reaction",
            "Your skin reacted before; a provider looks at it.",
        )),
        review((
            "sensitive_skin",
            "answers.eczema",
            "A provider chooses a treatment that your skin can bear.",
        )),
        review((
            "tetracyclines",
            "answers.tetracycline_allergy || answers.raised_intracranial_pressure
             || answers.liver_disease",
            "Some of the medications are not for you; a provider chooses another.",
        )),
        info(("sun", "answers.sun_exposure", "Protect your skin from the sun during treatment.")),
    ]
}

fn anxiety() -> Vec<Rule> {
    vec![
        refuse(MAO_INHIBITOR),
        refuse(SERTRALINE_ALLERGY),
        refuse((
            "bipolar_disorder",
            "answers.mania",
            "With bipolar disorder this treatment has to be begun in person.",
        )),
        urgent((
            "self_harm",
            r#"answers.self_harm.exists(h, h != "none")"#,
            "A provider looks at your answers as soon as possible. In a crisis call or text 988.",
        )),
        urgent((
            "psychosis",
            "answers.psychosis",
            "A provider looks at your answers as soon as possible.",
        )),
        review((
            "severe_anxiety",
            "scores.gad7 >= 15",
            "Your answers point to severe anxiety; a provider talks with you.",
        )),
        review((
            "few_symptoms",
            "scores.gad7 < 5",
            "Your answers point to little anxiety; a provider sees whether medication helps.",
        )),
        review(PREGNANCY),
        review((
            "thyroid_disease",
            "answers.thyroid_disease",
            "The thyroid can cause anxiety; a provider looks at it.",
        )),
        review((
            "substances",
            r#"answers.substances || answers.benzodiazepines || answers.alcohol == "over_7""#,
            "A provider looks at what else you take.",
        )),
        info((
            "under_25",
            "patient.age < 25",
            "Under 25, tell us at once if your mood gets worse.",
        )),
    ]
}

fn depression() -> Vec<Rule> {
    vec![
        refuse(MAO_INHIBITOR),
        refuse(SERTRALINE_ALLERGY),
        refuse((
            "mao_inhibitor",
            "answers.maoi",
            "Two weeks have to pass between an MAO inhibitor and this treatment.",
        )),
        refuse((
            "bipolar_disorder",
            "answers.mania",
            "With bipolar disorder this treatment has to be begun in person.",
        )),
        urgent((
            "phq9_item_9",
            r#"answers.phq9_9 != "0""#,
            "A provider looks at your answers as soon as possible. In a crisis call or text 988.",
        )),
        urgent((
            "psychosis",
            "answers.psychosis",
            "A provider looks at your answers as soon as possible.",
        )),
        review((
            "severe_depression",
            "scores.phq9 >= 20 || answers.hospitalization",
            "Your answers point to severe depression; a provider talks with you.",
        )),
        review((
            "few_symptoms",
            "scores.phq9 < 5",
            "Your answers point to little depression; a provider sees whether medication helps.",
        )),
        review(PREGNANCY),
        review((
            "seizures_or_long_qt",
            "answers.seizures || answers.long_qt",
            "A provider chooses a medication that suits your health.",
        )),
        review((
            "eating_disorder",
            "answers.eating_disorder",
            "A provider talks with you before you start.",
        )),
        review((
            "substances",
            r#"answers.substances || answers.alcohol == "over_7""#,
            "A provider looks at what else you take.",
        )),
        info((
            "under_25",
            "patient.age < 25",
            "Under 25, tell us at once if your mood gets worse.",
        )),
    ]
}
