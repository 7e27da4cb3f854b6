//! Reading a notice. Of the event only its envelope is taken: what the object
//! says is old by the time it arrives, and is fetched instead.

use billing::{GatewayNotice, InvalidNotice, NoticeVerifier, OpenedNotice, notices};
use chrono::{DateTime, Utc};
use kernel::text::vendor_word;
use serde_json::Value;

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

fn word(value: &Value) -> Option<String> {
    value.as_str().and_then(vendor_word)
}

/// The payment that an object is or belongs to.
fn payment_of(object: &Value) -> Option<String> {
    match object["object"].as_str()? {
        "payment_intent" => word(&object["id"]),
        "charge" | "dispute" | "refund" | "radar.early_fraud_warning" => {
            let intent = &object["payment_intent"];
            word(intent).or_else(|| word(&intent["id"]))
        }
        _ => None,
    }
}

/// A snapshot event carries the object in `data`. A thin one (of the API's second
/// version) names it in `related_object`, has its kind behind `v1.`, and writes
/// its time as text.
fn read(body: &[u8], now: DateTime<Utc>) -> OpenedNotice {
    let nothing = |why| OpenedNotice { notice: None, unread: Some(why) };
    let Ok(event) = serde_json::from_slice::<Value>(body) else {
        return nothing("It is no JSON.");
    };
    let Some(id) = word(&event["id"]) else { return nothing("It has no id.") };
    let Some(kind) = word(&event["type"]) else { return nothing("It names no type.") };
    let kind = kind.strip_prefix("v1.").unwrap_or(&kind).to_owned();
    let (object, related) = (&event["data"]["object"], &event["related_object"]);
    let named = related["type"] == "payment_intent";
    let intent = payment_of(object).or_else(|| word(&related["id"]).filter(|_| named));
    let created = &event["created"];
    let at = created.as_i64().and_then(|at| DateTime::from_timestamp(at, 0));
    let written = || created.as_str().and_then(|text| text.parse().ok());
    // A date that cannot be stored does not invalidate the notice. Staff see it, and
    // the time of receipt is used instead.
    let at = at.or_else(written).filter(kernel::year_fits);
    let unread = match intent {
        Some(_) if at.is_none() && !created.is_null() => Some("Its time cannot be read."),
        Some(_) => None,
        None if notices::is_acted_on(&kind) => Some("It names no payment."),
        None if object["object"].is_string() || related.is_object() => None,
        None => Some("It carries no object."),
    };
    let created_at = at.unwrap_or(now);
    OpenedNotice { notice: Some(GatewayNotice { id, kind, intent, created_at }), unread }
}

