//! Between intake's rows and its aggregates. What patients answered is sealed
//! on the way in and opened on the way out.

use chrono::{DateTime, Utc};
use intake::{Draft, Form, FormResponse, FormVersion, Photo, VersionStatus};
use ports::{BlindIndex, PortError, Result};
use serde::{Serialize, de::DeserializeOwned};

use super::entities::{ResponseContent, draft, form, photo, response, version};
use crate::Tx;

const DRAFT_ANSWERS: &str = "intake_drafts.answers";
const RESPONSE_CONTENT: &str = "intake_responses.content";

pub fn to_form(row: form::Model) -> Form {
    Form { id: row.id.into(), category: row.category_id.into(), slug: row.slug }
}

pub fn to_version(row: version::Model, form: form::Model) -> Result<FormVersion> {
    let status = match (row.status.as_str(), row.published_at, row.retired_at) {
        ("draft", None, None) => VersionStatus::Draft,
        ("published", Some(at), None) => VersionStatus::Published { at },
        ("retired", Some(published_at), Some(at)) => VersionStatus::Retired { published_at, at },
        _ => return Err(PortError::bug("a form version has a status that cannot be")),
    };
    Ok(FormVersion {
        id: row.id.into(),
        form: to_form(form),
        number: row.number,
        status,
        definition: serde_json::from_value(row.definition).map_err(|error| {
            PortError::internal("a stored form definition does not read", error)
        })?,
        based_on: row.based_on.map(Into::into),
        revision: row.revision,
        created_at: row.created_at,
        changed_at: row.changed_at,
    })
}

/// The columns of a status: its word, when it was published and when retired.
pub fn status_columns(
    status: VersionStatus,
) -> (&'static str, Option<DateTime<Utc>>, Option<DateTime<Utc>>) {
    match status {
        VersionStatus::Draft => ("draft", None, None),
        VersionStatus::Published { at } => ("published", Some(at), None),
        VersionStatus::Retired { published_at, at } => ("retired", Some(published_at), Some(at)),
    }
}

pub fn from_version(version: &FormVersion) -> Result<version::Model> {
    let (status, published_at, retired_at) = status_columns(version.status);
    Ok(version::Model {
        id: version.id.uuid(),
        form_id: version.form.id.uuid(),
        number: version.number,
        status: status.to_owned(),
        definition: serde_json::to_value(&version.definition)
            .map_err(|error| PortError::internal("a form definition does not serialize", error))?,
        created_at: version.created_at,
        published_at,
        retired_at,
        based_on: version.based_on.map(|id| id.uuid()),
        revision: version.revision,
        changed_at: version.changed_at,
    })
}

pub fn to_draft(tx: &Tx, row: draft::Model) -> Result<Draft> {
    Ok(Draft {
        answers: open(&tx.unseal(DRAFT_ANSWERS, row.id, row.answers)?)?,
        id: row.id.into(),
        patient: row.patient_id.into(),
        category: row.category_id.into(),
        form_version: row.form_version_id.into(),
        version: row.version,
        updated_at: row.updated_at,
    })
}

pub fn from_draft(tx: &Tx, draft: &Draft) -> Result<draft::Model> {
    Ok(draft::Model {
        id: draft.id.uuid(),
        patient_id: draft.patient.uuid(),
        category_id: draft.category.uuid(),
        form_version_id: draft.form_version.uuid(),
        answers: tx.seal(DRAFT_ANSWERS, draft.id, &written(&draft.answers)?)?,
        version: draft.version,
        updated_at: draft.updated_at,
    })
}

/// `number` and `form` are those of the version that was answered, `photos`
/// those of the response in the order of their ids.
pub fn to_response(
    tx: &Tx,
    row: response::Model,
    (number, form): (i32, &form::Model),
    photos: Vec<Photo>,
) -> Result<FormResponse> {
    let content: ResponseContent = open(&tx.unseal(RESPONSE_CONTENT, row.id, row.content)?)?;
    Ok(FormResponse {
        id: row.id.into(),
        patient: row.patient_id.into(),
        category: row.category_id.into(),
        form: form.id.into(),
        form_slug: form.slug.clone(),
        form_version: row.form_version_id.into(),
        version_number: number,
        answers: content.answers,
        scores: content.scores,
        flags: content.flags,
        consents: content.consents,
        facts: content.facts,
        photos,
        submitted_at: row.submitted_at,
    })
}

pub fn to_photo(row: photo::Model) -> Result<Photo> {
    let wrong = |_| PortError::bug(format!("the photo {} has what cannot be", row.id));
    Ok(Photo {
        id: row.id.into(),
        patient: row.patient_id.into(),
        category: row.category_id.into(),
        media_type: row
            .media_type
            .parse()
            .map_err(|_| PortError::bug(format!("the photo {} is of no known type", row.id)))?,
        size: u32::try_from(row.size).map_err(wrong)?,
        width: u32::try_from(row.width).map_err(wrong)?,
        height: u32::try_from(row.height).map_err(wrong)?,
        digest: BlindIndex(
            row.digest.try_into().map_err(|_| {
                PortError::bug(format!("the digest of the photo {} is none", row.id))
            })?,
        ),
        created_at: row.created_at,
        response: row.response_id.map(Into::into),
    })
}

pub fn from_photo(photo: &Photo) -> Result<photo::Model> {
    let number = |value: u32| {
        i32::try_from(value).map_err(|error| PortError::internal("measuring a photo", error))
    };
    Ok(photo::Model {
        id: photo.id.uuid(),
        patient_id: photo.patient.uuid(),
        category_id: photo.category.uuid(),
        media_type: photo.media_type.to_string(),
        size: number(photo.size)?,
        width: number(photo.width)?,
        height: number(photo.height)?,
        digest: photo.digest.0.to_vec(),
        created_at: photo.created_at,
        response_id: photo.response.map(|response| response.uuid()),
    })
}

pub fn from_response(tx: &Tx, response: &FormResponse) -> Result<response::Model> {
    let content = ResponseContent {
        answers: response.answers.clone(),
        scores: response.scores.clone(),
        flags: response.flags.clone(),
        consents: response.consents.clone(),
        facts: response.facts,
    };
    Ok(response::Model {
        id: response.id.uuid(),
        patient_id: response.patient.uuid(),
        category_id: response.category.uuid(),
        form_version_id: response.form_version.uuid(),
        content: tx.seal(RESPONSE_CONTENT, response.id, &written(&content)?)?,
        submitted_at: response.submitted_at,
    })
}

fn written(value: &impl Serialize) -> Result<Vec<u8>> {
    serde_json::to_vec(value)
        .map_err(|error| PortError::internal("answers do not serialize", error))
}

// The reader's own message can quote what it read, which is PHI, so only the
// place goes on.
fn open<T: DeserializeOwned>(plain: &[u8]) -> Result<T> {
    serde_json::from_slice(plain).map_err(|error| {
        PortError::bug(format!("sealed answers do not read at column {}", error.column()))
    })
}
