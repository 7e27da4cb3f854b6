//! What a form asks. A definition is a document: it is written, stored and
//! compared as a whole, and its JSON form is the one that is kept.

use kernel::Coding;
use serde::{Deserialize, Serialize};

use crate::{Calculation, EnableWhen};

#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct FormDefinition {
    pub title: String,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub description: Option<String>,
    pub items: Vec<Item>,
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
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub enable_when: Option<EnableWhen>,
    pub kind: ItemKind,
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
        minimum: Option<f64>,
        #[serde(default, skip_serializing_if = "Option::is_none")]
        maximum: Option<f64>,
        #[serde(default)]
        integer: bool,
        /// UCUM codes; the first is meant where an answer names none. None at
        /// all for a bare count.
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
    /// Words that are shown and not answered.
    Display,
    Group {
        items: Vec<Item>,
    },
    /// Computed from other answers; a client never gives it.
    Calculated {
        calculation: Calculation,
    },
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

impl Item {
    pub fn children(&self) -> &[Item] {
        match &self.kind {
            ItemKind::Group { items } => items,
            _ => &[],
        }
    }

    pub fn options(&self) -> &[ChoiceOption] {
        match &self.kind {
            ItemKind::SingleChoice { options } | ItemKind::MultipleChoice { options } => options,
            _ => &[],
        }
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
    /// Every item with its parent, in the order of the form.
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

    pub fn item(&self, link_id: &str) -> Option<&Item> {
        self.walk().into_iter().map(|(item, _)| item).find(|item| item.link_id == link_id)
    }

    /// Whether any condition asks for what is known of the patient.
    pub fn asks_facts(&self) -> bool {
        self.walk()
            .into_iter()
            .any(|(item, _)| item.enable_when.as_ref().is_some_and(EnableWhen::asks_facts))
    }
}
