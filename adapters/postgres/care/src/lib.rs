//! The store of care. The trait's methods stand here in one list; what they do
//! stands beside the rows that they are about.

mod assessments;
mod assigning;
mod break_glass;
mod consultations;
mod exchanges;
mod handover;
mod plans;
mod portal;
mod reference;
mod rules;
mod tasks;

use async_trait::async_trait;
use care::{
    Assessment, CareTx, Consultation, ConsultationStatus, DoseLimit, Modality, Protocol, QueueItem,
    Reach, StatePolicy, Task, TaskKind, TreatmentPlan,
    break_glass::BreakGlass,
    dosing::DosingRule,
    information::Exchange,
    tasks::{Shown, TaskScope},
};

pg::store!(Tx {});

use chrono::{DateTime, Utc};
use kernel::{
    AssessmentId, BreakGlassId, CategoryId, ConsultationId, FormResponseId, Page, PageRequest,
    PatientId, ProviderId, RxNorm, TaskId, TreatmentPlanId, UsState, Uuid,
};
use ports::{PortError, Result};
use sea_orm::{ConnectionTrait as _, DbBackend, QueryResult, Statement, TryGetable, Value};

use pg::db;

#[async_trait]
impl CareTx for Tx {
    async fn protocol(&mut self, category: CategoryId) -> Result<Option<Protocol>> {
        reference::protocol(self, category).await
    }

    async fn category_protocol(&mut self, category: CategoryId) -> Result<Option<(Protocol, i64)>> {
        reference::category_protocol(self, category).await
    }

    async fn save_protocol(&mut self, protocol: &Protocol, version: i64) -> Result<()> {
        reference::save_protocol(self, protocol, version).await
    }

    async fn lock_formulary(&mut self) -> Result<()> {
        reference::lock_formulary(self).await
    }

    async fn formulary(&mut self) -> Result<Vec<(DoseLimit, i64)>> {
        reference::formulary(self).await
    }

    async fn formulary_drug(&mut self, drug: &RxNorm) -> Result<Option<(DoseLimit, i64)>> {
        reference::formulary_drug(self, drug).await
    }

    async fn dose_limit(&mut self, drug: &RxNorm) -> Result<Option<DoseLimit>> {
        reference::dose_limit(self, drug).await
    }

    async fn save_dose_limit(&mut self, limit: &DoseLimit, version: i64) -> Result<()> {
        reference::save_dose_limit(self, limit, version).await
    }

    async fn dosing_rule(&mut self, drug: &RxNorm) -> Result<Option<(DosingRule, i64)>> {
        reference::dosing_rule(self, drug).await
    }

    async fn save_dosing_rule(&mut self, rule: &DosingRule, version: i64) -> Result<()> {
        reference::save_dosing_rule(self, rule, version).await
    }

    async fn auto_approval(&mut self, state: UsState, drug: &RxNorm) -> Result<bool> {
        reference::auto_approval(self, state, drug).await
    }

    async fn allow_auto_approval(&mut self, state: UsState, drug: &RxNorm) -> Result<()> {
        reference::allow_auto_approval(self, state, drug).await
    }

    async fn modality(&mut self, state: UsState) -> Result<Modality> {
        reference::modality(self, state).await
    }

    async fn state_policy(&mut self, state: UsState) -> Result<Option<(StatePolicy, i64)>> {
        reference::state_policy(self, state).await
    }

    async fn save_state_policy(&mut self, policy: &StatePolicy, version: i64) -> Result<()> {
        reference::save_state_policy(self, policy, version).await
    }

    async fn assessment(&mut self, id: AssessmentId, reach: &Reach) -> Result<Option<Assessment>> {
        assessments::one(self, id, reach).await
    }

    async fn assessment_of(&mut self, response: FormResponseId) -> Result<Option<AssessmentId>> {
        assessments::of_response(self, response).await
    }

    async fn assessments(&mut self, patient: PatientId, reach: &Reach) -> Result<Vec<Assessment>> {
        assessments::of_patient(self, patient, reach).await
    }

    async fn add_assessment(&mut self, assessment: &Assessment) -> Result<()> {
        assessments::add(self, assessment).await
    }

