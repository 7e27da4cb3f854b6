//! Who may call what. Every operation of the document has a row; the test
//! fails when one has none, and drives each against the built binary.

use std::{
    collections::{BTreeMap, BTreeSet},
    time::Duration,
};

use reqwest::Method;
use seeds::identity::sign_ins;
use serde_json::{Value, json};
use walk::client::{Client, with_file};

use crate::server::{PASSWORD, Server};

#[derive(Clone, Copy, PartialEq)]
pub enum Who {
    Public,
    /// A vendor with its own proof.
    Vendor,
    /// Anybody who is signed in.
    Anyone,
    Roles(&'static [&'static str]),
}

use Who::{Anyone, Public, Roles, Vendor};

const PATIENT: Who = Roles(&["patient"]);
const PROVIDER: Who = Roles(&["provider"]);
const PARTIES: Who = Roles(&["patient", "provider"]);
const PHARMACIST: Who = Roles(&["pharmacist"]);
const ADMIN: Who = Roles(&["admin", "super_admin"]);
/// Whoever signs treatments, and whoever sets what they are held against.
const SIGNING: Who = Roles(&["provider", "admin", "super_admin"]);
const AUDITOR: Who = Roles(&["auditor", "admin", "super_admin"]);
const BILLED: Who = Roles(&["patient", "support", "admin", "super_admin"]);
const CHART: Who = Roles(&["patient", "provider", "super_admin"]);

