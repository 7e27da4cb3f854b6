//! Short words for items, and the questions that several forms share.

use intake::{
    Band, Calculation, ChoiceOption, Condition, Consent, EnableWhen, Fact, Item, ItemKind, Operator,
};
use kernel::{Coding, code::system};

pub fn item(link_id: &str, text: &str, kind: ItemKind) -> Item {
    let required =
        !matches!(kind, ItemKind::Display | ItemKind::Group { .. } | ItemKind::Calculated { .. });
    Item { required, ..Item::new(link_id, text, kind) }
}

pub fn yes_no(link_id: &str, text: &str) -> Item {
    item(link_id, text, ItemKind::Boolean { consent: None })
}

pub fn text(link_id: &str, text: &str) -> Item {
    item(link_id, text, ItemKind::Text { max_length: 1_000, pattern: None, repeats: false })
}

pub fn list(link_id: &str, text: &str) -> Item {
    item(link_id, text, ItemKind::Text { max_length: 200, pattern: None, repeats: true })
}

pub fn number(link_id: &str, text: &str, range: (f64, f64), units: &[&str]) -> Item {
    let kind = ItemKind::Number {
        minimum: Some(range.0.into()),
        maximum: Some(range.1.into()),
        integer: false,
        units: units.iter().map(ToString::to_string).collect(),
    };
    item(link_id, text, kind)
}

pub fn group(link_id: &str, text: &str, items: Vec<Item>) -> Item {
    item(link_id, text, ItemKind::Group { items })
}

/// Photos, up to so many; nobody has to send one.
pub fn photos(link_id: &str, text: &str, maximum: u32) -> Item {
    item(link_id, text, ItemKind::Photo { minimum: 1, maximum }).optional()
}

pub fn display(link_id: &str, text: &str) -> Item {
    item(link_id, text, ItemKind::Display)
}

pub fn option(code: &str, display: &str) -> ChoiceOption {
    ChoiceOption {
        code: code.into(),
        display: display.into(),
        score: None,
        flag: false,
        coding: None,
        exclusive: false,
    }
}

fn options(choices: &[(&str, &str)]) -> Vec<ChoiceOption> {
    choices.iter().map(|(code, display)| option(code, display)).collect()
}

pub fn one_of(link_id: &str, text: &str, choices: &[(&str, &str)]) -> Item {
    item(link_id, text, ItemKind::SingleChoice { options: options(choices) })
}

/// Any of the choices, or `none`, which excludes them.
pub fn any_of(link_id: &str, text: &str, choices: &[(&str, &str)]) -> Item {
    let mut options = options(choices);
    options.push(ChoiceOption { exclusive: true, ..option("none", "None of these") });
    item(link_id, text, ItemKind::MultipleChoice { options })
}

/// As `any_of`, but a clinician has to see every choice except `none`.
pub fn red_flags(link_id: &str, text: &str, choices: &[(&str, &str)]) -> Item {
    let mut item = any_of(link_id, text, choices);
    if let ItemKind::MultipleChoice { options } = &mut item.kind {
        for option in options.iter_mut().filter(|option| !option.exclusive) {
            option.flag = true;
        }
    }
    item
}

pub trait Shape {
    fn optional(self) -> Self;
    fn help(self, help: &str) -> Self;
    fn loinc(self, code: &str, display: &str) -> Self;
    fn when(self, condition: Condition) -> Self;
    fn when_any(self, conditions: Vec<Condition>) -> Self;
}

impl Shape for Item {
    fn optional(self) -> Self {
        Self { required: false, ..self }
    }

    fn help(self, help: &str) -> Self {
        Self { help: Some(help.into()), ..self }
    }

    fn loinc(self, code: &str, display: &str) -> Self {
        Self { code: Some(Coding::new(system::LOINC, code, display)), ..self }
    }

    fn when(self, condition: Condition) -> Self {
        Self { enable_when: Some(EnableWhen::all([condition])), ..self }
    }

    fn when_any(self, conditions: Vec<Condition>) -> Self {
        Self { enable_when: Some(EnableWhen::any(conditions)), ..self }
    }
}

/// The answer is yes.
pub fn yes(link_id: &str) -> Condition {
    Condition::item(link_id, Operator::Equal, true)
}

