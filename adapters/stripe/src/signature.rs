//! The `Stripe-Signature` header: `t=<unix seconds>,v1=<hex>[,v1=<hex>…]`,
//! each `v1` the HMAC-SHA256 of `"{t}.{body}"`. While a secret is rotated
//! there are two of them, and any one may match.

use billing::InvalidNotice;
use chrono::{DateTime, TimeDelta, Utc};
use hmac::{Hmac, KeyInit as _, Mac as _};
use sha2::Sha256;
use subtle::ConstantTimeEq as _;

/// How far the time of a signature may be from now, either way: a notice of
/// the future is as wrong as a replayed one.
pub const TOLERANCE: TimeDelta = TimeDelta::seconds(300);

/// The signature of a body at a time, in hex.
pub fn sign(secret: &str, at: i64, body: &[u8]) -> String {
    hex::encode(mac(secret, at, body))
}

/// Verifies the header against the body as it was received.
pub fn verify(
    secret: &str,
    header: &str,
    body: &[u8],
    now: DateTime<Utc>,
) -> Result<(), InvalidNotice> {
    let mut at = None;
    let mut signatures = Vec::new();
    for part in header.split(',') {
        match part.trim().split_once('=') {
            Some(("t", value)) => at = value.parse::<i64>().ok(),
            Some(("v1", value)) => signatures.extend(hex::decode(value)),
            // Other schemes, `v0` among them, are Stripe's own affair.
            _ => {}
        }
    }
    let at = at.ok_or(InvalidNotice::MalformedSignature)?;
    let signed_at = DateTime::from_timestamp(at, 0).ok_or(InvalidNotice::MalformedSignature)?;
    if signatures.is_empty() {
        return Err(InvalidNotice::MalformedSignature);
    }
    let expected = mac(secret, at, body);
    // Every candidate is compared in full, so that the time taken says
    // nothing about which part was right.
    let matched = signatures
        .iter()
        .fold(false, |matched, candidate| matched | bool::from(candidate.ct_eq(&expected)));
    if !matched {
        return Err(InvalidNotice::WrongSignature);
    }
    if (now - signed_at).abs() > TOLERANCE {
        return Err(InvalidNotice::OutOfTolerance);
    }
    Ok(())
}

fn mac(secret: &str, at: i64, body: &[u8]) -> Vec<u8> {
    let mut mac =
        Hmac::<Sha256>::new_from_slice(secret.as_bytes()).expect("HMAC takes a key of any length");
    mac.update(at.to_string().as_bytes());
    mac.update(b".");
    mac.update(body);
    mac.finalize().into_bytes().to_vec()
}

#[cfg(test)]
mod tests {
    use super::*;

    const SECRET: &str = "whsec_test_secret";
    const BODY: &[u8] = br#"{"id": "evt_test_webhook", "object": "event"}"#;

    fn at(seconds: i64) -> DateTime<Utc> {
        DateTime::from_timestamp(seconds, 0).unwrap()
    }

    fn header(seconds: i64) -> String {
        format!("t={seconds},v1={}", sign(SECRET, seconds, BODY))
    }

    /// Computed with the official library for Python,
    /// `stripe.WebhookSignature._compute_signature`.
    #[test]
    fn what_the_official_library_signs_is_accepted() {
        let body = b"{\"id\": \"evt_1\"}";
        let header = concat!(
            "t=1700000000,",
            "v1=33aa1568c6627d0d2d42556693c208077ca8f8b437ac8d9d6ebb6c2c650033eb",
        );
        assert_eq!(verify(SECRET, header, body, at(1_700_000_000)), Ok(()));
    }

    #[test]
    fn only_the_very_body_under_the_very_secret_passes() {
        let now = at(1_700_000_000);
        assert_eq!(verify(SECRET, &header(1_700_000_000), BODY, now), Ok(()));
        let wrong = Err(InvalidNotice::WrongSignature);
        assert_eq!(verify("whsec_other", &header(1_700_000_000), BODY, now), wrong);
        assert_eq!(verify(SECRET, &header(1_700_000_000), b"{}", now), wrong);
        let moved = header(1_700_000_000).replace("t=1700000000", "t=1700000001");
        assert_eq!(verify(SECRET, &moved, BODY, now), wrong);
    }

    #[test]
    fn the_time_may_be_five_minutes_off_either_way() {
        for (offset, expected) in [
            (-300, Ok(())),
            (300, Ok(())),
            (-301, Err(InvalidNotice::OutOfTolerance)),
            (301, Err(InvalidNotice::OutOfTolerance)),
        ] {
            let now = at(1_700_000_000 + offset);
            assert_eq!(verify(SECRET, &header(1_700_000_000), BODY, now), expected, "{offset}");
        }
    }

    #[test]
    fn any_of_several_signatures_may_match_and_other_schemes_do_not_count() {
        let now = at(1_700_000_000);
        let good = sign(SECRET, 1_700_000_000, BODY);
        let old = sign("whsec_old", 1_700_000_000, BODY);
        let both = format!("t=1700000000,v1={old},v1={good},v0={old}");
        assert_eq!(verify(SECRET, &both, BODY, now), Ok(()));
        let only_v0 = format!("t=1700000000,v0={good}");
        assert_eq!(verify(SECRET, &only_v0, BODY, now), Err(InvalidNotice::MalformedSignature));
    }

    #[test]
    fn what_is_no_signature_is_refused() {
        let huge = format!("t={},v1=00", i64::MAX);
        for bad in ["", "t=1700000000", "v1=00", "t=x,v1=00", "t=1700000000,v1=zz", &huge] {
            let refused = verify(SECRET, bad, BODY, at(1_700_000_000));
            assert_eq!(refused, Err(InvalidNotice::MalformedSignature), "{bad}");
        }
    }
}
