//! API clients: programs that authenticate with a key of their own, as SMART
//! backend services do.

use std::collections::BTreeSet;

use base64::{Engine as _, engine::general_purpose::URL_SAFE_NO_PAD};
use chrono::{DateTime, TimeDelta, Utc};
use jsonwebtoken::{
    Algorithm, DecodingKey, Validation,
    jwk::{AlgorithmParameters, EllipticCurve, Jwk, JwkSet},
};
use kernel::{Actor, ApiClientId, FieldError, Permission};
use ports::{AuditAction, AuditEntry};
use serde::Deserialize;

use crate::{IdentityError, OAuthError, Services, SystemScope, error::Result as IdentityResult};

#[derive(Clone, Debug, PartialEq, Eq)]
pub struct ApiClient {
    pub id: ApiClientId,
    pub name: String,
    /// Public keys only, each with a `kid`, for RS384 or ES384.
    pub keys: JwkSet,
    pub scopes: BTreeSet<SystemScope>,
    pub active: bool,
    pub created_at: DateTime<Utc>,
}

/// A client as an administrator describes it.
#[derive(Clone, Debug)]
pub struct ClientForm {
    pub name: String,
    pub keys: serde_json::Value,
    pub scopes: Vec<String>,
}

const MOST_KEYS: usize = 10;
const LEAST_RSA_BYTES: usize = 256;
/// Larger keys only cost time to verify with.
const MOST_RSA_BYTES: usize = 512;

impl ApiClient {
    pub fn register(id: ApiClientId, form: ClientForm, now: DateTime<Utc>) -> IdentityResult<Self> {
        let mut errors = Vec::new();
        let name = form.name.trim();
        if name.is_empty() {
            errors.push(FieldError::required("name"));
        } else if name.chars().count() > 200 || name.chars().any(char::is_control) {
            errors.push(FieldError::new("name", "invalid", "At most 200 printable characters."));
        }
        let keys = parse_keys(&form.keys).map_err(|found| errors.extend(found)).ok();
        let mut scopes = BTreeSet::new();
        for (index, text) in form.scopes.iter().enumerate() {
            match text.parse::<SystemScope>() {
                Ok(scope) => {
                    scopes.insert(scope);
                }
                Err(error) => errors.push(FieldError::new(
                    format!("scopes[{index}]"),
                    "invalid",
                    error.to_string(),
                )),
            }
        }
        if form.scopes.is_empty() {
            errors.push(FieldError::required("scopes"));
        }
        match keys {
            Some(keys) if errors.is_empty() => {
                Ok(Self { id, name: name.to_owned(), keys, scopes, active: true, created_at: now })
            }
            _ => Err(IdentityError::Invalid(errors)),
        }
    }

    /// The key that an assertion names, when it fits the algorithm.
    fn key(&self, kid: &str, algorithm: Algorithm) -> Option<&Jwk> {
        self.keys.find(kid).filter(|key| algorithm_of(key) == Some(algorithm))
    }
}

/// SMART backend services sign with RS384 or ES384, and with nothing else.
fn algorithm_of(key: &Jwk) -> Option<Algorithm> {
    match &key.algorithm {
        AlgorithmParameters::RSA(_) => Some(Algorithm::RS384),
        AlgorithmParameters::EllipticCurve(parameters)
            if parameters.curve == EllipticCurve::P384 =>
        {
            Some(Algorithm::ES384)
        }
        _ => None,
    }
}

fn parse_keys(value: &serde_json::Value) -> Result<JwkSet, Vec<FieldError>> {
    let wrong = |path: String, message: &str| FieldError::new(path, "invalid", message);
    let set: JwkSet = serde_json::from_value(value.clone())
        .map_err(|_| vec![wrong("jwks".to_owned(), "A JWK set with a list of keys.")])?;
    let mut errors = Vec::new();
    if set.keys.is_empty() || set.keys.len() > MOST_KEYS {
        errors.push(wrong("jwks.keys".to_owned(), "Between one and ten keys."));
    }
    let mut kids = BTreeSet::new();
    for (index, key) in set.keys.iter().enumerate() {
        let path = format!("jwks.keys[{index}]");
        if value["keys"][index].get("d").is_some() {
            errors.push(wrong(path.clone(), "This is a private key; keep it and make a new one."));
        }
        match &key.common.key_id {
            Some(kid) if !kid.is_empty() && kid.len() <= 255 && kids.insert(kid.as_str()) => {}
            _ => errors.push(wrong(format!("{path}.kid"), "Each key has a kid of its own.")),
        }
        if !is_strong(key) {
            errors.push(wrong(path, "An RSA key of 2048 to 4096 bits, or an EC key on P-384."));
        }
    }
    if errors.is_empty() { Ok(set) } else { Err(errors) }
}