/// The choice was made.
pub fn chose(link_id: &str, code: &str) -> Condition {
    Condition::item(link_id, Operator::Equal, code)
}

pub fn at_least(link_id: &str, value: f64) -> Condition {
    Condition::item(link_id, Operator::GreaterOrEqual, value)
}

/// Everybody but those whose sex is male: where it is not known, the question
/// is asked.
pub fn not_male() -> Condition {
    Condition::fact(Fact::PatientSex, Operator::NotEqual, "male")
}

pub fn not_female() -> Condition {
    Condition::fact(Fact::PatientSex, Operator::NotEqual, "female")
}

pub fn aged(years: f64) -> Condition {
    Condition::fact(Fact::PatientAge, Operator::GreaterOrEqual, years)
}

pub fn sum(link_id: &str, text: &str, of: &[&str], bands: Vec<Band>) -> Item {
    let of = of.iter().map(ToString::to_string).collect();
    item(link_id, text, ItemKind::Calculated { calculation: Calculation::Sum { of, bands } })
}

/// The four answers of the PHQ and the GAD, worth 0 to 3, with LOINC's codes.
pub fn how_often(link_id: &str, text: &str, loinc: (&str, &str)) -> Item {
    let options = [
        ("Not at all", "LA6568-5"),
        ("Several days", "LA6569-3"),
        ("More than half the days", "LA6570-1"),
        ("Nearly every day", "LA6571-9"),
    ];
    let options = (0..)
        .zip(options)
        .map(|(score, (display, code))| ChoiceOption {
            score: Some(score),
            coding: Some(Coding::new(system::LOINC, code, display)),
            ..option(&score.to_string(), display)
        })
        .collect();
    item(link_id, text, ItemKind::SingleChoice { options }).loinc(loinc.0, loinc.1)
}

/// How much the problems of an instrument get in the way; it is not scored.
pub fn difficulty(link_id: &str, score: &str) -> Item {
    let options = [
        ("not_difficult", "Not difficult at all", "LA6572-7"),
        ("somewhat", "Somewhat difficult", "LA6573-5"),
        ("very", "Very difficult", "LA6574-3"),
        ("extremely", "Extremely difficult", "LA6575-0"),
    ];
    let options = options
        .map(|(code, display, loinc)| ChoiceOption {
            coding: Some(Coding::new(system::LOINC, loinc, display)),
            ..option(code, display)
        })
        .into();
    item(
        link_id,
        "If you checked off any problems, how difficult have these problems made it for you to \
         do your work, take care of things at home, or get along with other people?",
        ItemKind::SingleChoice { options },
    )
    .loinc(
        "69722-7",
        "How difficult have these problems made it for you to do your work, take care of things \
         at home, or get along with other people",
    )
    .when(Condition::item(score, Operator::Greater, 0.0))
}

/// The questions about pregnancy, for everybody whose sex is not male.
pub fn pregnancy() -> Item {
    group(
        "pregnancy",
        "Pregnancy",
        vec![
            yes_no("pregnant", "Are you pregnant?").loinc("82810-3", "Pregnancy status"),
            yes_no("trying_to_conceive", "Are you planning a pregnancy within the next year?")
                .when(Condition::item("pregnant", Operator::Equal, false)),
            yes_no("breastfeeding", "Are you breastfeeding?"),
        ],
    )
    .when(not_male())
}

/// What every form ends with: medications, allergies and the consent.
pub fn closing() -> Vec<Item> {
    vec![
        yes_no(
            "medications",
            "Do you take any medication, vitamin or supplement, prescribed or not?",
        ),
        list("medications_list", "Please list each with its dose.").when(yes("medications")),
        yes_no("allergies", "Are you allergic to any medication?"),
        list("allergies_list", "Please list each, and what happened.").when(yes("allergies")),
        text("anything_else", "Is there anything else that your provider should know?").optional(),
        item(
            "consent_telehealth",
            "I have read the consent to telehealth and agree to be treated this way. My answers \
             are true and complete.",
            ItemKind::Boolean {
                consent: Some(Consent { document: "telehealth".into(), version: "2026-01".into() }),
            },
        ),
    ]
}
