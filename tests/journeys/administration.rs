//! An administrator writes rules and forms over HTTP, and each of the two
//! hears when it would leave the other without what it reads.

use reqwest::{Method, StatusCode};
use seeds::{self, identity::sign_ins};
use serde_json::{Value, json};

use crate::server::{PASSWORD, Server};

struct Desk<'a> {
    server: &'a Server,
    token: String,
}

impl<'a> Desk<'a> {
    async fn of(server: &'a Server, role: &str) -> Self {
        let (email, _) =
            sign_ins().into_iter().find(|(_, is)| is.to_string() == role).expect("an account");
        let body = json!({ "email": email, "password": PASSWORD });
        let answer = server.client.post("/api/auth/login", body).send().await.expect("an answer");
        let session = answer.expect(200, email).expect("a session").json().expect("JSON");
        let token = session["access_token"].as_str().expect("a token").to_owned();
        Self { server, token }
    }

    async fn call(
        &self,
        method: Method,
        path: &str,
        revision: Option<i64>,
        body: Option<Value>,
    ) -> (u16, Value) {
        let url = format!("{}{path}", self.server.url());
        let mut request = reqwest::Client::new().request(method, url).bearer_auth(&self.token);
        if let Some(revision) = revision {
            request = request.header("If-Match", format!("\"{revision}\""));
        }
        if let Some(body) = body {
            request = request.json(&body);
        }
        let response = request.send().await.expect("an answer");
        let status: StatusCode = response.status();
        (status.as_u16(), response.json().await.expect("JSON"))
    }

    async fn get(&self, path: &str) -> Value {
        let (status, answer) = self.call(Method::GET, path, None, None).await;
        assert_eq!(status, 200, "{path}: {answer}");
        answer
    }
}

fn rule(expression: &str) -> Value {
    json!([{
        "id": "over_65", "description": "Patients over 60 in Texas.", "severity": "review",
        "expression": expression, "reason_code": "over_60",
        "reason_text": "A provider looks at every request of people over 60.",
    }])
}

/// Takes the item out of wherever it stands.
fn without(items: &Value, link_id: &str) -> Value {
    let kept = items.as_array().expect("items").iter().filter(|item| item["link_id"] != link_id);
    kept.map(|item| {
        let mut item = item.clone();
        if item["items"].is_array() {
            item["items"] = without(&item["items"], link_id);
        }
        item
    })
    .collect()
}

