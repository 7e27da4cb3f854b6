//! Treatment plans, each with its versions.

use std::collections::BTreeMap;

use async_trait::async_trait;
use care::{EndReason, PlanEnding, PlanStatus, TreatmentPlan, treatment::PlanVersion};
use chrono::{DateTime, Utc};
use kernel::{Actor, AssessmentId, CategoryId, PatientId, ProviderId, TreatmentPlanId};
use ports::{PortError, Result};
use sea_orm::{
    Condition, FromQueryResult, QuerySelect as _, Select, entity::prelude::*, sea_query::Expr,
};
use serde::Deserialize;
use serde_json::json;

use crate::{int, text, text_of, treated, within};
use pg::{PgTx, Row, Unreadable, db, repository::opened};

#[derive(Clone, Debug, PartialEq, DeriveEntityModel)]
#[sea_orm(table_name = "care_treatment_plans")]
pub struct Model {
    #[sea_orm(primary_key, auto_increment = false)]
    pub id: TreatmentPlanId,
    pub patient_id: PatientId,
    pub provider_id: ProviderId,
    pub category_id: CategoryId,
    pub assessment_id: Option<AssessmentId>,
    pub automatic: bool,
    pub status: PlanStatus,
    pub ended_at: Option<ChronoDateTimeUtc>,
    pub ended_by: Option<ProviderId>,
    pub end_reason: Option<EndReason>,
    pub end_note: Option<Vec<u8>>,
    pub superseded_by: Option<TreatmentPlanId>,
    pub created_at: ChronoDateTimeUtc,
    pub version: i64,
    /// From another table; a plan is always read with them.
    #[sea_orm(ignore)]
    pub versions: Vec<PlanVersion>,
}

#[derive(Copy, Clone, Debug, EnumIter, DeriveRelation)]
pub enum Relation {}

impl ActiveModelBehavior for ActiveModel {}

const VERSIONS: &str = "(SELECT coalesce(json_agg(v ORDER BY v.number), '[]') \
     FROM care_treatment_plan_versions v WHERE v.plan_id = care_treatment_plans.id)";

#[derive(FromQueryResult)]
struct Whole {
    #[sea_orm(nested)]
    row: Model,
    kept: Json,
}

/// A row of the versions as JSON has it, in which bytes are hexadecimal.
#[derive(Deserialize)]
struct Kept {
    number: u32,
    treatment: String,
    author_id: ProviderId,
    reason: String,
    created_at: DateTime<Utc>,
}

impl Kept {
    fn open(self, tx: &PgTx, plan: TreatmentPlanId) -> Result<PlanVersion, Unreadable> {
        let unseal = |column, text: &str| -> Result<Vec<u8>, Unreadable> {
            let sealed = hex::decode(text.trim_start_matches("\\x"))?;
            Ok(tx.unseal(&place(column, self.number), plan, sealed)?)
        };
        Ok(PlanVersion {
            number: self.number,
            treatment: serde_json::from_slice(&unseal("treatment", &self.treatment)?)?,
            author: self.author_id,
            reason: String::from_utf8(unseal("reason", &self.reason)?)?,
            at: self.created_at,
        })
    }
}

/// A version's row has no id of its own, so its number is part of the place.
fn place(column: &str, number: u32) -> String {
    format!("care_treatment_plan_versions.{column}.{number}")
}

#[async_trait]
impl Row for Model {
    type Aggregate = TreatmentPlan;

    const SEALED: &'static [Column] = &[Column::EndNote];
    const HAS_PARTS: bool = true;

    fn open(self) -> Result<TreatmentPlan, Unreadable> {
        let mut versions = self.versions.into_iter();
        let first = versions.next().ok_or("it has no version")?;
        let (by, note, superseded_by) =
            (self.ended_by, text_of(self.end_note)?, self.superseded_by);
        let ended = self.ended_at.zip(self.end_reason);
        Ok(TreatmentPlan {
            id: self.id,
            patient: self.patient_id,
            provider: self.provider_id,
            category: self.category_id,
            assessment: self.assessment_id,
            automatic: self.automatic,
            status: self.status,
            first,
            later: versions.collect(),
            ended: ended.map(|(at, reason)| PlanEnding { at, by, reason, note, superseded_by }),
            version: self.version,
        })
    }

    fn close(plan: &TreatmentPlan) -> Self {
        let ended = plan.ended.as_ref();
        Self {
            id: plan.id,
            patient_id: plan.patient,
            provider_id: plan.provider,
            category_id: plan.category,
            assessment_id: plan.assessment,
            automatic: plan.automatic,
            status: plan.status,
            ended_at: ended.map(|ending| ending.at),
            ended_by: ended.and_then(|ending| ending.by),
            end_reason: ended.map(|ending| ending.reason),
            end_note: text(ended.and_then(|ending| ending.note.as_ref())),
            superseded_by: ended.and_then(|ending| ending.superseded_by),
            created_at: plan.first.at,
            version: plan.version,
            versions: plan.versions().cloned().collect(),
        }
    }

    fn reach(actor: &Actor) -> Condition {
        within(actor, Column::PatientId, |provider| Condition::all().add(treated(provider)))
    }

    async fn load(tx: &PgTx, select: Select<Entity>) -> Result<Vec<TreatmentPlan>> {
        let found = select
            .expr_as(Expr::cust(VERSIONS), "kept")
            .into_model::<Whole>()
            .all(tx.read())
            .await
            .map_err(|error| db("reading treatment plans", error))?;
        let whole = |Whole { mut row, kept }| {
            let versions = serde_json::from_value::<Vec<Kept>>(kept).map_err(Unreadable::from);
            let versions = versions
                .and_then(|kept| kept.into_iter().map(|one| one.open(tx, row.id)).collect());
            row.versions = versions.map_err(|error| {
                PortError::internal(
                    format!("the versions of plan {} cannot be read", row.id),
                    error,
                )
            })?;
            opened(tx, row)
        };
        found.into_iter().map(whole).collect()
    }

    /// Adds the version that is new; those before cannot change.
    async fn save_parts(tx: &mut PgTx, plan: &TreatmentPlan) -> Result<()> {
        let version = plan.current();
        let seal = |column, plain: &[u8]| tx.seal(&place(column, version.number), plan.id, plain);
        let treatment = seal("treatment", json!(version.treatment).to_string().as_bytes())?;
        let reason = seal("reason", version.reason.as_bytes())?;
        tx.execute(
            "adding a version of a treatment plan",
            "INSERT INTO care_treatment_plan_versions (plan_id, number, patient_id, treatment, \
             author_id, reason, created_at) VALUES ($1, $2, $3, $4, $5, $6, $7) \
             ON CONFLICT (plan_id, number) DO NOTHING",
            [
                plan.id.into(),
                int(version.number).into(),
                plan.patient.into(),
                treatment.into(),
                version.author.into(),
                reason.into(),
                version.at.into(),
            ],
        )
        .await
        .map(drop)
    }

    fn sealed_parts(plan: &TreatmentPlan) -> BTreeMap<String, Json> {
        BTreeMap::from([("treatment".to_owned(), json!(plan.current().treatment))])
    }
}

/// The patient's active plan in a category.
pub fn active(patient: PatientId, category: CategoryId) -> Select<Entity> {
    Entity::find()
        .filter(Column::PatientId.eq(patient))
        .filter(Column::CategoryId.eq(category))
        .filter(Expr::cust("status = 'active'"))
}
