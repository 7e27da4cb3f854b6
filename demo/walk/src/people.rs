//! The people of the demo: synthetic records, and what each of them says when
//! asked.

use std::collections::BTreeMap;

use anyhow::Context as _;
use base64::{Engine as _, engine::general_purpose::STANDARD};
use serde::Deserialize;
use serde_json::{Value, json};

use super::Walk;

/// Made by a generator of synthetic records; `docs/demo-people.md` says how.
const PEOPLE: &str = include_str!("people.json");

/// A PNG of one pixel.
const PHOTO: &str = "iVBORw0KGgoAAAANSUhEUgAAAAEAAAABCAYAAAAfFcSJAAAADUlEQVR42mNk+M9QDwADhgGAWjR9awAAAABJRU5ErkJggg==";

const NITROGLYCERIN: &str = "198039";

#[derive(Clone, Debug, Deserialize)]
pub struct Person {
    given: String,
    family: String,
    sex: String,
    birth_date: String,
    address: Value,
    phone: String,
    time_zone: String,
    category: String,
    /// What the provider chooses instead of the category's own treatment.
    treatment: Option<String>,
    allergies: Vec<Value>,
    medications: Vec<Value>,
    /// A nitrate that is prescribed elsewhere between the approval and the
    /// prescription.
    #[serde(skip)]
    nitrate_since: bool,
}

/// One walk for each person, with an address of this run.
pub fn all(run: &str) -> anyhow::Result<Vec<Walk>> {
    let mut people: Vec<Person> =
        serde_json::from_str(PEOPLE).context("reading the demo's people")?;
    // Somebody without a nitrate at the questionnaire has one when the
    // prescription is checked: the check before sending has to find it.
    let late = people.iter_mut().rfind(|person| {
        person.category == "erectile-dysfunction"
            && matches!(person.state(), "MA" | "NY" | "CA" | "TX" | "FL" | "WA")
            && !person.takes(NITROGLYCERIN)
    });
    late.context("nobody of the demo can get a nitrate later")?.nitrate_since = true;
    Ok(people
        .into_iter()
        .map(|person| Walk {
            email: format!(
                "{}.{}.{run}@patients.example",
                plain(&person.given),
                plain(&person.family)
            ),
            password: format!("a-long-walk-{run}"),
            person,
            token: String::new(),
            patient_id: String::new(),
            category_id: String::new(),
            response_id: String::new(),
            outcome: String::new(),
            assessment_id: String::new(),
            provider_id: String::new(),
            plan_id: String::new(),
            subscription_id: String::new(),
            invoice_id: String::new(),
            prescription_id: String::new(),
            prescription_status: String::new(),
        })
        .collect())
}

/// The letters of a name that an address takes.
fn plain(name: &str) -> String {
    name.chars().filter(char::is_ascii_alphanumeric).collect::<String>().to_lowercase()
}

impl Person {
    pub fn name(&self) -> String {
        format!("{} {}", self.given, self.family)
    }

    pub fn state(&self) -> &str {
        self.address["state"].as_str().unwrap_or_default()
    }

    pub fn category(&self) -> &str {
        &self.category
    }

    fn takes(&self, rxnorm: &str) -> bool {
        self.medications.iter().any(|medication| medication["drug"]["code"] == rxnorm)
    }

    pub fn profile(&self) -> Value {
        json!({
            "name": { "given": self.given, "family": self.family },
            "birth_date": self.birth_date,
            "sex": self.sex,
            "address": self.address,
            "phone": self.phone,
            "time_zone": self.time_zone,
        })
    }

    pub fn allergies(&self) -> Value {
        json!({ "none_known": self.allergies.is_empty(), "items": self.allergies })
    }

    pub fn medications(&self) -> Value {
        json!({ "none_known": self.medications.is_empty(), "items": self.medications })
    }

    /// The medications once more, with what came after the questionnaire.
    pub fn medications_since(&self) -> Option<Value> {
        self.nitrate_since.then(|| {
            let mut items = self.medications.clone();
            items.push(json!({ "drug": {
                "system": kernel::code::system::RXNORM,
                "code": NITROGLYCERIN,
                "display": "nitroglycerin 0.4 MG Sublingual Tablet",
            } }));
            json!({ "none_known": false, "items": items })
        })
    }

    /// What the person answers where it is not what anybody healthy would.
    pub fn answers(&self) -> BTreeMap<String, Value> {
        let mut answers = BTreeMap::new();
        let mut say = |link_id: &str, answer: Value| {
            answers.insert(link_id.to_owned(), answer);
        };
        match self.category.as_str() {
            "hair-loss" => say("pattern", json!("hairline")),
            "weight-management" => {
                say("height", json!({ "value": 168, "unit": "cm" }));
                say("weight", json!({ "value": 98, "unit": "kg" }));
            }
            "erectile-dysfunction" => {
                say("bp_known", json!(true));
                say("bp_systolic", json!({ "value": 124, "unit": "mm[Hg]" }));
                say("bp_diastolic", json!({ "value": 78, "unit": "mm[Hg]" }));
            }
            _ => {}
        }
        answers
    }

    /// The treatment that the provider chooses for this person, by what was
    /// measured of the kidneys; `None` for the category's own.
    pub fn treatment(&self, kidneys: &Value) -> Option<Value> {
        let drug = self.treatment.as_deref()?;
        let (rxnorm, ndc, display, dose, sig) = match drug {
            "minoxidil" => (
                "197987",
                "00591564201",
                "minoxidil 2.5 MG Oral Tablet",
                2.5,
                "Take 1 tablet by mouth once a day.",
            ),
            "tadalafil" => (
                "403957",
                "00093301756",
                "tadalafil 5 MG Oral Tablet",
                5.0,
                "Take 1 tablet by mouth once a day.",
            ),
            "metformin" => (
                "861007",
                "00093104810",
                "metformin hydrochloride 500 MG Oral Tablet",
                500.0,
                "Take 1 tablet by mouth twice a day with meals.",
            ),
            _ => (
                "1649988",
                "00143314250",
                "doxycycline hyclate 100 MG Oral Capsule",
                100.0,
                "Take 1 capsule by mouth once a day with a glass of water.",
            ),
        };
        let times = if drug == "metformin" { 2 } else { 1 };
        let mut treatment = json!({
            "medication": { "rxnorm": rxnorm, "ndc": ndc, "display": display },
            "dose": { "value": dose, "unit": "mg" },
            "sig": sig,
            "frequency": { "frequency": times, "period": 1, "period_unit": "d" },
            "duration_days": 30,
            "quantity": 30 * times,
            "quantity_unit": if drug == "doxycycline" { "capsule" } else { "tablet" },
            "refills": 2,
            "diagnosis": match drug {
                "minoxidil" => "L64.9",
                "tadalafil" => "N52.9",
                "metformin" => "E66.9",
                _ => "L70.0",
            },
        });
        // These doses depend on the kidneys.
        if matches!(drug, "tadalafil" | "metformin") {
            treatment["kidneys"] = kidneys.clone();
        }
        Some(treatment)
    }

    /// A photo that this person shows, and the question that asks for it.
    pub fn photo(&self) -> Option<(&'static str, Vec<u8>)> {
        let tiny = || STANDARD.decode(PHOTO).unwrap_or_default();
        (self.category == "hair-loss").then(|| ("scalp_photos", tiny()))
    }

    /// An answer to a question that this person is not asked.
    pub fn stray_answer(&self) -> Option<(String, Value)> {
        (self.category == "hair-loss").then(|| ("sudden_detail".to_owned(), json!("A fever.")))
    }
}