    async fn lock_reviews(&mut self, patient: PatientId, category: CategoryId) -> Result<()> {
        assessments::lock_reviews(self, patient, category).await
    }

    async fn save_review(&mut self, assessment: &Assessment) -> Result<()> {
        assessments::save_review(self, assessment).await
    }

    async fn review_queue(
        &mut self,
        provider: ProviderId,
        states: &[UsState],
        now: DateTime<Utc>,
        page: &PageRequest,
    ) -> Result<Page<QueueItem>> {
        assessments::queue(self, provider, states, now, page).await
    }

    async fn overdue_reviews(
        &mut self,
        now: DateTime<Utc>,
        limit: u32,
    ) -> Result<Vec<(AssessmentId, UsState)>> {
        assessments::overdue(self, now, limit).await
    }

    async fn add_exchange(&mut self, exchange: &Exchange) -> Result<()> {
        exchanges::add(self, exchange).await
    }

    async fn answer_exchange(
        &mut self,
        assessment: AssessmentId,
        answer: &str,
        at: DateTime<Utc>,
    ) -> Result<()> {
        exchanges::answer(self, assessment, answer, at).await
    }

    async fn exchanges(&mut self, assessment: AssessmentId) -> Result<Vec<Exchange>> {
        exchanges::of(self, assessment).await
    }

    async fn plan(&mut self, id: TreatmentPlanId, reach: &Reach) -> Result<Option<TreatmentPlan>> {
        plans::one(self, id, reach).await
    }

    async fn active_plan(
        &mut self,
        patient: PatientId,
        category: CategoryId,
    ) -> Result<Option<TreatmentPlanId>> {
        plans::active(self, patient, category).await
    }

    async fn plans(&mut self, patient: PatientId, reach: &Reach) -> Result<Vec<TreatmentPlan>> {
        plans::of_patient(self, patient, reach).await
    }

    async fn add_plan(&mut self, plan: &TreatmentPlan) -> Result<()> {
        plans::add(self, plan).await
    }

    async fn save_plan(&mut self, plan: &TreatmentPlan) -> Result<()> {
        plans::save(self, plan).await
    }

    async fn add_task(&mut self, task: &Task) -> Result<bool> {
        tasks::add(self, task).await
    }

    async fn task(&mut self, id: TaskId, scope: &TaskScope) -> Result<Option<Task>> {
        tasks::one(self, id, scope).await
    }

    async fn save_task(&mut self, task: &Task) -> Result<()> {
        tasks::save(self, task).await
    }

    async fn settle_tasks(
        &mut self,
        subject: Uuid,
        by: Option<ProviderId>,
        now: DateTime<Utc>,
    ) -> Result<u64> {
        tasks::settle(self, subject, by, now).await
    }

    async fn tasks(
        &mut self,
        scope: &TaskScope,
        shown: Shown,
        now: DateTime<Utc>,
        page: &PageRequest,
    ) -> Result<Page<Task>> {
        tasks::list(self, scope, shown, now, page).await
    }

    async fn open_tasks_about(
        &mut self,
        patient: PatientId,
        kinds: &[TaskKind],
    ) -> Result<Vec<(TaskId, i64)>> {
        tasks::open_about(self, patient, kinds).await
    }

    async fn renew_task(&mut self, kind: TaskKind, subject: Uuid) -> Result<Option<TaskId>> {
        tasks::renew(self, kind, subject).await
    }

    async fn open_tasks(&mut self, provider: ProviderId) -> Result<u64> {
        tasks::count_open(self, provider).await
    }

    async fn consultation(
        &mut self,
        id: ConsultationId,
        reach: &Reach,
    ) -> Result<Option<Consultation>> {
        consultations::one(self, id, reach).await
    }

    async fn consultations(
        &mut self,
        reach: &Reach,
        status: Option<ConsultationStatus>,
        page: &PageRequest,
    ) -> Result<Page<Consultation>> {
        consultations::list(self, reach, status, page).await
    }

    async fn consultation_in(&mut self, room: &str) -> Result<Option<Consultation>> {
        consultations::in_room(self, room).await
    }

