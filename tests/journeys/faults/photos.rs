//! Photos over HTTP: what is taken and what is not, what of it is kept, who
//! sees it, and that it stays readable when the keys are changed.

use base64::{Engine as _, engine::general_purpose::STANDARD};
use reqwest::{Body, Method};
use serde_json::{Value, json};
use walk::client::with_file;

use super::{
    Seen, once,
    partner::Partner,
    patient::{Patient, SOON, text},
    request, session,
};
use crate::server::{PASSWORD, Server};

/// A PNG of one pixel that says another size.
pub fn png(width: u32, height: u32) -> Vec<u8> {
    let pixel = "iVBORw0KGgoAAAANSUhEUgAAAAEAAAABCAYAAAAfFcSJAAAADUlEQVR42mNk+M9QDwADhgGAWjR9awAA\
                 AABJRU5ErkJggg==";
    let mut file = STANDARD.decode(pixel).expect("base64");
    file[16..20].copy_from_slice(&width.to_be_bytes());
    file[20..24].copy_from_slice(&height.to_be_bytes());
    file
}

/// A JPEG of a phone that was held upright, with the place where it was taken.
fn jpeg() -> Vec<u8> {
    let segment = |marker: u8, payload: &[u8]| {
        let length = u16::try_from(payload.len() + 2).expect("a short segment").to_be_bytes();
        [&[0xFF, marker], &length[..], payload].concat()
    };
    let exif =
        b"Exif\0\0II*\0\x08\0\0\0\x01\0\x12\x01\x03\0\x01\0\0\0\x06\0\0\0\0\0\0\0GPS 48.2082";
    [
        b"\xFF\xD8".to_vec(),
        segment(0xE1, exif),
        segment(0xDB, &[1; 65]),
        segment(0xC0, &[8, 0, 30, 0, 40, 1, 1, 0x11, 0]),
        segment(0xDA, &[1, 1, 0, 0, 63, 0]),
        b"the picture\xFF\xD9".to_vec(),
        b"GPS 48.2082 after the end".to_vec(),
    ]
    .concat()
}

fn says(bytes: &[u8], words: &str) -> bool {
    bytes.windows(words.len()).any(|window| window == words.as_bytes())
}

/// The answer to one request with the bytes of a photo.
async fn fetch(server: &Server, token: &str, id: &str) -> (u16, Vec<(String, String)>, Vec<u8>) {
    let response = request(server, Method::GET, &format!("/api/photos/{id}"), token).send().await;
    let response = response.expect("an answer");
    let headers = response.headers().iter();
    let headers = headers
        .map(|(name, value)| (name.to_string(), value.to_str().expect("a text").to_owned()))
        .collect();
    let status = response.status().as_u16();
    (status, headers, response.bytes().await.expect("a body").to_vec())
}

async fn submit(patient: &Patient<'_>, form: &Value, key: &str, photos: Value) -> Seen {
    let mut form = form.clone();
    form["answers"]["scalp_photos"] = photos;
    patient.post("/api/forms/submit", key, &form).await
}

