//! Figures for those who may see them.

use std::collections::BTreeMap;

use chrono::{DateTime, NaiveDate, TimeDelta, Utc};
use chrono_tz::Tz;
use kernel::{Actor, CategoryId, Currency, FieldError, Money, Permission};
use ports::{AuditAction, AuditEntry, Env};

use crate::{
    AnalyticsError, AnalyticsStore, Cell, JourneyStage,
    suppression::{withhold, withhold_total},
};

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct ReportSettings {
    /// Figures about fewer people than that are withheld.
    pub minimum_cell: u64,
    /// The zone whose days the figures are counted by.
    pub zone: Tz,
}

impl ReportSettings {
    /// Eleven is the smallest cell that the Medicare and Medicaid programmes
    /// let anyone publish.
    pub const MINIMUM_CELL: u64 = 11;
}

/// The revenue of a category, or that of all.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct CurrencyRevenue {
    pub currency: Currency,
    pub total: Cell<Money>,
    pub categories: Vec<(CategoryId, Cell<Money>)>,
}

#[derive(Clone, Debug, PartialEq, Eq)]
pub struct RevenueReport {
    pub as_of: DateTime<Utc>,
    pub from: NaiveDate,
    pub to: NaiveDate,
    pub minimum_cell: u64,
    /// Amounts of different currencies are never added.
    pub monthly_recurring: Vec<CurrencyRevenue>,
    /// First arrivals at each stage, by day; `Withheld` for too few.
    pub journey: Vec<(NaiveDate, JourneyStage, Cell<()>)>,
}

/// The longest span of days in one report.
const MAX_DAYS: i64 = 366;

/// What the running subscriptions bring a month now, and who came how far
/// from one day to another. Without days it is the last thirty.
pub async fn revenue_report(
    env: &Env,
    store: &dyn AnalyticsStore,
    settings: &ReportSettings,
    actor: &Actor,
    from: Option<NaiveDate>,
    to: Option<NaiveDate>,
) -> Result<RevenueReport, AnalyticsError> {
    actor.require(Permission::AnalyticsRead)?;
    let as_of = env.now();
    let (from, to) = days(as_of, settings, from, to)?;

    let mut tx = store.begin(actor).await?;
    let revenue = tx.revenue().await?;
    let journey = tx.journey(from, to, settings.zone).await?;
    tx.audit(
        AuditEntry::new(AuditAction::Read, "analytics_report", "revenue")
            .detail("from", from.to_string())
            .detail("to", to.to_string()),
    );
    tx.commit().await?;

    let minimum = settings.minimum_cell;
    let mut by_currency: BTreeMap<&str, Vec<_>> = BTreeMap::new();
    for row in revenue {
        by_currency.entry(row.currency.code()).or_default().push(row);
    }
    let mut monthly_recurring = Vec::new();
    for rows in by_currency.into_values() {
        let currency = rows[0].currency;
        let mut total = Money::zero(currency);
        for row in &rows {
            total = total.checked_add(row.monthly)?;
        }
        let people = rows.iter().map(|row| row.subscriptions).sum();
        let (categories, cells): (Vec<_>, Vec<_>) =
            rows.into_iter().map(|row| (row.category, (row.monthly, row.subscriptions))).unzip();
        monthly_recurring.push(CurrencyRevenue {
            currency,
            total: withhold_total(total, people, minimum),
            categories: categories.into_iter().zip(withhold(cells, minimum)).collect(),
        });
    }
    let journey = journey
        .into_iter()
        .map(|day| (day.day, day.stage, withhold_total((), day.people, minimum)))
        .collect();
    Ok(RevenueReport { as_of, from, to, minimum_cell: minimum, monthly_recurring, journey })
}

/// The first and the last day of a report; without them the last thirty.
pub(crate) fn days(
    as_of: DateTime<Utc>,
    settings: &ReportSettings,
    from: Option<NaiveDate>,
    to: Option<NaiveDate>,
) -> Result<(NaiveDate, NaiveDate), AnalyticsError> {
    let to = to.unwrap_or_else(|| as_of.with_timezone(&settings.zone).date_naive());
    let from = from.or_else(|| to.checked_sub_signed(TimeDelta::days(29))).unwrap_or(to);
    check_span(from, to)?;
    Ok((from, to))
}

fn check_span(from: NaiveDate, to: NaiveDate) -> Result<(), AnalyticsError> {
    let days = (to - from).num_days() + 1;
    if (1..=MAX_DAYS).contains(&days) {
        return Ok(());
    }
    let message = format!("From one day to the same or a later one, at most {MAX_DAYS} days.");
    Err(AnalyticsError::Invalid(vec![FieldError::new("to", "out_of_range", message)]))
}
