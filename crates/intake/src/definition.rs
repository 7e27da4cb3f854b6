//! What a form asks. A definition is a document: it is written, stored and
//! compared as a whole, and its JSON form is the one that is kept.

use std::collections::BTreeSet;

use kernel::{Coding, Decimal};
use serde::{Deserialize, Serialize};
use serde_json::Value;

use crate::{Answer, Calculation, EnableWhen, Operator};

#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct FormDefinition {
    pub title: String,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub description: Option<String>,
    pub items: Vec<Item>,
    /// What answers have to be to one another.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub rules: Vec<CrossRule>,
}

/// A rule between two answers, as in an end that is not before its start. It
/// holds while either of them is missing.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct CrossRule {
    /// The link id of the answer that is at fault where the rule is broken.
    pub left: String,
    pub operator: Operator,
    /// The link id of the answer that it is compared with.
    pub right: String,
    /// What to tell the patient.
    pub message: String,
}

#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Item {
    /// The name of the item, unique in the form; an answer is found by it.
    pub link_id: String,
    pub text: String,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub help: Option<String>,
    /// What the question is in a code system, as in LOINC.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub code: Option<Coding>,
    /// An answer is needed whenever the item is enabled.
    #[serde(default)]
    pub required: bool,
    /// Nobody is shown it or what is below it; its answer is the initial one.
    #[serde(default, skip_serializing_if = "std::ops::Not::not")]
    pub hidden: bool,
    /// Its answer is the initial one, and a client cannot give another.
    #[serde(default, skip_serializing_if = "std::ops::Not::not")]
    pub read_only: bool,
    /// What the answer is before a patient gives one, as a client would send
    /// it.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub initial: Option<Value>,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub enable_when: Option<EnableWhen>,
    pub kind: ItemKind,
    /// What is asked below a question; the items of a group are its kind's.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub items: Vec<Item>,
}

#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(tag = "type", rename_all = "snake_case", deny_unknown_fields)]
pub enum ItemKind {
    Text {
        max_length: u32,
        /// A regular expression that the whole text has to match.
        #[serde(default, skip_serializing_if = "Option::is_none")]
        pattern: Option<String>,
        /// The answer is a list of texts, as in the names of medications.
        #[serde(default)]
        repeats: bool,
    },
    Number {
        /// Limits are in the first unit.
        #[serde(default, skip_serializing_if = "Option::is_none")]
        minimum: Option<Decimal>,
        #[serde(default, skip_serializing_if = "Option::is_none")]
        maximum: Option<Decimal>,
        /// Without units, one of 32 bits, as FHIR's integers are.
        #[serde(default)]
        integer: bool,
        /// UCUM codes; where there are several, an answer names one of them.
        /// None at all for a bare count.
        #[serde(default, skip_serializing_if = "Vec::is_empty")]
        units: Vec<String>,
    },
    Date {
        #[serde(default, skip_serializing_if = "Option::is_none")]
        earliest: Option<chrono::NaiveDate>,
        #[serde(default, skip_serializing_if = "Option::is_none")]
        latest: Option<chrono::NaiveDate>,
    },
    SingleChoice {
        options: Vec<ChoiceOption>,
    },
    MultipleChoice {
        options: Vec<ChoiceOption>,
    },
    Boolean {
        /// With a consent, `true` agrees to that document; where the item is
        /// required, nothing else will do.
        #[serde(default, skip_serializing_if = "Option::is_none")]
        consent: Option<Consent>,
    },
    /// A whole number between two labelled ends.
    Scale {
        minimum: i64,
        maximum: i64,
        #[serde(default, skip_serializing_if = "Option::is_none")]
        minimum_label: Option<String>,
        #[serde(default, skip_serializing_if = "Option::is_none")]
        maximum_label: Option<String>,
    },
    /// Photos, as of the skin. The answer names photos that the patient has
    /// uploaded.
    Photo {
        /// How many at least, where there is an answer at all.
        #[serde(default = "one")]
        minimum: u32,
        #[serde(default = "one")]
        maximum: u32,
    },
    /// Words that are shown and not answered.
    Display,
    Group {
        items: Vec<Item>,
    },
    /// Questions that are answered any number of times, as for every
    /// operation somebody had. Their conditions look at answers of the same
    /// repetition and at what is known of the patient.
    RepeatingGroup {
        items: Vec<Item>,
        #[serde(default)]
        minimum: u32,
        maximum: u32,
    },
    /// Computed from other answers; a client never gives it.
    Calculated {
        calculation: Calculation,
    },
}

const fn one() -> u32 {
    1
}

#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct ChoiceOption {
    pub code: String,
    pub display: String,
    /// What the choice adds to a sum.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub score: Option<i32>,
    /// A clinician has to see that this was chosen.
    #[serde(default, skip_serializing_if = "std::ops::Not::not")]
    pub flag: bool,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub coding: Option<Coding>,
    /// Choosing it excludes every other choice, as in "none of these".
    #[serde(default, skip_serializing_if = "std::ops::Not::not")]
    pub exclusive: bool,
}

