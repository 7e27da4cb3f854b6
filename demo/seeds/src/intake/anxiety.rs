//! Anxiety with the GAD-7. The instrument is free to use: no permission is
//! required to reproduce, translate, display or distribute it. Cut-offs as
//! published: 5 mild, 10 moderate, 15 severe.

use intake::{FormDefinition, Item, instruments};

use super::build::*;

/// Link id, wording and LOINC code of each item.
const GAD7: [(&str, &str, (&str, &str)); 7] = [
    (
        "gad7_1",
        "Feeling nervous, anxious, or on edge",
        ("69725-0", "Feeling nervous, anxious, or on edge"),
    ),
    (
        "gad7_2",
        "Not being able to stop or control worrying",
        ("68509-9", "Not being able to stop or control worrying"),
    ),
    (
        "gad7_3",
        "Worrying too much about different things",
        ("69733-4", "Worrying too much about different things"),
    ),
    ("gad7_4", "Trouble relaxing", ("69734-2", "Trouble relaxing")),
    (
        "gad7_5",
        "Being so restless that it is hard to sit still",
        ("69735-9", "Being so restless that it is hard to sit still"),
    ),
    (
        "gad7_6",
        "Becoming easily annoyed or irritable",
        ("69689-8", "Becoming easily annoyed or irritable"),
    ),
    (
        "gad7_7",
        "Feeling afraid, as if something awful might happen",
        ("69736-7", "Feeling afraid as if something awful might happen"),
    ),
];

fn gad7() -> Item {
    let mut items: Vec<Item> =
        GAD7.iter().map(|(link_id, text, loinc)| how_often(link_id, text, *loinc)).collect();
    items.push(
        sum("gad7", "GAD-7 total", &GAD7.map(|(link_id, ..)| link_id), instruments::gad7())
            .loinc("70274-6", "Generalized anxiety disorder 7 item (GAD-7) total score"),
    );
    items.push(difficulty("gad7_difficulty", "gad7"));
    group(
        "gad7_items",
        "Over the last 2 weeks, how often have you been bothered by the following problems?",
        items,
    )
    .loinc("69737-5", "Generalized anxiety disorder 7 item (GAD-7)")
}

pub fn form() -> FormDefinition {
    let mut items = vec![
        gad7(),
        group(
            "history",
            "Your history",
            vec![
                one_of(
                    "duration",
                    "For how long have you felt this way?",
                    &[
                        ("under_1_month", "Less than a month"),
                        ("1_to_6_months", "1 to 6 months"),
                        ("over_6_months", "More than 6 months"),
                    ],
                ),
                yes_no("panic_attacks", "Do you have sudden attacks of intense fear?"),
                one_of(
                    "panic_frequency",
                    "How often?",
                    &[
                        ("monthly", "About once a month"),
                        ("weekly", "About once a week"),
                        ("daily", "Almost every day"),
                    ],
                )
                .when(yes("panic_attacks")),
                yes_no("prior_treatment", "Have you been treated for anxiety or depression?"),
                list("prior_treatment_list", "With which medications or therapies?")
                    .when(yes("prior_treatment")),
                yes_no("mania", "Have you ever been told that you have bipolar disorder?"),
                yes_no("psychosis", "Have you heard or seen things that others did not?"),
                yes_no("thyroid_disease", "Do you have a disease of the thyroid?"),
                red_flags(
                    "self_harm",
                    "In the last month, have you had any of these?",
                    &[
                        ("thoughts", "Thoughts of harming yourself"),
                        ("plan", "A plan to harm yourself"),
                        ("attempt", "An attempt to harm yourself"),
                    ],
                ),
                crisis_line("self_harm_advice").when_any(vec![
                    chose("self_harm", "thoughts"),
                    chose("self_harm", "plan"),
                    chose("self_harm", "attempt"),
                ]),
                one_of(
                    "alcohol",
                    "How many alcoholic drinks do you have in a week?",
                    &[("none", "None"), ("1_to_7", "1 to 7"), ("over_7", "More than 7")],
                ),
                yes_no("substances", "Do you use cannabis, opioids or other drugs?"),
                text("substances_detail", "Which, and how often?").when(yes("substances")),
                yes_no("benzodiazepines", "Do you take alprazolam, lorazepam or a similar drug?"),
            ],
        ),
        pregnancy(),
    ];
    items.extend(closing());
    FormDefinition {
        title: "Anxiety intake".into(),
        description: Some(
            "About ten minutes. A licensed provider reads your answers. In an emergency call 911; \
             in a crisis call or text 988."
                .into(),
        ),
        items,
        rules: vec![],
    }
}

/// What is shown to a patient who may be in danger.
pub fn crisis_line(link_id: &str) -> Item {
    display(
        link_id,
        "You are not alone. Call or text 988 now to reach the Suicide and Crisis Lifeline, at any \
         hour. If you are in danger, call 911.",
    )
}
