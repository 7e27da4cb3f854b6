use kernel::{DomainError, ErrorKind, FieldError, actor::MissingPermission, money::MoneyError};
use ports::PortError;

/// How a use case of analytics fails.
#[derive(Debug, thiserror::Error)]
pub enum AnalyticsError {
    #[error(transparent)]
    Port(#[from] PortError),
    #[error(transparent)]
    Forbidden(#[from] MissingPermission),
    #[error("the input is not valid")]
    Invalid(Vec<FieldError>),
    #[error("a figure cannot be computed: {0}")]
    Money(#[from] MoneyError),
}

impl DomainError for AnalyticsError {
    fn kind(&self) -> ErrorKind {
        match self {
            Self::Port(error) => error.kind(),
            Self::Forbidden(_) => ErrorKind::Forbidden,
            Self::Invalid(_) => ErrorKind::Invalid,
            Self::Money(_) => ErrorKind::Internal,
        }
    }

    fn code(&self) -> &str {
        match self {
            Self::Port(error) => error.code(),
            Self::Forbidden(_) => "forbidden",
            Self::Invalid(_) => "analytics.invalid",
            Self::Money(_) => "analytics.amount_out_of_range",
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
