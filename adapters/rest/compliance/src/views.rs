use api::Mirror;
use chrono::{DateTime, Utc};
use compliance::{
    RecordedEntry, TrailFilter,
    report::{Activity, ActivityReport, ActorCount, ChainState},
};
use kernel::{AccountId, AuditEntryId, Page, PatientId, RequestId};
use poem_openapi::Object;
use ports::AuditAction;

/// One entry of the audit log.
#[derive(Clone, Debug, Object, Mirror)]
#[mirror(from = RecordedEntry)]
pub(super) struct AuditEntryView {
    id: AuditEntryId,
    /// Its number; numbers grow and may have gaps.
    #[mirror(seq)]
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
    patient_id: Option<PatientId>,
    /// `success`, `denied` or `failure`.
    outcome: String,
    request_id: Option<RequestId>,
    ip: Option<String>,
    user_agent: Option<String>,
    /// Ids, states and old and new values; never PHI.
    detail: serde_json::Value,
}

/// A page of the audit log.
#[derive(Clone, Debug, Object, Mirror)]
#[mirror(from = Page<RecordedEntry>)]
pub(super) struct AuditTrailView {
    items: Vec<AuditEntryView>,
    /// The cursor of the next page; absent on the last one.
    next: Option<String>,
}

/// What the export is to hold; without any filter it is the whole log.
#[derive(Clone, Debug, Default, Object, Mirror)]
#[oai(example)]
#[mirror(into = TrailFilter)]
pub(super) struct AuditExportRequest {
    /// Entries about this patient's record.
    patient: Option<PatientId>,
    /// Entries about this person's record or of what this person did.
    #[mirror(subject)]
    user: Option<AccountId>,
    /// Entries of this actor.
    #[oai(validator(max_length = 200))]
    actor: Option<String>,
    action: Option<AuditAction>,
    /// The kind of thing, as in `invoice`.
    #[oai(validator(max_length = 100))]
    entity: Option<String>,
    /// From this time on.
    from: Option<DateTime<Utc>>,
    /// Before this time.
    to: Option<DateTime<Utc>>,
}

api::example!(AuditExportRequest {
    from: DateTime::from_timestamp(1_769_904_000, 0),
    to: DateTime::from_timestamp(1_772_323_200, 0),
    ..Self::default()
});

/// How often something was done to one kind of thing, with one outcome.
#[derive(Clone, Debug, Object, Mirror)]
#[mirror(from = Activity)]
pub(super) struct ActivityView {
    /// The kind of thing, as in `invoice`.
    entity: String,
    action: String,
    /// `success`, `denied` or `failure`.
    outcome: String,
    entries: u64,
}

/// An actor with a number.
#[derive(Clone, Debug, Object, Mirror)]
#[mirror(from = ActorCount)]
pub(super) struct ActorCountView {
    /// `account`, `client`, `system` or `anonymous`.
    #[mirror(kind)]
    actor_kind: String,
    /// The id of the account or the client, or the name of the part of Salus.
    actor: Option<String>,
    count: u64,
}

/// How far the hash chain over the audit log has come.
#[derive(Clone, Debug, Object, Mirror)]
#[mirror(from = ChainState)]
pub(super) struct AuditChainView {
    /// How many entries it holds.
    sealed: u64,
    last_sealed_at: Option<DateTime<Utc>>,
    /// How many wait for it.
    waiting: u64,
}

/// The activity of a period.
#[derive(Clone, Debug, Object, Mirror)]
#[mirror(from = ActivityReport)]
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
