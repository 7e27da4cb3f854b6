//! Erectile dysfunction: nitrates, the heart and the blood pressure decide
//! whether a PDE-5 inhibitor is safe.

use intake::{Condition, FormDefinition, Operator};

use super::build::*;

pub fn form() -> FormDefinition {
    let mut items = vec![
        group(
            "problem",
            "The problem",
            vec![
                one_of(
                    "duration",
                    "For how long have you had difficulties?",
                    &[
                        ("under_3_months", "Less than 3 months"),
                        ("3_to_12_months", "3 to 12 months"),
                        ("over_1_year", "More than a year"),
                    ],
                ),
                one_of(
                    "onset",
                    "How did they begin?",
                    &[("gradual", "Little by little"), ("sudden", "Suddenly")],
                ),
                one_of(
                    "frequency",
                    "How often do they occur?",
                    &[
                        ("sometimes", "Less than half the time"),
                        ("mostly", "More than half the time"),
                        ("always", "Always"),
                    ],
                ),
                yes_no("morning_erections", "Do you wake with an erection at times?"),
                yes_no("prior_pde5", "Have you taken sildenafil, tadalafil or vardenafil before?"),
                text("prior_pde5_detail", "Which and how much, and how was it?")
                    .when(yes("prior_pde5")),
            ],
        ),
        group(
            "heart",
            "Your heart and circulation",
            vec![
                yes_no(
                    "nitrates",
                    "Do you use nitrates: nitroglycerin, isosorbide, or poppers (amyl nitrite)?",
                )
                .help("Together with this treatment they can lower the blood pressure fatally."),
                yes_no("riociguat", "Do you take riociguat or vericiguat?"),
                yes_no("alpha_blockers", "Do you take an alpha blocker, as in tamsulosin?"),
                text("alpha_blockers_detail", "Which, and since when?").when(yes("alpha_blockers")),
                red_flags(
                    "cardiac_history",
                    "Have you had any of these?",
                    &[
                        ("heart_attack_6_months", "A heart attack within 6 months"),
                        ("stroke_6_months", "A stroke or TIA within 6 months"),
                        ("unstable_angina", "Chest pain at rest or with little effort"),
                        ("heart_failure", "Heart failure"),
                        ("arrhythmia", "An irregular heartbeat that was treated"),
                        ("valve_disease", "Narrowing of a heart valve"),
                    ],
                ),
                yes_no(
                    "exertion_symptoms",
                    "Do you get chest pain or very short of breath on two flights of stairs?",
                ),
                yes_no(
                    "cardiology_clearance",
                    "Has a doctor said that sex is safe for your heart?",
                )
                .when_any(vec![
                    aged(65.0),
                    yes("exertion_symptoms"),
                    Condition::item("cardiac_history", Operator::NotEqual, "none"),
                ]),
                yes_no("bp_known", "Was your blood pressure measured in the last 6 months?"),
                number("bp_systolic", "The upper number", (60.0, 260.0), &["mm[Hg]"])
                    .loinc("8480-6", "Systolic blood pressure")
                    .when(yes("bp_known")),
                number("bp_diastolic", "The lower number", (30.0, 160.0), &["mm[Hg]"])
                    .loinc("8462-4", "Diastolic blood pressure")
                    .when(yes("bp_known")),
                display(
                    "bp_advice",
                    "Please have it measured, at a pharmacy for example. Your provider needs it \
                     before prescribing.",
                )
                .when(Condition::item("bp_known", Operator::Equal, false)),
            ],
        ),
        group(
            "health",
            "Your health",
            vec![
                any_of(
                    "conditions",
                    "Do you have any of these?",
                    &[
                        ("diabetes", "Diabetes"),
                        ("high_blood_pressure", "High blood pressure"),
                        ("high_cholesterol", "High cholesterol"),
                        ("liver_disease", "Liver disease"),
                        ("kidney_disease", "Kidney disease"),
                        ("sickle_cell", "Sickle cell disease, leukemia or myeloma"),
                        ("peyronie", "A curved or deformed penis"),
                        ("retinitis", "Retinitis pigmentosa, or sudden loss of vision"),
                    ],
                ),
                yes_no("priapism", "Have you ever had an erection of more than four hours?"),
                one_of(
                    "smoking",
                    "Do you smoke?",
                    &[("never", "Never did"), ("former", "No longer"), ("current", "Yes")],
                ),
                one_of(
                    "alcohol",
                    "How many alcoholic drinks do you have in a week?",
                    &[("none", "None"), ("1_to_7", "1 to 7"), ("over_7", "More than 7")],
                ),
            ],
        ),
    ];
    items.extend(closing());
    FormDefinition {
        title: "Erectile dysfunction intake".into(),
        description: Some("About ten minutes. A licensed provider reads your answers.".into()),
        items,
        rules: vec![],
    }
}
