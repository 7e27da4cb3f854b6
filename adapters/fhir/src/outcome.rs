//! Failures as OperationOutcome.

use kernel::{DomainError, ErrorKind, error::with_causes};
use poem::{Response, http::StatusCode};
use records::RecordsError;
use serde_json::json;

use crate::{access::Unauthenticated, response::fhir_json};

/// Why a request was refused, as FHIR words it.
#[derive(Debug)]
pub(crate) struct Failure {
    status: StatusCode,
    code: &'static str,
    diagnostics: String,
}

impl Failure {
    pub(crate) fn new(
        status: StatusCode,
        code: &'static str,
        diagnostics: impl Into<String>,
    ) -> Self {
        Self { status, code, diagnostics: diagnostics.into() }
    }

    pub(crate) fn invalid(diagnostics: impl Into<String>) -> Self {
        Self::new(StatusCode::BAD_REQUEST, "invalid", diagnostics)
    }

    pub(crate) fn unsupported(diagnostics: impl Into<String>) -> Self {
        Self::new(StatusCode::BAD_REQUEST, "not-supported", diagnostics)
    }

    pub(crate) fn into_response(self) -> Response {
        let severity = if self.status.is_server_error() { "fatal" } else { "error" };
        let mut response = fhir_json(
            self.status,
            json!({
                "resourceType": "OperationOutcome",
                "issue": [{
                    "severity": severity,
                    "code": self.code,
                    "diagnostics": self.diagnostics,
                }],
            })
            .to_string(),
        );
        if self.status == StatusCode::UNAUTHORIZED {
            let challenge = poem::http::HeaderValue::from_static("Bearer realm=\"fhir\"");
            response.headers_mut().insert(poem::http::header::WWW_AUTHENTICATE, challenge);
        }
        if self.status == StatusCode::METHOD_NOT_ALLOWED {
            let methods = poem::http::HeaderValue::from_static("GET, HEAD");
            response.headers_mut().insert(poem::http::header::ALLOW, methods);
        }
        if self.status == StatusCode::SERVICE_UNAVAILABLE {
            let seconds = poem::http::HeaderValue::from_static("2");
            response.headers_mut().insert(poem::http::header::RETRY_AFTER, seconds);
        }
        response
    }
}

/// What was refused before it came here, in FHIR's words.
pub fn refuse(status: StatusCode, diagnostics: &str) -> Response {
    let code = match status {
        StatusCode::TOO_MANY_REQUESTS => "throttled",
        StatusCode::NOT_FOUND => "not-found",
        StatusCode::PAYLOAD_TOO_LARGE => "too-long",
        StatusCode::UNSUPPORTED_MEDIA_TYPE => "not-supported",
        StatusCode::REQUEST_TIMEOUT => "timeout",
        StatusCode::SERVICE_UNAVAILABLE => "transient",
        _ => "processing",
    };
    Failure::new(status, code, diagnostics).into_response()
}

impl From<RecordsError> for Failure {
    fn from(error: RecordsError) -> Self {
        let (status, code) = match (&error, error.kind()) {
            (RecordsError::Deleted, _) => (StatusCode::GONE, "deleted"),
            (_, ErrorKind::Invalid) => (StatusCode::BAD_REQUEST, "invalid"),
            (_, ErrorKind::Unauthenticated) => (StatusCode::UNAUTHORIZED, "login"),
            (_, ErrorKind::Forbidden) => (StatusCode::FORBIDDEN, "forbidden"),
            (_, ErrorKind::NotFound) => (StatusCode::NOT_FOUND, "not-found"),
            (_, ErrorKind::Conflict | ErrorKind::PreconditionFailed) => {
                (StatusCode::CONFLICT, "conflict")
            }
            (_, ErrorKind::RateLimited) => (StatusCode::TOO_MANY_REQUESTS, "throttled"),
            (_, ErrorKind::Unavailable) => return unavailable(&error),
            (_, ErrorKind::Vendor | ErrorKind::Internal) => return internal(&error),
        };
        let mut diagnostics = error.to_string();
        for field in error.fields() {
            diagnostics.push_str(&format!("; {}: {}", field.path, field.message));
        }
        Self { status, code, diagnostics }
    }
}

impl From<Unauthenticated> for Failure {
    fn from(error: Unauthenticated) -> Self {
        match &error {
            Unauthenticated::NoValidToken => {
                Self::new(StatusCode::UNAUTHORIZED, "login", error.to_string())
            }
            Unauthenticated::Port(cause) if cause.kind() == ErrorKind::Unavailable => {
                unavailable(cause)
            }
            Unauthenticated::Port(cause) => internal(cause),
        }
    }
}

fn unavailable(error: &(dyn std::error::Error + 'static)) -> Failure {
    tracing::warn!(error = with_causes(error), "the database cannot be reached");
    let diagnostics = "Salus cannot answer for a moment; try again.";
    Failure::new(StatusCode::SERVICE_UNAVAILABLE, "transient", diagnostics)
}

/// The cause is logged and never shown.
fn internal(error: &(dyn std::error::Error + 'static)) -> Failure {
    tracing::error!(error = with_causes(error), "a FHIR request failed");
    Failure::new(StatusCode::INTERNAL_SERVER_ERROR, "exception", "Salus failed.")
}