#[tokio::test(flavor = "multi_thread")]
async fn a_photo_is_taken_without_its_place_and_read_by_those_who_treat() {
    let server = Server::start();
    let patient = Patient::arrive(&server, "photographed").await;
    let taken = patient.upload("one", &jpeg()).await;
    assert_eq!(taken.status, 201, "{}", taken.body);
    let id = text(&taken.body, "id");
    let location = taken.headers.get("location").and_then(|place| place.to_str().ok());
    assert_eq!(location, Some(format!("/api/photos/{id}").as_str()));
    assert_eq!(taken.body["content_type"], "image/jpeg");
    assert_eq!((&taken.body["width"], &taken.body["height"]), (&json!(40), &json!(30)));
    assert!(taken.body["expires_at"].is_string() && taken.body["response_id"].is_null());
    assert_eq!(patient.upload("one", &jpeg()).await.body, taken.body);
    let other = patient.upload("one", &png(1, 1)).await;
    assert_eq!(other.problem(), (409, "idempotency_key_reused", vec![]));

    let (status, headers, bytes) = fetch(&server, &patient.token, &id).await;
    assert_eq!(status, 200);
    for (name, value) in [
        ("content-type", "image/jpeg"),
        ("content-disposition", &format!("attachment; filename=\"{id}.jpg\"")),
        ("cache-control", "private, no-store"),
        ("x-content-type-options", "nosniff"),
    ] {
        assert!(headers.contains(&(name.to_owned(), value.to_owned())), "{name}: {headers:?}");
    }
    assert!(says(&bytes, "the picture") && says(&bytes, "Exif"), "the picture and the way up");
    assert!(!says(&bytes, "GPS") && !says(&bytes, "48.2082"), "it tells where it was taken");
    assert_eq!(taken.body["size"], bytes.len());
    let day = text(&taken.body, "created_at")[..10].to_owned();
    let object = server.data_dir().join("objects/intake/photos").join(day).join(&id);
    let sealed = std::fs::read(&object).expect("the object");
    assert!(!says(&sealed, "the picture"), "it lies in the clear");

    // Submitted once, it belongs to that response for good.
    let form = patient.form().await;
    let response = submit(&patient, &form, "submit", json!([id])).await;
    assert_eq!(response.status, 201, "{}", response.body);
    let photo = &response.body["photos"][0];
    assert_eq!((&photo["id"], &photo["response_id"]), (&json!(id), &response.body["id"]));
    assert!(photo["expires_at"].is_null());
    let again = submit(&patient, &form, "submit", json!([id])).await;
    assert_eq!(again.body["id"], response.body["id"], "the same request");
    let another = submit(&patient, &form, "another", json!([id])).await;
    let unknown = || vec!["answers.scalp_photos unknown_photo".to_owned()];
    assert_eq!(another.problem(), (422, "intake.invalid_answers", unknown()));
    let deleted = once(patient.ask(Method::DELETE, &format!("/api/photos/{id}"))).await;
    assert_eq!(deleted.problem(), (409, "intake.photo_attached", vec![]));

    // Both of FHIR's faces show where it is.
    let path =
        format!("/api/forms/responses/{}/questionnaire-response", text(&response.body, "id"));
    let resource = patient.get(&path).await.to_string();
    assert!(resource.contains(&format!("\"url\":\"/api/photos/{id}\"")), "{resource}");
    salus_tests::eventually("the response in the record", SOON, || async {
        let found = patient.get("/fhir/QuestionnaireResponse").await.to_string();
        found.contains(&format!("\"url\":\"Binary/{id}\"")).then_some(())
    })
    .await;
    let binary = format!("/fhir/Binary/{id}");
    let served = request(&server, Method::GET, &binary, &patient.token).send().await;
    let served = served.expect("an answer");
    assert_eq!(served.headers()["content-type"], "image/jpeg");
    assert_eq!(served.bytes().await.expect("a body"), bytes, "the same photo");
    let stranger = Patient::arrive(&server, "stranger").await;
    assert_eq!(once(stranger.ask(Method::GET, &binary)).await.status, 404);
    let unsent = text(&patient.upload("in-no-response", &png(3, 3)).await.body, "id");
    let unsent = once(patient.ask(Method::GET, &format!("/fhir/Binary/{unsent}"))).await;
    assert_eq!(unsent.status, 404, "{}", unsent.body);
    let partner = Partner::register(&server).await.token().await;
    let resource = request(&server, Method::GET, &binary, &partner);
    let resource = once(resource.header("Accept", "application/fhir+json")).await;
    assert_eq!(resource.status, 200, "{}", resource.body);
    assert_eq!(resource.body["data"], STANDARD.encode(&bytes));
    let elsewhere = once(request(&server, Method::GET, &format!("/api/photos/{id}"), &partner));
    assert_eq!(elsewhere.await.status, 401);

    // A provider reads the photo exactly where the response is read.
    patient.plan().await;
    let own = text(&patient.upload("unsent", &png(1, 1)).await.body, "id");
    let mut read = Vec::new();
    for (email, role) in seeds::identity::sign_ins() {
        let token = text(&session(&server, email, PASSWORD).await, "access_token");
        let path = format!("/api/forms/responses/{}", text(&response.body, "id"));
        let of_response = once(request(&server, Method::GET, &path, &token)).await.status;
        assert_eq!(fetch(&server, &token, &id).await.0, of_response, "{role} {email}");
        assert_eq!(fetch(&server, &token, &own).await.0, 404, "{role} {email}");
        read.push(of_response);
    }
    assert!(read.contains(&200) && read.contains(&404), "{read:?}");
    let reads = "SELECT count(*) FROM audit_entries WHERE entity = 'form_photo' AND \
                 action = 'read' AND outcome = 'success' AND patient_id IS NULL";
    assert_eq!(server.sql(reads).trim(), "0", "a read tells whose photo it was");

    // Another key seals what comes, and the one before opens what there is.
    assert!(server.command(&["keys", "rotate"]).status.success());
    let later = text(&patient.upload("later", &png(2, 2)).await.body, "id");
    assert_eq!(fetch(&server, &patient.token, &id).await.2, bytes);
    assert_eq!(fetch(&server, &patient.token, &later).await.2, png(2, 2));
    let gone = once(patient.ask(Method::DELETE, &format!("/api/photos/{later}"))).await;
    assert_eq!(gone.status, 204, "{}", gone.body);
    let gone = once(patient.ask(Method::DELETE, &format!("/api/photos/{later}"))).await;
    assert_eq!(gone.problem(), (404, "intake.photo_not_found", vec![]));
    assert!(server.command(&["audit", "verify"]).status.success());
}