fn is_strong(key: &Jwk) -> bool {
    let length = |text: &str| URL_SAFE_NO_PAD.decode(text).map_or(0, |bytes| bytes.len());
    match &key.algorithm {
        AlgorithmParameters::RSA(parameters) => {
            (LEAST_RSA_BYTES..=MOST_RSA_BYTES).contains(&length(&parameters.n))
                && (1..=4).contains(&length(&parameters.e))
        }
        AlgorithmParameters::EllipticCurve(parameters) => {
            algorithm_of(key).is_some()
                && length(&parameters.x) == 48
                && length(&parameters.y) == 48
        }
        _ => false,
    }
}

/// A client's claim to be itself (RFC 7523), checked except for its one use.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Assertion {
    pub jti: String,
    pub expires_at: DateTime<Utc>,
}

#[derive(Deserialize)]
struct AssertionClaims {
    iss: String,
    sub: String,
    exp: i64,
    #[serde(default)]
    nbf: Option<i64>,
    #[serde(default)]
    jti: String,
}

const LONGEST_ASSERTION: TimeDelta = TimeDelta::minutes(5);
/// How far a client's clock may differ from ours.
const SKEW: TimeDelta = TimeDelta::seconds(30);

/// Who an assertion says it is from, before anything of it is believed.
pub fn claimed_client(assertion: &str) -> Result<ApiClientId, OAuthError> {
    jsonwebtoken::dangerous::insecure_decode_claims::<AssertionClaims>(assertion)
        .ok()
        .and_then(|claims| claims.iss.parse().ok())
        .ok_or(OAuthError::InvalidClient("the assertion is not a JWT of a registered client"))
}

/// Checks the signature with the client's own key and every claim.
pub fn check_assertion(
    client: &ApiClient,
    assertion: &str,
    token_url: &str,
    now: DateTime<Utc>,
) -> Result<Assertion, OAuthError> {
    let refuse = OAuthError::InvalidClient;
    let header = jsonwebtoken::decode_header(assertion)
        .map_err(|_| refuse("the assertion's header is not one of a signed JWT"))?;
    let kid = header.kid.as_deref().ok_or(refuse("the assertion's header names no kid"))?;
    let key = client
        .key(kid, header.alg)
        .and_then(|key| DecodingKey::from_jwk(key).ok())
        .ok_or(refuse("no registered key has this kid and algorithm"))?;

    let mut validation = Validation::new(header.alg);
    // The library reads a clock of its own for the times; ours decides below.
    validation.validate_exp = false;
    validation.set_required_spec_claims(&["iss", "sub", "aud", "exp"]);
    validation.set_audience(&[token_url]);
    let claims = jsonwebtoken::decode::<AssertionClaims>(assertion, &key, &validation)
        .map_err(|_| refuse("the assertion's signature or audience is wrong"))?
        .claims;
    let id = client.id.to_string();
    if claims.iss != id || claims.sub != id {
        return Err(refuse("iss and sub are not both the client's id"));
    }
    let expires_at = DateTime::from_timestamp(claims.exp, 0).ok_or(refuse("exp is not a time"))?;
    if expires_at <= now {
        return Err(refuse("the assertion has expired"));
    }
    if expires_at > now + LONGEST_ASSERTION + SKEW {
        return Err(refuse("the assertion expires in more than five minutes"));
    }
    if claims.nbf.is_some_and(|nbf| nbf > (now + SKEW).timestamp()) {
        return Err(refuse("the assertion is not valid yet"));
    }
    if claims.jti.is_empty() || claims.jti.len() > 255 {
        return Err(refuse("the assertion has no jti of 1 to 255 characters"));
    }
    Ok(Assertion { jti: claims.jti, expires_at })
}

/// Registers a client under a fresh id.
pub async fn register(
    services: &Services,
    actor: &Actor,
    form: ClientForm,
) -> IdentityResult<ApiClient> {
    register_as(services, actor, services.env.fresh(), form).await
}

/// Registers a client under an id that is known before, for demo data. A
/// client that exists already is left as it is.
pub async fn register_as(
    services: &Services,
    actor: &Actor,
    id: ApiClientId,
    form: ClientForm,
) -> IdentityResult<ApiClient> {
    actor.require(Permission::ClientAdminister)?;
    let client = ApiClient::register(id, form, services.now())?;
    let mut tx = services.store.begin(actor).await?;
    if let Some(existing) = tx.client(id).await? {
        return Ok(existing);
    }
    tx.insert_client(&client).await?;
    let scopes: Vec<String> = client.scopes.iter().map(ToString::to_string).collect();
    tx.audit(
        AuditEntry::new(AuditAction::Create, "api_client", id)
            .detail("name", client.name.clone())
            .detail("scopes", scopes),
    )
    .await?;
    tx.commit().await?;
    Ok(client)
}

#[cfg(test)]
#[path = "client_tests.rs"]
mod tests;
