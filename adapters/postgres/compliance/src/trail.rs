use async_trait::async_trait;
use chrono::{DateTime, Utc};
use compliance::{AuditTx, RecordedEntry, TrailFilter, report::ActivityReport, trail::Order};
use ports::Result;
use sea_orm::{ConnectionTrait as _, DbBackend, Statement, Value};

use super::{entry, report};
use crate::Tx;
use pg::{PATIENT_RECORD, db};

#[async_trait]
impl AuditTx for Tx {
    async fn entries(
        &mut self,
        filter: &TrailFilter,
        order: Order,
        after: Option<i64>,
        limit: u64,
    ) -> Result<Vec<RecordedEntry>> {
        let doing = "reading the audit trail";
        let (sql, values) = query(filter, order, after, limit);
        let statement = Statement::from_sql_and_values(DbBackend::Postgres, sql, values);
        let rows = self.read().query_all_raw(statement).await.map_err(|error| db(doing, error))?;
        rows.iter().map(|row| entry::from_row(row).map_err(|error| db(doing, error))).collect()
    }

    async fn activity(
        &mut self,
        from: DateTime<Utc>,
        to: DateTime<Utc>,
        named: u64,
    ) -> Result<ActivityReport> {
        report::activity(self, from, to, named).await
    }
}

fn query(
    filter: &TrailFilter,
    order: Order,
    after: Option<i64>,
    limit: u64,
) -> (String, Vec<Value>) {
    let mut conditions = vec!["true".to_owned()];
    let mut values: Vec<Value> = Vec::new();
    // Each condition has its one value, which it may name more than once.
    let mut add = |condition: &str, value: Value| {
        values.push(value);
        conditions.push(condition.replace('?', &format!("${}", values.len())));
    };
    if let Some(patient) = filter.patient {
        add("e.patient_id = ?", patient.uuid().into());
    }
    if let Some(actor) = &filter.actor {
        add("e.actor_id = ?", actor.clone().into());
    }
    if let Some(subject) = filter.subject {
        add("(e.patient_id = ? OR e.actor_id = ?::text)", subject.uuid().into());
    }
    if let Some(action) = filter.action {
        add("e.action = ?", action.to_string().into());
    }
    if let Some(entity) = &filter.entity {
        // Such an entry lists several things that Salus read for itself.
        let condition = format!(
            "(e.entity = ? OR e.entity = '{PATIENT_RECORD}' AND EXISTS (SELECT 1 \
             FROM jsonb_object_keys(e.detail->'read') AS what \
             WHERE split_part(what, ' ', 1) = ?))"
        );
        add(&condition, entity.clone().into());
    }
    if let Some(from) = filter.from {
        add("e.occurred_at >= ?", from.into());
    }
    if let Some(to) = filter.to {
        add("e.occurred_at < ?", to.into());
    }
    let (beyond, direction) = match order {
        Order::OldestFirst => ("e.seq > ?", "ASC"),
        Order::NewestFirst => ("e.seq < ?", "DESC"),
    };
    if let Some(after) = after {
        add(beyond, after.into());
    }
    let sql = format!(
        "SELECT {} FROM audit_entries e WHERE {} ORDER BY e.seq {direction} LIMIT {limit}",
        entry::COLUMNS,
        conditions.join(" AND ")
    );
    (sql, values)
}
