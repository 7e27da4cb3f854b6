//! API clients: programs that authenticate with a key of their own, as SMART
//! backend services do.

use std::collections::BTreeSet;

use base64::{Engine as _, engine::general_purpose::URL_SAFE_NO_PAD};
use chrono::{DateTime, TimeDelta, Utc};
use jsonwebtoken::{
    Algorithm, DecodingKey, Validation,
    jwk::{AlgorithmParameters, EllipticCurve, Jwk, JwkSet},
};
use kernel::{
    Actor, ApiClientId, FieldError, Permission, Seen, TextKind as _,
    text::{ClientName, KeyName},
};
use ports::{
    Aggregate, AuditAction, AuditEntry,
    repository::{get, lock},
};
use serde::Deserialize;

use crate::{IdentityError, OAuthError, Services, SystemScope, error::Result as IdentityResult};

#[derive(Clone, Debug, PartialEq, Eq, Aggregate)]
#[aggregate("api_client")]
pub struct ApiClient {
    pub id: ApiClientId,
    pub name: String,
    /// Public keys only, each with a `kid`, for RS384 or ES384.
    pub keys: JwkSet,
    pub scopes: BTreeSet<SystemScope>,
    pub disabled_at: Option<DateTime<Utc>>,
    /// Tokens of an earlier one are void: it counts up when the client is
    /// disabled and when a key is withdrawn.
    pub generation: i32,
    pub created_at: DateTime<Utc>,
    pub version: i64,
}

/// A client as an administrator describes it.
#[derive(Clone, Debug)]
pub struct ClientForm {
    pub name: String,
    pub keys: serde_json::Value,
    pub scopes: Vec<String>,
}

/// The key in use and the one that follows it.
const MOST_KEYS: usize = 2;
const LEAST_RSA_BYTES: usize = 256;
/// Larger keys only cost time to verify with.
const MOST_RSA_BYTES: usize = 512;

impl ApiClient {
    pub fn register(id: ApiClientId, form: ClientForm, now: DateTime<Utc>) -> IdentityResult<Self> {
        let mut errors = Vec::new();
        let name = ClientName::take("name", &form.name).map_err(|error| errors.push(error));
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
        match (name, keys) {
            (Ok(name), Some(keys)) if errors.is_empty() => Ok(Self {
                id,
                name,
                keys,
                scopes,
                disabled_at: None,
                generation: 0,
                created_at: now,
                version: 1,
            }),
            _ => Err(IdentityError::Invalid(errors)),
        }
    }

    pub fn is_active(&self) -> bool {
        self.disabled_at.is_none()
    }

    /// Shuts the client out, whose tokens end, or lets it in again.
    fn set_disabled(self, disabled: bool, now: DateTime<Utc>) -> Self {
        match (self.disabled_at, disabled) {
            (None, true) => {
                Self { disabled_at: Some(now), generation: self.generation + 1, ..self }
            }
            (Some(_), false) => Self { disabled_at: None, ..self },
            _ => self,
        }
    }

    /// Takes a key beside the one that it will follow.
    fn add_key(mut self, key: &serde_json::Value) -> IdentityResult<Self> {
        let alone = serde_json::json!({ "keys": [key] });
        let renamed = |error: FieldError| FieldError {
            path: error
                .path
                .replace("jwks.keys[0]", "jwk")
                .replace("jwks.keys", "jwk")
                .replace("jwks", "jwk"),
            ..error
        };
        let added = parse_keys(&alone)
            .map_err(|found| IdentityError::Invalid(found.into_iter().map(renamed).collect()))?;
        let kids = |set: &JwkSet| -> BTreeSet<Option<String>> {
            set.keys.iter().map(|key| key.common.key_id.clone()).collect()
        };
        if !kids(&added).is_disjoint(&kids(&self.keys)) {
            return Err(IdentityError::field("jwk.kid", "taken", "A key with this kid is there."));
        }
        if self.keys.keys.len() >= MOST_KEYS {
            return Err(IdentityError::TooManyKeys);
        }
        self.keys.keys.extend(added.keys);
        Ok(self)
    }

    /// Withdraws a key. Which key a token was got with is not known, so all
    /// tokens of the client end, and it asks for new ones.
    fn withdraw_key(mut self, kid: &str) -> IdentityResult<Self> {
        if self.keys.find(kid).is_none() {
            return Err(IdentityError::NotFound("key"));
        }
        if self.keys.keys.len() == 1 {
            return Err(IdentityError::LastKey);
        }
        self.keys.keys.retain(|key| key.common.key_id.as_deref() != Some(kid));
        self.generation += 1;
        Ok(self)
    }

