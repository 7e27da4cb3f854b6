//! Plans side by side.

use kernel::{Feature, FieldError};

use crate::{CatalogError, Plan};

/// What each plan says to one question, in the order of the plans; `None`
/// where a plan says nothing.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct ComparedRow {
    pub label: String,
    pub values: Vec<Option<String>>,
}

/// Which of the plans have one feature, in the order of the plans.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct ComparedFeature {
    /// By its code, in the words of the first plan that names it.
    pub feature: Feature,
    pub has: Vec<bool>,
}

#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Comparison {
    /// In the order that was asked for.
    pub plans: Vec<Plan>,
    pub rows: Vec<ComparedRow>,
    pub features: Vec<ComparedFeature>,
}

impl Comparison {
    /// How many plans are looked at side by side.
    pub const MOST: usize = 6;

    /// Compares plans of one category. Rows and features stand in the order in
    /// which the plans name them first.
    pub fn of(plans: Vec<Plan>) -> Result<Self, CatalogError> {
        let wrong = |code: &str, message: &str| {
            CatalogError::Invalid(vec![FieldError::new("plan_id", code, message)])
        };
        if !(2..=Self::MOST).contains(&plans.len()) {
            return Err(wrong("length", "Two to six plans are compared."));
        }
        let twice = |(at, plan): (usize, &Plan)| plans[..at].iter().any(|own| own.id == plan.id);
        if plans.iter().enumerate().any(twice) {
            return Err(wrong("duplicate", "Each plan is named once."));
        }
        if plans.windows(2).any(|pair| pair[0].category != pair[1].category) {
            return Err(wrong("other_category", "The plans compared are of one category."));
        }
        let mut labels: Vec<&str> = Vec::new();
        let mut named: Vec<&Feature> = Vec::new();
        for plan in &plans {
            for (label, _) in &plan.comparison {
                if !labels.contains(&label.as_str()) {
                    labels.push(label);
                }
            }
            for feature in &plan.features {
                if !named.iter().any(|known| known.code == feature.code) {
                    named.push(feature);
                }
            }
        }
        let said = |plan: &Plan, label: &str| {
            plan.comparison.iter().find(|(own, _)| own == label).map(|(_, value)| value.clone())
        };
        let rows = labels
            .iter()
            .map(|label| ComparedRow {
                label: (*label).to_owned(),
                values: plans.iter().map(|plan| said(plan, label)).collect(),
            })
            .collect();
        let features = named
            .iter()
            .map(|feature| ComparedFeature {
                feature: (*feature).clone(),
                has: plans
                    .iter()
                    .map(|plan| Feature::is_among(&plan.features, &feature.code))
                    .collect(),
            })
            .collect();
        Ok(Self { rows, features, plans })
    }
}

#[cfg(test)]
mod tests {
    use kernel::{CategoryId, PlanId, Uuid};

    use super::*;
    use crate::{ActivationWindow, Tier};

    fn plan(number: u128, features: &[&str], comparison: &[(&str, &str)]) -> Plan {
        Plan {
            id: PlanId(Uuid::from_u128(number)),
            category: CategoryId(Uuid::nil()),
            name: format!("Plan {number}"),
            description: "Tablets.".into(),
            tier: Tier::Basic,
            features: features
                .iter()
                .map(|label| Feature::new(&label.to_lowercase(), *label).unwrap())
                .collect(),
            treatments: vec![],
            comparison: comparison
                .iter()
                .map(|(label, value)| ((*label).to_owned(), (*value).to_owned()))
                .collect(),
            window: ActivationWindow::default(),
            active: true,
            prices: vec![],
            version: 1,
        }
    }

    #[test]
    fn every_row_and_feature_stands_once_with_a_word_of_each_plan() {
        let one = plan(1, &["Shipping"], &[("Visits", "None"), ("Dose", "1 mg")]);
        let two = plan(2, &["Visits", "Shipping"], &[("Visits", "Unlimited")]);
        let compared = Comparison::of(vec![one, two]).unwrap();
        let rows: Vec<_> = compared
            .rows
            .iter()
            .map(|row| (row.label.as_str(), row.values.iter().map(Option::as_deref).collect()))
            .collect();
        let expected: Vec<(&str, Vec<Option<&str>>)> = vec![
            ("Visits", vec![Some("None"), Some("Unlimited")]),
            ("Dose", vec![Some("1 mg"), None]),
        ];
        assert_eq!(rows, expected);
        let features: Vec<_> = compared
            .features
            .iter()
            .map(|row| (row.feature.code.as_str(), row.has.clone()))
            .collect();
        assert_eq!(features, [("shipping", vec![true, true]), ("visits", vec![false, true])]);
    }

    #[test]
    fn features_are_compared_by_code_whatever_they_are_called() {
        let one = plan(1, &["Shipping"], &[]);
        let mut two = plan(2, &["Shipping"], &[]);
        two.features[0].label = "We ship for nothing".into();
        let compared = Comparison::of(vec![one, two]).unwrap();
        let [only] = compared.features.as_slice() else { panic!("{:?}", compared.features) };
        assert_eq!((only.feature.label.as_str(), &only.has), ("Shipping", &vec![true, true]));
    }

    #[test]
    fn one_plan_or_plans_of_two_categories_are_not_compared() {
        assert!(Comparison::of(vec![plan(1, &[], &[])]).is_err());
        let mut other = plan(2, &[], &[]);
        other.category = CategoryId(Uuid::from_u128(9));
        assert!(Comparison::of(vec![plan(1, &[], &[]), other]).is_err());
    }

    #[test]
    fn a_plan_is_not_compared_with_itself() {
        let (one, two) = (plan(1, &[], &[]), plan(2, &[], &[]));
        let Err(CatalogError::Invalid(fields)) = Comparison::of(vec![one.clone(), two, one]) else {
            panic!("it was taken");
        };
        assert_eq!((fields[0].path.as_str(), fields[0].code.as_str()), ("plan_id", "duplicate"));
    }
}
