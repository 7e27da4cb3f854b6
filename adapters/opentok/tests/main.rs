//! The adapter against the vendor's emulator, over HTTP.

use std::{
    net::TcpListener,
    sync::{Arc, Mutex},
    time::Duration,
};

use care::{CallbackCredentials, TokenRequest, TokenRole, VideoCallback, VideoRooms as _};
use chrono::{DateTime, TimeDelta, Utc};
use emulators::opentok::{OpenTokEmulatorConfig, serve};
use kernel::Uuid;
use ports::{Clock, Env, PortError};
use salus_opentok::{Credentials, OpenTok, OpenTokConfig, TokenForm};
use salus_tests::{TestIds, eventually};
use serde_json::{Value, json};
use tokio_util::sync::CancellationToken;

const KEY: &str = "47000001";
const SECRET: &str = "0123456789abcdef0123456789abcdef01234567";
const CALLBACK_SECRET: &str = "callback-secret";

/// The vendor goes by the world's clock, so the adapter has to as well.
struct WallClock;

impl Clock for WallClock {
    #[expect(clippy::disallowed_methods, reason = "The emulator goes by the world's clock.")]
    fn now(&self) -> DateTime<Utc> {
        Utc::now()
    }
}

fn env() -> Env {
    Env { clock: Arc::new(WallClock), ids: Arc::new(TestIds::default()) }
}

type Received = Arc<Mutex<Vec<(Option<String>, Vec<u8>)>>>;

struct Setting {
    base_url: String,
    received: Received,
    http: reqwest::Client,
    _folder: tempfile::TempDir,
    stop: CancellationToken,
}

impl Drop for Setting {
    fn drop(&mut self) {
        self.stop.cancel();
    }
}

/// Takes callbacks as a bare HTTP server, so that nothing between the wire and
/// the test reads them.
async fn sink(listener: tokio::net::TcpListener, received: Received) {
    use tokio::io::{AsyncReadExt as _, AsyncWriteExt as _};
    while let Ok((mut stream, _)) = listener.accept().await {
        let mut bytes = Vec::new();
        let mut chunk = [0u8; 4096];
        while let Ok(count) = stream.read(&mut chunk).await {
            bytes.extend_from_slice(&chunk[..count]);
            let text = String::from_utf8_lossy(&bytes).into_owned();
            let Some((head, body)) = text.split_once("\r\n\r\n") else { continue };
            let header = |name: &str| {
                head.lines().find_map(|line| {
                    let (key, value) = line.split_once(": ")?;
                    key.eq_ignore_ascii_case(name).then(|| value.to_owned())
                })
            };
            let length: usize = header("content-length").and_then(|v| v.parse().ok()).unwrap_or(0);
            if body.len() >= length {
                let entry = (header("authorization"), body.as_bytes().to_vec());
                received.lock().unwrap().push(entry);
                let answer = "HTTP/1.1 200 OK\r\ncontent-length: 0\r\nconnection: close\r\n\r\n";
                let _ = stream.write_all(answer.as_bytes()).await;
                break;
            }
            if count == 0 {
                break;
            }
        }
    }
}

async fn setting() -> Setting {
    let folder = tempfile::tempdir().unwrap();
    let received = Received::default();
    let callbacks = tokio::net::TcpListener::bind("127.0.0.1:0").await.unwrap();
    let callback_url = format!("http://{}/webhooks/opentok", callbacks.local_addr().unwrap());
    tokio::spawn(sink(callbacks, received.clone()));
    let listener = TcpListener::bind("127.0.0.1:0").unwrap();
    let base_url = format!("http://{}", listener.local_addr().unwrap());
    let stop = CancellationToken::new();
    let config = OpenTokEmulatorConfig {
        api_key: KEY.into(),
        api_secret: SECRET.into(),
        callback_url: Some(callback_url),
        callback_secret: CALLBACK_SECRET.into(),
        state: folder.path().join("opentok.json"),
    };
    tokio::spawn(serve(config, listener, stop.clone()));
    Setting { base_url, received, http: reqwest::Client::new(), _folder: folder, stop }
}

impl Setting {
    fn config(&self) -> OpenTokConfig {
        OpenTokConfig {
            base_url: self.base_url.clone(),
            credentials: Credentials::Project { api_key: KEY.into(), api_secret: SECRET.into() },
            token_form: TokenForm::Jwt,
            callback_secret: CALLBACK_SECRET.into(),
            timeout: Duration::from_secs(5),
        }
    }

    fn adapter(&self) -> OpenTok {
        OpenTok::new(self.config(), env()).unwrap()
    }