/// The table. It only ever gains rows with the operations.
pub const TABLE: &[(&str, Who)] = &[
    ("register", Public),
    ("verifyEmail", Public),
    ("resendVerification", Public),
    ("login", Public),
    ("refreshSession", Public),
    ("logout", Anyone),
    ("ownPermissions", Anyone),
    ("verifySecondFactor", Public),
    ("ownSecondFactors", Anyone),
    ("confirmFactor", Public),
    ("resendFactorConfirmation", Anyone),
    ("beginTotp", Anyone),
    ("confirmTotp", Anyone),
    ("removeTotp", Anyone),
    ("renewRecoveryCodes", Anyone),
    ("beginPasskey", Anyone),
    ("registerPasskey", Anyone),
    ("removePasskey", Anyone),
    ("beginPasskeyLogin", Public),
    ("passkeyLogin", Public),
    ("listSessions", Anyone),
    ("revokeSession", Anyone),
    ("revokeOtherSessions", Anyone),
    ("changePassword", Anyone),
    ("changeEmail", Anyone),
    ("confirmEmail", Public),
    ("forgotPassword", Public),
    ("resetPassword", Public),
    ("readProfile", PATIENT),
    ("writeProfile", PATIENT),
    ("readProviderProfile", PROVIDER),
    ("writeProviderProfile", PROVIDER),
    ("listSpecialities", Anyone),
    ("writeWorkingHours", PROVIDER),
    ("getProvider", ADMIN),
    ("reviseProvider", ADMIN),
    ("createAccount", ADMIN),
    ("changeRoles", ADMIN),
    ("setAccountStatus", ADMIN),
    ("endSessions", ADMIN),
    ("readPermissionMatrix", Roles(&["super_admin"])),
    ("changeRole", Roles(&["super_admin"])),
    ("setLicenses", ADMIN),
    ("registerClient", ADMIN),
    ("listClients", ADMIN),
    ("readClient", ADMIN),
    ("setClientStatus", ADMIN),
    ("addClientKey", ADMIN),
    ("withdrawClientKey", ADMIN),
    ("issueClientToken", Public),
    ("publicKeys", Public),
    ("listCategories", Public),
    ("getCategory", Public),
    ("getCategoryEligibility", Public),
    ("listPlans", Public),
    ("createPlan", ADMIN),
    ("getPlan", Public),
    ("listFittingPlans", PATIENT),
    ("updatePlan", ADMIN),
    ("adminComparePlans", ADMIN),
    ("ownFeatureFlags", Anyone),
    ("listArticles", Anyone),
    ("readArticle", Anyone),
    ("createArticle", ADMIN),
    ("updateArticle", ADMIN),
    ("deleteArticle", ADMIN),
    ("listFeatureFlags", ADMIN),
    ("createFeatureFlag", ADMIN),
    ("getFeatureFlag", ADMIN),
    ("updateFeatureFlag", ADMIN),
    ("deleteFeatureFlag", ADMIN),
    ("adminListPlans", ADMIN),
    ("adminCreatePlan", ADMIN),
    ("adminUpdatePlan", ADMIN),
    ("deactivatePlan", ADMIN),
    ("getCategoryForm", Public),
    ("createFormVersion", ADMIN),
    ("publishFormVersion", ADMIN),
    ("listFormVersions", ADMIN),
    ("getFormVersion", ADMIN),
    ("draftFormVersion", ADMIN),
    ("changeFormVersion", ADMIN),
    ("validateFormVersion", ADMIN),
    ("compareFormVersions", ADMIN),
    ("importQuestionnaire", ADMIN),
    ("getFormQuestionnaire", Public),
    ("getQuestionnaireResponse", CHART),
    ("getFormDraft", PATIENT),
    ("saveFormDraft", PATIENT),
    ("uploadFormPhoto", PATIENT),
    ("getFormPhoto", CHART),
    ("deleteFormPhoto", PATIENT),
    ("submitForm", PATIENT),
    ("listFormResponses", CHART),
    ("getFormResponse", CHART),
    ("listReviewQueue", PROVIDER),
    ("claimReview", PROVIDER),
    ("releaseReview", PROVIDER),
    ("getReview", PROVIDER),
    ("handOverPanel", ADMIN),
    ("listHandovers", ADMIN),
    ("listUnreadNotices", ADMIN),
    ("getUnreadNotice", ADMIN),
    ("completeUnreadNotice", ADMIN),
    ("proposeReviewTreatment", PROVIDER),
    ("approveReview", PROVIDER),
    ("rejectReview", PROVIDER),
    ("requestReviewInformation", PROVIDER),
    ("reassignReview", PROVIDER),
    ("getAssignmentPolicy", ADMIN),
    ("setAssignmentPolicy", ADMIN),
    ("assignWaitingReviews", ADMIN),
    ("giveReviewInformation", PATIENT),
    ("listReviewInformation", PARTIES),
    ("getPatientEligibility", PROVIDER),
    ("listRuleSets", ADMIN),
    ("draftRuleSet", ADMIN),
    ("getRuleSet", ADMIN),
    ("changeRuleSet", ADMIN),
    ("validateRuleSet", ADMIN),
    ("publishRuleSet", ADMIN),
    ("simulateRuleSet", ADMIN),
    ("listAutoApprovals", ADMIN),
    ("setAutoApproval", ADMIN),
    ("replayAssessment", AUDITOR),
    ("breakGlass", PROVIDER),
    ("listBreakGlass", Roles(&["auditor", "super_admin"])),
    ("judgeBreakGlass", Roles(&["auditor", "super_admin"])),
    ("getProviderDashboard", PROVIDER),
    ("listProviderPatients", PROVIDER),
    ("listProviderTasks", PROVIDER),
    ("updateProviderTask", PROVIDER),
    ("listOwnAssessments", PATIENT),
    ("getOwnAssessment", PATIENT),
    ("createTreatmentPlan", PROVIDER),
    ("replaceTreatmentPlan", PROVIDER),
    ("listTreatmentPlans", CHART),
    ("modifyTreatmentPlan", PROVIDER),
    ("revokeTreatmentPlan", PROVIDER),
    ("completeTreatmentPlan", PROVIDER),
    ("getTreatmentPlanHistory", CHART),
    ("getTreatmentPlanDose", CHART),
    ("computeDose", PROVIDER),
    ("listFormulary", SIGNING),
    ("getFormularyDrug", SIGNING),
    ("setFormularyDrug", ADMIN),
    ("getDefaultTreatment", SIGNING),
    ("setDefaultTreatment", ADMIN),
    ("getStatePolicy", ADMIN),
    ("setStatePolicy", ADMIN),
    ("getDosingRule", SIGNING),
    ("setDosingRule", ADMIN),
    ("bookVideoConsultation", PATIENT),
    ("listVideoConsultations", PARTIES),
    ("getVideoConsultation", PARTIES),
    ("cancelVideoConsultation", PARTIES),
    ("joinVideoConsultation", PARTIES),
    ("getConsultationNotes", PARTIES),
    ("writeConsultationNotes", PROVIDER),
    ("receiveVideoCallback", Vendor),
    ("sendPrescription", PROVIDER),
    ("getPrescriptionStatus", Roles(&["patient", "provider", "pharmacist"])),
    ("modifyPrescription", PROVIDER),
    ("overridePrescriptionAlerts", PROVIDER),
    ("listPrescriptions", Roles(&["patient", "provider", "pharmacist"])),
    ("listPharmacies", Anyone),
    ("adminListPharmacies", ADMIN),
    ("createPharmacy", ADMIN),
    ("getPharmacy", ADMIN),
    ("updatePharmacy", ADMIN),
    ("deactivatePharmacy", ADMIN),
    ("listPharmacists", ADMIN),
    ("setPharmacists", ADMIN),
    ("receiveErxMessage", Vendor),
    ("dispatchDue", PHARMACIST),
    ("listHeldFills", Roles(&["provider", "pharmacist"])),
    ("releaseHeldFill", PROVIDER),
    ("listBillingTasks", Roles(&["support", "admin", "super_admin"])),
    ("completeBillingTask", ADMIN),
    ("listMissedPeriods", Roles(&["support", "admin", "super_admin"])),
    ("decideMissedPeriod", ADMIN),
    ("getDispatchQueue", PHARMACIST),
    ("updateDispatchStatus", PHARMACIST),
    ("getInventory", PHARMACIST),
    ("receiveInventory", PHARMACIST),
    ("getShipment", Roles(&["patient", "pharmacist"])),
    ("getShipmentHistory", Roles(&["patient", "pharmacist"])),
    ("confirmShipment", Roles(&["patient", "pharmacist"])),
    ("receiveCarrierNotice", Vendor),
    ("startSubscription", PATIENT),
    ("getSubscription", BILLED),
    ("listSubscriptions", BILLED),
    ("cancelSubscription", PATIENT),
    ("getSubscriptionHistory", BILLED),
    ("getSubscriptionFeatures", BILLED),
    ("comparePlans", Public),
    ("adminListCategories", ADMIN),
    ("createCategory", ADMIN),
    ("updateCategory", ADMIN),
    ("validateAccess", PATIENT),
    ("upgradePrompt", PATIENT),
    ("getRateLimits", Anyone),
    ("listPaymentMethods", PATIENT),
    ("addPaymentMethod", PATIENT),
    ("updatePaymentMethod", PATIENT),
    ("removePaymentMethod", PATIENT),
    ("getInvoice", BILLED),
    ("downloadInvoice", BILLED),
    ("listInvoices", BILLED),
    ("listBillingHistory", BILLED),
    ("listBillingTransactions", BILLED),
    ("receiveStripeNotice", Vendor),
    ("listMessageThreads", PARTIES),
    ("sendMessage", PARTIES),
    ("readMessageThread", PARTIES),
    ("markMessageRead", PARTIES),
    ("listNotifications", Anyone),
    ("markNotificationRead", Anyone),
    ("changeNotificationPreferences", Anyone),
    ("listNotificationHistory", Anyone),
    ("readAllergies", PATIENT),
    ("reportAllergies", PATIENT),
    ("readMedications", PATIENT),
    ("reportMedications", PATIENT),
    ("reportSubscriptionRevenue", ADMIN),
    ("reportCategory", ADMIN),
    ("readAuditLog", AUDITOR),
    ("reportActivity", AUDITOR),
    ("readUserAuditTrail", AUDITOR),
    ("exportAuditLog", AUDITOR),
];

