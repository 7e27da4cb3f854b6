//! From an empty database, without the demo's data, to a delivered box: every
//! step is an operation that an operator, the staff or a patient can call.

use std::{collections::BTreeMap, collections::BTreeSet, process::Output};

use ports::Clock as _;
use reqwest::{Method, RequestBuilder};
use salus::system::SystemClock;
use salus_tests::{eventually, totp_code};
use serde_json::{Value, json};
use walk::form::{Answers, answer_more};

use crate::{
    authorization,
    faults::{
        Seen, once,
        patient::{SOON, text},
        request,
    },
    server::Server,
};

const PASSPHRASE: &str = "seven quiet lanterns over the harbor";

/// Somebody who is signed in.
struct Person<'a> {
    server: &'a Server,
    id: String,
    token: String,
}

impl Person<'_> {
    fn ask(&self, method: Method, path: &str) -> RequestBuilder {
        request(self.server, method, path, &self.token)
    }

    async fn get(&self, path: &str) -> Value {
        let seen = once(self.ask(Method::GET, path)).await;
        assert_eq!(seen.status, 200, "{path}: {}", seen.body);
        seen.body
    }

    /// Does what makes something, or fails the test.
    async fn send(&self, method: Method, path: &str, body: &Value) -> Value {
        let key = format!("{method}-{path}").replace(['/', '{', '}'], "-");
        let request = self.ask(method, path).header("Idempotency-Key", key).json(body);
        let seen: Seen = once(request).await;
        assert!(seen.status < 300, "{path}: {} {}", seen.status, seen.body);
        seen.body
    }

    async fn put(&self, path: &str, body: &Value) -> Value {
        self.send(Method::PUT, path, body).await
    }

    async fn post(&self, path: &str, body: &Value) -> Value {
        self.send(Method::POST, path, body).await
    }

    /// Publishes a version that was just drafted.
    async fn publish(&self, path: &str) {
        let seen = once(self.ask(Method::POST, path).header("If-Match", "*")).await;
        assert_eq!(seen.status, 200, "{path}: {}", seen.body);
    }
}

/// The one step that is done on the host: the link of the first administrator.
fn first_administrator(server: &Server, email: &str) -> String {
    let output: Output = server.command(&["admin", "create", "--email", email, "--print-link"]);
    let said = String::from_utf8_lossy(&output.stdout).into_owned();
    assert!(output.status.success(), "{said}{}", String::from_utf8_lossy(&output.stderr));
    token_in(&said)
}

fn token_in(text: &str) -> String {
    let after = text.split_once("?token=").expect("a link").1;
    after.split_whitespace().next().expect("a token").to_owned()
}

/// The token in the newest mail to an address.
async fn mailed(server: &Server, email: &str) -> String {
    let path = format!("/_control/messages?to={}", email.replace('@', "%40"));
    eventually("the invitation", SOON, || async {
        let mails = server.client.emulator_call("smtp", Method::GET, &path, None).await.ok()?;
        let mails = mails.json().ok()?;
        mails.get(0)?["text"].as_str().filter(|text| text.contains("?token=")).map(token_in)
    })
    .await
}

/// Follows the link, signs in, and sets up the second factor that the roles ask
/// for.
async fn enter<'a>(server: &'a Server, email: &str, token: &str) -> Person<'a> {
    let post = async |token: &str, path: &str, body: Value| {
        let seen = once(request(server, Method::POST, path, token).json(&body)).await;
        assert!(seen.status < 300, "{path}: {} {}", seen.status, seen.body);
        seen.body
    };
    let chosen = json!({ "token": token, "password": PASSPHRASE });
    post("", "/api/auth/reset-password", chosen).await;
    let session =
        post("", "/api/auth/login", json!({ "email": email, "password": PASSPHRASE })).await;
    let (id, token) = (text(&session, "account_id"), text(&session, "access_token"));
    let setup = post(&token, "/api/auth/mfa/totp", json!({ "password": PASSPHRASE })).await;
    let code = totp_code(&text(&setup, "secret"), SystemClock.now());
    post(&token, "/api/auth/mfa/totp/confirm", json!({ "code": code })).await;
    Person { server, id, token }
}

