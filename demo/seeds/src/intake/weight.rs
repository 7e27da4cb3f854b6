//! Weight management: the body-mass index, and what speaks against a GLP-1
//! receptor agonist.

use intake::{Calculation, Condition, FormDefinition, ItemKind, Operator, instruments};

use super::build::*;

pub fn form() -> FormDefinition {
    let bmi = Calculation::BodyMassIndex {
        height: "height".into(),
        weight: "weight".into(),
        bands: instruments::body_mass_index(),
    };
    let mut items = vec![
        group(
            "body",
            "Your body",
            vec![
                number("height", "How tall are you?", (120.0, 230.0), &["cm", "m", "[in_i]"])
                    .loinc("8302-2", "Body height"),
                number("weight", "How much do you weigh?", (30.0, 350.0), &["kg", "[lb_av]"])
                    .loinc("29463-7", "Body weight"),
                item("bmi", "Body-mass index", ItemKind::Calculated { calculation: bmi })
                    .loinc("39156-5", "Body mass index (BMI)"),
                number(
                    "goal_weight",
                    "Which weight do you aim for?",
                    (30.0, 350.0),
                    &["kg", "[lb_av]"],
                )
                .optional(),
            ],
        ),
        group(
            "weight_history",
            "What weight does to you",
            vec![
                any_of(
                    "weight_conditions",
                    "Do you have any of these?",
                    &[
                        ("type_2_diabetes", "Type 2 diabetes or prediabetes"),
                        ("high_blood_pressure", "High blood pressure"),
                        ("high_cholesterol", "High cholesterol"),
                        ("sleep_apnea", "Sleep apnea"),
                        ("fatty_liver", "Fatty liver"),
                    ],
                )
                .help("Below a body-mass index of 30, treatment takes one of these.")
                .when(at_least("bmi", 25.0)),
                any_of(
                    "prior_attempts",
                    "What have you tried in the last two years?",
                    &[
                        ("diet", "A diet"),
                        ("exercise", "Exercise"),
                        ("program", "A supervised program"),
                        ("medication", "Medication"),
                        ("surgery", "Surgery"),
                    ],
                ),
                list("prior_medication", "Which medication?")
                    .when(chose("prior_attempts", "medication")),
            ],
        ),
        group(
            "safety",
            "Your health",
            vec![
                yes_no(
                    "thyroid_cancer",
                    "Have you or a close relative had medullary thyroid cancer?",
                ),
                yes_no(
                    "men2",
                    "Have you or a close relative multiple endocrine neoplasia type 2 (MEN 2)?",
                ),
                yes_no("pancreatitis", "Have you ever had pancreatitis?"),
                text("pancreatitis_detail", "When, and was a cause found?")
                    .when(yes("pancreatitis")),
                yes_no("gallbladder", "Do you have gallstones or a disease of the gallbladder?"),
                yes_no("gastroparesis", "Does your stomach empty slowly (gastroparesis)?"),
                yes_no("type_1_diabetes", "Do you have type 1 diabetes?"),
                yes_no("insulin", "Do you use insulin or a sulfonylurea, as in glipizide?"),
                yes_no("kidney_disease", "Do you have a disease of the kidneys?"),
                yes_no("retinopathy", "Do you have diabetic retinopathy?")
                    .when(chose("weight_conditions", "type_2_diabetes")),
                yes_no("eating_disorder", "Have you ever had anorexia or bulimia?"),
                yes_no(
                    "suicidal_thoughts",
                    "Have you had thoughts of harming yourself in the last month?",
                ),
                yes_no("prior_glp1", "Have you used semaglutide, liraglutide or tirzepatide?"),
                text("prior_glp1_detail", "Which dose, until when, and how was it?")
                    .when(yes("prior_glp1")),
                display(
                    "insulin_advice",
                    "Together with insulin the blood sugar can fall too low. Your provider will \
                     adjust the doses with you.",
                )
                .when(Condition::item("insulin", Operator::Equal, true)),
            ],
        ),
        pregnancy(),
    ];
    items.extend(closing());
    FormDefinition {
        title: "Weight management intake".into(),
        description: Some("About ten minutes. A licensed provider reads your answers.".into()),
        items,
        rules: vec![],
    }
}
