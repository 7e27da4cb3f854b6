//! Photos: uploaded for a form, read by whoever reads the response, deleted
//! while no response has them.

use chrono::{Days, NaiveDate};
use kernel::{Actor, CategoryId, PatientId, PhotoId};
use ports::{
    AuditAction, AuditEntry, Env, IdempotencyKey, JobSpec, Panel, PortError, repository::get,
};
use serde::{Deserialize, Serialize};

use super::responses::may_read;
use crate::{
    FormVersion, IntakeError, IntakeStore, IntakeTx, Photo, PhotoVault, Surroundings,
    photo::{BEGUN_FOR, KEPT_FOR, MOST_WAITING, Prepared, prepare},
    use_cases::acting_patient,
};

/// A photo as it arrived.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct NewPhoto {
    pub category: CategoryId,
    pub bytes: Vec<u8>,
}

/// Takes a photo for the form of a category, without whatever tells more than
/// the picture. The same key gives the same photo however often it is sent.
pub async fn upload_photo(
    env: &Env,
    store: &dyn IntakeStore,
    surroundings: &dyn Surroundings,
    vault: &PhotoVault,
    actor: &Actor,
    key: &IdempotencyKey,
    new: NewPhoto,
) -> Result<Photo, IntakeError> {
    let patient = acting_patient(actor)?;
    let NewPhoto { category, bytes } = new;
    if !surroundings.category_is_active(category).await? {
        return Err(IntakeError::CategoryNotFound);
    }
    let id: PhotoId = env.fresh();
    let mut tx = store.begin(actor).await?;
    if let Some(earlier) = tx.claim(key, id.uuid()).await? {
        return kept_before(tx, earlier.into()).await;
    }
    need_question(tx.as_mut(), patient, category).await?;
    need_room(tx.as_mut(), patient).await?;
    // The object is written between two transactions, so that no call holds a
    // connection while it waits for the store of the objects.
    drop(tx);
    let Prepared { media_type, width, height, bytes } =
        prepare(&bytes).map_err(|error| IntakeError::InvalidPhoto(vec![error]))?;
    let photo = Photo {
        id,
        patient,
        category,
        media_type,
        size: u32::try_from(bytes.len())
            .map_err(|error| PortError::internal("measuring a photo", error))?,
        width,
        height,
        digest: vault.digest(&bytes)?,
        created_at: env.now(),
        response: None,
        version: 1,
    };
    // The object comes first: what is cut short here leaves an object without
    // a photo, which the sweep finds, and never a photo without its object.
    vault.put(&photo, &bytes).await?;
    let kept = keep(store, actor, key, &photo).await;
    match &kept {
        Ok(kept) if kept.id == id => {}
        // Whether it was written down is not known, so this is for the sweep.
        Err(IntakeError::Port(_)) => {}
        _ => vault.remove(&photo).await?,
    }
    kept
}

/// Writes the photo down, or gives the one that a request with the same key
/// has made meanwhile.
async fn keep(
    store: &dyn IntakeStore,
    actor: &Actor,
    key: &IdempotencyKey,
    photo: &Photo,
) -> Result<Photo, IntakeError> {
    let mut tx = store.begin(actor).await?;
    if let Some(earlier) = tx.claim(key, photo.id.uuid()).await? {
        return kept_before(tx, earlier.into()).await;
    }
    need_room(tx.as_mut(), photo.patient).await?;
    tx.insert(photo).await?;
    tx.audit(
        AuditEntry::new(AuditAction::Create, "form_photo", photo.id)
            .patient(photo.patient)
            .detail("category", photo.category.to_string())
            .detail("media_type", photo.media_type.to_string())
            .detail("size", photo.size),
    );
    tx.commit().await?;
    Ok(photo.clone())
}

/// What an upload with the same key has kept.
async fn kept_before(mut tx: Box<dyn IntakeTx>, id: PhotoId) -> Result<Photo, IntakeError> {
    let photo: Option<Photo> = tx.find(id).await?;
    let photo = photo.ok_or(IntakeError::PhotoNotFound)?;
    tx.audit(AuditEntry::new(AuditAction::Read, "form_photo", id).patient(photo.patient));
    tx.commit().await?;
    Ok(photo)
}

/// The form that the patient answers, begun or new, asks for a photo.
async fn need_question(
    tx: &mut dyn IntakeTx,
    patient: PatientId,
    category: CategoryId,
) -> Result<(), IntakeError> {
    let published = tx.published_version(category).await?;
    if published.as_ref().is_some_and(|form| form.definition.asks_photos()) {
        return Ok(());
    }
    if let Some(draft) = tx.draft(patient, category).await?
        && get::<FormVersion>(tx, draft.form_version).await?.definition.asks_photos()
    {
        return Ok(());
    }
    Err(if published.is_none() { IntakeError::FormNotFound } else { IntakeError::NoPhotoAsked })
}

async fn need_room(tx: &mut dyn IntakeTx, patient: PatientId) -> Result<(), IntakeError> {
    let waiting = tx.waiting_photos(patient).await?;
    if waiting < MOST_WAITING { Ok(()) } else { Err(IntakeError::TooManyPhotos(waiting)) }
}

