//! What stands before the operations: how connections are held, which bodies
//! are taken, whose word on addresses counts, and who sees what the server
//! measures. Connections are real sockets; their times are short by
//! configuration.

use std::time::{Duration, Instant};

use reqwest::Method;
use seeds::identity::sign_ins;
use serde_json::json;
use tokio::{
    io::{AsyncReadExt as _, AsyncWriteExt as _},
    net::TcpStream,
};

use crate::{
    authorization::{Operation, TABLE, Who, document, operations},
    faults::{once, request, staff_token},
    server::{SALUS, Server},
};

/// Short times, so that a test waits for none that is long.
const SHORT: &[(&str, &str)] = &[
    ("SALUS_SERVER__CONNECTIONS__HEADER_SECONDS", "0.5"),
    ("SALUS_SERVER__CONNECTIONS__BODY_GRACE_SECONDS", "0.5"),
    ("SALUS_SERVER__CONNECTIONS__IDLE_SECONDS", "1.5"),
    ("SALUS_SERVER__CONNECTIONS__PER_ADDRESS", "20"),
];

async fn connect(server: &Server) -> TcpStream {
    let address = server.url().trim_start_matches("http://");
    TcpStream::connect(address).await.expect("a connection")
}

/// What the server still says, and how long it takes until it closes.
async fn until_closed(mut socket: TcpStream) -> (String, Duration) {
    let started = Instant::now();
    let mut said = Vec::new();
    let closed = tokio::time::timeout(Duration::from_secs(20), socket.read_to_end(&mut said));
    // A reset is an end as well.
    let _ = closed.await.expect("the connection is never closed");
    (String::from_utf8_lossy(&said).into_owned(), started.elapsed())
}

#[tokio::test(flavor = "multi_thread")]
async fn a_connection_is_held_to_its_time() {
    let server = Server::start_with(SHORT);
    // Nothing, half a header, and a header byte by byte.
    let silent = connect(&server).await;
    let mut half = connect(&server).await;
    half.write_all(b"GET /api/categories HTTP/1.1\r\nHost: a\r\nX-A: ").await.expect("half");
    let mut preface = connect(&server).await;
    preface.write_all(b"PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n").await.expect("a preface");
    for (what, socket) in [("silent", silent), ("half", half), ("preface", preface)] {
        let (_, took) = until_closed(socket).await;
        assert!(took < Duration::from_secs(5), "{what} was held for {took:?}");
    }

    // A body that does not come is answered, and the connection closed.
    let mut slow = connect(&server).await;
    let head = "POST /api/auth/login HTTP/1.1\r\nHost: a\r\nContent-Type: application/json\r\n\
                Content-Length: 100\r\n\r\n{";
    slow.write_all(head.as_bytes()).await.expect("a head");
    let (said, took) = until_closed(slow).await;
    assert!(said.starts_with("HTTP/1.1 408 "), "{said}");
    assert!(took < Duration::from_secs(8), "{took:?}");

    // Between requests it may rest longer than a header may take, not for ever.
    let mut resting = connect(&server).await;
    let whole = b"GET /health/live HTTP/1.1\r\nHost: a\r\n\r\n";
    resting.write_all(whole).await.expect("a request");
    let mut first = [0; 12];
    resting.read_exact(&mut first).await.expect("an answer");
    tokio::time::sleep(Duration::from_millis(900)).await;
    resting.write_all(whole).await.expect("a second request");
    let (said, took) = until_closed(resting).await;
    assert_eq!(said.matches("\"live\"").count(), 2, "{said}");
    assert!(took >= Duration::from_secs(1), "it was cut while it rested: {took:?}");
}

