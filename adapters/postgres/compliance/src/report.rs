//! The numbers of the report of activity.

use chrono::{DateTime, Utc};
use compliance::report::{Activity, ActivityReport, ActorCount, ChainState};
use ports::Result;
use sea_orm::{FromQueryResult, Value};

use crate::Tx;

#[derive(FromQueryResult)]
struct ActivityRow {
    entity: String,
    action: String,
    outcome: String,
    entries: i64,
}

#[derive(FromQueryResult)]
struct ActorRow {
    actor_kind: String,
    actor_id: Option<String>,
    count: i64,
}

#[derive(FromQueryResult)]
struct CountRow {
    count: i64,
}

#[derive(FromQueryResult)]
struct ChainRow {
    sealed: i64,
    last_sealed_at: Option<DateTime<Utc>>,
    waiting: i64,
}

fn count(number: i64) -> u64 {
    u64::try_from(number).unwrap_or_default()
}

fn actors(rows: Vec<ActorRow>) -> Vec<ActorCount> {
    rows.into_iter()
        .map(|row| ActorCount {
            kind: row.actor_kind,
            actor: row.actor_id,
            count: count(row.count),
        })
        .collect()
}

const PERIOD: &str = "occurred_at >= $1 AND occurred_at < $2";
const OPENED: &str = "action IN ('read', 'search', 'export') AND outcome = 'success' \
                      AND patient_id IS NOT NULL AND actor_kind IN ('account', 'client') \
                      AND actor_id IS DISTINCT FROM patient_id::text";

pub async fn activity(
    tx: &mut Tx,
    from: DateTime<Utc>,
    to: DateTime<Utc>,
    named: u64,
) -> Result<ActivityReport> {
    let period = || vec![Value::from(from), Value::from(to)];
    let activity: Vec<ActivityRow> = tx
        .rows(
            "counting the audit trail",
            &format!(
                "SELECT entity, action, outcome, count(*) AS entries FROM audit_entries \
             WHERE {PERIOD} GROUP BY entity, action, outcome ORDER BY entity, action, outcome"
            ),
            period(),
        )
        .await?;
    let patients: Vec<CountRow> = tx
        .rows(
            "counting the audit trail",
            &format!(
                "SELECT count(DISTINCT patient_id) AS count FROM audit_entries \
             WHERE {PERIOD} AND {OPENED}"
            ),
            period(),
        )
        .await?;
    let most_denied: Vec<ActorRow> = tx
        .rows(
            "counting the audit trail",
            &format!(
                "SELECT actor_kind, actor_id, count(*) AS count FROM audit_entries \
             WHERE {PERIOD} AND outcome = 'denied' GROUP BY actor_kind, actor_id \
             ORDER BY count DESC, actor_kind, actor_id LIMIT {named}"
            ),
            period(),
        )
        .await?;
    let most_patients: Vec<ActorRow> = tx
        .rows(
            "counting the audit trail",
            &format!(
                "SELECT actor_kind, actor_id, count(DISTINCT patient_id) AS count \
             FROM audit_entries WHERE {PERIOD} AND {OPENED} GROUP BY actor_kind, actor_id \
             ORDER BY count DESC, actor_kind, actor_id LIMIT {named}"
            ),
            period(),
        )
        .await?;
    let chain: Vec<ChainRow> = tx
        .rows(
            "counting the audit trail",
            "SELECT coalesce(max(position), 0) AS sealed, max(sealed_at) AS last_sealed_at, \
         (SELECT count(*) FROM audit_unchained) AS waiting FROM audit_chain",
            vec![],
        )
        .await?;
    let chain = chain.into_iter().next().map_or(
        ChainState { sealed: 0, last_sealed_at: None, waiting: 0 },
        |row| ChainState {
            sealed: count(row.sealed),
            last_sealed_at: row.last_sealed_at,
            waiting: count(row.waiting),
        },
    );
    Ok(ActivityReport {
        from,
        to,
        entries: activity.iter().map(|row| count(row.entries)).sum(),
        patients_opened: patients.first().map_or(0, |row| count(row.count)),
        activity: activity
            .into_iter()
            .map(|row| Activity {
                entity: row.entity,
                action: row.action,
                outcome: row.outcome,
                entries: count(row.entries),
            })
            .collect(),
        most_denied: actors(most_denied),
        most_patients: actors(most_patients),
        chain,
    })
}
