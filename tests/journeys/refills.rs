//! A refill meets what the patient has reported since: it is held with the
//! reason, a provider is told, and only a decision lets it go.

use std::collections::BTreeMap;

use reqwest::Method;
use serde_json::{Value, json};

use crate::{
    faults::{
        once,
        patient::{Patient, SOON, text},
        webhooks::control,
    },
    server::Server,
    staff::Desk,
};

fn kinds(hold: &Value) -> Vec<&str> {
    let grounds = hold["grounds"].as_array().into_iter().flatten();
    grounds.filter_map(|ground| ground["kind"].as_str()).collect()
}

/// Submits the form of erectile dysfunction and waits for what is decided.
async fn decided(patient: &Patient<'_>, key: &str, says: &BTreeMap<String, Value>) -> Value {
    let category = patient.category_of("erectile-dysfunction").await;
    let form = patient.form_of(&category, says).await;
    patient.decided(key, &form).await
}

/// Approves, prescribes and sells three months of sildenafil.
async fn treated(patient: &Patient<'_>, doctor: &Desk<'_>) {
    let plan = approved(patient, doctor).await;
    let pharmacies = doctor.get("/api/pharmacies").await;
    let mut ships = pharmacies["items"].as_array().expect("pharmacies").iter();
    let pharmacy = &ships.find(|one| one["mail_order"] == true).expect("one that ships")["id"];
    let erx = json!({ "treatment_plan_id": plan, "plan_version": 1, "pharmacy_id": pharmacy });
    let written = doctor.post("/api/prescriptions/erx", "erx", &erx).await;
    assert!(written.status < 300, "{}", written.body);
    patient.prescription().await;
    pays_for_a_quarter(patient).await;
    patient.shipment().await;
}

/// Approves sildenafil, which a provider has to prescribe; the plan's id.
async fn approved(patient: &Patient<'_>, doctor: &Desk<'_>) -> String {
    let review = text(&decided(patient, "first", &BTreeMap::new()).await, "id");
    let path = format!("/api/providers/reviews/{review}");
    let claimed = once(doctor.ask(Method::POST, &format!("{path}/claim"))).await;
    assert_eq!(claimed.status, 200, "{}", claimed.body);
    let body = json!({
        "version": doctor.get(&path).await["version"],
        "overrides": [{ "alert": "renal_function_unknown", "reason": "benefit_outweighs_risk" }],
    });
    let plan = doctor.post(&format!("{path}/approve"), "approve", &body).await;
    assert_eq!(plan.status, 200, "{}", plan.body);
    text(&plan.body, "id")
}

async fn pays_for_a_quarter(patient: &Patient<'_>) {
    patient.card("card", "pm_card_visa").await;
    let category = patient.category_of("erectile-dysfunction").await;
    let plans = patient.get(&format!("/api/plans?category_id={category}")).await;
    let prices = plans["plans"][0]["prices"].as_array().expect("prices").clone();
    let quarter = prices.iter().find(|price| price["interval"] == "quarterly").expect("a price");
    let bought = patient.subscribe("quarter", quarter).await;
    assert_eq!(bought.status, 200, "{}", bought.body);
}

/// A month later, as the rows have it, a pharmacist dispatches what is due.
async fn a_month_later(server: &Server, pharmacist: &Desk<'_>) {
    server.sql(
        "UPDATE prescription_fills SET recorded_at = recorded_at - interval '40 days'; \
         UPDATE dispatches SET updated_at = updated_at - interval '40 days'; \
         UPDATE paid_fills SET scheduled_for = now() - interval '1 hour', \
         due_at = now() - interval '1 hour' WHERE number = 2",
    );
    let due = once(pharmacist.ask(Method::POST, "/api/dispatch/auto")).await;
    assert_eq!(due.status, 200, "{}", due.body);
}

/// The provider's tasks of one kind that are open.
async fn tasks(doctor: &Desk<'_>, kind: &str) -> Vec<Value> {
    let found = doctor.get("/api/providers/tasks").await;
    let all = found["tasks"].as_array().expect("tasks").iter();
    all.filter(|task| task["kind"] == kind).cloned().collect()
}

