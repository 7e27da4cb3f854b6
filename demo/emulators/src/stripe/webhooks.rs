//! Sending events, signed and again until they are taken.

use std::{sync::Arc, time::Duration};

use chrono::TimeDelta;
use hmac::{Hmac, KeyInit as _, Mac as _};
use sha2::Sha256;
use tokio_util::sync::CancellationToken;

use super::{
    Shared, now,
    world::{Pending, Signature},
};

/// After this many attempts the vendor gives up.
const ATTEMPTS: u32 = 16;

/// The header: the time, and the HMAC-SHA256 of the time and the body.
fn header(secret: &str, at: i64, body: &str) -> anyhow::Result<String> {
    let mut mac = Hmac::<Sha256>::new_from_slice(secret.as_bytes())?;
    mac.update(format!("{at}.{body}").as_bytes());
    Ok(format!("t={at},v1={}", hex::encode(mac.finalize().into_bytes())))
}

/// Delivers what is pending, in the order in which it is due, until `shutdown`.
pub async fn send(shared: Arc<Shared>, shutdown: CancellationToken) {
    let client = reqwest::Client::new();
    loop {
        let next = shared.world.read(|world| {
            // A forged notice comes from elsewhere, and is not held back.
            let goes = |pending: &&Pending| !world.held || pending.signature != Signature::Good;
            world.pending.iter().filter(goes).min_by_key(|pending| pending.due).cloned()
        });
        let wait = match &next {
            Some(pending) => (pending.due - now()).to_std().unwrap_or_default(),
            None => Duration::from_secs(3600),
        };
        tokio::select! {
            () = shutdown.cancelled() => return,
            () = shared.wake.notified() => continue,
            () = tokio::time::sleep(wait) => {}
        }
        let Some(pending) = next else { continue };
        let taken = deliver(&client, &shared, &pending).await;
        let settled = shared.world.mutate(|world| {
            let Some(index) = world.pending.iter().position(|other| *other == pending) else {
                return;
            };
            if taken || pending.attempts + 1 >= ATTEMPTS {
                world.pending.remove(index);
            } else {
                let waiting = &mut world.pending[index];
                waiting.attempts += 1;
                // Real vendors wait for minutes; nobody has these here.
                let pause = TimeDelta::milliseconds(250 << waiting.attempts.min(7));
                waiting.due = now() + pause;
            }
        });
        if let Err(error) = settled {
            tracing::error!(error = %format!("{error:#}"), "the state was not written");
            tokio::time::sleep(Duration::from_secs(1)).await;
        }
    }
}

async fn deliver(client: &reqwest::Client, shared: &Shared, pending: &Pending) -> bool {
    let body =
        shared.world.read(|world| world.event(&pending.event_id).map(|event| event.body.clone()));
    let url = pending.url.as_deref().or(shared.config.webhook_url.as_deref());
    let (Some(url), Some(body)) = (url, body) else {
        return true;
    };
    let secret = shared.config.webhook_secret.as_str();
    let (secret, at) = match pending.signature {
        Signature::Good => (secret, now()),
        Signature::Bad => ("whsec_not_the_secret", now()),
        Signature::Old => (secret, now() - TimeDelta::hours(1)),
    };
    let Ok(header) = header(secret, at.timestamp(), &body) else { return true };
    let answer = client
        .post(url)
        .timeout(Duration::from_secs(10))
        .header("content-type", "application/json; charset=utf-8")
        .header("user-agent", "Stripe/1.0 (+https://stripe.com/docs/webhooks)")
        .header("stripe-signature", header)
        .body(body)
        .send()
        .await;
    // A wrong signature is sent once: the point is that it is refused.
    pending.signature != Signature::Good || answer.is_ok_and(|answer| answer.status().is_success())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_signature_is_what_the_vendors_own_library_makes() {
        // Computed with `stripe.WebhookSignature._compute_signature` of the
        // official library for Python.
        let expected = concat!(
            "t=1700000000,v1=",
            "33aa1568c6627d0d2d42556693c208077ca8f8b437ac8d9d6ebb6c2c650033eb",
        );
        let made = header("whsec_test_secret", 1_700_000_000, "{\"id\": \"evt_1\"}").unwrap();
        assert_eq!(made, expected);
    }
}
