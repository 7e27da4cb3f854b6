use kernel::{DomainError, ErrorKind, FieldError, actor::MissingPermission};
use ports::PortError;

#[derive(Debug, thiserror::Error)]
pub enum ComplianceError {
    #[error("the filter is not valid")]
    InvalidFilter(Vec<FieldError>),
    #[error("the request is not valid")]
    Invalid(Vec<FieldError>),
    #[error("there is no such {0}")]
    NotFound(&'static str),
    #[error("somebody has seen to the notice already")]
    NoticeDone,
    #[error("more than {0} entries match; narrow the time")]
    ExportTooLarge(usize),
    #[error("an anchor of the audit chain cannot be read: {0}")]
    MalformedAnchor(String),
    #[error(transparent)]
    Forbidden(#[from] MissingPermission),
    #[error(transparent)]
    Port(#[from] PortError),
}

impl DomainError for ComplianceError {
    fn kind(&self) -> ErrorKind {
        match self {
            Self::InvalidFilter(_) | Self::Invalid(_) | Self::ExportTooLarge(_) => {
                ErrorKind::Invalid
            }
            Self::NotFound(_) => ErrorKind::NotFound,
            Self::NoticeDone => ErrorKind::Conflict,
            Self::MalformedAnchor(_) => ErrorKind::Internal,
            Self::Forbidden(_) => ErrorKind::Forbidden,
            Self::Port(error) => error.kind(),
        }
    }

    fn code(&self) -> &str {
        match self {
            Self::InvalidFilter(_) => "compliance.invalid_filter",
            Self::Invalid(_) => "compliance.invalid",
            Self::NotFound(_) => "compliance.not_found",
            Self::NoticeDone => "compliance.notice_done",
            Self::ExportTooLarge(_) => "compliance.export_too_large",
            Self::MalformedAnchor(_) => "compliance.malformed_anchor",
            Self::Forbidden(_) => "forbidden",
            Self::Port(error) => error.code(),
        }
    }

    fn fields(&self) -> &[FieldError] {
        match self {
            Self::InvalidFilter(fields) | Self::Invalid(fields) => fields,
            Self::Port(error) => error.fields(),
            _ => &[],
        }
    }
}
