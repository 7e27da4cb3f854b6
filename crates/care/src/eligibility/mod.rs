//! Eligibility: a pure decision over a versioned set of rules, with a trace
//! from which it can be replayed.
//!
//! A rule is a CEL expression that is true when the rule *fires*. A refuse
//! rule that fires refuses; a review rule that fires, or any rule that cannot
//! be evaluated, sends the assessment to a provider. Nothing is approved
//! automatically unless no such rule fired and every gate is open.

mod expression;
mod limits;
mod rule_set;
mod typing;

use std::collections::BTreeMap;

use chrono::{DateTime, NaiveDate, Utc};
use kernel::{Age, Coding, ProviderId, RuleSetId, Sex, UsState, Word};
use serde::{Deserialize, Serialize};
use serde_json::Value;

pub use self::{
    rule_set::{RuleBook, RuleSet, RuleSetContent, RuleSetRef, RuleSetStatus, Scope},
    typing::{AnswerKind, FormSchema, misfits, reads},
};
use crate::{ClinicalFacts, Priority, SubmittedResponse};

/// What a rule does when it fires.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize, Word)]
#[word("SeverityWord")]
#[serde(rename_all = "snake_case")]
pub enum Severity {
    Refuse,
    Review,
    /// Told to the provider; it decides nothing.
    Info,
}

#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct Rule {
    /// Unique in its set, as in `nitrates`.
    pub id: String,
    pub description: String,
    pub severity: Severity,
    /// CEL over `answers`, `scores`, `patient` {age, sex, state},
    /// `medications` and `allergies` (lists of {system, code, display}, the
    /// display in lower case).
    pub expression: String,
    /// A stable word for the reason, as in `contraindicated_nitrates`.
    pub reason_code: String,
    /// The reason in words that the patient may read.
    pub reason_text: String,
    /// A patient for whom it fires is seen first, and a task is raised.
    #[serde(default)]
    pub urgent: bool,
}

#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct PatientInputs {
    /// Whole years when the form was submitted.
    pub age: u32,
    pub sex: Sex,
    pub state: UsState,
    /// The day on which the age was counted; decisions of before it was kept
    /// have none.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub age_counted_on: Option<NaiveDate>,
}

/// Everything that a decision looks at. The trace keeps it whole.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct Inputs {
    pub answers: BTreeMap<String, Value>,
    pub scores: BTreeMap<String, f64>,
    pub patient: PatientInputs,
    pub medications: Vec<Coding>,
    pub allergies: Vec<Coding>,
}

impl Inputs {
    /// The age is counted at the moment of the submission, as the form itself
    /// has counted it, however long the decision takes.
    pub fn new(response: &SubmittedResponse, facts: &ClinicalFacts) -> Self {
        let age = facts.age(response.submitted_at);
        Self {
            answers: response.answers.clone(),
            scores: response.scores.clone(),
            patient: PatientInputs {
                age: age.years,
                sex: facts.sex,
                state: facts.state,
                age_counted_on: Some(age.on),
            },
            medications: facts.medications.clone(),
            allergies: facts.allergies.clone(),
        }
    }
}

impl PatientInputs {
    /// Whether somebody of this sex and birth date can have been decided for: of
    /// the sex of then, and of the age on that day.
    pub fn is_of(&self, sex: Sex, birth_date: NaiveDate, decided_at: DateTime<Utc>) -> bool {
        let that_day = self
            .age_counted_on
            .unwrap_or_else(|| decided_at.with_timezone(&self.state.zone()).date_naive());
        self.sex == sex && self.age == Age::on(birth_date, that_day).years
    }
}

/// What must hold besides the rules before anything is approved without a
/// provider's own look.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Gates {
    /// The category has a protocol, and its drug is on the allowlist of the
    /// patient's state.
    pub allowlisted: bool,
    /// State and category let an asynchronous questionnaire establish the
    /// relation.
    pub asynchronous: bool,
    /// A licensed provider answers for automatic approvals in the state.
    pub supervising_provider: Option<ProviderId>,
    /// The patient has an active plan of this kind, so that another one would
    /// be a second supply of the same medicine.
    #[serde(default)]
    pub under_treatment: bool,
    /// The patient has answered for medications and allergies, so that what the
    /// rules read of them is the whole of it. Decisions of before it was asked
    /// are replayed as they were made.
    #[serde(default = "answered")]
    pub record_answered: bool,
    /// Sex and age are those of the patient's earlier decisions, as far as the
    /// time in between lets them be.
    #[serde(default = "answered")]
    pub profile_unchanged: bool,
    /// No other request of the patient in the category waits for a provider, and
    /// none was submitted after this one: an answer is not changed until it
    /// passes.
    #[serde(default = "answered")]
    pub only_request: bool,
    /// No earlier request in the category was refused or rejected, and no plan
    /// of it taken back: what was said no to passes with a provider's own look.
    #[serde(default = "answered")]
    pub never_refused: bool,
    /// The patient is of the age for which the category is offered.
    #[serde(default = "answered")]
    pub of_age: bool,
}

