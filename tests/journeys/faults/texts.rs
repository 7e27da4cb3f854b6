//! What people write: every text of every body has a rule, every fault is named
//! at once, and what passes comes back as it was.

use std::collections::{BTreeMap, BTreeSet};

use kernel::text::Shape;
use reqwest::Method;
use serde_json::{Map, Value, json};

use super::{
    once,
    patient::{Patient, text},
    request, session, staff_token,
    sweep::{filled, next, token, whole_body},
};
use crate::{
    authorization::{Operation, STRANGER, TABLE, Who, document, operations, patient},
    demo::look,
    server::{PASSWORD, Server},
};

/// Texts of requests that have no kind, because something else reads them. A
/// row is a reason, and the fields as `Schema.field`.
const OTHERS: &[(&str, &[&str])] = &[
    (
        "a form of their own, which the domain's type reads",
        &[
            "CategoryRequest.slug",
            "CategorySpecialitiesBody.specialities",
            "ClientRequest.scopes",
            "FeatureFlagRequest.key",
            "FeatureRequest.feature",
            "FlagCohort.roles",
            "LicenseView.number",
            "LoginRequest.email",
            "ModifyPrescriptionRequest.quantity",
            "NewForm.slug",
            "PlanFeature.code",
            "ProfileRequest.ssn",
            "ProviderProfileRequest.specialities",
            "QuestionnaireImport.slug",
            "RegisterRequest.email",
            "ReviseProvider.specialities",
            "RoleRequest.permissions",
            "ShiftBody.from",
            "ShiftBody.until",
            "TreatmentBody.quantity_unit",
        ],
    ),
    (
        "compared with what is on file, and kept nowhere",
        &[
            "AlertOverrideRequest.alert",
            "ApproveReview.version",
            "AuditExportRequest.actor",
            "AuditExportRequest.entity",
            "CodeRequest.code",
            "LinkRequest.token",
            "PasskeyLoginRequest.token",
            "RefreshRequest.refresh_token",
            "RegisterPasskeyRequest.token",
            "ReleaseHeldFill.grounds",
            "ResetPasswordRequest.token",
            "VerifyRequest.code",
            "VerifyRequest.mfa_token",
            "VerifyRequest.recovery_code",
        ],
    ),
    (
        "JSON of another standard, which its own reader checks",
        &[
            "ClientKeyRequest.jwk",
            "ClientRequest.jwks",
            "PasskeyLoginRequest.credential",
            "QuestionnaireImport.questionnaire",
            "RegisterPasskeyRequest.credential",
            "VerifyRequest.passkey",
        ],
    ),
    ("the gateway's, which knows its own", &["AddPaymentMethod.payment_method"]),
    (
        "codes of a system on a list, which people do not write",
        &["ClinicalCoding.code", "ClinicalCoding.system"],
    ),
    ("CEL, which its parser reads", &["EligibilityRule.expression"]),
    (
        "words of a form's definition, which is checked as a whole",
        &[
            "FormBand.code",
            "FormCalculation.inputs",
            "FormCode.code",
            "FormCode.system",
            "FormCondition.answer",
            "FormCondition.operator",
            "FormCondition.question",
            "FormItem.initial",
            "FormItem.limit_unit",
            "FormItem.link_id",
            "FormItem.pattern",
            "FormItem.units",
            "FormOption.code",
            "FormRule.left",
            "FormRule.operator",
            "FormRule.right",
        ],
    ),
    ("answers, which the form's items read", &["FormDraftRequest.any", "FormSubmission.any"]),
];

/// A text of a body: whose it is, where it stands, and whether it has a kind.
struct Field {
    name: String,
    path: String,
    has_kind: bool,
}

/// A body of the schema with a character in each of its texts that the text
/// cannot keep, and where these are.
struct Spoiled<'a> {
    document: &'a Value,
    fields: Vec<Field>,
}

