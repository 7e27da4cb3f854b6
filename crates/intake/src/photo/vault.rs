//! Where the bytes of photos lie: sealed, each for its own id, as objects in a
//! folder for each day. The folders bound what has to be looked through for
//! objects that belong to no photo.

use std::sync::Arc;

use chrono::NaiveDate;
use kernel::PhotoId;
use ports::{BlindIndex, PortError, Result, Sealed, Sealer, objects::Objects};
use sha2::{Digest as _, Sha256};

use super::Photo;

const FOLDER: &str = "intake/photos";
const PLACE: &str = "intake_photos.object";
const DIGEST: &str = "intake_photos.digest";

#[derive(Clone)]
pub struct PhotoVault {
    objects: Arc<dyn Objects>,
    sealer: Arc<dyn Sealer>,
}

impl PhotoVault {
    pub fn new(objects: Arc<dyn Objects>, sealer: Arc<dyn Sealer>) -> Self {
        Self { objects, sealer }
    }

    /// A keyed digest of the bytes of a photo.
    pub fn digest(&self, bytes: &[u8]) -> Result<BlindIndex> {
        self.sealer.blind_index(DIGEST, &hex::encode(Sha256::digest(bytes)))
    }

    pub async fn put(&self, photo: &Photo, bytes: &[u8]) -> Result<()> {
        let sealed = self.sealer.seal(&place(photo.id), bytes)?;
        self.objects.put(&name(photo), sealed.0.into()).await
    }

    /// The bytes of a photo that was put, and no others.
    pub async fn get(&self, photo: &Photo) -> Result<Vec<u8>> {
        let sealed = self.objects.get(&name(photo)).await?;
        let sealed = sealed.ok_or_else(|| {
            PortError::bug(format!("the object of the photo {} is missing", photo.id))
        })?;
        let bytes = self.sealer.open(&place(photo.id), &Sealed(sealed.into()))?;
        if self.digest(&bytes)? != photo.digest {
            return Err(PortError::bug(format!("the object of the photo {} is another", photo.id)));
        }
        Ok(bytes)
    }

    pub async fn remove(&self, photo: &Photo) -> Result<()> {
        self.objects.delete(&name(photo)).await
    }

    /// The ids of the objects that were put on a day.
    pub async fn of_day(&self, day: NaiveDate) -> Result<Vec<PhotoId>> {
        let names = self.objects.list(&format!("{FOLDER}/{day}")).await?;
        let last = |name: &String| name.rsplit('/').next().and_then(|id| id.parse().ok());
        Ok(names.iter().filter_map(last).collect())
    }

    /// Removes an object that belongs to no photo.
    pub async fn remove_stray(&self, day: NaiveDate, id: PhotoId) -> Result<()> {
        self.objects.delete(&format!("{FOLDER}/{day}/{id}")).await
    }
}

fn name(photo: &Photo) -> String {
    format!("{FOLDER}/{}/{}", photo.created_at.date_naive(), photo.id)
}

fn place(id: PhotoId) -> String {
    format!("{PLACE}/{id}")
}
