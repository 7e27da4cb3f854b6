use std::{collections::BTreeSet, sync::Arc};

use async_trait::async_trait;
use intake::{
    Answer, ChangeKind, Condition, EnableWhen, Fact, Facts, FormChange, FormDefinition,
    FormVersion, IntakeError, Item, ItemKind, NewFormVersion, Operator, RawAnswers, ResponseQuery,
    SaveDraft, Submission, Surroundings, VersionStatus, compare_versions, create_version,
    current_form, draft_from, form_version, form_versions, open_draft, publish_version, response,
    response_history, revise_version, save_draft, seed_form, submit, validate_version,
};
use kernel::{
    AccountId, Actor, ActorKind, CategoryId, FormId, FormVersionId, PageRequest, PatientId,
    Permission, ProviderId, RequestContext, Role, SessionId, Sex, Uuid,
};
use ports::{IdempotencyKey, Panel, PortError};
use salus_postgres::Pg;
use salus_tests::Database;
use sea_orm::{ConnectionTrait as _, DatabaseConnection, DbBackend, Statement};
use serde_json::json;

pub const CATEGORY: CategoryId = CategoryId(Uuid::from_u128(0xca));
pub const ADA: PatientId = PatientId(Uuid::from_u128(0xada));
pub const BOB: PatientId = PatientId(Uuid::from_u128(0xb0b));

/// The contexts around intake: one active category, women of thirty, and a
/// provider who treats Ada alone.
pub struct Around {
    facts: Facts,
}

pub const AROUND: Around = Around { facts: Facts { sex: Some(Sex::Female), age: Some(30) } };

#[async_trait]
impl Surroundings for Around {
    async fn category_is_active(&self, category: CategoryId) -> ports::Result<bool> {
        Ok(category == CATEGORY)
    }

    async fn objections(
        &self,
        _: CategoryId,
        _: &intake::FormDefinition,
    ) -> ports::Result<Vec<kernel::FieldError>> {
        Ok(Vec::new())
    }

    async fn facts(&self, _: PatientId, _: chrono::DateTime<chrono::Utc>) -> ports::Result<Facts> {
        Ok(self.facts)
    }
}

#[async_trait]
impl Panel for Around {
    async fn treats(&self, _: ProviderId, patient: PatientId) -> ports::Result<bool> {
        Ok(patient == ADA)
    }
}

pub fn account(id: Uuid, role: Role, permissions: &[Permission]) -> Actor {
    Actor {
        kind: ActorKind::Account {
            account: AccountId(id),
            session: SessionId(id),
            roles: Arc::new([role].into()),
        },
        permissions: Arc::new(permissions.iter().copied().collect::<BTreeSet<_>>()),
        request: RequestContext::default(),
    }
}

pub fn patient(id: PatientId) -> Actor {
    account(id.uuid(), Role::Patient, &[Permission::IntakeSubmit])
}

pub fn provider() -> Actor {
    let may = [Permission::PatientRead, Permission::IntakeReadAny];
    account(Uuid::from_u128(0xd0c), Role::Provider, &may)
}

pub fn admin() -> Actor {
    account(Uuid::from_u128(0xad), Role::Admin, &[Permission::FormAdminister])
}

fn definition() -> FormDefinition {
    let item = |link_id: &str, required, kind| Item {
        required,
        ..Item::new(link_id, format!("About {link_id}?"), kind)
    };
    let yes_no = || ItemKind::Boolean { consent: None };
    let text = ItemKind::Text { max_length: 100, pattern: None, repeats: false };
    let mut pregnant = item("pregnant", true, yes_no());
    pregnant.enable_when =
        Some(EnableWhen::all([Condition::fact(Fact::PatientSex, Operator::NotEqual, "male")]));
    let mut which = item("which", true, text);
    which.enable_when =
        Some(EnableWhen::all([Condition::item("medications", Operator::Equal, true)]));
    FormDefinition {
        title: "Acne".into(),
        description: None,
        items: vec![item("medications", true, yes_no()), which, pregnant],
        rules: vec![],
    }
}

pub fn answers(value: serde_json::Value) -> RawAnswers {
    serde_json::from_value(value).unwrap()
}

fn complete() -> RawAnswers {
    answers(json!({"medications": false, "which": "dropped", "pregnant": false}))
}

