//! The evaluation of a form: which items are enabled, which answers count,
//! what is wrong with them, and what follows from them by calculation.
//!
//! It is a pure function of the definition, the raw answers and the facts, so
//! that it gives the same today and in an audit years from now.

use std::collections::{BTreeMap, BTreeSet, HashMap};

use kernel::FieldError;

use crate::{
    Answer, Answers, Behavior, Calculation, Condition, Consent, Facts, FormDefinition, Item,
    ItemKind, Quantity, RawAnswers, Score, Subject, answer,
};

/// The most repetitions of a group that are looked at.
pub(crate) const MOST_ROWS: usize = 100;

/// How much is asked of the answers.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Stage {
    /// Being written: answers must be readable, and may be missing or break
    /// their limits.
    Draft,
    /// Being submitted.
    Final,
}

#[derive(Clone, Debug, Default, PartialEq)]
pub struct Evaluation {
    /// The link ids of the items that are shown.
    pub enabled: BTreeSet<String>,
    /// The answers of enabled items; every other answer is gone.
    pub answers: Answers,
    /// The results of calculated items, by link id.
    pub scores: BTreeMap<String, Score>,
    /// The items in which a flagged option was chosen.
    pub flags: BTreeSet<String>,
    /// What was agreed to.
    pub consents: BTreeSet<Consent>,
    /// In the order of the form; unknown fields come first.
    pub errors: Vec<FieldError>,
}

pub fn evaluate(
    definition: &FormDefinition,
    raw: &RawAnswers,
    facts: &Facts,
    stage: Stage,
) -> Evaluation {
    let outline = definition.walk();
    let mut form = Resolver::new(&outline, raw, facts);
    let mut result = Evaluation { errors: form.misplaced(raw), ..Evaluation::default() };
    for (item, _) in &outline {
        if !form.is_enabled(&item.link_id) {
            continue;
        }
        result.enabled.insert(item.link_id.clone());
        if let ItemKind::Calculated { .. } = item.kind {
            if let Some(score) = form.score(item) {
                result.scores.insert(item.link_id.clone(), score);
            }
            continue;
        }
        match form.given.get(item.link_id.as_str()) {
            Some(Ok(Answer::Rows(_))) => {
                let rows = raw.get(&item.link_id).and_then(answer::raw_rows).unwrap_or_default();
                result.take_rows(item, &rows, facts, stage);
            }
            Some(Ok(_)) if form.overrides(item, raw) => result.errors.push(FieldError::new(
                format!("answers.{}", item.link_id),
                "read_only",
                "The form itself gives this answer.",
            )),
            Some(Ok(answer)) => result.take(item, answer, stage),
            Some(Err(wanted)) => result.errors.push(FieldError::new(
                format!("answers.{}", item.link_id),
                "wrong_type",
                format!("The answer has to be {wanted}."),
            )),
            None if form.overrides(item, raw) => result.errors.push(FieldError::new(
                format!("answers.{}", item.link_id),
                "read_only",
                "This question takes no answer from a client.",
            )),
            None if item.required && item.is_answerable() && stage == Stage::Final => {
                result.errors.push(FieldError::required(format!("answers.{}", item.link_id)));
            }
            None => {}
        }
    }
    if stage == Stage::Final {
        result.compare(definition);
    }
    result
}

impl Evaluation {
    /// Holds the answers against one another.
    fn compare(&mut self, definition: &FormDefinition) {
        for rule in &definition.rules {
            if let (Some(left), Some(right)) =
                (self.answers.get(&rule.left), self.answers.get(&rule.right))
                && !rule.holds(left, right)
            {
                self.errors.push(FieldError::new(
                    format!("answers.{}", rule.left),
                    "cross_field",
                    rule.message.clone(),
                ));
            }
        }
    }