/// Paths with the id of a person, which are nobody's but theirs.
const OF_A_PERSON: [&str; 10] = [
    "listFormResponses",
    "listTreatmentPlans",
    "getShipmentHistory",
    "listSubscriptions",
    "listInvoices",
    "listBillingHistory",
    "listBillingTransactions",
    "listMessageThreads",
    "listNotifications",
    "listNotificationHistory",
];

pub struct Operation {
    pub id: String,
    pub method: Method,
    pub path: String,
    pub secured: bool,
    pub headers: Vec<String>,
    pub body: Option<Value>,
    /// The one part of a body that is a file.
    pub file: Option<String>,
}

pub fn document() -> Value {
    let path = concat!(env!("CARGO_MANIFEST_DIR"), "/../../adapters/rest/openapi.json");
    serde_json::from_str(&std::fs::read_to_string(path).expect("the document")).expect("JSON")
}

pub fn operations(document: &Value) -> Vec<Operation> {
    let mut operations = Vec::new();
    for (path, methods) in document["paths"].as_object().expect("paths") {
        for (method, operation) in methods.as_object().expect("methods") {
            let headers = operation["parameters"]
                .as_array()
                .into_iter()
                .flatten()
                .filter(|parameter| parameter["in"] == "header" && parameter["required"] == true)
                .filter_map(|parameter| parameter["name"].as_str().map(str::to_owned))
                .collect();
            let content = &operation["requestBody"]["content"];
            let file = content["multipart/form-data"]["schema"]["required"][0].as_str();
            let schema = content
                .as_object()
                .and_then(|content| content.iter().find(|(kind, _)| kind.contains("json")))
                .map(|(_, media)| &media["schema"]);
            operations.push(Operation {
                id: operation["operationId"].as_str().expect("an operationId").to_owned(),
                method: method.to_uppercase().parse().expect("a method"),
                path: path.clone(),
                secured: operation["security"].as_array().is_some_and(|list| !list.is_empty()),
                headers,
                body: schema.map(|schema| instance(document, schema)),
                file: file.map(str::to_owned),
            });
        }
    }
    operations
}

