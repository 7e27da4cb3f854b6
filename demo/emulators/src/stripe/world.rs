//! What the vendor remembers.

use std::collections::BTreeMap;

use chrono::{DateTime, Utc};
use serde::{Deserialize, Serialize};
use serde_json::{Value, json};

use super::{fresh, now};

/// The version that the events are rendered in.
pub const API_VERSION: &str = "2026-09-30.endive";

#[derive(Clone, Debug, Default, Serialize, Deserialize)]
pub struct World {
    pub customers: BTreeMap<String, Value>,
    pub payment_methods: BTreeMap<String, Value>,
    pub setup_intents: BTreeMap<String, Value>,
    pub payment_intents: BTreeMap<String, Value>,
    pub charges: BTreeMap<String, Value>,
    pub refunds: BTreeMap<String, Value>,
    #[serde(default)]
    pub disputes: BTreeMap<String, Value>,
    #[serde(default)]
    pub warnings: BTreeMap<String, Value>,
    /// The token that a payment method was made from.
    pub tokens: BTreeMap<String, String>,
    /// Saved cards whose charges are declined on request, with the code.
    pub declines: BTreeMap<String, String>,
    pub events: Vec<Event>,
    pub pending: Vec<Pending>,
    /// No webhook goes out.
    pub held: bool,
    pub answers: BTreeMap<String, Answer>,
    pub requests: Vec<Call>,
    pub faults: Vec<Fault>,
}

#[derive(Clone, Debug, Serialize, Deserialize)]
pub struct Event {
    pub id: String,
    /// As it is sent, so that a repetition has the same bytes.
    pub body: String,
}

/// An event on its way.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Pending {
    pub event_id: String,
    pub attempts: u32,
    pub due: DateTime<Utc>,
    pub signature: Signature,
    /// Where it goes; to the configured endpoint without it.
    #[serde(default)]
    pub url: Option<String>,
}

#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Signature {
    #[default]
    Good,
    /// By another secret.
    Bad,
    /// By the right secret, an hour ago.
    Old,
}

/// What a request with an idempotency key was answered with.
#[derive(Clone, Debug, Serialize, Deserialize)]
pub struct Answer {
    /// The method, the path and the parameters of that request.
    pub request: String,
    pub status: u16,
    pub body: Value,
}

/// One request, for the tests to look at.
#[derive(Clone, Debug, Serialize, Deserialize)]
pub struct Call {
    pub method: String,
    pub path: String,
    pub idempotency_key: Option<String>,
    pub status: u16,
    /// It was answered from an earlier answer.
    pub replayed: bool,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum FaultKind {
    #[serde(rename = "status_500")]
    Status500,
    Hang,
    DropAfter,
}

#[derive(Clone, Debug, Serialize, Deserialize)]
pub struct Fault {
    pub fault: FaultKind,
    pub times: u32,
    /// Only requests whose method and path contain this, as in
    /// `POST /v1/payment_intents`.
    pub path: Option<String>,
}

impl World {
    pub fn take_fault(&mut self, request: &str) -> Option<FaultKind> {
        let fault = self.faults.iter_mut().find(|fault| {
            fault.times > 0 && fault.path.as_ref().is_none_or(|path| request.contains(path))
        })?;
        fault.times -= 1;
        Some(fault.fault)
    }

    /// Something happened: it is remembered and sent.
    pub fn happened(&mut self, kind: &str, object: &Value) {
        let id = fresh("evt");
        let body = json!({
            "id": id,
            "object": "event",
            "api_version": API_VERSION,
            "created": now().timestamp(),
            "data": { "object": object },
            "livemode": false,
            "pending_webhooks": 1,
            "request": { "id": fresh("req"), "idempotency_key": null },
            "type": kind,
        });
        self.events.push(Event { id: id.clone(), body: body.to_string() });
        self.pending.push(Pending {
            event_id: id,
            attempts: 0,
            due: now(),
            signature: Signature::Good,
            url: None,
        });
    }

    pub fn event(&self, id: &str) -> Option<&Event> {
        self.events.iter().find(|event| event.id == id)
    }
}
