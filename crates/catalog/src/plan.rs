//! A plan: what a subscriber of a category gets, and at which prices.

use chrono::{DateTime, Utc};
use kernel::{
    CategoryId, CoveredTreatment, Currency, Feature, FieldError, PlanId, PriceId, TextKind as _,
    Word,
    text::{CatalogDescription, CatalogName, FeatureLabel, RowLabel, RowValue},
};
use ports::Aggregate;

use crate::{CatalogError, Price, PriceSpec};

/// The place of a plan among its category's plans.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Word)]
#[word("PlanTier")]
pub enum Tier {
    Basic,
    Standard,
    Premium,
}

/// When a plan is offered; an open end has no limit.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct ActivationWindow {
    pub from: Option<DateTime<Utc>>,
    /// The first moment at which it is no longer offered.
    pub until: Option<DateTime<Utc>>,
}

impl ActivationWindow {
    pub fn contains(&self, at: DateTime<Utc>) -> bool {
        self.from.is_none_or(|from| from <= at) && self.until.is_none_or(|until| at < until)
    }
}

#[derive(Clone, Debug, PartialEq, Eq, Aggregate)]
#[aggregate("plan")]
pub struct Plan {
    pub id: PlanId,
    pub category: CategoryId,
    pub name: String,
    pub description: String,
    pub tier: Tier,
    /// What the subscriber gets; each code stands once.
    pub features: Vec<Feature>,
    /// The treatments that it pays for. One that names none is sold to nobody.
    pub treatments: Vec<CoveredTreatment>,
    /// Rows of the comparison table: a label and what this plan says to it.
    pub comparison: Vec<(String, String)>,
    pub window: ActivationWindow,
    pub active: bool,
    /// Every price that was ever offered, the retired ones included.
    pub prices: Vec<Price>,
    pub version: i64,
}

/// What an administrator says of a plan.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct PlanSpec {
    pub category: CategoryId,
    pub name: String,
    pub description: String,
    pub tier: Tier,
    pub features: Vec<Feature>,
    pub treatments: Vec<CoveredTreatment>,
    pub comparison: Vec<(String, String)>,
    pub window: ActivationWindow,
    pub active: bool,
    pub prices: Vec<PriceSpec>,
}

impl Plan {
    pub const MOST_MINOR: i64 = 10_000_000;

    /// `price_id` makes the id of each new price.
    pub fn create(
        id: PlanId,
        spec: PlanSpec,
        mut price_id: impl FnMut(&PriceSpec) -> PriceId,
    ) -> Result<Self, CatalogError> {
        check(&spec)?;
        let prices = spec.prices.iter().map(|price| offer(price_id(price), price)).collect();
        Ok(Self {
            id,
            category: spec.category,
            name: spec.name,
            description: spec.description,
            tier: spec.tier,
            features: spec.features,
            treatments: spec.treatments,
            comparison: spec.comparison,
            window: spec.window,
            active: spec.active,
            prices,
            version: 1,
        })
    }

    /// Replaces what is said of the plan. A price that is no longer named, or
    /// is named with another amount, is retired and stays readable; a new
    /// amount becomes a new price. A plan does not move to another category,
    /// because subscriptions to it are bound to the one it has.
    pub fn revise(
        &mut self,
        spec: PlanSpec,
        mut price_id: impl FnMut(&PriceSpec) -> PriceId,
    ) -> Result<(), CatalogError> {
        if spec.category != self.category {
            return Err(CatalogError::Invalid(vec![FieldError::new(
                "category_id",
                "immutable",
                "A plan stays in the category that it was created in.",
            )]));
        }
        check(&spec)?;
        let mut prices = std::mem::take(&mut self.prices);
        for price in &mut prices {
            price.active = spec.prices.iter().any(|wanted| price.offers(wanted));
        }
        let wanted =
            spec.prices.iter().filter(|wanted| !prices.iter().any(|price| price.offers(wanted)));
        let new: Vec<Price> = wanted.map(|wanted| offer(price_id(wanted), wanted)).collect();
        prices.extend(new);
        *self = Self {
            id: self.id,
            category: self.category,
            name: spec.name,
            description: spec.description,
            tier: spec.tier,
            features: spec.features,
            treatments: spec.treatments,
            comparison: spec.comparison,
            window: spec.window,
            active: spec.active,
            prices,
            version: self.version,
        };
        Ok(())
    }

