//! Who calls, and what a client's token says.

use base64::{Engine as _, engine::general_purpose::STANDARD};
use hmac::{Hmac, KeyInit as _, Mac as _};
use jsonwebtoken::{Algorithm, DecodingKey, Validation};
use poem::Request;
use serde::Deserialize;
use sha1::Sha1;

use super::{OpenTokEmulatorConfig, now};

#[derive(Deserialize)]
struct ProjectClaims {
    iss: String,
    ist: String,
    iat: i64,
    exp: i64,
    jti: String,
}

/// Holds `X-OPENTOK-AUTH` against the project: a JWT of the project, for at
/// most three minutes, with an id. Its own clients write `ist` without minding
/// how long it lives beyond that, so five minutes are let pass.
pub fn check(config: &OpenTokEmulatorConfig, request: &Request) -> Result<(), &'static str> {
    let token = request.header("X-OPENTOK-AUTH").ok_or("there is no X-OPENTOK-AUTH")?;
    let claims: ProjectClaims = claims(config, token)?;
    let at = now().timestamp();
    if claims.iss != config.api_key {
        Err("the issuer is another project")
    } else if claims.ist != "project" {
        Err("it is no project token")
    } else if claims.exp <= at {
        Err("it has expired")
    } else if claims.iat > at + 60 || claims.exp - claims.iat > 300 {
        Err("it lives too long")
    } else if claims.jti.is_empty() {
        Err("it has no id")
    } else {
        check_path(config, request)
    }
}

/// A path that names a project names this one.
fn check_path(config: &OpenTokEmulatorConfig, request: &Request) -> Result<(), &'static str> {
    match request.uri().path().strip_prefix("/v2/project/") {
        Some(rest) if rest.split('/').next() != Some(config.api_key.as_str()) => {
            Err("the path names another project")
        }
        _ => Ok(()),
    }
}

fn claims<T: serde::de::DeserializeOwned>(
    config: &OpenTokEmulatorConfig,
    token: &str,
) -> Result<T, &'static str> {
    let mut validation = Validation::new(Algorithm::HS256);
    // Times are checked where they matter, without the library's leeway.
    validation.validate_exp = false;
    let key = DecodingKey::from_secret(config.api_secret.as_bytes());
    jsonwebtoken::decode::<T>(token, &key, &validation)
        .map(|token| token.claims)
        .map_err(|_| "the token does not verify")
}

/// What a client may do, by its token.
#[derive(Debug)]
pub struct Admission {
    pub session: String,
    pub role: String,
    pub data: String,
}

#[derive(Deserialize)]
struct ClientClaims {
    iss: String,
    ist: String,
    iat: i64,
    exp: i64,
    session_id: String,
    role: String,
    scope: String,
    #[serde(default)]
    connection_data: String,
}

/// Reads a client token in either of its forms.
pub fn admit(config: &OpenTokEmulatorConfig, token: &str) -> Result<Admission, &'static str> {
    let (issued, expires, admission) = match token.strip_prefix("T1==") {
        Some(encoded) => read_t1(config, encoded)?,
        None => {
            let claims: ClientClaims = claims(config, token)?;
            if claims.iss != config.api_key || claims.ist != "project" {
                return Err("the token is of another project");
            }
            if claims.scope != "session.connect" {
                return Err("the token is not for connecting");
            }
            let admission = Admission {
                session: claims.session_id,
                role: claims.role,
                data: claims.connection_data,
            };
            (claims.iat, claims.exp, admission)
        }
    };
    const THIRTY_DAYS: i64 = 30 * 24 * 3600;
    if expires <= now().timestamp() {
        Err("the token has expired")
    } else if expires - issued > THIRTY_DAYS {
        Err("the token lives too long")
    } else if !matches!(admission.role.as_str(), "subscriber" | "publisher" | "moderator") {
        Err("there is no such role")
    } else if admission.data.chars().count() > 1000 {
        Err("the connection data is too long")
    } else {
        Ok(admission)
    }
}

fn read_t1(
    config: &OpenTokEmulatorConfig,
    encoded: &str,
) -> Result<(i64, i64, Admission), &'static str> {
    let bytes = STANDARD.decode(encoded).map_err(|_| "the token is no base64")?;
    let text = String::from_utf8(bytes).map_err(|_| "the token is no text")?;
    let (head, data) = text.split_once(':').ok_or("the token has no data")?;
    let expected = format!("partner_id={}&sig=", config.api_key);
    let signature = head.strip_prefix(&expected).ok_or("the token is of another project")?;
    let signature = hex::decode(signature).map_err(|_| "the signature is no hex")?;
    let mut mac = Hmac::<Sha1>::new_from_slice(config.api_secret.as_bytes())
        .map_err(|_| "the secret is no key")?;
    mac.update(data.as_bytes());
    mac.verify_slice(&signature).map_err(|_| "the signature is wrong")?;
    let base = reqwest::Url::parse(&format!("http://token/?{data}"))
        .map_err(|_| "the token's data does not read")?;
    let field = |name: &str| {
        base.query_pairs().find(|(key, _)| key == name).map(|(_, value)| value.into_owned())
    };
    let number = |name: &str| {
        field(name).and_then(|text| text.parse::<i64>().ok()).ok_or("a time does not read")
    };
    let admission = Admission {
        session: field("session_id").ok_or("the token names no session")?,
        role: field("role").ok_or("the token names no role")?,
        data: field("connection_data").unwrap_or_default(),
    };
    Ok((number("create_time")?, number("expire_time")?, admission))
}
