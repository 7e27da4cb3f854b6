//! The read models of the provider portal.

use async_trait::async_trait;
use care::{
    ConsultationStatus, TaskKind,
    portal::{
        Appointment, PanelPatient, PanelPlan, PanelQuery, PortalTx, ReviewCounts, TaskCounts,
    },
    tasks::TaskScope,
};
use chrono::{DateTime, Utc};
use kernel::{CategoryId, ConsultationId, Page, PatientId, ProviderId, TreatmentPlanId};
use ports::{PortError, Result};
use sea_orm::{FromQueryResult, QueryOrder as _, QuerySelect as _, Value, entity::prelude::*};
use serde::{Deserialize, de::DeserializeOwned};

use crate::{
    Tx, codes,
    consultations::{Column, Entity as Visits},
    tasks::REACH,
};
use pg::{db, id_cursor};

/// A consultation without its notes.
type Visit = (ConsultationId, PatientId, Option<CategoryId>, DateTime<Utc>, ConsultationStatus);

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
    id: TreatmentPlanId,
    category: CategoryId,
    provider: ProviderId,
    since: DateTime<Utc>,
}

#[derive(FromQueryResult)]
struct Workload {
    waiting: i64,
    waiting_urgent: i64,
    waiting_overdue: i64,
    held: i64,
    held_overdue: i64,
    waiting_on_patients: i64,
    tasks: Json,
}

#[derive(FromQueryResult)]
struct PanelRow {
    patient_id: PatientId,
    last_contact: Option<DateTime<Utc>>,
    next_consultation: Option<DateTime<Utc>>,
    plans: Json,
}

#[async_trait]
impl PortalTx for Tx {
    async fn workload(
        &mut self,
        scope: &TaskScope,
        now: DateTime<Utc>,
    ) -> Result<(ReviewCounts, TaskCounts)> {
        let states = codes(&scope.states);
        let values = [scope.provider.into(), states.into(), now.into()];
        let doing = "counting a provider's work";
        let rows: Vec<Workload> = self.rows(doing, &workload(), values).await?;
        let row = rows.into_iter().next().ok_or_else(|| PortError::bug("a count has no row"))?;
        let reviews = ReviewCounts {
            waiting: row.waiting.unsigned_abs(),
            waiting_urgent: row.waiting_urgent.unsigned_abs(),
            waiting_overdue: row.waiting_overdue.unsigned_abs(),
            held: row.held.unsigned_abs(),
            held_overdue: row.held_overdue.unsigned_abs(),
            waiting_on_patients: row.waiting_on_patients.unsigned_abs(),
        };
        let mut tasks = TaskCounts::default();
        for kind in document::<Vec<KindCount>>(row.tasks)? {
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
        let found: Vec<Visit> = Visits::find()
            .select_only()
            .columns([
                Column::Id,
                Column::PatientId,
                Column::CategoryId,
                Column::StartsAt,
                Column::Status,
            ])
            .filter(Column::ProviderId.eq(provider))
            .filter(Column::StartsAt.gte(from))
            .filter(Column::StartsAt.lt(until))
            .order_by_asc(Column::StartsAt)
            .order_by_asc(Column::Id)
            .into_tuple()
            .all(self.read())
            .await
            .map_err(|error| db("listing the consultations of a day", error))?;
        let appointment = |(id, patient, category, starts_at, status): Visit| Appointment {
            id,
            patient,
            category,
            starts_at,
            status,
        };
        Ok(found.into_iter().map(appointment).collect())
    }

    async fn panel(
        &mut self,
        provider: ProviderId,
        query: &PanelQuery,
        now: DateTime<Utc>,
    ) -> Result<Page<PanelPatient>> {
        let mut values: Vec<Value> =
            vec![provider.into(), now.into(), i64::from(query.page.limit() + 1).into()];
        let mut filter = String::new();
        if let Some(after) = id_cursor(&query.page)? {
            values.push(after.into());
            filter.push_str(&format!("AND p.patient_id > ${} ", values.len()));
        }
        let treated = "EXISTS (SELECT 1 FROM care_treatment_plans a \
                       WHERE a.patient_id = p.patient_id AND a.status = 'active'";
        if let Some(category) = query.category {
            values.push(category.into());
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
        let rows: Vec<PanelRow> = self.rows("listing a provider's panel", &sql, values).await?;
        let items = rows.into_iter().map(panel_patient).collect::<Result<Vec<_>>>()?;
        Ok(Page::from_overfetch(items, &query.page, |found| found.patient.to_string()))
    }
}

fn document<T: DeserializeOwned>(value: Json) -> Result<T> {
    serde_json::from_value(value)
        .map_err(|error| PortError::internal("reading a part of an overview", error))
}

fn panel_patient(row: PanelRow) -> Result<PanelPatient> {
    let plan = |plan: PlanRow| PanelPlan {
        id: plan.id,
        category: plan.category,
        provider: plan.provider,
        since: plan.since,
    };
    Ok(PanelPatient {
        patient: row.patient_id,
        plans: document::<Vec<PlanRow>>(row.plans)?.into_iter().map(plan).collect(),
        last_contact: row.last_contact,
        next_consultation: row.next_consultation,
    })
}