/// A value that fits the schema: its example, else the least of its type.
fn instance(document: &Value, schema: &Value) -> Value {
    if let Some(name) = schema["$ref"].as_str() {
        let name = name.rsplit('/').next().expect("a name");
        return instance(document, &document["components"]["schemas"][name]);
    }
    if !schema["example"].is_null() {
        return schema["example"].clone();
    }
    for many in ["allOf", "oneOf", "anyOf"] {
        if let Some(first) = schema[many].get(0) {
            return instance(document, first);
        }
    }
    if let Some(first) = schema["enum"].get(0) {
        return first.clone();
    }
    match schema["type"].as_str() {
        Some("object") => {
            let required = schema["required"].as_array().cloned().unwrap_or_default();
            required
                .iter()
                .filter_map(Value::as_str)
                .map(|name| (name.to_owned(), instance(document, &schema["properties"][name])))
                .collect::<serde_json::Map<_, _>>()
                .into()
        }
        Some("array") => {
            let least = schema["minItems"].as_u64().unwrap_or(0);
            (0..least).map(|_| instance(document, &schema["items"])).collect()
        }
        Some("boolean") => json!(true),
        Some("integer" | "number") => {
            json!(schema["minimum"].as_f64().map_or(1, |least| least as i64))
        }
        _ => match schema["format"].as_str() {
            Some("uuid") => json!("01a1fc96-34c8-705d-a14e-eca331c44625"),
            Some("date") => json!("2026-12-01"),
            Some("date-time") => json!("2026-12-01T12:00:00Z"),
            _ => json!("x".repeat(schema["minLength"].as_u64().unwrap_or(12).max(1) as usize)),
        },
    }
}

/// Somebody's id that nobody has.
pub const STRANGER: &str = "01a1fc96-34c8-705d-a14e-eca331c44625";

async fn call(
    client: &Client,
    operation: &Operation,
    id: &str,
    token: Option<&str>,
) -> (u16, Value) {
    let headers = operation.headers.iter().map(|name| (name.as_str(), fitting(name)));
    call_with(client, operation, id, token, headers).await
}

fn fitting(header: &str) -> &'static str {
    if header == "If-Match" { "\"1\"" } else { "a-key" }
}

