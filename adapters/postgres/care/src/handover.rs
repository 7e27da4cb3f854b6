//! Whose chart is whose when a provider leaves: open work, closed charts, and
//! what moves to a colleague.

use std::collections::BTreeSet;

use async_trait::async_trait;
use care::{Assessment, HandoverTx, PlanStatus, ReviewWord, TreatmentPlan, handover::OpenWork};
use chrono::{DateTime, Utc};
use kernel::{CategoryId, ConsultationId, PatientId, ProviderId, TaskId, UsState, Uuid};
use ports::{Locked, Result};
use sea_orm::{
    ColumnTrait as _, Condition, EntityTrait as _, FromQueryResult, QueryFilter as _,
    QueryOrder as _, Value,
};

use crate::{Changed, Tx, assessments, plans, yes};
use pg::{PgTx, locked};

/// What a provider has open, a row for each patient.
const OPEN_WORK: &str = "\
    WITH plans AS ( \
        SELECT patient_id, array_agg(category_id ORDER BY category_id) AS categories \
        FROM care_treatment_plans WHERE provider_id = $1 AND status = 'active' GROUP BY 1 \
    ), tasks AS ( \
        SELECT patient_id, count(*) AS open FROM care_tasks \
        WHERE provider_id = $1 AND status = 'open' GROUP BY 1 \
    ), reviews AS ( \
        SELECT patient_id, count(*) AS held FROM care_assessments \
        WHERE review_provider_id = $1 AND review IN ('claimed', 'waiting_on_patient') GROUP BY 1 \
    ), visits AS ( \
        SELECT patient_id, array_agg(starts_at ORDER BY starts_at) AS starts \
        FROM care_consultations \
        WHERE provider_id = $1 AND status = 'scheduled' AND starts_at > $2 GROUP BY 1 \
    ) \
    SELECT patient_id, coalesce(categories, '{}') AS categories, coalesce(open, 0) AS open, \
        coalesce(held, 0) AS held, coalesce(starts, '{}') AS starts \
    FROM plans FULL JOIN tasks USING (patient_id) FULL JOIN reviews USING (patient_id) \
        FULL JOIN visits USING (patient_id) \
    WHERE $3::uuid[] IS NULL OR patient_id = ANY($3) \
    ORDER BY patient_id";

#[derive(FromQueryResult)]
struct WorkRow {
    patient_id: PatientId,
    categories: Vec<Uuid>,
    open: i64,
    held: i64,
    starts: Vec<DateTime<Utc>>,
}

impl From<WorkRow> for OpenWork {
    fn from(row: WorkRow) -> Self {
        let count = |count: i64| u32::try_from(count).unwrap_or(u32::MAX);
        Self {
            patient: row.patient_id,
            plans: row.categories.into_iter().map(CategoryId).collect(),
            tasks: count(row.open),
            reviews: count(row.held),
            visits: row.starts,
        }
    }
}

#[derive(FromQueryResult)]
struct Patient {
    patient_id: PatientId,
}

#[derive(FromQueryResult)]
struct Provider {
    provider_id: ProviderId,
}

async fn patients(tx: &Tx, doing: &str, sql: &str, of: ProviderId) -> Result<BTreeSet<PatientId>> {
    let rows: Vec<Patient> = tx.rows(doing, sql, [of.into()]).await?;
    Ok(rows.into_iter().map(|row| row.patient_id).collect())
}

async fn providers(
    tx: &Tx,
    doing: &str,
    sql: &str,
    values: impl IntoIterator<Item = Value>,
) -> Result<Vec<ProviderId>> {
    let rows: Vec<Provider> = tx.rows(doing, sql, values).await?;
    Ok(rows.into_iter().map(|row| row.provider_id).collect())
}

fn key(patient: PatientId) -> String {
    format!("handover/{patient}")
}

/// Opens a chart again that a handover had closed.
pub async fn rejoin(tx: &mut PgTx, provider: ProviderId, patient: PatientId) -> Result<()> {
    let sql = "SELECT salus_care_rejoin($1, $2)";
    tx.execute("taking a patient back", sql, [provider.into(), patient.into()]).await.map(drop)
}

/// Puts the patient on the provider's panel for good.
pub async fn add_holder(tx: &mut PgTx, provider: ProviderId, patient: PatientId) -> Result<()> {
    let sql = "INSERT INTO care_review_holders (patient_id, provider_id) VALUES ($1, $2) \
         ON CONFLICT DO NOTHING";
    let values = [patient.into(), provider.into()];
    tx.execute("putting a patient on a panel", sql, values).await.map(drop)
}

