use kernel::{ErrorKind, FieldError, Uuid};
use poem_openapi::types::ToJSON;
use ports::IdempotencyKey;
use sha2::{Digest as _, Sha256};

use super::Problem;

/// Reads the `Idempotency-Key` header of an operation that creates money,
/// medicine or messages, bound to a digest of the request's body.
pub fn idempotency_key(
    operation: &'static str,
    header: &str,
    body: &impl ToJSON,
) -> Result<IdempotencyKey, Problem> {
    if header.is_empty() || header.len() > 255 || !header.bytes().all(|b| b.is_ascii_graphic()) {
        return Err(Problem::with_fields(
            ErrorKind::Invalid,
            "idempotency_key_invalid",
            "The Idempotency-Key has 1 to 255 printable characters without spaces.",
            &[FieldError::new(
                "header.Idempotency-Key",
                "invalid",
                "1 to 255 printable characters.",
            )],
        ));
    }
    let fingerprint = Sha256::digest(body.to_json_string().as_bytes()).into();
    Ok(IdempotencyKey { operation, key: header.to_owned(), fingerprint })
}

/// The same of an operation on the resource that its path names: the key of a
/// request about one resource does not answer a request about another.
pub fn idempotency_key_on(
    operation: &'static str,
    resource: impl Into<Uuid>,
    header: &str,
    body: &impl ToJSON,
) -> Result<IdempotencyKey, Problem> {
    let mut key = idempotency_key(operation, header, body)?;
    let digest = Sha256::new().chain_update(key.fingerprint).chain_update(resource.into());
    key.fingerprint = digest.finalize().into();
    Ok(key)
}