async fn published(database: &Database) -> FormVersion {
    let new =
        NewFormVersion { category: CATEGORY, slug: "acne-intake".into(), definition: definition() };
    let (env, pg) = (&database.env, &database.pg);
    let made = create_version(env, pg, &AROUND, &admin(), new).await.unwrap();
    publish_version(env, pg, &AROUND, &admin(), made.id, None).await.unwrap()
}

pub fn key(key: &str) -> IdempotencyKey {
    IdempotencyKey { operation: "intake.submit", key: key.into(), fingerprint: [7; 32] }
}

fn submission(form: &FormVersion) -> Submission {
    Submission { category: CATEGORY, form_version: form.id, answers: complete() }
}

fn save(seen: Option<i64>, answers: RawAnswers) -> SaveDraft {
    SaveDraft { category: CATEGORY, seen, answers }
}

fn is_not_found<T>(result: &Result<T, IntakeError>, what: &str) -> bool {
    matches!(result, Err(IntakeError::Port(PortError::NotFound { name, .. })) if *name == what)
}

pub async fn number(pool: &DatabaseConnection, sql: &str) -> i64 {
    let statement = Statement::from_string(DbBackend::Postgres, sql);
    let row = pool.query_one_raw(statement).await.expect("a query").expect("a row");
    row.try_get_by_index(0).expect("a count")
}

fn history(patient: PatientId, limit: u32, cursor: Option<String>) -> ResponseQuery {
    ResponseQuery { patient, category: None, page: PageRequest::new(Some(limit), cursor) }
}

#[tokio::test]
async fn a_published_version_is_read_by_all_and_a_draft_by_administrators() {
    let database = Database::fresh().await;
    let (env, pg) = (&database.env, &database.pg);
    let first = published(&database).await;
    assert_eq!((first.number, first.is_published()), (1, true));
    let visitor = Actor::anonymous(RequestContext::default());
    assert_eq!(current_form(pg, &AROUND, &visitor, CATEGORY).await.unwrap(), first);

    let new =
        NewFormVersion { category: CATEGORY, slug: "ignored".into(), definition: definition() };
    let second = create_version(env, pg, &AROUND, &admin(), new).await.unwrap();
    assert_eq!((second.number, second.form.slug.as_str()), (2, "acne-intake"));
    let hidden = form_version(pg, &visitor, second.id).await;
    assert!(is_not_found(&hidden, "form_version"), "{hidden:?}");
    assert_eq!(form_version(pg, &admin(), second.id).await.unwrap(), second);

    publish_version(env, pg, &AROUND, &admin(), second.id, None).await.unwrap();
    let before = form_version(pg, &visitor, first.id).await.unwrap();
    assert!(matches!(before.status, VersionStatus::Retired { .. }));
    let now = current_form(pg, &AROUND, &visitor, CATEGORY).await.unwrap();
    assert_eq!(now.id, second.id);
}

#[tokio::test]
async fn a_published_form_is_edited_as_a_draft_that_two_authors_do_not_overwrite() {
    let database = Database::fresh().await;
    let (env, pg) = (&database.env, &database.pg);
    let first = published(&database).await;
    let change = |seen, title: &str| FormChange {
        seen,
        definition: FormDefinition { title: title.into(), ..definition() },
        based_on: None,
    };
    let refused = revise_version(env, pg, &admin(), first.id, change(1, "Skin")).await;
    assert!(matches!(refused, Err(IntakeError::AlreadyPublished)), "{refused:?}");

    let draft = draft_from(env, pg, &admin(), first.id).await.unwrap();
    assert_eq!((draft.number, draft.based_on), (2, Some(first.id)));
    assert_eq!(draft.definition, first.definition);
    let changed = revise_version(env, pg, &admin(), draft.id, change(1, "Skin")).await.unwrap();
    let lost = revise_version(env, pg, &admin(), draft.id, change(1, "Face")).await;
    assert!(matches!(lost, Err(IntakeError::RevisionChanged { current: 2, .. })), "{lost:?}");
    let lost = publish_version(env, pg, &AROUND, &admin(), draft.id, Some(1)).await;
    assert!(matches!(lost, Err(IntakeError::RevisionChanged { current: 2, .. })), "{lost:?}");

    let told = compare_versions(pg, &admin(), draft.id, None).await.unwrap();
    assert_eq!(told.len(), 1);
    assert_eq!(
        (told[0].kind, told[0].fields.as_slice()),
        (ChangeKind::Changed, &["title".to_owned()][..])
    );

    let other = draft_from(env, pg, &admin(), first.id).await.unwrap();
    publish_version(env, pg, &AROUND, &admin(), draft.id, Some(changed.version)).await.unwrap();
    let stale = publish_version(env, pg, &AROUND, &admin(), other.id, None).await;
    assert!(matches!(stale, Err(IntakeError::Superseded(2))), "{stale:?}");
    let taken_in = FormChange { based_on: Some(draft.id), ..change(1, "Face") };
    revise_version(env, pg, &admin(), other.id, taken_in).await.unwrap();
    publish_version(env, pg, &AROUND, &admin(), other.id, None).await.unwrap();

    let two = PageRequest::new(Some(2), None);
    let page = form_versions(pg, &admin(), Some(CATEGORY), &two).await.unwrap();
    assert_eq!(page.items.iter().map(|version| version.number).collect::<Vec<_>>(), [3, 2]);
    let next = form_versions(pg, &admin(), None, &PageRequest::new(Some(2), page.next)).await;
    assert_eq!(next.unwrap().items[0].id, first.id);
    let denied = form_versions(pg, &patient(ADA), None, &PageRequest::default()).await;
    assert!(matches!(denied, Err(IntakeError::Forbidden(_))), "{denied:?}");
}