#[async_trait]
impl HandoverTx for Tx {
    async fn standing_changed(&mut self) -> Result<Vec<ProviderId>> {
        let sql = "SELECT provider_id FROM care_standing ORDER BY provider_id";
        providers(self, "listing whose standing changed", sql, []).await
    }

    async fn add_standing(&mut self, provider: ProviderId, at: DateTime<Utc>) -> Result<()> {
        self.execute(
            "recording a change of standing",
            "INSERT INTO care_standing (provider_id, changed_at) VALUES ($1, $2) \
             ON CONFLICT (provider_id) DO UPDATE SET changed_at = excluded.changed_at",
            [provider.into(), at.into()],
        )
        .await
        .map(drop)
    }

    async fn whole_panel(&mut self, provider: ProviderId) -> Result<BTreeSet<PatientId>> {
        let sql = "SELECT patient_id FROM salus_care_panel($1) AS panel (patient_id) \
             UNION SELECT patient_id FROM care_tasks WHERE provider_id = $1 \
             UNION SELECT patient_id FROM care_closed_charts WHERE provider_id = $1";
        patients(self, "reading a whole panel", sql, provider).await
    }

    async fn closed_charts(&mut self, provider: ProviderId) -> Result<BTreeSet<PatientId>> {
        let sql = "SELECT patient_id FROM care_closed_charts WHERE provider_id = $1 AND unlicensed";
        patients(self, "reading closed charts", sql, provider).await
    }

    async fn closed_to(&mut self, patient: PatientId) -> Result<Vec<ProviderId>> {
        let sql = "SELECT provider_id FROM care_closed_charts WHERE patient_id = $1 \
             AND unlicensed ORDER BY provider_id";
        providers(self, "reading to whom a chart is closed", sql, [patient.into()]).await
    }

    async fn closed_for_whatever(&mut self, patient: PatientId) -> Result<Vec<ProviderId>> {
        let sql = "SELECT provider_id FROM care_closed_charts WHERE patient_id = $1 \
             AND salus_care_is_closed(provider_id, patient_id) ORDER BY provider_id";
        providers(self, "reading to whom a chart is closed", sql, [patient.into()]).await
    }

    async fn give_chart(&mut self, task: TaskId) -> Result<()> {
        self.execute(
            "giving the chart with a task",
            "INSERT INTO care_review_holders (patient_id, provider_id) \
             SELECT patient_id, provider_id FROM care_tasks \
             WHERE id = $1 AND provider_id IS NOT NULL ON CONFLICT DO NOTHING",
            [task.into()],
        )
        .await
        .map(drop)
    }

    async fn rejoin(&mut self, provider: ProviderId, patient: PatientId) -> Result<()> {
        rejoin(self, provider, patient).await
    }

    async fn open_until(
        &mut self,
        provider: ProviderId,
        patient: PatientId,
        until: DateTime<Utc>,
    ) -> Result<()> {
        self.execute(
            "opening a closed chart",
            "UPDATE care_closed_charts SET open_until = $3 \
             WHERE provider_id = $1 AND patient_id = $2",
            [provider.into(), patient.into(), until.into()],
        )
        .await
        .map(drop)
    }

    async fn set_unlicensed(
        &mut self,
        provider: ProviderId,
        patient: PatientId,
        unlicensed: bool,
    ) -> Result<()> {
        self.execute(
            "closing or opening a chart",
            "INSERT INTO care_closed_charts (provider_id, patient_id, unlicensed) \
             VALUES ($1, $2, $3) \
             ON CONFLICT (provider_id, patient_id) DO UPDATE SET unlicensed = $3",
            [provider.into(), patient.into(), unlicensed.into()],
        )
        .await
        .map(drop)
    }

    async fn lock_handover(&mut self, patient: PatientId) -> Result<()> {
        PgTx::lock(self, "waiting for a patient's handover", key(patient)).await
    }

    async fn hold_off_handover(&mut self, patient: PatientId) -> Result<()> {
        self.share("holding off a patient's handover", key(patient)).await
    }

