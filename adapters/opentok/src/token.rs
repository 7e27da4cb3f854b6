//! Client tokens: a JWT, or OpenTok's older `T1==` form.

use base64::{Engine as _, engine::general_purpose::STANDARD};
use care::TokenRequest;
use chrono::TimeDelta;
use hmac::{Hmac, KeyInit as _, Mac as _};
use jsonwebtoken::Algorithm;
use ports::{PortError, Result};
use serde_json::json;
use sha1::Sha1;
use url::form_urlencoded::Serializer;

use crate::{Credentials, OpenTok, TokenForm};

/// What the vendor allows at most.
const LONGEST_LIFE: TimeDelta = TimeDelta::days(30);
const LONGEST_DATA: usize = 1000;

pub fn client_token(vendor: &OpenTok, request: &TokenRequest) -> Result<String> {
    let life = request.expires_at - request.issued_at;
    if life <= TimeDelta::zero() || life > LONGEST_LIFE {
        return Err(PortError::bug("a client token lives more than nothing and at most 30 days"));
    }
    if request.data.chars().count() > LONGEST_DATA {
        return Err(PortError::bug("connection data has at most 1,000 characters"));
    }
    match (&vendor.config.credentials, vendor.config.token_form) {
        (Credentials::Project { api_key, api_secret }, TokenForm::T1) => {
            Ok(t1(api_key, api_secret, request))
        }
        (Credentials::Project { api_key, .. }, TokenForm::Jwt) => vendor.sign(
            Algorithm::HS256,
            &json!({
                "iss": api_key,
                "ist": "project",
                "iat": request.issued_at.timestamp(),
                "exp": request.expires_at.timestamp(),
                "nonce": request.nonce,
                "session_id": request.session,
                "role": request.role.to_string(),
                "scope": "session.connect",
                "initial_layout_class_list": "",
                "connection_data": request.data,
            }),
        ),
        (Credentials::Application { application_id, .. }, _) => vendor.sign(
            Algorithm::RS256,
            &json!({
                "application_id": application_id,
                "iat": request.issued_at.timestamp(),
                "exp": request.expires_at.timestamp(),
                "jti": request.nonce,
                "subject": "video",
                "acl": { "paths": { "/session/**": {} } },
                "session_id": request.session,
                "role": request.role.to_string(),
                "scope": "session.connect",
                "initial_layout_class_list": "",
                "connection_data": request.data,
            }),
        ),
    }
}

fn t1(api_key: &str, api_secret: &str, request: &TokenRequest) -> String {
    let data = Serializer::new(String::new())
        .append_pair("session_id", &request.session)
        .append_pair("create_time", &request.issued_at.timestamp().to_string())
        .append_pair("expire_time", &request.expires_at.timestamp().to_string())
        .append_pair("role", &request.role.to_string())
        .append_pair("nonce", &request.nonce)
        .append_pair("initial_layout_class_list", "")
        .append_pair("connection_data", &request.data)
        .finish();
    let mut mac = Hmac::<Sha1>::new_from_slice(api_secret.as_bytes())
        .unwrap_or_else(|_| unreachable!("HMAC takes keys of any length"));
    mac.update(data.as_bytes());
    let signature = hex::encode(mac.finalize().into_bytes());
    let body = format!("partner_id={api_key}&sig={signature}:{data}");
    format!("T1=={}", STANDARD.encode(body))
}
