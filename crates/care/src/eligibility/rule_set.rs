//! Rule sets: rules as data, in versions. A category has one line of versions
//! for everybody, and may have further ones for a state, for a drug, or for a
//! drug in a state, which add to it.

use chrono::{DateTime, Utc};
use kernel::{
    CategoryId, FieldError, RuleSetId, RxNorm, TextKind as _, UsState, Word,
    text::{RuleDescription, RuleReason, RuleWord},
};
use ports::Aggregate;
use serde::{Deserialize, Serialize};

use super::{Rule, expression, limits::LONGEST};
use crate::CareError;

/// The most rules of one set; with the limits of an expression it bounds what
/// one decision can cost.
pub const MOST_RULES: usize = 200;

/// For whom a rule set holds within its category.
#[derive(Clone, Debug, Default, PartialEq, Eq, PartialOrd, Ord, Serialize, Deserialize)]
pub struct Scope {
    /// Where the patient is; every state without one.
    pub state: Option<UsState>,
    /// The drug of the category's protocol; every drug without one.
    pub drug: Option<RxNorm>,
}

impl Scope {
    pub fn covers(&self, state: UsState, drug: Option<&RxNorm>) -> bool {
        self.state.is_none_or(|own| own == state)
            && self.drug.as_ref().is_none_or(|own| Some(own) == drug)
    }

    /// How narrow it is: of two rules with one id the narrower one holds.
    pub fn rank(&self) -> u8 {
        u8::from(self.state.is_some()) + 2 * u8::from(self.drug.is_some())
    }
}

#[derive(Clone, Copy, Debug, PartialEq, Eq, Word)]
pub enum RuleSetStatus {
    Draft,
    /// It decides.
    Published,
    /// It decided once; publishing it again rolls back to it.
    Retired,
}

/// One version of the rules of a category and scope. Once it was published its
/// rules never change.
#[derive(Clone, Debug, PartialEq, Aggregate)]
#[aggregate("rule_set")]
pub struct RuleSet {
    pub id: RuleSetId,
    pub category: CategoryId,
    pub scope: Scope,
    /// Counts up from 1 within category and scope.
    pub number: i32,
    pub rules: Vec<Rule>,
    /// What this version is for, in the author's words.
    pub note: Option<String>,
    pub status: RuleSetStatus,
    /// The version that was in force when this one was drafted, or that its
    /// author has taken in since.
    pub based_on: Option<RuleSetId>,
    pub created_at: DateTime<Utc>,
    pub changed_at: DateTime<Utc>,
    /// When it last came into force.
    pub published_at: Option<DateTime<Utc>>,
    /// Counts the changes of the row.
    pub version: i64,
}

/// What an author writes.
#[derive(Clone, Debug, PartialEq)]
pub struct RuleSetContent {
    pub rules: Vec<Rule>,
    pub note: Option<String>,
    pub based_on: Option<RuleSetId>,
}

impl RuleSet {
    pub fn draft(
        id: RuleSetId,
        (category, scope): (CategoryId, Scope),
        number: i32,
        content: RuleSetContent,
        now: DateTime<Utc>,
    ) -> Self {
        Self {
            id,
            category,
            scope,
            number,
            rules: content.rules,
            note: content.note,
            status: RuleSetStatus::Draft,
            based_on: content.based_on,
            created_at: now,
            changed_at: now,
            published_at: None,
            version: 1,
        }
    }

    /// Gives a draft other content.
    pub fn revise(&mut self, content: RuleSetContent, now: DateTime<Utc>) -> Result<(), CareError> {
        if self.status != RuleSetStatus::Draft {
            return Err(CareError::RulesPublished);
        }
        (self.rules, self.note, self.based_on) = (content.rules, content.note, content.based_on);
        self.changed_at = now;
        Ok(())
    }