#[tokio::test(flavor = "multi_thread")]
async fn pings_keep_no_connection_open() {
    let server = Server::start_with(SHORT);
    let client = reqwest::Client::builder()
        .http2_prior_knowledge()
        .http2_keep_alive_interval(Duration::from_millis(200))
        .http2_keep_alive_while_idle(true)
        .build()
        .expect("a client");
    let url = format!("{}/health/live", server.url());
    assert_eq!(client.get(url).send().await.expect("an answer").status(), 200);
    salus_tests::eventually("the end of the connection", Duration::from_secs(10), || async {
        let metrics = reqwest::get(format!("{}/metrics", server.internal())).await.ok()?;
        let told = r#"http_connections_cut_total{reason="idle"} 1"#;
        metrics.text().await.ok()?.contains(told).then_some(())
    })
    .await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_body_that_flows_is_not_cut_however_long_it_takes() {
    let server = Server::start_with(SHORT);
    let mut socket = connect(&server).await;
    let body = json!({ "email": "nobody@patients.example", "password": "a-guess-of-somebody" });
    let body = format!("{body}{}", " ".repeat(2_000));
    let head = format!(
        "POST /api/auth/login HTTP/1.1\r\nHost: a\r\nConnection: close\r\n\
         Content-Type: application/json\r\nContent-Length: {}\r\n\r\n",
        body.len()
    );
    socket.write_all(head.as_bytes()).await.expect("a head");
    // About two seconds at a thousand bytes each: four times the grace.
    for part in body.as_bytes().chunks(100) {
        socket.write_all(part).await.expect("a part");
        tokio::time::sleep(Duration::from_millis(100)).await;
    }
    let (said, _) = until_closed(socket).await;
    assert!(said.starts_with("HTTP/1.1 401 "), "{said}");
}

#[tokio::test(flavor = "multi_thread")]
async fn one_address_holds_so_many_connections() {
    let server = Server::start_with(&[
        ("SALUS_SERVER__CONNECTIONS__PER_ADDRESS", "5"),
        ("SALUS_SERVER__CONNECTIONS__TOTAL", "50"),
    ]);
    let mut held = Vec::new();
    for _ in 0..5 {
        let mut socket = connect(&server).await;
        let whole = b"GET /health/live HTTP/1.1\r\nHost: a\r\n\r\n";
        socket.write_all(whole).await.expect("a request");
        let mut first = [0; 12];
        socket.read_exact(&mut first).await.expect("an answer");
        held.push(socket);
    }
    let (said, took) = until_closed(connect(&server).await).await;
    assert!(said.is_empty() && took < Duration::from_secs(2), "{said} {took:?}");
    drop(held);
    salus_tests::eventually("a free place", Duration::from_secs(10), || async {
        let url = format!("{}/health/live", server.url());
        reqwest::get(url).await.ok().filter(|answer| answer.status() == 200).map(drop)
    })
    .await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_packed_body_is_refused_unread() {
    let server = Server::start();
    let ways = [
        (Method::POST, "/api/auth/login"),
        (Method::POST, "/oauth/token"),
        (Method::POST, "/webhooks/stripe"),
        (Method::POST, "/webhooks/erx"),
        (Method::POST, "/webhooks/easypost"),
        (Method::POST, "/webhooks/opentok"),
        (Method::POST, "/api/forms/submit"),
        (Method::GET, "/api/categories"),
    ];
    for coding in ["gzip", "br", "deflate", "zstd", "identity, gzip", "x-unknown"] {
        for (method, path) in &ways {
            let asked = request(&server, method.clone(), path, "")
                .header("Content-Type", "application/json")
                .header("Content-Encoding", coding)
                .body("{}");
            let seen = once(asked).await;
            let told = (415, "unsupported_media_type", vec![]);
            assert_eq!(seen.problem(), told, "{coding} {path}: {}", seen.body);
        }
    }
    let fhir = request(&server, Method::GET, "/fhir/Patient", "").header("Content-Encoding", "br");
    let seen = once(fhir).await;
    assert_eq!((seen.status, &seen.body["resourceType"]), (415, &json!("OperationOutcome")));
    let plain = request(&server, Method::POST, "/api/auth/login", "")
        .header("Content-Encoding", "identity")
        .json(&json!({ "email": "nobody@patients.example", "password": "a-guess-of-somebody" }));
    assert_eq!(once(plain).await.status, 401);
    // Answers are packed for whoever takes that.
    let packed = request(&server, Method::GET, "/api/categories", "");
    let seen = once(packed.header("Accept-Encoding", "gzip")).await;
    assert_eq!(seen.headers["content-encoding"], "gzip");
    let seen = once(request(&server, Method::GET, "/api/categories", "")).await;
    assert_eq!(seen.headers["vary"], "accept-encoding");
}

#[tokio::test(flavor = "multi_thread")]
async fn no_caller_says_where_it_comes_from_or_what_its_request_is_called() {
    let limits = [("SALUS_LIMITS__ANONYMOUS", "5"), ("SALUS_SERVER__PROXY_HOPS", "1")];
    for (settings, escapes) in [(&limits[..1], false), (&limits[..], true)] {
        let server = Server::start_with(settings);
        let mut last = 0;
        for call in 0..12 {
            let asked = request(&server, Method::GET, "/api/categories", "")
                // What is left of the proxy's own entry is the caller's.
                .header("X-Forwarded-For", format!("198.51.100.{call}, 203.0.113.9"))
                .header("Forwarded", format!("for=198.51.100.{call}"))
                .header("X-Real-IP", format!("198.51.100.{call}"));
            last = once(asked).await.status;
        }
        assert_eq!(last, 429, "the addresses that a caller invents count");
        let other = request(&server, Method::GET, "/api/categories", "")
            .header("X-Forwarded-For", "203.0.113.10");
        assert_eq!(once(other).await.status == 200, escapes);
    }

    let server = Server::start();
    let theirs = "01981e0a-0000-7000-8000-000000000001";
    let asked = || request(&server, Method::GET, "/api/profile", "").header("X-Request-Id", theirs);
    let (first, second) = (once(asked()).await, once(asked()).await);
    assert_eq!(first.headers["x-caller-request-id"], theirs);
    assert_ne!(first.headers["x-request-id"], theirs);
    assert_ne!(first.headers["x-request-id"], second.headers["x-request-id"]);
    assert_eq!(first.problem().0, 401);
    let odd = request(&server, Method::GET, "/health/live", "").header("X-Request-Id", "a b<c>");
    assert!(!once(odd).await.headers.contains_key("x-caller-request-id"));
}

#[tokio::test(flavor = "multi_thread")]
async fn what_the_server_measures_is_for_operators() {
    let server = Server::start();
    let outside = async |path: &str| once(request(&server, Method::GET, path, "")).await;
    assert_eq!(outside("/metrics").await.status, 404);
    for path in ["/health", "/health/ready"] {
        let seen = outside(path).await;
        assert_eq!((seen.status, &seen.body), (200, &json!({ "status": "ready" })));
    }
    let inside = async |path: &str| {
        reqwest::get(format!("{}{path}", server.internal())).await.expect("an answer")
    };
    let metrics = inside("/metrics").await.text().await.expect("a text");
    assert!(metrics.contains("http_connections"), "{metrics}");
    let health: serde_json::Value = inside("/health").await.json().await.expect("JSON");
    let checks = health["checks"].as_array().expect("checks");
    let vendors = checks.iter().find(|check| check["name"] == "vendors").expect("vendors");
    let detail = vendors["detail"].as_str().expect("a text");
    assert!(detail.contains("stripe") && detail.contains("not real"), "{detail}");
    assert_eq!(inside("/api/categories").await.status(), 404);
}

#[tokio::test(flavor = "multi_thread")]
async fn what_the_server_keeps_is_closed_to_others() {
    use std::os::unix::fs::MetadataExt as _;
    let server = Server::start();
    let objects = server.data_dir().join("objects");
    salus_tests::eventually("an object", Duration::from_secs(30), || async {
        std::fs::read_dir(&objects).ok()?.next().map(drop)
    })
    .await;
    let mode = |name: &str| {
        let is = std::fs::metadata(server.data_dir().join(name)).expect("what it keeps");
        is.mode() & 0o777
    };
    // The data folder itself is walked through by the cluster's user.
    assert_eq!(mode("") & 0o066, 0);
    for folder in ["keys", "signing", "objects", "emulators", "postgres", "socket"] {
        assert_eq!(mode(folder), 0o700, "{folder}");
    }
    assert_eq!(mode("cluster.lock"), 0o600);
    for folder in ["keys", "signing", "objects", "emulators"] {
        everything_is_closed(&server.data_dir().join(folder));
    }
}

fn everything_is_closed(folder: &std::path::Path) {
    use std::os::unix::fs::MetadataExt as _;
    for entry in std::fs::read_dir(folder).expect("the folder") {
        let entry = entry.expect("an entry");
        let is = entry.metadata().expect("what it is");
        assert_eq!(is.mode() & 0o077, 0, "{}", entry.path().display());
        if is.is_dir() {
            everything_is_closed(&entry.path());
        }
    }
}

#[test]
fn a_server_without_keys_does_not_start_and_lists_what_it_lacks() {
    let folder = tempfile::tempdir().expect("a folder");
    let output = std::process::Command::new(SALUS)
        .args(["serve", "--port", "0", "--data-dir"])
        .arg(folder.path().join("data"))
        .current_dir(folder.path())
        .env_remove("DATABASE_URL")
        .output()
        .expect("running the binary");
    let said = String::from_utf8_lossy(&output.stderr).into_owned();
    assert!(!output.status.success(), "{said}");
    for part in ["stripe.secret_key", "erx.base_url", "smtp.host", "server.public_url"] {
        assert!(said.contains(part), "{part} is not in {said}");
    }
    assert!(!folder.path().join("data").exists(), "it has begun something");
}

/// Who has no right to an operation hears that, and not what a body lacks.
#[tokio::test(flavor = "multi_thread")]
async fn a_right_is_judged_before_the_body_is_read() {
    let server = Server::start();
    let document = document();
    let mut tokens = std::collections::BTreeMap::new();
    for (email, role) in sign_ins() {
        tokens.insert(role.to_string(), staff_token(&server, email).await);
    }
    let ask = async |operation: &Operation, token: &str| {
        let path = operation.path.replace("{rxnorm}", "1").replace("{state}", "NY");
        let path = path.replace("{role}", "support");
        let path = path.split('/').map(|part| match part.starts_with('{') {
            true => "01981e0a-0000-7000-8000-000000000001",
            false => part,
        });
        let path: Vec<&str> = path.collect();
        let asked = request(&server, operation.method.clone(), &path.join("/"), token)
            .header("Content-Type", "application/json")
            .header("Idempotency-Key", "a-key")
            .header("If-Match", "*")
            .body("{ no JSON");
        once(asked).await
    };
    let mut wrong = Vec::new();
    for operation in operations(&document) {
        let described = &document["paths"][operation.path.as_str()];
        let method = operation.method.as_str().to_lowercase();
        if described[method.as_str()]["requestBody"].is_null() {
            continue;
        }
        let row = TABLE.iter().find(|(id, _)| *id == operation.id).map(|(_, who)| *who);
        let Some(Who::Roles(allowed)) = row else { continue };
        let anonymous = ask(&operation, "").await.status;
        if anonymous != 401 {
            wrong.push(format!("{} without a token: {anonymous}", operation.id));
        }
        for (role, token) in &tokens {
            if allowed.contains(&role.as_str()) {
                continue;
            }
            let seen = ask(&operation, token).await;
            if seen.status != 403 {
                wrong.push(format!("{} as {role}: {} {}", operation.id, seen.status, seen.body));
            }
        }
    }
    assert!(wrong.is_empty(), "add what is needed to core/permits.rs: {wrong:#?}");
}

/// A browser shows a front end of another origin only the headers that are
/// exposed to it.
#[tokio::test(flavor = "multi_thread")]
async fn a_front_end_of_another_origin_reads_the_headers_that_the_api_relies_on() {
    let origin = "https://app.example.com";
    let origins = format!("[\"{origin}\"]");
    let server = Server::start_with(&[("SALUS_SERVER__CORS_ORIGINS", &origins)]);
    let asked = |origin: &str| {
        let url = format!("{}/api/categories", server.url());
        reqwest::Client::new().get(url).header("Origin", origin).send()
    };
    let answer = asked(origin).await.expect("an answer");
    let exposed = answer.headers()["access-control-expose-headers"].to_str().expect("names");
    let exposed = exposed.to_lowercase();
    for name in ["etag", "location", "retry-after", "x-request-id", "ratelimit-remaining"] {
        assert!(exposed.contains(name), "{name} is not among {exposed}");
    }
    assert_eq!(answer.headers()["access-control-allow-origin"], origin);
}
