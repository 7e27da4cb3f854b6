//! A patient who goes as far through the journey as a test needs: a man in
//! Massachusetts with thinning hair and nothing else, whom the protocol
//! approves by itself.

use std::{collections::BTreeMap, collections::BTreeSet, time::Duration};

use reqwest::{Method, RequestBuilder};
use serde_json::{Value, json};
use walk::{
    client::with_file,
    form::{Answers, answer_more},
};

use super::{Seen, once, request};
use crate::{authorization, server::Server};

/// How long what follows from a request may take, other tests beside it.
pub const SOON: Duration = Duration::from_secs(60);

pub struct Patient<'a> {
    pub server: &'a Server,
    pub id: String,
    pub token: String,
}

impl<'a> Patient<'a> {
    /// Registers, verifies the address, signs in and completes the profile.
    pub async fn arrive(server: &'a Server, name: &str) -> Self {
        let session = authorization::patient(&server.client, name).await;
        let patient = Self {
            server,
            id: text(&session, "account_id"),
            token: text(&session, "access_token"),
        };
        let profile = json!({
            "name": { "given": "Ambrose", "family": "Quill" },
            "birth_date": "1981-12-10",
            "sex": "male",
            "address": {
                "line1": "12 Harbour Street", "city": "Boston", "state": "MA",
                "postal_code": "02110",
            },
            "phone": "+16175550142",
            "time_zone": "America/New_York",
        });
        let none = json!({ "none_known": true, "items": [] });
        for (path, body) in [
            ("/api/profile", &profile),
            ("/api/profile/allergies", &none),
            ("/api/profile/medications", &none),
        ] {
            let seen = once(patient.ask(Method::PUT, path).json(body)).await;
            assert_eq!(seen.status, 200, "{path}: {}", seen.body);
        }
        patient
    }

    pub fn ask(&self, method: Method, path: &str) -> RequestBuilder {
        request(self.server, method, path, &self.token)
    }

    /// What is the patient's own, and there.
    pub async fn get(&self, path: &str) -> Value {
        let seen = once(self.ask(Method::GET, path)).await;
        assert_eq!(seen.status, 200, "{path}: {}", seen.body);
        seen.body
    }

    pub async fn post(&self, path: &str, key: &str, body: &Value) -> Seen {
        once(self.ask(Method::POST, path).header("Idempotency-Key", key).json(body)).await
    }

    pub async fn category(&self) -> String {
        self.category_of("hair-loss").await
    }

    pub async fn category_of(&self, slug: &str) -> String {
        let found = self.get("/api/categories").await;
        let mut all = found["categories"].as_array().expect("categories").iter();
        text(all.find(|one| one["slug"] == slug).expect("the category"), "id")
    }

    /// The form of the category, filled in by somebody healthy.
    pub async fn form(&self) -> Value {
        self.form_of(&self.category().await, &BTreeMap::new()).await
    }

    /// A form that is filled in by somebody healthy but for what they say.
    pub async fn form_of(&self, category: &str, says: &BTreeMap<String, Value>) -> Value {
        let form = self.get(&format!("/api/forms/categories/{category}")).await;
        let items = form["items"].as_array().expect("items");
        let (mut answers, mut version) = (Answers::new(), Value::Null);
        loop {
            let draft = self
                .ask(Method::PUT, &format!("/api/forms/drafts/{category}"))
                .json(&json!({ "version": version, "answers": answers }));
            let draft = once(draft).await;
            assert_eq!(draft.status, 200, "{}", draft.body);
            version = draft.body["version"].clone();
            let enabled: BTreeSet<String> = draft.body["enabled"]
                .as_array()
                .into_iter()
                .flatten()
                .filter_map(|link_id| link_id.as_str().map(str::to_owned))
                .collect();
            if !answer_more(items, &enabled, says, &mut answers) {
                break;
            }
        }
        json!({ "category_id": category, "form_version_id": form["id"], "answers": answers })
    }

    /// Uploads a file for the form of the category.
    pub async fn upload(&self, key: &str, bytes: &[u8]) -> Seen {
        let path = format!("/api/forms/categories/{}/photos", self.category().await);
        let request = self.ask(Method::POST, &path).header("Idempotency-Key", key);
        once(with_file(request, "photo", bytes)).await
    }

    /// Submits the form with a photo.
    pub async fn submit(&self) -> Value {
        let photo = self.upload("photo", &super::photos::png(1, 1)).await;
        assert_eq!(photo.status, 201, "{}", photo.body);
        let mut form = self.form().await;
        form["answers"]["scalp_photos"] = json!([photo.body["id"]]);
        let seen = self.post("/api/forms/submit", "submit", &form).await;
        assert!(seen.status < 300, "{}", seen.body);
        seen.body
    }

