use chrono::{DateTime, Utc};
use kernel::{DomainError, ErrorKind, FieldError, actor::MissingPermission};
use ports::PortError;

#[derive(Debug, thiserror::Error)]
pub enum IntakeError {
    #[error("there is no such category")]
    CategoryNotFound,
    #[error("the category has no published form")]
    FormNotFound,
    #[error("there is no such version of a form")]
    VersionNotFound,
    #[error("there is no open draft")]
    DraftNotFound,
    #[error("there is no such response")]
    ResponseNotFound,
    #[error("there is no such patient")]
    PatientNotFound,
    #[error("{} answers are missing or wrong", .0.len())]
    InvalidAnswers(Vec<FieldError>),
    #[error("the form breaks {} rules", .0.len())]
    InvalidDefinition(Vec<FieldError>),
    #[error("the version was published before, and never changes")]
    AlreadyPublished,
    /// The number is that of the published version.
    #[error("version {0} was published since this draft was made; take it in and say so")]
    Superseded(i32),
    #[error("the form was changed at the same moment; read it again")]
    ChangedAtOnce,
    #[error("the draft was changed since it was read: it is at revision {current} since {at}")]
    RevisionChanged {
        current: i64,
        at: DateTime<Utc>,
        /// Where the draft is not what was asked for.
        fields: Vec<FieldError>,
    },
    #[error("the form has another version by now; read it again")]
    FormNotCurrent,
    /// The fields are the answers that differ.
    #[error("the draft was changed since it was read: {}", at_version(*.current))]
    DraftChanged { current: Option<i64>, answers: Vec<FieldError> },
    #[error("the form asks for the patient's sex and birth date, which the profile lacks")]
    ProfileIncomplete,
    #[error("there is no such photo")]
    PhotoNotFound,
    #[error("the file is not a photo that can be taken")]
    InvalidPhoto(Vec<FieldError>),
    #[error("the photo is part of a submitted response, which never changes")]
    PhotoAttached,
    #[error("the form of this category asks for no photo")]
    NoPhotoAsked,
    #[error("{0} uploaded photos wait for their form; submit it or delete some first")]
    TooManyPhotos(u64),
    #[error("only a patient answers an intake form")]
    NotAPatient,
    #[error(transparent)]
    Forbidden(#[from] MissingPermission),
    #[error(transparent)]
    Port(#[from] PortError),
}

fn at_version(version: Option<i64>) -> String {
    version.map_or_else(
        || "there is none any more".to_owned(),
        |version| format!("it is at version {version}"),
    )
}

impl DomainError for IntakeError {
    fn kind(&self) -> ErrorKind {
        match self {
            Self::CategoryNotFound
            | Self::FormNotFound
            | Self::VersionNotFound
            | Self::DraftNotFound
            | Self::ResponseNotFound
            | Self::PhotoNotFound
            | Self::PatientNotFound => ErrorKind::NotFound,
            Self::InvalidAnswers(_) | Self::InvalidDefinition(_) | Self::InvalidPhoto(_) => {
                ErrorKind::Invalid
            }
            Self::AlreadyPublished
            | Self::Superseded(_)
            | Self::ChangedAtOnce
            | Self::FormNotCurrent
            | Self::DraftChanged { .. }
            | Self::PhotoAttached
            | Self::NoPhotoAsked
            | Self::TooManyPhotos(_)
            | Self::ProfileIncomplete => ErrorKind::Conflict,
            Self::RevisionChanged { .. } => ErrorKind::PreconditionFailed,
            Self::NotAPatient | Self::Forbidden(_) => ErrorKind::Forbidden,
            Self::Port(error) => error.kind(),
        }
    }

    fn code(&self) -> &str {
        match self {
            Self::CategoryNotFound => "intake.category_not_found",
            Self::FormNotFound => "intake.form_not_found",
            Self::VersionNotFound => "intake.version_not_found",
            Self::DraftNotFound => "intake.draft_not_found",
            Self::ResponseNotFound => "intake.response_not_found",
            Self::PatientNotFound => "intake.patient_not_found",
            Self::InvalidAnswers(_) => "intake.invalid_answers",
            Self::InvalidDefinition(_) => "intake.invalid_definition",
            Self::AlreadyPublished => "intake.already_published",
            Self::Superseded(_) => "intake.superseded",
            Self::FormNotCurrent => "intake.form_not_current",
            Self::ChangedAtOnce => "intake.changed_at_once",
            Self::RevisionChanged { .. } => "intake.revision_changed",
            Self::DraftChanged { .. } => "intake.draft_changed",
            Self::ProfileIncomplete => "intake.profile_incomplete",
            Self::PhotoNotFound => "intake.photo_not_found",
            Self::InvalidPhoto(_) => "intake.invalid_photo",
            Self::PhotoAttached => "intake.photo_attached",
            Self::NoPhotoAsked => "intake.no_photo_asked",
            Self::TooManyPhotos(_) => "intake.too_many_photos",
            Self::NotAPatient => "intake.not_a_patient",
            Self::Forbidden(_) => "forbidden",
            Self::Port(error) => error.code(),
        }
    }

    fn fields(&self) -> &[FieldError] {
        match self {
            Self::InvalidAnswers(fields)
            | Self::InvalidDefinition(fields)
            | Self::RevisionChanged { fields, .. }
            | Self::InvalidPhoto(fields)
            | Self::DraftChanged { answers: fields, .. } => fields,
            Self::Port(error) => error.fields(),
            _ => &[],
        }
    }
}
