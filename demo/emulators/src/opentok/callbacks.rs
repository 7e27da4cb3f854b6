//! Callbacks: what they say, and their delivery, at least once and in order.

use std::{sync::Arc, time::Duration};

use jsonwebtoken::{EncodingKey, Header};
use serde_json::{Value, json};
use sha2::{Digest as _, Sha256};
use tokio_util::sync::CancellationToken;

use super::{ArchiveRecord, Connection, Vendor, fresh_id, now};

pub fn connection(project: &str, session: &str, event: &str, connection: &Connection) -> Value {
    json!({
        "sessionId": session,
        "projectId": project,
        "event": event,
        "timestamp": now().timestamp_millis(),
        "connection": {
            "id": connection.id,
            "createdAt": connection.created_at.timestamp_millis(),
            "data": connection.data,
        },
    })
}

pub fn archive(archive: &ArchiveRecord) -> Value {
    let mut body = json!(archive);
    body["event"] = "archive".into();
    body
}

/// Delivers what is pending, one after another; what is not acknowledged is
/// tried again with growing pauses.
pub async fn deliver(vendor: Arc<Vendor>, shutdown: CancellationToken) {
    let Some(url) = vendor.config.callback_url.clone() else { return };
    let client = reqwest::Client::new();
    let mut pause = Duration::from_millis(100);
    while !shutdown.is_cancelled() {
        let Some(next) = vendor.state.read(|state| state.pending.first().cloned()) else {
            vendor.news.notified().await;
            continue;
        };
        if post(&vendor, &client, &url, &next).await {
            pause = Duration::from_millis(100);
            let kept = vendor.state.mutate(|state| {
                state.pending.remove(0);
                state.delivered.push(next);
            });
            if let Err(error) = kept {
                tracing::error!(%error, "the video emulator could not write its state");
                return;
            }
        } else {
            tokio::time::sleep(pause).await;
            pause = (pause * 2).min(Duration::from_secs(10));
        }
    }
}

async fn post(vendor: &Vendor, client: &reqwest::Client, url: &str, body: &Value) -> bool {
    let body = body.to_string();
    let at = now().timestamp();
    let claims = json!({
        "iss": "Vonage",
        "iat": at,
        "jti": fresh_id(),
        "api_key": vendor.config.api_key,
        "payload_hash": hex::encode(Sha256::digest(body.as_bytes())),
    });
    let key = EncodingKey::from_secret(vendor.config.callback_secret.as_bytes());
    let Ok(token) = jsonwebtoken::encode(&Header::default(), &claims, &key) else { return false };
    let sent = client
        .post(url)
        .bearer_auth(token)
        .header("Content-Type", "application/json")
        .timeout(Duration::from_secs(10))
        .body(body)
        .send()
        .await;
    match sent {
        Ok(response) if response.status().is_success() => true,
        Ok(response) => {
            tracing::warn!(status = response.status().as_u16(), "a video callback was refused");
            false
        }
        Err(error) => {
            tracing::warn!(%error, "a video callback did not arrive");
            false
        }
    }
}
