//! Whether anything that a patient can answer makes an item appear. An item
//! that never does asks nobody, and its choices cannot be chosen; it is a slip
//! of the author, who should hear of it before the form is published.

use std::collections::{BTreeMap, BTreeSet};

use kernel::{Decimal, Sex};
use strum::IntoEnumIterator as _;

use crate::{
    Behavior, Calculation, Condition, Expected, Fact, FormDefinition, Item, ItemKind, Operator,
    Subject,
};

/// The link ids of items that can never be enabled, each with what stands
/// against it. What is below such an item is left out, for it follows.
pub fn unreachable(definition: &FormDefinition) -> BTreeMap<String, String> {
    let outline = definition.walk();
    let items: BTreeMap<&str, (&Item, Option<&Item>)> =
        outline.iter().map(|(item, parent)| (item.link_id.as_str(), (*item, *parent))).collect();
    let mut found = BTreeMap::new();
    for (item, parent) in &outline {
        let mut demands = Demands { items: &items, places: BTreeMap::new(), seen: BTreeSet::new() };
        if let Err(reason) = demands.enabled(&item.link_id) {
            let follows = parent.is_some_and(|parent| found.contains_key(&parent.link_id));
            if !follows {
                found.insert(item.link_id.clone(), reason);
            }
        }
    }
    found
}

/// What has to hold together for an item to be enabled.
struct Demands<'a> {
    items: &'a BTreeMap<&'a str, (&'a Item, Option<&'a Item>)>,
    places: BTreeMap<String, Place>,
    seen: BTreeSet<String>,
}

