//! A provider leaves: nothing of theirs goes on unseen, and their patients come
//! to a colleague who may treat them. And an age is one age, wherever the clock
//! of the patient's settings stands.

use chrono::{Datelike as _, Days};
use ports::Clock as _;
use reqwest::Method;
use salus::seed::identity::{LINDQVIST, OKONKWO};
use serde_json::{Value, json};

use crate::{
    faults::{
        once,
        patient::{Patient, SOON, text},
        staff_token,
    },
    server::Server,
    staff::Desk,
};

#[tokio::test(flavor = "multi_thread")]
async fn the_patients_of_a_provider_who_leaves_come_to_a_colleague() {
    let server = Server::start();
    let (admin, doctor) = (Desk::of(&server, "admin").await, Desk::of(&server, "provider").await);
    let patient = Patient::arrive(&server, "left").await;
    let form = patient.form().await;
    let submitted = patient.post("/api/forms/submit", "first", &form).await;
    assert!(submitted.status < 300, "{}", submitted.body);
    let plan = patient.plan().await;
    assert_eq!(plan["provider_id"], json!(LINDQVIST));
    let message = json!({ "recipient_id": LINDQVIST, "topic": "treatment", "body": "Hello." });
    let written = patient.post("/api/messages/send", "hello", &message).await;
    assert_eq!(written.status, 200, "{}", written.body);
    let chart = format!("/api/treatment-plans/{}", patient.id);
    assert_eq!(doctor.get(&chart).await["plans"][0]["id"], plan["id"]);

    // Suspended by the board: the chart is closed, and the patient is listed.
    let licenses = async |of: Value, status: &str| {
        let of = of.as_str().expect("an id").to_owned();
        let licenses = json!({ "licenses": [{
            "state": "MA", "number": "MA-1", "expires_on": "2199-12-31", "status": status,
        }] });
        let path = format!("/api/admin/accounts/{of}/licenses");
        let set = once(admin.ask(Method::PUT, &path).json(&licenses)).await;
        assert_eq!(set.status, 200, "{}", set.body);
    };
    licenses(json!(LINDQVIST), "suspended").await;
    let listed = salus_tests::eventually("the patient to be listed", SOON, || async {
        let found = admin.get("/api/admin/handovers").await["patients"].clone();
        found.as_array().is_some_and(|found| !found.is_empty()).then_some(found)
    })
    .await;
    let work = &listed[0]["work"];
    assert_eq!((&work["patient_id"], &work["state"]), (&json!(patient.id), &json!("MA")));
    assert_eq!(listed[0]["licensed_colleagues"], 0);
    salus_tests::eventually("the chart to be closed", SOON, || async {
        let seen = once(doctor.ask(Method::GET, &chart)).await;
        (seen.status == 404).then_some(())
    })
    .await;

    let path = format!("/api/admin/providers/{LINDQVIST}/handover");
    let hand_over = async |body: Value| {
        let done = once(admin.ask(Method::POST, &path).json(&body)).await;
        assert_eq!(done.status, 200, "{}", done.body);
        done.body
    };
    let nobody = hand_over(json!({})).await;
    assert_eq!(nobody["patients"][0]["obstacle"], "nobody_licensed", "{nobody}");

    licenses(json!(OKONKWO), "active").await;
    let would = hand_over(json!({ "dry_run": true })).await;
    assert_eq!(would["patients"][0]["to"], json!(OKONKWO), "{would}");
    assert_eq!(patient.plan().await["provider_id"], json!(LINDQVIST));
    let done = hand_over(json!({})).await;
    assert_eq!((&done["handed_over"], &done["left"]), (&json!(1), &json!(0)), "{done}");
    assert_eq!(admin.get("/api/admin/handovers").await["patients"], json!([]));

    assert_eq!(patient.plan().await["provider_id"], json!(OKONKWO));
    salus_tests::eventually("the patient to be told", SOON, || async {
        let inbox = patient.get(&format!("/api/notifications/{}", patient.id)).await;
        inbox.to_string().contains("care_team_changed").then_some(())
    })
    .await;
    let token = staff_token(&server, "tobias.okonkwo@salus.example").await;
    let successor =
        |path: String| once(crate::faults::request(&server, Method::GET, &path, &token));
    let tasks = successor("/api/providers/tasks".to_owned()).await;
    assert!(tasks.body.to_string().contains("taken_over"), "{}", tasks.body);
    assert_eq!(successor(chart.clone()).await.status, 200);
    let thread = text(&written.body, "thread_id");
    salus_tests::eventually("the thread to be theirs", SOON, || async {
        let read = successor(format!("/api/messages/{thread}")).await;
        (read.status == 200).then_some(())
    })
    .await;
}

#[tokio::test(flavor = "multi_thread")]
async fn the_form_and_the_decision_count_one_age_whatever_the_time_zone_says() {
    let server = Server::start();
    let patient = Patient::arrive(&server, "kiritimati").await;
    // Eighteen tomorrow in New York, which is today on Kiritimati for most of the
    // day.
    let today =
        salus::system::SystemClock.now().with_timezone(&chrono_tz::America::New_York).date_naive();
    let tomorrow = today + Days::new(1);
    let born = tomorrow.with_year(tomorrow.year() - 18).unwrap_or(today);
    let mut profile = patient.get("/api/profile").await;
    profile["birth_date"] = json!(born);
    profile["address"]["state"] = json!("NY");
    profile["time_zone"] = json!("Pacific/Kiritimati");
    let known = ["name", "birth_date", "sex", "address", "phone", "time_zone"];
    let changed: serde_json::Map<String, Value> =
        known.map(|name| (name.to_owned(), profile[name].clone())).into_iter().collect();
    let seen = once(patient.ask(Method::PUT, "/api/profile").json(&changed)).await;
    assert_eq!(seen.status, 200, "{}", seen.body);

    let submitted = patient.post("/api/forms/submit", "first", &patient.form().await).await;
    assert!(submitted.status < 300, "{}", submitted.body);
    let response = text(&submitted.body, "id");
    let decided = salus_tests::eventually("the decision", SOON, || async {
        let found = patient.get("/api/assessments").await["assessments"][0].clone();
        found.is_object().then_some(found)
    })
    .await;
    assert_eq!(decided["outcome"], "refused", "{decided}");
    assert!(decided["reasons"].to_string().contains("outside_age_range"), "{decided}");
    // What the form itself took the patient for, when it chose its questions.
    let asked =
        patient.get(&format!("/api/forms/responses/{response}/questionnaire-response")).await;
    assert!(asked.to_string().contains(r#""valueInteger":17"#), "{asked}");
}