    /// Evaluates every repetition of a group as a form of its own.
    fn take_rows(&mut self, item: &Item, rows: &[RawAnswers], facts: &Facts, stage: Stage) {
        let form = FormDefinition::of_row(item.row());
        let mut kept = Vec::with_capacity(rows.len());
        for (index, row) in rows.iter().take(MOST_ROWS).enumerate() {
            let row = evaluate(&form, row, facts, stage);
            self.errors.extend(row.errors.into_iter().map(|error| {
                let inner = error.path.strip_prefix("answers.").unwrap_or(&error.path);
                let path = format!("answers.{}[{index}].{inner}", item.link_id);
                FieldError { path, ..error }
            }));
            if row.answers.is_empty() {
                continue;
            }
            if !row.flags.is_empty() {
                self.flags.insert(item.link_id.clone());
            }
            self.consents.extend(row.consents);
            kept.push(row.answers);
        }
        if rows.len() > MOST_ROWS {
            self.errors.push(FieldError::new(
                format!("answers.{}", item.link_id),
                "too_many",
                format!("At most {MOST_ROWS} entries."),
            ));
        }
        self.take(item, &Answer::Rows(kept), stage);
    }

    fn take(&mut self, item: &Item, answer: &Answer, stage: Stage) {
        let chosen = |code: &String| match answer {
            Answer::Choice(choice) => choice == code,
            Answer::Choices(choices) => choices.contains(code),
            _ => false,
        };
        if item.options().iter().any(|option| option.flag && chosen(&option.code)) {
            self.flags.insert(item.link_id.clone());
        }
        if let ItemKind::Boolean { consent: Some(consent) } = &item.kind {
            if *answer == Answer::Boolean(true) {
                self.consents.insert(consent.clone());
            } else if item.required && stage == Stage::Final {
                self.errors.push(FieldError::new(
                    format!("answers.{}", item.link_id),
                    "consent_required",
                    "Without this consent the form cannot be submitted.",
                ));
            }
        }
        if stage == Stage::Final {
            self.errors.extend(answer::limits(&item.link_id, &item.kind, answer));
        }
        self.answers.insert(item.link_id.clone(), answer.clone());
    }
}

/// Whether any repetition keeps an answer, or has one that does not read.
fn rows_say_something(item: &Item, raw: &serde_json::Value, facts: &Facts) -> bool {
    let form = FormDefinition::of_row(item.row());
    answer::raw_rows(raw).unwrap_or_default().iter().take(MOST_ROWS).any(|row| {
        let row = evaluate(&form, row, facts, Stage::Draft);
        !row.answers.is_empty() || !row.errors.is_empty()
    })
}

/// Enablement, worked out on demand and remembered. Whether an item is enabled
/// depends on its parent and on the values of the items in its conditions, and
/// a value exists only while its own item is enabled: so what hangs on a
/// disabled item is disabled with it, however far down.
struct Resolver<'a> {
    items: HashMap<&'a str, (&'a Item, Option<&'a Item>)>,
    /// What the items made of the raw answers, disabled items included.
    given: HashMap<&'a str, Result<Answer, &'static str>>,
    facts: &'a Facts,
    /// `None` while it is being worked out: a published form has no cycles,
    /// and in any other form what depends on itself is disabled.
    enabled: HashMap<&'a str, Option<bool>>,
    /// The calculations that are being worked out.
    scoring: BTreeSet<String>,
}

impl<'a> Resolver<'a> {
    fn new(outline: &[(&'a Item, Option<&'a Item>)], raw: &RawAnswers, facts: &'a Facts) -> Self {
        let mut items = HashMap::new();
        let mut given = HashMap::new();
        let unseen = FormDefinition::unseen(outline);
        for (item, parent) in outline {
            let link_id = item.link_id.as_str();
            items.entry(link_id).or_insert((*item, *parent));
            let sent = raw.get(link_id).filter(|raw| !answer::is_blank(raw));
            // What nobody can answer is answered by the form.
            let said = match (item.read_only, unseen.contains(link_id)) {
                (true, _) => item.initial.as_ref(),
                (false, true) => sent.or(item.initial.as_ref()),
                (false, false) => sent,
            };
            if let Some(raw) = said
                && item.is_answerable()
            {
                let read = match answer::read(&item.kind, raw) {
                    // Repetitions of which nothing is left say nothing.
                    Ok(Answer::Rows(_)) if !rows_say_something(item, raw, facts) => continue,
                    read => read,
                };
                given.entry(link_id).or_insert(read);
            }
        }
        Self { items, given, facts, enabled: HashMap::new(), scoring: BTreeSet::new() }
    }