    async fn consultations_since(
        &mut self,
        patient: PatientId,
        since: DateTime<Utc>,
    ) -> Result<Vec<Consultation>> {
        consultations::since(self, patient, since).await
    }

    async fn consultations_ahead(&mut self, patient: PatientId, now: DateTime<Utc>) -> Result<u64> {
        consultations::ahead(self, patient, now).await
    }

    async fn add_consultation(&mut self, consultation: &Consultation) -> Result<()> {
        consultations::add(self, consultation).await
    }

    async fn save_consultation(&mut self, consultation: &Consultation) -> Result<()> {
        consultations::save(self, consultation).await
    }

    async fn opens_chart(&mut self, provider: ProviderId, patient: PatientId) -> Result<bool> {
        let now = self.now();
        Ok(CareTx::treats(self, provider, patient).await?
            || break_glass::open(self, provider, patient, now).await?.is_some())
    }

    async fn lock_break_glass(&mut self, provider: ProviderId, patient: PatientId) -> Result<()> {
        break_glass::lock(self, provider, patient).await
    }

    async fn open_break_glass(
        &mut self,
        provider: ProviderId,
        patient: PatientId,
        now: DateTime<Utc>,
    ) -> Result<Option<BreakGlass>> {
        break_glass::open(self, provider, patient, now).await
    }

    async fn add_break_glass(&mut self, glass: &BreakGlass) -> Result<()> {
        break_glass::add(self, glass).await
    }

    async fn lock_break_glass_by_id(&mut self, id: BreakGlassId) -> Result<Option<BreakGlass>> {
        break_glass::locked(self, id).await
    }

    async fn judge_break_glass(&mut self, glass: &BreakGlass) -> Result<()> {
        break_glass::judge(self, glass).await
    }

    async fn break_glasses(
        &mut self,
        pending: bool,
        page: &PageRequest,
    ) -> Result<Page<BreakGlass>> {
        break_glass::page(self, pending, page).await
    }

    async fn treats(&mut self, provider: ProviderId, patient: PatientId) -> Result<bool> {
        let row = one(
            self,
            "asking whom a provider treats",
            "SELECT salus_care_treats($1, $2) AS treats",
            vec![provider.uuid().into(), patient.uuid().into()],
        )
        .await?;
        row.map_or(Ok(false), |row| get(&row, "treats"))
    }
}

/// Runs a query for at most one row.
async fn one(tx: &Tx, doing: &str, sql: &str, values: Vec<Value>) -> Result<Option<QueryResult>> {
    let statement = Statement::from_sql_and_values(DbBackend::Postgres, sql, values);
    tx.read().query_one_raw(statement).await.map_err(|error| db(doing, error))
}

/// Runs a query.
async fn all(tx: &Tx, doing: &str, sql: &str, values: Vec<Value>) -> Result<Vec<QueryResult>> {
    let statement = Statement::from_sql_and_values(DbBackend::Postgres, sql, values);
    tx.read().query_all_raw(statement).await.map_err(|error| db(doing, error))
}

fn get<T: TryGetable>(row: &QueryResult, column: &str) -> Result<T> {
    row.try_get("", column).map_err(|error| db("reading a column of care", error))
}

/// A column that holds a stable word.
fn word<T>(row: &QueryResult, column: &str) -> Result<T>
where
    T: std::str::FromStr,
    T::Err: std::error::Error + Send + Sync + 'static,
{
    let text: String = get(row, column)?;
    text.parse().map_err(|error| PortError::internal(format!("{column} holds {text:?}"), error))
}

fn json<T: serde::de::DeserializeOwned>(what: &str, bytes: &[u8]) -> Result<T> {
    serde_json::from_slice(bytes)
        .map_err(|error| PortError::internal(format!("{what} does not read as JSON"), error))
}

fn to_json(what: &str, value: &impl serde::Serialize) -> Result<Vec<u8>> {
    serde_json::to_vec(value)
        .map_err(|error| PortError::internal(format!("{what} does not write as JSON"), error))
}

/// The postal codes, as an array parameter.
fn codes(states: &[UsState]) -> Value {
    states.iter().map(ToString::to_string).collect::<Vec<String>>().into()
}
