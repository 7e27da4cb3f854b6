//! Signing in with more than a password, and seeing to one's sessions and
//! address, over HTTP as a front end does it.

use std::time::Duration;

use ports::Clock as _;
use reqwest::Method;
use salus::system::SystemClock;
use salus_tests::{Authenticator, eventually, totp_code};
use seeds::identity::sign_ins;
use serde_json::{Value, json};

use crate::{
    authorization::patient,
    server::{PASSWORD, Server},
};

struct Browser<'a> {
    server: &'a Server,
    token: Option<String>,
}

impl Browser<'_> {
    async fn call(&self, method: Method, path: &str, body: Option<Value>) -> (u16, Value) {
        let url = format!("{}{path}", self.server.url());
        let mut request =
            reqwest::Client::new().request(method, url).header("User-Agent", "Browser/1.0");
        if let Some(token) = &self.token {
            request = request.bearer_auth(token);
        }
        if let Some(body) = body {
            request = request.json(&body);
        }
        let response = request.send().await.expect("an answer");
        let status = response.status().as_u16();
        (status, response.json().await.unwrap_or_default())
    }

    async fn get(&self, path: &str) -> (u16, Value) {
        self.call(Method::GET, path, None).await
    }

    async fn post(&self, path: &str, body: Value) -> (u16, Value) {
        self.call(Method::POST, path, Some(body)).await
    }

    fn take(&mut self, session: &Value) {
        self.token = session["access_token"].as_str().map(str::to_owned);
        assert!(self.token.is_some(), "{session}");
    }
}

fn problem(answer: &Value) -> &str {
    answer["type"].as_str().unwrap_or_default()
}

#[tokio::test(flavor = "multi_thread")]
async fn staff_signs_in_with_two_factors_or_a_passkey() {
    let roles = r#"["provider", "super_admin"]"#;
    let server = Server::start_with(&[("SALUS_IDENTITY__SECOND_FACTOR_ROLES", roles)]);
    let mut browser = Browser { server: &server, token: None };
    let (email, _) = sign_ins().find(|(_, role)| role.to_string() == "provider").expect("one");
    let login = || json!({ "email": email, "password": PASSWORD });
    let (status, session) = browser.post("/api/auth/login", login()).await;
    assert_eq!(status, 200, "{session}");
    browser.take(&session);

    // The session is good for setting up the factor, and for nothing else.
    let (status, refused) = browser.get("/api/providers/review-queue").await;
    assert_eq!(
        (status, problem(&refused)),
        (403, "urn:salus:problem:identity.second_factor_required")
    );
    let (_, factors) = browser.get("/api/auth/mfa").await;
    assert_eq!((&factors["required"], &factors["method"]), (&json!(true), &json!("password")));
    let password = || json!({ "password": PASSWORD });
    let (status, setup) = browser.post("/api/auth/mfa/totp", password()).await;
    assert_eq!(status, 200, "{setup}");
    let secret = setup["secret"].as_str().expect("a secret");
    assert!(setup["otpauth_url"].as_str().expect("a link").contains(secret));
    let code = totp_code(secret, SystemClock.now());
    let (status, codes) = browser.post("/api/auth/mfa/totp/confirm", json!({ "code": code })).await;
    assert_eq!((status, codes["recovery_codes"].as_array().map(Vec::len)), (200, Some(10)));
    assert_eq!(browser.get("/api/providers/review-queue").await.0, 200);

    // From now on the password opens nothing by itself.
    let (status, pending) = browser.post("/api/auth/login", login()).await;
    assert_eq!((status, &pending["totp"]), (202, &json!(true)), "{pending}");
    assert!(pending["access_token"].is_null());
    let verify = |proof: Value| {
        let mut body = proof;
        body["mfa_token"] = pending["mfa_token"].clone();
        browser.post("/api/auth/mfa/verify", body)
    };
    let (status, spent) = verify(json!({ "code": code })).await;
    assert_eq!((status, problem(&spent)), (401, "urn:salus:problem:identity.wrong_second_factor"));
    let (status, both) = verify(json!({ "code": code, "recovery_code": "01ABC-DEFGH" })).await;
    assert_eq!((status, &both["errors"][0]["path"]), (422, &json!("code")));
    let (status, session) = verify(json!({ "recovery_code": codes["recovery_codes"][0] })).await;
    assert_eq!(status, 200, "{session}");
    browser.take(&session);

    // A passkey, for the name by which a browser knows this machine.
    let origin = server.url().replace("127.0.0.1", "localhost");
    let mut device = Authenticator::new(&origin, 9);
    let (status, begun) = browser.post("/api/auth/passkeys/options", password()).await;
    assert_eq!(status, 200, "{begun}");
    let answer = json!({
        "token": begun["token"], "name": "Laptop", "credential": device.create(&begun["options"]),
    });
    let (status, registered) = browser.post("/api/auth/passkeys", answer).await;
    assert_eq!((status, &registered["passkey"]["name"]), (200, &json!("Laptop")), "{registered}");
    browser.token = None;
    let (_, begun) = browser.call(Method::POST, "/api/auth/passkeys/login/options", None).await;
    let credential = device.get(&begun["options"]);
    let answer = json!({ "token": begun["token"], "credential": credential });
    let (status, session) = browser.post("/api/auth/passkeys/login", answer.clone()).await;
    assert_eq!(status, 200, "{session}");
    browser.take(&session);
    assert_eq!(browser.get("/api/providers/review-queue").await.0, 200);
    assert_eq!(browser.post("/api/auth/passkeys/login", answer).await.0, 422, "a replay");
    let (_, factors) = browser.get("/api/auth/mfa").await;
    assert_eq!(
        (&factors["method"], &factors["recovery_codes_left"]),
        (&json!("passkey"), &json!(9))
    );
}

