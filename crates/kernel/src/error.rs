//! What went wrong, in words that every surface can map: each context has one
//! error type, and every value of it has a kind, a stable code and, where input
//! was at fault, the paths of the fields.

use serde::{Deserialize, Serialize};

/// The neutral kinds of failure. `rest` maps them to RFC 9457 problems and
/// `fhir` to `OperationOutcome`.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum ErrorKind {
    /// The input is malformed or breaks a rule; the fields say where.
    Invalid,
    /// There is no valid credential.
    Unauthenticated,
    /// The credential is valid but lacks the permission.
    Forbidden,
    /// It does not exist, or not for this actor.
    NotFound,
    /// The state it is in does not allow this.
    Conflict,
    /// The version that the caller saw is no longer the current one.
    PreconditionFailed,
    RateLimited,
    /// A vendor failed or did not answer.
    Vendor,
    /// What Salus stands on cannot be reached for now; the same request may
    /// succeed in a moment.
    Unavailable,
    /// Salus itself failed; the cause is logged and never shown.
    Internal,
}

/// One field that was at fault.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct FieldError {
    /// A JSON path below the body, as in `address.state` or `answers.weight`.
    pub path: String,
    /// A stable word, as in `required` or `out_of_range`.
    pub code: String,
    /// A sentence for a person.
    pub message: String,
}

impl FieldError {
    pub fn new(
        path: impl Into<String>,
        code: impl Into<String>,
        message: impl Into<String>,
    ) -> Self {
        Self { path: path.into(), code: code.into(), message: message.into() }
    }

    pub fn required(path: impl Into<String>) -> Self {
        Self::new(path, "required", "A value is required.")
    }
}

/// What every context's error type says of itself.
pub trait DomainError: std::error::Error + Send + Sync + 'static {
    fn kind(&self) -> ErrorKind;

    /// A stable, namespaced word, as in `care.review_already_claimed`; it
    /// becomes the problem's `type`.
    fn code(&self) -> &str;

    fn fields(&self) -> &[FieldError] {
        &[]
    }

    /// After how many seconds it is worth trying again, where that is known.
    fn retry_after(&self) -> Option<u64> {
        None
    }
}

/// The error's text with those of its causes, for logs and the queue's own
/// record. Errors' texts hold no PHI.
pub fn with_causes(error: &dyn std::error::Error) -> String {
    let mut text = error.to_string();
    let mut cause = error.source();
    while let Some(error) = cause {
        text.push_str(": ");
        text.push_str(&error.to_string());
        cause = error.source();
    }
    text
}
