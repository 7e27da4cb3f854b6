//! What the journey survives: input that is none, tokens that are not theirs
//! who bring them, notices that come twice, late or forged, and vendors that
//! fail or never answer.

mod deliveries;
mod endings;
mod input;
mod limits;
mod outages;
mod partner;
pub mod patient;
mod photos;
mod repeats;
mod strangers;
mod sweep;
mod texts;
mod tokens;
mod vendors;
pub mod webhooks;

use reqwest::{
    Method, RequestBuilder,
    header::{CONTENT_TYPE, HeaderMap},
};
use serde_json::{Value, json};

use crate::server::{PASSWORD, Server};

/// An answer with everything that a client sees of it.
pub struct Seen {
    pub status: u16,
    pub headers: HeaderMap,
    pub body: Value,
}

impl Seen {
    /// What is stable of a problem: its status, the last word of its type, and
    /// the path and code of every field. Each problem says which request it
    /// answers.
    pub fn problem(&self) -> (u16, &str, Vec<String>) {
        let id = self.headers.get("x-request-id").and_then(|id| id.to_str().ok());
        let content = self.headers.get(CONTENT_TYPE).and_then(|content| content.to_str().ok());
        let problem = content == Some("application/problem+json")
            && self.body["status"] == self.status
            && id.is_some()
            && self.body["request_id"].as_str() == id;
        assert!(problem, "{} of {content:?} is no problem: {}", self.status, self.body);
        let kind = self.body["type"].as_str().unwrap_or_default();
        let fields = self.body["errors"].as_array().cloned().unwrap_or_default();
        let fields = fields.iter().map(|field| {
            let part = |name: &str| field[name].as_str().unwrap_or_default().to_owned();
            format!("{} {}", part("path"), part("code"))
        });
        let kind = kind.strip_prefix("urn:salus:problem:").unwrap_or(kind);
        (self.status, kind, fields.collect())
    }
}

/// One request as it stands, without the careful client's repetitions.
pub async fn once(request: RequestBuilder) -> Seen {
    let response = request.send().await.expect("an answer");
    let (status, headers) = (response.status().as_u16(), response.headers().clone());
    let bytes = response.bytes().await.expect("a body");
    Seen { status, headers, body: serde_json::from_slice(&bytes).unwrap_or_default() }
}

pub fn request(server: &Server, method: Method, path: &str, token: &str) -> RequestBuilder {
    let request = reqwest::Client::new().request(method, format!("{}{path}", server.url()));
    if token.is_empty() { request } else { request.bearer_auth(token) }
}

pub async fn staff_token(server: &Server, email: &str) -> String {
    let session = session(server, email, PASSWORD).await;
    session["access_token"].as_str().expect("a token").to_owned()
}

pub async fn session(server: &Server, email: &str, password: &str) -> Value {
    let body = json!({ "email": email, "password": password });
    let answer = server.client.post("/api/auth/login", body).send().await.expect("an answer");
    answer.expect(200, email).expect("a session").json().expect("JSON")
}