    /// Puts the set into force, and retires the one before it. A draft must know
    /// the version that it takes the place of; a retired version is published
    /// again to roll back, whatever came after it.
    pub fn publish(
        &mut self,
        current: Option<&mut Self>,
        now: DateTime<Utc>,
    ) -> Result<(), CareError> {
        match self.status {
            RuleSetStatus::Published => return Err(CareError::RulesInForce),
            RuleSetStatus::Draft => {
                Self::validate(&self.rules)?;
                if let Some(current) = current.as_ref().filter(|now| Some(now.id) != self.based_on)
                {
                    return Err(CareError::RulesSuperseded(current.number));
                }
            }
            RuleSetStatus::Retired => {}
        }
        if let Some(current) = current {
            (current.status, current.changed_at) = (RuleSetStatus::Retired, now);
        }
        self.status = RuleSetStatus::Published;
        (self.changed_at, self.published_at) = (now, Some(now));
        Ok(())
    }

    /// Every expression must parse and name only what there is, and every id
    /// be unique.
    pub fn validate(rules: &[Rule]) -> Result<(), CareError> {
        let errors = Self::faults(rules);
        if errors.is_empty() { Ok(()) } else { Err(CareError::Invalid(errors)) }
    }

    pub fn faults(rules: &[Rule]) -> Vec<FieldError> {
        let mut errors = Vec::new();
        if rules.is_empty() {
            errors.push(FieldError::required("rules"));
        }
        if rules.len() > MOST_RULES {
            let message = format!("A set has at most {MOST_RULES} rules.");
            errors.push(FieldError::new("rules", "too_many", message));
            return errors;
        }
        for (index, rule) in rules.iter().enumerate() {
            if rules[..index].iter().any(|other| other.id == rule.id) {
                errors.push(FieldError::new(
                    format!("rules[{index}].id"),
                    "not_unique",
                    "Every rule has an id of its own.",
                ));
            }
            let place = |field: &str| format!("rules[{index}].{field}");
            RuleWord::check(&mut errors, &place("id"), &rule.id);
            RuleWord::check(&mut errors, &place("reason_code"), &rule.reason_code);
            RuleDescription::check(&mut errors, &place("description"), &rule.description);
            RuleReason::check(&mut errors, &place("reason_text"), &rule.reason_text);
            let path = place("expression");
            if rule.expression.len() > LONGEST {
                let message = format!("At most {LONGEST} characters.");
                errors.push(FieldError::new(path, "too_long", message));
            } else if let Err(message) = expression::check(&rule.expression) {
                errors.push(FieldError::new(path, "invalid", message));
            }
        }
        errors
    }
}

/// The rules that decide in one place: the category's, with those of every
/// narrower scope that covers it. A narrower rule takes the place of a wider
/// one with the same id.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct RuleBook {
    pub(super) sets: Vec<RuleSetRef>,
    pub(super) rules: Vec<Rule>,
}

/// Which version decided.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct RuleSetRef {
    pub id: RuleSetId,
    pub version: i32,
    /// Of the whole category.
    #[serde(default)]
    pub general: bool,
}

impl RuleBook {
    pub fn compose(
        sets: impl IntoIterator<Item = RuleSet>,
        state: UsState,
        drug: Option<&RxNorm>,
    ) -> Self {
        Self::of(sets.into_iter().filter(|set| set.scope.covers(state, drug)).collect())
    }

    /// All of these together, wherever they hold.
    pub fn of(mut sets: Vec<RuleSet>) -> Self {
        sets.sort_by(|one, other| {
            one.scope.rank().cmp(&other.scope.rank()).then(one.id.cmp(&other.id))
        });
        let mut book = Self::default();
        for set in sets {
            book.sets.push(RuleSetRef {
                id: set.id,
                version: set.number,
                general: set.scope == Scope::default(),
            });
            for rule in set.rules {
                match book.rules.iter_mut().find(|known| known.id == rule.id) {
                    Some(wider) => *wider = rule,
                    None => book.rules.push(rule),
                }
            }
        }
        book
    }

    pub fn rules(&self) -> &[Rule] {
        &self.rules
    }
}

#[cfg(test)]
mod tests {
    use kernel::Uuid;