async fn hire<'a>(admin: &Person<'a>, email: &str, name: (&str, &str), role: &str) -> Person<'a> {
    let name = json!({ "given": name.0, "family": name.1 });
    let body = json!({ "email": email, "name": name, "roles": [role] });
    admin.post("/api/admin/accounts", &body).await;
    let token = mailed(admin.server, email).await;
    enter(admin.server, email, &token).await
}

fn tadalafil() -> Value {
    json!({
        "medication": {
            "rxnorm": "403957", "ndc": "00093301756", "display": "tadalafil 5 MG Oral Tablet",
        },
        "dose": { "value": 5.0, "unit": "mg" },
        "sig": "Take 1 tablet by mouth once a day.",
        "frequency": { "frequency": 1, "period": 1, "period_unit": "d" },
        "duration_days": 30, "quantity": 30, "quantity_unit": "tablet", "refills": 5,
        "diagnosis": "N52.9",
    })
}

/// What the clinic treats, asks, decides by, prescribes and sells.
async fn furnish(admin: &Person<'_>) -> (String, Value) {
    let category = admin
        .post(
            "/api/admin/categories",
            &json!({
                "slug": "daily", "name": "Daily treatment", "description": "One tablet a day.",
                "active": true, "required_modality": "asynchronous", "minimum_age": 18,
            }),
        )
        .await;
    let category = text(&category, "id");
    let form = admin
        .post(
            "/api/admin/forms",
            &json!({
                "category_id": category, "slug": "daily-intake", "title": "Daily intake",
                "items": [
                    { "link_id": "nitrates", "type": "boolean", "required": true,
                      "text": "Do you take a nitrate?" },
                ],
                "rules": [],
            }),
        )
        .await;
    let form = form["form"]["id"].as_str().or(form["id"].as_str()).expect("a form").to_owned();
    let published =
        once(admin.ask(Method::POST, &format!("/api/admin/forms/{form}/publish"))).await;
    assert!(published.status < 300, "{}", published.body);
    let rules = json!({
        "category_id": category,
        "rules": [{
            "id": "nitrates", "description": "A nitrate.", "severity": "refuse",
            "expression": "answers.nitrates", "reason_code": "nitrates",
            "reason_text": "Together with a nitrate this is not safe.",
        }, {
            "id": "look", "description": "Everybody is seen.", "severity": "review",
            "expression": "patient.age >= 18", "reason_code": "provider_review_required",
            "reason_text": "A provider looks at every request.",
        }],
    });
    let rules = text(&admin.post("/api/admin/rule-sets", &rules).await, "id");
    admin.publish(&format!("/api/admin/rule-sets/{rules}/publish")).await;
    let drug = json!({
        "display": "tadalafil 5 MG Oral Tablet", "strength": "5 MG", "schedule": "NONE",
        "max_single": 5.0, "max_daily": 5.0, "unit": "mg",
        "reference": "Prescribing information of tadalafil, section 2",
        // As it is printed on the package.
        "ndcs": ["0093-3017-56"],
    });
    admin.put("/api/admin/formulary/403957", &drug).await;
    let treatment = json!({ "treatment": tadalafil() });
    let path = format!("/api/admin/categories/{category}/default-treatment");
    admin.put(&path, &treatment).await;
    admin.put("/api/admin/states/MA/policy", &json!({ "modality": "asynchronous" })).await;
    let plan = json!({
        "category_id": category, "name": "Daily", "description": "Tadalafil, once a day.",
        "tier": "standard",
        "treatments": [{
            "drug": "358263", "name": "tadalafil", "form": "oral_tablet", "unit": "mg",
            "doses": [5.0],
        }],
        "prices": [{ "interval": "monthly", "amount": { "minor": 4500, "currency": "USD" } }],
    });
    let plan = admin.post("/api/admin/plans", &plan).await;
    (category, plan["prices"][0].clone())
}

