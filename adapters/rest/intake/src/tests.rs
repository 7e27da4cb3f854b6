//! Intake over HTTP: what wants a token, and that a form definition says the
//! same after it went over the wire. What the store answers is tested beside
//! the stores.

use std::sync::Arc;

use api::{Authenticator, PhotoLimit, Problem};
use async_trait::async_trait;
use bytes::Bytes;
use intake::{
    Band, Calculation, ChoiceOption, Condition, Consent, EnableWhen, Fact, Facts, IntakeStore,
    IntakeTx, Item, ItemKind, Operator, PhotoVault, Surroundings,
};
use kernel::{Actor, ActorKind, CategoryId, Coding, PatientId, ProviderId, RequestContext, Uuid};
use poem::{
    EndpointExt as _, Route,
    http::{Method, StatusCode},
    test::TestClient,
};
use poem_openapi::{
    OpenApiService,
    types::{ParseFromJSON as _, ToJSON as _},
};
use ports::{Panel, PortError, objects::Objects};
use serde_json::{Value, json};

use super::{FormItemView, IntakeServices};

/// Neighbours and a store that nothing may reach but the denied audit entry,
/// which this store refuses too.
struct Unreachable;

#[async_trait]
impl IntakeStore for Unreachable {
    async fn begin(&self, _: &Actor) -> ports::Result<Box<dyn IntakeTx>> {
        Err(PortError::bug("the store was reached without a permission"))
    }
}

#[async_trait]
impl Surroundings for Unreachable {
    async fn category_is_active(&self, _: CategoryId) -> ports::Result<bool> {
        Ok(true)
    }

    async fn objections(
        &self,
        _: CategoryId,
        _: &intake::FormDefinition,
    ) -> ports::Result<Vec<kernel::FieldError>> {
        Ok(Vec::new())
    }

    async fn facts(&self, _: PatientId, _: chrono::DateTime<chrono::Utc>) -> ports::Result<Facts> {
        Ok(Facts::default())
    }
}

#[async_trait]
impl Panel for Unreachable {
    async fn treats(&self, _: ProviderId, _: PatientId) -> ports::Result<bool> {
        Ok(false)
    }
}

#[async_trait]
impl Objects for Unreachable {
    async fn put(&self, _: &str, _: Bytes) -> ports::Result<()> {
        Err(PortError::bug("an object was put without a permission"))
    }

    async fn get(&self, _: &str) -> ports::Result<Option<Bytes>> {
        Err(PortError::bug("an object was read without a permission"))
    }

    async fn delete(&self, _: &str) -> ports::Result<()> {
        Err(PortError::bug("an object was deleted without a permission"))
    }

    async fn list(&self, _: &str) -> ports::Result<Vec<String>> {
        Err(PortError::bug("objects were listed without a permission"))
    }
}

/// Lets everyone in, with no permission at all.
struct Powerless;

#[async_trait]
impl Authenticator for Powerless {
    async fn authenticate(&self, _: &str, request: RequestContext) -> Result<Actor, Problem> {
        let kind = ActorKind::Account {
            account: Uuid::from_u128(1).into(),
            session: Uuid::from_u128(2).into(),
            roles: Arc::default(),
        };
        Ok(Actor { kind, permissions: Arc::default(), request })
    }
}

#[tokio::test]
async fn every_operation_but_reading_the_form_wants_a_token_and_its_permission() {
    let (env, _) = salus_tests::test_env();
    let nobody = Arc::new(Unreachable);
    let services = IntakeServices {
        env,
        store: nobody.clone(),
        surroundings: nobody.clone(),
        panel: nobody.clone(),
        vault: PhotoVault::new(nobody, Arc::new(salus_tests::TestSealer)),
        photo_limit: PhotoLimit(1_000),
    };
    let authenticator: Arc<dyn Authenticator> = Arc::new(Powerless);
    let service = OpenApiService::new(services.apis(), "test", "1");
    let client = TestClient::new(Route::new().nest("/", service).data(authenticator));
    let id = Uuid::from_u128(7);
    let submit = json!({ "category_id": id, "form_version_id": id, "answers": { "a": true } });
    let form = json!({
        "category_id": id, "slug": "acne", "title": "Acne",
        "items": [{ "link_id": "a", "type": "boolean", "text": "A?" }],
    });
    let forbidden = Some(StatusCode::FORBIDDEN);
    for (method, path, body, powerless) in [
        (Method::GET, format!("/api/forms/drafts/{id}"), None, forbidden),
        (Method::PUT, format!("/api/forms/drafts/{id}"), Some(json!({ "answers": {} })), forbidden),
        (Method::POST, "/api/forms/submit".to_owned(), Some(submit), forbidden),
        // Whether they exist is for the store to say, and it is not reached.
        (Method::GET, format!("/api/forms/history/{id}"), None, None),
        (Method::GET, format!("/api/forms/responses/{id}"), None, None),
        (Method::POST, "/api/admin/forms".to_owned(), Some(form), forbidden),
        (Method::POST, format!("/api/admin/forms/{id}/publish"), None, forbidden),
    ] {
        let request = || {
            let request = client.request(method.clone(), &path).header("Idempotency-Key", "k");
            match &body {
                Some(body) => request.body_json(body),
                None => request,
            }
        };
        let anonymous = request().send().await;
        assert_eq!(anonymous.0.status(), StatusCode::UNAUTHORIZED, "{method} {path}");
        let status = request().header("Authorization", "Bearer x").send().await.0.status();
        if let Some(powerless) = powerless {
            assert_eq!(status, powerless, "{method} {path}");
        } else {
            assert!(!status.is_success(), "{method} {path}");
        }
    }
}

