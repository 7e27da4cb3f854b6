//! Errors as RFC 9457 problems.

use kernel::{DomainError, ErrorKind, FieldError, error::with_causes};
use poem::{
    IntoResponse as _, Response,
    http::{HeaderValue, StatusCode, header},
};
use poem_openapi::{
    ApiResponse, Object,
    error::{ParseParamError, ParsePathError},
    payload::Json,
};

use super::current_request_id;

/// One field that was at fault.
#[derive(Clone, Debug, Object)]
pub struct ProblemField {
    /// The JSON path below the body, as in `address.state`.
    #[oai(validator(max_length = 500))]
    pub path: String,
    /// A stable word, as in `required`.
    pub code: String,
    /// A sentence for a person.
    pub message: String,
}

impl From<FieldError> for ProblemField {
    fn from(field: FieldError) -> Self {
        Self { path: field.path, code: field.code, message: field.message }
    }
}

/// A problem (RFC 9457).
#[derive(Clone, Debug, Object)]
pub struct ProblemBody {
    /// A stable URN of the kind of problem, as in
    /// `urn:salus:problem:care.review_already_claimed`.
    #[oai(rename = "type")]
    pub kind: String,
    /// The HTTP status in words.
    pub title: String,
    /// The HTTP status.
    pub status: u16,
    /// What happened, in a sentence.
    pub detail: String,
    /// The request's id, to quote to support; the answer's `X-Request-Id`.
    pub request_id: Option<String>,
    /// The fields at fault, where input was.
    #[oai(default, skip_serializing_if_is_empty)]
    pub errors: Vec<ProblemField>,
}

/// Every way in which an operation fails.
#[derive(Clone, Debug, ApiResponse)]
pub enum Problem {
    /// The request is malformed.
    #[oai(status = 400, content_type = "application/problem+json")]
    BadRequest(Json<ProblemBody>),
    /// There is no valid credential.
    #[oai(status = 401, content_type = "application/problem+json")]
    Unauthenticated(Json<ProblemBody>),
    /// The credential lacks the permission.
    #[oai(status = 403, content_type = "application/problem+json")]
    Forbidden(Json<ProblemBody>),
    /// It does not exist, or not for this caller.
    #[oai(status = 404, content_type = "application/problem+json")]
    NotFound(Json<ProblemBody>),
    /// Its state does not allow this.
    #[oai(status = 409, content_type = "application/problem+json")]
    Conflict(Json<ProblemBody>),
    /// The version that the caller saw is no longer the current one.
    #[oai(status = 412, content_type = "application/problem+json")]
    PreconditionFailed(Json<ProblemBody>),
    /// The body is larger than the operation takes.
    #[oai(status = 413, content_type = "application/problem+json")]
    TooLarge(Json<ProblemBody>),
    /// The content type is not one that the operation takes.
    #[oai(status = 415, content_type = "application/problem+json")]
    UnsupportedMediaType(Json<ProblemBody>),
    /// The input breaks a rule; `errors` names the fields.
    #[oai(status = 422, content_type = "application/problem+json")]
    Invalid(Json<ProblemBody>),
    /// Too many requests.
    #[oai(status = 429, content_type = "application/problem+json")]
    RateLimited(Json<ProblemBody>, #[oai(header = "Retry-After")] Option<u64>),
    /// Salus failed; the cause is logged under the request's id.
    #[oai(status = 500, content_type = "application/problem+json")]
    Internal(Json<ProblemBody>),
    /// A vendor failed or did not answer.
    #[oai(status = 502, content_type = "application/problem+json")]
    Vendor(Json<ProblemBody>),
    /// Salus cannot answer for now; the same request may succeed after the
    /// seconds that `Retry-After` names.
    #[oai(status = 503, content_type = "application/problem+json")]
    Unavailable(
        Json<ProblemBody>,
        /// Seconds to wait before the next attempt.
        #[oai(header = "Retry-After")]
        String,
    ),
}

/// Whoever is told to come back waits this many seconds; a database that
/// starts again after a crash takes about as long.
pub const RETRY_AFTER: &str = "2";

impl Problem {
    pub fn new(kind: ErrorKind, code: &str, detail: impl Into<String>) -> Self {
        Self::with_fields(kind, code, detail, &[])
    }

    pub fn bad_request(code: &str, detail: impl Into<String>, fields: &[FieldError]) -> Self {
        Self::BadRequest(body(StatusCode::BAD_REQUEST, code, detail.into(), fields))
    }

    pub fn with_fields(
        kind: ErrorKind,
        code: &str,
        detail: impl Into<String>,
        fields: &[FieldError],
    ) -> Self {
        let (status, wrap): (StatusCode, fn(Json<ProblemBody>) -> Self) = match kind {
            ErrorKind::Invalid => (StatusCode::UNPROCESSABLE_ENTITY, Self::Invalid),
            ErrorKind::Unauthenticated => (StatusCode::UNAUTHORIZED, Self::Unauthenticated),
            ErrorKind::Forbidden => (StatusCode::FORBIDDEN, Self::Forbidden),
            ErrorKind::NotFound => (StatusCode::NOT_FOUND, Self::NotFound),
            ErrorKind::Conflict => (StatusCode::CONFLICT, Self::Conflict),
            ErrorKind::PreconditionFailed => {
                (StatusCode::PRECONDITION_FAILED, Self::PreconditionFailed)
            }
            ErrorKind::RateLimited => {
                (StatusCode::TOO_MANY_REQUESTS, |body| Self::RateLimited(body, None))
            }
            ErrorKind::Vendor => (StatusCode::BAD_GATEWAY, Self::Vendor),
            ErrorKind::Unavailable => (StatusCode::SERVICE_UNAVAILABLE, |body| {
                Self::Unavailable(body, RETRY_AFTER.to_owned())
            }),
            ErrorKind::Internal => (StatusCode::INTERNAL_SERVER_ERROR, Self::Internal),
        };
        wrap(body(status, code, detail.into(), fields))
    }