impl Demands<'_> {
    /// Adds what an item needs to be enabled, through its parents and through
    /// the items that its conditions look at.
    fn enabled(&mut self, link_id: &str) -> Result<(), String> {
        if !self.seen.insert(link_id.to_owned()) {
            return Ok(());
        }
        let Some((item, parent)) = self.items.get(link_id).copied() else { return Ok(()) };
        if let Some(parent) = parent {
            self.enabled(&parent.link_id)?;
        }
        let Some(when) = &item.enable_when else { return Ok(()) };
        let together = when.behavior == Behavior::All || when.conditions.len() == 1;
        if together {
            return when.conditions.iter().try_for_each(|condition| self.add(condition));
        }
        // Of several that are enough each, one has to be possible with all
        // that is demanded so far.
        let mut reason = Ok(());
        for condition in &when.conditions {
            let mut alone =
                Demands { items: self.items, places: self.places.clone(), seen: self.seen.clone() };
            match alone.add(condition) {
                Ok(()) => return Ok(()),
                Err(impossible) => reason = Err(impossible),
            }
        }
        reason
    }

    fn add(&mut self, condition: &Condition) -> Result<(), String> {
        let name = match &condition.subject {
            Subject::Item(link_id) => link_id.clone(),
            Subject::Fact(fact) => fact.to_string(),
        };
        if !self.places.contains_key(&name) {
            let Some(place) = self.place(&condition.subject) else { return Ok(()) };
            self.places.insert(name.clone(), place);
        }
        let possible = self.places.get_mut(&name).is_none_or(|place| place.narrow(condition));
        if !possible {
            return Err(format!("{name} can never meet all that is demanded of it."));
        }
        // What needs an answer needs the question to be asked.
        let needs_answer = match condition.operator {
            Operator::NotEqual => false,
            Operator::Exists => condition.expected == Expected::Boolean(true),
            _ => true,
        };
        match &condition.subject {
            Subject::Item(link_id) if needs_answer => self.enabled(link_id),
            _ => Ok(()),
        }
    }

    fn place(&self, subject: &Subject) -> Option<Place> {
        let values = match subject {
            Subject::Fact(Fact::PatientSex) => {
                Values::one_of(Sex::iter().map(|sex| sex.to_string()))
            }
            Subject::Fact(Fact::PatientAge) => Values::between(Some(0.0), Some(130.0), true),
            Subject::Item(link_id) => self.values(self.items.get(link_id.as_str())?.0)?,
        };
        Some(Place { values, answered: None })
    }

    fn values(&self, item: &Item) -> Option<Values> {
        Some(match &item.kind {
            ItemKind::Boolean { .. } => Values::one_of(["true", "false"].map(str::to_owned)),
            ItemKind::SingleChoice { options } => {
                Values::one_of(options.iter().map(|option| option.code.clone()))
            }
            ItemKind::MultipleChoice { options } => Values::Several {
                with: BTreeSet::new(),
                without: BTreeSet::new(),
                exclusive: options
                    .iter()
                    .filter(|option| option.exclusive)
                    .map(|option| option.code.clone())
                    .collect(),
            },
            ItemKind::Number { minimum, maximum, integer, .. } => {
                let float = |limit: &Decimal| limit.to_f64();
                Values::between(minimum.as_ref().map(float), maximum.as_ref().map(float), *integer)
            }
            ItemKind::Scale { minimum, maximum, .. } => {
                Values::between(Some(*minimum as f64), Some(*maximum as f64), true)
            }
            ItemKind::Date { earliest, latest } => {
                let day = |date: &chrono::NaiveDate| days(*date);
                Values::between(earliest.as_ref().map(day), latest.as_ref().map(day), true)
            }
            ItemKind::Calculated { calculation } => self.results(calculation),
            ItemKind::Text { .. }
            | ItemKind::Photo { .. }
            | ItemKind::Display
            | ItemKind::Group { .. }
            | ItemKind::RepeatingGroup { .. } => return None,
        })
    }

    /// The range of a sum is known from the scores of its items.
    fn results(&self, calculation: &Calculation) -> Values {
        let Calculation::Sum { of, .. } = calculation else {
            return Values::between(None, None, false);
        };
        let (mut least, mut most) = (0.0, 0.0);
        for link_id in of {
            let range = self.items.get(link_id.as_str()).and_then(|(item, _)| match &item.kind {
                ItemKind::SingleChoice { options } => {
                    let scores = options.iter().filter_map(|option| option.score);
                    Some((f64::from(scores.clone().min()?), f64::from(scores.max()?)))
                }
                ItemKind::Scale { minimum, maximum, .. } => {
                    Some((*minimum as f64, *maximum as f64))
                }
                _ => None,
            });
            let Some((low, high)) = range else { return Values::between(None, None, false) };
            least += low;
            most += high;
        }
        Values::between(Some(least), Some(most), true)
    }
}

/// Dates as whole numbers, so that they are compared as numbers are.
fn days(date: chrono::NaiveDate) -> f64 {
    use chrono::Datelike as _;
    f64::from(date.num_days_from_ce())
}

/// What a question can still be answered with.
#[derive(Clone)]
struct Place {
    values: Values,
    /// Whether there has to be an answer, or must be none.
    answered: Option<bool>,
}

#[derive(Clone)]
enum Values {
    OneOf(BTreeSet<String>),
    Between {
        /// With whether the end itself counts.
        low: (f64, bool),
        high: (f64, bool),
        whole: bool,
        not: Vec<f64>,
    },
    /// Any number of choices at a time.
    Several {
        with: BTreeSet<String>,
        without: BTreeSet<String>,
        exclusive: BTreeSet<String>,
    },
}

impl Values {
    fn one_of(values: impl IntoIterator<Item = String>) -> Self {
        Self::OneOf(values.into_iter().collect())
    }

    fn between(low: Option<f64>, high: Option<f64>, whole: bool) -> Self {
        Self::Between {
            low: (low.unwrap_or(f64::NEG_INFINITY), true),
            high: (high.unwrap_or(f64::INFINITY), true),
            whole,
            not: Vec::new(),
        }
    }

