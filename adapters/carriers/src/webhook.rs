//! Webhooks: the signature over the raw body, then the event in it.

use hmac::{Hmac, KeyInit as _, Mac as _};
use pharmacy::fulfilment::{CarrierEvent, CarrierWebhooks, WebhookRefused};
use sha2::Sha256;
use unicode_normalization::UnicodeNormalization as _;

use crate::wire::{Event, Tracker};

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
    fn open(&self, body: &[u8], signature: Option<&str>) -> Result<CarrierEvent, WebhookRefused> {
        signature
            .and_then(|header| self.verify(body, header))
            .ok_or(WebhookRefused::BadSignature)?;
        let event: Event = serde_json::from_slice(body).map_err(|_| WebhookRefused::Malformed)?;
        if event.id.is_empty() || event.id.len() > 200 {
            return Err(WebhookRefused::Malformed);
        }
        let tracker = match event.description.as_str() {
            "tracker.created" | "tracker.updated" => {
                let tracker: Tracker =
                    serde_json::from_value(event.result).map_err(|_| WebhookRefused::Malformed)?;
                Some(tracker.into_domain())
            }
            _ => None,
        };
        Ok(CarrierEvent { id: event.id, tracker })
    }
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
        let event = webhooks.open(BODY, Some(&good)).unwrap();
        assert_eq!(event, CarrierEvent { id: "evt_1".into(), tracker: None });
        let refused = Err(WebhookRefused::BadSignature);
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

    #[test]
    fn a_signed_body_that_is_no_event_is_malformed() {
        let webhooks = EasyPostWebhooks::new("secret");
        for body in [&b"{}"[..], b"not json", br#"{"id":"","description":"x","result":{}}"#] {
            let signature = sign("secret", body);
            assert_eq!(webhooks.open(body, Some(&signature)), Err(WebhookRefused::Malformed));
        }
    }
}