async fn call_with<'a>(
    client: &Client,
    operation: &Operation,
    id: &str,
    token: Option<&str>,
    headers: impl Iterator<Item = (&'a str, &'a str)>,
) -> (u16, Value) {
    let mut path = String::new();
    let mut rest = operation.path.as_str();
    while let Some((before, after)) = rest.split_once('{') {
        path.push_str(before);
        path.push_str(id);
        rest = after.split_once('}').expect("a parameter's end").1;
    }
    path.push_str(rest);
    let mut request =
        reqwest::Client::new().request(operation.method.clone(), format!("{}{path}", client.url));
    for (name, value) in headers {
        request = request.header(name, value);
    }
    if let Some(token) = token {
        request = request.bearer_auth(token);
    }
    if let Some(body) = &operation.body {
        request = request.json(body);
    }
    if let Some(file) = &operation.file {
        request = with_file(request, file, b"a file");
    }
    let response = request.send().await.expect("an answer");
    let status = response.status().as_u16();
    (status, response.json().await.unwrap_or_default())
}

async fn sign_in(client: &Client, email: &str, password: &str) -> Value {
    let body = json!({ "email": email, "password": password });
    let answer = client.post("/api/auth/login", body).send().await.expect("an answer");
    answer.expect(200, email).expect("a session").json().expect("JSON")
}

/// A patient who has registered and verified the address.
pub async fn patient(client: &Client, name: &str) -> Value {
    let (email, password) = (format!("{name}@patients.example"), "a-long-enough-password");
    let body = json!({ "email": email, "password": password });
    client.post("/api/auth/register", body).send().await.expect("an answer");
    let path = format!("/_control/messages?to={}", email.replace('@', "%40"));
    let token = salus_tests::eventually("the mail", Duration::from_secs(30), || async {
        let mails = client.emulator_call("smtp", Method::GET, &path, None).await.ok()?;
        let mails = mails.json().ok()?;
        let text = mails.get(0)?["text"].as_str()?.to_owned();
        let token = text.split_once("?token=")?.1;
        Some(token.split_whitespace().next()?.to_owned())
    })
    .await;
    let verified = client.post("/api/auth/verify-email", json!({ "token": token })).send().await;
    verified.expect("an answer").done("verifying").expect("a verified address");
    sign_in(client, &email, password).await
}

