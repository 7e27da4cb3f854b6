//! Drafts. Nobody reads along while a patient writes.

use intake::Draft;
use kernel::{Actor, CategoryId, DraftId, FormVersionId, PatientId};
use ports::{Locked, Result};
use sea_orm::{Condition, Select, entity::prelude::*};

use super::{own, read, written};
use pg::{PgTx, Row, Unreadable, db, locked, reached, repository::opened};

#[derive(Clone, Debug, PartialEq, Eq, DeriveEntityModel)]
#[sea_orm(table_name = "intake_drafts")]
pub struct Model {
    #[sea_orm(primary_key, auto_increment = false)]
    pub id: DraftId,
    pub patient_id: PatientId,
    pub category_id: CategoryId,
    pub form_version_id: FormVersionId,
    pub answers: Vec<u8>,
    pub version: i64,
    pub updated_at: ChronoDateTimeUtc,
}

#[derive(Copy, Clone, Debug, EnumIter, DeriveRelation)]
pub enum Relation {}

impl ActiveModelBehavior for ActiveModel {}

impl Row for Model {
    type Aggregate = Draft;

    const SEALED: &'static [Column] = &[Column::Answers];

    fn open(self) -> Result<Draft, Unreadable> {
        Ok(Draft {
            id: self.id,
            patient: self.patient_id,
            category: self.category_id,
            form_version: self.form_version_id,
            answers: read(&self.answers)?,
            version: self.version,
            updated_at: self.updated_at,
        })
    }

    fn close(draft: &Draft) -> Self {
        Self {
            id: draft.id,
            patient_id: draft.patient,
            category_id: draft.category,
            form_version_id: draft.form_version,
            answers: written(&draft.answers),
            version: draft.version,
            updated_at: draft.updated_at,
        }
    }

    fn reach(actor: &Actor) -> Condition {
        own(actor, Column::PatientId)
    }
}

fn is_of(patient: PatientId, category: CategoryId) -> Condition {
    Condition::all().add(Column::PatientId.eq(patient)).add(Column::CategoryId.eq(category))
}

fn select(tx: &PgTx, patient: PatientId, category: CategoryId) -> Select<Entity> {
    reached::<Model>(tx).filter(is_of(patient, category))
}

pub async fn of(tx: &PgTx, patient: PatientId, category: CategoryId) -> Result<Option<Draft>> {
    Ok(Model::load(tx, select(tx, patient, category)).await?.pop())
}

pub async fn lock(
    tx: &mut PgTx,
    patient: PatientId,
    category: CategoryId,
) -> Result<Option<Locked<Draft>>> {
    let select = select(tx, patient, category);
    if let Some(found) = locked::<Model>(tx, select.clone(), false).await?.pop() {
        return Ok(Some(found));
    }
    // Of two who begin it the second waits here, and then finds it.
    tx.lock("locking a draft", format!("intake_drafts/{patient}/{category}")).await?;
    Ok(locked::<Model>(tx, select, false).await?.pop())
}

pub async fn take(
    tx: &mut PgTx,
    patient: PatientId,
    category: CategoryId,
) -> Result<Option<Draft>> {
    let delete = Entity::delete_many()
        .filter(Model::reach(tx.actor()))
        .filter(is_of(patient, category))
        .exec_with_returning(tx.write())
        .await;
    let row = delete.map_err(|error| db("taking a draft", error))?.pop();
    row.map(|row| opened(tx, row)).transpose()
}