    pub fn too_large(detail: impl Into<String>) -> Self {
        Self::TooLarge(body(StatusCode::PAYLOAD_TOO_LARGE, "too_large", detail.into(), &[]))
    }

    pub fn unsupported(detail: impl Into<String>) -> Self {
        let (status, code) = (StatusCode::UNSUPPORTED_MEDIA_TYPE, "unsupported_media_type");
        Self::UnsupportedMediaType(body(status, code, detail.into(), &[]))
    }

    pub fn body(&self) -> &ProblemBody {
        match self {
            Self::BadRequest(body)
            | Self::Unauthenticated(body)
            | Self::Forbidden(body)
            | Self::NotFound(body)
            | Self::Conflict(body)
            | Self::PreconditionFailed(body)
            | Self::TooLarge(body)
            | Self::UnsupportedMediaType(body)
            | Self::Invalid(body)
            | Self::RateLimited(body, _)
            | Self::Internal(body)
            | Self::Unavailable(body, _)
            | Self::Vendor(body) => &body.0,
        }
    }

    pub fn status(&self) -> StatusCode {
        StatusCode::from_u16(self.body().status).unwrap_or(StatusCode::INTERNAL_SERVER_ERROR)
    }

    /// Answers what the framework itself refused: unknown routes, wrong
    /// methods, malformed requests.
    pub fn from_framework(error: &poem::Error) -> Response {
        let status = error.status();
        if let Some(field) = parameter_fault(error) {
            let detail = "The path, the query or a header does not have the operation's form.";
            return Self::bad_request("bad_request", detail, &[field]).into_response();
        }
        let detail = if status.is_server_error() {
            tracing::error!(error = %error, "a request failed");
            "Something went wrong on our side.".to_owned()
        } else {
            error.to_string()
        };
        let code = match status {
            StatusCode::UNAUTHORIZED => "unauthenticated",
            StatusCode::FORBIDDEN => "forbidden",
            StatusCode::NOT_FOUND => "not_found",
            StatusCode::METHOD_NOT_ALLOWED => "method_not_allowed",
            StatusCode::PAYLOAD_TOO_LARGE => "too_large",
            StatusCode::UNSUPPORTED_MEDIA_TYPE => "unsupported_media_type",
            status if status.is_client_error() => "bad_request",
            _ => "internal",
        };
        let mut response = Self::framework(status, code, detail);
        // Operations say themselves which methods they have; what stands beside
        // them, as the document and its pages, is only read.
        if status == StatusCode::METHOD_NOT_ALLOWED
            && !response.headers().contains_key(header::ALLOW)
        {
            response.headers_mut().insert(header::ALLOW, HeaderValue::from_static("GET, HEAD"));
        }
        response
    }

    /// A problem of a status that no operation answers with itself.
    pub fn framework(status: StatusCode, code: &str, detail: String) -> Response {
        let mut response = Self::BadRequest(body(status, code, detail, &[])).into_response();
        response.set_status(status);
        response
    }
}

/// What is wrong with a parameter, in words that are not the framework's.
fn parameter_fault(error: &poem::Error) -> Option<FieldError> {
    if error.is::<ParsePathError>() {
        // The framework numbers the parts of a path and forgets their names.
        return Some(FieldError::new("path", "invalid", "An id in the path is a UUID."));
    }
    let ParseParamError { name, reason } = error.downcast_ref()?;
    // Headers are written with capitals, the query never is.
    let path = if name.starts_with(|c: char| c.is_ascii_uppercase()) {
        format!("header.{name}")
    } else {
        (*name).to_owned()
    };
    if reason.contains("expects an input value") {
        return Some(FieldError::new(path, "required", "A value is required."));
    }
    let cause = reason.rsplit_once("\": ").map_or(reason.as_str(), |(_, cause)| cause);
    Some(FieldError::new(path, "invalid", format!("The value does not fit: {cause}.")))
}

fn body(
    status: StatusCode,
    code: &str,
    detail: String,
    fields: &[FieldError],
) -> Json<ProblemBody> {
    Json(ProblemBody {
        kind: format!("urn:salus:problem:{code}"),
        title: status.canonical_reason().unwrap_or("Error").to_owned(),
        status: status.as_u16(),
        detail,
        request_id: current_request_id().map(|id| id.to_string()),
        errors: fields.iter().map(|field| field.clone().into()).collect(),
    })
}

impl<E: DomainError> From<E> for Problem {
    fn from(error: E) -> Self {
        let kind = error.kind();
        let detail = match kind {
            ErrorKind::Internal => {
                tracing::error!(
                    error = with_causes(&error),
                    code = error.code(),
                    "a request failed"
                );
                "Something went wrong on our side.".to_owned()
            }
            ErrorKind::Vendor => {
                tracing::warn!(error = with_causes(&error), code = error.code(), "a vendor failed");
                "A service that this depends on failed; try again later.".to_owned()
            }
            ErrorKind::Unavailable => {
                tracing::warn!(error = with_causes(&error), "the database cannot be reached");
                "Salus cannot answer for a moment; try again.".to_owned()
            }
            _ => error.to_string(),
        };
        match Self::with_fields(kind, error.code(), detail, error.fields()) {
            Self::RateLimited(body, _) => Self::RateLimited(body, error.retry_after()),
            other => other,
        }
    }
}
