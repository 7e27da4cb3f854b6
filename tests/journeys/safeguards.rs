//! What stands between a request and a medicine, over HTTP: what the category
//! asks in the catalogue is held to in care, and what a patient tells in a form
//! is held against the prescription.

use reqwest::Method;
use seeds::catalog::HAIR_LOSS;
use serde_json::{Value, json};

use crate::{
    faults::{
        Seen, once,
        patient::{Patient, text},
    },
    server::Server,
    staff::Desk,
};

/// Claims the review of an assessment.
async fn claim(doctor: &Desk<'_>, assessment: &str) {
    let path = format!("/api/providers/reviews/{assessment}/claim");
    let seen = once(doctor.ask(Method::POST, &path)).await;
    assert_eq!(seen.status, 200, "{}", seen.body);
}

async fn approve(doctor: &Desk<'_>, assessment: &str, key: &str, body: &Value) -> Seen {
    let path = format!("/api/providers/reviews/{assessment}");
    let mut body = body.clone();
    body["version"] = doctor.get(&path).await["version"].clone();
    doctor.post(&format!("{path}/approve"), key, &body).await
}

fn codes(assessment: &Value) -> Vec<&str> {
    let reasons = assessment["reasons"].as_array().into_iter().flatten();
    reasons.filter_map(|reason| reason["code"].as_str()).collect()
}

#[tokio::test(flavor = "multi_thread")]
async fn what_a_category_asks_is_held_to() {
    let server = Server::start();
    let (admin, doctor) = (Desk::of(&server, "admin").await, Desk::of(&server, "provider").await);
    let set = async |modality: &str, minimum_age: u32| {
        let body = json!({
            "slug": "hair-loss", "name": "Hair loss", "description": "Androgenetic alopecia.",
            "active": true, "required_modality": modality, "minimum_age": minimum_age,
        });
        let path = format!("/api/admin/categories/{HAIR_LOSS}");
        let seen = once(admin.ask(Method::PUT, &path).header("If-Match", "*").json(&body)).await;
        assert_eq!(seen.status, 200, "{}", seen.body);
    };
    let young = Patient::arrive(&server, "young").await;
    set("asynchronous", 80).await;
    let refused = young.decided("young", &young.form().await).await;
    assert_eq!(
        (&refused["outcome"], codes(&refused)),
        (&json!("refused"), vec!["outside_age_range"])
    );

    set("video", 18).await;
    let unseen = Patient::arrive(&server, "unseen").await;
    let waits = unseen.decided("unseen", &unseen.form().await).await;
    assert_eq!((&waits["outcome"], codes(&waits)), (&json!("in_review"), vec!["visit_required"]));
    let id = text(&waits, "id");
    claim(&doctor, &id).await;
    let refused = approve(&doctor, &id, "unseen", &json!({})).await;
    assert_eq!(refused.problem(), (409, "care.visit_required", vec![]), "{}", refused.body);
    let met = json!({ "met_elsewhere": "At the practice on Monday morning." });
    let approved = approve(&doctor, &id, "met", &met).await;
    assert_eq!(approved.status, 200, "{}", approved.body);
}

#[tokio::test(flavor = "multi_thread")]
async fn a_pregnancy_that_a_form_tells_of_stops_the_prescription() {
    let server = Server::start();
    let doctor = Desk::of(&server, "provider").await;
    let patient = Patient::arrive(&server, "expecting").await;
    let mut profile = patient.get("/api/profile").await;
    profile["sex"] = json!("female");
    let known = ["name", "birth_date", "sex", "address", "phone", "time_zone"];
    let changed: serde_json::Map<String, Value> =
        known.map(|name| (name.to_owned(), profile[name].clone())).into_iter().collect();
    let seen = once(patient.ask(Method::PUT, "/api/profile").json(&changed)).await;
    assert_eq!(seen.status, 200, "{}", seen.body);

    let first = patient.decided("first", &patient.form().await).await;
    assert_eq!(first["outcome"], "in_review", "{first}");
    let id = text(&first, "id");
    claim(&doctor, &id).await;
    let plan = approve(&doctor, &id, "first", &json!({})).await;
    assert_eq!(plan.status, 200, "{}", plan.body);
    let tasks = async || {
        let seen = once(doctor.ask(Method::GET, "/api/providers/tasks")).await;
        let all = seen.body["tasks"].as_array().expect("tasks").clone();
        all.iter().map(|task| text(task, "kind")).collect::<Vec<_>>()
    };
    assert_eq!(tasks().await, ["unprescribed_treatment"]);

    // The form of another day says what the first did not.
    let mut form = patient.form().await;
    form["answers"]["pregnant"] = json!(true);
    let second = patient.decided("second", &form).await;
    assert_eq!((&second["outcome"], codes(&second)), (&json!("refused"), vec!["pregnancy"]));
    assert!(tasks().await.contains(&"changed_health".to_owned()));
    let pharmacies = once(doctor.ask(Method::GET, "/api/pharmacies")).await;
    let mut ships = pharmacies.body["items"].as_array().expect("pharmacies").iter();
    let pharmacy = &ships.find(|one| one["mail_order"] == true).expect("one that ships")["id"];
    let erx = json!({
        "treatment_plan_id": plan.body["id"], "plan_version": 1, "pharmacy_id": pharmacy,
    });
    let written = doctor.post("/api/prescriptions/erx", "erx", &erx).await;
    assert_eq!(written.body["status"], "blocked", "{}", written.body);
    let alerts = written.body["alerts"].as_array().expect("alerts");
    assert!(alerts.iter().any(|alert| alert["kind"] == "pregnancy"), "{alerts:?}");
}

/// What a patient reports after the approval counts before the first charge,
/// though the pharmacy has verified the prescription already.
#[tokio::test(flavor = "multi_thread")]
async fn nobody_pays_for_what_the_record_speaks_against() {
    let server = Server::start();
    let patient = Patient::arrive(&server, "changed").await;
    patient.submit().await;
    patient.prescription().await;
    patient.card("card", "pm_card_visa").await;
    let price = patient.prices().await.remove(0);
    let reported = json!({ "none_known": false, "items": [{
        "substance": {
            "system": kernel::code::system::RXNORM, "code": "25025", "display": "finasteride",
        },
        "category": "medication",
    }] });
    let put = patient.ask(Method::PUT, "/api/profile/allergies").json(&reported);
    let seen = once(put).await;
    assert_eq!(seen.status, 200, "{}", seen.body);
    let refused = patient.subscribe("stopped", &price).await;
    let told = (409, "subscriptions.treatment_stopped", vec![]);
    assert_eq!(refused.problem(), told, "{}", refused.body);
    assert!(patient.invoices().await.is_empty(), "nothing is owed");
}
