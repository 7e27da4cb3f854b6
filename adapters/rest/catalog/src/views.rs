//! The catalog on the wire.

use api::{FeatureView, Text};
use catalog::{
    ActivationWindow, BillingInterval, CatalogError, Plan, PlanSpec, Price, PriceSpec, Tier,
};
use chrono::{DateTime, Utc};
use kernel::{
    CategoryId, CoveredTreatment, DoseAmount, DoseForm, Feature, FieldError, Money, PlanId,
    PriceId, Uuid,
    text::{
        CatalogDescription, CatalogName, CurrencyCode, DrugCode, DrugName, RowLabel, RowValue,
        UnitOfMeasure,
    },
};
use poem_openapi::{Enum, Object, types::Example};

#[derive(Clone, Copy, Debug, PartialEq, Eq, Enum)]
#[oai(rename = "PriceInterval", rename_all = "snake_case")]
pub enum IntervalWord {
    Monthly,
    Quarterly,
    Yearly,
    /// Paid once for `months` months.
    Upfront,
}

/// An amount of money.
#[derive(Clone, Debug, Object)]
#[oai(rename = "PriceAmount")]
pub struct AmountView {
    /// In minor units, that is cents.
    #[oai(validator(minimum(value = "1"), maximum(value = "10000000")))]
    pub minor: i64,
    /// An ISO 4217 code: USD, CAD, EUR or GBP.
    pub currency: Text<CurrencyCode>,
}

/// A price tier of a plan.
#[derive(Debug, Object)]
#[oai(rename = "Price")]
pub struct PriceView {
    pub id: PriceId,
    pub interval: IntervalWord,
    /// How many months one payment covers.
    pub months: u16,
    /// What one interval costs.
    pub amount: AmountView,
    /// Whether it is still offered; subscribers keep a price that is not.
    pub active: bool,
}

/// A price to offer.
#[derive(Clone, Debug, Object)]
#[oai(rename = "PriceRequest")]
pub struct PriceRequest {
    pub interval: IntervalWord,
    /// For `upfront` only: how many months the payment covers.
    #[oai(validator(minimum(value = "1"), maximum(value = "36")))]
    pub months: Option<u16>,
    /// What one interval costs.
    pub amount: AmountView,
}

/// A row of the table that compares the plans of a category.
#[derive(Clone, Debug, Object)]
#[oai(rename = "PlanComparisonRow")]
pub struct ComparisonRow {
    pub label: Text<RowLabel>,
    pub value: Text<RowValue>,
}

/// A treatment that a plan pays for.
#[derive(Clone, Debug, Object)]
#[oai(rename = "CoveredTreatment")]
pub struct CoveredTreatmentBody {
    /// The RxNorm ingredient, so that a brand and its generic are one drug.
    pub drug: Text<DrugCode>,
    /// The name of the drug, for people.
    pub name: Text<DrugName>,
    pub form: DoseForm,
    /// The UCUM unit of the doses.
    pub unit: Text<UnitOfMeasure>,
    /// How much is taken at a time, in each of the steps that are covered.
    #[oai(validator(min_items = 1, max_items = 30))]
    pub doses: Vec<f64>,
}

impl From<CoveredTreatment> for CoveredTreatmentBody {
    fn from(covered: CoveredTreatment) -> Self {
        Self {
            drug: covered.drug.as_str().into(),
            name: covered.name.into(),
            form: covered.form,
            unit: covered.unit.into(),
            doses: covered.doses.into_iter().map(f64::from).collect(),
        }
    }
}