    use super::*;
    use crate::Severity;

    fn rule(id: &str, expression: &str) -> Rule {
        Rule {
            id: id.into(),
            description: id.into(),
            severity: Severity::Review,
            expression: expression.into(),
            reason_code: id.into(),
            reason_text: id.into(),
            urgent: false,
        }
    }

    fn set(number: u128, scope: Scope, rules: Vec<Rule>) -> RuleSet {
        RuleSet::draft(
            RuleSetId(Uuid::from_u128(number)),
            (CategoryId(Uuid::nil()), scope),
            i32::try_from(number).unwrap(),
            RuleSetContent { rules, note: None, based_on: None },
            DateTime::UNIX_EPOCH,
        )
    }

    #[test]
    fn narrower_scopes_add_and_take_the_place_of_what_has_their_id() {
        let drug: RxNorm = "200172".parse().unwrap();
        let texas = Scope { state: Some(UsState::Tx), drug: None };
        let there = Scope { state: None, drug: Some(drug.clone()) };
        let sets = [
            set(3, there, vec![rule("age", "patient.age > 70"), rule("dose", "false")]),
            set(1, Scope::default(), vec![rule("age", "patient.age > 65"), rule("sex", "true")]),
            set(2, texas, vec![rule("age", "patient.age > 60")]),
        ];
        let age = |state, drug: Option<&RxNorm>| {
            let book = RuleBook::compose(sets.clone(), state, drug);
            (book.rules()[0].expression.clone(), book.rules().len(), book.sets.len())
        };
        assert_eq!(age(UsState::Ma, None), ("patient.age > 65".into(), 2, 1));
        assert_eq!(age(UsState::Tx, None), ("patient.age > 60".into(), 2, 2));
        assert_eq!(age(UsState::Tx, Some(&drug)), ("patient.age > 70".into(), 3, 3));
    }

    #[test]
    fn a_draft_takes_the_place_of_the_version_it_knows_and_never_changes_again() {
        let now = DateTime::UNIX_EPOCH;
        let rules = || vec![rule("age", "patient.age > 65")];
        let mut first = set(1, Scope::default(), rules());
        first.publish(None, now).unwrap();
        let mut second = set(2, Scope::default(), rules());
        let stale = second.publish(Some(&mut first), now);
        assert!(matches!(stale, Err(CareError::RulesSuperseded(1))), "{stale:?}");
        let content = RuleSetContent { rules: rules(), note: None, based_on: Some(first.id) };
        second.revise(content.clone(), now).unwrap();
        second.publish(Some(&mut first), now).unwrap();
        assert_eq!(first.status, RuleSetStatus::Retired);
        assert!(matches!(second.revise(content, now), Err(CareError::RulesPublished)));
        first.publish(Some(&mut second), now).unwrap();
        assert_eq!(first.status, RuleSetStatus::Published);
        assert_eq!(second.status, RuleSetStatus::Retired);
        assert!(matches!(first.publish(None, now), Err(CareError::RulesInForce)));
    }

    #[test]
    fn a_set_with_a_repeated_id_or_too_long_a_rule_is_refused() {
        let long = "true || ".repeat(300) + "true";
        let faults = RuleSet::faults(&[rule("a", "true"), rule("a", "true"), rule("b", &long)]);
        let codes: Vec<_> = faults.iter().map(|fault| fault.code.as_str()).collect();
        assert_eq!(codes, ["not_unique", "too_long"]);
    }