/// A document that a patient agrees to, in the version that was shown.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Consent {
    pub document: String,
    pub version: String,
}

impl CrossRule {
    /// Whether it holds between two answers, which publication has made sure
    /// are of kinds that compare.
    pub fn holds(&self, left: &Answer, right: &Answer) -> bool {
        let order = match (left, right) {
            (Answer::Date(left), Answer::Date(right)) => Some(left.cmp(right)),
            _ => match (left.as_number(), right.as_number()) {
                (Some(left), Some(right)) => Some(left.cmp(&right)),
                _ => None,
            },
        };
        let Some(order) = order else { return true };
        match self.operator {
            Operator::Exists => true,
            Operator::Equal => order.is_eq(),
            Operator::NotEqual => order.is_ne(),
            Operator::Greater => order.is_gt(),
            Operator::Less => order.is_lt(),
            Operator::GreaterOrEqual => order.is_ge(),
            Operator::LessOrEqual => order.is_le(),
        }
    }
}

impl Item {
    pub fn new(link_id: impl Into<String>, text: impl Into<String>, kind: ItemKind) -> Self {
        Self {
            link_id: link_id.into(),
            text: text.into(),
            help: None,
            code: None,
            required: false,
            hidden: false,
            read_only: false,
            initial: None,
            enable_when: None,
            kind,
            items: Vec::new(),
        }
    }

    /// The items of a group, and those below a question.
    pub fn children(&self) -> &[Item] {
        match &self.kind {
            ItemKind::Group { items } => items,
            _ => &self.items,
        }
    }

    /// The questions of one repetition.
    pub fn row(&self) -> &[Item] {
        match &self.kind {
            ItemKind::RepeatingGroup { items, .. } => items,
            _ => &[],
        }
    }

    pub fn options(&self) -> &[ChoiceOption] {
        match &self.kind {
            ItemKind::SingleChoice { options } | ItemKind::MultipleChoice { options } => options,
            _ => &[],
        }
    }

    /// Whether the answer is a list of values.
    pub fn takes_several(&self) -> bool {
        matches!(
            self.kind,
            ItemKind::MultipleChoice { .. }
                | ItemKind::Text { repeats: true, .. }
                | ItemKind::Photo { .. }
        )
    }

    /// Whether a client gives the answer.
    pub fn is_answerable(&self) -> bool {
        !matches!(
            self.kind,
            ItemKind::Display | ItemKind::Group { .. } | ItemKind::Calculated { .. }
        )
    }
}

impl FormDefinition {
    /// Every item with its parent, in the order of the form. What a repeating
    /// group repeats is a form of its own and not among them.
    pub fn walk(&self) -> Vec<(&Item, Option<&Item>)> {
        fn below<'a>(
            items: &'a [Item],
            parent: Option<&'a Item>,
            out: &mut Vec<(&'a Item, Option<&'a Item>)>,
        ) {
            for item in items {
                out.push((item, parent));
                below(item.children(), Some(item), out);
            }
        }
        let mut out = Vec::new();
        below(&self.items, None, &mut out);
        out
    }

    /// The link ids of hidden items and of all items below them.
    pub(crate) fn unseen<'a>(outline: &[(&'a Item, Option<&'a Item>)]) -> BTreeSet<&'a str> {
        let mut unseen = BTreeSet::new();
        // A parent comes before what is below it.
        for (item, parent) in outline {
            if item.hidden || parent.is_some_and(|parent| unseen.contains(parent.link_id.as_str()))
            {
                unseen.insert(item.link_id.as_str());
            }
        }
        unseen
    }

    /// The questions of a repetition as a form of their own.
    pub(crate) fn of_row(items: &[Item]) -> Self {
        Self { title: "Row".to_owned(), description: None, items: items.to_vec(), rules: vec![] }
    }

    pub fn item(&self, link_id: &str) -> Option<&Item> {
        self.walk().into_iter().map(|(item, _)| item).find(|item| item.link_id == link_id)
    }

    /// Whether any question, also of a repetition, asks for photos.
    pub fn asks_photos(&self) -> bool {
        self.walk().into_iter().any(|(item, _)| match &item.kind {
            ItemKind::Photo { .. } => true,
            ItemKind::RepeatingGroup { items, .. } => Self::of_row(items).asks_photos(),
            _ => false,
        })
    }

    /// Whether any condition or calculation asks for what is known of the
    /// patient.
    pub fn asks_facts(&self) -> bool {
        self.walk().into_iter().any(|(item, _)| {
            let calculates = match &item.kind {
                ItemKind::Calculated { calculation } => calculation.asks_facts(),
                ItemKind::RepeatingGroup { items, .. } => Self::of_row(items).asks_facts(),
                _ => false,
            };
            calculates || item.enable_when.as_ref().is_some_and(EnableWhen::asks_facts)
        })
    }
}