impl CoveredTreatmentBody {
    fn read(self, index: usize, errors: &mut Vec<FieldError>) -> Option<CoveredTreatment> {
        let path = |field: &str| format!("treatments[{index}].{field}");
        let drug = self.drug.parse().map_err(|error: kernel::code::InvalidCode| {
            errors.push(FieldError::new(path("drug"), "invalid", error.to_string()));
        });
        let mut doses = Vec::with_capacity(self.doses.len());
        for (number, dose) in self.doses.into_iter().enumerate() {
            match DoseAmount::try_from(dose) {
                Ok(dose) => doses.push(dose),
                Err(error) => errors.push(FieldError::new(
                    path(&format!("doses[{number}]")),
                    "out_of_range",
                    error.to_string(),
                )),
            }
        }
        let (name, form, unit) = (self.name.into(), self.form, self.unit.into());
        Some(CoveredTreatment { drug: drug.ok()?, name, form, unit, doses })
    }
}

/// A plan of a category.
#[derive(Debug, Object)]
#[oai(rename = "Plan")]
pub struct CatalogPlanView {
    pub id: PlanId,
    pub category_id: CategoryId,
    pub name: String,
    pub description: String,
    pub tier: Tier,
    /// What the subscriber gets.
    pub features: Vec<FeatureView>,
    /// The treatments that it pays for. Whoever is treated with another one
    /// cannot buy it.
    pub treatments: Vec<CoveredTreatmentBody>,
    pub comparison: Vec<ComparisonRow>,
    /// From when it is offered; absent where there is no limit.
    pub active_from: Option<DateTime<Utc>>,
    /// Until when it is offered; absent where there is no limit.
    pub active_until: Option<DateTime<Utc>>,
    pub active: bool,
    pub prices: Vec<PriceView>,
    /// Counts the changes; it is the `ETag` too.
    pub version: i64,
}

/// Plans, by category, tier and name.
#[derive(Debug, Object)]
#[oai(rename = "Plans")]
pub struct CatalogPlansView {
    pub plans: Vec<CatalogPlanView>,
}

/// What an administrator says of a plan. A changed amount becomes a new price;
/// who has the old one keeps it.
#[derive(Clone, Debug, Object)]
#[oai(rename = "PlanRequest", example)]
pub struct PlanRequest {
    /// A plan stays in its category.
    pub category_id: CategoryId,
    pub name: Text<CatalogName>,
    pub description: Text<CatalogDescription>,
    pub tier: Tier,
    /// What the subscriber gets; each code stands once.
    #[oai(default, validator(max_items = 50))]
    pub features: Vec<FeatureView>,
    /// The treatments that it pays for; a plan that names none is sold to
    /// nobody.
    #[oai(default, validator(max_items = 20))]
    pub treatments: Vec<CoveredTreatmentBody>,
    #[oai(default, validator(max_items = 50))]
    pub comparison: Vec<ComparisonRow>,
    pub active_from: Option<DateTime<Utc>>,
    pub active_until: Option<DateTime<Utc>>,
    #[oai(default = "active_by_default")]
    pub active: bool,
    /// One for each interval, all in one currency.
    #[oai(validator(min_items = 1, max_items = 10))]
    pub prices: Vec<PriceRequest>,
}

fn active_by_default() -> bool {
    true
}

impl Example for PlanRequest {
    fn example() -> Self {
        let amount = AmountView { minor: 2_500, currency: "USD".into() };
        Self {
            category_id: Uuid::from_u128(0x5a1c_0001_0000_4000_8000_0000_0000_0001).into(),
            name: "Hair Essential".into(),
            description: "Finasteride 1 mg, one tablet a day.".into(),
            tier: Tier::Basic,
            features: vec![FeatureView {
                code: "free_shipping".into(),
                label: "Free discreet shipping".into(),
            }],
            treatments: vec![CoveredTreatmentBody {
                drug: "25025".into(),
                name: "finasteride".into(),
                form: DoseForm::OralTablet,
                unit: "mg".into(),
                doses: vec![1.0],
            }],
            comparison: vec![ComparisonRow { label: "Visits".into(), value: "By message".into() }],
            active_from: None,
            active_until: None,
            active: true,
            prices: vec![PriceRequest { interval: IntervalWord::Monthly, months: None, amount }],
        }
    }
}

impl CatalogPlanView {
    /// As the public sees it: with the prices that are offered.
    pub fn offered(plan: Plan) -> Self {
        let mut view = Self::whole(plan);
        view.prices.retain(|price| price.active);
        view
    }