#[tokio::test(flavor = "multi_thread")]
async fn a_patient_sees_to_sessions_and_moves_to_another_address() {
    let server = Server::start();
    let mut browser = Browser { server: &server, token: None };
    let session = patient(&server.client, "mover").await;
    browser.take(&session);
    let password = "a-long-enough-password";
    let login = |email: &str| json!({ "email": email, "password": password });
    let (_, other) = browser.post("/api/auth/login", login("mover@patients.example")).await;
    let (_, listed) = browser.get("/api/auth/sessions").await;
    let sessions = listed["sessions"].as_array().expect("sessions");
    assert_eq!(sessions.len(), 2);
    let second = sessions.iter().find(|session| session["current"] == false).expect("another");
    assert_eq!(
        (&second["user_agent"], &second["ip"]),
        (&json!("Browser/1.0"), &json!("127.0.0.1"))
    );
    let path = format!("/api/auth/sessions/{}", second["id"].as_str().expect("an id"));
    assert_eq!(browser.call(Method::DELETE, &path, None).await.0, 204);
    let elsewhere =
        Browser { server: &server, token: other["access_token"].as_str().map(str::to_owned) };
    assert_eq!(elsewhere.get("/api/auth/sessions").await.0, 401);

    let body = json!({ "email": "moved@patients.example", "password": "a wrong password" });
    let (status, wrong) = browser.call(Method::PUT, "/api/auth/email", Some(body)).await;
    assert_eq!((status, &wrong["errors"][0]["path"]), (422, &json!("password")));
    let body = login("moved@patients.example");
    assert_eq!(browser.call(Method::PUT, "/api/auth/email", Some(body)).await.0, 202);
    let mails_to = async |address: &'static str, subject: &'static str| {
        eventually(subject, Duration::from_secs(30), || async {
            let path = format!("/_control/messages?to={address}%40patients.example");
            let mails = server.client.emulator_call("smtp", Method::GET, &path, None).await.ok()?;
            let mails = mails.json().ok()?;
            let mut texts = mails.as_array()?.iter().filter_map(|mail| mail["text"].as_str());
            texts.find(|text| text.contains(subject)).map(str::to_owned)
        })
        .await
    };
    let text = mails_to("moved", "sign in to an account with this address").await;
    mails_to("mover", "how you sign in").await;
    let token = text.split_once("?token=").expect("a link").1;
    let token = token.split_whitespace().next().expect("a token").to_owned();
    let confirm = || browser.post("/api/auth/email/confirm", json!({ "token": token }));
    assert_eq!(confirm().await.0, 204);
    assert_eq!(confirm().await.0, 422, "the link is good once");
    assert_eq!(browser.get("/api/auth/sessions").await.0, 401, "every session ended");
    assert_eq!(browser.post("/api/auth/login", login("mover@patients.example")).await.0, 401);
    let (status, session) = browser.post("/api/auth/login", login("moved@patients.example")).await;
    assert_eq!(status, 200, "{session}");
}