impl NoticeVerifier for StripeWebhooks {
    fn verify(
        &self,
        body: &[u8],
        header: &str,
        now: DateTime<Utc>,
    ) -> Result<OpenedNotice, InvalidNotice> {
        let mut refusal = InvalidNotice::WrongSignature;
        let genuine = self.secrets.iter().any(|secret| {
            signature::verify(secret, header, body, now).map_err(|error| refusal = error).is_ok()
        });
        if !genuine {
            return Err(refusal);
        }
        Ok(read(body, now))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const NOW: i64 = 1_700_000_000;

    fn receive(body: &str, secret: &str) -> Result<OpenedNotice, InvalidNotice> {
        let header = format!("t={NOW},v1={}", signature::sign(secret, NOW, body.as_bytes()));
        let webhooks = StripeWebhooks::new(["whsec_new".to_owned(), "whsec_old".to_owned()]);
        webhooks.verify(body.as_bytes(), &header, DateTime::from_timestamp(NOW, 0).unwrap())
    }

    #[test]
    fn a_notice_of_a_payment_names_it_and_any_other_is_taken_too() {
        let payment = r#"{"id":"evt_1","type":"payment_intent.succeeded","created":1,
            "data":{"object":{"id":"pi_1","object":"payment_intent"}}}"#;
        let taken = |body| {
            let opened = receive(body, "whsec_new").unwrap();
            assert_eq!(opened.unread, None, "{body}");
            opened.notice.unwrap()
        };
        let notice = receive(payment, "whsec_old").unwrap().notice.unwrap();
        assert_eq!((notice.id.as_str(), notice.intent.as_deref()), ("evt_1", Some("pi_1")));
        let dispute = r#"{"id":"evt_3","type":"charge.dispute.created","created":1,
            "data":{"object":{"id":"dp_1","object":"dispute","payment_intent":"pi_1"}}}"#;
        assert_eq!(taken(dispute).intent.as_deref(), Some("pi_1"));
        let other = r#"{"id":"evt_2","type":"a.word.of.tomorrow","created":1,
            "data":{"object":{"object":"balance"}}}"#;
        assert_eq!(taken(other).intent, None);
    }

    #[test]
    fn a_notice_that_is_not_signed_by_a_known_secret_is_refused() {
        assert_eq!(receive("{}", "whsec_other"), Err(InvalidNotice::WrongSignature));
    }

    #[test]
    fn whatever_is_genuine_is_taken_and_what_cannot_be_used_is_said() {
        let thin = r#"{"id":"evt_4","object":"v2.core.event","livemode":false,
            "type":"v1.payment_intent.succeeded","created":"2026-11-28T10:00:00.000Z",
            "related_object":{"id":"pi_1","type":"payment_intent","url":"/v1/payment_intents/pi_1"}}"#;
        let opened = receive(thin, "whsec_new").unwrap();
        let notice = opened.notice.unwrap();
        assert_eq!(notice.kind, "payment_intent.succeeded");
        assert_eq!((notice.intent.as_deref(), opened.unread), (Some("pi_1"), None));
        assert_eq!(notice.created_at.to_rfc3339(), "2026-11-28T10:00:00+00:00");
        let event = |rest: &str| format!(r#"{{"id":"evt_5","type":"charge.refunded"{rest}}}"#);
        for body in [
            event(""),
            event(r#","created":1,"data":[]"#),
            event(r#","created":1,"data":null"#),
            event(r#","created":1e300,"data":{"object":[]}"#),
            event(r#","created":1,"data":{"object":{"object":"charge","payment_intent":null}}"#),
            event(r#","created":1,"data":{"object":{"object":"charge","payment_intent":5}}"#),
        ] {
            let opened = receive(&body, "whsec_new").unwrap();
            assert_eq!(opened.notice.unwrap().id, "evt_5", "{body}");
            assert_eq!(opened.unread, Some("It names no payment."), "{body}");
        }
        for created in ["-6000000000000", r#""-4713-01-01T00:00:00Z""#, "{}"] {
            let object = r#"{"object":"charge","payment_intent":"pi_1"}"#;
            let body = event(&format!(r#","created":{created},"data":{{"object":{object}}}"#));
            let opened = receive(&body, "whsec_new").unwrap();
            let notice = opened.notice.unwrap();
            assert_eq!(notice.intent.as_deref(), Some("pi_1"), "{body}");
            assert!(notice.created_at.timestamp() > 0, "{body}");
            assert_eq!(opened.unread, Some("Its time cannot be read."), "{body}");
        }
        for body in
            ["nonsense", "{}", "[]", "null", r#"{"id":5}"#, r#"{"id":"a\u0000","type":"b"}"#]
        {
            let opened = receive(body, "whsec_new").unwrap();
            assert_eq!((opened.notice, opened.unread.is_some()), (None, true), "{body}");
        }
    }

    #[test]
    fn without_a_secret_nothing_passes() {
        let webhooks = StripeWebhooks::new([String::new()]);
        let header = format!("t={NOW},v1={}", signature::sign("", NOW, b"{}"));
        let now = DateTime::from_timestamp(NOW, 0).unwrap();
        assert!(webhooks.verify(b"{}", &header, now).is_err());
    }
}
