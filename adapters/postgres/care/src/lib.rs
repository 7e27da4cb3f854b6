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
mod rules;
mod settings;
mod tasks;

use async_trait::async_trait;
use care::{
    Assessment, CareTx, Consultation, ConsultationStatus, QueueItem, RuleSet, Task, TaskKind,
    TreatmentPlan,
    break_glass::BreakGlass,
    information::Exchange,
    tasks::{Shown, TaskScope},
};
use chrono::{DateTime, Utc};
use kernel::{
    Actor, AssessmentId, CategoryId, FormResponseId, Page, PageRequest, PatientId, Permission,
    ProviderId, TaskId, UsState, Uuid,
};
use ports::{Locked, Result};
use sea_orm::{
    ColumnTrait, Condition, EntityTrait as _, FromQueryResult, Order, QueryFilter as _,
    QueryOrder as _, sea_query::Expr,
};
use serde_json::Value;

use pg::{Row as _, Unreadable, locked, page, page_by_id, reach, reached};

pg::store!(Tx {
    Assessment => assessments::Model,
    TreatmentPlan => plans::Model,
    Task => tasks::Model,
    Consultation => consultations::Model,
    BreakGlass => break_glass::Model,
    RuleSet => rules::Model,
});

#[async_trait]
impl CareTx for Tx {
    async fn lock_settings(&mut self, name: &'static str) -> Result<()> {
        pg::PgTx::lock(self, "locking a setting", format!("care_settings/{name}")).await
    }

    async fn setting(&mut self, name: &'static str, key: &str) -> Result<Option<(Value, i64)>> {
        settings::one(self, name, key).await
    }

    async fn settings(&mut self, name: &'static str) -> Result<Vec<(Value, i64)>> {
        settings::all(self, name).await
    }

    async fn keep_setting(
        &mut self,
        name: &'static str,
        key: &str,
        value: &Value,
        version: i64,
    ) -> Result<()> {
        settings::keep(self, name, key, value, version).await
    }

    async fn assessment_of(&mut self, response: FormResponseId) -> Result<Option<AssessmentId>> {
        assessments::of_response(self, response).await
    }

    async fn assessments(&mut self, patient: PatientId) -> Result<Vec<Assessment>> {
        let found = assessments::Entity::find()
            .filter(assessments::Column::PatientId.eq(patient))
            .order_by_desc(assessments::Column::DecidedAt)
            .order_by_desc(assessments::Column::Id);
        assessments::Model::load(self, found).await
    }

