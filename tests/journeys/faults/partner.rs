//! A FHIR partner: a client with a key of its own, which it signs its
//! assertions with.

use jsonwebtoken::{Algorithm, EncodingKey, Header, jwk::Jwk};
use ports::{Clock as _, Ids as _};
use reqwest::Method;
use salus::system::{SystemClock, SystemIds};
use serde_json::{Value, json};

use super::{Seen, once, patient::text, request, staff_token};
use crate::server::Server;

pub struct Partner<'a> {
    server: &'a Server,
    pub id: String,
    key: EncodingKey,
}

impl<'a> Partner<'a> {
    pub async fn register(server: &'a Server) -> Self {
        let pem = include_bytes!("../../../crates/identity/src/test_keys/es384.pem");
        let key = EncodingKey::from_ec_pem(pem).expect("a key");
        let mut jwk = Jwk::from_encoding_key(&key, Algorithm::ES384).expect("a key");
        jwk.common.key_id = Some("one".to_owned());
        let admin = staff_token(server, "admin@salus.example").await;
        let registered = request(server, Method::POST, "/api/admin/clients", &admin).json(&json!({
            "name": "A partner", "jwks": { "keys": [jwk] }, "scopes": ["system/*.read"],
        }));
        let registered = once(registered).await;
        assert_eq!(registered.status, 201, "{}", registered.body);
        Self { server, id: text(&registered.body, "id"), key }
    }

    /// Asks for a token with an assertion of these claims beside the usual.
    pub async fn ask(&self, claims: Value) -> Seen {
        let address = format!("{}/oauth/token", self.server.url());
        let now = SystemClock.now().timestamp();
        let mut all = json!({
            "iss": self.id, "sub": self.id, "aud": address, "iat": now, "exp": now + 120,
            "jti": SystemIds.uuid(),
        });
        for (name, value) in claims.as_object().into_iter().flatten() {
            all[name] = value.clone();
        }
        let mut header = Header::new(Algorithm::ES384);
        header.kid = Some("one".to_owned());
        let assertion = jsonwebtoken::encode(&header, &all, &self.key).expect("an assertion");
        let form = request(self.server, Method::POST, "/oauth/token", "").form(&[
            ("grant_type", "client_credentials"),
            ("scope", "system/*.read"),
            ("client_assertion_type", "urn:ietf:params:oauth:client-assertion-type:jwt-bearer"),
            ("client_assertion", assertion.as_str()),
        ]);
        once(form).await
    }

    pub async fn token(&self) -> String {
        let granted = self.ask(json!({})).await;
        assert_eq!(granted.status, 200, "{}", granted.body);
        text(&granted.body, "access_token")
    }
}