impl Spoiled<'_> {
    fn body(&mut self, schema: &Value, owner: &str, path: &str, depth: usize) -> Value {
        if let Some(name) = schema["$ref"].as_str() {
            let name = name.rsplit('/').next().expect("a name");
            let schema = &self.document["components"]["schemas"][name];
            return self.body(schema, name, path, depth);
        }
        for many in ["allOf", "oneOf", "anyOf"] {
            if let Some(first) = schema[many].get(0) {
                return self.body(first, owner, path, depth);
            }
        }
        if let Some(first) = schema["enum"].get(0) {
            return first.clone();
        }
        match schema["type"].as_str() {
            // Items of forms hold items.
            Some("object" | "array") if depth > 6 => Value::Null,
            Some("object") => {
                let below = |name: &str| match path {
                    "" => name.to_owned(),
                    path => format!("{path}.{name}"),
                };
                let mut body = Map::new();
                for (name, property) in schema["properties"].as_object().into_iter().flatten() {
                    let inner = self.body(property, owner, &below(name), depth + 1);
                    body.insert(name.clone(), inner);
                }
                if schema["additionalProperties"].is_object() {
                    let any = &schema["additionalProperties"];
                    body.insert("any".to_owned(), self.body(any, owner, &below("any"), depth + 1));
                }
                body.into()
            }
            Some("array") => {
                json!([self.body(&schema["items"], owner, &format!("{path}[0]"), depth + 1)])
            }
            Some("boolean") => json!(true),
            Some("integer" | "number") => json!(schema["minimum"].as_f64().unwrap_or(1.0) as i64),
            _ => self.text(schema, owner, path),
        }
    }

    fn text(&mut self, schema: &Value, owner: &str, path: &str) -> Value {
        let shape = match schema["format"].as_str() {
            Some("uuid") => return json!(STRANGER),
            Some("date" | "naive-date") => return json!("2026-12-01"),
            Some("date-time") => return json!("2026-12-01T12:00:00Z"),
            Some(word) => Shape::from_word(word),
            None => None,
        };
        let last = path.rsplit('.').next().unwrap_or_default();
        if PASSWORDS.contains(&last) {
            return json!("a password of many words");
        }
        self.fields.push(Field {
            name: format!("{owner}.{}", last.trim_end_matches("[0]")),
            path: path.to_owned(),
            has_kind: shape.is_some(),
        });
        // What only a kind refuses, and what nothing keeps.
        json!(if shape.is_some() { "5 mg\u{200B} daily" } else { "5\r0 mg \u{202E}" })
    }
}

const PASSWORDS: [&str; 3] = ["password", "current_password", "new_password"];

#[test]
fn every_text_of_a_request_has_a_kind_or_a_reason_why_not() {
    let document = document();
    let mut bare = BTreeSet::new();
    for operation in operations(&document) {
        let method = operation.method.as_str().to_lowercase();
        let description = &document["paths"][&operation.path][&method];
        let Some(schema) = whole_body(description) else { continue };
        let mut spoiled = Spoiled { document: &document, fields: Vec::new() };
        spoiled.body(schema, "", "", 0);
        bare.extend(spoiled.fields.into_iter().filter(|f| !f.has_kind).map(|field| field.name));
    }
    let others: BTreeSet<String> =
        OTHERS.iter().flat_map(|(_, fields)| *fields).map(|field| (*field).to_owned()).collect();
    let unruled: Vec<_> = bare.difference(&others).collect();
    assert!(unruled.is_empty(), "these texts have no kind: {unruled:#?}");
    let stale: Vec<_> = others.difference(&bare).collect();
    assert!(stale.is_empty(), "these exceptions are of no use any more: {stale:#?}");
}

#[tokio::test(flavor = "multi_thread")]
async fn every_text_that_cannot_be_kept_is_named_by_its_path_in_one_answer() {
    let server = Server::start();
    let mut tokens = BTreeMap::new();
    for (email, role) in seeds::identity::sign_ins() {
        let session = session(&server, email, PASSWORD).await;
        tokens.entry(role.to_string()).or_insert_with(|| text(&session, "access_token"));
    }
    let session = patient(&server.client, "texts").await;
    tokens.insert("patient".to_owned(), text(&session, "access_token"));

    let document = document();
    let http = reqwest::Client::new();
    let (mut wrong, mut asked) = (Vec::new(), 0);
    for operation in operations(&document) {
        let method = operation.method.as_str().to_lowercase();
        let description = &document["paths"][&operation.path][&method];
        let row = TABLE.iter().find(|(id, _)| *id == operation.id);
        let Some(schema) = whole_body(description) else { continue };
        if matches!(row, Some((_, Who::Vendor))) {
            continue;
        }
        let mut spoiled = Spoiled { document: &document, fields: Vec::new() };
        let body = spoiled.body(schema, "", "", 0);
        if spoiled.fields.is_empty() {
            continue;
        }
        let url = format!("{}{}", server.url(), filled(&operation.path, STRANGER));
        let mut request = http.request(operation.method.clone(), url).json(&body);
        for name in &operation.headers {
            let value = if name == "If-Match" { "\"1\"" } else { &next().to_string() };
            request = request.header(name, value);
        }
        if let Some(token) = token(&operation, &tokens) {
            request = request.bearer_auth(token);
        }
        let seen = once(request).await;
        asked += 1;
        let fields = seen.body["errors"].as_array().cloned().unwrap_or_default();
        let named: BTreeSet<_> = fields
            .iter()
            .filter(|field| field["code"] == "character")
            .filter_map(|field| field["path"].as_str())
            .collect();
        let missed: Vec<_> = spoiled
            .fields
            .iter()
            .map(|field| &field.path)
            .filter(|path| !named.contains(path.as_str()))
            .collect();
        if seen.status != 422 || !missed.is_empty() {
            wrong.push(format!("{} {} {missed:?} {}", operation.id, seen.status, seen.body));
        }
    }
    assert!(asked > 60, "{asked} operations are too few");
    assert!(wrong.is_empty(), "{} of {asked}: {wrong:#?}", wrong.len());
}