/// A pharmacy with its people and a lot of the drug on the shelf.
async fn open_pharmacy(admin: &Person<'_>) -> (String, Value) {
    let pharmacy = json!({
        "ncpdp_id": "0123454", "npi": "1234567893", "dea": "AB1234563",
        "name": "First Mail Pharmacy", "line1": "1 Main Street", "city": "Boston", "state": "MA",
        "postal_code": "02108", "phone": "+16175550199", "mail_order": true,
        "licensed_in": ["MA"],
    });
    let wrong = json!({ "npi": "1234567890", "dea": "AB1234560", "ncpdp_id": "123" });
    let mut body = pharmacy.clone();
    for (field, value) in wrong.as_object().expect("fields") {
        body[field] = value.clone();
    }
    let refused = once(admin.ask(Method::POST, "/api/admin/pharmacies").json(&body)).await;
    let told = ["ncpdp_id invalid", "npi invalid", "dea invalid"].map(str::to_owned).to_vec();
    assert_eq!(refused.problem(), (422, "invalid_body", told), "{}", refused.body);

    let made = admin.post("/api/admin/pharmacies", &pharmacy).await;
    assert_eq!((&made["version"], &made["warnings"]), (&json!(1), &json!([])), "{made}");
    let id = text(&made, "id");
    let pharmacist = hire(admin, "ines@clinic.example", ("Ines", "Okafor"), "pharmacist").await;
    let lot = json!({
        "pharmacy_id": id, "ndc": "0093-3017-56", "lot_number": "L1", "expires_on": "2029-06-30",
        "quantity": 300, "reorder_level": 60,
    });
    let inventory = |key: &'static str| {
        let request = pharmacist.ask(Method::POST, "/api/pharmacy/inventory");
        once(request.header("Idempotency-Key", key).json(&lot))
    };
    // Before they are assigned the pharmacy is none of theirs.
    assert_eq!(inventory("early").await.status, 404);
    let staff = json!({ "account_ids": [pharmacist.id] });
    admin.put(&format!("/api/admin/pharmacies/{id}/pharmacists"), &staff).await;
    let stocked = inventory("stock").await;
    assert_eq!(stocked.status, 200, "{}", stocked.body);
    let levels = pharmacist.get("/api/pharmacy/inventory").await;
    assert_eq!(levels["items"][0]["on_hand"], 300, "{levels}");
    (id, json!({ "token": pharmacist.token }))
}

async fn arrive<'a>(server: &'a Server, category: &str) -> (Person<'a>, String) {
    let session = authorization::patient(&server.client, "first").await;
    let (id, token) = (text(&session, "account_id"), text(&session, "access_token"));
    let patient = Person { server, id, token };
    let profile = json!({
        "name": { "given": "Ambrose", "family": "Quill" }, "birth_date": "1981-12-10",
        "sex": "male", "phone": "+16175550142", "time_zone": "America/New_York",
        "address": {
            "line1": "12 Harbour Street", "city": "Boston", "state": "MA", "postal_code": "02110",
        },
    });
    let none = json!({ "none_known": true, "items": [] });
    patient.put("/api/profile", &profile).await;
    patient.put("/api/profile/allergies", &none).await;
    patient.put("/api/profile/medications", &none).await;
    let form = patient.get(&format!("/api/forms/categories/{category}")).await;
    let items = form["items"].as_array().expect("items");
    let asked: BTreeSet<String> = items.iter().map(|item| text(item, "link_id")).collect();
    let mut answers = Answers::new();
    while answer_more(items, &asked, &BTreeMap::new(), &mut answers) {}
    let response =
        json!({ "category_id": category, "form_version_id": form["id"], "answers": answers });
    let response = text(&patient.post("/api/forms/submit", &response).await, "id");
    let assessment = eventually("the decision", SOON, || async {
        let found = patient.get("/api/assessments").await;
        let mut all = found["assessments"].as_array().expect("assessments").iter();
        all.find(|one| one["response_id"] == response.as_str()).cloned()
    })
    .await;
    assert_eq!(assessment["outcome"], "in_review", "{assessment}");
    (patient, text(&assessment, "id"))
}

