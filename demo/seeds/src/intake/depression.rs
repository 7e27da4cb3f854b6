//! Depression with the PHQ-9. The instrument is free to use: no permission is
//! required to reproduce, translate, display or distribute it. Cut-offs as
//! published: 5 mild, 10 moderate, 15 moderately severe, 20 severe. Any answer
//! to the ninth item but "not at all" is flagged, whatever the total.

use intake::{Condition, FormDefinition, Item, ItemKind, Operator, instruments};

use super::{anxiety::crisis_line, build::*};

/// Link id, wording and LOINC code of each item.
const PHQ9: [(&str, &str, (&str, &str)); 9] = [
    (
        "phq9_1",
        "Little interest or pleasure in doing things",
        ("44250-9", "Little interest or pleasure in doing things"),
    ),
    (
        "phq9_2",
        "Feeling down, depressed, or hopeless",
        ("44255-8", "Feeling down, depressed, or hopeless"),
    ),
    (
        "phq9_3",
        "Trouble falling or staying asleep, or sleeping too much",
        ("44259-0", "Trouble falling or staying asleep, or sleeping too much"),
    ),
    (
        "phq9_4",
        "Feeling tired or having little energy",
        ("44254-1", "Feeling tired or having little energy"),
    ),
    ("phq9_5", "Poor appetite or overeating", ("44251-7", "Poor appetite or overeating")),
    (
        "phq9_6",
        "Feeling bad about yourself, or that you are a failure or have let yourself or your \
         family down",
        (
            "44258-2",
            "Feeling bad about yourself - or that you are a failure or have let yourself or your \
             family down",
        ),
    ),
    (
        "phq9_7",
        "Trouble concentrating on things, such as reading the newspaper or watching television",
        (
            "44252-5",
            "Trouble concentrating on things, such as reading the newspaper or watching television",
        ),
    ),
    (
        "phq9_8",
        "Moving or speaking so slowly that other people could have noticed? Or the opposite, \
         being so fidgety or restless that you have been moving around a lot more than usual",
        (
            "44253-3",
            "Moving or speaking so slowly that other people could have noticed. Or the opposite - \
             being so fidgety or restless that you have been moving around a lot more than usual",
        ),
    ),
    (
        "phq9_9",
        "Thoughts that you would be better off dead or of hurting yourself in some way",
        (
            "44260-8",
            "Thoughts that you would be better off dead, or of hurting yourself in some way",
        ),
    ),
];

fn phq9() -> Item {
    let mut items: Vec<Item> =
        PHQ9.iter().map(|(link_id, text, loinc)| how_often(link_id, text, *loinc)).collect();
    if let ItemKind::SingleChoice { options } = &mut items[8].kind {
        for option in options.iter_mut().filter(|option| option.score > Some(0)) {
            option.flag = true;
        }
    }
    items.push(
        sum("phq9", "PHQ-9 total", &PHQ9.map(|(link_id, ..)| link_id), instruments::phq9())
            .loinc("44261-6", "Patient Health Questionnaire 9 item (PHQ-9) total score"),
    );
    items.push(difficulty("phq9_difficulty", "phq9"));
    group(
        "phq9_items",
        "Over the last 2 weeks, how often have you been bothered by any of the following \
         problems?",
        items,
    )
    .loinc("44249-1", "PHQ-9 quick depression assessment panel")
}

/// Asked of whoever did not answer the ninth item with "not at all".
fn safety() -> Item {
    group(
        "safety",
        "Your safety",
        vec![
            crisis_line("safety_advice"),
            red_flags(
                "self_harm",
                "In the last month, have you had any of these?",
                &[
                    ("plan", "A plan to harm yourself"),
                    ("means", "The means for it at hand"),
                    ("attempt", "An attempt to harm yourself"),
                ],
            ),
            text("safety_contact", "Who can be with you, and how can we reach them?").optional(),
        ],
    )
    .when_any(vec![chose("phq9_9", "1"), chose("phq9_9", "2"), chose("phq9_9", "3")])
}

pub fn form() -> FormDefinition {
    let mut items = vec![
        phq9(),
        safety(),
        group(
            "history",
            "Your history",
            vec![
                yes_no("prior_treatment", "Have you been treated for depression before?"),
                list("prior_treatment_list", "With which medications or therapies?")
                    .when(yes("prior_treatment")),
                yes_no("hospitalization", "Were you ever in hospital for your mental health?"),
                yes_no(
                    "mania",
                    "Have there been days when you felt so high or full of energy that others \
                     worried, or were you told that you have bipolar disorder?",
                ),
                yes_no("psychosis", "Have you heard or seen things that others did not?"),
                yes_no("maoi", "Have you taken an MAO inhibitor in the last two weeks?"),
                yes_no("seizures", "Have you ever had a seizure?"),
                yes_no("eating_disorder", "Have you ever had anorexia or bulimia?"),
                yes_no("long_qt", "Have you been told of a long QT interval?"),
                one_of(
                    "alcohol",
                    "How many alcoholic drinks do you have in a week?",
                    &[("none", "None"), ("1_to_7", "1 to 7"), ("over_7", "More than 7")],
                ),
                yes_no("substances", "Do you use cannabis, opioids or other drugs?"),
                text("substances_detail", "Which, and how often?").when(yes("substances")),
                text("impact", "What would be different if you felt better?")
                    .optional()
                    .when(Condition::item("phq9", Operator::GreaterOrEqual, 10.0)),
            ],
        ),
        pregnancy(),
    ];
    items.extend(closing());
    FormDefinition {
        title: "Depression intake".into(),
        description: Some(
            "About ten minutes. A licensed provider reads your answers. In an emergency call 911; \
             in a crisis call or text 988."
                .into(),
        ),
        items,
        rules: vec![],
    }
}
