use chrono::{DateTime, Utc};
use compliance::{
    RecordedEntry, TrailFilter,
    report::{ActivityReport, ActorCount},
};
use kernel::{AccountId, Page, PatientId, Uuid};
use poem_openapi::{Enum, Object};
use ports::AuditAction;

#[derive(Clone, Copy, Debug, PartialEq, Eq, Enum)]
#[oai(rename = "AuditAction", rename_all = "snake_case")]
pub(super) enum ActionView {
    Create,
    Read,
    Update,
    Delete,
    Search,
    Export,
    Execute,
    Login,
    Logout,
}

impl From<ActionView> for AuditAction {
    fn from(value: ActionView) -> Self {
        match value {
            ActionView::Create => Self::Create,
            ActionView::Read => Self::Read,
            ActionView::Update => Self::Update,
            ActionView::Delete => Self::Delete,
            ActionView::Search => Self::Search,
            ActionView::Export => Self::Export,
            ActionView::Execute => Self::Execute,
            ActionView::Login => Self::Login,
            ActionView::Logout => Self::Logout,
        }
    }
}

/// One entry of the audit log.
#[derive(Clone, Debug, Object)]
pub(super) struct AuditEntryView {
    id: Uuid,
    /// Its number; numbers grow and may have gaps.
    number: i64,
    occurred_at: DateTime<Utc>,
    /// `account`, `client`, `system` or `anonymous`.
    actor_kind: String,
    /// The id of the account or the client, or the name of the part of Salus.
    actor: Option<String>,
    /// The roles that the actor had.
    roles: Vec<String>,
    action: String,
    /// The kind of thing, as in `invoice`.
    entity: String,
    entity_id: String,
    /// Whose record it is.
    patient_id: Option<Uuid>,
    /// `success`, `denied` or `failure`.
    outcome: String,
    request_id: Option<Uuid>,
    ip: Option<String>,
    user_agent: Option<String>,
    /// Ids, states and old and new values; never PHI.
    detail: serde_json::Value,
}

impl From<RecordedEntry> for AuditEntryView {
    fn from(entry: RecordedEntry) -> Self {
        Self {
            id: entry.id.uuid(),
            number: entry.seq,
            occurred_at: entry.occurred_at,
            actor_kind: entry.actor_kind,
            actor: entry.actor,
            roles: entry.roles,
            action: entry.action,
            entity: entry.entity,
            entity_id: entry.entity_id,
            patient_id: entry.patient.map(Into::into),
            outcome: entry.outcome,
            request_id: entry.request.map(Into::into),
            ip: entry.ip,
            user_agent: entry.user_agent,
            detail: entry.detail,
        }
    }
}

/// A page of the audit log.
#[derive(Clone, Debug, Object)]
pub(super) struct AuditTrailView {
    items: Vec<AuditEntryView>,
    /// The cursor of the next page; absent on the last one.
    next: Option<String>,
}

impl From<Page<RecordedEntry>> for AuditTrailView {
    fn from(page: Page<RecordedEntry>) -> Self {
        let page = page.map(Into::into);
        Self { items: page.items, next: page.next }
    }
}

/// What the export is to hold; without any filter it is the whole log.
#[derive(Clone, Debug, Default, Object)]
#[oai(example)]
pub(super) struct AuditExportRequest {
    /// Entries about this patient's record.
    patient: Option<Uuid>,
    /// Entries about this person's record or of what this person did.
    user: Option<Uuid>,
    /// Entries of this actor.
    #[oai(validator(max_length = 200))]
    actor: Option<String>,
    action: Option<ActionView>,
    /// The kind of thing, as in `invoice`.
    #[oai(validator(max_length = 100))]
    entity: Option<String>,
    /// From this time on.
    from: Option<DateTime<Utc>>,
    /// Before this time.
    to: Option<DateTime<Utc>>,
}

impl poem_openapi::types::Example for AuditExportRequest {
    fn example() -> Self {
        Self {
            from: DateTime::from_timestamp(1_769_904_000, 0),
            to: DateTime::from_timestamp(1_772_323_200, 0),
            ..Self::default()
        }
    }
}

impl From<AuditExportRequest> for TrailFilter {
    fn from(value: AuditExportRequest) -> Self {
        Self {
            patient: value.patient.map(PatientId),
            actor: value.actor,
            subject: value.user.map(AccountId),
            action: value.action.map(Into::into),
            entity: value.entity,
            from: value.from,
            to: value.to,
        }
    }
}

/// How often something was done to one kind of thing, with one outcome.
#[derive(Clone, Debug, Object)]
pub(super) struct ActivityView {
    /// The kind of thing, as in `invoice`.
    entity: String,
    action: String,
    /// `success`, `denied` or `failure`.
    outcome: String,
    entries: u64,
}

/// An actor with a number.
#[derive(Clone, Debug, Object)]
pub(super) struct ActorCountView {
    /// `account`, `client`, `system` or `anonymous`.
    actor_kind: String,
    /// The id of the account or the client, or the name of the part of Salus.
    actor: Option<String>,
    count: u64,
}

/// How far the hash chain over the audit log has come.
#[derive(Clone, Debug, Object)]
pub(super) struct AuditChainView {
    /// How many entries it holds.
    sealed: u64,
    last_sealed_at: Option<DateTime<Utc>>,
    /// How many wait for it.
    waiting: u64,
}

/// The activity of a period.
#[derive(Clone, Debug, Object)]
pub(super) struct ActivityReportView {
    from: DateTime<Utc>,
    to: DateTime<Utc>,
    entries: u64,
    /// Of how many patients somebody else read, searched or exported something.
    patients_opened: u64,
    /// By entity, action and outcome.
    activity: Vec<ActivityView>,
    /// Who was refused most often, at most twenty.
    most_denied: Vec<ActorCountView>,
    /// Who opened the records of most patients, at most twenty.
    most_patients: Vec<ActorCountView>,
    chain: AuditChainView,
}

impl From<ActivityReport> for ActivityReportView {
    fn from(report: ActivityReport) -> Self {
        let actors = |counts: Vec<ActorCount>| {
            let view = |count: ActorCount| ActorCountView {
                actor_kind: count.kind,
                actor: count.actor,
                count: count.count,
            };
            counts.into_iter().map(view).collect()
        };
        Self {
            from: report.from,
            to: report.to,
            entries: report.entries,
            patients_opened: report.patients_opened,
            activity: report
                .activity
                .into_iter()
                .map(|activity| ActivityView {
                    entity: activity.entity,
                    action: activity.action,
                    outcome: activity.outcome,
                    entries: activity.entries,
                })
                .collect(),
            most_denied: actors(report.most_denied),
            most_patients: actors(report.most_patients),
            chain: AuditChainView {
                sealed: report.chain.sealed,
                last_sealed_at: report.chain.last_sealed_at,
                waiting: report.chain.waiting,
            },
        }
    }
}