    async fn lock_reviews(&mut self, patient: PatientId, category: CategoryId) -> Result<()> {
        let key = format!("care_reviews {patient} {category}");
        pg::PgTx::lock(self, "locking the reviews of a patient", key).await
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
    ) -> Result<Vec<(AssessmentId, PatientId, UsState)>> {
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

    async fn plans(&mut self, patient: PatientId) -> Result<Vec<TreatmentPlan>> {
        let found = plans::Entity::find()
            .filter(plans::Column::PatientId.eq(patient))
            .order_by_desc(plans::Column::CreatedAt)
            .order_by_desc(plans::Column::Id);
        plans::Model::load(self, found).await
    }

    async fn active_plan(
        &mut self,
        patient: PatientId,
        category: CategoryId,
    ) -> Result<Option<TreatmentPlan>> {
        Ok(plans::Model::load(self, plans::active(patient, category)).await?.pop())
    }

    async fn lock_active_plan(
        &mut self,
        patient: PatientId,
        category: CategoryId,
    ) -> Result<Option<Locked<TreatmentPlan>>> {
        Ok(locked::<plans::Model>(self, plans::active(patient, category), false).await?.pop())
    }

    async fn add_task(&mut self, task: &Task) -> Result<bool> {
        tasks::add(self, task).await
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

    async fn consultations(
        &mut self,
        status: Option<ConsultationStatus>,
        request: &PageRequest,
    ) -> Result<Page<Consultation>> {
        let by = consultations::Column::StartsAt;
        let status = status.map(|status| consultations::Column::Status.eq(status));
        let found =
            reached::<consultations::Model>(self).filter(Condition::all().add_option(status));
        page::<consultations::Model>(self, found, by, Order::Desc, request, |one| one.starts_at)
            .await
    }

    async fn lock_consultation_in(&mut self, room: &str) -> Result<Option<Locked<Consultation>>> {
        let found =
            reached::<consultations::Model>(self).filter(consultations::Column::Room.eq(room));
        Ok(locked::<consultations::Model>(self, found, false).await?.pop())
    }

    async fn consultations_since(
        &mut self,
        patient: PatientId,
        since: DateTime<Utc>,
    ) -> Result<Vec<Consultation>> {
        let found = consultations::Entity::find()
            .filter(consultations::Column::PatientId.eq(patient))
            .filter(consultations::Column::StartsAt.gte(since));
        consultations::Model::load(self, found).await
    }

    async fn consultations_ahead(&mut self, patient: PatientId, now: DateTime<Utc>) -> Result<u64> {
        consultations::ahead(self, patient, now).await
    }

    async fn opens_chart(&mut self, provider: ProviderId, patient: PatientId) -> Result<bool> {
        let now = self.now();
        Ok(CareTx::treats(self, provider, patient).await?
            || break_glass::open(self, provider, patient, now).await?.is_some())
    }

    async fn lock_break_glass(&mut self, provider: ProviderId, patient: PatientId) -> Result<()> {
        let key = format!("break_glass {provider} {patient}");
        pg::PgTx::lock(self, "locking an emergency access", key).await
    }

    async fn open_break_glass(
        &mut self,
        provider: ProviderId,
        patient: PatientId,
        now: DateTime<Utc>,
    ) -> Result<Option<BreakGlass>> {
        break_glass::open(self, provider, patient, now).await
    }

    async fn break_glasses(
        &mut self,
        pending: bool,
        request: &PageRequest,
    ) -> Result<Page<BreakGlass>> {
        let pending = pending.then(|| break_glass::Column::ReviewedAt.is_null());
        let found =
            reached::<break_glass::Model>(self).filter(Condition::all().add_option(pending));
        page_by_id::<break_glass::Model>(self, found, Order::Desc, request).await
    }

    async fn treats(&mut self, provider: ProviderId, patient: PatientId) -> Result<bool> {
        let sql = "SELECT salus_care_treats($1, $2) AS holds";
        let values = [provider.into(), patient.into()];
        yes(self.rows("asking whom a provider treats", sql, values).await?)
    }
}

/// The id of a row that was changed.
#[derive(FromQueryResult)]
struct Changed {
    id: Uuid,
}

/// The answer to a question.
#[derive(FromQueryResult)]
struct Answer {
    holds: bool,
}

fn yes(answers: Vec<Answer>) -> Result<bool> {
    Ok(answers.first().is_some_and(|answer| answer.holds))
}

/// All rows for those who may read any chart, a patient's own, and for a provider those
/// of `theirs`.
fn within<C: ColumnTrait>(
    actor: &Actor,
    patient: C,
    theirs: impl FnOnce(ProviderId) -> Condition,
) -> Condition {
    match actor.as_provider() {
        Some(provider) if !actor.may(Permission::PatientReadAny) => theirs(provider),
        _ => reach(actor, patient, Permission::PatientReadAny),
    }
}

/// The patients whom the provider treats.
fn treated(provider: ProviderId) -> sea_orm::sea_query::SimpleExpr {
    Expr::cust_with_values("salus_care_treats($1, patient_id)", [provider.uuid()])
}

/// A text as the bytes that are sealed.
fn text(text: Option<&String>) -> Option<Vec<u8>> {
    text.map(|text| text.clone().into_bytes())
}

fn text_of(bytes: Option<Vec<u8>>) -> Result<Option<String>, Unreadable> {
    Ok(bytes.map(String::from_utf8).transpose()?)
}

/// The postal codes.
fn codes(states: &[UsState]) -> Vec<String> {
    states.iter().map(ToString::to_string).collect()
}

/// As the database counts; what is stored is far below the limit.
fn int(count: u32) -> i32 {
    i32::try_from(count).unwrap_or(i32::MAX)
}
