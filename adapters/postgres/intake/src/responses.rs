//! Responses, each read with the number and the form of the version that it
//! answers, and with its photos.

use std::collections::{BTreeMap, BTreeSet};

use async_trait::async_trait;
use intake::{Answers, Consent, Facts, FormResponse, ResponseQuery, Score};
use kernel::{Actor, CategoryId, FormId, FormResponseId, FormVersionId, Page, PatientId, Uuid};
use ports::Result;
use sea_orm::{
    Condition, FromQueryResult, JoinType, Order, QuerySelect as _, Select, entity::prelude::*,
};
use serde::{Deserialize, Serialize};

use super::{forms, photos, read, readable, versions, written};
use pg::{PgTx, Row, Unreadable, db, opened_with, page, reached};

#[derive(Clone, Debug, PartialEq, Eq, DeriveEntityModel)]
#[sea_orm(table_name = "intake_responses")]
pub struct Model {
    #[sea_orm(primary_key, auto_increment = false)]
    pub id: FormResponseId,
    pub patient_id: PatientId,
    pub category_id: CategoryId,
    pub form_version_id: FormVersionId,
    pub content: Vec<u8>,
    pub submitted_at: ChronoDateTimeUtc,
}

#[derive(Copy, Clone, Debug, EnumIter, DeriveRelation)]
pub enum Relation {
    #[sea_orm(
        belongs_to = "versions::Entity",
        from = "Column::FormVersionId",
        to = "versions::Column::Id"
    )]
    FormVersion,
}

impl ActiveModelBehavior for ActiveModel {}

/// The sealed content of a response.
#[derive(Serialize, Deserialize)]
struct Content {
    answers: Answers,
    scores: BTreeMap<String, Score>,
    flags: BTreeSet<String>,
    consents: BTreeSet<Consent>,
    facts: Facts,
}

/// Without the definition of the version, which is large.
#[derive(FromQueryResult)]
struct Found {
    #[sea_orm(nested)]
    row: Model,
    number: i32,
    form_id: FormId,
    slug: String,
}

#[async_trait]
impl Row for Model {
    type Aggregate = FormResponse;

    const SEALED: &'static [Column] = &[Column::Content];

    const HAS_PARTS: bool = true;

    /// Without its form and its photos, which `load` adds.
    fn open(self) -> Result<FormResponse, Unreadable> {
        let Content { answers, scores, flags, consents, facts } = read(&self.content)?;
        Ok(FormResponse {
            id: self.id,
            patient: self.patient_id,
            category: self.category_id,
            form: FormId(Uuid::nil()),
            form_slug: String::new(),
            form_version: self.form_version_id,
            version_number: 0,
            answers,
            scores,
            flags,
            consents,
            facts,
            photos: Vec::new(),
            submitted_at: self.submitted_at,
        })
    }

    fn close(response: &FormResponse) -> Self {
        let content = Content {
            answers: response.answers.clone(),
            scores: response.scores.clone(),
            flags: response.flags.clone(),
            consents: response.consents.clone(),
            facts: response.facts,
        };
        Self {
            id: response.id,
            patient_id: response.patient,
            category_id: response.category,
            form_version_id: response.form_version,
            content: written(&content),
            submitted_at: response.submitted_at,
        }
    }

    fn reach(actor: &Actor) -> Condition {
        readable(actor, Column::PatientId)
    }

    async fn load(tx: &PgTx, select: Select<Entity>) -> Result<Vec<FormResponse>> {
        let found = select
            .join(JoinType::InnerJoin, Relation::FormVersion.def())
            .join(JoinType::InnerJoin, versions::Relation::Form.def())
            .columns([versions::Column::Number, versions::Column::FormId])
            .column(forms::Column::Slug)
            .into_model::<Found>()
            .all(tx.read())
            .await
            .map_err(|error| db("reading responses", error))?;
        let mut photos = photos::of(tx, found.iter().map(|found| found.row.id)).await?;
        let response = |Found { row, number, form_id, slug }| {
            opened_with(tx, row, |response| {
                (response.version_number, response.form, response.form_slug) =
                    (number, form_id, slug);
                response.photos = photos.remove(&response.id).unwrap_or_default();
                Ok(())
            })
        };
        found.into_iter().map(response).collect()
    }

    /// Its photos were locked.
    async fn save_parts(tx: &mut PgTx, response: &FormResponse) -> Result<()> {
        photos::attach(tx, response).await
    }
}

pub async fn all(tx: &PgTx, query: &ResponseQuery) -> Result<Page<FormResponse>> {
    let mut found = reached::<Model>(tx).filter(Column::PatientId.eq(query.patient));
    if let Some(category) = query.category {
        found = found.filter(Column::CategoryId.eq(category));
    }
    let time = |response: &FormResponse| response.submitted_at;
    page::<Model>(tx, found, Column::SubmittedAt, Order::Desc, &query.page, time).await
}
