//! Whose chart is whose when a provider leaves: open work, closed charts, and
//! what moves to a colleague.

use std::collections::BTreeSet;

use async_trait::async_trait;
use care::{Assessment, HandoverTx, handover::OpenWork};
use chrono::{DateTime, Utc};
use kernel::{CategoryId, ConsultationId, PatientId, ProviderId, TaskId, UsState, Uuid};
use ports::Result;
use sea_orm::{QueryResult, Value};

use super::{all, assessments, get, one};
use crate::Tx;

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

fn patients(rows: &[QueryResult]) -> Result<BTreeSet<PatientId>> {
    rows.iter().map(|row| Ok(PatientId(get::<Uuid>(row, "patient_id")?))).collect()
}

fn providers(rows: &[QueryResult]) -> Result<Vec<ProviderId>> {
    rows.iter().map(|row| Ok(ProviderId(get::<Uuid>(row, "provider_id")?))).collect()
}

fn key(patient: PatientId) -> String {
    format!("handover/{patient}")
}

/// Waits for a handover of the patient that is under way, and holds off the next
/// until the transaction ends.
pub async fn hold_off(tx: &mut Tx, patient: PatientId) -> Result<()> {
    tx.share("holding off a patient's handover", key(patient)).await
}

/// Puts the patient back on the provider's panel: a review, a plan, a task or a
/// visit of the patient was given to the provider again.
pub async fn rejoin(tx: &mut Tx, provider: ProviderId, patient: PatientId) -> Result<()> {
    tx.execute(
        "taking a patient back",
        "SELECT salus_care_rejoin($1, $2)",
        [provider.uuid().into(), patient.uuid().into()],
    )
    .await
    .map(drop)
}

/// Opens the wall for an emergency; a chart that is open anyway has no row.
pub async fn open_until(
    tx: &mut Tx,
    provider: ProviderId,
    patient: PatientId,
    until: DateTime<Utc>,
) -> Result<()> {
    tx.execute(
        "opening a closed chart",
        "UPDATE care_closed_charts SET open_until = $3 WHERE provider_id = $1 AND patient_id = $2",
        [provider.uuid().into(), patient.uuid().into(), until.into()],
    )
    .await
    .map(drop)
}

#[async_trait]
impl HandoverTx for Tx {
    async fn standing_changed(&mut self) -> Result<Vec<ProviderId>> {
        let sql = "SELECT provider_id FROM care_standing ORDER BY provider_id";
        providers(&all(self, "listing whose standing changed", sql, vec![]).await?)
    }

    async fn add_standing(&mut self, provider: ProviderId, at: DateTime<Utc>) -> Result<()> {
        self.execute(
            "recording a change of standing",
            "INSERT INTO care_standing (provider_id, changed_at) VALUES ($1, $2) \
             ON CONFLICT (provider_id) DO UPDATE SET changed_at = excluded.changed_at",
            [provider.uuid().into(), at.into()],
        )
        .await
        .map(drop)
    }

    async fn whole_panel(&mut self, provider: ProviderId) -> Result<BTreeSet<PatientId>> {
        let sql = "SELECT patient_id FROM salus_care_panel($1) AS panel (patient_id) \
             UNION SELECT patient_id FROM care_tasks WHERE provider_id = $1 \
             UNION SELECT patient_id FROM care_closed_charts WHERE provider_id = $1";
        patients(&all(self, "reading a whole panel", sql, vec![provider.uuid().into()]).await?)
    }

    async fn closed_charts(&mut self, provider: ProviderId) -> Result<BTreeSet<PatientId>> {
        let sql = "SELECT patient_id FROM care_closed_charts WHERE provider_id = $1 AND unlicensed";
        patients(&all(self, "reading closed charts", sql, vec![provider.uuid().into()]).await?)
    }

    async fn closed_to(&mut self, patient: PatientId) -> Result<Vec<ProviderId>> {
        let sql = "SELECT provider_id FROM care_closed_charts WHERE patient_id = $1 \
             AND unlicensed ORDER BY provider_id";
        providers(
            &all(self, "reading to whom a chart is closed", sql, vec![patient.uuid().into()])
                .await?,
        )
    }

    async fn closed_for_whatever(&mut self, patient: PatientId) -> Result<Vec<ProviderId>> {
        let sql = "SELECT provider_id FROM care_closed_charts WHERE patient_id = $1 \
             AND salus_care_is_closed(provider_id, patient_id) ORDER BY provider_id";
        let values = vec![patient.uuid().into()];
        providers(&all(self, "reading to whom a chart is closed", sql, values).await?)
    }

