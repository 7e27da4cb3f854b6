//! The one error type of the context, for prescribing and fulfilment alike.

use kernel::{DomainError, ErrorKind, FieldError, actor::MissingPermission};
use ports::PortError;

#[derive(Debug, thiserror::Error)]
pub enum PharmacyError {
    #[error(transparent)]
    Port(#[from] PortError),
    #[error(transparent)]
    Forbidden(#[from] MissingPermission),
    /// The input breaks a rule; the fields say where.
    #[error("the request is not valid")]
    Invalid(Vec<FieldError>),
    /// It does not exist, or not for this actor. The word is the kind of
    /// thing, as in `prescription`.
    #[error("there is no such {0}")]
    NotFound(&'static str),
    /// The state it is in does not allow this. The code is a stable,
    /// namespaced word, as in `pharmacy.prescription_already_sent`.
    #[error("{message}")]
    Conflict { code: &'static str, message: String },
    /// The version that the caller saw is no longer the current one.
    #[error("the pharmacy has changed since it was read")]
    Changed(Vec<FieldError>),
    /// What was asked for is against a rule of the company or of the law,
    /// whoever asks. The code is a stable, namespaced word.
    #[error("{message}")]
    Refused { code: &'static str, message: String },
}

impl From<FieldError> for PharmacyError {
    fn from(error: FieldError) -> Self {
        Self::Invalid(vec![error])
    }
}

impl PharmacyError {
    pub fn conflict(code: &'static str, message: impl Into<String>) -> Self {
        Self::Conflict { code, message: message.into() }
    }

    pub fn refused(code: &'static str, message: impl Into<String>) -> Self {
        Self::Refused { code, message: message.into() }
    }

    /// One field at fault.
    pub fn field(
        path: impl Into<String>,
        code: impl Into<String>,
        message: impl Into<String>,
    ) -> Self {
        Self::Invalid(vec![FieldError::new(path, code, message)])
    }
}

impl DomainError for PharmacyError {
    fn kind(&self) -> ErrorKind {
        match self {
            Self::Port(error) => error.kind(),
            Self::Forbidden(_) => ErrorKind::Forbidden,
            Self::Invalid(_) => ErrorKind::Invalid,
            Self::NotFound(_) => ErrorKind::NotFound,
            Self::Conflict { .. } => ErrorKind::Conflict,
            Self::Changed(_) => ErrorKind::PreconditionFailed,
            Self::Refused { .. } => ErrorKind::Invalid,
        }
    }

    fn code(&self) -> &str {
        match self {
            Self::Port(error) => error.code(),
            Self::Forbidden(_) => "forbidden",
            Self::Invalid(_) => "pharmacy.invalid",
            Self::NotFound(_) => "pharmacy.not_found",
            Self::Changed(_) => "pharmacy.version_mismatch",
            Self::Conflict { code, .. } | Self::Refused { code, .. } => code,
        }
    }

    fn fields(&self) -> &[FieldError] {
        match self {
            Self::Invalid(fields) | Self::Changed(fields) => fields,
            Self::Port(error) => error.fields(),
            _ => &[],
        }
    }
}
