//! Credentials that do not hold: altered, expired, used twice, signed out.

use std::time::Duration;

use base64::{Engine as _, prelude::BASE64_URL_SAFE_NO_PAD};
use reqwest::Method;
use serde_json::{Value, json};

use super::{once, request};
use crate::{authorization::patient, server::Server};

#[tokio::test(flavor = "multi_thread")]
async fn a_credential_that_does_not_hold_opens_nothing() {
    let server = Server::start_with(&[("SALUS_IDENTITY__ACCESS_TOKEN_MINUTES", "1")]);
    let first = patient(&server.client, "tokens").await;
    let second = patient(&server.client, "other").await;
    let text = |session: &Value, name: &str| session[name].as_str().expect(name).to_owned();
    let token = text(&first, "access_token");
    let profile = |token: String| {
        let request = request(&server, Method::GET, "/api/profile/allergies", &token);
        async move { once(request).await.status }
    };
    assert_eq!(profile(token.clone()).await, 200);

    // Another's claims under this signature, and no signature at all.
    let parts: Vec<&str> = token.split('.').collect();
    let other = text(&second, "access_token");
    let claims = other.split('.').nth(1).expect("claims");
    assert_eq!(profile(format!("{}.{claims}.{}", parts[0], parts[2])).await, 401);
    let unsigned =
        BASE64_URL_SAFE_NO_PAD.encode(json!({ "alg": "none", "typ": "JWT" }).to_string());
    assert_eq!(profile(format!("{unsigned}.{}.", parts[1])).await, 401);
    assert_eq!(profile(format!("{}.{}.", parts[0], parts[1])).await, 401);

    // A refresh token is good once; using it again ends the whole family.
    let refresh = |token: String| {
        let body = json!({ "refresh_token": token });
        let request = request(&server, Method::POST, "/api/auth/session-refresh", "").json(&body);
        once(request)
    };
    let next = refresh(text(&second, "refresh_token")).await;
    assert_eq!(next.status, 200, "{}", next.body);
    assert_eq!(refresh(text(&second, "refresh_token")).await.status, 401);
    let again = refresh(text(&next.body, "refresh_token")).await;
    assert_eq!(again.status, 401, "the family outlived a reuse: {}", again.body);

    // Signing out ends the session at once, for both its tokens.
    let third = super::session(&server, "other@patients.example", "a-long-enough-password").await;
    let out = text(&third, "access_token");
    let body = json!({ "refresh_token": third["refresh_token"] });
    let request = request(&server, Method::POST, "/api/auth/logout", &out).json(&body);
    let seen = once(request).await;
    assert!(matches!(seen.status, 200 | 204), "{} {}", seen.status, seen.body);
    assert_eq!(refresh(text(&third, "refresh_token")).await.status, 401);
    assert_eq!(profile(out).await, 401, "a token outlived its session");

    // The first token has been held since the beginning; its minute passes.
    salus_tests::eventually("the token to expire", Duration::from_secs(100), || async {
        (profile(token.clone()).await == 401).then_some(())
    })
    .await;
    let renewed = refresh(text(&first, "refresh_token")).await;
    assert_eq!(profile(text(&renewed.body, "access_token")).await, 200);
}