    async fn give_chart(&mut self, task: TaskId) -> Result<()> {
        self.execute(
            "giving the chart with a task",
            "INSERT INTO care_review_holders (patient_id, provider_id) \
             SELECT patient_id, provider_id FROM care_tasks \
             WHERE id = $1 AND provider_id IS NOT NULL ON CONFLICT DO NOTHING",
            [task.uuid().into()],
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
            [provider.uuid().into(), patient.uuid().into(), unlicensed.into()],
        )
        .await
        .map(drop)
    }

    async fn lock_handover(&mut self, patient: PatientId) -> Result<()> {
        self.lock("waiting for a patient's handover", key(patient)).await
    }

    async fn hold_off_handover(&mut self, patient: PatientId) -> Result<()> {
        hold_off(self, patient).await
    }

    async fn held_reviews(&mut self, provider: ProviderId) -> Result<Vec<Assessment>> {
        let rows = all(
            self,
            "reading the reviews that a provider holds",
            "SELECT * FROM care_assessments WHERE review_provider_id = $1 \
             AND review IN ('claimed', 'waiting_on_patient') ORDER BY id",
            vec![provider.uuid().into()],
        )
        .await?;
        rows.iter().map(|row| assessments::assessment(self, row)).collect()
    }

    async fn open_work(
        &mut self,
        provider: ProviderId,
        patients: Option<&[PatientId]>,
        now: DateTime<Utc>,
    ) -> Result<Vec<OpenWork>> {
        let named: Option<Vec<Uuid>> =
            patients.map(|patients| patients.iter().map(|patient| patient.uuid()).collect());
        let values: Vec<Value> = vec![provider.uuid().into(), now.into(), named.into()];
        let rows = all(self, "reading what a provider has open", OPEN_WORK, values).await?;
        let count = |row: &QueryResult, column| {
            Ok::<_, ports::PortError>(u32::try_from(get::<i64>(row, column)?).unwrap_or(u32::MAX))
        };
        rows.iter()
            .map(|row| {
                let categories: Vec<Uuid> = get(row, "categories")?;
                Ok(OpenWork {
                    patient: PatientId(get::<Uuid>(row, "patient_id")?),
                    plans: categories.into_iter().map(CategoryId).collect(),
                    tasks: count(row, "open")?,
                    reviews: count(row, "held")?,
                    visits: get(row, "starts")?,
                })
            })
            .collect()
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
        let row = one(
            self,
            "looking for visits at those times",
            "SELECT EXISTS (SELECT 1 FROM care_consultations WHERE provider_id = $1 \
             AND starts_at = ANY($2) AND status IN ('scheduled', 'in_progress')) AS booked",
            vec![provider.uuid().into(), at.to_vec().into()],
        )
        .await?;
        row.map_or(Ok(false), |row| get(&row, "booked"))
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
        let values = vec![patient.uuid().into(), from.uuid().into(), to.uuid().into()];
        self.write();
        let rows = all(self, "moving tasks", sql, values).await?;
        rows.iter().map(|row| Ok(TaskId(get::<Uuid>(row, "id")?))).collect()
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
        let values = vec![patient.uuid().into(), from.uuid().into(), to.uuid().into(), now.into()];
        self.write();
        let rows = all(self, "moving visits", sql, values).await?;
        rows.iter().map(|row| Ok(ConsultationId(get::<Uuid>(row, "id")?))).collect()
    }

    async fn move_chart(
        &mut self,
        patient: PatientId,
        from: ProviderId,
        to: ProviderId,
        now: DateTime<Utc>,
    ) -> Result<()> {
        self.execute(
            "putting a patient on a panel",
            "INSERT INTO care_review_holders (patient_id, provider_id) VALUES ($1, $2) \
             ON CONFLICT DO NOTHING",
            [patient.uuid().into(), to.uuid().into()],
        )
        .await?;
        rejoin(self, to, patient).await?;
        self.execute(
            "closing the chart of a patient who was handed over",
            "INSERT INTO care_closed_charts \
             (provider_id, patient_id, unlicensed, handed_over_at) VALUES ($1, $2, false, $3) \
             ON CONFLICT (provider_id, patient_id) DO UPDATE SET handed_over_at = $3",
            [from.uuid().into(), patient.uuid().into(), now.into()],
        )
        .await
        .map(drop)
    }
}
