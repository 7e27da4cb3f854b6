//! What is sold is what is dispensed, over HTTP: a checkout offers the plans
//! that fit the treatment, others are refused, and a treatment that changes
//! away from what was bought is noticed and sends nothing out.

use reqwest::Method;
use serde_json::{Value, json};

use crate::{
    faults::{
        once,
        patient::{Patient, SOON, text},
    },
    server::Server,
    staff::Desk,
};

fn names(plans: &Value) -> Vec<String> {
    plans["plans"].as_array().expect("plans").iter().map(|plan| text(plan, "name")).collect()
}

async fn tasks(doctor: &Desk<'_>) -> Vec<String> {
    let found = doctor.get("/api/providers/tasks").await;
    found["tasks"].as_array().expect("tasks").iter().map(|task| text(task, "kind")).collect()
}

#[tokio::test(flavor = "multi_thread")]
async fn a_patient_buys_what_is_prescribed_and_nothing_else() {
    let server = Server::start();
    let doctor = Desk::of(&server, "provider").await;
    let patient = Patient::arrive(&server, "buyer").await;

    // Before anything is prescribed nothing fits, and everything can be seen.
    assert_eq!(names(&patient.get("/api/plans/fitting").await), [""; 0]);
    let category = patient.category().await;
    let all = patient.get(&format!("/api/plans?category_id={category}")).await;
    assert_eq!(names(&all), ["Hair Essential", "Hair Minoxidil", "Hair Complete"]);

    patient.submit().await;
    let first = patient.plan().await;
    patient.prescription().await;
    let fitting = patient.get("/api/plans/fitting").await;
    assert_eq!(names(&fitting), ["Hair Essential", "Hair Complete"]);
    let price = |name: &str| {
        let mut plans = all["plans"].as_array().expect("plans").iter();
        plans.find(|plan| plan["name"] == name).expect("the plan")["prices"][0].clone()
    };
    patient.card("card", "pm_card_visa").await;
    let refused = patient.subscribe("other", &price("Hair Minoxidil")).await;
    let told = (409, "subscriptions.plan_of_another_drug", vec![]);
    assert_eq!(refused.problem(), told, "{}", refused.body);
    let bought = patient.subscribe("fits", &price("Hair Essential")).await;
    assert_eq!(bought.status, 200, "{}", bought.body);
    patient.shipment().await;

    // Another drug takes its place: staff hear that it was not bought, and the
    // plan of the first drug is no longer offered.
    let other = json!({
        "patient_id": patient.id,
        "category_id": category,
        "reason": "The patient does not tolerate the first one.",
        "supersedes": first["id"],
        "treatment": {
            "medication": {
                "rxnorm": "197987", "ndc": "00591564201", "display": "minoxidil 2.5 MG Oral Tablet",
            },
            "dose": { "value": 2.5, "unit": "mg" },
            "sig": "Take 1 tablet by mouth once a day.",
            "frequency": { "frequency": 1, "period": 1, "period_unit": "d" },
            "duration_days": 30, "quantity": 30, "quantity_unit": "tablet", "refills": 5,
            "diagnosis": "L64.9",
        },
    });
    let written = doctor.post("/api/treatment-plans", "another", &other).await;
    assert!(written.status < 300, "{}", written.body);
    salus_tests::eventually("the task of a treatment that was not bought", SOON, || async {
        tasks(&doctor).await.contains(&"uncovered_treatment".to_owned()).then_some(())
    })
    .await;
    let fitting = patient.get("/api/plans/fitting").await;
    assert_eq!(names(&fitting), ["Hair Minoxidil", "Hair Complete"]);
    let id = text(&bought.body, "id");
    let kept = once(patient.ask(Method::GET, &format!("/api/subscriptions/{id}"))).await;
    assert_eq!(kept.body["plan_name"], "Hair Essential", "what was bought stays: {}", kept.body);
}
