//! Reading a notice. Of the event only its envelope is taken: what the object
//! says is old by the time it arrives, and is fetched instead.

use billing::{GatewayNotice, InvalidNotice, NoticeVerifier};
use chrono::{DateTime, Utc};
use serde::Deserialize;

use crate::signature;

/// Verifies and reads webhooks with the secrets of the endpoint; two of them
/// while one is rotated.
#[derive(Clone)]
pub struct StripeWebhooks {
    secrets: Vec<String>,
}

impl StripeWebhooks {
    pub fn new(secrets: impl IntoIterator<Item = String>) -> Self {
        Self { secrets: secrets.into_iter().filter(|secret| !secret.is_empty()).collect() }
    }
}

#[derive(Deserialize)]
struct Event {
    id: String,
    #[serde(rename = "type")]
    kind: String,
    created: i64,
    data: Data,
}

#[derive(Deserialize)]
struct Data {
    object: Object,
}

#[derive(Deserialize)]
struct Object {
    id: Option<String>,
    object: Option<String>,
    /// What a charge, a dispute, a refund or a warning belongs to.
    #[serde(default)]
    payment_intent: Option<serde_json::Value>,
}

impl NoticeVerifier for StripeWebhooks {
    fn verify(
        &self,
        body: &[u8],
        header: &str,
        now: DateTime<Utc>,
    ) -> Result<GatewayNotice, InvalidNotice> {
        let mut refusal = InvalidNotice::WrongSignature;
        let genuine = self.secrets.iter().any(|secret| {
            signature::verify(secret, header, body, now).map_err(|error| refusal = error).is_ok()
        });
        if !genuine {
            return Err(refusal);
        }
        let event: Event =
            serde_json::from_slice(body).map_err(|_| InvalidNotice::MalformedNotice)?;
        let object = event.data.object;
        let intent = match object.object.as_deref() {
            Some("payment_intent") => object.id,
            Some("charge" | "dispute" | "refund" | "radar.early_fraud_warning") => {
                object.payment_intent.and_then(|intent| {
                    let id = intent.as_str().or_else(|| intent["id"].as_str());
                    id.map(str::to_owned)
                })
            }
            _ => None,
        };
        Ok(GatewayNotice {
            id: event.id,
            kind: event.kind,
            intent,
            created_at: DateTime::from_timestamp(event.created, 0)
                .ok_or(InvalidNotice::MalformedNotice)?,
        })
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const NOW: i64 = 1_700_000_000;

    fn receive(body: &str, secret: &str) -> Result<GatewayNotice, InvalidNotice> {
        let header = format!("t={NOW},v1={}", signature::sign(secret, NOW, body.as_bytes()));
        let webhooks = StripeWebhooks::new(["whsec_new".to_owned(), "whsec_old".to_owned()]);
        webhooks.verify(body.as_bytes(), &header, DateTime::from_timestamp(NOW, 0).unwrap())
    }

    #[test]
    fn a_notice_of_a_payment_names_it_and_any_other_is_taken_too() {
        let payment = r#"{"id":"evt_1","type":"payment_intent.succeeded","created":1,
            "data":{"object":{"id":"pi_1","object":"payment_intent"}}}"#;
        let notice = receive(payment, "whsec_old").unwrap();
        assert_eq!((notice.id.as_str(), notice.intent.as_deref()), ("evt_1", Some("pi_1")));
        let dispute = r#"{"id":"evt_3","type":"charge.dispute.created","created":1,
            "data":{"object":{"id":"dp_1","object":"dispute","payment_intent":"pi_1"}}}"#;
        assert_eq!(receive(dispute, "whsec_new").unwrap().intent.as_deref(), Some("pi_1"));
        let other = r#"{"id":"evt_2","type":"a.word.of.tomorrow","created":1,
            "data":{"object":{"object":"balance"}}}"#;
        assert_eq!(receive(other, "whsec_new").unwrap().intent, None);
    }

    #[test]
    fn a_notice_that_is_not_signed_by_a_known_secret_or_no_event_is_refused() {
        assert_eq!(receive("{}", "whsec_other"), Err(InvalidNotice::WrongSignature));
        assert_eq!(receive("{}", "whsec_new"), Err(InvalidNotice::MalformedNotice));
        assert_eq!(receive("nonsense", "whsec_new"), Err(InvalidNotice::MalformedNotice));
    }

    #[test]
    fn without_a_secret_nothing_passes() {
        let webhooks = StripeWebhooks::new([String::new()]);
        let header = format!("t={NOW},v1={}", signature::sign("", NOW, b"{}"));
        let now = DateTime::from_timestamp(NOW, 0).unwrap();
        assert!(webhooks.verify(b"{}", &header, now).is_err());
    }
}