    async fn lock_held_reviews(
        &mut self,
        provider: ProviderId,
        patient: Option<PatientId>,
    ) -> Result<Vec<Locked<Assessment>>> {
        let of = patient.map(|patient| assessments::Column::PatientId.eq(patient));
        let held = [ReviewWord::Claimed, ReviewWord::WaitingOnPatient];
        let found = assessments::Entity::find()
            .filter(assessments::Column::ReviewProviderId.eq(provider))
            .filter(assessments::Column::Review.is_in(held))
            .filter(Condition::all().add_option(of))
            .order_by_asc(assessments::Column::Id);
        locked::<assessments::Model>(self, found, false).await
    }

    async fn lock_plans_of(
        &mut self,
        provider: ProviderId,
        patient: PatientId,
    ) -> Result<Vec<Locked<TreatmentPlan>>> {
        let found = plans::Entity::find()
            .filter(plans::Column::ProviderId.eq(provider))
            .filter(plans::Column::PatientId.eq(patient))
            .filter(plans::Column::Status.eq(PlanStatus::Active))
            .order_by_asc(plans::Column::Id);
        locked::<plans::Model>(self, found, false).await
    }

    async fn open_work(
        &mut self,
        provider: ProviderId,
        patients: Option<&[PatientId]>,
        now: DateTime<Utc>,
    ) -> Result<Vec<OpenWork>> {
        let named: Option<Vec<Uuid>> =
            patients.map(|patients| patients.iter().map(|patient| patient.uuid()).collect());
        let values = [provider.into(), now.into(), named.into()];
        let doing = "reading what a provider has open";
        let rows: Vec<WorkRow> = self.rows(doing, OPEN_WORK, values).await?;
        Ok(rows.into_iter().map(OpenWork::from).collect())
    }

    async fn holds_license(
        &mut self,
        provider: ProviderId,
        state: UsState,
        at: DateTime<Utc>,
    ) -> Result<bool> {
        // The rule and the rows are identity's.
        postgres_identity::holds_license_in_force(self, provider, state, at).await
    }

    async fn is_booked(&mut self, provider: ProviderId, at: &[DateTime<Utc>]) -> Result<bool> {
        let sql = "SELECT EXISTS (SELECT 1 FROM care_consultations WHERE provider_id = $1 \
             AND starts_at = ANY($2) AND status IN ('scheduled', 'in_progress')) AS holds";
        let values = [provider.into(), at.to_vec().into()];
        yes(self.rows("looking for visits at those times", sql, values).await?)
    }

    async fn move_tasks(
        &mut self,
        patient: PatientId,
        from: ProviderId,
        to: ProviderId,
    ) -> Result<Vec<TaskId>> {
        let sql = "UPDATE care_tasks SET provider_id = $3, snoozed_until = NULL, \
             version = version + 1 \
             WHERE patient_id = $1 AND provider_id = $2 AND status = 'open' RETURNING id";
        self.write();
        let values = [patient.into(), from.into(), to.into()];
        let moved: Vec<Changed> = self.rows("moving tasks", sql, values).await?;
        Ok(moved.into_iter().map(|task| TaskId(task.id)).collect())
    }

    async fn move_visits(
        &mut self,
        patient: PatientId,
        from: ProviderId,
        to: ProviderId,
        now: DateTime<Utc>,
    ) -> Result<Vec<ConsultationId>> {
        let sql = "UPDATE care_consultations SET provider_id = $3, version = version + 1 \
             WHERE patient_id = $1 AND provider_id = $2 AND status = 'scheduled' \
             AND starts_at > $4 RETURNING id";
        self.write();
        let values = [patient.into(), from.into(), to.into(), now.into()];
        let moved: Vec<Changed> = self.rows("moving visits", sql, values).await?;
        Ok(moved.into_iter().map(|visit| ConsultationId(visit.id)).collect())
    }

    async fn move_chart(
        &mut self,
        patient: PatientId,
        from: ProviderId,
        to: ProviderId,
        now: DateTime<Utc>,
    ) -> Result<()> {
        add_holder(self, to, patient).await?;
        rejoin(self, to, patient).await?;
        self.execute(
            "closing the chart of a patient who was handed over",
            "INSERT INTO care_closed_charts \
             (provider_id, patient_id, unlicensed, handed_over_at) VALUES ($1, $2, false, $3) \
             ON CONFLICT (provider_id, patient_id) DO UPDATE SET handed_over_at = $3",
            [from.into(), patient.into(), now.into()],
        )
        .await
        .map(drop)
    }
}