    /// Whether a client answers what the form itself does, and otherwise.
    fn overrides(&self, item: &Item, raw: &RawAnswers) -> bool {
        let given = raw.get(&item.link_id).filter(|raw| !answer::is_blank(raw));
        item.read_only
            && given.is_some_and(|given| {
                let given = answer::read(&item.kind, given);
                self.given.get(item.link_id.as_str()) != Some(&given)
            })
    }

    /// Answers to what the form does not ask.
    fn misplaced(&self, raw: &RawAnswers) -> Vec<FieldError> {
        raw.iter()
            .filter(|(_, value)| !answer::is_blank(value))
            .filter_map(|(link_id, _)| {
                let path = format!("answers.{link_id}");
                match self.items.get(link_id.as_str()) {
                    None => Some(FieldError::new(
                        path,
                        "unknown_field",
                        "The form has no such question.",
                    )),
                    Some((item, _)) if !item.is_answerable() => Some(FieldError::new(
                        path,
                        "not_answerable",
                        "This item of the form takes no answer.",
                    )),
                    Some(_) => None,
                }
            })
            .collect()
    }

    fn is_enabled(&mut self, link_id: &str) -> bool {
        let Some((&link_id, &(item, parent))) = self.items.get_key_value(link_id) else {
            return false;
        };
        if let Some(known) = self.enabled.get(link_id) {
            return known.unwrap_or(false);
        }
        self.enabled.insert(link_id, None);
        let enabled = parent.is_none_or(|parent| self.is_enabled(&parent.link_id))
            && item.enable_when.as_ref().is_none_or(|when| match when.behavior {
                Behavior::All => when.conditions.iter().all(|one| self.holds(one)),
                Behavior::Any => when.conditions.iter().any(|one| self.holds(one)),
            });
        self.enabled.insert(link_id, Some(enabled));
        enabled
    }

    fn holds(&mut self, condition: &Condition) -> bool {
        let answer = match &condition.subject {
            Subject::Fact(fact) => self.facts.get(*fact),
            Subject::Item(link_id) => self.value(link_id),
        };
        condition.holds(answer.as_ref())
    }

    /// The answer that counts for an item: none while the item is disabled.
    fn value(&mut self, link_id: &str) -> Option<Answer> {
        if !self.is_enabled(link_id) {
            return None;
        }
        let (item, _) = *self.items.get(link_id)?;
        if let ItemKind::Calculated { .. } = item.kind {
            return self.score(item).map(|score| Answer::Number(Quantity::bare(score.value)));
        }
        self.given.get(link_id)?.as_ref().ok().cloned()
    }

    fn score(&mut self, item: &Item) -> Option<Score> {
        let ItemKind::Calculated { calculation } = &item.kind else { return None };
        // What is computed from itself has no result.
        if !self.scoring.insert(item.link_id.clone()) {
            return None;
        }
        let inputs = self.inputs(calculation);
        self.scoring.remove(&item.link_id);
        calculation.score(&inputs?, self.facts)
    }

    fn inputs(&mut self, calculation: &Calculation) -> Option<Vec<(&'a Item, Answer)>> {
        let mut inputs = Vec::new();
        for link_id in calculation.inputs() {
            let value = self.value(link_id)?;
            let (input, _) = *self.items.get(link_id)?;
            inputs.push((input, value));
        }
        Some(inputs)
    }
}

#[cfg(test)]
mod properties;
#[cfg(test)]
mod tests;