#[tokio::test]
async fn a_definition_that_could_not_be_read_back_is_not_kept() {
    let database = Database::fresh().await;
    let (env, pg) = (&database.env, &database.pg);
    let first = published(&database).await;
    let mut deep = first.definition.clone();
    for at in 0..45 {
        let group = Item::new(
            format!("g{at}"),
            "A group.",
            ItemKind::Group { items: std::mem::take(&mut deep.items) },
        );
        deep.items = vec![group];
    }
    let draft = draft_from(env, pg, &admin(), first.id).await.unwrap();
    let change =
        FormChange { seen: draft.version, definition: deep.clone(), based_on: draft.based_on };
    let new = NewFormVersion { category: CATEGORY, slug: "deep".into(), definition: deep };
    let revised = revise_version(env, pg, &admin(), draft.id, change).await;
    let made = create_version(env, pg, &AROUND, &admin(), new).await;
    for refused in [revised, made] {
        let Err(IntakeError::InvalidDefinition(errors)) = refused else { panic!("it was kept") };
        assert_eq!((&*errors[0].path, &*errors[0].code), ("definition.items.g36", "too_deep"));
    }
    let listed = form_versions(pg, &admin(), Some(CATEGORY), &PageRequest::default()).await;
    assert_eq!(listed.unwrap().items.len(), 2);
}

/// Whoever reads the answers misses one.
struct Objecting;

#[async_trait]
impl Surroundings for Objecting {
    async fn category_is_active(&self, _: CategoryId) -> ports::Result<bool> {
        Ok(true)
    }

    async fn objections(
        &self,
        _: CategoryId,
        definition: &FormDefinition,
    ) -> ports::Result<Vec<kernel::FieldError>> {
        let asked = definition.item("smokes").is_some();
        let missed = kernel::FieldError::new("rules.1.smoker", "unknown_field", "It is missed.");
        Ok(if asked { Vec::new() } else { vec![missed] })
    }

    async fn facts(&self, _: PatientId, _: chrono::DateTime<chrono::Utc>) -> ports::Result<Facts> {
        Ok(Facts::default())
    }
}

#[tokio::test]
async fn a_form_without_what_a_rule_reads_is_not_published() {
    let database = Database::fresh().await;
    let (env, pg) = (&database.env, &database.pg);
    let first = published(&database).await;
    let draft = draft_from(env, pg, &admin(), first.id).await.unwrap();
    let told = validate_version(pg, &Objecting, &admin(), draft.id).await.unwrap();
    assert_eq!(
        told.iter().map(|error| error.path.as_str()).collect::<Vec<_>>(),
        ["rules.1.smoker"]
    );
    let refused = publish_version(env, pg, &Objecting, &admin(), draft.id, None).await;
    assert!(matches!(refused, Err(IntakeError::InvalidDefinition(_))), "{refused:?}");
    let visitor = Actor::anonymous(RequestContext::default());
    assert_eq!(current_form(pg, &AROUND, &visitor, CATEGORY).await.unwrap().id, first.id);
}

