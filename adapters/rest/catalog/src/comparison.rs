use catalog::Comparison;
use poem_openapi::Object;

use super::CatalogPlanView;

/// What the plans say to one question.
#[derive(Debug, Object)]
pub struct ComparedRow {
    label: String,
    /// In the order of the plans; null where one says nothing.
    values: Vec<Option<String>>,
}

/// Which plans have a feature.
#[derive(Debug, Object)]
pub struct ComparedFeature {
    /// What programs ask for.
    code: String,
    /// In the words of the first plan that has it.
    feature: String,
    /// In the order of the plans.
    has: Vec<bool>,
}

/// Plans side by side.
#[derive(Debug, Object)]
#[oai(rename = "PlanComparison")]
pub struct ComparisonView {
    plans: Vec<CatalogPlanView>,
    rows: Vec<ComparedRow>,
    features: Vec<ComparedFeature>,
}

impl From<Comparison> for ComparisonView {
    fn from(compared: Comparison) -> Self {
        let Comparison { plans, rows, features } = compared;
        Self {
            plans: plans.into_iter().map(CatalogPlanView::offered).collect(),
            rows: rows
                .into_iter()
                .map(|row| ComparedRow { label: row.label, values: row.values })
                .collect(),
            features: features
                .into_iter()
                .map(|row| ComparedFeature {
                    code: row.feature.code.into(),
                    feature: row.feature.label,
                    has: row.has,
                })
                .collect(),
        }
    }
}