    /// Whether a new subscriber can take it at this moment.
    pub fn is_offered(&self, at: DateTime<Utc>) -> bool {
        self.active && self.window.contains(at)
    }

    pub fn offered_prices(&self) -> impl Iterator<Item = &Price> {
        self.prices.iter().filter(|price| price.active)
    }

    pub fn price(&self, id: PriceId) -> Option<&Price> {
        self.prices.iter().find(|price| price.id == id)
    }
}

fn offer(id: PriceId, spec: &PriceSpec) -> Price {
    Price { id, interval: spec.interval, amount: spec.amount, active: true }
}

fn check(spec: &PlanSpec) -> Result<(), CatalogError> {
    let mut errors = Vec::new();
    CatalogName::check(&mut errors, "name", &spec.name);
    CatalogDescription::check(&mut errors, "description", &spec.description);
    if spec.features.len() > 50 {
        errors.push(FieldError::new("features", "too_many", "At most 50 features."));
    }
    for (index, feature) in spec.features.iter().enumerate() {
        FeatureLabel::check(&mut errors, &format!("features[{index}].label"), &feature.label);
        if Feature::is_among(&spec.features[..index], &feature.code) {
            errors.push(FieldError::new(
                format!("features[{index}].code"),
                "duplicate",
                format!("The plan has the feature `{}` already.", feature.code),
            ));
        }
    }
    CoveredTreatment::check(&spec.treatments, "treatments", &mut errors);
    if spec.comparison.len() > 50 {
        errors.push(FieldError::new("comparison", "too_many", "At most 50 rows."));
    }
    for (index, (label, value)) in spec.comparison.iter().enumerate() {
        RowLabel::check(&mut errors, &format!("comparison[{index}].label"), label);
        RowValue::check(&mut errors, &format!("comparison[{index}].value"), value);
        let same = |(other, _): &(String, String)| {
            other.trim().to_lowercase() == label.trim().to_lowercase()
        };
        if spec.comparison[..index].iter().any(same) {
            errors.push(FieldError::new(
                format!("comparison[{index}].label"),
                "duplicate",
                format!("There is already a row labelled \"{}\".", label.trim()),
            ));
        }
    }
    if let (Some(from), Some(until)) = (spec.window.from, spec.window.until)
        && until <= from
    {
        errors.push(FieldError::new(
            "active_until",
            "out_of_range",
            "The plan would end before it starts.",
        ));
    }
    check_prices(&mut errors, &spec.prices);
    if errors.is_empty() { Ok(()) } else { Err(CatalogError::Invalid(errors)) }
}

/// The least that the payment gateway charges in a currency: a plan of less
/// could be sold and never paid.
const fn least_minor(currency: Currency) -> i64 {
    match currency {
        Currency::Usd | Currency::Cad | Currency::Eur => 50,
        Currency::Gbp => 30,
    }
}

fn check_prices(errors: &mut Vec<FieldError>, prices: &[PriceSpec]) {
    if prices.is_empty() {
        errors.push(FieldError::required("prices"));
    } else if prices.len() > 10 {
        errors.push(FieldError::new("prices", "too_many", "At most 10 prices."));
    }
    for (index, price) in prices.iter().enumerate() {
        let path = |field: &str| format!("prices[{index}].{field}");
        let least = least_minor(price.amount.currency);
        if !(least..=Plan::MOST_MINOR).contains(&price.amount.minor) {
            errors.push(FieldError::new(
                path("amount.minor"),
                "out_of_range",
                format!(
                    "In {} the amount is from {least} to {} minor units.",
                    price.amount.currency.code(),
                    Plan::MOST_MINOR
                ),
            ));
        }
        if price.amount.currency != prices[0].amount.currency {
            errors.push(FieldError::new(
                path("amount.currency"),
                "invalid",
                "All prices of a plan are in one currency.",
            ));
        }
        if prices[..index].iter().any(|other| other.interval == price.interval) {
            errors.push(FieldError::new(
                path("interval"),
                "duplicate",
                "A plan has one price for each interval.",
            ));
        }
    }
}

#[cfg(test)]
mod tests;