#[test]
fn every_operation_has_a_row() {
    let document = document();
    let operations = operations(&document);
    let table: BTreeMap<&str, Who> = TABLE.iter().copied().collect();
    assert_eq!(table.len(), TABLE.len(), "a row stands twice");
    let known: BTreeSet<&str> = operations.iter().map(|operation| operation.id.as_str()).collect();
    let rows: BTreeSet<&str> = table.keys().copied().collect();
    let (missing, idle): (Vec<_>, Vec<_>) =
        (known.difference(&rows).collect(), rows.difference(&known).collect());
    assert!(missing.is_empty(), "no row says who may call {missing:?}");
    assert!(idle.is_empty(), "there are no operations {idle:?}");
    for operation in &operations {
        let open = matches!(table[operation.id.as_str()], Public | Vendor);
        assert_eq!(operation.secured, !open, "{} and the document disagree", operation.id);
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn only_those_of_the_table_get_in() {
    let server = Server::start();
    let client = &server.client;
    let document = document();
    let operations = operations(&document);
    let table: BTreeMap<&str, Who> = TABLE.iter().copied().collect();
    let mut tokens = BTreeMap::new();
    for (email, role) in sign_ins() {
        let session = sign_in(client, email, PASSWORD).await;
        tokens.insert(
            role.to_string(),
            session["access_token"].as_str().expect("a token").to_owned(),
        );
    }
    let session = patient(client, "who").await;
    tokens.insert(
        "patient".to_owned(),
        session["access_token"].as_str().expect("a token").to_owned(),
    );
    assert_eq!(tokens.len(), 7);

    let denied = || -> u64 {
        let count = "SELECT count(*) FROM audit_entries \
                     WHERE entity = 'operation' AND outcome = 'denied'";
        server.sql(count).trim().parse().expect("a count")
    };
    let (denied_before, mut forbidden) = (denied(), 0);
    let mut wrong = Vec::new();
    for operation in &operations {
        let who = table[operation.id.as_str()];
        let (status, problem) = call(client, operation, STRANGER, None).await;
        if matches!(who, Public | Vendor) {
            if who == Vendor && !matches!(status, 400 | 401 | 415) {
                wrong.push(format!("{} took {status} without a proof", operation.id));
            }
            continue;
        }
        if status != 401
            || problem["type"].as_str().is_none_or(|kind| !kind.starts_with("urn:salus:problem:"))
        {
            wrong.push(format!("{} without a token: {status}", operation.id));
        }
        let mut forged = tokens["super_admin"].clone();
        // The tenth character from the end lies within the signature.
        let at = forged.len() - 10;
        let other = if forged.as_bytes()[at] == b'A' { "B" } else { "A" };
        forged.replace_range(at..=at, other);
        for token in [forged.as_str(), "nonsense"] {
            let (status, _) = call(client, operation, STRANGER, Some(token)).await;
            if status != 401 {
                wrong.push(format!("{} with a forged token: {status}", operation.id));
            }
        }
        if operation.id == "logout" {
            continue;
        }
        for (role, token) in &tokens {
            let (status, problem) = call(client, operation, STRANGER, Some(token)).await;
            forbidden += u64::from(status == 403);
            let let_in = match who {
                Roles(roles) => roles.contains(&role.as_str()),
                _ => true,
            };
            let fine = match let_in {
                true => !matches!(status, 401 | 403) && status < 500,
                false => matches!(status, 403 | 404),
            };
            if !fine {
                wrong.push(format!("{} as {role}: {status} {}", operation.id, problem["type"]));
            }
            if !let_in {
                continue;
            }
            for bad in &operation.headers {
                let headers = operation.headers.iter().filter_map(|name| match name == bad {
                    true if name == "If-Match" => Some((name.as_str(), "latest")),
                    true => None,
                    false => Some((name.as_str(), fitting(name))),
                });
                let (status, _) =
                    call_with(client, operation, STRANGER, Some(token), headers).await;
                if status != 400 {
                    wrong.push(format!("{} with a bad {bad}: {status}", operation.id));
                }
            }
        }
    }
    assert!(wrong.is_empty(), "{wrong:#?}");
    assert!(forbidden > 100, "{forbidden}");
    assert_eq!(denied() - denied_before, forbidden, "every refusal is audited");
    let unnamed = "SELECT count(*) FROM audit_entries \
                   WHERE entity = 'operation' AND entity_id !~ '^[A-Z]+ /api/'";
    assert_eq!(server.sql(unnamed).trim(), "0");
}

#[tokio::test(flavor = "multi_thread")]
async fn another_patients_ids_do_not_exist() {
    let server = Server::start();
    let client = &server.client;
    let document = document();
    let (first, second) = (patient(client, "first").await, patient(client, "second").await);
    let owner = first["account_id"].as_str().expect("an id");
    let stranger = second["access_token"].as_str().expect("a token");
    let denied = || -> u64 {
        let count = format!(
            "SELECT count(*) FROM audit_entries WHERE outcome = 'denied' AND actor_id = '{}'",
            second["account_id"].as_str().expect("an id")
        );
        server.sql(&count).trim().parse().expect("a count")
    };
    for operation in operations(&document) {
        if !OF_A_PERSON.contains(&operation.id.as_str()) {
            continue;
        }
        let before = denied();
        let (status, _) = call(client, &operation, owner, Some(stranger)).await;
        assert_eq!(status, 404, "{} of another patient", operation.id);
        assert_eq!(denied(), before + 1, "{} is not audited", operation.id);
    }
    let path = format!("/fhir/Patient/{owner}");
    let answer = client.get(path.clone()).token(stranger).send().await.expect("an answer");
    assert_eq!(answer.status.as_u16(), 404, "{}", answer.text());
    let answer = client.get(path).send().await.expect("an answer");
    assert_eq!(answer.status.as_u16(), 401);
    assert_eq!(answer.json().expect("JSON")["resourceType"], "OperationOutcome");
}
