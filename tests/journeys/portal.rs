//! A provider's day over HTTP: a review that comes by itself, the dashboard and
//! the panel that show it, and the dose that is worked out before signing.

use reqwest::Method;
use seeds::identity::LINDQVIST;
use serde_json::{Value, json};

use crate::{
    faults::{
        once,
        patient::{Patient, SOON, slot, text},
    },
    server::Server,
    staff::Desk,
};

#[tokio::test(flavor = "multi_thread")]
async fn a_review_comes_to_a_provider_who_sees_it_at_a_glance_and_decides() {
    let server = Server::start();
    let (admin, doctor) = (Desk::of(&server, "admin").await, Desk::of(&server, "provider").await);

    let mut policy = admin.get("/api/admin/assignment-policy").await;
    assert_eq!(policy["automatic"], false, "nothing is given out unless somebody wants it");
    policy["automatic"] = json!(true);
    policy["categories"] = json!([{
        "category_id": seeds::catalog::HAIR_LOSS, "specialities": ["207N00000X"],
    }]);
    let set = admin.put("/api/admin/assignment-policy", "\"1\"", &policy).await;
    assert_eq!((set.status, &set.body), (200, &policy));
    let stale = admin.put("/api/admin/assignment-policy", "\"1\"", &policy).await;
    assert_eq!(stale.status, 412, "{}", stale.body);
    let days = ["monday", "tuesday", "wednesday", "thursday", "friday", "saturday", "sunday"];
    let always = days.map(|day| json!({ "weekday": day, "from": "00:00", "until": "24:00" }));
    let hours = json!({
        "working_hours": { "time_zone": "America/New_York", "shifts": always },
    });
    let written = once(doctor.ask(Method::PUT, "/api/providers/working-hours").json(&hours)).await;
    assert_eq!(written.status, 200, "{}", written.body);
    assert_eq!(written.body["working_hours"], hours["working_hours"]);

    // The second form of a patient under treatment is for a provider to see.
    let patient = Patient::arrive(&server, "portal").await;
    let form = patient.form().await;
    let first = patient.post("/api/forms/submit", "first", &form).await;
    assert!(first.status < 300, "{}", first.body);
    let plan = patient.plan().await;
    let second = patient.post("/api/forms/submit", "second", &form).await;
    assert!(second.status < 300, "{}", second.body);
    let dashboard = salus_tests::eventually("the review to be given out", SOON, || async {
        let seen = doctor.get("/api/providers/dashboard").await;
        Some(seen).filter(|seen| seen["reviews"]["held"] == 1)
    })
    .await;
    assert_eq!(dashboard["time_zone"], "America/New_York");
    assert_eq!(dashboard["licensed_in"], json!(["CA", "MA", "NY"]));
    assert_eq!(dashboard["expiring_licenses"], json!([]), "the demo's last another year");
    let queue = doctor.get("/api/providers/review-queue").await;
    let review = &queue["reviews"][0];
    assert_eq!(review["patient_id"], patient.id.as_str());
    assert!(review["claimed_until"].is_string(), "{review}");
    let named = json!({ "given": "Ambrose", "family": "Quill", "birth_date": "1981-12-10" });
    assert_eq!(review["patient"], named);
    salus_tests::eventually("the provider to be told", SOON, || async {
        let inbox = doctor.get(&format!("/api/notifications/{LINDQVIST}")).await;
        inbox.to_string().contains("task_created").then_some(())
    })
    .await;

    let panel = doctor.get("/api/providers/patients?under_treatment=true").await;
    let mut found = panel["patients"].as_array().expect("patients").iter();
    let own = found.find(|one| one["patient_id"] == patient.id.as_str());
    let own = own.expect("on the panel");
    assert_eq!((&own["plans"][0]["id"], &own["patient"]), (&plan["id"], &named));
    visit(&patient, &doctor, &named).await;
    let dose = async |drug: &str| {
        let path = format!("/api/providers/patients/{}/dose", patient.id);
        let seen = once(doctor.ask(Method::POST, &path).json(&json!({ "rxnorm": drug }))).await;
        assert_eq!(seen.status, 200, "{}", seen.body);
        seen.body
    };
    assert_eq!(dose("200172").await["dose"], json!({ "value": 1.0, "unit": "mg" }));
    let rising = dose("1991302").await;
    assert_eq!(rising["schedule"].as_array().map(Vec::len), Some(5), "{rising}");
    assert_eq!(dose("861007").await["alerts"], json!(["renal_function_unknown"]));

    let id = review["assessment_id"].as_str().expect("an id");
    let path = format!("/api/providers/reviews/{id}/reject");
    let no = json!({ "reason": "not_indicated" });
    let decided = once(doctor.ask(Method::POST, &path).json(&no)).await;
    assert_eq!(decided.status, 200, "{}", decided.body);
    let after = doctor.get("/api/providers/dashboard").await;
    assert_eq!(after["reviews"]["held"], 0);
}