#[tokio::test(flavor = "multi_thread")]
async fn whoever_is_locked_out_is_told_for_how_long() {
    let server = Server::start();
    let url = format!("{}/api/auth/login", server.url());
    let guess = || async {
        let body = json!({ "email": "nobody@example.com", "password": "a guess at it" });
        reqwest::Client::new().post(&url).json(&body).send().await.expect("an answer")
    };
    for _ in 0..5 {
        assert_eq!(guess().await.status(), 401);
    }
    let refused = guess().await;
    assert_eq!(refused.status(), 429);
    let after = refused.headers().get("retry-after").expect("a Retry-After header");
    let after: u64 = after.to_str().expect("a text").parse().expect("seconds");
    assert!((1..=60).contains(&after), "{after}");
}

/// The token of a link that a command printed.
fn printed_token(output: &std::process::Output) -> String {
    assert!(output.status.success(), "{}", String::from_utf8_lossy(&output.stderr));
    let text = String::from_utf8_lossy(&output.stdout);
    let token = text.split_once("?token=").expect("a link").1;
    token.split_whitespace().next().expect("a token").to_owned()
}

#[tokio::test(flavor = "multi_thread")]
async fn the_first_administrator_is_created_on_the_host_and_sets_up_a_second_factor() {
    let server = Server::start_empty(&[]);
    let create = |email: &str| server.command(&["admin", "create", "--email", email]);
    let mistyped = printed_token(&create("bos@example.com"));
    let token = printed_token(&create("boss@example.com"));
    let mut browser = Browser { server: &server, token: None };
    let password = "seven quiet lighthouses";
    let choose = |token: String| {
        browser.post("/api/auth/reset-password", json!({ "token": token, "password": password }))
    };
    assert_eq!(choose(mistyped).await.0, 422, "the link of the mistyped address is void");
    assert_eq!(choose(token.clone()).await.0, 204);
    assert_eq!(choose(token).await.0, 422, "a link is good once");
    let login = json!({ "email": "boss@example.com", "password": password });
    let (status, session) = browser.post("/api/auth/login", login).await;
    assert_eq!((status, &session["roles"]), (200, &json!(["super_admin"])), "{session}");
    browser.take(&session);

    let invite = || {
        let body = json!({
            "email": "second@example.com", "roles": ["admin"],
            "name": { "given": "Second", "family": "Administrator" },
        });
        browser.post("/api/admin/accounts", body)
    };
    let (status, refused) = invite().await;
    assert_eq!(
        (status, problem(&refused)),
        (403, "urn:salus:problem:identity.second_factor_required")
    );
    let (_, setup) = browser.post("/api/auth/mfa/totp", json!({ "password": password })).await;
    let secret = setup["secret"].as_str().expect("a secret");
    let code = json!({ "code": totp_code(secret, SystemClock.now()) });
    assert_eq!(browser.post("/api/auth/mfa/totp/confirm", code).await.0, 200);
    let (status, invited) = invite().await;
    assert_eq!(status, 201, "{invited}");

    let refused = create("third@example.com");
    let said = String::from_utf8_lossy(&refused.stderr).into_owned();
    assert!(!refused.status.success() && said.contains("active administrator"), "{said}");
}
