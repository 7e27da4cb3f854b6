//! The ten steps, in a process of their own as an operator runs them.

use std::{
    io::{BufRead as _, BufReader},
    path::Path,
    process::{Command, Stdio},
};

use reqwest::Method;
use serde_json::Value;

use crate::server::{PASSWORD, SALUS, Server};

pub fn demo(server: &Server, out: &Path) -> Command {
    let mut command = Command::new(SALUS);
    command
        .args(["demo", "--url", server.url(), "--internal", server.internal(), "--out"])
        .arg(out)
        .arg("--data-dir")
        .arg(server.data_dir())
        .env("SALUS_DEMO_PASSWORD", PASSWORD);
    command
}

#[tokio::test(flavor = "multi_thread")]
async fn ten_steps_hold_twice_and_tampering_is_named() {
    let mut server = Server::start();
    let out = tempfile::tempdir().expect("a folder");
    for _ in 0..2 {
        let output = demo(&server, out.path()).output().expect("running the demo");
        let said = String::from_utf8_lossy(&output.stdout).into_owned();
        assert!(output.status.success(), "{said}{}", String::from_utf8_lossy(&output.stderr));
        assert_eq!(said.matches("✓").count(), 10, "{said}");
        // Everybody who is treated has bought the drug that is dispensed, and
        // the demo sells each drug that the formulary was completed with.
        let bought: Vec<&str> = said.lines().filter(|line| line.contains(" bought ")).collect();
        let active = said.lines().find(|line| line.contains("subscriptions active")).expect("one");
        let active = active.split_whitespace().next().and_then(|word| word.parse().ok());
        assert_eq!(Some(bought.len()), active, "{said}");
        for (plan, drug) in [
            ("Weight GLP-1", "semaglutide"),
            ("Weight Essential", "metformin"),
            ("Daily", "tadalafil"),
            ("On Demand", "sildenafil"),
            ("Hair Complete", "minoxidil"),
            ("Hair Complete", "finasteride"),
        ] {
            let told = |line: &&&str| line.contains(plan) && line.contains(drug);
            assert!(bought.iter().any(|line| told(&line)), "{plan} for {drug}: {said}");
        }
    }
    for file in ["invoice.pdf", "newrx.xml", "fhir-bundle.json", "audit.csv"] {
        let size = std::fs::metadata(out.path().join(file)).expect(file).len();
        assert!(size > 1_000, "{file} has {size} bytes");
    }
    nothing_happened_twice(&server).await;

    // One row is altered behind the server's back, as its superuser can.
    let altered = server.sql(
        "SET session_replication_role = replica; \
         UPDATE audit_entries SET entity_id = 'altered' \
         WHERE id = (SELECT entry_id FROM audit_chain WHERE position = 100) RETURNING id",
    );
    let altered = altered.lines().find(|line| line.len() == 36).expect("an id").to_owned();
    let output = server.command(&["audit", "verify"]);
    let said = String::from_utf8_lossy(&output.stdout).into_owned();
    assert!(!output.status.success(), "{said}");
    assert!(said.contains(&altered) && said.contains("position 100"), "{said}");
    assert!(server.stop(), "the server did not end well");
}

/// The server is killed once in each step, and the walk goes on with the same
/// keys; what the vendors saw is counted at the end.
#[tokio::test(flavor = "multi_thread")]
async fn a_server_killed_in_each_step_completes_the_journey_and_repeats_nothing() {
    let mut server = Server::start();
    let out = tempfile::tempdir().expect("a folder");
    let mut walk = demo(&server, out.path())
        .stdout(Stdio::piped())
        .stderr(Stdio::piped())
        .spawn()
        .expect("starting the demo");
    let lines = BufReader::new(walk.stdout.take().expect("the demo's output")).lines();
    let mut said = String::new();
    let mut kills = 0;
    for line in lines.map_while(Result::ok) {
        said.push_str(&line);
        said.push('\n');
        if line.starts_with("step ") {
            // Far enough into a step of all people for something to be under
            // way; the last three are over so quickly that they are cut at
            // once.
            if kills < 7 {
                wait_for_work(&server).await;
            }
            server.kill_and_restart();
            kills += 1;
        }
    }
    let status = walk.wait().expect("the demo's end");
    assert!(status.success(), "after {kills} kills: {said}");
    assert_eq!(kills, 10);
    assert_eq!(said.matches("✓").count(), 10, "{said}");
    nothing_happened_twice(&server).await;
    let verified = server.command(&["audit", "verify"]);
    assert!(verified.status.success(), "{}", String::from_utf8_lossy(&verified.stdout));
}

/// Waits until the audit log has grown, which every step makes it do.
async fn wait_for_work(server: &Server) {
    let count = || {
        let text = server.sql("SELECT count(*) FROM audit_entries");
        text.trim().parse::<i64>().expect("a count")
    };
    let before = count();
    salus_tests::eventually("the step's work", std::time::Duration::from_secs(20), || async {
        (count() >= before + 8).then_some(())
    })
    .await;
}

pub async fn look(server: &Server, vendor: &str, path: &str) -> Value {
    let answer = server.client.emulator_call(vendor, Method::GET, path, None).await;
    answer.expect("the emulator").json().expect("its JSON")
}

/// What the vendors themselves remember: one charge an invoice, one NewRx a
/// prescription, one shipment a dispatch, one mail a notification.
pub async fn nothing_happened_twice(server: &Server) {
    let charges = look(server, "stripe", "/_control/charges").await;
    let charges = charges["charges"].as_array().expect("charges").clone();
    assert!(!charges.is_empty());
    once("charge", charges.iter().map(|charge| charge["metadata"]["invoice_id"].to_string()));

    let messages = look(server, "erx", "/_control/messages").await;
    let messages = messages.as_array().expect("messages").clone();
    let prescriptions: i64 = server
        .sql("SELECT count(*) FROM prescriptions WHERE state IN ('active', 'completed')")
        .trim()
        .parse()
        .expect("a count");
    assert_eq!(messages.len() as i64, prescriptions);
    once("NewRx", messages.iter().map(|message| message["message_id"].to_string()));

    let parcels = look(server, "easypost", "/_control/state").await;
    let parcels = parcels["shipments"].as_object().expect("shipments").clone();
    let bought = parcels.values().filter(|parcel| !parcel["tracker_id"].is_null());
    once("shipment", bought.map(|parcel| parcel["reference"].to_string()));

    let mails = look(server, "smtp", "/_control/messages").await;
    let mails = mails.as_array().expect("mails").clone();
    assert!(!mails.is_empty());
    once("mail", mails.iter().map(|mail| mail["message_id"].to_string()));
}

fn once(what: &str, keys: impl Iterator<Item = String>) {
    let mut seen = std::collections::BTreeSet::new();
    for key in keys {
        assert!(seen.insert(key.clone()), "{what} {key} happened twice");
    }
}