#[tokio::test]
async fn the_database_itself_keeps_a_published_version_as_it_is() {
    let database = Database::fresh().await;
    published(&database).await;
    let pool = database.superuser().await;
    for sql in [
        "UPDATE intake_form_versions SET definition = '{}'",
        "UPDATE intake_form_versions SET published_at = published_at + interval '1 day'",
        "DELETE FROM intake_form_versions",
    ] {
        let refused = pool.execute_unprepared(sql).await.unwrap_err().to_string();
        assert!(refused.contains("form version"), "{refused}");
    }
}

#[tokio::test]
async fn a_draft_is_saved_read_and_sealed() {
    let database = Database::fresh().await;
    let (env, pg) = (&database.env, &database.pg);
    let form = published(&database).await;
    let none = open_draft(&database.env, pg, &AROUND, &patient(ADA), CATEGORY).await;
    assert!(matches!(none, Err(IntakeError::DraftNotFound)), "{none:?}");

    let written = answers(json!({"medications": true, "which": "isotretinoin"}));
    let saved =
        save_draft(env, pg, &AROUND, &patient(ADA), save(None, written.clone())).await.unwrap();
    assert_eq!((saved.draft.version, saved.draft.form_version), (1, form.id));
    assert!(saved.evaluation.enabled.contains("which"));
    let read = open_draft(&database.env, pg, &AROUND, &patient(ADA), CATEGORY).await.unwrap();
    assert_eq!(read.draft.answers, written);

    let changed = answers(json!({"medications": false, "which": "isotretinoin"}));
    let changed =
        save_draft(env, pg, &AROUND, &patient(ADA), save(Some(1), changed)).await.unwrap();
    assert_eq!(changed.draft.version, 2);
    assert!(!changed.evaluation.answers.contains_key("which"));
    assert!(changed.draft.answers.contains_key("which"), "a draft forgets nothing");

    let other = open_draft(&database.env, pg, &AROUND, &patient(BOB), CATEGORY).await;
    assert!(matches!(other, Err(IntakeError::DraftNotFound)), "{other:?}");
    let pool = database.superuser().await;
    let clear =
        "SELECT count(*) FROM intake_drafts WHERE position('isotretinoin'::bytea IN answers) > 0";
    assert_eq!(number(&pool, clear).await, 0);
    assert_eq!(number(&pool, "SELECT count(*) FROM intake_drafts").await, 1);
}

#[tokio::test]
async fn of_two_saves_of_a_draft_one_loses() {
    let database = Database::fresh().await;
    let (env, pg) = (&database.env, &database.pg);
    published(&database).await;
    let actor = patient(ADA);
    let race = |seen| async move {
        let (a, b) =
            (answers(json!({"medications": true})), answers(json!({"medications": false})));
        let actor = patient(ADA);
        let (first, second) = tokio::join!(
            save_draft(env, pg, &AROUND, &actor, save(seen, a)),
            save_draft(env, pg, &AROUND, &actor, save(seen, b)),
        );
        let (won, lost) = if first.is_ok() { (first, second) } else { (second, first) };
        let Err(IntakeError::DraftChanged { current, fields }) = lost else {
            panic!("{lost:?}");
        };
        assert_eq!(current, won.as_ref().ok().map(|won| won.draft.version));
        let told: Vec<_> = fields.iter().map(|field| field.path.as_str()).collect();
        assert_eq!(told, ["answers.medications"]);
        won.unwrap().draft
    };
    let created = race(None).await;
    let changed = race(Some(created.version)).await;
    assert_eq!((changed.id, changed.version), (created.id, 2));
    assert_eq!(
        open_draft(&database.env, pg, &AROUND, &actor, CATEGORY).await.unwrap().draft,
        changed
    );
}