#[tokio::test(flavor = "multi_thread")]
async fn a_parcel_that_comes_back_is_a_task_at_once_and_holds_the_refill() {
    let server = Server::start();
    let (doctor, pharmacist) =
        (Desk::of(&server, "provider").await, Desk::of(&server, "pharmacist").await);
    let patient = Patient::arrive(&server, "returned").await;
    treated(&patient, &doctor).await;
    let tracking = text(&patient.shipment().await, "tracking_number");
    let carrier_says = async |status: &str| {
        let order = json!({ "tracking_code": tracking, "status": status });
        control(&server, "easypost", "/_control/trackers", order).await;
    };
    carrier_says("failure").await;
    let task = salus_tests::eventually("the task", SOON, || async {
        tasks(&doctor, "astray_parcel").await.pop()
    })
    .await;
    assert_eq!((&task["priority"], &task["patient_id"]), (&json!("urgent"), &json!(patient.id)));
    let found = patient.get(&format!("/api/shipments/{tracking}")).await;
    assert_eq!(task["subject_id"], found["shipment"]["id"]);

    a_month_later(&server, &pharmacist).await;
    assert_eq!(server.sql("SELECT count(*) FROM dispatches").trim(), "1", "it was sent");
    let hold = doctor.get("/api/held-fills").await["items"][0].clone();
    assert_eq!(kinds(&hold), ["parcel_astray"], "{hold}");

    carrier_says("delivered").await;
    salus_tests::eventually("the task to settle", SOON, || async {
        tasks(&doctor, "astray_parcel").await.is_empty().then_some(())
    })
    .await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_nitrate_that_is_reported_holds_the_refill_until_a_provider_decides() {
    let server = Server::start();
    let (doctor, pharmacist) =
        (Desk::of(&server, "provider").await, Desk::of(&server, "pharmacist").await);
    let patient = Patient::arrive(&server, "nitrate").await;
    treated(&patient, &doctor).await;

    let reported = json!({ "none_known": false, "items": [{ "drug": {
        "system": kernel::code::system::RXNORM, "code": "4917",
        "display": "nitroglycerin 0.4 MG Sublingual Tablet",
    } }] });
    let put = once(patient.ask(Method::PUT, "/api/profile/medications").json(&reported)).await;
    assert_eq!(put.status, 200, "{}", put.body);
    let says = BTreeMap::from([("nitrates".to_owned(), json!(true))]);
    let again = decided(&patient, "again", &says).await;
    assert_eq!(again["outcome"], "refused", "{again}");

    a_month_later(&server, &pharmacist).await;
    assert_eq!(server.sql("SELECT count(*) FROM dispatches").trim(), "1", "it was sent");
    let hold = async || doctor.get("/api/held-fills").await["items"][0].clone();
    let first = hold().await;
    assert_eq!(first["patient_id"], json!(patient.id), "{first}");
    for kind in ["safety_alert", "later_refusal", "open_health_task"] {
        assert!(kinds(&first).contains(&kind), "{kind}: {first}");
    }
    let reason = first["grounds"].to_string();
    assert!(reason.contains("nitroglycerin"), "it says what speaks against it: {reason}");
    salus_tests::eventually("the provider to be told", SOON, || async {
        let tasks = doctor.get("/api/providers/tasks").await;
        tasks.to_string().contains("held_fill").then_some(())
    })
    .await;
    // The pharmacist sees it and cannot get round it; nor does time.
    assert_eq!(pharmacist.get("/api/held-fills").await["items"][0]["id"], first["id"]);
    let due = once(pharmacist.ask(Method::POST, "/api/dispatch/auto")).await;
    assert_eq!(due.body["created"].as_array().map_or(0, Vec::len), 0, "{}", due.body);

    let path = format!("/api/held-fills/{}/release", text(&first, "id"));
    let keys = |hold: &Value| -> Vec<String> {
        let grounds = hold["grounds"].as_array().into_iter().flatten();
        grounds.map(|ground| text(ground, "key")).collect()
    };
    let decide = async |grounds: &[String]| {
        let body = json!({ "reason": "Spoke with the patient and the other doctor.",
            "grounds": grounds });
        once(doctor.ask(Method::POST, &path).json(&body)).await
    };
    let partly = decide(&keys(&first)[1..]).await;
    assert_eq!(partly.problem(), (409, "pharmacy.hold_changed", vec![]), "{}", partly.body);
    // What is told of while the provider reads joins the task that is open, and
    // is not covered by the reading.
    let mut more = reported.clone();
    more["items"].as_array_mut().expect("items").push(json!({ "drug": {
        "system": kernel::code::system::RXNORM, "code": "29046", "display": "lisinopril",
    } }));
    let before = hold().await;
    let put = once(patient.ask(Method::PUT, "/api/profile/medications").json(&more)).await;
    assert_eq!(put.status, 200, "{}", put.body);
    salus_tests::eventually("the news to join the task", SOON, || async {
        let sql = "SELECT max(version) FROM care_tasks WHERE kind = 'changed_health'";
        (server.sql(sql).trim() == "2").then_some(())
    })
    .await;
    let stale = decide(&keys(&before)).await;
    assert_eq!(stale.problem(), (409, "pharmacy.hold_changed", vec![]), "{}", stale.body);
    let released = decide(&keys(&hold().await)).await;
    assert_eq!(released.status, 200, "{}", released.body);
    salus_tests::eventually("the fill to go out", SOON, || async {
        (server.sql("SELECT count(*) FROM dispatches").trim() == "2").then_some(())
    })
    .await;
}

#[tokio::test(flavor = "multi_thread")]
async fn who_has_paid_for_a_plan_that_is_revoked_unprescribed_is_not_left_alone() {
    let server = Server::start();
    let (doctor, support) =
        (Desk::of(&server, "provider").await, Desk::of(&server, "support").await);
    let patient = Patient::arrive(&server, "unprescribed").await;
    let plan = approved(&patient, &doctor).await;
    pays_for_a_quarter(&patient).await;
    salus_tests::eventually("the payment to arrive", SOON, || async {
        (server.sql("SELECT count(*) FROM paid_fills").trim() == "3").then_some(())
    })
    .await;

    let path = format!("/api/treatment-plans/{plan}/revoke");
    let body = json!({ "reason": "adverse_reaction" });
    let revoked = once(doctor.ask(Method::POST, &path).json(&body)).await;
    assert_eq!(revoked.status, 200, "{}", revoked.body);
    let hold = salus_tests::eventually("the paid fill to be held", SOON, || async {
        let found = doctor.get("/api/held-fills").await["items"][0].clone();
        found.is_object().then_some(found)
    })
    .await;
    assert_eq!(kinds(&hold), ["plan_ended"], "{hold}");
    salus_tests::eventually("billing to be told", SOON, || async {
        let found = support.get("/api/billing/tasks").await.to_string();
        (found.contains("paid_but_stopped") && found.contains(&patient.id)).then_some(())
    })
    .await;
}
