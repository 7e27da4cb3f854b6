//! The versions of forms, each read with its form.

use async_trait::async_trait;
use intake::{Form, FormVersion, VersionStatus};
use kernel::{CategoryId, FormId, FormVersionId, Page, PageRequest, Uuid, Word};
use ports::Result;
use sea_orm::{Order, QuerySelect as _, Select, entity::prelude::*};
use serde_json::json;

use super::forms;
use pg::{PgTx, Row, Unreadable, db, opened_with, page, reached};

#[derive(Clone, Copy, Debug, PartialEq, Eq, Word)]
pub enum Status {
    Draft,
    Published,
    Retired,
}

#[derive(Clone, Debug, PartialEq, Eq, DeriveEntityModel)]
#[sea_orm(table_name = "intake_form_versions")]
pub struct Model {
    #[sea_orm(primary_key, auto_increment = false)]
    pub id: FormVersionId,
    pub form_id: FormId,
    pub number: i32,
    pub status: Status,
    pub definition: Json,
    pub created_at: ChronoDateTimeUtc,
    pub published_at: Option<ChronoDateTimeUtc>,
    pub retired_at: Option<ChronoDateTimeUtc>,
    pub based_on: Option<FormVersionId>,
    pub version: i64,
    pub changed_at: ChronoDateTimeUtc,
}

#[derive(Copy, Clone, Debug, EnumIter, DeriveRelation)]
pub enum Relation {
    #[sea_orm(belongs_to = "forms::Entity", from = "Column::FormId", to = "forms::Column::Id")]
    Form,
}

impl Related<forms::Entity> for Entity {
    fn to() -> RelationDef {
        Relation::Form.def()
    }
}

impl ActiveModelBehavior for ActiveModel {}

#[async_trait]
impl Row for Model {
    type Aggregate = FormVersion;

    /// A definition is long, and a comparison of versions tells it by its items.
    const UNTOLD: &'static [Column] = &[Column::Definition];

    const HAS_PARTS: bool = true;

    /// Without its form, which `load` adds.
    fn open(self) -> Result<FormVersion, Unreadable> {
        let status = match (self.status, self.published_at, self.retired_at) {
            (Status::Draft, None, None) => VersionStatus::Draft,
            (Status::Published, Some(at), None) => VersionStatus::Published { at },
            (Status::Retired, Some(published_at), Some(at)) => {
                VersionStatus::Retired { published_at, at }
            }
            _ => return Err("it has a status that cannot be".into()),
        };
        Ok(FormVersion {
            id: self.id,
            form: Form { id: self.form_id, category: CategoryId(Uuid::nil()), slug: String::new() },
            number: self.number,
            status,
            definition: serde_json::from_value(self.definition)?,
            based_on: self.based_on,
            version: self.version,
            created_at: self.created_at,
            changed_at: self.changed_at,
        })
    }

    fn close(version: &FormVersion) -> Self {
        let (status, published_at, retired_at) = match version.status {
            VersionStatus::Draft => (Status::Draft, None, None),
            VersionStatus::Published { at } => (Status::Published, Some(at), None),
            VersionStatus::Retired { published_at, at } => {
                (Status::Retired, Some(published_at), Some(at))
            }
        };
        Self {
            id: version.id,
            form_id: version.form.id,
            number: version.number,
            status,
            definition: json!(version.definition),
            created_at: version.created_at,
            published_at,
            retired_at,
            based_on: version.based_on,
            version: version.version,
            changed_at: version.changed_at,
        }
    }

    async fn load(tx: &PgTx, select: Select<Entity>) -> Result<Vec<FormVersion>> {
        let found = select.find_also_related(forms::Entity).all(tx.read()).await;
        let found = found.map_err(|error| db("reading form versions", error))?;
        let version = |(row, form): (Self, Option<forms::Model>)| {
            opened_with(tx, row, |version| {
                version.form = form.ok_or("it has no form")?.open();
                Ok(())
            })
        };
        found.into_iter().map(version).collect()
    }
}

// `load` joins the form, so that its columns may be asked for.
pub async fn all(
    tx: &PgTx,
    category: Option<CategoryId>,
    request: &PageRequest,
) -> Result<Page<FormVersion>> {
    let mut found = reached::<Model>(tx);
    if let Some(category) = category {
        found = found.filter(forms::Column::CategoryId.eq(category));
    }
    page::<Model>(tx, found, Column::CreatedAt, Order::Desc, request, |version| version.created_at)
        .await
}

pub async fn published(tx: &PgTx, category: CategoryId) -> Result<Option<FormVersion>> {
    let found = reached::<Model>(tx)
        .filter(forms::Column::CategoryId.eq(category))
        .filter(Column::Status.eq(Status::Published));
    Ok(Model::load(tx, found).await?.pop())
}

pub async fn latest_number(tx: &PgTx, form: FormId) -> Result<i32> {
    let latest = Entity::find()
        .select_only()
        .column_as(Column::Number.max(), "latest")
        .filter(Column::FormId.eq(form))
        .into_tuple::<Option<i32>>()
        .one(tx.read())
        .await
        .map_err(|error| db("counting the versions of a form", error))?;
    Ok(latest.flatten().unwrap_or(0))
}
