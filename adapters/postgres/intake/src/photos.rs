//! The rows of photos; their bytes are objects.

use std::collections::{BTreeSet, HashMap};

use async_trait::async_trait;
use chrono::{DateTime, Utc};
use intake::{Photo, PhotoTx};
use kernel::{Actor, FormResponseId, PatientId, PhotoId, Uuid};
use ports::{PortError, Result};
use sea_orm::{
    ActiveModelTrait as _,
    ActiveValue::Set,
    ColumnTrait as _, Condition, EntityTrait as _, IntoActiveModel as _, PaginatorTrait as _,
    QueryFilter as _, QueryOrder as _, QuerySelect as _,
    sea_query::{Expr, ExprTrait as _, Query},
};

use super::{
    READERS,
    entities::{draft, photo},
    mapping::{from_photo, to_photo},
};
use crate::Tx;
use pg::{db, expect_changed, reach};

/// One's own photos; of others those of submitted responses, as far as the
/// responses are read.
fn reached(actor: &Actor) -> Condition {
    if actor.is_system() {
        return Condition::all();
    }
    let of_responses = READERS
        .into_iter()
        .map(|permission| reach(actor, photo::Column::PatientId, permission))
        .fold(Condition::any(), Condition::add);
    Condition::any()
        .add(own(actor))
        .add(Condition::all().add(photo::Column::ResponseId.is_not_null()).add(of_responses))
}

fn own(actor: &Actor) -> Condition {
    match (actor.is_system(), actor.as_patient()) {
        (true, _) => Condition::all(),
        (false, Some(own)) => Condition::all().add(photo::Column::PatientId.eq(own.uuid())),
        (false, None) => Condition::all().add(Expr::value(false)),
    }
}

fn uuids(ids: &[PhotoId]) -> impl Iterator<Item = Uuid> {
    ids.iter().map(|id| id.uuid())
}

#[async_trait]
impl PhotoTx for Tx {
    async fn insert_photo(&mut self, photo: &Photo) -> Result<()> {
        let row = from_photo(photo)?.into_active_model().reset_all();
        photo::Entity::insert(row)
            .exec_without_returning(self.write())
            .await
            .map_err(|e| db("inserting a photo", e))?;
        Ok(())
    }

    async fn waiting_photos(&mut self, patient: PatientId) -> Result<u64> {
        self.lock("locking the photos of a patient", format!("intake_photos/{patient}")).await?;
        photo::Entity::find()
            .filter(own(self.actor()))
            .filter(photo::Column::PatientId.eq(patient.uuid()))
            .filter(photo::Column::ResponseId.is_null())
            .count(self.read())
            .await
            .map_err(|e| db("counting photos", e))
    }

    async fn photo(&mut self, id: PhotoId) -> Result<Option<Photo>> {
        photo::Entity::find_by_id(id.uuid())
            .filter(reached(self.actor()))
            .one(self.read())
            .await
            .map_err(|e| db("loading a photo", e))?
            .map(to_photo)
            .transpose()
    }

    async fn hold_photos(&mut self, patient: PatientId, ids: &[PhotoId]) -> Result<Vec<Photo>> {
        photo::Entity::find()
            .filter(own(self.actor()))
            .filter(photo::Column::PatientId.eq(patient.uuid()))
            .filter(photo::Column::Id.is_in(uuids(ids)))
            .order_by_asc(photo::Column::Id)
            .lock_exclusive()
            .all(self.read())
            .await
            .map_err(|e| db("holding photos", e))?
            .into_iter()
            .map(to_photo)
            .collect()
    }

    async fn attach_photos(
        &mut self,
        patient: PatientId,
        ids: &[PhotoId],
        response: FormResponseId,
    ) -> Result<()> {
        if ids.is_empty() {
            return Ok(());
        }
        let change =
            photo::ActiveModel { response_id: Set(Some(response.uuid())), ..Default::default() };
        let result = photo::Entity::update_many()
            .set(change)
            .filter(own(self.actor()))
            .filter(photo::Column::PatientId.eq(patient.uuid()))
            .filter(photo::Column::Id.is_in(uuids(ids)))
            .filter(photo::Column::ResponseId.is_null())
            .exec(self.write())
            .await
            .map_err(|e| db("attaching photos", e))?;
        if result.rows_affected == ids.len() as u64 {
            return Ok(());
        }
        Err(PortError::Conflict("photos of a response".to_owned()))
    }

    async fn delete_photo(&mut self, photo: &Photo) -> Result<()> {
        let result = photo::Entity::delete_many()
            .filter(own(self.actor()))
            .filter(photo::Column::Id.eq(photo.id.uuid()))
            .filter(photo::Column::ResponseId.is_null())
            .exec(self.write())
            .await
            .map_err(|e| db("deleting a photo", e))?;
        expect_changed(result.rows_affected, "photo of a response")
    }

    async fn stale_photos(
        &mut self,
        before: DateTime<Utc>,
        begun: DateTime<Utc>,
        limit: u32,
    ) -> Result<Vec<Photo>> {
        let of_photo = |own, other| Expr::col((draft::Entity, own)).equals((photo::Entity, other));
        let its_form = Query::select()
            .expr(Expr::val(1))
            .from(draft::Entity)
            .and_where(of_photo(draft::Column::PatientId, photo::Column::PatientId))
            .and_where(of_photo(draft::Column::CategoryId, photo::Column::CategoryId))
            .and_where(Expr::col((draft::Entity, draft::Column::UpdatedAt)).gte(begun))
            .take();
        photo::Entity::find()
            .filter(own(self.actor()))
            .filter(Expr::exists(its_form).not())
            .filter(photo::Column::ResponseId.is_null())
            .filter(photo::Column::CreatedAt.lt(before))
            .order_by_asc(photo::Column::CreatedAt)
            .limit(u64::from(limit))
            .all(self.read())
            .await
            .map_err(|e| db("listing photos that waited too long", e))?
            .into_iter()
            .map(to_photo)
            .collect()
    }

    async fn known_photos(&mut self, ids: &[PhotoId]) -> Result<BTreeSet<PhotoId>> {
        let found: Vec<Uuid> = photo::Entity::find()
            .select_only()
            .column(photo::Column::Id)
            .filter(own(self.actor()))
            .filter(photo::Column::Id.is_in(uuids(ids)))
            .into_tuple()
            .all(self.read())
            .await
            .map_err(|e| db("looking up photos", e))?;
        Ok(found.into_iter().map(Into::into).collect())
    }
}

impl Tx {
    /// The photos of responses that were read, each in the order of their ids.
    pub(super) async fn photos_of(
        &self,
        responses: impl Iterator<Item = Uuid> + Send,
    ) -> Result<HashMap<Uuid, Vec<Photo>>> {
        let rows = photo::Entity::find()
            .filter(photo::Column::ResponseId.is_in(responses))
            .order_by_asc(photo::Column::Id)
            .all(self.read())
            .await
            .map_err(|e| db("loading the photos of responses", e))?;
        let mut photos: HashMap<Uuid, Vec<Photo>> = HashMap::new();
        for row in rows {
            if let Some(response) = row.response_id {
                photos.entry(response).or_default().push(to_photo(row)?);
            }
        }
        Ok(photos)
    }
}