    async fn control(&self, what: &str, body: Value) -> (u16, Value) {
        let url = format!("{}/_control/{what}", self.base_url);
        let response = self.http.post(url).json(&body).send().await.unwrap();
        (response.status().as_u16(), response.json().await.unwrap())
    }

    async fn sessions(&self) -> usize {
        let url = format!("{}/_control/state", self.base_url);
        let state: Value = self.http.get(url).send().await.unwrap().json().await.unwrap();
        state["sessions"].as_array().unwrap().len()
    }
}

fn token_request(session: &str, role: TokenRole, life: TimeDelta) -> TokenRequest {
    let now = env().now();
    TokenRequest {
        session: session.to_owned(),
        role,
        issued_at: now,
        expires_at: now + life,
        data: json!({ "consultation": Uuid::from_u128(7), "participant": "patient" }).to_string(),
        nonce: Uuid::from_u128(9).to_string(),
    }
}

#[tokio::test]
async fn a_session_is_made_and_joined_with_tokens_of_both_forms() {
    let setting = setting().await;
    let session = setting.adapter().create_session().await.unwrap();
    for (form, role, word) in [
        (TokenForm::Jwt, TokenRole::Publisher, "publisher"),
        (TokenForm::T1, TokenRole::Moderator, "moderator"),
    ] {
        let config = OpenTokConfig { token_form: form, ..setting.config() };
        let adapter = OpenTok::new(config, env()).unwrap();
        let request = token_request(&session, role, TimeDelta::minutes(45));
        let token = adapter.client_token(&request).unwrap();
        assert_eq!(token.project, KEY);
        let (status, body) =
            setting.control("connect", json!({ "sessionId": session, "token": token.token })).await;
        assert_eq!((status, body["role"].as_str()), (200, Some(word)), "{form:?}: {body}");
        assert_eq!(body["data"].as_str(), Some(request.data.as_str()));
    }
}

#[tokio::test]
async fn a_token_of_another_secret_or_another_session_does_not_connect() {
    let setting = setting().await;
    let adapter = setting.adapter();
    let session = adapter.create_session().await.unwrap();
    let other = adapter.create_session().await.unwrap();
    let request = token_request(&session, TokenRole::Publisher, TimeDelta::minutes(5));
    let token = adapter.client_token(&request).unwrap().token;
    let (status, _) =
        setting.control("connect", json!({ "sessionId": other, "token": token })).await;
    assert_eq!(status, 403);
    let credentials = Credentials::Project { api_key: KEY.into(), api_secret: "wrong".into() };
    for token_form in [TokenForm::Jwt, TokenForm::T1] {
        let config =
            OpenTokConfig { credentials: credentials.clone(), token_form, ..setting.config() };
        let forged = OpenTok::new(config, env()).unwrap().client_token(&request).unwrap().token;
        let (status, _) =
            setting.control("connect", json!({ "sessionId": session, "token": forged })).await;
        assert_eq!(status, 403, "{token_form:?}");
    }
}

#[tokio::test]
async fn a_token_beyond_the_vendors_bounds_is_not_signed() {
    let setting = setting().await;
    let adapter = setting.adapter();
    for life in [TimeDelta::zero(), TimeDelta::days(31)] {
        let request = token_request("s", TokenRole::Publisher, life);
        assert!(adapter.client_token(&request).is_err(), "{life}");
    }
    let mut request = token_request("s", TokenRole::Publisher, TimeDelta::minutes(5));
    request.data = "x".repeat(1001);
    assert!(adapter.client_token(&request).is_err());
}

#[tokio::test]
async fn wrong_credentials_are_refused() {
    let setting = setting().await;
    for (api_key, api_secret) in [("47000002", SECRET), (KEY, "wrong")] {
        let config = OpenTokConfig {
            credentials: Credentials::Project {
                api_key: api_key.into(),
                api_secret: api_secret.into(),
            },
            ..setting.config()
        };
        let refused = OpenTok::new(config, env()).unwrap().create_session().await;
        assert!(
            matches!(&refused, Err(PortError::Refused { code, .. }) if code == "403"),
            "{refused:?}"
        );
    }
    assert_eq!(setting.sessions().await, 0);
}