fn answered() -> bool {
    true
}

#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(tag = "result", rename_all = "snake_case")]
pub enum RuleResult {
    Fired,
    NotFired,
    /// It could not be evaluated, which is never the same as passed.
    Errored {
        message: String,
    },
}

/// What became of a rule, in a word.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Word)]
pub enum RuleResultWord {
    Fired,
    NotFired,
    /// It could not be evaluated, which counts as a reason for review.
    Errored,
}

impl RuleResult {
    pub fn word(&self) -> RuleResultWord {
        match self {
            Self::Fired => RuleResultWord::Fired,
            Self::NotFired => RuleResultWord::NotFired,
            Self::Errored { .. } => RuleResultWord::Errored,
        }
    }

    /// Why it could not be evaluated.
    pub fn error(&self) -> Option<&str> {
        match self {
            Self::Errored { message } => Some(message),
            _ => None,
        }
    }
}

#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct TracedRule {
    #[serde(flatten)]
    pub rule: Rule,
    /// The values that the expression names; what is missing is null.
    pub inputs: BTreeMap<String, Value>,
    #[serde(flatten)]
    pub result: RuleResult,
}

/// A decision with all that it rests on, so that it can be replayed.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct Trace {
    /// The version of the category's own rules.
    pub rule_set: Option<RuleSetId>,
    pub rule_set_version: i32,
    /// The versions of narrower scopes that were added to it.
    #[serde(default)]
    pub further: Vec<RuleSetRef>,
    pub inputs: Inputs,
    pub gates: Gates,
    pub rules: Vec<TracedRule>,
}

impl Trace {
    /// Decides once more from what is stored.
    pub fn replay(&self) -> (Decision, Self) {
        self.book().decide(self.inputs.clone(), self.gates.clone())
    }

    /// The rules as they stood when it was decided.
    pub fn book(&self) -> RuleBook {
        RuleBook {
            sets: self.sets(),
            rules: self.rules.iter().map(|traced| traced.rule.clone()).collect(),
        }
    }

    /// Every version that decided.
    pub fn sets(&self) -> Vec<RuleSetRef> {
        let general = self.rule_set.map(|id| RuleSetRef {
            id,
            version: self.rule_set_version,
            general: true,
        });
        general.into_iter().chain(self.further.iter().cloned()).collect()
    }

    /// The rules that fired.
    pub fn fired(&self) -> impl Iterator<Item = &Rule> {
        self.rules
            .iter()
            .filter(|traced| traced.result == RuleResult::Fired)
            .map(|traced| &traced.rule)
    }
}

/// Why it was decided so, in a stable word and in words for the patient.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Reason {
    pub code: String,
    pub text: String,
}

impl Reason {
    fn new(code: &str, text: &str) -> Self {
        Self { code: code.to_owned(), text: text.to_owned() }
    }
}

#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Outcome {
    Refused,
    InReview,
    AutoApproved { supervising_provider: ProviderId },
}

#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Decision {
    pub outcome: Outcome,
    pub reasons: Vec<Reason>,
    pub priority: Priority,
}

/// Decides by rules of one version.
pub fn decide(
    version: Option<(RuleSetId, i32)>,
    rules: &[Rule],
    inputs: Inputs,
    gates: Gates,
) -> (Decision, Trace) {
    let sets = version.map(|(id, version)| RuleSetRef { id, version, general: true });
    let book = RuleBook { sets: sets.into_iter().collect(), rules: rules.to_vec() };
    book.decide(inputs, gates)
}

