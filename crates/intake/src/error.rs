use chrono::{DateTime, Utc};
use kernel::{DomainError, FieldError, actor::MissingPermission};
use ports::{Aggregate, PortError};

#[derive(Debug, thiserror::Error, DomainError)]
pub enum IntakeError {
    #[error("there is no such category")]
    #[domain(NotFound, "intake.category_not_found")]
    CategoryNotFound,
    #[error("the category has no published form")]
    #[domain(NotFound, "intake.form_not_found")]
    FormNotFound,
    #[error("there is no open draft")]
    #[domain(NotFound, "intake.draft_not_found")]
    DraftNotFound,
    #[error("there is no such patient")]
    #[domain(NotFound, "intake.patient_not_found")]
    PatientNotFound,
    #[error("{} answers are missing or wrong", .0.len())]
    #[domain(Invalid, "intake.invalid_answers", fields)]
    InvalidAnswers(Vec<FieldError>),
    #[error("the form breaks {} rules", .0.len())]
    #[domain(Invalid, "intake.invalid_definition", fields)]
    InvalidDefinition(Vec<FieldError>),
    #[error("the version was published before, and never changes")]
    #[domain(Conflict, "intake.already_published")]
    AlreadyPublished,
    /// The number is that of the published version.
    #[error("version {0} was published since this draft was made; take it in and say so")]
    #[domain(Conflict, "intake.superseded")]
    Superseded(i32),
    #[error("the form was changed at the same moment; read it again")]
    #[domain(Conflict, "intake.changed_at_once")]
    ChangedAtOnce,
    /// The fields are where the draft is not what was asked for.
    #[error("the draft was changed since it was read: it is at revision {current} since {at}")]
    #[domain(PreconditionFailed, "intake.revision_changed", fields)]
    RevisionChanged { current: i64, at: DateTime<Utc>, fields: Vec<FieldError> },
    #[error("the form has another version by now; read it again")]
    #[domain(Conflict, "intake.form_not_current")]
    FormNotCurrent,
    /// The fields are the answers that differ.
    #[error("the draft was changed since it was read: {}", at_version(*.current))]
    #[domain(Conflict, "intake.draft_changed", fields)]
    DraftChanged { current: Option<i64>, fields: Vec<FieldError> },
    #[error("the form asks for the patient's sex and birth date, which the profile lacks")]
    #[domain(Conflict, "intake.profile_incomplete")]
    ProfileIncomplete,
    #[error("there is no such photo")]
    #[domain(NotFound, "intake.photo_not_found")]
    PhotoNotFound,
    #[error("the file is not a photo that can be taken")]
    #[domain(Invalid, "intake.invalid_photo", fields)]
    InvalidPhoto(Vec<FieldError>),
    #[error("the photo is part of a submitted response, which never changes")]
    #[domain(Conflict, "intake.photo_attached")]
    PhotoAttached,
    #[error("the form of this category asks for no photo")]
    #[domain(Conflict, "intake.no_photo_asked")]
    NoPhotoAsked,
    #[error("{0} uploaded photos wait for their form; submit it or delete some first")]
    #[domain(Conflict, "intake.too_many_photos")]
    TooManyPhotos(u64),
    #[error("only a patient answers an intake form")]
    #[domain(Forbidden, "intake.not_a_patient")]
    NotAPatient,
    #[error(transparent)]
    #[domain(Forbidden, "forbidden")]
    Forbidden(#[from] MissingPermission),
    #[error(transparent)]
    #[domain(transparent)]
    Port(#[from] PortError),
}

impl IntakeError {
    /// For what is not there, or not for the caller.
    pub(crate) fn no<A: Aggregate>() -> Self {
        PortError::not_found(A::NAME).into()
    }
}

fn at_version(version: Option<i64>) -> String {
    version.map_or_else(
        || "there is none any more".to_owned(),
        |version| format!("it is at version {version}"),
    )
}