    /// Submits a form; the assessment, once it is decided.
    pub async fn decided(&self, key: &str, form: &Value) -> Value {
        let seen = self.post("/api/forms/submit", key, form).await;
        assert!(seen.status < 300, "{}", seen.body);
        let response = text(&seen.body, "id");
        salus_tests::eventually("the decision", SOON, || async {
            let found = self.get("/api/assessments").await;
            let mut all = found["assessments"].as_array().expect("assessments").iter();
            all.find(|one| one["response_id"] == response.as_str()).cloned()
        })
        .await
    }

    /// The prescription, once the pharmacy has verified it.
    pub async fn prescription(&self) -> Value {
        salus_tests::eventually("the pharmacy to verify", SOON, || async {
            let found = self.get("/api/prescriptions").await;
            let items = found["items"].as_array().expect("prescriptions").clone();
            assert!(items.len() <= 1, "one plan has {} prescriptions", items.len());
            items.into_iter().find(|one| one["status"] == "active")
        })
        .await
    }

    /// The plan that the protocol made.
    pub async fn plan(&self) -> Value {
        salus_tests::eventually("the treatment plan", SOON, || async {
            let found = self.get(&format!("/api/treatment-plans/{}", self.id)).await;
            let plans = found["plans"].as_array().expect("plans").clone();
            assert!(plans.len() <= 1, "one response made {} plans", plans.len());
            plans.into_iter().next()
        })
        .await
    }

    /// The prices of the category's plans with video visits, the cheapest
    /// first.
    pub async fn prices(&self) -> Vec<Value> {
        let found = self.get(&format!("/api/plans?category_id={}", self.category().await)).await;
        let plans = found["plans"].as_array().expect("plans");
        let features = |plan: &&Value| plan["features"].as_array().expect("features").clone();
        let visits = |plan: &&Value| features(plan).iter().any(|one| one["code"] == "video_visits");
        let plans = plans.iter().filter(visits);
        let prices = plans.flat_map(|plan| plan["prices"].as_array().expect("prices"));
        let mut prices: Vec<Value> = prices.cloned().collect();
        prices.sort_by_key(|price| price["amount"]["minor"].as_i64());
        prices
    }

    pub async fn card(&self, key: &str, card: &str) -> Value {
        let body = json!({ "payment_method": card });
        let seen = self.post("/api/payment-methods", key, &body).await;
        assert!(seen.status < 300, "{}", seen.body);
        seen.body
    }

    pub async fn subscribe(&self, key: &str, price: &Value) -> Seen {
        let body = json!({
            "price_id": price["id"],
            "consent": { "accepted": true, "terms_version": "2026-01", "amount": price["amount"] },
        });
        self.post("/api/subscriptions", key, &body).await
    }

    pub async fn invoices(&self) -> Vec<Value> {
        let found = self.get(&format!("/api/invoices/history/{}", self.id)).await;
        found["invoices"].as_array().expect("invoices").clone()
    }

    /// The one invoice, once it has that status.
    pub async fn invoice(&self, status: &str) -> Value {
        salus_tests::eventually(&format!("an invoice that is {status}"), SOON, || async {
            let invoices = self.invoices().await;
            assert!(invoices.len() <= 1, "one period has {} invoices", invoices.len());
            invoices.into_iter().find(|invoice| invoice["status"] == status)
        })
        .await
    }

    /// The one shipment, once it has a label.
    pub async fn shipment(&self) -> Value {
        salus_tests::eventually("a label", SOON, || async {
            let found = self.get(&format!("/api/shipments/history/{}", self.id)).await;
            let items = found["items"].as_array().expect("shipments").clone();
            assert!(items.len() <= 1, "one fill has {} shipments", items.len());
            items.into_iter().find(|one| one["tracking_number"].is_string())
        })
        .await
    }

    /// A consultation with whoever treats, in the first slot that is free and
    /// whose room stands.
    pub async fn consultation(&self, provider: &str) -> Value {
        for ahead in 1..40 {
            let body = json!({ "provider_id": provider, "starts_at": slot(ahead) });
            let key = format!("book-{ahead}");
            let booked = self.post("/api/consultations/video/create", &key, &body).await;
            if booked.status == 409 {
                continue;
            }
            assert!(booked.status < 300, "{}", booked.body);
            let path = format!("/api/consultations/video/{}", text(&booked.body, "id"));
            return salus_tests::eventually("the video room", SOON, || async {
                Some(self.get(&path).await).filter(|found| found["room_ready"] == true)
            })
            .await;
        }
        panic!("no slot was free");
    }
}

/// The beginning of the slot so many quarters of an hour from now.
pub fn slot(ahead: i32) -> chrono::DateTime<chrono::Utc> {
    use chrono::DurationRound as _;
    use ports::Clock as _;
    let quarter = chrono::TimeDelta::minutes(15);
    let now = salus::system::SystemClock.now().duration_trunc(quarter).expect("a time");
    now + quarter * ahead
}

pub fn text(value: &Value, name: &str) -> String {
    value[name].as_str().unwrap_or_else(|| panic!("there is no text {name} in {value}")).to_owned()
}
