//! Access tokens: JWTs signed with Ed25519 that live for minutes, for accounts
//! and for API clients alike.

use std::{fmt, sync::Arc};

use aws_lc_rs::signature::{Ed25519KeyPair, KeyPair as _};
use base64::{Engine as _, engine::general_purpose::URL_SAFE_NO_PAD};
use chrono::{DateTime, Utc};
use jsonwebtoken::{Algorithm, DecodingKey, EncodingKey, Header, Validation};
use kernel::{AccountId, ApiClientId, Role, SessionId, Uuid};
use ports::PortError;
use serde::{Deserialize, Serialize};
use sha2::{Digest as _, Sha256};

use crate::{IdentityError, Policy, error::Result};

/// An Ed25519 key with its name, which is its thumbprint (RFC 7638).
pub struct SigningKey {
    kid: String,
    public: [u8; 32],
    encoding: EncodingKey,
    decoding: DecodingKey,
}

/// The header of an Ed25519 private key in PKCS #8, before its 32 bytes.
const PKCS8_PREFIX: [u8; 16] = [
    0x30, 0x2e, 0x02, 0x01, 0x00, 0x30, 0x05, 0x06, 0x03, 0x2b, 0x65, 0x70, 0x04, 0x22, 0x04, 0x20,
];

impl SigningKey {
    pub fn from_seed(seed: &[u8; 32]) -> Self {
        let pair = Ed25519KeyPair::from_seed_unchecked(seed).expect("any 32 bytes are a seed");
        let mut public = [0; 32];
        public.copy_from_slice(pair.public_key().as_ref());
        let x = URL_SAFE_NO_PAD.encode(public);
        let canonical = format!(r#"{{"crv":"Ed25519","kty":"OKP","x":"{x}"}}"#);
        let mut pkcs8 = PKCS8_PREFIX.to_vec();
        pkcs8.extend_from_slice(seed);
        Self {
            kid: URL_SAFE_NO_PAD.encode(Sha256::digest(canonical)),
            public,
            encoding: EncodingKey::from_ed_der(&pkcs8),
            decoding: DecodingKey::from_ed_der(&public),
        }
    }

    pub fn kid(&self) -> &str {
        &self.kid
    }

    /// The public half as a JWK.
    pub fn public_jwk(&self) -> PublicJwk {
        PublicJwk {
            kty: "OKP",
            crv: "Ed25519",
            alg: "EdDSA",
            usage: "sig",
            kid: self.kid.clone(),
            x: URL_SAFE_NO_PAD.encode(self.public),
        }
    }
}

impl fmt::Debug for SigningKey {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("SigningKey").field("kid", &self.kid).finish_non_exhaustive()
    }
}

/// A public key as `/.well-known/jwks.json` shows it.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
pub struct PublicJwk {
    pub kty: &'static str,
    pub crv: &'static str,
    pub alg: &'static str,
    #[serde(rename = "use")]
    pub usage: &'static str,
    pub kid: String,
    pub x: String,
}

/// The keys that sign. The newest signs; the others only verify until the
/// last token they signed has expired.
pub trait SigningKeys: Send + Sync {
    fn current(&self) -> Arc<SigningKey>;

    /// Every key that still verifies, the current one first.
    fn all(&self) -> Vec<Arc<SigningKey>>;
}

/// What a login or a refresh hands to the client.
pub struct TokenPair {
    pub access_token: String,
    pub expires_at: DateTime<Utc>,
    pub refresh_token: String,
    pub refresh_expires_at: DateTime<Utc>,
    pub account: AccountId,
    pub session: SessionId,
    pub roles: Vec<Role>,
}

/// Whom a token stands for.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Bearer {
    Account {
        account: AccountId,
        session: SessionId,
        roles: Vec<Role>,
    },
    /// With the generation of the client's keys that the token is of.
    Client {
        client: ApiClientId,
        generation: i32,
        scopes: Vec<String>,
    },
}

#[derive(Serialize, Deserialize)]
struct Claims {
    iss: String,
    aud: String,
    sub: Uuid,
    iat: i64,
    exp: i64,
    jti: Uuid,
    #[serde(skip_serializing_if = "Option::is_none")]
    sid: Option<SessionId>,
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    roles: Vec<Role>,
    #[serde(skip_serializing_if = "Option::is_none")]
    client_id: Option<ApiClientId>,
    /// Tokens of before there were generations are of the first.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    generation: Option<i32>,
    #[serde(skip_serializing_if = "Option::is_none")]
    scope: Option<String>,
}

/// RFC 9068's type, so that no other JWT passes for an access token.
const TOKEN_TYPE: &str = "at+jwt";

