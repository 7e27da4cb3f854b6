//! The curated interactions that ship with Salus, behind the provider port.
//!
//! They are facts out of the published ONC high-priority list (Phansalkar et
//! al., J Am Med Inform Assoc 2012;19:735) and of labels, each line with its
//! source. A set of this size knows the gravest interactions and no more, and
//! a commercial provider can take its place.

use std::sync::OnceLock;

use async_trait::async_trait;
use kernel::RxNorm;

use super::{Formulary, Ingredient, Interaction, InteractionProvider, Severity};

/// One line: every ingredient of one side with every one of the other.
struct Rule {
    first: Side,
    second: Side,
    severity: Severity,
    summary: &'static str,
    source: &'static str,
}

pub(crate) enum Side {
    Ingredient(RxNorm),
    Class(&'static str),
}

impl Side {
    pub(crate) fn parse(text: &'static str) -> Option<Self> {
        match text.split_once(':')? {
            ("class", class) => Some(Self::Class(class)),
            ("ingredient", code) => code.parse().ok().map(Self::Ingredient),
            _ => None,
        }
    }

    pub(crate) fn holds(&self, ingredient: &Ingredient) -> bool {
        match self {
            Self::Ingredient(code) => ingredient.code == *code,
            Self::Class(class) => ingredient.classes.contains(*class),
        }
    }
}

const TABLE: &str = include_str!("../../data/interactions.psv");

fn lines() -> impl Iterator<Item = &'static str> {
    TABLE.lines().filter(|line| !line.trim().is_empty() && !line.starts_with('#'))
}

fn parse(line: &'static str) -> Option<Rule> {
    let fields: Vec<&'static str> = line.split('|').map(str::trim).collect();
    let [first, second, severity, summary, source] = fields[..] else { return None };
    Some(Rule {
        first: Side::parse(first)?,
        second: Side::parse(second)?,
        severity: severity.parse().ok()?,
        summary,
        source,
    })
}

/// What an answer says against a drug.
pub(crate) struct Condition {
    /// The link id of the question.
    pub answer: &'static str,
    pub drugs: Side,
    pub severity: Severity,
    pub summary: &'static str,
    pub source: &'static str,
}

const CONDITIONS: &str = include_str!("../../data/conditions.psv");

pub(crate) fn conditions() -> &'static [Condition] {
    static READ: OnceLock<Vec<Condition>> = OnceLock::new();
    READ.get_or_init(|| {
        let lines = CONDITIONS.lines().filter(|line| !line.is_empty() && !line.starts_with('#'));
        lines
            .filter_map(|line| {
                let fields: Vec<&'static str> = line.split('|').map(str::trim).collect();
                let [answer, drugs, severity, summary, source] = fields[..] else { return None };
                let (drugs, severity) = (Side::parse(drugs)?, severity.parse().ok()?);
                Some(Condition { answer, drugs, severity, summary, source })
            })
            .collect()
    })
}

fn rules() -> &'static [Rule] {
    static RULES: OnceLock<Vec<Rule>> = OnceLock::new();
    RULES.get_or_init(|| lines().filter_map(parse).collect())
}

/// The shipped set.
#[derive(Clone, Copy, Debug, Default)]
pub struct CuratedInteractions;

#[async_trait]
impl InteractionProvider for CuratedInteractions {
    async fn interactions(
        &self,
        proposed: &[RxNorm],
        taken: &[RxNorm],
    ) -> ports::Result<Vec<Interaction>> {
        let formulary = Formulary::shipped();
        let known = |codes: &[RxNorm]| -> Vec<&Ingredient> {
            codes.iter().filter_map(|code| formulary.ingredient(code)).collect()
        };
        let mut found: Vec<Interaction> = Vec::new();
        for new in known(proposed) {
            for old in known(taken) {
                if new.code == old.code {
                    continue;
                }
                // Of several rules for one pair the first of the gravest counts.
                let gravest = rules()
                    .iter()
                    .filter(|rule| {
                        (rule.first.holds(new) && rule.second.holds(old))
                            || (rule.first.holds(old) && rule.second.holds(new))
                    })
                    .min_by_key(|rule| match rule.severity {
                        Severity::High => 0,
                        Severity::Undefined => 1,
                        Severity::Moderate => 2,
                        Severity::Low => 3,
                    });
                if let Some(rule) = gravest {
                    found.push(Interaction {
                        first: new.code.clone(),
                        second: old.code.clone(),
                        severity: rule.severity,
                        summary: format!("{} with {}: {}", new.name, old.name, rule.summary),
                        source: rule.source.to_owned(),
                    });
                }
            }
        }
        Ok(found)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_line_is_a_rule_that_can_apply() {
        assert_eq!(rules().len(), lines().count());
        let formulary = Formulary::shipped();
        for rule in rules() {
            for side in [&rule.first, &rule.second] {
                assert!(formulary.any(|one| side.holds(one)), "{}", rule.summary);
            }
            assert!(!rule.source.is_empty());
        }
        let listed = CONDITIONS.lines().filter(|line| !line.is_empty() && !line.starts_with('#'));
        assert_eq!(conditions().len(), listed.count());
        for condition in conditions() {
            assert!(formulary.any(|one| condition.drugs.holds(one)), "{}", condition.summary);
            assert!(!condition.answer.is_empty() && !condition.source.is_empty());
        }
    }
}
