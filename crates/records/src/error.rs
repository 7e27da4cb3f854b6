use kernel::{DomainError, ErrorKind, FieldError, actor::MissingPermission};
use ports::PortError;

use crate::{MappingError, ResourceType};

#[derive(Debug, thiserror::Error)]
pub enum RecordsError {
    #[error("there is no such resource")]
    NotFound,
    #[error("the resource was deleted")]
    Deleted,
    #[error("the token has no scope for {0}")]
    MissingScope(ResourceType),
    #[error("what was reported is not valid")]
    Invalid(Vec<FieldError>),
    #[error("the record holds something that FHIR cannot say")]
    Mapping(#[from] MappingError),
    #[error(transparent)]
    Forbidden(#[from] MissingPermission),
    #[error(transparent)]
    Port(#[from] PortError),
}

impl DomainError for RecordsError {
    fn kind(&self) -> ErrorKind {
        match self {
            Self::NotFound | Self::Deleted => ErrorKind::NotFound,
            Self::MissingScope(_) | Self::Forbidden(_) => ErrorKind::Forbidden,
            Self::Invalid(_) => ErrorKind::Invalid,
            Self::Mapping(_) => ErrorKind::Internal,
            Self::Port(error) => error.kind(),
        }
    }

    fn code(&self) -> &str {
        match self {
            Self::NotFound => "records.not_found",
            Self::Deleted => "records.deleted",
            Self::MissingScope(_) => "records.missing_scope",
            Self::Invalid(_) => "records.invalid",
            Self::Mapping(_) => "internal",
            Self::Forbidden(_) => "forbidden",
            Self::Port(error) => error.code(),
        }
    }

    fn fields(&self) -> &[FieldError] {
        match self {
            Self::Invalid(fields) => fields,
            Self::Port(error) => error.fields(),
            _ => &[],
        }
    }
}