/// What the next hop does not take is refused where it is entered, and what
/// passes is what is read again.
#[tokio::test(flavor = "multi_thread")]
async fn a_profile_takes_what_a_prescription_carries() {
    let server = Server::start();
    let session = patient(&server.client, "lengths").await;
    let token = session["access_token"].as_str().expect("a token");
    let profile = |name: &str, line: &str, city: &str| {
        json!({
            "name": { "given": name, "family": name },
            "birth_date": "1990-12-10", "sex": "female", "phone": "+16175550123",
            "address": {
                "line1": line, "line2": line, "city": city, "state": "MA", "postal_code": "02139",
            },
            "time_zone": "America/New_York",
        })
    };
    let put = |body: Value| once(request(&server, Method::PUT, "/api/profile", token).json(&body));
    let seen = put(profile(&"ä".repeat(71), &"x".repeat(41), &"y".repeat(36))).await;
    let wrong = [
        "name.given length",
        "name.family length",
        "address.line1 length",
        "address.line2 length",
        "address.city length",
    ];
    assert_eq!(seen.problem(), (422, "invalid_body", wrong.map(str::to_owned).to_vec()));
    let seen = put(profile("\u{200B}", "5\r0 Main", "\u{2066}Boston")).await;
    let mut fields = seen.problem().2;
    fields.sort();
    let mut wrong = wrong.map(|field| field.replace(" length", " character"));
    wrong.sort();
    assert_eq!((seen.status, fields), (422, wrong.to_vec()), "{}", seen.body);

    let mut odd = profile("\u{200B}", "1 Main Street", "Boston");
    odd["phone"] = json!("5");
    odd["time_zone"] = json!("America/Atlantis");
    odd["address"]["postal_code"] = json!("0213");
    odd["address"]["state"] = json!("XX");
    let seen = put(odd).await;
    let wrong = [
        "name.given character",
        "name.family character",
        "address.state invalid",
        "address.postal_code invalid",
        "phone invalid",
        "time_zone invalid",
    ];
    assert_eq!(seen.problem(), (422, "invalid_body", wrong.map(str::to_owned).to_vec()));

    let (name, line, city) = ("Zoë O’Brien 李", "№ 5 <\"A\" & 'B'> 🏥", "São João");
    let sent = profile(name, line, city);
    let seen = put(sent.clone()).await;
    assert_eq!(seen.status, 200, "{}", seen.body);
    for whole in ["name", "address"] {
        assert_eq!(seen.body[whole], sent[whole]);
    }
    let seen = put(profile("Zoe\u{308} O’Brien 李", line, city)).await;
    assert_eq!(seen.body["name"]["given"], name, "it is kept as it is composed");

    let admin = staff_token(&server, "admin@salus.example").await;
    let pharmacy = json!({
        "ncpdp_id": "0123454", "npi": "1234567893", "name": "p".repeat(71),
        "line1": "x".repeat(41), "line2": "x".repeat(41), "city": "y".repeat(36), "state": "MA",
        "postal_code": "02139", "phone": "+16175550123", "mail_order": true, "active": true,
        "licensed_in": ["MA"],
    });
    let post = request(&server, Method::POST, "/api/admin/pharmacies", &admin).json(&pharmacy);
    let seen = once(post).await;
    let (status, _, fields) = seen.problem();
    let wrong = ["name length", "line1 length", "line2 length", "city length"];
    assert_eq!((status, fields), (422, wrong.map(str::to_owned).to_vec()), "{}", seen.body);
}

