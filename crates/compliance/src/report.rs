//! What happened in a period, in numbers: the report of activity that the
//! Security Rule asks to be reviewed (45 CFR 164.308(a)(1)(ii)(D)).

use chrono::{DateTime, TimeDelta, Utc};
use kernel::{Actor, FieldError, Permission};
use ports::AuditAction;

use crate::{AuditStore, ComplianceError, TrailFilter, trail::begin_permitted};

/// The longest period of one report.
pub const LONGEST: TimeDelta = TimeDelta::days(366);

/// How many actors each list names.
pub const NAMED: u64 = 20;

/// How often something was done to one kind of thing, with one outcome.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Activity {
    pub entity: String,
    pub action: String,
    pub outcome: String,
    pub entries: u64,
}

/// An actor, and how often or of how many.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct ActorCount {
    /// `account`, `client`, `system` or `anonymous`.
    pub kind: String,
    pub actor: Option<String>,
    pub count: u64,
}

/// The hash chain over all entries, whatever the period.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct ChainState {
    pub sealed: u64,
    pub last_sealed_at: Option<DateTime<Utc>>,
    /// Entries that wait to be sealed.
    pub waiting: u64,
}

#[derive(Clone, Debug, PartialEq, Eq)]
pub struct ActivityReport {
    pub from: DateTime<Utc>,
    pub to: DateTime<Utc>,
    pub entries: u64,
    /// Patients of whom something was read, searched or exported.
    pub patients_opened: u64,
    /// By entity, action and outcome.
    pub activity: Vec<Activity>,
    /// Who was refused most often.
    pub most_denied: Vec<ActorCount>,
    /// Which accounts and clients opened the records of most patients other
    /// than themselves.
    pub most_patients: Vec<ActorCount>,
    pub chain: ChainState,
}

/// The report of a period. Making it is itself recorded.
pub async fn activity(
    store: &dyn AuditStore,
    actor: &Actor,
    (from, to): (Option<DateTime<Utc>>, Option<DateTime<Utc>>),
) -> Result<ActivityReport, ComplianceError> {
    let filter = TrailFilter { from, to, ..TrailFilter::default() };
    let mut tx =
        begin_permitted(store, actor, Permission::AuditRead, &filter, AuditAction::Read).await?;
    let (Some(from), Some(to)) = (from, to) else {
        let missing = [("from", from), ("to", to)].into_iter().filter(|(_, time)| time.is_none());
        let errors = missing.map(|(path, _)| FieldError::required(path)).collect();
        return Err(ComplianceError::InvalidFilter(errors));
    };
    filter.check()?;
    if to - from > LONGEST {
        return Err(ComplianceError::InvalidFilter(vec![FieldError::new(
            "to",
            "too_long",
            "A report covers at most 366 days.",
        )]));
    }
    let counted = tx.activity(from, to, NAMED).await?;
    tx.audit(filter.entry(AuditAction::Read).detail("report", "activity"));
    tx.commit().await?;
    Ok(counted)
}