    /// As administrators see it: with every price there ever was.
    pub fn whole(plan: Plan) -> Self {
        let row = |(label, value): (String, String)| ComparisonRow {
            label: label.into(),
            value: value.into(),
        };
        Self {
            id: plan.id,
            category_id: plan.category,
            name: plan.name,
            description: plan.description,
            tier: plan.tier,
            features: plan.features.into_iter().map(Into::into).collect(),
            treatments: plan.treatments.into_iter().map(Into::into).collect(),
            comparison: plan.comparison.into_iter().map(row).collect(),
            active_from: plan.window.from,
            active_until: plan.window.until,
            active: plan.active,
            prices: plan.prices.into_iter().map(Into::into).collect(),
            version: plan.version,
        }
    }
}

impl From<Price> for PriceView {
    fn from(price: Price) -> Self {
        let interval = match price.interval {
            BillingInterval::Monthly => IntervalWord::Monthly,
            BillingInterval::Quarterly => IntervalWord::Quarterly,
            BillingInterval::Yearly => IntervalWord::Yearly,
            BillingInterval::Upfront { .. } => IntervalWord::Upfront,
        };
        Self {
            id: price.id,
            interval,
            months: price.interval.months(),
            amount: AmountView {
                minor: price.amount.minor,
                currency: price.amount.currency.code().into(),
            },
            active: price.active,
        }
    }
}

impl PlanRequest {
    pub fn read(self) -> Result<PlanSpec, CatalogError> {
        let mut errors = Vec::new();
        let mut prices = Vec::new();
        for (index, price) in self.prices.into_iter().enumerate() {
            match price.read(index) {
                Ok(price) => prices.push(price),
                Err(error) => errors.push(error),
            }
        }
        let mut features = Vec::new();
        for (index, feature) in self.features.into_iter().enumerate() {
            match Feature::new(&feature.code, feature.label) {
                Ok(feature) => features.push(feature),
                Err(_) => errors.push(FieldError::new(
                    format!("features[{index}].code"),
                    "invalid",
                    "A letter, and up to 63 more letters, digits and underscores.",
                )),
            }
        }
        let mut treatments = Vec::new();
        for (index, covered) in self.treatments.into_iter().enumerate() {
            treatments.extend(covered.read(index, &mut errors));
        }
        if !errors.is_empty() {
            return Err(CatalogError::Invalid(errors));
        }
        Ok(PlanSpec {
            category: self.category_id,
            name: self.name.into(),
            description: self.description.into(),
            tier: self.tier,
            features,
            treatments,
            comparison: self
                .comparison
                .into_iter()
                .map(|row| (row.label.into(), row.value.into()))
                .collect(),
            window: ActivationWindow { from: self.active_from, until: self.active_until },
            active: self.active,
            prices,
        })
    }
}

impl PriceRequest {
    fn read(self, index: usize) -> Result<PriceSpec, FieldError> {
        let refuse = |field: &str, code: &str, message: &str| {
            FieldError::new(format!("prices[{index}].{field}"), code, message)
        };
        let interval = match (self.interval, self.months) {
            (IntervalWord::Monthly, None | Some(1)) => BillingInterval::Monthly,
            (IntervalWord::Quarterly, None | Some(3)) => BillingInterval::Quarterly,
            (IntervalWord::Yearly, None | Some(12)) => BillingInterval::Yearly,
            (IntervalWord::Upfront, Some(months)) => BillingInterval::Upfront { months },
            (IntervalWord::Upfront, None) => {
                return Err(refuse("months", "required", "An upfront price covers months."));
            }
            _ => {
                return Err(refuse("months", "invalid", "The interval has another length."));
            }
        };
        let currency =
            self.amount.currency.parse().map_err(|_| {
                refuse("amount.currency", "invalid", "One of USD, CAD, EUR and GBP.")
            })?;
        Ok(PriceSpec { interval, amount: Money::new(self.amount.minor, currency) })
    }
}
