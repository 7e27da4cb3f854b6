//! Photos: what a patient uploads for the questions of a form that ask for
//! one. A photo waits for its form; once a submitted response names it, it is
//! part of that response and never changes.

mod exif;
mod image;
mod jpeg;
mod png;
mod vault;
mod webp;

use chrono::{DateTime, TimeDelta, Utc};
use kernel::{CategoryId, FormResponseId, PatientId, PhotoId, Word};
use ports::{Aggregate, BlindIndex};

pub use self::{
    image::{MOST_EDGE, MOST_PIXELS, Prepared, prepare},
    vault::PhotoVault,
};
use crate::{Answer, Answers};

/// The largest photo in bytes, where the configuration says nothing else.
pub const LIMIT: usize = 10_000_000;
/// How many photos of one patient may wait for their forms.
pub const MOST_WAITING: u64 = 30;
/// How long a photo waits for its form at least before it is removed.
pub const KEPT_FOR: TimeDelta = TimeDelta::days(7);
/// For how long a form that its patient has begun, and not looked after since,
/// keeps the photos that wait for it.
pub const BEGUN_FOR: TimeDelta = TimeDelta::days(90);

/// What is taken. HEIC is not, because nothing that is kept up removes from it
/// what it tells of the place and the time.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Word)]
pub enum MediaType {
    #[word("image/jpeg")]
    Jpeg,
    #[word("image/png")]
    Png,
    #[word("image/webp")]
    Webp,
}

impl MediaType {
    /// How the name of such a file ends.
    pub const fn extension(self) -> &'static str {
        match self {
            Self::Jpeg => "jpg",
            Self::Png => "png",
            Self::Webp => "webp",
        }
    }
}

/// What is known of a photo; its bytes are in the vault.
#[derive(Clone, Debug, PartialEq, Eq, Aggregate)]
#[aggregate("form_photo", patient)]
pub struct Photo {
    pub id: PhotoId,
    pub patient: PatientId,
    /// The category whose form it was taken for.
    pub category: CategoryId,
    pub media_type: MediaType,
    /// In bytes, as it is handed out.
    pub size: u32,
    pub width: u32,
    pub height: u32,
    /// A keyed digest of the bytes.
    pub digest: BlindIndex,
    pub created_at: DateTime<Utc>,
    /// The response that it is part of; to become that is a change of neither.
    pub response: Option<FormResponseId>,
    pub version: i64,
}

impl Photo {
    /// From when on it is removed, if no form is begun or submitted with it
    /// before.
    pub fn expires_at(&self) -> Option<DateTime<Utc>> {
        self.response.is_none().then(|| self.created_at + KEPT_FOR)
    }

    /// Whether an answer of this patient to the form of this category may name
    /// it.
    pub fn waits_for(&self, patient: PatientId, category: CategoryId) -> bool {
        self.response.is_none() && self.patient == patient && self.category == category
    }
}

const FOLDER: &str = "/api/photos/";

/// Where the photo is read, on whatever host serves.
pub fn address(id: PhotoId) -> String {
    format!("{FOLDER}{id}")
}

/// The photo that an address names.
pub fn id_in(address: &str) -> Option<PhotoId> {
    address.rsplit_once(FOLDER)?.1.parse().ok()
}

/// Every photo that the answers name, with the path of the answer that does.
pub fn named_in(answers: &Answers) -> Vec<(String, PhotoId)> {
    fn below(answers: &Answers, prefix: &str, out: &mut Vec<(String, PhotoId)>) {
        for (link_id, answer) in answers {
            let path = format!("{prefix}.{link_id}");
            match answer {
                Answer::Photos(ids) => out.extend(ids.iter().map(|id| (path.clone(), *id))),
                Answer::Rows(rows) => {
                    for (index, row) in rows.iter().enumerate() {
                        below(row, &format!("{path}[{index}]"), out);
                    }
                }
                _ => {}
            }
        }
    }
    let mut out = Vec::new();
    below(answers, "answers", &mut out);
    out
}

#[cfg(test)]
mod tests;
