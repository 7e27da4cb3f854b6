//! The rows of photos; their bytes are objects.

use std::collections::{BTreeSet, HashMap};

use chrono::{DateTime, Utc};
use intake::{FormResponse, MediaType, Photo};
use kernel::{Actor, CategoryId, FormResponseId, PatientId, PhotoId};
use ports::{BlindIndex, Locked, PortError, Result};
use sea_orm::{
    ActiveValue::Set,
    Condition, QueryOrder as _, QuerySelect as _, QueryTrait as _, Select,
    entity::prelude::*,
    sea_query::{Expr, ExprTrait as _, Query},
};

use super::{drafts, own, readable};
use pg::{PgTx, Row, Unreadable, db, locked};

#[derive(Clone, Debug, PartialEq, Eq, DeriveEntityModel)]
#[sea_orm(table_name = "intake_photos")]
pub struct Model {
    #[sea_orm(primary_key, auto_increment = false)]
    pub id: PhotoId,
    pub patient_id: PatientId,
    pub category_id: CategoryId,
    pub media_type: MediaType,
    pub size: i32,
    pub width: i32,
    pub height: i32,
    pub digest: Vec<u8>,
    pub created_at: ChronoDateTimeUtc,
    pub response_id: Option<FormResponseId>,
    pub version: i64,
}

#[derive(Copy, Clone, Debug, EnumIter, DeriveRelation)]
pub enum Relation {}

impl ActiveModelBehavior for ActiveModel {}

impl Row for Model {
    type Aggregate = Photo;

    fn open(self) -> Result<Photo, Unreadable> {
        Ok(Photo {
            id: self.id,
            patient: self.patient_id,
            category: self.category_id,
            media_type: self.media_type,
            size: self.size.try_into()?,
            width: self.width.try_into()?,
            height: self.height.try_into()?,
            digest: BlindIndex(self.digest.try_into().map_err(|_| "its digest is none")?),
            created_at: self.created_at,
            response: self.response_id,
            version: self.version,
        })
    }

    fn close(photo: &Photo) -> Self {
        // A photo is far smaller than what its columns hold.
        let number = |value: u32| i32::try_from(value).unwrap_or(i32::MAX);
        Self {
            id: photo.id,
            patient_id: photo.patient,
            category_id: photo.category,
            media_type: photo.media_type,
            size: number(photo.size),
            width: number(photo.width),
            height: number(photo.height),
            digest: photo.digest.0.to_vec(),
            created_at: photo.created_at,
            response_id: photo.response,
            version: photo.version,
        }
    }

    /// One's own photos; of others those of submitted responses, as far as the
    /// responses are read.
    fn reach(actor: &Actor) -> Condition {
        let attached = Condition::all()
            .add(Column::ResponseId.is_not_null())
            .add(readable(actor, Column::PatientId));
        Condition::any().add(own(actor, Column::PatientId)).add(attached)
    }
}

/// The actor's own photos.
fn owned(tx: &PgTx) -> Select<Entity> {
    Entity::find().filter(own(tx.actor(), Column::PatientId))
}

pub async fn count_waiting(tx: &mut PgTx, patient: PatientId) -> Result<u64> {
    tx.lock("locking the photos of a patient", format!("intake_photos/{patient}")).await?;
    owned(tx)
        .filter(Column::PatientId.eq(patient))
        .filter(Column::ResponseId.is_null())
        .count(tx.read())
        .await
        .map_err(|error| db("counting photos", error))
}

pub async fn lock(
    tx: &mut PgTx,
    patient: PatientId,
    ids: &[PhotoId],
) -> Result<Vec<Locked<Photo>>> {
    let select = owned(tx)
        .filter(Column::PatientId.eq(patient))
        .filter(Column::Id.is_in(ids.iter().copied()))
        .order_by_asc(Column::Id);
    locked::<Model>(tx, select, false).await
}

/// Makes the photos of a response part of it, in one statement. Fails with
/// `Conflict` unless every one of them is the patient's and waits.
pub async fn attach(tx: &mut PgTx, response: &FormResponse) -> Result<()> {
    let photos = &response.photos;
    if photos.is_empty() {
        return Ok(());
    }
    let update = Entity::update_many()
        .set(ActiveModel { response_id: Set(Some(response.id)), ..Default::default() })
        .filter(own(tx.actor(), Column::PatientId))
        .filter(Column::PatientId.eq(response.patient))
        .filter(Column::Id.is_in(photos.iter().map(|photo| photo.id)))
        .filter(Column::ResponseId.is_null())
        .into_query();
    if tx.change("attaching photos", update).await? == photos.len() as u64 {
        return Ok(());
    }
    Err(PortError::Conflict("photos of a response".to_owned()))
}

/// The photos of responses that were read, each in the order of their ids.
pub async fn of(
    tx: &PgTx,
    responses: impl ExactSizeIterator<Item = FormResponseId> + Send,
) -> Result<HashMap<FormResponseId, Vec<Photo>>> {
    let mut photos: HashMap<FormResponseId, Vec<Photo>> = HashMap::new();
    if responses.len() == 0 {
        return Ok(photos);
    }
    let select =
        Entity::find().filter(Column::ResponseId.is_in(responses)).order_by_asc(Column::Id);
    for photo in Model::load(tx, select).await? {
        if let Some(response) = photo.response {
            photos.entry(response).or_default().push(photo);
        }
    }
    Ok(photos)
}

pub async fn stale(
    tx: &PgTx,
    before: DateTime<Utc>,
    begun: DateTime<Utc>,
    limit: u32,
) -> Result<Vec<Photo>> {
    let of_photo = |own, other| Expr::col((drafts::Entity, own)).equals((Entity, other));
    let its_form = Query::select()
        .expr(Expr::val(1))
        .from(drafts::Entity)
        .and_where(of_photo(drafts::Column::PatientId, Column::PatientId))
        .and_where(of_photo(drafts::Column::CategoryId, Column::CategoryId))
        .and_where(Expr::col((drafts::Entity, drafts::Column::UpdatedAt)).gte(begun))
        .take();
    let select = owned(tx)
        .filter(Expr::exists(its_form).not())
        .filter(Column::ResponseId.is_null())
        .filter(Column::CreatedAt.lt(before))
        .order_by_asc(Column::CreatedAt)
        .limit(u64::from(limit));
    Model::load(tx, select).await
}

pub async fn known(tx: &PgTx, ids: &[PhotoId]) -> Result<BTreeSet<PhotoId>> {
    let select = owned(tx).filter(Column::Id.is_in(ids.iter().copied()));
    Ok(Model::load(tx, select).await?.into_iter().map(|photo| photo.id).collect())
}
