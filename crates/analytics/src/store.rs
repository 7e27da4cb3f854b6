use async_trait::async_trait;
use chrono::{DateTime, NaiveDate, Utc};
use chrono_tz::Tz;
use kernel::{Actor, CategoryId, Currency, Money, PatientId};
use ports::{Result, UnitOfWork};

use crate::{CategoryFigures, JourneyDay, JourneyStage, Position};

/// The running revenue of a category in one currency.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct CategoryRevenue {
    pub category: CategoryId,
    pub currency: Currency,
    pub monthly: Money,
    /// The running subscriptions that it is made of.
    pub subscriptions: u64,
}

#[async_trait]
pub trait AnalyticsTx: UnitOfWork {
    /// Stores what a subscription is now and brings a month; a later word on
    /// it replaces the earlier one.
    async fn save_position(&mut self, position: &Position, monthly: Money) -> Result<()>;

    /// Stores that the patient reached the stage at that time; the earliest
    /// time stands, in whatever order they come.
    async fn reach(
        &mut self,
        patient: PatientId,
        stage: JourneyStage,
        at: DateTime<Utc>,
    ) -> Result<()>;

    /// The revenue of the running subscriptions, by category and currency.
    async fn revenue(&mut self) -> Result<Vec<CategoryRevenue>>;

    /// How many reached each stage on each day, by the days of the zone, from
    /// the first day to the last one inclusive. Days without anyone are absent.
    async fn journey(
        &mut self,
        from: NaiveDate,
        to: NaiveDate,
        zone: Tz,
    ) -> Result<Vec<JourneyDay>>;

    /// What came into a category, was decided and was canceled, by the days of
    /// the zone, from the first day to the last one inclusive.
    async fn category_figures(
        &mut self,
        category: CategoryId,
        from: NaiveDate,
        to: NaiveDate,
        zone: Tz,
    ) -> Result<CategoryFigures>;
}

#[async_trait]
pub trait AnalyticsStore: Send + Sync {
    async fn begin(&self, actor: &Actor) -> Result<Box<dyn AnalyticsTx>>;
}