#[tokio::test(flavor = "multi_thread")]
async fn rules_and_forms_are_written_so_that_each_finds_the_other() {
    let server = Server::start();
    let admin = Desk::of(&server, "admin").await;
    let category = seeds::catalog::HAIR_LOSS.to_string();

    // A rule that reads what the form does not ask is not published.
    let draft = json!({
        "category_id": category, "state": "TX", "rules": rule("answers.shoe_size > 45"),
    });
    let (status, set) = admin.call(Method::POST, "/api/admin/rule-sets", None, Some(draft)).await;
    assert_eq!((status, set["version"].as_i64()), (201, Some(1)), "{set}");
    let place = format!("/api/admin/rule-sets/{}", set["id"].as_str().expect("an id"));
    let (_, found) = admin.call(Method::POST, &format!("{place}/validate"), None, None).await;
    assert_eq!(
        (&found["valid"], &found["errors"][0]["code"]),
        (&json!(false), &json!("unknown_field"))
    );
    let publish = format!("{place}/publish");
    let (status, refused) = admin.call(Method::POST, &publish, Some(1), None).await;
    assert_eq!((status, &refused["errors"][0]["path"]), (422, &json!("rules[0].expression")));

    // Of two who edit from one revision the second is told.
    let change = || Some(json!({ "rules": rule("patient.age > 60") }));
    let (status, changed) = admin.call(Method::PUT, &place, Some(1), change()).await;
    assert_eq!((status, changed["revision"].as_i64()), (200, Some(2)), "{changed}");
    let (status, lost) = admin.call(Method::PUT, &place, Some(1), change()).await;
    assert_eq!(status, 412, "{lost}");
    let told = lost["errors"][0]["message"].as_str().expect("a message");
    assert!(told.contains("version 2 is the current one"), "{lost}");
    let simulation = admin.get(&format!("{place}/simulation")).await;
    assert_eq!(simulation["examined"], 0);
    let (status, published) = admin.call(Method::POST, &publish, Some(2), None).await;
    assert_eq!((status, &published["status"]), (200, &json!("published")), "{published}");

    // A form without what a rule in force reads is not published either.
    let forms = admin.get(&format!("/api/admin/forms?category_id={category}")).await;
    let first = forms["versions"][0]["id"].as_str().expect("an id").to_owned();
    let (status, draft) =
        admin.call(Method::POST, &format!("/api/admin/forms/{first}/draft"), None, None).await;
    assert_eq!(status, 201, "{draft}");
    let place = format!("/api/admin/forms/{}", draft["form"]["id"].as_str().expect("an id"));
    let shorter = json!({
        "title": "Hair loss", "items": without(&draft["form"]["items"], "liver_disease"),
    });
    let (status, answer) = admin.call(Method::PUT, &place, Some(1), Some(shorter)).await;
    assert_eq!(status, 200, "{answer}");
    let publish = format!("{place}/publish");
    let (status, refused) = admin.call(Method::POST, &publish, None, None).await;
    let path = refused["errors"][0]["path"].as_str().expect("a path");
    assert!(status == 422 && path.starts_with("rules."), "{refused}");
    let comparison = admin.get(&format!("{place}/diff")).await;
    let changes = comparison["changes"].as_array().expect("changes");
    assert!(
        changes.iter().any(|change| {
            change["link_id"] == "liver_disease" && change["change"] == "removed"
        }),
        "{changes:?}"
    );

    // A form that went out as a Questionnaire comes back as it was.
    let questionnaire = admin.get(&format!("/api/forms/versions/{first}/questionnaire")).await;
    assert_eq!(questionnaire["resourceType"], "Questionnaire");
    let import =
        json!({ "category_id": category, "slug": "imported", "questionnaire": questionnaire });
    let (status, imported) =
        admin.call(Method::POST, "/api/admin/forms/questionnaires", None, Some(import)).await;
    assert_eq!(status, 201, "{imported}");
    let id = imported["form"]["id"].as_str().expect("an id");
    let comparison = admin.get(&format!("/api/admin/forms/{id}/diff?against={first}")).await;
    assert_eq!(comparison["changes"], json!([]));

    // One of another author that was retired is a draft; what it does not say is
    // named. A limit that the server would not keep is refused by its place.
    let import = |extension: Value| {
        json!({ "category_id": category, "slug": "imported", "questionnaire": {
            "resourceType": "Questionnaire", "status": "retired", "title": "Theirs",
            "item": [{ "linkId": "q", "type": "string", "text": "Q?", "extension": extension }],
        }})
    };
    let path = "/api/admin/forms/questionnaires";
    let (status, theirs) = admin.call(Method::POST, path, None, Some(import(json!([])))).await;
    assert_eq!((status, &theirs["form"]["status"]), (201, &json!("draft")), "{theirs}");
    let warned =
        |index: usize| (&theirs["warnings"][index]["code"], &theirs["warnings"][index]["path"]);
    assert_eq!(warned(0), (&json!("left_out"), &json!("questionnaire.status")));
    assert_eq!(warned(1), (&json!("assumed"), &json!("questionnaire.item[0].maxLength")));
    let least = json!([{ "url": "http://hl7.org/fhir/StructureDefinition/minValue",
                         "valueInteger": 1 }]);
    let (status, refused) = admin.call(Method::POST, path, None, Some(import(least))).await;
    assert_eq!(
        (status, &refused["errors"][0]["path"]),
        (422, &json!("questionnaire.item[0].extension[0]")),
        "{refused}"
    );

    // The allowlist, and an auditor who asks for what nobody decided.
    let entry = |allowed: bool| json!({ "state": "FL", "rxnorm": "200172", "allowed": allowed });
    let (_, listed) =
        admin.call(Method::PUT, "/api/admin/auto-approvals", None, Some(entry(true))).await;
    let florida = |listed: &Value| {
        listed["auto_approvals"].as_array().expect("a list").iter().any(|one| one["state"] == "FL")
    };
    assert!(florida(&listed), "{listed}");
    let (_, listed) =
        admin.call(Method::PUT, "/api/admin/auto-approvals", None, Some(entry(false))).await;
    assert!(!florida(&listed), "{listed}");
    let auditor = Desk::of(&server, "auditor").await;
    let nobody = format!("/api/audit/assessments/{first}/replay");
    let (status, _) = auditor.call(Method::GET, &nobody, None, None).await;
    assert_eq!(status, 404);
}