/// One rule for the directions of a plan and of its prescription.
#[tokio::test(flavor = "multi_thread")]
async fn a_plan_takes_the_directions_that_its_prescription_takes() {
    let server = Server::start();
    let provider = staff_token(&server, "maren.lindqvist@salus.example").await;
    for (sig, code) in [
        ("x".repeat(1_001), "length"),
        ("\u{200B}".to_owned(), "character"),
        ("5\r0 mg".to_owned(), "character"),
        ("Take 1\nat night".to_owned(), "character"),
        (" ".to_owned(), "required"),
    ] {
        let path = format!("/api/treatment-plans/{STRANGER}/modify");
        let body = json!({ "sig": sig, "reason": "\u{202E}" });
        let seen = once(
            request(&server, Method::POST, &path, &provider)
                .header("If-Match", "\"1\"")
                .json(&body),
        )
        .await;
        let (status, _, mut fields) = seen.problem();
        fields.sort();
        let expected = vec!["reason character".to_owned(), format!("sig {code}")];
        assert_eq!((status, fields), (422, expected), "{}", seen.body);
    }

    let create = |operation: &Operation| operation.id == "createTreatmentPlan";
    let create = operations(&document()).into_iter().find(create).expect("the operation");
    let mut plan = create.body.expect("a body");
    plan["treatment"]["medication"]["ndc"] = json!("0069421030");
    plan["treatment"]["medication"]["rxnorm"] = json!("sildenafil");
    plan["treatment"]["diagnosis"] = json!("hair");
    plan["treatment"]["refills"] = json!(5_000_000_000_i64);
    plan["reason"] = json!("5\u{200B} mg");
    let post = request(&server, Method::POST, &create.path, &provider);
    let seen = once(post.header("Idempotency-Key", "bad-codes").json(&plan)).await;
    let expected = [
        "treatment.medication.rxnorm invalid",
        "treatment.medication.ndc invalid",
        "treatment.refills out_of_range",
        "treatment.diagnosis invalid",
        "reason character",
    ];
    let (status, _, fields) = seen.problem();
    assert_eq!((status, fields), (422, expected.map(str::to_owned).to_vec()), "{}", seen.body);
}

/// One name and one address, from the profile to the pharmacy, the label and the
/// record that partners read. That the PDF keeps them is the invoice's own test.
#[tokio::test(flavor = "multi_thread")]
async fn what_a_patient_writes_arrives_everywhere_as_it_was_written() {
    let server = Server::start();
    let patient = Patient::arrive(&server, "everywhere").await;
    let (given, family) = ("Zoë 李", "O’Brien & Müller");
    let (line1, line2, city) = ("№ 5 <\"A\" & 'B'>", "Gebäude 3 🏥", "São João");
    let mut profile = patient.get("/api/profile").await;
    profile["name"] = json!({ "given": given, "family": family });
    profile["address"]["line1"] = json!(line1);
    profile["address"]["line2"] = json!(line2);
    profile["address"]["city"] = json!(city);
    let kept = once(patient.ask(Method::PUT, "/api/profile").json(&profile)).await;
    assert_eq!(kept.status, 200, "{}", kept.body);
    patient.submit().await;
    patient.prescription().await;
    patient.card("card", "pm_card_visa").await;
    let price = patient.prices().await.remove(0);
    assert_eq!(patient.subscribe("one", &price).await.status, 200);
    patient.shipment().await;

    let messages = look(&server, "erx", "/_control/messages").await;
    let path = format!("/_control/messages/{}", text(&messages[0], "message_id"));
    let new_rx = server.client.emulator_call("erx", Method::GET, &path, None).await;
    let new_rx = String::from_utf8(new_rx.expect("the message").bytes.to_vec()).expect("a text");
    let written = |text: &str| text.replace('&', "&amp;").replace('<', "&lt;").replace('>', "&gt;");
    for text in [given, family, line1, line2, city] {
        // Quotes may be written as they are or as entities.
        let plain = new_rx.replace("&quot;", "\"").replace("&apos;", "'");
        assert!(plain.contains(&format!(">{}</", written(text))), "{text}: {new_rx}");
    }

    let state = look(&server, "easypost", "/_control/state").await;
    let mut labels = state["shipments"].as_object().expect("shipments").values();
    let label = &labels.next().expect("a label")["to_address"];
    assert_eq!(label["name"], format!("{given} {family}"), "{state}");
    assert_eq!(
        (&label["street1"], &label["street2"], &label["city"]),
        (&json!(line1), &json!(line2), &json!(city)),
    );

    let record = patient.get(&format!("/fhir/Patient/{}", patient.id)).await;
    assert_eq!(record["name"][0]["family"], family, "{record}");
    assert_eq!(record["name"][0]["given"], json!([given]));
    assert_eq!(record["address"][0]["line"], json!([line1, line2]));
    assert_eq!(record["address"][0]["city"], city);
}
