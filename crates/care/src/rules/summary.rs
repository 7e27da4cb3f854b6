//! What a category asks of patients, in the words of the rules that decide.

use std::collections::BTreeSet;

use kernel::{Actor, CategoryId, RxNorm, UsState};

use crate::{
    CareError, CareStore, Modality, Protocol, Severity,
    eligibility::{RuleSet, Scope},
    setting,
};

/// Something that decides about a request, as its author describes it.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Criterion {
    /// The rule's id; within a state its own rule of an id takes the place of
    /// the one for everybody.
    pub rule: String,
    pub description: String,
    /// What a patient reads for whom it holds.
    pub text: String,
    /// Where the patient is, for a rule of one state alone.
    pub state: Option<UsState>,
}

#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Requirements {
    /// Each of them rules the treatment out.
    pub excludes: Vec<Criterion>,
    /// For each of them a provider looks at the request.
    pub reviews: Vec<Criterion>,
    /// Where a request for which nothing of this holds may be approved without
    /// a provider; everywhere else one looks at each.
    pub automatic_in: BTreeSet<UsState>,
}

impl Requirements {
    /// From the sets in force, of which those for other drugs than the
    /// category's say nothing. Rules that only inform decide nothing.
    fn of(mut sets: Vec<RuleSet>, drug: Option<&RxNorm>) -> Self {
        sets.retain(|set| set.scope.drug.as_ref().is_none_or(|own| Some(own) == drug));
        // The wider set comes first, and the states in their order.
        sets.sort_by_key(|set| (set.scope.state, set.scope.rank()));
        let mut found = Self::default();
        for set in &sets {
            let Scope { state, .. } = set.scope;
            for rule in &set.rules {
                let into = match rule.severity {
                    Severity::Refuse => &mut found.excludes,
                    Severity::Review => &mut found.reviews,
                    Severity::Info => continue,
                };
                into.push(Criterion {
                    rule: rule.id.clone(),
                    description: rule.description.clone(),
                    text: rule.reason_text.clone(),
                    state,
                });
            }
        }
        found
    }
}

/// What the rules in force ask. They are told to everybody who thinks of
/// starting, so no permission is needed.
pub async fn requirements(
    store: &dyn CareStore,
    category: CategoryId,
) -> Result<Requirements, CareError> {
    let mut tx = store.begin(&Actor::system("care.requirements")).await?;
    let sets = tx.rule_sets_in_force(category).await?;
    let protocol: Option<Protocol> = setting::held(tx.as_mut(), &category).await?;
    let drug = protocol.map(|protocol| protocol.treatment.medication.rxnorm);
    let mut requirements = Requirements::of(sets, drug.as_ref());
    for (state, allowed) in tx.auto_approvals().await? {
        if Some(&allowed) == drug.as_ref()
            && setting::modality(tx.as_mut(), state).await? == Modality::Asynchronous
        {
            requirements.automatic_in.insert(state);
        }
    }
    Ok(requirements)
}

#[cfg(test)]
mod tests {
    use chrono::DateTime;
    use kernel::{RuleSetId, Uuid};

    use super::*;
    use crate::{Rule, eligibility::RuleSetContent};

    fn set(scope: Scope, rules: &[(&str, Severity)]) -> RuleSet {
        let rule = |(id, severity): &(&str, Severity)| Rule {
            id: (*id).to_owned(),
            description: format!("About {id}."),
            severity: *severity,
            expression: "true".into(),
            reason_code: (*id).to_owned(),
            reason_text: format!("Because of {id}."),
            urgent: false,
        };
        let content =
            RuleSetContent { rules: rules.iter().map(rule).collect(), note: None, based_on: None };
        let place = (CategoryId(Uuid::nil()), scope);
        RuleSet::draft(RuleSetId(Uuid::nil()), place, 1, content, DateTime::UNIX_EPOCH)
    }

    #[test]
    fn what_refuses_and_what_is_reviewed_stand_apart_in_the_rules_own_words() {
        let texas = Scope { state: Some(UsState::Tx), drug: None };
        let other_drug = Scope { state: None, drug: Some("200172".parse().unwrap()) };
        let sets = vec![
            set(texas, &[("over_60", Severity::Review)]),
            set(other_drug, &[("never_told", Severity::Refuse)]),
            set(
                Scope::default(),
                &[
                    ("under_age", Severity::Refuse),
                    ("over_65", Severity::Review),
                    ("noted", Severity::Info),
                ],
            ),
        ];
        let found = Requirements::of(sets.clone(), None);
        let ids = |criteria: &[Criterion]| -> Vec<(String, Option<UsState>)> {
            criteria.iter().map(|one| (one.rule.clone(), one.state)).collect()
        };
        assert_eq!(ids(&found.excludes), [("under_age".to_owned(), None)]);
        assert_eq!(
            ids(&found.reviews),
            [("over_65".to_owned(), None), ("over_60".to_owned(), Some(UsState::Tx))]
        );
        assert_eq!(found.excludes[0].description, "About under_age.");
        assert_eq!(found.excludes[0].text, "Because of under_age.");
        let drug = "200172".parse().unwrap();
        assert_eq!(Requirements::of(sets, Some(&drug)).excludes.len(), 2);
    }
}
