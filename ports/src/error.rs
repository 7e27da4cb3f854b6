//! How a port fails. Contexts wrap it in their own error type.

use std::{error::Error as StdError, sync::Arc};

use kernel::{DomainError, ErrorKind, FieldError};

pub type Result<T, E = PortError> = std::result::Result<T, E>;

type Cause = Arc<dyn StdError + Send + Sync>;

#[derive(Clone, Debug, thiserror::Error)]
pub enum PortError {
    /// Someone else changed the row since it was loaded, or a unique rule of
    /// the database refused the change. Its name is for those who map it, and
    /// no caller is told.
    #[error("somebody changed this at the same time, or it is there already; read it again")]
    Conflict(String),
    /// It does not exist, or not for the transaction's actor.
    #[error("there is no such {}", .name.replace('_', " "))]
    NotFound { name: &'static str, code: String },
    /// Somebody else changed it since it was read. The first field says which
    /// version is the current one, the others what has changed.
    #[error("it was changed since it was read")]
    Stale(Vec<FieldError>),
    /// The input holds what cannot be stored or looked up, as a NUL character
    /// or a cursor that no page gave.
    #[error("the request is not valid")]
    Invalid(Vec<FieldError>),
    /// An idempotency key came back with another request.
    #[error("the idempotency key was used for another request")]
    IdempotencyKeyReused,
    /// The vendor refused; trying again would not help.
    #[error("the vendor {vendor} refused: {message}")]
    Refused { vendor: &'static str, code: String, message: String },
    /// The vendor failed or could not be reached and did nothing; try again.
    #[error("the vendor {vendor} is unavailable: {message}")]
    Unavailable { vendor: &'static str, message: String },
    /// The call may or may not have had its effect; look it up.
    #[error("the outcome at the vendor {vendor} is unknown: {message}")]
    Unknown { vendor: &'static str, message: String },
    /// The database cannot be reached, or ended the connection; try again.
    #[error("{context}")]
    Outage {
        context: String,
        #[source]
        cause: Option<Cause>,
    },
    /// Salus itself failed.
    #[error("{context}")]
    Internal {
        context: String,
        #[source]
        cause: Option<Cause>,
    },
}

impl PortError {
    pub fn internal(
        context: impl Into<String>,
        cause: impl Into<Box<dyn StdError + Send + Sync>>,
    ) -> Self {
        Self::Internal { context: context.into(), cause: Some(Arc::from(cause.into())) }
    }

    pub fn outage(
        context: impl Into<String>,
        cause: impl Into<Box<dyn StdError + Send + Sync>>,
    ) -> Self {
        Self::Outage { context: context.into(), cause: Some(Arc::from(cause.into())) }
    }

    pub fn invalid(path: &str, code: &str, message: &str) -> Self {
        Self::Invalid(vec![FieldError::new(path, code, message)])
    }

    /// For what the audit log calls `name`.
    pub fn not_found(name: &'static str) -> Self {
        Self::NotFound { name, code: format!("{name}_not_found") }
    }

    /// What a conflict with a unique rule of this name means; any other error as it is.
    pub fn at<E: From<Self>>(self, rule: &str, meaning: E) -> E {
        match self {
            Self::Conflict(name) if name == rule => meaning,
            other => other.into(),
        }
    }

    pub fn bug(context: impl Into<String>) -> Self {
        Self::Internal { context: context.into(), cause: None }
    }
}

impl DomainError for PortError {
    fn kind(&self) -> ErrorKind {
        match self {
            Self::Conflict(_) | Self::IdempotencyKeyReused => ErrorKind::Conflict,
            Self::NotFound { .. } => ErrorKind::NotFound,
            Self::Stale(_) => ErrorKind::PreconditionFailed,
            Self::Invalid(_) => ErrorKind::Invalid,
            Self::Refused { .. } | Self::Unavailable { .. } | Self::Unknown { .. } => {
                ErrorKind::Vendor
            }
            Self::Outage { .. } => ErrorKind::Unavailable,
            Self::Internal { .. } => ErrorKind::Internal,
        }
    }

    fn code(&self) -> &str {
        match self {
            Self::Conflict(_) => "concurrent_change",
            Self::NotFound { code, .. } => code,
            Self::Stale(_) => "version_mismatch",
            Self::Invalid(_) => "invalid",
            Self::IdempotencyKeyReused => "idempotency_key_reused",
            Self::Refused { .. } => "vendor_refused",
            Self::Unavailable { .. } => "vendor_unavailable",
            Self::Unknown { .. } => "vendor_outcome_unknown",
            Self::Outage { .. } => "unavailable",
            Self::Internal { .. } => "internal",
        }
    }

    fn fields(&self) -> &[FieldError] {
        match self {
            Self::Invalid(fields) | Self::Stale(fields) => fields,
            _ => &[],
        }
    }
}