    fn is_empty(&self) -> bool {
        match self {
            Self::OneOf(values) => values.is_empty(),
            Self::Several { with, without, exclusive } => {
                !with.is_disjoint(without) || (with.len() > 1 && !with.is_disjoint(exclusive))
            }
            Self::Between { low, high, whole, not } => {
                let (mut least, mut most) = (low.0, high.0);
                if *whole {
                    least = if low.1 { least.ceil() } else { least.floor() + 1.0 };
                    most = if high.1 { most.floor() } else { most.ceil() - 1.0 };
                }
                let open = !(*whole || (low.1 && high.1));
                least > most || (least == most && (open || not.contains(&least)))
            }
        }
    }
}

impl Place {
    /// Leaves what the condition leaves; `false` where that is nothing.
    fn narrow(&mut self, condition: &Condition) -> bool {
        let wants_answer = match condition.operator {
            Operator::Exists => condition.expected == Expected::Boolean(true),
            // No answer is unequal to everything, so it narrows only what an
            // answer could be, and demands none.
            Operator::NotEqual => {
                self.exclude(&condition.expected);
                return self.answered != Some(true) || !self.values.is_empty();
            }
            _ => true,
        };
        if self.answered.is_some_and(|answered| answered != wants_answer) {
            return false;
        }
        self.answered = Some(wants_answer);
        if condition.operator != Operator::Exists {
            self.keep(condition.operator, &condition.expected);
        }
        !wants_answer || !self.values.is_empty()
    }

    fn exclude(&mut self, expected: &Expected) {
        match (&mut self.values, word(expected), number(expected)) {
            (Values::OneOf(values), Some(word), _) => {
                values.remove(&word);
            }
            (Values::Several { without, .. }, Some(word), _) => {
                without.insert(word);
            }
            (Values::Between { not, .. }, _, Some(value)) => not.push(value),
            _ => {}
        }
    }

    fn keep(&mut self, operator: Operator, expected: &Expected) {
        match (&mut self.values, word(expected), number(expected)) {
            (Values::OneOf(values), Some(word), _) => values.retain(|value| *value == word),
            (Values::Several { with, .. }, Some(word), _) => {
                with.insert(word);
            }
            (Values::Between { low, high, .. }, _, Some(value)) => {
                let raise = |low: &mut (f64, bool), counts: bool| {
                    if value > low.0 || (value == low.0 && !counts) {
                        *low = (value, counts);
                    }
                };
                let lower = |high: &mut (f64, bool), counts: bool| {
                    if value < high.0 || (value == high.0 && !counts) {
                        *high = (value, counts);
                    }
                };
                match operator {
                    Operator::Greater => raise(low, false),
                    Operator::GreaterOrEqual => raise(low, true),
                    Operator::Less => lower(high, false),
                    Operator::LessOrEqual => lower(high, true),
                    _ => {
                        raise(low, true);
                        lower(high, true);
                    }
                }
            }
            _ => {}
        }
    }
}

fn word(expected: &Expected) -> Option<String> {
    match expected {
        Expected::Boolean(value) => Some(value.to_string()),
        Expected::Text(value) => Some(value.clone()),
        Expected::Number(_) => None,
    }
}

