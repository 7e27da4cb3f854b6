//! Sending events, signed and again until they are taken.

use std::{sync::Arc, time::Duration};

use chrono::TimeDelta;
use hmac::{Hmac, KeyInit as _, Mac as _};
use sha2::Sha256;
use tokio_util::sync::CancellationToken;
use unicode_normalization::UnicodeNormalization as _;

use super::{Shared, now, world::Pending};

/// After this many attempts the vendor gives up.
const ATTEMPTS: u32 = 8;

/// The signature over the raw body: the secret is normalised first, so that
/// two spellings of an accent make one key.
fn signature(secret: &str, body: &str) -> anyhow::Result<String> {
    let key: String = secret.nfkd().collect();
    let mut mac = Hmac::<Sha256>::new_from_slice(key.as_bytes())?;
    mac.update(body.as_bytes());
    Ok(format!("hmac-sha256-hex={}", hex::encode(mac.finalize().into_bytes())))
}

/// Delivers what is pending, in order of when it is due, until `shutdown`.
pub async fn send(shared: Arc<Shared>, shutdown: CancellationToken) {
    let client = reqwest::Client::new();
    loop {
        let next = shared.world.read(|world| world.pending.iter().min_by_key(|p| p.due).cloned());
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
        let settled =
            shared.world.mutate(|world| {
                let Some(index) = world.pending.iter().position(|other| {
                    other.event_id == pending.event_id && other.due == pending.due
                }) else {
                    return;
                };
                if taken || pending.attempts + 1 >= ATTEMPTS {
                    world.pending.remove(index);
                } else {
                    let waiting = &mut world.pending[index];
                    waiting.attempts += 1;
                    // Real vendors wait for minutes; nobody has these here.
                    let pause = TimeDelta::milliseconds(250 << waiting.attempts.min(6));
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
    let body = shared.world.read(|world| {
        world.events.iter().find(|event| event.id == pending.event_id).map(|e| e.body.clone())
    });
    let (Some(url), Some(body)) = (shared.config.webhook_url.as_deref(), body) else {
        return true;
    };
    let secret = match pending.bad_signature {
        true => "not the secret",
        false => shared.config.webhook_secret.as_str(),
    };
    let Ok(signature) = signature(secret, &body) else { return true };
    let answer = client
        .post(url)
        .timeout(Duration::from_secs(7))
        .header("content-type", "application/json")
        .header("x-hmac-signature", signature)
        .body(body)
        .send()
        .await;
    match answer {
        // A wrong signature is sent once: the point is that it is refused.
        Ok(answer) => answer.status().is_success() || pending.bad_signature,
        Err(_) => pending.bad_signature,
    }
}

/// Moves trackers on by themselves, where that is configured.
pub async fn advance(shared: Arc<Shared>, shutdown: CancellationToken) {
    let Some(every) = shared.config.advance_every else { return };
    let rest = TimeDelta::from_std(every).unwrap_or(TimeDelta::MAX);
    loop {
        tokio::select! {
            () = shutdown.cancelled() => return,
            () = tokio::time::sleep(every / 4) => {}
        }
        if let Err(error) = shared.change(|world| world.advance(rest)) {
            tracing::error!(%error, "the trackers did not move");
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn two_spellings_of_a_secret_sign_alike() {
        let composed = signature("caf\u{e9}", "{}").unwrap();
        assert_eq!(composed, signature("cafe\u{301}", "{}").unwrap());
        assert_ne!(composed, signature("cafe", "{}").unwrap());
    }
}
