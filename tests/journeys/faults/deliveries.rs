//! Servers and PostgreSQL are killed while events are delivered and charts are
//! read: every delivery has its effect once, and every answer that left stands in
//! the audit log.

use std::{
    sync::{
        Arc,
        atomic::{AtomicBool, Ordering},
    },
    time::Duration,
};

use reqwest::Method;
use salus_tests::eventually;
use serde_json::json;

use super::{once, outages::kill, patient::Patient, patient::text, request, staff_token};
use crate::server::Server;

const PATIENCE: Duration = Duration::from_secs(120);

/// Lets so many submissions wait to be counted, which a handler does whether or not
/// they are there.
fn tell(server: &Server, count: u32) {
    server.sql(&format!(
        "WITH told AS (INSERT INTO outbox_events (id, kind, payload, occurred_at) \
             SELECT gen_random_uuid(), 'response_submitted', jsonb_build_object( \
                 'kind', 'response_submitted', 'response', gen_random_uuid(), \
                 'patient', gen_random_uuid(), 'category', gen_random_uuid()), \
                 '2020-02-02' FROM generate_series(1, {count}) RETURNING id) \
         INSERT INTO deliveries (handler, event_id) SELECT 'analytics.project', id FROM told"
    ));
}

fn number(server: &Server, sql: &str) -> u32 {
    server.sql(sql).trim().parse().expect("a number")
}

/// What waits of what was told.
fn waiting(server: &Server) -> u32 {
    let sql = "SELECT count(*) FROM deliveries d JOIN outbox_events e ON e.id = d.event_id \
               WHERE e.occurred_at = '2020-02-02'";
    number(server, sql)
}

async fn below(server: &Server, count: u32) {
    eventually("deliveries to be made", PATIENCE, async || (waiting(server) < count).then_some(()))
        .await;
}

/// How many of what was told had their effect, and how many effects there were.
fn effects(server: &Server) -> (u32, u32) {
    let told = "FROM audit_entries a JOIN outbox_events e ON e.id::text = a.entity_id \
                WHERE a.entity = 'analytics_projection' AND e.occurred_at = '2020-02-02'";
    let all = number(server, &format!("SELECT count(*) {told}"));
    (number(server, &format!("SELECT count(DISTINCT a.entity_id) {told}")), all)
}

async fn ready(server: &Server) {
    eventually("the server to be ready", PATIENCE, async || {
        let seen = request(server, Method::GET, "/health/ready", "").send().await.ok()?;
        (seen.status() == 200).then_some(())
    })
    .await;
}

#[tokio::test]
async fn kills_amid_deliveries_and_readings_lose_nothing_and_repeat_nothing() {
    let mut server = Server::start();
    let response = {
        let patient = Patient::arrive(&server, "reading").await;
        let submitted = patient.submit().await;
        (text(&submitted, "id"), patient.token.clone())
    };
    tell(&server, 6_000);
    below(&server, 5_500).await;
    server.kill_and_restart();
    below(&server, 4_000).await;
    kill(&server, false);
    ready(&server).await;
    below(&server, 2_500).await;

    // Readers, until the server is killed under them.
    let over = Arc::new(AtomicBool::new(false));
    let read = |token: String, id: String| {
        let url = format!("{}/api/forms/responses/{id}", server.url());
        let (http, over) = (reqwest::Client::new(), over.clone());
        async move {
            let mut answers = 0_u32;
            while !over.load(Ordering::Relaxed)
                && let Ok(seen) = http.get(&url).bearer_auth(&token).send().await
            {
                assert_eq!(seen.status(), 200);
                answers += 1;
                if seen.bytes().await.is_err() {
                    break;
                }
            }
            answers
        }
    };
    let (id, token) = response;
    let readers: Vec<_> = (0..4).map(|_| tokio::spawn(read(token.clone(), id.clone()))).collect();
    let read = format!(
        "SELECT count(*) FROM audit_entries WHERE action = 'read' AND entity_id = '{id}' \
         AND actor_kind = 'account'"
    );
    eventually("readings", PATIENCE, async || (number(&server, &read) > 100).then_some(())).await;
    server.kill_and_restart();
    over.store(true, Ordering::Relaxed);
    let mut answers = 0;
    for reader in readers {
        answers += reader.await.expect("a reader");
    }
    let entries = number(&server, &read);
    assert!(answers > 50 && entries >= answers, "{entries} entries for {answers} answers");

    below(&server, 1).await;
    assert_eq!(effects(&server), (6_000, 6_000));
    let dead = "SELECT count(*) FROM deliveries WHERE attempts >= 25";
    assert_eq!(number(&server, dead), 0);
    let verified = server.command(&["audit", "verify"]);
    assert!(verified.status.success(), "{}", String::from_utf8_lossy(&verified.stdout));
}

#[tokio::test]
async fn two_nodes_share_the_deliveries_and_one_goes_on_where_the_other_was_killed() {
    let server = Server::start();
    let mut other = server.another_node();
    ready(&other).await;

    // What one changes the other shows.
    let token = staff_token(&server, "admin@salus.example").await;
    let category = || {
        json!({
            "slug": "migraine", "name": "Migraine", "description": "Acute treatment.",
            "active": true, "required_modality": "asynchronous", "minimum_age": 18,
        })
    };
    let listed = async || {
        let seen = once(request(&other, Method::GET, "/api/categories", "")).await;
        seen.body["categories"]
            .as_array()
            .is_some_and(|all| all.iter().any(|category| category["slug"] == "migraine"))
    };
    assert!(!listed().await);
    let made = request(&server, Method::POST, "/api/admin/categories", &token).json(&category());
    assert_eq!(once(made).await.status, 201);
    eventually("the other node to show it", PATIENCE, async || listed().await.then_some(())).await;

    tell(&server, 4_000);
    below(&server, 3_000).await;
    other.kill();
    below(&server, 1).await;
    assert_eq!(effects(&server), (4_000, 4_000));
}
