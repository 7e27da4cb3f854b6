//! The figures of one category: what came in, how it was decided and how soon,
//! and what its subscriptions bring.

use chrono::{DateTime, NaiveDate, TimeDelta, Utc};
use kernel::{Actor, CategoryId, Currency, Money, Permission, Word};
use ports::{AuditAction, AuditEntry, Env};

use crate::{
    AnalyticsError, AnalyticsStore, Cell, ReportSettings,
    reporting::days,
    suppression::{withhold, withhold_total},
};

/// How a submission was decided in the end.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Word)]
pub enum CategoryDecision {
    /// By the rules alone.
    AutoApproved,
    /// By a provider.
    Approved,
    /// By the rules alone.
    Refused,
    /// By a provider.
    Rejected,
}

impl CategoryDecision {
    pub const fn approves(self) -> bool {
        matches!(self, Self::AutoApproved | Self::Approved)
    }
}

/// So many things of so many people.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Tally {
    pub count: u64,
    pub people: u64,
}

/// What the read model says of a category in a span of days.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct CategoryFigures {
    pub submissions: Tally,
    pub decisions: Vec<(CategoryDecision, Tally)>,
    /// Everybody for whom something was decided, once.
    pub decided_people: u64,
    /// From submitting to the decision, of the decisions of these days.
    pub median_to_decision: Option<TimeDelta>,
    pub cancellations: Tally,
}

#[derive(Clone, Debug, PartialEq)]
pub struct CategoryReport {
    pub category: CategoryId,
    pub as_of: DateTime<Utc>,
    pub from: NaiveDate,
    pub to: NaiveDate,
    pub minimum_cell: u64,
    pub submissions: Cell<u64>,
    /// Every decision, that nobody met included.
    pub decisions: Vec<(CategoryDecision, Cell<u64>)>,
    /// Approvals among the decisions; `None` where there are none or it would
    /// tell of too few.
    pub approval_rate: Option<f64>,
    pub median_to_decision: Option<TimeDelta>,
    pub cancellations: Cell<u64>,
    /// What the running subscriptions bring a month now.
    pub monthly_recurring: Vec<(Currency, Cell<Money>)>,
}

/// The figures of a category from one day to another. Without days it is the
/// last thirty.
pub async fn category_report(
    env: &Env,
    store: &dyn AnalyticsStore,
    settings: &ReportSettings,
    actor: &Actor,
    category: CategoryId,
    (from, to): (Option<NaiveDate>, Option<NaiveDate>),
) -> Result<CategoryReport, AnalyticsError> {
    actor.require(Permission::AnalyticsRead)?;
    let as_of = env.now();
    let (from, to) = days(as_of, settings, from, to)?;
    let mut tx = store.begin(actor).await?;
    let figures = tx.category_figures(category, from, to, settings.zone).await?;
    let revenue = tx.revenue().await?;
    tx.audit(
        AuditEntry::new(AuditAction::Read, "analytics_report", "category")
            .detail("category", category.to_string())
            .detail("from", from.to_string())
            .detail("to", to.to_string()),
    );
    tx.commit().await?;

    let minimum = settings.minimum_cell;
    let monthly_recurring = revenue
        .into_iter()
        .filter(|row| row.category == category)
        .map(|row| (row.currency, withhold_total(row.monthly, row.subscriptions, minimum)))
        .collect();
    let decided = decided(&figures, minimum);
    let told = |tally: Tally| withhold_total(tally.count, tally.people, minimum);
    Ok(CategoryReport {
        category,
        as_of,
        from,
        to,
        minimum_cell: minimum,
        submissions: told(figures.submissions),
        approval_rate: decided.approval_rate,
        median_to_decision: figures
            .median_to_decision
            .filter(|_| figures.decided_people >= minimum),
        decisions: decided.cells,
        cancellations: told(figures.cancellations),
        monthly_recurring,
    })
}

struct Decided {
    cells: Vec<(CategoryDecision, Cell<u64>)>,
    approval_rate: Option<f64>,
}

/// The rate would tell the cells that it is made of, so it is withheld with
/// any of them.
fn decided(figures: &CategoryFigures, minimum: u64) -> Decided {
    let tally = |decision: CategoryDecision| {
        let found = figures.decisions.iter().find(|(own, _)| *own == decision);
        found.map(|(_, tally)| *tally).unwrap_or_default()
    };
    let tallies = CategoryDecision::ALL.iter().copied().map(|decision| {
        let tally = tally(decision);
        (tally.count, tally.people)
    });
    let cells: Vec<_> =
        CategoryDecision::ALL.iter().copied().zip(withhold(tallies.collect(), minimum)).collect();
    let (approved, all) =
        CategoryDecision::ALL.iter().copied().fold((0, 0), |(approved, all), decision| {
            let count = tally(decision).count;
            (approved + if decision.approves() { count } else { 0 }, all + count)
        });
    let shown = all > 0 && cells.iter().all(|(_, cell)| *cell != Cell::Withheld);
    // Counts of submissions stay far below the integers that a float holds.
    let approval_rate = shown.then(|| approved as f64 / all as f64);
    Decided { cells, approval_rate }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn figures(counts: [u64; 4]) -> CategoryFigures {
        let decisions = CategoryDecision::ALL
            .iter()
            .copied()
            .zip(counts)
            .map(|(decision, count)| (decision, Tally { count, people: count }));
        CategoryFigures { decisions: decisions.collect(), ..CategoryFigures::default() }
    }

    #[test]
    fn the_rate_is_of_all_decisions_by_rule_and_by_provider() {
        let found = decided(&figures([30, 15, 10, 5]), 1);
        assert_eq!(found.approval_rate, Some(0.75));
        assert_eq!(
            found.cells[1],
            (CategoryDecision::Approved, Cell::Shown { value: 15, people: 15 })
        );
        assert_eq!(decided(&figures([0; 4]), 1).approval_rate, None, "nothing was decided");
    }

    #[test]
    fn a_rate_that_would_tell_a_withheld_cell_is_withheld_too() {
        let found = decided(&figures([30, 15, 12, 2]), 11);
        assert_eq!(found.approval_rate, None);
        let hidden = found.cells.iter().filter(|(_, cell)| *cell == Cell::Withheld).count();
        assert_eq!(hidden, 2, "one alone could be computed from the others");
    }
}