#[tokio::test]
async fn submitting_twice_at_once_with_one_key_gives_one_response() {
    let database = Database::fresh().await;
    let (env, pg) = (&database.env, &database.pg);
    let form = published(&database).await;
    save_draft(env, pg, &AROUND, &patient(ADA), save(None, complete())).await.unwrap();
    let (actor, key) = (patient(ADA), key("k1"));
    let (first, second) = tokio::join!(
        submit(env, pg, &AROUND, &actor, &key, submission(&form)),
        submit(env, pg, &AROUND, &actor, &key, submission(&form)),
    );
    let (first, second) = (first.unwrap(), second.unwrap());
    assert_eq!(first, second);
    assert_eq!(first.answers.keys().collect::<Vec<_>>(), ["medications", "pregnant"]);
    assert_eq!(first.answers["pregnant"], Answer::Boolean(false));
    let late = submit(env, pg, &AROUND, &actor, &key, submission(&form)).await.unwrap();
    assert_eq!(late, first);

    let pool = database.superuser().await;
    assert_eq!(number(&pool, "SELECT count(*) FROM intake_responses").await, 1);
    assert_eq!(number(&pool, "SELECT count(*) FROM intake_drafts").await, 0);
    let events = "SELECT count(*) FROM outbox_events WHERE kind = 'response_submitted'";
    assert_eq!(number(&pool, events).await, 1);

    let other = IdempotencyKey { fingerprint: [8; 32], ..key };
    let reused = submit(env, pg, &AROUND, &actor, &other, submission(&form)).await;
    assert!(
        matches!(reused, Err(IntakeError::Port(PortError::IdempotencyKeyReused))),
        "{reused:?}"
    );
}

#[tokio::test]
async fn a_refused_submission_leaves_its_key_free() {
    let database = Database::fresh().await;
    let (env, pg) = (&database.env, &database.pg);
    let form = published(&database).await;
    let (actor, key) = (patient(ADA), key("k1"));
    let wanting =
        Submission { answers: answers(json!({"medications": true})), ..submission(&form) };
    let refused = submit(env, pg, &AROUND, &actor, &key, wanting).await;
    let Err(IntakeError::InvalidAnswers(fields)) = refused else { panic!("{refused:?}") };
    let paths: Vec<_> = fields.iter().map(|field| field.path.as_str()).collect();
    assert_eq!(paths, ["answers.which", "answers.pregnant"]);
    submit(env, pg, &AROUND, &actor, &key, submission(&form)).await.unwrap();
}

#[tokio::test]
async fn a_form_that_asks_facts_waits_for_the_profile() {
    let database = Database::fresh().await;
    let (env, pg) = (&database.env, &database.pg);
    let form = published(&database).await;
    let unknown = Around { facts: Facts::default() };
    let early = submit(env, pg, &unknown, &patient(ADA), &key("k1"), submission(&form)).await;
    assert!(matches!(early, Err(IntakeError::ProfileIncomplete)), "{early:?}");
}

#[tokio::test]
async fn who_began_before_a_new_version_may_finish_and_nobody_else() {
    let database = Database::fresh().await;
    let (env, pg) = (&database.env, &database.pg);
    let first = published(&database).await;
    save_draft(env, pg, &AROUND, &patient(ADA), save(None, complete())).await.unwrap();
    let second = published(&database).await;
    assert_eq!(second.number, 2);
    let late = submit(env, pg, &AROUND, &patient(BOB), &key("k"), submission(&first)).await;
    assert!(matches!(late, Err(IntakeError::FormNotCurrent)), "{late:?}");
    let done = submit(env, pg, &AROUND, &patient(ADA), &key("k"), submission(&first)).await;
    assert_eq!(done.unwrap().version_number, 1);
    let again = submit(env, pg, &AROUND, &patient(ADA), &key("k2"), submission(&first)).await;
    assert!(matches!(again, Err(IntakeError::FormNotCurrent)), "{again:?}");
}

pub async fn denials(database: &Database, entity_id: Uuid) -> i64 {
    let sql = format!(
        "SELECT count(*) FROM audit_entries WHERE outcome = 'denied' AND entity_id = '{entity_id}'"
    );
    number(&database.superuser().await, &sql).await
}

#[tokio::test]
async fn another_patients_response_is_not_there_and_the_attempt_is_audited() {
    let database = Database::fresh().await;
    let (env, pg) = (&database.env, &database.pg);
    let form = published(&database).await;
    let own = submit(env, pg, &AROUND, &patient(ADA), &key("k"), submission(&form)).await.unwrap();
    assert_eq!(response(pg, &AROUND, &patient(ADA), own.id).await.unwrap(), own);

    let foreign = response(pg, &AROUND, &patient(BOB), own.id).await;
    assert!(is_not_found(&foreign, "form_response"), "{foreign:?}");
    assert_eq!(denials(&database, own.id.uuid()).await, 1);
    let list = response_history(pg, &AROUND, &patient(BOB), history(ADA, 10, None)).await;
    assert!(matches!(list, Err(IntakeError::PatientNotFound)), "{list:?}");
    assert_eq!(denials(&database, ADA.uuid()).await, 1);
}

