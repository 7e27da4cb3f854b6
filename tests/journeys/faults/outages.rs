//! PostgreSQL is killed under the server, and comes back or does not.

use std::time::{Duration, Instant};

use reqwest::Method;
use salus_tests::eventually;
use serde_json::json;

use super::{once, patient, request, staff_token};
use crate::server::Server;

/// What a client waits for an answer at most while the database is away.
const PROMPT: Duration = Duration::from_secs(2);

/// Kills PostgreSQL's first process. It cannot start again while its
/// configuration is away.
pub fn kill(server: &Server, for_good: bool) {
    let data = server.data_dir().join("postgres");
    let file = std::fs::read_to_string(data.join("postmaster.pid")).expect("its process");
    if for_good {
        std::fs::rename(data.join("postgresql.conf"), data.join("away.conf")).expect("a move");
    }
    let process = file.lines().next().expect("a number");
    let killed =
        std::process::Command::new("sh").args(["-c", "kill -KILL \"$0\"", process]).status();
    assert!(killed.expect("a shell").success());
}

fn repair(server: &Server) {
    let data = server.data_dir().join("postgres");
    std::fs::rename(data.join("away.conf"), data.join("postgresql.conf")).expect("a move");
}

async fn status(server: &Server, path: &str) -> u16 {
    once(request(server, Method::GET, path, "")).await.status
}

#[tokio::test]
async fn while_the_database_is_away_requests_are_told_to_come_back_and_then_all_goes_on() {
    let server = Server::start();
    let token = staff_token(&server, "admin@salus.example").await;
    assert_eq!(status(&server, "/health/ready").await, 200);
    kill(&server, true);

    // The first request may meet a connection that is just ending; each must
    // be told, and in time.
    for path in ["/api/categories", "/api/admin/clients", "/fhir/Patient"] {
        let asked = Instant::now();
        let seen = once(request(&server, Method::GET, path, &token)).await;
        assert!(asked.elapsed() < PROMPT, "{path} took {:?}", asked.elapsed());
        assert_eq!(seen.status, 503, "{path}: {}", seen.body);
        let wait = seen.headers.get("retry-after").expect("Retry-After").to_str().unwrap();
        assert!((1..=60).contains(&wait.parse::<u64>().unwrap()));
        if path.starts_with("/fhir") {
            assert_eq!(seen.body["resourceType"], "OperationOutcome", "{}", seen.body);
            assert_eq!(seen.body["issue"][0]["code"], "transient");
        } else {
            assert_eq!(seen.problem().1, "unavailable");
        }
    }
    let body = json!({ "email": "nobody@example.com", "password": "a long walk by the sea" });
    let asked = Instant::now();
    let seen = once(request(&server, Method::POST, "/api/auth/login", "").json(&body)).await;
    assert_eq!((seen.status, asked.elapsed() < PROMPT), (503, true), "{}", seen.body);
    let asked = Instant::now();
    let ready = once(request(&server, Method::GET, "/health/ready", "")).await;
    assert_eq!((ready.status, ready.headers.contains_key("retry-after")), (503, true));
    assert!(asked.elapsed() < PROMPT);
    assert_eq!(status(&server, "/health/live").await, 200);

    repair(&server);
    eventually("the server to be ready again", Duration::from_secs(60), async || {
        (status(&server, "/health/ready").await == 200).then_some(())
    })
    .await;
    // The worker is back too: the mail that a registration sends is its job.
    patient::Patient::arrive(&server, "after-the-outage").await;
    let verified = server.command(&["audit", "verify"]);
    assert!(verified.status.success(), "{}", String::from_utf8_lossy(&verified.stdout));
}

#[tokio::test]
async fn a_server_whose_database_is_gone_for_good_stops_in_time() {
    let mut server = Server::start();
    kill(&server, true);
    eventually("the outage to be seen", Duration::from_secs(5), async || {
        (status(&server, "/health/ready").await == 503).then_some(())
    })
    .await;
    let asked = Instant::now();
    assert!(server.interrupt(), "it ends well");
    assert!(asked.elapsed() < Duration::from_secs(5), "it took {:?}", asked.elapsed());
}

/// The roles of the private cluster: what serves owns nothing.
#[tokio::test]
async fn the_server_serves_with_a_role_that_owns_nothing() {
    let server = Server::start();
    let roles = "SELECT DISTINCT usename FROM pg_stat_activity \
                 WHERE datname = 'salus' AND usename <> 'postgres'";
    assert_eq!(server.sql(roles).trim(), "salus_server");
    let owners = "SELECT DISTINCT tableowner FROM pg_tables \
                  WHERE schemaname IN ('public', 'graphile_worker')";
    assert_eq!(server.sql(owners).trim(), "salus");
    let links = "SELECT count(*) FROM audit_chain WHERE key_id IS NULL";
    assert_eq!(server.sql(links).trim(), "0");
}
