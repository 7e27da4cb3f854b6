//! The seeded staff, as the journeys act for them.

use reqwest::{Method, RequestBuilder};
use seeds::identity::sign_ins;
use serde_json::Value;

use crate::{
    faults::{Seen, once, request, staff_token},
    server::Server,
};

/// A member of the staff who is signed in.
pub struct Desk<'a> {
    server: &'a Server,
    token: String,
}

impl<'a> Desk<'a> {
    /// The first of that role; of the providers it is the one of Massachusetts.
    pub async fn of(server: &'a Server, role: &str) -> Self {
        let (email, _) =
            sign_ins().find(|(_, is)| is.to_string() == role).expect("a member of the staff");
        Self { server, token: staff_token(server, email).await }
    }

    pub fn ask(&self, method: Method, path: &str) -> RequestBuilder {
        request(self.server, method, path, &self.token)
    }

    pub async fn get(&self, path: &str) -> Value {
        let seen = once(self.ask(Method::GET, path)).await;
        assert_eq!(seen.status, 200, "{path}: {}", seen.body);
        seen.body
    }

    pub async fn put(&self, path: &str, seen: &str, body: &Value) -> Seen {
        once(self.ask(Method::PUT, path).header("If-Match", seen).json(body)).await
    }

    pub async fn post(&self, path: &str, key: &str, body: &Value) -> Seen {
        once(self.ask(Method::POST, path).header("Idempotency-Key", key).json(body)).await
    }
}
