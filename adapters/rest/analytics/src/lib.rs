//! Aggregate figures.

mod category;

use std::sync::Arc;

use analytics::{
    AnalyticsError, AnalyticsStore, Cell, JourneyStage, ReportSettings, RevenueReport,
    category_report,
    reporting::{CurrencyRevenue, revenue_report},
};
use api::{Answer, Caller, Mirror, Tag};
use catalog::CatalogStore;
use chrono::{DateTime, NaiveDate, Utc};
use kernel::{Actor, CategoryId, Money, Permission};
use poem_openapi::{
    Object, OpenApi,
    param::{Path, Query},
    payload::Json,
};
use ports::Env;

use self::category::CategoryAnalyticsView;

pub struct AnalyticsApi {
    pub env: Env,
    pub store: Arc<dyn AnalyticsStore>,
    pub catalog: Arc<dyn CatalogStore>,
    pub settings: ReportSettings,
}

/// The monthly recurring revenue of one category. It is withheld, without
/// figures, where it is about too few, or where it would tell one that is.
#[derive(Debug, Object)]
pub struct CategoryRevenueView {
    pub category_id: CategoryId,
    pub withheld: bool,
    /// In minor units (cents) a month.
    pub monthly_minor: Option<i64>,
    /// The running subscriptions.
    pub subscriptions: Option<u64>,
}

/// Monthly recurring revenue in one currency.
#[derive(Debug, Object)]
pub struct CurrencyRevenueView {
    /// An ISO 4217 code.
    pub currency: String,
    pub withheld: bool,
    /// In minor units (cents) a month.
    pub monthly_minor: Option<i64>,
    /// The running subscriptions.
    pub subscriptions: Option<u64>,
    pub categories: Vec<CategoryRevenueView>,
}

/// How many reached a stage for the first time on a day.
#[derive(Debug, Object)]
pub struct JourneyDayView {
    pub day: NaiveDate,
    pub stage: JourneyStage,
    pub withheld: bool,
    pub people: Option<u64>,
}

/// Revenue and the journey.
#[derive(Debug, Object, Mirror)]
#[mirror(from = RevenueReport)]
pub struct RevenueView {
    pub as_of: DateTime<Utc>,
    pub from: NaiveDate,
    pub to: NaiveDate,
    /// Figures about fewer are withheld.
    pub minimum_cell: u64,
    /// What the running subscriptions bring a month now: without tax, one-off
    /// charges and paused subscriptions, longer periods spread over their
    /// months. One entry a currency.
    pub monthly_recurring: Vec<CurrencyRevenueView>,
    /// Days on which nobody reached a stage are absent.
    pub journey: Vec<JourneyDayView>,
}

fn figures(cell: Cell<Money>) -> (bool, Option<i64>, Option<u64>) {
    let shown = cell.shown();
    (shown.is_none(), shown.map(|(money, _)| money.minor), shown.map(|(_, people)| people))
}

impl From<CurrencyRevenue> for CurrencyRevenueView {
    fn from(CurrencyRevenue { currency, total, categories }: CurrencyRevenue) -> Self {
        let (withheld, monthly_minor, subscriptions) = figures(total);
        let categories = categories.into_iter().map(Into::into).collect();
        Self {
            currency: currency.code().into(),
            withheld,
            monthly_minor,
            subscriptions,
            categories,
        }
    }
}

impl From<(CategoryId, Cell<Money>)> for CategoryRevenueView {
    fn from((category_id, cell): (CategoryId, Cell<Money>)) -> Self {
        let (withheld, monthly_minor, subscriptions) = figures(cell);
        Self { category_id, withheld, monthly_minor, subscriptions }
    }
}

impl From<(NaiveDate, JourneyStage, Cell<()>)> for JourneyDayView {
    fn from((day, stage, cell): (NaiveDate, JourneyStage, Cell<()>)) -> Self {
        let people = cell.shown().map(|((), people)| people);
        Self { day, stage, withheld: people.is_none(), people }
    }
}

#[OpenApi(tag = "Tag::Analytics")]
impl AnalyticsApi {
    /// Report revenue
    ///
    /// Monthly recurring revenue as it is now, and how many came how far from
    /// one day to another. Without days it covers the last thirty.
    #[oai(
        path = "/api/analytics/subscriptions/revenue",
        method = "get",
        operation_id = "reportSubscriptionRevenue"
    )]
    async fn revenue(
        &self,
        caller: Caller,
        /// The first day of the journey.
        from: Query<Option<NaiveDate>>,
        /// The last day of the journey, inclusive.
        to: Query<Option<NaiveDate>>,
    ) -> Answer<RevenueView> {
        let (store, actor) = (&*self.store, caller.actor());
        let report = revenue_report(&self.env, store, &self.settings, actor, from.0, to.0).await?;
        Ok(Json(report.into()))
    }

    /// Report on a category
    ///
    /// Takes `analytics.read`. What was submitted, decided and canceled from
    /// one day to another, and what the category's subscriptions bring a month
    /// now. Without days it covers the last thirty.
    #[oai(
        path = "/api/admin/categories/:id/analytics",
        method = "get",
        operation_id = "reportCategory"
    )]
    async fn category(
        &self,
        caller: Caller,
        id: Path<CategoryId>,
        /// The first day.
        from: Query<Option<NaiveDate>>,
        /// The last day, inclusive.
        to: Query<Option<NaiveDate>>,
    ) -> Answer<CategoryAnalyticsView> {
        let actor = caller.actor();
        actor.require(Permission::AnalyticsRead).map_err(AnalyticsError::from)?;
        // Figures outlive the offer, so a category that is closed has them too.
        let system = Actor::system("analytics.category");
        catalog::category(&*self.catalog, &system, id.0).await?;
        let (env, store, span) = (&self.env, &*self.store, (from.0, to.0));
        Ok(Json(category_report(env, store, &self.settings, actor, id.0, span).await?.into()))
    }
}