fn item(link_id: &str, kind: ItemKind) -> Item {
    Item::new(link_id, "What?", kind)
}

fn every_kind() -> Item {
    let option = ChoiceOption {
        code: "a".into(),
        display: "A".into(),
        score: Some(2),
        flag: true,
        coding: Some(Coding::new("http://loinc.org", "LA6568-5", "Not at all")),
        exclusive: true,
    };
    let band = Band { from: 18.5.into(), code: "healthy".into(), label: "Healthy".into() };
    let mut text =
        item("text", ItemKind::Text { max_length: 9, pattern: Some("x+".into()), repeats: true });
    text.required = true;
    text.help = Some("Help".into());
    text.code = Some(Coding::new("http://loinc.org", "8302-2", "Body height"));
    text.enable_when = Some(EnableWhen::any([
        Condition::fact(Fact::PatientSex, Operator::NotEqual, "male"),
        Condition::item("number", Operator::GreaterOrEqual, 2.5),
        Condition::item("boolean", Operator::Exists, true),
    ]));
    let consent = Consent { document: "telehealth".into(), version: "1".into() };
    let items = vec![
        text,
        item(
            "number",
            ItemKind::Number {
                minimum: Some(0.5.into()),
                maximum: None,
                integer: true,
                units: vec!["kg".into(), "[lb_av]".into()],
            },
        ),
        item("date", ItemKind::Date { earliest: "2024-02-29".parse().ok(), latest: None }),
        item("single", ItemKind::SingleChoice { options: vec![option.clone()] }),
        item("multiple", ItemKind::MultipleChoice { options: vec![option] }),
        item("boolean", ItemKind::Boolean { consent: Some(consent) }),
        item(
            "scale",
            ItemKind::Scale {
                minimum: -1,
                maximum: 10,
                minimum_label: Some("None".into()),
                maximum_label: None,
            },
        ),
        item("photo", ItemKind::Photo { minimum: 2, maximum: 4 }),
        item("display", ItemKind::Display),
        item(
            "rows",
            ItemKind::RepeatingGroup {
                items: vec![item("inner", ItemKind::Boolean { consent: None })],
                minimum: 1,
                maximum: 9,
            },
        ),
        item(
            "sum",
            ItemKind::Calculated {
                calculation: Calculation::Sum {
                    of: vec!["single".into()],
                    bands: vec![band.clone()],
                },
            },
        ),
        item(
            "bmi",
            ItemKind::Calculated {
                calculation: Calculation::BodyMassIndex {
                    height: "h".into(),
                    weight: "w".into(),
                    bands: vec![band],
                },
            },
        ),
    ];
    item("group", ItemKind::Group { items })
}

#[test]
fn every_kind_of_item_survives_the_wire() {
    let wire = FormItemView::of(every_kind()).to_json();
    let mut errors = Vec::new();
    let back = FormItemView::parse_from_json(wire).expect("it parses").read(&mut errors);
    assert_eq!(errors, []);
    assert_eq!(back, Some(every_kind()));
}

#[test]
fn what_cannot_be_read_is_named_by_its_path() {
    let read = |value: Value| {
        let mut errors = Vec::new();
        FormItemView::parse_from_json(Some(value)).expect("it parses").read(&mut errors);
        errors.into_iter().map(|error| error.path).collect::<Vec<_>>()
    };
    let photo = |maximum: Value| json!({ "link_id": "p", "type": "photo", "text": "?", "maximum": maximum });
    assert_eq!(read(photo(json!(2.5))), ["items.p.maximum"]);
    assert_eq!(read(photo(Value::Null)), [""; 0]);
    let scale =
        json!({ "link_id": "s", "type": "scale", "text": "?", "minimum": 0.5, "maximum": 3 });
    assert_eq!(read(scale), ["items.s.minimum"]);
    let rows = |minimum: Value| {
        let inner = json!([{ "link_id": "i", "type": "boolean", "text": "?" }]);
        json!({ "link_id": "r", "type": "repeating_group", "text": "?", "items": inner,
                "minimum": minimum, "maximum": 3 })
    };
    assert_eq!(read(rows(json!(1.5))), ["items.r.minimum"]);
    assert_eq!(read(rows(json!(-1))), ["items.r.minimum"]);
    assert_eq!(read(rows(Value::Null)), [""; 0]);
    let condition = json!({
        "link_id": "b", "type": "boolean", "text": "?",
        "enable_when": [
            { "question": "a", "operator": "~", "answer": true },
            { "question": "a", "operator": "=", "answer": [] },
        ],
    });
    assert_eq!(read(condition), ["items.b.enable_when", "items.b.enable_when"]);
    let calculated = json!({
        "link_id": "c", "type": "calculated", "text": "?",
        "calculation": { "method": "body_mass_index", "inputs": ["h"] },
    });
    assert_eq!(read(calculated), ["items.c.calculation"]);
}