/// A photo with its bytes: one's own, and one that is part of a response for
/// whoever may read the response. Any other does not exist for the actor, and
/// the attempt is audited.
pub async fn photo_content(
    store: &dyn IntakeStore,
    panel: &dyn Panel,
    vault: &PhotoVault,
    actor: &Actor,
    id: PhotoId,
) -> Result<(Photo, Vec<u8>), IntakeError> {
    // The panel is asked between two transactions, so that no call holds one
    // connection while it waits for another.
    let found: Option<Photo> = store.begin(actor).await?.find(id).await?;
    let found = match found {
        Some(photo) if actor.is_patient(photo.patient) => Some(photo),
        Some(photo)
            if photo.response.is_some() && may_read(panel, actor, photo.patient).await? =>
        {
            Some(photo)
        }
        _ => None,
    };
    let Some(photo) = found else {
        return Err(not_there(store, actor, AuditAction::Read, id).await?);
    };
    let mut tx = store.begin(actor).await?;
    let response = photo.response.map(|response| response.to_string());
    tx.audit(
        AuditEntry::new(AuditAction::Read, "form_photo", id)
            .patient(photo.patient)
            .detail("response", response),
    );
    tx.commit().await?;
    let bytes = vault.get(&photo).await?;
    Ok((photo, bytes))
}

/// Deletes a photo of one's own that no response has.
pub async fn delete_photo(
    store: &dyn IntakeStore,
    vault: &PhotoVault,
    actor: &Actor,
    id: PhotoId,
) -> Result<(), IntakeError> {
    let patient = acting_patient(actor)?;
    let mut tx = store.begin(actor).await?;
    let Some(photo) = tx.lock_photos(patient, &[id]).await?.pop() else {
        drop(tx);
        return Err(not_there(store, actor, AuditAction::Delete, id).await?);
    };
    if photo.response.is_some() {
        return Err(IntakeError::PhotoAttached);
    }
    let gone = photo.stored().clone();
    tx.delete(photo).await?;
    tx.commit().await?;
    Ok(vault.remove(&gone).await?)
}

async fn not_there(
    store: &dyn IntakeStore,
    actor: &Actor,
    action: AuditAction,
    id: PhotoId,
) -> Result<IntakeError, IntakeError> {
    let mut tx = store.begin(actor).await?;
    tx.audit(AuditEntry::new(action, "form_photo", id).denied());
    tx.commit().await?;
    Ok(IntakeError::PhotoNotFound)
}

/// Removes photos that no form was submitted with, and objects that belong to
/// no photo.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct SweepPhotos {}

impl JobSpec for SweepPhotos {
    const KIND: &'static str = "intake.sweep_photos";
}

/// How many photos are looked at together.
const BATCH: u32 = 100;
/// An object without a photo is left alone for its first days, for its upload
/// may be under way.
const YOUNGEST_STRAY: Days = Days::new(2);
/// For how many days before that it is looked for: a photo is deleted a week
/// after its day, and a sweep may fail for a while.
const DAYS_OF_STRAYS: u64 = 30;

/// Returns how many photos and how many stray objects were removed.
pub async fn sweep_photos(
    env: &Env,
    store: &dyn IntakeStore,
    vault: &PhotoVault,
    _: SweepPhotos,
) -> Result<(usize, usize), IntakeError> {
    let actor = Actor::system("intake.sweep_photos");
    let stale = sweep_stale(env, store, vault, &actor).await?;
    let mut strays = 0;
    let youngest = env.now().date_naive() - YOUNGEST_STRAY;
    for back in 0..DAYS_OF_STRAYS {
        strays += sweep_strays(store, vault, &actor, youngest - Days::new(back)).await?;
    }
    Ok((stale, strays))
}

async fn sweep_stale(
    env: &Env,
    store: &dyn IntakeStore,
    vault: &PhotoVault,
    actor: &Actor,
) -> Result<usize, IntakeError> {
    let mut removed = 0;
    loop {
        let (before, begun) = (env.now() - KEPT_FOR, env.now() - BEGUN_FOR);
        let stale = store.begin(actor).await?.stale_photos(before, begun, BATCH).await?;
        if stale.is_empty() {
            return Ok(removed);
        }
        for photo in &stale {
            let mut tx = store.begin(actor).await?;
            let found = tx.lock_photos(photo.patient, &[photo.id]).await?.pop();
            // Its form was submitted after all, or its patient deleted it.
            let Some(found) = found.filter(|found| found.response.is_none()) else { continue };
            tx.delete(found).await?;
            tx.audit(
                AuditEntry::new(AuditAction::Delete, "form_photo", photo.id)
                    .detail("reason", "never_submitted"),
            );
            tx.commit().await?;
            vault.remove(photo).await?;
            removed += 1;
        }
    }
}

async fn sweep_strays(
    store: &dyn IntakeStore,
    vault: &PhotoVault,
    actor: &Actor,
    day: NaiveDate,
) -> Result<usize, IntakeError> {
    let mut removed = 0;
    for ids in vault.of_day(day).await?.chunks(BATCH as usize) {
        let mut tx = store.begin(actor).await?;
        let known = tx.known_photos(ids).await?;
        let strays: Vec<PhotoId> = ids.iter().filter(|id| !known.contains(id)).copied().collect();
        for id in &strays {
            let entry = AuditEntry::new(AuditAction::Delete, "form_photo", id);
            tx.audit(entry.detail("reason", "stray_object"));
        }
        tx.commit().await?;
        for id in strays {
            vault.remove_stray(day, id).await?;
            removed += 1;
        }
    }
    Ok(removed)
}