    fn kids(&self) -> Vec<String> {
        self.keys.keys.iter().filter_map(|key| key.common.key_id.clone()).collect()
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
        errors.push(wrong(
            "jwks.keys".to_owned(),
            "One key, or two while one takes the place of the other.",
        ));
    }
    let mut kids = BTreeSet::new();
    for (index, key) in set.keys.iter().enumerate() {
        let path = format!("jwks.keys[{index}]");
        if value["keys"][index].get("d").is_some() {
            errors.push(wrong(path.clone(), "This is a private key; keep it and make a new one."));
        }
        match &key.common.key_id {
            // Assertions name it letter by letter, so that it is kept as it is.
            Some(kid)
                if KeyName::take("", kid).as_ref() == Ok(kid) && kids.insert(kid.as_str()) => {}
            _ => errors.push(wrong(
                format!("{path}.kid"),
                "Each key has a kid of its own, of visible characters.",
            )),
        }
        if !is_strong(key) {
            errors.push(wrong(
                path,
                "An RSA key of 2048 to 4096 bits with an odd exponent of 65537 or more, or an EC \
                 key on P-384.",
            ));
        } else if !is_on_its_curve(key) {
            errors.push(wrong(path, "Its x and y are no point of P-384."));
        }
    }
    if errors.is_empty() { Ok(set) } else { Err(errors) }
}

fn is_strong(key: &Jwk) -> bool {
    let length = |text: &str| URL_SAFE_NO_PAD.decode(text).map_or(0, |bytes| bytes.len());
    match &key.algorithm {
        AlgorithmParameters::RSA(parameters) => {
            is_modulus(&parameters.n) && is_public_exponent(&parameters.e)
        }
        AlgorithmParameters::EllipticCurve(parameters) => {
            algorithm_of(key).is_some()
                && length(&parameters.x) == 48
                && length(&parameters.y) == 48
        }
        _ => false,
    }
}

/// A product of two large primes is odd, and its first byte counts: zeros before
/// it would make a small key look like a long one.
fn is_modulus(text: &str) -> bool {
    URL_SAFE_NO_PAD.decode(text).is_ok_and(|bytes| {
        (LEAST_RSA_BYTES..=MOST_RSA_BYTES).contains(&bytes.len())
            && bytes.first().is_some_and(|first| *first != 0)
            && bytes.last().is_some_and(|last| last % 2 == 1)
    })
}

/// An odd number of at least 65537, as FIPS 186-5 (appendix A.1.1) asks. With 1
/// anybody signs for the client, and an even number belongs to no key.
fn is_public_exponent(text: &str) -> bool {
    let Ok(bytes) = URL_SAFE_NO_PAD.decode(text) else { return false };
    if bytes.len() > 4 {
        return false;
    }
    let value = bytes.iter().fold(0_u32, |value, byte| value << 8 | u32::from(*byte));
    value % 2 == 1 && value >= 65_537
}

/// Whether the two numbers of an EC key belong together. With any others no
/// signature can be checked, and the client would learn of it at its first
/// token.
fn is_on_its_curve(key: &Jwk) -> bool {
    let AlgorithmParameters::EllipticCurve(parameters) = &key.algorithm else { return true };
    let coordinate = |text: &str| URL_SAFE_NO_PAD.decode(text).ok();
    let (Some(x), Some(y)) = (coordinate(&parameters.x), coordinate(&parameters.y)) else {
        return false;
    };
    // SEC 1, section 2.3.3: both coordinates as they are.
    p384::PublicKey::from_sec1_bytes(&[&[4][..], &x, &y].concat()).is_ok()
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
    /// Seconds, which may have a fraction (RFC 7519, section 2).
    exp: f64,
    #[serde(default)]
    nbf: Option<f64>,
    #[serde(default)]
    iat: Option<f64>,
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
    // What a client calls critical has to be understood (RFC 7515, 4.1.11).
    if header.crit.is_some() {
        return Err(refuse("the assertion's header names a critical extension"));
    }
    let kid = header.kid.as_deref().ok_or(refuse("the assertion's header names no kid"))?;
    let key = client
        .key(kid, header.alg)
        .and_then(|key| DecodingKey::from_jwk(key).ok())
        .ok_or(refuse("no registered key has this kid and algorithm"))?;

    let mut validation = Validation::new(header.alg);
    // The library reads a clock of its own for the times; ours decides below.
    validation.validate_exp = false;
    // It takes a time with a fraction for none; `exp` is a field of the claims.
    validation.set_required_spec_claims(&["iss", "sub", "aud"]);
    validation.set_audience(&[token_url]);
    let claims = jsonwebtoken::decode::<AssertionClaims>(assertion, &key, &validation)
        .map_err(|_| refuse("the assertion's signature or audience is wrong"))?
        .claims;
    let id = client.id.to_string();
    if claims.iss != id || claims.sub != id {
        return Err(refuse("iss and sub are not both the client's id"));
    }
    let expires_at = instant(claims.exp).ok_or(refuse("exp is not a time"))?;
    if expires_at <= now {
        return Err(refuse("the assertion has expired"));
    }
    if expires_at > now + LONGEST_ASSERTION + SKEW {
        return Err(refuse("the assertion expires in more than five minutes"));
    }
    for begins in [claims.nbf, claims.iat].into_iter().flatten() {
        let from = instant(begins).ok_or(refuse("nbf or iat is not a time"))?;
        if from > now + SKEW {
            return Err(refuse("the assertion is not valid yet"));
        }
    }
    let jti = claims.jti.as_str();
    if jti.is_empty() || jti.len() > 255 || jti.chars().any(char::is_control) {
        return Err(refuse("the assertion has no jti of 1 to 255 printable characters"));
    }
    Ok(Assertion { jti: claims.jti, expires_at })
}