    #[test]
    fn a_scope_covers_what_it_names_and_a_drug_is_narrower_than_a_state() {
        let [drug, other]: [RxNorm; 2] = ["200172", "312941"].map(|code| code.parse().unwrap());
        let (texas, there) = (Some(UsState::Tx), Some(drug.clone()));
        for (state, of, rank, covered) in [
            (None, None, 0, [true, true, true, true]),
            (texas, None, 1, [true, true, false, true]),
            (None, there.clone(), 2, [true, false, true, false]),
            (texas, there, 3, [true, false, false, false]),
        ] {
            let scope = Scope { state, drug: of };
            assert_eq!(scope.rank(), rank, "{scope:?}");
            let covers = [
                (UsState::Tx, Some(&drug)),
                (UsState::Tx, Some(&other)),
                (UsState::Ma, Some(&drug)),
                (UsState::Tx, None),
            ]
            .map(|(state, drug)| scope.covers(state, drug));
            assert_eq!(covers, covered, "{scope:?}");
        }
        let texas = Scope { state: texas, drug: None };
        let sets = vec![
            set(1, texas, vec![rule("age", "true")]),
            set(2, Scope::default(), vec![rule("age", "false")]),
        ];
        let book = RuleBook::of(sets);
        let general: Vec<bool> = book.sets.iter().map(|set| set.general).collect();
        assert_eq!(general, [true, false]);
        assert_eq!(book.rules()[0].expression, "true", "the narrower one, whichever came first");
    }

    #[test]
    fn a_revision_takes_what_the_author_wrote() {
        let later = DateTime::UNIX_EPOCH + chrono::Duration::days(1);
        let content = RuleSetContent {
            rules: vec![rule("age", "patient.age > 70")],
            note: Some("Why.".into()),
            based_on: Some(RuleSetId(Uuid::from_u128(7))),
        };
        let first = set(1, Scope::default(), vec![rule("age", "patient.age > 65")]);
        let mut revised = first.clone();
        revised.revise(content.clone(), later).unwrap();
        let expected = RuleSet {
            rules: content.rules,
            note: content.note,
            based_on: content.based_on,
            changed_at: later,
            ..first
        };
        assert_eq!(revised, expected);
    }

    #[test]
    fn publishing_puts_one_version_in_force_and_the_other_out_of_it() {
        let later = DateTime::UNIX_EPOCH + chrono::Duration::days(1);
        let rules = vec![rule("age", "patient.age > 65")];
        let first = set(1, Scope::default(), rules.clone());
        let next = RuleSet { based_on: Some(first.id), ..set(2, Scope::default(), rules) };
        let current = RuleSet { status: RuleSetStatus::Published, ..first };
        let (mut published, mut retired) = (next.clone(), current.clone());
        published.publish(Some(&mut retired), later).unwrap();
        let expected = RuleSet {
            status: RuleSetStatus::Published,
            changed_at: later,
            published_at: Some(later),
            ..next
        };
        assert_eq!(published, expected);
        let expected = RuleSet { status: RuleSetStatus::Retired, changed_at: later, ..current };
        assert_eq!(retired, expected);
    }

    #[test]
    fn a_draft_with_a_fault_is_not_published() {
        let mut broken = set(1, Scope::default(), vec![rule("age", "patient.age >")]);
        let refused = broken.publish(None, DateTime::UNIX_EPOCH);
        assert!(matches!(refused, Err(CareError::Invalid(_))));
    }

    #[test]
    fn a_set_has_so_many_rules_of_such_a_length_each_with_an_id() {
        let many = |count: usize| -> Vec<Rule> {
            (0..count).map(|number| rule(&format!("r{number}"), "true")).collect()
        };
        let padded = |length: usize| vec![rule("a", &format!("{:length$}", "true"))];
        for (rules, expected) in [
            (many(0), Some("required")),
            (many(1), None),
            (many(MOST_RULES), None),
            (many(MOST_RULES + 1), Some("too_many")),
            (padded(LONGEST), None),
            (padded(LONGEST + 1), Some("too_long")),
            (vec![rule("a", "true"), rule("a", "true")], Some("not_unique")),
            (vec![Rule { id: String::new(), ..rule("a", "true") }], Some("required")),
            (vec![rule("a", "pateint.age > 3")], Some("invalid")),
        ] {
            let codes: Vec<_> = RuleSet::faults(&rules).into_iter().map(|f| f.code).collect();
            assert_eq!(codes, Vec::from_iter(expected));
            assert_eq!(RuleSet::validate(&rules).is_ok(), expected.is_none());
        }
    }
}
