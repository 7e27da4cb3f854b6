//! The read models of the provider portal.

use async_trait::async_trait;
use care::{
    TaskKind,
    portal::{
        Appointment, PanelPatient, PanelPlan, PanelQuery, PortalTx, ReviewCounts, TaskCounts,
    },
    tasks::TaskScope,
};
use chrono::{DateTime, Utc};
use kernel::{CategoryId, ConsultationId, Page, PatientId, ProviderId, TreatmentPlanId, Uuid};
use ports::{PortError, Result};
use sea_orm::{QueryResult, Value};
use serde::Deserialize;

use super::{all, codes, get, one, reference::document, tasks::REACH, word};
use crate::Tx;
use pg::id_cursor;

/// Counts the reviews and, for each kind, the tasks, in one statement. A review
/// that another provider holds counts for nobody else.
fn workload() -> String {
    format!(
        "\
    WITH open_reviews AS ( \
        SELECT priority, due_at, review = 'claimed' AND claimed_until > $3 AS is_held \
        FROM care_assessments \
        WHERE review IN ('waiting', 'claimed') AND state = ANY($2) \
        AND NOT (review = 'claimed' AND claimed_until > $3) \
        UNION ALL \
        SELECT priority, due_at, true FROM care_assessments \
        WHERE review = 'claimed' AND review_provider_id = $1 AND claimed_until > $3 \
    ), open_tasks AS ( \
        SELECT kind, due_at, coalesce(snoozed_until > $3, false) AS is_snoozed FROM care_tasks \
        WHERE status = 'open' AND {REACH} \
    ), kinds AS ( \
        SELECT kind, count(*) FILTER (WHERE NOT is_snoozed) AS open, \
            count(*) FILTER (WHERE NOT is_snoozed AND due_at <= $3) AS overdue, \
            count(*) FILTER (WHERE is_snoozed) AS snoozed \
        FROM open_tasks GROUP BY kind \
    ) \
    SELECT count(*) FILTER (WHERE NOT is_held) AS waiting, \
        count(*) FILTER (WHERE NOT is_held AND priority = 0) AS waiting_urgent, \
        count(*) FILTER (WHERE NOT is_held AND due_at <= $3) AS waiting_overdue, \
        count(*) FILTER (WHERE is_held) AS held, \
        count(*) FILTER (WHERE is_held AND due_at <= $3) AS held_overdue, \
        (SELECT count(*) FROM care_assessments WHERE review = 'waiting_on_patient' \
            AND review_provider_id = $1) AS waiting_on_patients, \
        (SELECT coalesce(jsonb_agg(to_jsonb(kinds)), '[]') FROM kinds) AS tasks \
    FROM open_reviews"
    )
}

#[derive(Deserialize)]
struct KindCount {
    kind: TaskKind,
    open: u64,
    overdue: u64,
    snoozed: u64,
}

#[derive(Deserialize)]
struct PlanRow {
    id: Uuid,
    category: Uuid,
    provider: Uuid,
    since: DateTime<Utc>,
}

fn count(row: &QueryResult, column: &str) -> Result<u64> {
    let count: i64 = get(row, column)?;
    u64::try_from(count).map_err(|error| PortError::internal("a count is negative", error))
}

#[async_trait]
impl PortalTx for Tx {
    async fn workload(
        &mut self,
        scope: &TaskScope,
        now: DateTime<Utc>,
    ) -> Result<(ReviewCounts, TaskCounts)> {
        let values = vec![scope.provider.uuid().into(), codes(&scope.states), now.into()];
        let row = one(self, "counting a provider's work", &workload(), values).await?;
        let row = row.ok_or_else(|| PortError::bug("a count has no row"))?;
        let reviews = ReviewCounts {
            waiting: count(&row, "waiting")?,
            waiting_urgent: count(&row, "waiting_urgent")?,
            waiting_overdue: count(&row, "waiting_overdue")?,
            held: count(&row, "held")?,
            held_overdue: count(&row, "held_overdue")?,
            waiting_on_patients: count(&row, "waiting_on_patients")?,
        };
        let mut tasks = TaskCounts::default();
        for kind in document::<Vec<KindCount>>(&row, "tasks")? {
            match kind.kind.priority() {
                care::Priority::Urgent => tasks.urgent += kind.open,
                care::Priority::Routine => tasks.routine += kind.open,
            }
            tasks.overdue += kind.overdue;
            tasks.snoozed += kind.snoozed;
        }
        Ok((reviews, tasks))
    }

