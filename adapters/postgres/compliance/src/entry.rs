//! The row of an audit entry.

use compliance::RecordedEntry;
use kernel::{AuditEntryId, PatientId, RequestId, Uuid};
use sea_orm::{DbErr, QueryResult};

/// The columns of an entry, of the table under the alias `e`.
pub(super) const COLUMNS: &str = "e.id, e.seq, e.occurred_at, e.actor_kind, e.actor_id, e.roles, \
     e.action, e.entity, e.entity_id, e.patient_id, e.outcome, e.request_id, e.ip, e.user_agent, \
     e.detail";

pub(super) fn from_row(row: &QueryResult) -> Result<RecordedEntry, DbErr> {
    Ok(RecordedEntry {
        id: AuditEntryId(row.try_get("", "id")?),
        seq: row.try_get("", "seq")?,
        occurred_at: row.try_get("", "occurred_at")?,
        actor_kind: row.try_get("", "actor_kind")?,
        actor: row.try_get("", "actor_id")?,
        roles: row.try_get("", "roles")?,
        action: row.try_get("", "action")?,
        entity: row.try_get("", "entity")?,
        entity_id: row.try_get("", "entity_id")?,
        patient: row.try_get::<Option<Uuid>>("", "patient_id")?.map(PatientId),
        outcome: row.try_get("", "outcome")?,
        request: row.try_get::<Option<Uuid>>("", "request_id")?.map(RequestId),
        ip: row.try_get("", "ip")?,
        user_agent: row.try_get("", "user_agent")?,
        detail: row.try_get("", "detail")?,
    })
}