fn number(expected: &Expected) -> Option<f64> {
    match expected {
        Expected::Number(value) => Some(value.to_f64()),
        Expected::Text(value) => value.parse().ok().map(days),
        Expected::Boolean(_) => None,
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::{ChoiceOption, EnableWhen};

    fn item(link_id: &str, kind: ItemKind) -> Item {
        Item::new(link_id, link_id, kind)
    }

    fn option(code: &str, score: i32) -> ChoiceOption {
        ChoiceOption {
            code: code.into(),
            display: code.into(),
            score: Some(score),
            flag: false,
            coding: None,
            exclusive: code == "none",
        }
    }

    fn found(when: EnableWhen) -> Vec<String> {
        let options = vec![option("none", 0), option("some", 1), option("much", 3)];
        let choice = item("choice", ItemKind::SingleChoice { options: options.clone() });
        let mut inner = item("inner", ItemKind::Boolean { consent: None });
        inner.enable_when =
            Some(EnableWhen::all([Condition::item("choice", Operator::Equal, "much")]));
        let total = Calculation::Sum { of: vec!["choice".into()], bands: vec![] };
        let mut last =
            item("last", ItemKind::Group { items: vec![item("below", ItemKind::Display)] });
        last.enable_when = Some(when);
        let form = FormDefinition {
            title: "Form".into(),
            description: None,
            items: vec![
                choice,
                inner,
                item("several", ItemKind::MultipleChoice { options }),
                item(
                    "weight",
                    ItemKind::Number {
                        minimum: Some(30.into()),
                        maximum: Some(350.into()),
                        integer: false,
                        units: vec!["kg".into()],
                    },
                ),
                item(
                    "scale",
                    ItemKind::Scale {
                        minimum: 0,
                        maximum: 10,
                        minimum_label: None,
                        maximum_label: None,
                    },
                ),
                item("since", ItemKind::Date { earliest: None, latest: "2026-01-01".parse().ok() }),
                item("total", ItemKind::Calculated { calculation: total }),
                last,
            ],
            rules: vec![],
        };
        unreachable(&form).into_keys().collect()
    }

    use Condition as C;
    use Operator as O;

    #[test]
    fn what_somebody_can_answer_is_reached() {
        for when in [
            EnableWhen::all([
                C::item("choice", O::NotEqual, "some"),
                C::item("choice", O::NotEqual, "much"),
            ]),
            EnableWhen::all([
                C::item("several", O::Equal, "some"),
                C::item("several", O::Equal, "much"),
            ]),
            EnableWhen::all([C::item("weight", O::GreaterOrEqual, 350.0)]),
            EnableWhen::all([C::item("scale", O::Greater, 3.0), C::item("scale", O::Less, 5.0)]),
            EnableWhen::all([
                C::item("inner", O::Equal, true),
                C::item("choice", O::Equal, "much"),
            ]),
            EnableWhen::all([C::item("total", O::GreaterOrEqual, 3.0)]),
            EnableWhen::any([C::item("scale", O::Greater, 30.0), C::item("scale", O::Less, 5.0)]),
            EnableWhen::all([
                C::item("choice", O::Exists, false),
                C::item("choice", O::NotEqual, "some"),
            ]),
            EnableWhen::all([
                C::fact(Fact::PatientSex, O::NotEqual, "male"),
                C::fact(Fact::PatientAge, O::Less, 18.0),
            ]),
            EnableWhen::all([C::item("since", O::Less, "2026-01-01")]),
        ] {
            assert_eq!(found(when.clone()), Vec::<String>::new(), "{when:?}");
        }
    }

    #[test]
    fn what_nobody_can_answer_is_told_once() {
        for when in [
            EnableWhen::all([
                C::item("choice", O::Equal, "some"),
                C::item("choice", O::Equal, "much"),
            ]),
            EnableWhen::all([
                C::item("several", O::Equal, "none"),
                C::item("several", O::Equal, "much"),
            ]),
            EnableWhen::all([
                C::item("several", O::Equal, "much"),
                C::item("several", O::NotEqual, "much"),
            ]),
            EnableWhen::all([C::item("weight", O::Greater, 350.0)]),
            EnableWhen::all([C::item("scale", O::Greater, 4.0), C::item("scale", O::Less, 5.0)]),
            EnableWhen::all([
                C::item("inner", O::Equal, true),
                C::item("choice", O::Equal, "some"),
            ]),
            EnableWhen::all([C::item("total", O::Greater, 3.0)]),
            EnableWhen::any([C::item("scale", O::Greater, 30.0), C::item("scale", O::Less, 0.0)]),
            EnableWhen::all([
                C::item("choice", O::Exists, false),
                C::item("choice", O::Equal, "some"),
            ]),
            EnableWhen::all([
                C::fact(Fact::PatientSex, O::Equal, "male"),
                C::fact(Fact::PatientSex, O::Equal, "female"),
            ]),
            EnableWhen::all([C::item("since", O::Greater, "2026-01-01")]),
        ] {
            assert_eq!(found(when.clone()), ["last"], "{when:?}");
        }
    }
}