/// Signs an access token. The roles in it are for clients to read; what counts
/// is what the database says when the token comes back.
pub fn issue(
    keys: &dyn SigningKeys,
    policy: &Policy,
    bearer: Bearer,
    jti: Uuid,
    now: DateTime<Utc>,
) -> Result<(String, DateTime<Utc>)> {
    let life = match bearer {
        Bearer::Account { .. } => policy.access_token_life,
        Bearer::Client { .. } => policy.client_token_life,
    };
    let expires_at = now + life;
    let generation = match bearer {
        Bearer::Account { .. } => None,
        Bearer::Client { generation, .. } => Some(generation),
    };
    let audience = audience_of(policy, matches!(bearer, Bearer::Client { .. })).to_owned();
    let (sub, sid, roles, client_id, scope) = match bearer {
        Bearer::Account { account, session, roles } => {
            (account.uuid(), Some(session), roles, None, None)
        }
        Bearer::Client { client, scopes, .. } => {
            (client.uuid(), None, Vec::new(), Some(client), Some(scopes.join(" ")))
        }
    };
    let claims = Claims {
        iss: policy.issuer.clone(),
        aud: audience,
        sub,
        iat: now.timestamp(),
        exp: expires_at.timestamp(),
        jti,
        sid,
        roles,
        client_id,
        generation,
        scope,
    };
    let key = keys.current();
    let mut header = Header::new(Algorithm::EdDSA);
    header.typ = Some(TOKEN_TYPE.to_owned());
    header.kid = Some(key.kid.clone());
    let token = jsonwebtoken::encode(&header, &claims, &key.encoding)
        .map_err(|error| PortError::internal("an access token could not be signed", error))?;
    Ok((token, expires_at))
}

/// A client's token is for the FHIR surface and no other; an account's is for
/// the operations, and for the account's own record over FHIR.
fn audience_of(policy: &Policy, is_client: bool) -> &str {
    if is_client { policy.fhir_base() } else { policy.audience() }
}

/// Checks the signature, the issuer, the audience and the expiry.
pub fn verify(
    keys: &dyn SigningKeys,
    policy: &Policy,
    token: &str,
    now: DateTime<Utc>,
) -> Result<Bearer> {
    read(keys, policy, token)?.bearer(now)
}

/// What a token says whose signature is good.
#[derive(Clone)]
pub(crate) struct Signed {
    bearer: Bearer,
    expires: i64,
}

impl Signed {
    pub fn bearer(self, now: DateTime<Utc>) -> Result<Bearer> {
        if self.expires <= now.timestamp() {
            return Err(IdentityError::InvalidToken);
        }
        Ok(self.bearer)
    }
}

/// Reads a token, expired or not.
pub(crate) fn read(keys: &dyn SigningKeys, policy: &Policy, token: &str) -> Result<Signed> {
    // The library reads a clock of its own for the expiry; ours decides later.
    let mut validation = Validation::new(Algorithm::EdDSA);
    validation.validate_exp = false;
    validation.set_required_spec_claims(&["exp", "iss", "aud", "sub"]);
    validation.set_issuer(&[&policy.issuer]);
    validation.set_audience(&[policy.audience(), policy.fhir_base()]);
    let invalid = |_| IdentityError::InvalidToken;

    let header = jsonwebtoken::decode_header(token).map_err(invalid)?;
    if header.typ.as_deref() != Some(TOKEN_TYPE) {
        return Err(IdentityError::InvalidToken);
    }
    let key = keys
        .all()
        .into_iter()
        .find(|key| Some(key.kid()) == header.kid.as_deref())
        .ok_or(IdentityError::InvalidToken)?;
    let claims =
        jsonwebtoken::decode::<Claims>(token, &key.decoding, &validation).map_err(invalid)?.claims;
    if claims.aud != audience_of(policy, claims.client_id.is_some()) {
        return Err(IdentityError::InvalidToken);
    }
    let expires = claims.exp;
    let bearer = match claims {
        Claims { sid: Some(session), client_id: None, sub, roles, .. } => {
            Bearer::Account { account: sub.into(), session, roles }
        }
        Claims {
            sid: None, client_id: Some(client), sub, scope: Some(scope), generation, ..
        } if client.uuid() == sub => {
            let generation = generation.unwrap_or_default();
            let scopes = scope.split_whitespace().map(str::to_owned).collect();
            Bearer::Client { client, generation, scopes }
        }
        _ => return Err(IdentityError::InvalidToken),
    };
    Ok(Signed { bearer, expires })
}

#[cfg(test)]
#[path = "token_tests.rs"]
mod tests;
