//! Callbacks: whether one is genuine, and what it says.

use care::{Archive, CallbackCredentials, VideoCallback};
use chrono::{DateTime, Utc};
use jsonwebtoken::{Algorithm, DecodingKey, Validation};
use kernel::text::vendor_word;
use serde::Deserialize;
use serde_json::Value;
use sha2::{Digest as _, Sha256};
use subtle::ConstantTimeEq as _;

/// How far a signed callback's time may be from ours, in seconds.
const TOLERANCE: i64 = 300;

#[derive(Deserialize)]
struct Claims {
    iat: i64,
    payload_hash: String,
}

/// A signature, where there is one, decides alone: a wrong one is not made
/// good by a secret in the URL.
pub fn is_genuine(
    secret: &str,
    credentials: &CallbackCredentials,
    body: &[u8],
    now: DateTime<Utc>,
) -> bool {
    if secret.is_empty() {
        return false;
    }
    match (&credentials.authorization, &credentials.secret) {
        (Some(authorization), _) => is_signed(secret, authorization, body, now),
        (None, Some(given)) => bool::from(secret.as_bytes().ct_eq(given.as_bytes())),
        (None, None) => false,
    }
}

fn is_signed(secret: &str, authorization: &str, body: &[u8], now: DateTime<Utc>) -> bool {
    let Some(token) = authorization.strip_prefix("Bearer ") else { return false };
    // Times are held against our own clock below.
    let mut validation = Validation::new(Algorithm::HS256);
    validation.required_spec_claims.clear();
    validation.validate_exp = false;
    validation.validate_aud = false;
    let key = DecodingKey::from_secret(secret.as_bytes());
    let Ok(token) = jsonwebtoken::decode::<Claims>(token, &key, &validation) else { return false };
    let fresh = (now.timestamp() - token.claims.iat).abs() <= TOLERANCE;
    let hash = hex::encode(Sha256::digest(body));
    fresh && token.claims.payload_hash.eq_ignore_ascii_case(&hash)
}

/// What a genuine callback says.
pub fn read(project: &str, body: &[u8]) -> VideoCallback {
    let Ok(body) = serde_json::from_slice::<Value>(body) else {
        return VideoCallback::Unreadable("It is no JSON.");
    };
    // The vendor writes the number of a project with and without quotes.
    let named = match &body["projectId"] {
        Value::Null => None,
        Value::String(text) => Some(text.clone()),
        other => Some(other.to_string()),
    };
    if named.is_some_and(|named| named != project) {
        return VideoCallback::Unreadable("It is of another project.");
    }
    let text = |name: &str| body[name].as_str().and_then(vendor_word);
    let Some(session) = text("sessionId") else {
        return VideoCallback::Unreadable("It names no session.");
    };
    match (text("event").as_deref(), text("id"), text("status")) {
        (Some("connectionCreated"), ..) => VideoCallback::Connected { session },
        (Some("connectionDestroyed"), ..) => VideoCallback::Disconnected { session },
        (None | Some("archive"), Some(id), Some(status)) => {
            VideoCallback::ArchiveChanged { session, archive: Archive { id, status } }
        }
        (Some(_), ..) => VideoCallback::Other,
        (None, ..) => VideoCallback::Unreadable("It does not say what it is."),
    }
}