#[tokio::test(flavor = "multi_thread")]
async fn what_is_no_photo_or_too_large_is_refused_and_says_why() {
    let server = Server::start_with(&[("SALUS_SERVER__PHOTO_LIMIT", "2000000")]);
    let patient = Patient::arrive(&server, "refused").await;
    let photo = |code: &str| vec![format!("photo {code}")];
    for (file, code) in [
        // Its part says `image/png`, as every file here.
        (b"%PDF-1.7 no picture at all".to_vec(), "unsupported_type"),
        (b"\0\0\0\x18ftypheic\0\0\0\0mif1heic".to_vec(), "unsupported_type"),
        (b"\x89PNG\r\n\x1a\n<script>alert(1)</script>".to_vec(), "unreadable"),
        (png(50_000, 50_000), "too_many_pixels"),
        (Vec::new(), "required"),
    ] {
        let refused = patient.upload("refused", &file).await;
        assert_eq!(refused.problem(), (422, "intake.invalid_photo", photo(code)));
    }

    let category = patient.category().await;
    let path = format!("/api/forms/categories/{category}/photos");
    let ask = || patient.ask(Method::POST, &path).header("Idempotency-Key", "k");
    let wrong_name = once(with_file(ask(), "picture", &png(1, 1))).await;
    assert_eq!(wrong_name.problem(), (422, "invalid_body", photo("unknown_field")));
    let json = once(ask().json(&json!({ "photo": "x" }))).await;
    assert_eq!(json.status, 415, "{}", json.body);
    let form = "multipart/form-data; boundary=x";
    let broken = once(ask().header("content-type", form).body("no parts")).await;
    assert!(matches!(broken.status, 400 | 422), "{}", broken.body);
    let nothing = once(ask().header("content-type", form).body("--x--\r\n")).await;
    assert_eq!(nothing.problem(), (422, "invalid_body", photo("required")));
    let no_key = once(with_file(patient.ask(Method::POST, &path), "photo", &png(1, 1))).await;
    assert_eq!(no_key.status, 400, "{}", no_key.body);
    let anonymous = request(&server, Method::POST, &path, "").header("Idempotency-Key", "k");
    let anonymous = once(with_file(anonymous, "photo", &png(1, 1))).await;
    assert_eq!(anonymous.status, 401, "{}", anonymous.body);

    // More than the limit of other bodies is taken, more than its own is not,
    // whether or not the length is stated.
    let mut large = png(1, 1);
    large.resize(1_999_999, 0);
    assert_eq!(patient.upload("large", &large).await.status, 201);
    let told = |seen: &Seen| {
        let (status, kind, _) = seen.problem();
        assert_eq!((status, kind), (413, "too_large"), "{}", seen.body);
        let detail = text(&seen.body, "detail");
        assert!(detail.contains("2000000") && detail.contains("photo_limit"), "{detail}");
    };
    large.resize(2_000_001, 0);
    told(&patient.upload("larger", &large).await);
    large.resize(3_000_000, 0);
    told(&patient.upload("larger", &large).await);
    let head = b"--x\r\ncontent-disposition: form-data; name=\"photo\"\r\n\r\n".to_vec();
    let parts = [head, large].map(Ok::<_, std::io::Error>);
    let streamed = Body::wrap_stream(futures::stream::iter(parts));
    told(&once(ask().header("content-type", form).body(streamed)).await);

    // Nobody uploads for a form that asks for no photo, or for no form.
    let found = patient.get("/api/categories").await;
    let all = found["categories"].as_array().expect("categories");
    let anxiety = all.iter().find(|one| one["slug"] == "anxiety").expect("the category");
    for (category, status, code) in [
        (text(anxiety, "id"), 409, "intake.no_photo_asked"),
        (patient.id.clone(), 404, "intake.category_not_found"),
    ] {
        let path = format!("/api/forms/categories/{category}/photos");
        let request = patient.ask(Method::POST, &path).header("Idempotency-Key", "k2");
        let refused = once(with_file(request, "photo", &png(1, 1))).await;
        assert_eq!(refused.problem(), (status, code, vec![]));
    }

    // The id of somebody else's photo is one that nobody has.
    let other = Patient::arrive(&server, "other").await;
    let theirs = text(&other.upload("theirs", &png(1, 1)).await.body, "id");
    let form = patient.form().await;
    let mut told = Vec::new();
    for id in [theirs.as_str(), "01a1fc96-34c8-705d-a14e-eca331c44625"] {
        let refused = submit(&patient, &form, "submit", json!([id])).await;
        let fields = vec!["answers.scalp_photos unknown_photo".to_owned()];
        assert_eq!(refused.problem(), (422, "intake.invalid_answers", fields));
        told.push(refused.body["errors"].clone());
        let denied = format!(
            "SELECT count(*) FROM audit_entries WHERE outcome = 'denied' AND \
             entity = 'form_photo' AND entity_id = '{id}' AND actor_id = '{}'",
            patient.id
        );
        assert_eq!(server.sql(&denied).trim(), "1");
    }
    assert_eq!(told[0], told[1]);
}
