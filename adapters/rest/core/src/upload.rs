//! A file in a `multipart/form-data` body, and how large it may be.

use kernel::{ErrorKind, FieldError};
use poem::{
    FromRequest as _, Request, RequestBody,
    error::{ParseMultipartError, ReadBodyError},
    http::{Method, header},
    web::Multipart,
};
use poem_openapi::{
    payload::{ParsePayload, Payload},
    registry::{MetaSchema, MetaSchemaRef},
};

use super::Problem;

/// The largest photo in bytes; put to every request that may carry one.
#[derive(Clone, Copy, Debug)]
pub struct PhotoLimit(pub usize);

/// What stands around the file in the body.
const FRAMING: usize = 16 * 1024;

impl PhotoLimit {
    /// The largest body that such a photo comes in.
    pub const fn body(self) -> usize {
        self.0.saturating_add(FRAMING)
    }

    pub fn exceeded(self) -> Problem {
        Problem::too_large(format!("A photo has at most {} bytes (`server.photo_limit`).", self.0))
    }
}

/// Whether the request is one that uploads a photo. It is asked before the
/// request is routed, because the limit of every other body is far lower.
pub fn uploads_photo(request: &Request) -> bool {
    let multipart =
        request.header(header::CONTENT_TYPE).is_some_and(PhotoUpload::check_content_type);
    let path = request.uri().path();
    multipart
        && request.method() == Method::POST
        && path.starts_with("/api/forms/categories/")
        && path.ends_with("/photos")
}

/// The one part `photo` of the body: the bytes of a file. What the client says
/// of its name and type is not read.
#[derive(Debug)]
pub struct PhotoUpload(pub Vec<u8>);

impl Payload for PhotoUpload {
    const CONTENT_TYPE: &'static str = "multipart/form-data";

    fn check_content_type(content_type: &str) -> bool {
        let essence = content_type.split(';').next().unwrap_or_default().trim();
        essence.eq_ignore_ascii_case(Self::CONTENT_TYPE)
    }

    fn schema_ref() -> MetaSchemaRef {
        let photo = MetaSchema {
            description: Some("A JPEG, PNG or WebP file."),
            ..MetaSchema::new_with_format("string", "binary")
        };
        MetaSchemaRef::Inline(Box::new(MetaSchema {
            required: vec!["photo"],
            properties: vec![("photo", MetaSchemaRef::Inline(Box::new(photo)))],
            ..MetaSchema::new("object")
        }))
    }
}

impl ParsePayload for PhotoUpload {
    const IS_REQUIRED: bool = true;

    async fn from_request(request: &Request, body: &mut RequestBody) -> poem::Result<Self> {
        // Without a limit on the request it has no photo, and fails below.
        let limit = request.data::<PhotoLimit>().copied().unwrap_or(PhotoLimit(0));
        let bytes =
            body.take()?.into_bytes_limit(limit.body()).await.map_err(|error| match error {
                ReadBodyError::PayloadTooLarge => limit.exceeded().into(),
                other => poem::Error::from(other),
            })?;
        let mut body = RequestBody::new(bytes.into());
        let mut parts = Multipart::from_request(request, &mut body).await?;
        let mut photo = None;
        while let Some(part) = parts.next_field().await.map_err(malformed)? {
            if part.name() != Some("photo") {
                return Err(refuse("unknown_field", "The body has one part, `photo`.").into());
            }
            let bytes = part.bytes().await.map_err(malformed)?;
            if bytes.len() > limit.0 {
                return Err(limit.exceeded().into());
            }
            if photo.replace(bytes).is_some() {
                return Err(refuse("too_many", "One photo at a time.").into());
            }
        }
        photo.map(Self).ok_or_else(|| refuse("required", "A value is required.").into())
    }
}

poem_openapi::impl_apirequest_for_payload!(PhotoUpload,);

fn refuse(code: &str, message: &str) -> Problem {
    Problem::with_fields(
        ErrorKind::Invalid,
        "invalid_body",
        "The body does not have the operation's form.",
        &[FieldError::new("photo", code, message)],
    )
}

fn malformed(_: ParseMultipartError) -> Problem {
    Problem::bad_request("malformed_multipart", "The body is no multipart form.", &[])
}
