//! Androgenetic alopecia: what tells it from other hair loss, and what speaks
//! against finasteride and minoxidil.

use intake::FormDefinition;

use super::build::*;

pub fn form() -> FormDefinition {
    let mut items = vec![
        group(
            "hair",
            "Your hair",
            vec![
                one_of(
                    "pattern",
                    "Where do you lose hair?",
                    &[
                        ("hairline", "At the hairline or the temples"),
                        ("crown", "At the crown"),
                        ("hairline_and_crown", "At both"),
                        ("diffuse", "All over the scalp"),
                        ("patches", "In round, bare patches"),
                    ],
                ),
                one_of(
                    "onset",
                    "When did it begin?",
                    &[
                        ("under_6_months", "Less than 6 months ago"),
                        ("6_to_12_months", "6 to 12 months ago"),
                        ("1_to_5_years", "1 to 5 years ago"),
                        ("over_5_years", "More than 5 years ago"),
                    ],
                ),
                yes_no("sudden", "Did it begin suddenly, over days or a few weeks?"),
                text(
                    "sudden_detail",
                    "What happened in the three months before: an illness, an operation, a \
                     birth, a new medication, great stress?",
                )
                .when(yes("sudden")),
                any_of(
                    "scalp",
                    "Is your scalp affected?",
                    &[
                        ("itching", "Itching"),
                        ("scaling", "Scaling or thick crusts"),
                        ("pain", "Pain or burning"),
                        ("redness", "Redness or sores"),
                    ],
                ),
                photos("scalp_photos", "Would you like to show it to your provider?", 3).help(
                    "One from above, one of the hairline. Where they were taken is not kept.",
                ),
                yes_no("family_history", "Do close relatives have thinning hair?"),
            ],
        ),
        group(
            "earlier",
            "Earlier treatment",
            vec![
                any_of(
                    "prior_treatments",
                    "Have you used any of these for your hair?",
                    &[
                        ("finasteride", "Finasteride"),
                        ("dutasteride", "Dutasteride"),
                        ("minoxidil_topical", "Minoxidil on the scalp"),
                        ("minoxidil_oral", "Minoxidil by mouth"),
                        ("transplant", "A hair transplant"),
                    ],
                ),
                yes_no("prior_side_effects", "Did it have side effects?").when_any(vec![
                    chose("prior_treatments", "finasteride"),
                    chose("prior_treatments", "dutasteride"),
                    chose("prior_treatments", "minoxidil_topical"),
                    chose("prior_treatments", "minoxidil_oral"),
                ]),
                text("prior_side_effects_detail", "Which, and did they go away?")
                    .when(yes("prior_side_effects")),
            ],
        ),
        group(
            "health",
            "Your health",
            vec![
                yes_no("liver_disease", "Do you have a disease of the liver?"),
                yes_no(
                    "heart_disease",
                    "Do you have a disease of the heart, or low blood pressure?",
                ),
                yes_no("depression_history", "Have you ever been treated for depression?"),
                yes_no(
                    "suicidal_thoughts",
                    "Have you had thoughts of harming yourself in the last month?",
                ),
                yes_no("sexual_dysfunction", "Do you have difficulties with erection or desire?")
                    .when(not_female()),
                yes_no("prostate_cancer", "Have you had cancer of the prostate or a raised PSA?")
                    .when(not_female()),
                yes_no("blood_donor", "Do you donate blood?").help(
                    "Blood must not be donated during treatment with finasteride and for a month \
                     after it.",
                ),
            ],
        ),
        pregnancy(),
    ];
    items.extend(closing());
    FormDefinition {
        title: "Hair loss intake".into(),
        description: Some("About ten minutes. A licensed provider reads your answers.".into()),
        items,
        rules: vec![],
    }
}
