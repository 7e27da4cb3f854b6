//! A provider leaves: nothing of theirs goes on unseen, and their patients come
//! to a colleague who may treat them. And an age is one age, wherever the clock
//! of the patient's settings stands.

use chrono::{Datelike as _, Days};
use ports::Clock as _;
use reqwest::Method;
use seeds::identity::{LINDQVIST, OKONKWO};
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
    let prescription = text(&patient.prescription().await, "id");
    patient.card("card", "pm_card_visa").await;
    let prices = patient.prices().await;
    let quarter = prices.iter().find(|price| price["interval"] == "quarterly").expect("a price");
    let bought = patient.subscribe("quarter", quarter).await;
    assert_eq!(bought.status, 200, "{}", bought.body);
    patient.shipment().await;
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

    // The next box is due, and held for want of a license.
    server.sql(
        "UPDATE prescription_fills SET recorded_at = recorded_at - interval '40 days'; \
         UPDATE dispatches SET updated_at = updated_at - interval '40 days'; \
         UPDATE paid_fills SET scheduled_for = now() - interval '1 hour', \
         due_at = now() - interval '1 hour' WHERE number = 2",
    );
    let pharmacist = Desk::of(&server, "pharmacist").await;
    let due = once(pharmacist.ask(Method::POST, "/api/dispatch/auto")).await;
    assert_eq!(due.status, 200, "{}", due.body);
    let held = pharmacist.get("/api/held-fills").await["items"][0].clone();
    assert_eq!(held["provider_id"], json!(LINDQVIST), "{held}");
    assert_eq!(held["grounds"][0]["kind"], "prescriber_may_not_prescribe", "{held}");

    // What an administrator asks for is named where it is wrong.
    let refused = async |of: &str, body: Value| {
        let path = format!("/api/admin/providers/{of}/handover");
        let seen = once(admin.ask(Method::POST, &path).json(&body)).await;
        let errors = seen.body["errors"].as_array().into_iter().flatten();
        let fields: Vec<String> = errors.map(|error| text(error, "path")).collect();
        (seen.status, fields)
    };
    let nobody = "0192f0c1-a0b0-7c00-8000-00000000000a";
    let everybody = || json!({ "everybody": true });
    for of in [nobody, patient.id.as_str()] {
        assert_eq!(refused(of, everybody()).await, (404, vec![]), "{of}");
    }
    let from = LINDQVIST.to_string();
    for (body, fields) in [
        (json!({}), vec!["everybody"]),
        (json!({ "everybody": true, "patient_ids": [patient.id] }), vec!["everybody"]),
        (json!({ "everybody": true, "to": nobody }), vec!["to"]),
        (json!({ "everybody": true, "to": patient.id }), vec!["to"]),
        (json!({ "patient_ids": [patient.id, nobody] }), vec!["patient_ids[1]"]),
    ] {
        let fields = fields.into_iter().map(str::to_owned).collect();
        assert_eq!(refused(&from, body.clone()).await, (422, fields), "{body}");
    }

    let path = format!("/api/admin/providers/{LINDQVIST}/handover");
    let hand_over = async |body: Value| {
        let done = once(admin.ask(Method::POST, &path).json(&body)).await;
        assert_eq!(done.status, 200, "{}", done.body);
        done.body
    };
    let nobody = hand_over(everybody()).await;
    assert_eq!(nobody["patients"][0]["obstacle"], "nobody_licensed", "{nobody}");

    licenses(json!(OKONKWO), "active").await;
    let would = hand_over(json!({ "everybody": true, "dry_run": true })).await;
    assert_eq!(would["patients"][0]["to"], json!(OKONKWO), "{would}");
    assert_eq!(patient.plan().await["provider_id"], json!(LINDQVIST));
    let done = hand_over(json!({ "patient_ids": [patient.id] })).await;
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

    // With the license back the former provider reads and decides nothing of it;
    // the colleague reads the prescription and the hold, and has to prescribe.
    licenses(json!(LINDQVIST), "active").await;
    let one = format!("/api/prescriptions/status/{prescription}");
    salus_tests::eventually("the hold to be theirs", SOON, || async {
        let seen = successor("/api/held-fills".to_owned()).await.body["items"][0].clone();
        (seen["provider_id"] == json!(OKONKWO)).then_some(())
    })
    .await;
    let listed = successor("/api/prescriptions".to_owned()).await.body;
    assert_eq!(listed["items"][0]["id"], json!(prescription), "{listed}");
    assert_eq!(successor(one.clone()).await.status, 200);
    for path in ["/api/prescriptions", "/api/held-fills"] {
        assert_eq!(doctor.get(path).await["items"], json!([]), "{path}");
    }
    assert_eq!(doctor.get("/api/providers/tasks").await["tasks"], json!([]));
    assert_eq!(once(doctor.ask(Method::GET, &one)).await.status, 404);
    let release = format!("/api/held-fills/{}/release", text(&held, "id"));
    let decision = json!({ "reason": "The license is back since this morning.",
        "grounds": [held["grounds"][0]["key"]] });
    let by_former = once(doctor.ask(Method::POST, &release).json(&decision)).await;
    assert_eq!(by_former.status, 404, "{}", by_former.body);
    let theirs = crate::faults::request(&server, Method::POST, &release, &token).json(&decision);
    let stands = once(theirs).await;
    assert_eq!(stands.problem(), (409, "pharmacy.hold_stands", vec![]), "{}", stands.body);
}

#[tokio::test(flavor = "multi_thread")]
async fn the_pharmacy_is_phoned_when_a_patient_is_disabled() {
    let server = Server::start();
    let (admin, doctor) = (Desk::of(&server, "admin").await, Desk::of(&server, "provider").await);
    let patient = Patient::arrive(&server, "gone").await;
    patient.submit().await;
    patient.prescription().await;
    let path = format!("/api/admin/accounts/{}/status", patient.id);
    let set = once(admin.ask(Method::PUT, &path).json(&json!({ "disabled": true }))).await;
    assert_eq!(set.status, 200, "{}", set.body);
    salus_tests::eventually("the pharmacy to be phoned", SOON, || async {
        let tasks = doctor.get("/api/providers/tasks").await;
        tasks.to_string().contains("phone_pharmacy").then_some(())
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
