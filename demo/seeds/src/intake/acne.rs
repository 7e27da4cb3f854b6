//! Acne: how severe it is, what was tried, and what speaks against retinoids
//! and tetracyclines.

use intake::FormDefinition;

use super::build::*;

pub fn form() -> FormDefinition {
    let mut items = vec![
        group(
            "skin",
            "Your skin",
            vec![
                one_of(
                    "severity",
                    "How would you describe your acne?",
                    &[
                        ("mild", "Blackheads, whiteheads and a few pimples"),
                        ("moderate", "Many pimples and pustules"),
                        ("severe", "Large, painful nodules or cysts"),
                    ],
                ),
                any_of(
                    "areas",
                    "Where is it?",
                    &[("face", "Face"), ("chest", "Chest"), ("back", "Back or shoulders")],
                ),
                one_of(
                    "onset",
                    "Since when?",
                    &[
                        ("under_3_months", "Less than 3 months"),
                        ("3_to_12_months", "3 to 12 months"),
                        ("over_1_year", "More than a year"),
                    ],
                ),
                yes_no("scarring", "Does it leave scars?"),
                item_scale(),
                photos("skin_photos", "Would you like to show it to your provider?", 3)
                    .help("Photos in daylight help most. Where they were taken is not kept."),
                yes_no("cycle_related", "Does it get worse before your period?").when(not_male()),
            ],
        ),
        group(
            "earlier",
            "Earlier treatment",
            vec![
                any_of(
                    "prior_treatments",
                    "What have you used?",
                    &[
                        ("benzoyl_peroxide", "Benzoyl peroxide"),
                        ("retinoid", "A retinoid cream: tretinoin, adapalene"),
                        ("topical_antibiotic", "An antibiotic cream: clindamycin"),
                        ("oral_antibiotic", "An oral antibiotic: doxycycline, minocycline"),
                        ("isotretinoin", "Isotretinoin"),
                        ("spironolactone", "Spironolactone"),
                    ],
                ),
                yes_no("retinoid_reaction", "Did the retinoid cream burn or peel your skin badly?")
                    .when(chose("prior_treatments", "retinoid")),
                text("isotretinoin_detail", "When did you take isotretinoin, and for how long?")
                    .when(chose("prior_treatments", "isotretinoin")),
            ],
        ),
        group(
            "health",
            "Your health",
            vec![
                yes_no("tetracycline_allergy", "Are you allergic to doxycycline or minocycline?"),
                yes_no("eczema", "Do you have eczema or very sensitive skin?"),
                yes_no("sun_exposure", "Are you in strong sun for hours on most days?"),
                yes_no("liver_disease", "Do you have a disease of the liver?"),
                yes_no(
                    "raised_intracranial_pressure",
                    "Have you had raised pressure in the head (pseudotumor cerebri)?",
                ),
                yes_no("contraception", "Do you use reliable contraception?").when(not_male()),
            ],
        ),
        pregnancy(),
    ];
    items.extend(closing());
    FormDefinition {
        title: "Acne intake".into(),
        description: Some("About ten minutes. A licensed provider reads your answers.".into()),
        items,
        rules: vec![],
    }
}

fn item_scale() -> intake::Item {
    item(
        "bother",
        "How much does it bother you?",
        intake::ItemKind::Scale {
            minimum: 0,
            maximum: 10,
            minimum_label: Some("Not at all".into()),
            maximum_label: Some("As much as can be".into()),
        },
    )
}