impl RuleBook {
    /// Decides. It is pure: the same rules, inputs and gates give the same
    /// decision and the same trace.
    pub fn decide(&self, inputs: Inputs, gates: Gates) -> (Decision, Trace) {
        let evaluator = expression::Evaluator::new(&inputs);
        let traced: Vec<TracedRule> = self
            .rules
            .iter()
            .map(|rule| {
                let compiled = expression::compiled(&rule.expression);
                TracedRule {
                    inputs: evaluator.named_inputs(&compiled),
                    result: evaluator.evaluate(&compiled),
                    rule: rule.clone(),
                }
            })
            .collect();
        let decision = conclude(&traced, &gates);
        let general = self.sets.iter().find(|set| set.general);
        let trace = Trace {
            rule_set: general.map(|set| set.id),
            rule_set_version: general.map_or(0, |set| set.version),
            further: self.sets.iter().filter(|set| !set.general).cloned().collect(),
            inputs,
            gates,
            rules: traced,
        };
        (decision, trace)
    }
}

fn conclude(rules: &[TracedRule], gates: &Gates) -> Decision {
    let fired = |severity: Severity| {
        rules.iter().filter(move |traced| {
            traced.rule.severity == severity && traced.result == RuleResult::Fired
        })
    };
    let reason = |traced: &TracedRule| Reason {
        code: traced.rule.reason_code.clone(),
        text: traced.rule.reason_text.clone(),
    };
    let urgent =
        rules.iter().any(|traced| traced.rule.urgent && traced.result == RuleResult::Fired);
    let priority = if urgent { Priority::Urgent } else { Priority::Routine };

    let mut refusals: Vec<Reason> = fired(Severity::Refuse).map(reason).collect();
    if !gates.of_age {
        refusals
            .push(Reason::new("outside_age_range", "This treatment is for people of another age."));
    }
    if !refusals.is_empty() {
        return Decision { outcome: Outcome::Refused, reasons: refusals, priority };
    }

    let mut reasons: Vec<Reason> = fired(Severity::Review).map(reason).collect();
    let errored = rules.iter().any(|traced| matches!(traced.result, RuleResult::Errored { .. }));
    if errored {
        reasons.push(Reason::new(
            "could_not_be_checked",
            "A part of your answers could not be checked automatically, so a provider looks at it.",
        ));
    }
    if rules.is_empty() {
        reasons.push(Reason::new("no_rules", "A provider looks at every request of this kind."));
    }
    if urgent && reasons.is_empty() {
        // Urgency alone asks for a person, whatever the rule's severity says.
        reasons
            .push(Reason::new("urgent", "A provider looks at your answers as soon as possible."));
    }
    if gates.under_treatment {
        reasons.push(Reason::new(
            "already_under_treatment",
            "You already have an active treatment of this kind, so a provider looks at your request.",
        ));
    }
    if !gates.record_answered {
        reasons.push(Reason::new(
            "record_unanswered",
            "You have not said which medications you take and what you are allergic to, so a provider asks.",
        ));
    }
    if !gates.profile_unchanged {
        reasons.push(Reason::new(
            "profile_changed",
            "Your sex or birth date is not what it was at an earlier request, so a provider asks.",
        ));
    }
    if !gates.only_request {
        reasons.push(Reason::new(
            "another_request",
            "You have another request of this kind, so a provider looks at them.",
        ));
    }
    if !gates.never_refused {
        reasons.push(Reason::new(
            "refused_before",
            "An earlier request or treatment of this kind was ended for a medical reason, so a provider looks at this one.",
        ));
    }
    if !gates.allowlisted {
        reasons.push(Reason::new(
            "provider_review_required",
            "A provider reviews every request for this treatment in your state.",
        ));
    } else if !gates.asynchronous {
        reasons.push(Reason::new(
            "visit_required",
            "A visit with a provider is needed before this treatment.",
        ));
    }
    match gates.supervising_provider {
        Some(supervising_provider) if reasons.is_empty() => {
            Decision { outcome: Outcome::AutoApproved { supervising_provider }, reasons, priority }
        }
        Some(_) => Decision { outcome: Outcome::InReview, reasons, priority },
        None => {
            if reasons.is_empty() {
                reasons.push(Reason::new(
                    "no_supervising_provider",
                    "A provider licensed in your state reviews your request.",
                ));
            }
            Decision { outcome: Outcome::InReview, reasons, priority }
        }
    }
}

#[cfg(test)]
mod tests;
