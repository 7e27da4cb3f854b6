//! The figures of one category.

use analytics::{
    Cell,
    category::{CategoryDecision, CategoryReport},
};
use api::Mirror;
use chrono::{DateTime, NaiveDate, Utc};
use kernel::{CategoryId, Currency, Money};
use poem_openapi::Object;

use super::figures;

/// How many; withheld, without a figure, where it is about too few.
#[derive(Debug, Object)]
pub struct CountView {
    pub withheld: bool,
    pub count: Option<u64>,
}

impl From<Cell<u64>> for CountView {
    fn from(cell: Cell<u64>) -> Self {
        let count = cell.shown().map(|(count, _)| count);
        Self { withheld: count.is_none(), count }
    }
}

/// How many submissions were decided in one way.
#[derive(Debug, Object)]
pub struct CategoryDecisionView {
    /// `auto_approved` or `refused` by the rules, `approved` or `rejected` by
    /// a provider.
    pub decision: String,
    pub withheld: bool,
    pub count: Option<u64>,
}

impl From<(CategoryDecision, Cell<u64>)> for CategoryDecisionView {
    fn from((decision, cell): (CategoryDecision, Cell<u64>)) -> Self {
        let CountView { withheld, count } = cell.into();
        Self { decision: decision.into(), withheld, count }
    }
}

/// What the running subscriptions of the category bring in one currency.
#[derive(Debug, Object)]
pub struct CategoryRecurringView {
    /// An ISO 4217 code.
    pub currency: String,
    pub withheld: bool,
    /// In minor units (cents) a month.
    pub monthly_minor: Option<i64>,
    /// The running subscriptions.
    pub active_subscriptions: Option<u64>,
}

impl From<(Currency, Cell<Money>)> for CategoryRecurringView {
    fn from((currency, cell): (Currency, Cell<Money>)) -> Self {
        let (withheld, monthly_minor, active_subscriptions) = figures(cell);
        Self { currency: currency.code().into(), withheld, monthly_minor, active_subscriptions }
    }
}

/// The figures of a category.
#[derive(Debug, Object, Mirror)]
#[oai(rename = "CategoryAnalytics")]
#[mirror(from = CategoryReport)]
pub struct CategoryAnalyticsView {
    pub category_id: CategoryId,
    pub as_of: DateTime<Utc>,
    pub from: NaiveDate,
    pub to: NaiveDate,
    /// Figures about fewer people are withheld.
    pub minimum_cell: u64,
    /// Forms that were submitted in these days.
    pub submissions: CountView,
    /// What was decided in these days, whenever it was submitted.
    pub decisions: Vec<CategoryDecisionView>,
    /// Approvals among these decisions, from 0 to 1; absent where nothing was
    /// decided or a part of it is withheld.
    pub approval_rate: Option<f64>,
    /// From submitting to the decision: half of the decisions came sooner.
    #[mirror(|report| report.median_to_decision.map(|time| time.num_seconds()))]
    pub median_seconds_to_decision: Option<i64>,
    /// Subscriptions that had begun and ended in these days.
    pub cancellations: CountView,
    /// As it is now, one entry a currency: without tax, one-off charges and
    /// paused subscriptions, longer periods spread over their months.
    pub monthly_recurring: Vec<CategoryRecurringView>,
}