    async fn appointments(
        &mut self,
        provider: ProviderId,
        from: DateTime<Utc>,
        until: DateTime<Utc>,
    ) -> Result<Vec<Appointment>> {
        let rows = all(
            self,
            "listing the consultations of a day",
            "SELECT id, patient_id, category_id, starts_at, status FROM care_consultations \
             WHERE provider_id = $1 AND starts_at >= $2 AND starts_at < $3 \
             ORDER BY starts_at, id",
            vec![provider.uuid().into(), from.into(), until.into()],
        )
        .await?;
        rows.iter()
            .map(|row| {
                Ok(Appointment {
                    id: ConsultationId(get::<Uuid>(row, "id")?),
                    patient: PatientId(get::<Uuid>(row, "patient_id")?),
                    category: get::<Option<Uuid>>(row, "category_id")?.map(CategoryId),
                    starts_at: get(row, "starts_at")?,
                    status: word(row, "status")?,
                })
            })
            .collect()
    }

    async fn panel(
        &mut self,
        provider: ProviderId,
        query: &PanelQuery,
        now: DateTime<Utc>,
    ) -> Result<Page<PanelPatient>> {
        let mut values: Vec<Value> =
            vec![provider.uuid().into(), now.into(), i64::from(query.page.limit() + 1).into()];
        let mut filter = String::new();
        if let Some(after) = id_cursor(&query.page)? {
            values.push(after.into());
            filter.push_str(&format!("AND p.patient_id > ${} ", values.len()));
        }
        let treated = "EXISTS (SELECT 1 FROM care_treatment_plans a \
                       WHERE a.patient_id = p.patient_id AND a.status = 'active'";
        if let Some(category) = query.category {
            values.push(category.uuid().into());
            filter.push_str(&format!("AND {treated} AND a.category_id = ${}) ", values.len()));
        }
        match query.under_treatment {
            None => {}
            Some(true) => filter.push_str(&format!("AND {treated}) ")),
            Some(false) => filter.push_str(&format!("AND NOT {treated}) ")),
        }
        // The page is cut before anything is looked up for its patients.
        let sql = format!(
            "WITH panel AS ( \
                SELECT DISTINCT p.patient_id FROM salus_care_panel($1) AS p (patient_id) \
                WHERE NOT salus_care_is_closed($1, p.patient_id) {filter} \
                ORDER BY p.patient_id LIMIT $3 \
             ) \
             SELECT p.patient_id, \
                greatest( \
                    (SELECT max(a.reviewed_at) FROM care_assessments a \
                        WHERE a.review_provider_id = $1 AND a.patient_id = p.patient_id), \
                    (SELECT max(v.created_at) FROM care_treatment_plans t \
                        JOIN care_treatment_plan_versions v ON v.plan_id = t.id \
                        WHERE t.patient_id = p.patient_id AND v.author_id = $1 \
                        AND NOT t.automatic), \
                    (SELECT max(c.starts_at) FROM care_consultations c \
                        WHERE c.provider_id = $1 AND c.patient_id = p.patient_id \
                        AND c.status IN ('in_progress', 'completed') AND c.starts_at <= $2) \
                ) AS last_contact, \
                (SELECT min(c.starts_at) FROM care_consultations c \
                    WHERE c.provider_id = $1 AND c.patient_id = p.patient_id \
                    AND c.status = 'scheduled' AND c.starts_at > $2) AS next_consultation, \
                (SELECT coalesce(jsonb_agg(jsonb_build_object('id', t.id, \
                        'category', t.category_id, 'provider', t.provider_id, \
                        'since', t.created_at) ORDER BY t.created_at, t.id), '[]') \
                    FROM care_treatment_plans t \
                    WHERE t.patient_id = p.patient_id AND t.status = 'active') AS plans \
             FROM panel p ORDER BY p.patient_id"
        );
        let rows = all(self, "listing a provider's panel", &sql, values).await?;
        let items = rows.iter().map(panel_patient).collect::<Result<Vec<_>>>()?;
        Ok(Page::from_overfetch(items, &query.page, |found| found.patient.to_string()))
    }
}

fn panel_patient(row: &QueryResult) -> Result<PanelPatient> {
    let plan = |plan: PlanRow| PanelPlan {
        id: TreatmentPlanId(plan.id),
        category: CategoryId(plan.category),
        provider: ProviderId(plan.provider),
        since: plan.since,
    };
    Ok(PanelPatient {
        patient: PatientId(get::<Uuid>(row, "patient_id")?),
        plans: document::<Vec<PlanRow>>(row, "plans")?.into_iter().map(plan).collect(),
        last_contact: get(row, "last_contact")?,
        next_consultation: get(row, "next_consultation")?,
    })
}