#[tokio::test]
async fn faults_are_told_apart() {
    let setting = setting().await;
    let config = OpenTokConfig { timeout: Duration::from_millis(300), ..setting.config() };
    let adapter = OpenTok::new(config, env()).unwrap();

    setting.control("fault", json!({ "fault": "status_500" })).await;
    let failed = adapter.create_session().await;
    assert!(matches!(failed, Err(PortError::Unavailable { .. })), "{failed:?}");
    assert_eq!(setting.sessions().await, 0);

    setting.control("fault", json!({ "fault": "hang" })).await;
    let hung = adapter.create_session().await;
    assert!(matches!(hung, Err(PortError::Unknown { .. })), "{hung:?}");
    assert_eq!(setting.sessions().await, 0);

    // The effect without an answer is what makes an outcome unknown.
    setting.control("fault", json!({ "fault": "drop_after" })).await;
    let lost = adapter.create_session().await;
    assert!(matches!(lost, Err(PortError::Unknown { .. })), "{lost:?}");
    assert_eq!(setting.sessions().await, 1);

    assert!(adapter.create_session().await.is_ok());

    let nobody = TcpListener::bind("127.0.0.1:0").unwrap();
    let base_url = format!("http://{}", nobody.local_addr().unwrap());
    drop(nobody);
    let config = OpenTokConfig { base_url, ..setting.config() };
    let unreached = OpenTok::new(config, env()).unwrap().create_session().await;
    assert!(matches!(unreached, Err(PortError::Unavailable { .. })), "{unreached:?}");
}

#[tokio::test]
async fn an_archive_needs_a_connection_and_is_stopped_once() {
    let setting = setting().await;
    let adapter = setting.adapter();
    let session = adapter.create_session().await.unwrap();
    let early = adapter.start_archive(&session, "visit").await;
    assert!(matches!(&early, Err(PortError::Refused { code, .. }) if code == "400"), "{early:?}");

    let request = token_request(&session, TokenRole::Moderator, TimeDelta::minutes(5));
    let token = adapter.client_token(&request).unwrap().token;
    setting.control("connect", json!({ "sessionId": session, "token": token })).await;
    let archive = adapter.start_archive(&session, "visit").await.unwrap();
    assert_eq!(archive.status, "started");
    assert_eq!(adapter.stop_archive(&archive.id).await.unwrap().status, "stopped");
    let again = adapter.stop_archive(&archive.id).await;
    assert!(matches!(&again, Err(PortError::Refused { code, .. }) if code == "409"), "{again:?}");
}

#[tokio::test]
async fn callbacks_prove_their_origin() {
    let setting = setting().await;
    let adapter = setting.adapter();
    let session = adapter.create_session().await.unwrap();
    let request = token_request(&session, TokenRole::Publisher, TimeDelta::minutes(5));
    let token = adapter.client_token(&request).unwrap().token;
    setting.control("connect", json!({ "sessionId": session, "token": token })).await;

    let received = setting.received.clone();
    let (authorization, body) = eventually("a callback", Duration::from_secs(10), || {
        let first = received.lock().unwrap().first().cloned();
        async move { first }
    })
    .await;
    let now = env().now();
    let read = |authorization: Option<String>, secret: Option<String>, body: &[u8], now| {
        adapter.read_callback(&CallbackCredentials { authorization, secret }, body, now).unwrap()
    };

    assert_eq!(
        read(authorization.clone(), None, &body, now),
        Some(VideoCallback::Connected { session: session.clone() })
    );
    // The secret of the URL serves where nothing is signed.
    let url_secret = Some(CALLBACK_SECRET.to_owned());
    assert_eq!(
        read(None, url_secret.clone(), &body, now),
        Some(VideoCallback::Connected { session })
    );

    let mut tampered = body.clone();
    tampered.push(b' ');
    assert_eq!(read(authorization.clone(), None, &tampered, now), None);
    assert_eq!(read(authorization, None, &body, now + TimeDelta::minutes(6)), None);
    assert_eq!(read(None, None, &body, now), None);
    assert_eq!(read(None, Some("wrong".into()), &body, now), None);
    assert_eq!(read(Some("Bearer x.y.z".into()), url_secret.clone(), &body, now), None);
    // What is genuine and cannot be read is staff's to see.
    for odd in [
        &b"{"[..],
        b"\xff",
        b"[]",
        b"null",
        br#"{"event":"connectionCreated"}"#,
        br#"{"sessionId":5,"event":"connectionCreated"}"#,
        br#"{"sessionId":"s\u0000","event":"connectionCreated"}"#,
        br#"{"sessionId":"s","projectId":"1","event":"connectionCreated"}"#,
        br#"{"sessionId":"s","event":7}"#,
        br#"{"sessionId":"s","id":"a","status":null}"#,
    ] {
        let found = read(None, url_secret.clone(), odd, now);
        assert!(matches!(found, Some(VideoCallback::Unreadable(_))), "{odd:?}: {found:?}");
    }
    let another = br#"{"sessionId":"s","event":"streamCreated"}"#;
    assert_eq!(read(None, url_secret, another, now), Some(VideoCallback::Other));
}