/// Somebody who waits for a decision books a visit, which both of the two find
/// in their lists and nobody completes ahead of its time.
async fn visit(patient: &Patient<'_>, doctor: &Desk<'_>, named: &Value) {
    let wanted = json!({ "provider_id": LINDQVIST, "starts_at": slot(9) });
    let booked = patient.post("/api/consultations/video/create", "visit", &wanted).await;
    assert_eq!(booked.status, 200, "{}", booked.body);
    let id = text(&booked.body, "id");
    let own = patient.get("/api/consultations/video?status=scheduled").await;
    let own = &own["consultations"][0];
    assert_eq!((&own["id"], &own["patient"]), (&booked.body["id"], &Value::Null));
    assert_eq!(patient.get("/api/consultations/video?status=canceled").await["next"], Value::Null);
    let held = doctor.get("/api/consultations/video?limit=1").await;
    let held = &held["consultations"][0];
    assert_eq!((&held["id"], &held["patient"]), (&booked.body["id"], named));
    assert_eq!(own["starts_at"], held["starts_at"]);
    let path = format!("/api/consultations/video/{id}/notes");
    let notes = json!({ "notes": "Seen.", "complete": true });
    let early = once(doctor.ask(Method::PUT, &path).json(&notes)).await;
    assert_eq!(early.problem(), (409, "care.consultation_ahead", vec![]), "{}", early.body);
    let after = doctor.get(&format!("/api/consultations/video/{id}")).await;
    assert_eq!((&after["status"], &after["patient"]), (&json!("scheduled"), named));
}

#[tokio::test(flavor = "multi_thread")]
async fn nobody_is_booked_while_the_provider_sleeps() {
    let server = Server::start();
    let doctor = Desk::of(&server, "provider").await;
    let monday = json!({ "weekday": "monday", "from": "09:00", "until": "17:00" });
    let hours = json!({
        "working_hours": { "time_zone": "America/New_York", "shifts": [monday] },
    });
    let written = once(doctor.ask(Method::PUT, "/api/providers/working-hours").json(&hours)).await;
    assert_eq!(written.status, 200, "{}", written.body);
    let patient = Patient::arrive(&server, "night").await;
    let there = |ahead: i32| slot(ahead).with_timezone(&chrono_tz::America::New_York);
    let book = async |day: &str, clock: &str| {
        let wanted =
            |ahead: &i32| there(*ahead).format("%A %H:%M").to_string() == format!("{day} {clock}");
        // The last of a week is the first of the next, if this one has begun.
        let ahead = (1..=8 * 96).find(wanted).expect("a slot of the coming days");
        let visit = json!({ "provider_id": LINDQVIST, "starts_at": slot(ahead) });
        let key = format!("{day}-{clock}");
        patient.post("/api/consultations/video/create", &key, &visit).await
    };
    for (day, clock) in [("Sunday", "03:00"), ("Monday", "08:45"), ("Monday", "17:00")] {
        let refused = book(day, clock).await;
        let told = (422, "care.invalid", vec!["starts_at outside_working_hours".to_owned()]);
        assert_eq!(refused.problem(), told, "{day} {clock}: {}", refused.body);
    }
    // In the hours it is the plan that is asked for next.
    for clock in ["09:00", "16:45"] {
        let refused = book("Monday", clock).await;
        assert_eq!(refused.problem().1, "subscriptions.feature_not_included", "{clock}");
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn who_practises_no_more_is_neither_written_to_nor_booked() {
    let server = Server::start();
    let admin = Desk::of(&server, "admin").await;
    let patient = Patient::arrive(&server, "leaving").await;
    let form = patient.form().await;
    let submitted = patient.post("/api/forms/submit", "first", &form).await;
    assert!(submitted.status < 300, "{}", submitted.body);
    let provider = text(&patient.plan().await, "provider_id");
    let write = async |key: &str| {
        let message = json!({ "recipient_id": provider, "topic": "treatment", "body": "Hello." });
        patient.post("/api/messages/send", key, &message).await
    };
    let book = async |key: &str| {
        let visit = json!({ "provider_id": provider, "starts_at": slot(12) });
        patient.post("/api/consultations/video/create", key, &visit).await
    };
    assert_eq!(write("before").await.status, 200);
    // The patient's plan has no visits, which is asked after the provider.
    assert_eq!(book("before").await.problem().1, "subscriptions.feature_not_included");

    let path = format!("/api/admin/accounts/{provider}/roles");
    let roles = json!({ "roles": ["support"] });
    let changed = once(admin.ask(Method::PUT, &path).json(&roles)).await;
    assert_eq!(changed.status, 200, "{}", changed.body);
    let refused = write("after").await;
    let told = (404, "communication.recipient_not_found", vec![]);
    assert_eq!(refused.problem(), told, "{}", refused.body);
    let refused = book("after").await;
    let told = (422, "care.invalid", vec!["provider_id license_required".to_owned()]);
    assert_eq!(refused.problem(), told, "{}", refused.body);
}