#[tokio::test]
async fn providers_read_their_panel_and_other_staff_nothing() {
    let database = Database::fresh().await;
    let (env, pg) = (&database.env, &database.pg);
    let form = published(&database).await;
    let ada = submit(env, pg, &AROUND, &patient(ADA), &key("k"), submission(&form)).await.unwrap();
    let bob = submit(env, pg, &AROUND, &patient(BOB), &key("k"), submission(&form)).await.unwrap();
    assert_eq!(response(pg, &AROUND, &provider(), ada.id).await.unwrap(), ada);
    let outside = response(pg, &AROUND, &provider(), bob.id).await;
    assert!(is_not_found(&outside, "form_response"), "{outside:?}");
    let support = account(Uuid::from_u128(0x5), Role::Support, &[]);
    let outside = response(pg, &AROUND, &support, ada.id).await;
    assert!(is_not_found(&outside, "form_response"), "{outside:?}");
}

#[tokio::test]
async fn the_wall_holds_even_a_query_without_a_scope() {
    let database = Database::fresh().await;
    let (env, pg) = (&database.env, &database.pg);
    let form = published(&database).await;
    submit(env, pg, &AROUND, &patient(ADA), &key("k"), submission(&form)).await.unwrap();
    let seen = |actor: Actor| {
        let pg: Pg = pg.clone();
        async move {
            let tx = pg.open(&actor).await.unwrap();
            let statement = Statement::from_string(
                DbBackend::Postgres,
                "SELECT count(*) FROM intake_responses",
            );
            let row = tx.read().query_one_raw(statement).await.unwrap().unwrap();
            row.try_get_by_index::<i64>(0).unwrap()
        }
    };
    assert_eq!(seen(patient(ADA)).await, 1);
    assert_eq!(seen(patient(BOB)).await, 0);
    assert_eq!(seen(Actor::anonymous(RequestContext::default())).await, 0);
}

#[tokio::test]
async fn history_is_paged_latest_first() {
    let database = Database::fresh().await;
    let (env, pg) = (&database.env, &database.pg);
    let form = published(&database).await;
    let mut made = Vec::new();
    for count in 0..3 {
        let key = key(&format!("k{count}"));
        made.push(submit(env, pg, &AROUND, &patient(ADA), &key, submission(&form)).await.unwrap());
    }
    made.reverse();
    let first = response_history(pg, &AROUND, &patient(ADA), history(ADA, 2, None)).await.unwrap();
    let next = response_history(pg, &AROUND, &patient(ADA), history(ADA, 2, first.next.clone()))
        .await
        .unwrap();
    assert_eq!([first.items, next.items].concat(), made);
    assert_eq!(next.next, None);
}

#[tokio::test]
async fn a_seeded_form_is_sown_once() {
    let database = Database::fresh().await;
    let (env, pg) = (&database.env, &database.pg);
    let system = Actor::system("tests.intake");
    let ids = (FormId(Uuid::from_u128(1)), FormVersionId(Uuid::from_u128(2)));
    let new =
        || NewFormVersion { category: CATEGORY, slug: "acne".into(), definition: definition() };
    let first = seed_form(env, pg, &system, ids.0, &[ids.1], new()).await.unwrap();
    let second = seed_form(env, pg, &system, ids.0, &[ids.1], new()).await.unwrap();
    assert_eq!((first.id, second.id), (ids.1, ids.1));
    assert_eq!(first, second);

    // A later seed takes the place of an earlier one, and of nothing else.
    let later = FormVersionId(Uuid::from_u128(3));
    let longer = || FormDefinition { title: "Skin".into(), ..definition() };
    let longer = || NewFormVersion { definition: longer(), ..new() };
    for _ in 0..2 {
        let sown = seed_form(env, pg, &system, ids.0, &[ids.1, later], longer()).await.unwrap();
        assert_eq!((sown.id, sown.number), (later, 2));
        assert_eq!(sown.definition.title, "Skin");
    }
    let of_an_author = published(&database).await;
    let kept = seed_form(env, pg, &system, ids.0, &[ids.1, later], longer()).await.unwrap();
    assert_eq!(kept.id, of_an_author.id);
}
