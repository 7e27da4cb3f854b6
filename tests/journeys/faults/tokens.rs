//! Credentials that do not hold: altered, expired, used twice, signed out.

use std::time::Duration;

use base64::{Engine as _, prelude::BASE64_URL_SAFE_NO_PAD};
use jsonwebtoken::{Algorithm, EncodingKey, Header};
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
    // One bit of the signature, and more rights in the claims.
    let mut signature = BASE64_URL_SAFE_NO_PAD.decode(parts[2]).expect("a signature");
    signature[10] ^= 1;
    let signature = BASE64_URL_SAFE_NO_PAD.encode(signature);
    assert_eq!(profile(format!("{}.{}.{signature}", parts[0], parts[1])).await, 401);
    let claims = BASE64_URL_SAFE_NO_PAD.decode(parts[1]).expect("claims");
    let mut claims: Value = serde_json::from_slice(&claims).expect("claims");
    claims["roles"] = json!(["super_admin"]);
    let raised = BASE64_URL_SAFE_NO_PAD.encode(claims.to_string());
    assert_eq!(profile(format!("{}.{raised}.{}", parts[0], parts[2])).await, 401);
    // The public key, which everybody has, taken for a secret; and a key of
    // one's own under the name of the server's.
    let keys = once(request(&server, Method::GET, "/.well-known/jwks.json", "")).await;
    let (kid, x) = (keys.body["keys"][0]["kid"].clone(), text(&keys.body["keys"][0], "x"));
    let public = BASE64_URL_SAFE_NO_PAD.decode(&x).expect("a key");
    let sign = |algorithm: Algorithm, key: &EncodingKey| {
        let mut header = Header::new(algorithm);
        (header.typ, header.kid) = (Some("at+jwt".to_owned()), kid.as_str().map(str::to_owned));
        jsonwebtoken::encode(&header, &claims, key).expect("a token")
    };
    for secret in [public.as_slice(), x.as_bytes()] {
        let token = sign(Algorithm::HS256, &EncodingKey::from_secret(secret));
        assert_eq!(profile(token).await, 401);
    }
    let mut pkcs8 = b"\x30\x2e\x02\x01\x00\x30\x05\x06\x03\x2b\x65\x70\x04\x22\x04\x20".to_vec();
    pkcs8.extend([7; 32]);
    assert_eq!(profile(sign(Algorithm::EdDSA, &EncodingKey::from_ed_der(&pkcs8))).await, 401);
    assert_eq!(profile(text(&first, "refresh_token")).await, 401);

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

    // Eight uses at once are one use and seven thefts: nobody stays in.
    let at_once = super::session(&server, "other@patients.example", "a-long-enough-password").await;
    let all = (0..8).map(|_| refresh(text(&at_once, "refresh_token")));
    let all = futures::future::join_all(all).await;
    let renewed: Vec<_> = all.iter().filter(|seen| seen.status == 200).collect();
    assert_eq!(renewed.len(), 1, "{:?}", all.iter().map(|seen| seen.status).collect::<Vec<_>>());
    assert_eq!(profile(text(&renewed[0].body, "access_token")).await, 401);
    assert_eq!(profile(text(&at_once, "access_token")).await, 401);

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