#[tokio::test(flavor = "multi_thread")]
async fn an_empty_database_becomes_a_delivered_box() {
    let server = Server::start_empty(&[]);
    let counted = server.sql("SELECT count(*) FROM identity_accounts");
    assert_eq!(counted.trim(), "0", "nobody is there");
    let link = first_administrator(&server, "root@clinic.example");
    let admin = enter(&server, "root@clinic.example", &link).await;

    let doctor = hire(&admin, "grace@clinic.example", ("Grace", "Moreau"), "provider").await;
    let profile = json!({
        "name": { "given": "Grace", "family": "Moreau" }, "npi": "1728394051",
        "dea": "BL4729159", "specialities": ["207Q00000X"],
    });
    doctor.put("/api/providers/profile", &profile).await;
    let licenses = json!({ "licenses": [{
        "state": "MA", "number": "MA-284417", "expires_on": "2030-12-31", "status": "active",
    }] });
    admin.put(&format!("/api/admin/accounts/{}/licenses", doctor.id), &licenses).await;
    let (category, price) = furnish(&admin).await;
    let (pharmacy, pharmacist) = open_pharmacy(&admin).await;

    let (patient, assessment) = arrive(&server, &category).await;
    let review = |what: &str| format!("/api/providers/reviews/{assessment}/{what}");
    let claimed = once(doctor.ask(Method::POST, &review("claim"))).await;
    assert_eq!(claimed.status, 200, "{}", claimed.body);
    let shown = doctor.get(&format!("/api/providers/reviews/{assessment}")).await;
    let plan = doctor.post(&review("approve"), &json!({ "version": shown["version"] })).await;
    let asked = json!({
        "treatment_plan_id": plan["id"], "plan_version": 1, "pharmacy_id": pharmacy,
    });
    let written = doctor.post("/api/prescriptions/erx", &asked).await;
    assert_eq!(written["alerts"], json!([]), "{written}");
    eventually("the pharmacy to verify", SOON, || async {
        let found = patient.get("/api/prescriptions").await;
        (found["items"][0]["status"] == "active").then_some(())
    })
    .await;

    let fitting = patient.get("/api/plans/fitting").await;
    assert_eq!(fitting["plans"][0]["name"], "Daily", "{fitting}");
    patient.post("/api/payment-methods", &json!({ "payment_method": "pm_card_visa" })).await;
    let consent = json!({
        "price_id": price["id"],
        "consent": { "accepted": true, "terms_version": "2026-01", "amount": price["amount"] },
    });
    patient.post("/api/subscriptions", &consent).await;
    let tracking = eventually("a label", SOON, || async {
        let found = patient.get(&format!("/api/shipments/history/{}", patient.id)).await;
        found["items"][0]["tracking_number"].as_str().map(str::to_owned)
    })
    .await;
    let queue = request(
        &server,
        Method::GET,
        &format!("/api/shipments/{tracking}"),
        &text(&pharmacist, "token"),
    );
    assert_eq!(once(queue).await.status, 200, "the pharmacist sees what they have sent");
    let moved = json!({ "tracking_code": tracking, "status": "delivered" });
    let moved = server
        .client
        .emulator_call("easypost", Method::POST, "/_control/trackers", Some(moved))
        .await
        .expect("the carrier");
    moved.expect(200, "the carrier moves the box").expect("it moved");
    eventually("the box to be delivered", SOON, || async {
        let found = patient.get(&format!("/api/shipments/{tracking}")).await;
        (found["shipment"]["status"] == "delivered").then_some(())
    })
    .await;
}