/// The time of a claim; `None` outside the years that are written with four
/// digits.
fn instant(seconds: f64) -> Option<DateTime<Utc>> {
    let micros = seconds * 1e6;
    let fits = micros.abs() < 1e18;
    DateTime::from_timestamp_micros(fits.then_some(micros as i64)?).filter(kernel::year_fits)
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
    let existing: Option<ApiClient> = tx.find(id).await?;
    if let Some(existing) = existing {
        return Ok(existing);
    }
    tx.insert(&client).await?;
    let scopes: Vec<String> = client.scopes.iter().map(ToString::to_string).collect();
    tx.audit(
        AuditEntry::new(AuditAction::Create, "api_client", id)
            .detail("name", client.name.clone())
            .detail("scopes", scopes),
    );
    tx.commit().await?;
    Ok(client)
}

/// All clients, the oldest first.
pub async fn list(services: &Services, actor: &Actor) -> IdentityResult<Vec<ApiClient>> {
    actor.require(Permission::ClientAdminister)?;
    Ok(services.store.begin(actor).await?.clients().await?)
}

pub async fn read(
    services: &Services,
    actor: &Actor,
    id: ApiClientId,
) -> IdentityResult<ApiClient> {
    actor.require(Permission::ClientAdminister)?;
    Ok(get(services.store.begin(actor).await?.as_mut(), id).await?)
}

/// Shuts a client out or lets it in again. Its tokens end at once here, and
/// within a second at every other node; they stay ended.
pub async fn set_disabled(
    services: &Services,
    actor: &Actor,
    id: ApiClientId,
    disabled: bool,
) -> IdentityResult<ApiClient> {
    let now = services.now();
    let word = if disabled { "disabled" } else { "enabled" };
    change(services, actor, id, word, |client| Ok(client.set_disabled(disabled, now))).await
}

/// Registers the key that is to follow the one in use.
pub async fn add_key(
    services: &Services,
    actor: &Actor,
    id: ApiClientId,
    key: &serde_json::Value,
) -> IdentityResult<ApiClient> {
    change(services, actor, id, "key_added", |client| client.add_key(key)).await
}

/// Withdraws a key, and ends the tokens of the client as disabling does.
pub async fn withdraw_key(
    services: &Services,
    actor: &Actor,
    id: ApiClientId,
    kid: &str,
) -> IdentityResult<ApiClient> {
    change(services, actor, id, "key_withdrawn", |client| client.withdraw_key(kid)).await
}

async fn change(
    services: &Services,
    actor: &Actor,
    id: ApiClientId,
    word: &str,
    transition: impl FnOnce(ApiClient) -> IdentityResult<ApiClient> + Send,
) -> IdentityResult<ApiClient> {
    actor.require(Permission::ClientAdminister)?;
    let mut tx = services.store.begin(actor).await?;
    let mut client = lock::<ApiClient>(tx.as_mut(), id, &Seen::Any).await?;
    client.set(transition(client.stored().clone())?);
    if *client == *client.stored() {
        return Ok(client.into_inner());
    }
    tx.audit(
        AuditEntry::new(AuditAction::Update, "api_client", id)
            .detail("change", word)
            .detail("old_keys", client.stored().kids())
            .detail("new_keys", client.kids()),
    );
    tx.save(&mut client).await?;
    tx.commit().await?;
    services.forget_client(id).await;
    Ok(client.into_inner())
}

#[cfg(test)]
#[path = "client_tests.rs"]
mod tests;
