//! Webhooks: the signature over the raw body, then the event in it.

use hmac::{Hmac, KeyInit as _, Mac as _};
use kernel::text::vendor_word;
use pharmacy::fulfilment::{BadSignature, CarrierEvent, CarrierWebhooks, OpenedWebhook};
use serde_json::Value;
use sha2::Sha256;
use unicode_normalization::UnicodeNormalization as _;

use crate::wire::tracker;

/// Opens webhooks with the secret that was given to the vendor.
pub struct EasyPostWebhooks {
    /// The secret in Unicode's compatibility decomposition, as the vendor
    /// signs with it.
    key: String,
}

impl EasyPostWebhooks {
    pub fn new(secret: &str) -> Self {
        Self { key: secret.nfkd().collect() }
    }

    fn verify(&self, body: &[u8], header: &str) -> Option<()> {
        let signature = hex::decode(header.trim().strip_prefix("hmac-sha256-hex=")?).ok()?;
        let mut mac = Hmac::<Sha256>::new_from_slice(self.key.as_bytes()).ok()?;
        mac.update(body);
        // The comparison takes the same time wherever the first difference is.
        mac.verify_slice(&signature).ok()
    }
}

impl CarrierWebhooks for EasyPostWebhooks {
    fn open(&self, body: &[u8], signature: Option<&str>) -> Result<OpenedWebhook, BadSignature> {
        signature.and_then(|header| self.verify(body, header)).ok_or(BadSignature)?;
        Ok(read(body))
    }
}

fn read(body: &[u8]) -> OpenedWebhook {
    let nothing = |why| OpenedWebhook { event: None, unread: Some(why) };
    let Ok(event) = serde_json::from_slice::<Value>(body) else {
        return nothing("It is no JSON.");
    };
    let Some(id) = event["id"].as_str().and_then(vendor_word) else {
        return nothing("It has no id.");
    };
    let (tracker, unread) = match event["description"].as_str() {
        Some("tracker.created" | "tracker.updated") => match tracker(&event["result"]) {
            Some((tracker, unread)) => (Some(tracker), unread),
            None => (None, Some("It carries no tracker.")),
        },
        Some(_) => (None, None),
        None => (None, Some("It does not say what it is.")),
    };
    OpenedWebhook { event: Some(CarrierEvent { id, tracker }), unread }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn sign(secret: &str, body: &[u8]) -> String {
        let mut mac = Hmac::<Sha256>::new_from_slice(secret.as_bytes()).unwrap();
        mac.update(body);
        format!("hmac-sha256-hex={}", hex::encode(mac.finalize().into_bytes()))
    }

    const BODY: &[u8] = br#"{"id":"evt_1","description":"batch.created","result":{}}"#;

    #[test]
    fn only_the_exact_body_under_the_secret_is_opened() {
        let webhooks = EasyPostWebhooks::new("secret");
        let good = sign("secret", BODY);
        let opened = webhooks.open(BODY, Some(&good)).unwrap();
        assert_eq!(opened.event, Some(CarrierEvent { id: "evt_1".into(), tracker: None }));
        assert_eq!(opened.unread, None, "it is of another kind");
        let refused = Err(BadSignature);
        let mut longer = BODY.to_vec();
        longer.push(b' ');
        assert_eq!(webhooks.open(&longer, Some(&good)), refused);
        assert_eq!(webhooks.open(BODY, Some(&sign("other", BODY))), refused);
        assert_eq!(webhooks.open(BODY, Some(&good[..good.len() - 2])), refused);
        assert_eq!(webhooks.open(BODY, Some("hmac-sha256-hex=zz")), refused);
        assert_eq!(webhooks.open(BODY, Some("")), refused);
        assert_eq!(webhooks.open(BODY, None), refused);
    }

    #[test]
    fn the_secret_is_decomposed_before_it_signs() {
        let webhooks = EasyPostWebhooks::new("caf\u{e9} \u{2460}");
        assert!(webhooks.open(BODY, Some(&sign("cafe\u{301} 1", BODY))).is_ok());
    }

    fn opened(body: &str) -> OpenedWebhook {
        let webhooks = EasyPostWebhooks::new("secret");
        webhooks.open(body.as_bytes(), Some(&sign("secret", body.as_bytes()))).unwrap()
    }

    #[test]
    fn a_genuine_body_is_taken_whatever_is_in_it() {
        for body in ["{}", "not json", "[]", "null", r#"{"id":"","description":"x","result":{}}"#] {
            let opened = opened(body);
            assert_eq!((opened.event, opened.unread.is_some()), (None, true), "{body}");
        }
        let event = |result: &str| {
            format!(r#"{{"id":"evt_1","description":"tracker.updated","result":{result}}}"#)
        };
        for body in [
            event("null"),
            event("[]"),
            event(r#"{"status":"delivered"}"#),
            event(r#"{"id":"trk_\u0000","status":"delivered"}"#),
            r#"{"id":"evt_1"}"#.to_owned(),
        ] {
            let opened = opened(&body);
            assert_eq!(opened.event.unwrap().tracker, None, "{body}");
            assert!(opened.unread.is_some(), "{body}");
        }
    }

    #[test]
    fn what_can_be_used_of_a_tracker_is_kept_beside_what_cannot() {
        let event = |details: &str| {
            let result = format!(
                r#"{{"id":"trk_1","status":"in_transit","updated_at":"2026-11-28T10:00:00Z",
                    "tracking_details":{details}}}"#
            );
            let body =
                format!(r#"{{"id":"evt_1","description":"tracker.updated","result":{result}}}"#);
            let opened = opened(&body);
            let updates = opened.event.unwrap().tracker.unwrap().updates;
            (updates.len(), opened.unread.is_some())
        };
        // Without details the tracker speaks through its own status.
        assert_eq!(event("null"), (1, false));
        assert_eq!(event("[]"), (1, false));
        assert_eq!(event(r#"{"status":"delivered"}"#), (1, true));
        let good = r#"{"status":"delivered","datetime":"2026-11-28T09:00:00Z"}"#;
        assert_eq!(event(&format!("[{good}]")), (1, false));
        for bad in [
            "null",
            "5",
            "{}",
            r#"{"status":"delivered"}"#,
            r#"{"status":"delivered","datetime":null}"#,
            r#"{"status":"delivered","datetime":"yesterday"}"#,
            r#"{"status":"lost_in_space","datetime":"2026-11-28T09:00:00Z"}"#,
            r#"{"status":"in_transit","datetime":"-262000-01-01T00:00:00Z"}"#,
            r#"{"status":"in_transit","datetime":"+262000-01-01T00:00:00Z"}"#,
            r#"{"status":"in_transit","datetime":"0000-01-01T00:00:00Z"}"#,
        ] {
            assert_eq!(event(&format!("[{bad},{good},{good}]")), (2, true), "{bad}");
            assert_eq!(event(&format!("[{good},{bad}]")), (1, true), "{bad}");
        }
    }
}
