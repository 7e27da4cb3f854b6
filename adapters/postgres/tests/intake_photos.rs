//! Photos: rows in the database, sealed bytes as objects beside it.

use std::sync::Arc;

use bytes::Bytes;
use chrono::TimeDelta;
use intake::{
    FormDefinition, FormVersion, IntakeError, IntakeStore as _, Item, ItemKind, NewFormVersion,
    NewPhoto, Photo, PhotoVault, SaveDraft, Submission, SweepPhotos, create_version, delete_photo,
    open_draft, photo::MOST_WAITING, photo_content, publish_version, response, save_draft, submit,
    sweep_photos, upload_photo,
};
use kernel::{Actor, CategoryId, PatientId, Permission, PhotoId, Role, Uuid};
use objects::StoredObjects;
use ports::{IdempotencyKey, PortError, objects::Objects as _};
use salus_tests::{Database, TestSealer};
use sea_orm::{ConnectionTrait as _, DbBackend, Statement};
use serde_json::{Value, json};
use tempfile::TempDir;

use crate::intake::{
    ADA, AROUND, BOB, CATEGORY, account, admin, answers, denials, key, number, patient, provider,
};

/// A PNG of one pixel, as far as its container goes.
const PIXEL: &[u8] = b"\x89PNG\r\n\x1a\n\0\0\0\x0DIHDR\0\0\0\x01\0\0\0\x01\x08\x02\0\0\0\0\0\0\0\
    \0\0\0\x05IDATpixel\0\0\0\0\0\0\0\0IEND\xAE\x42\x60\x82";

struct World {
    database: Database,
    objects: Arc<StoredObjects>,
    vault: PhotoVault,
    form: FormVersion,
    _folder: TempDir,
}

fn definition() -> FormDefinition {
    let item = |link_id: &str, kind| Item::new(link_id, format!("About {link_id}?"), kind);
    let each = item("each", ItemKind::Photo { minimum: 1, maximum: 1 });
    let rows = ItemKind::RepeatingGroup { items: vec![each], minimum: 0, maximum: 5 };
    FormDefinition {
        title: "Acne".into(),
        description: None,
        items: vec![
            item("sore", ItemKind::Boolean { consent: None }),
            item("face", ItemKind::Photo { minimum: 1, maximum: 2 }),
            item("rows", rows),
        ],
        rules: vec![],
    }
}

impl World {
    async fn new() -> Self {
        let database = Database::fresh().await;
        let folder = tempfile::tempdir().unwrap();
        let objects = Arc::new(StoredObjects::in_folder(folder.path()).unwrap());
        let vault = PhotoVault::new(objects.clone(), Arc::new(TestSealer));
        let (env, pg) = (&database.env, &database.pg);
        let new = NewFormVersion {
            category: CATEGORY,
            slug: "acne-intake".into(),
            definition: definition(),
        };
        let made = create_version(env, pg, &AROUND, &admin(), new).await.unwrap();
        let form = publish_version(env, pg, &AROUND, &admin(), made.id, None).await.unwrap();
        Self { database, objects, vault, form, _folder: folder }
    }

    async fn upload(&self, who: PatientId, key: &str) -> Result<Photo, IntakeError> {
        let key = IdempotencyKey {
            operation: "intake.upload_photo",
            key: key.into(),
            fingerprint: [7; 32],
        };
        let new = NewPhoto { category: CATEGORY, bytes: PIXEL.to_vec() };
        let (env, pg) = (&self.database.env, &self.database.pg);
        upload_photo(env, pg, &AROUND, &self.vault, &patient(who), &key, new).await
    }

    async fn submit(
        &self,
        who: PatientId,
        key: &str,
        given: Value,
    ) -> Result<intake::FormResponse, IntakeError> {
        let submission =
            Submission { category: CATEGORY, form_version: self.form.id, answers: answers(given) };
        let (env, pg) = (&self.database.env, &self.database.pg);
        submit(env, pg, &AROUND, &patient(who), &self::key(key), submission).await
    }

    async fn read(&self, actor: &Actor, id: PhotoId) -> Result<(Photo, Vec<u8>), IntakeError> {
        photo_content(&self.database.pg, &AROUND, &self.vault, actor, id).await
    }

    async fn delete(&self, who: PatientId, id: PhotoId) -> Result<(), IntakeError> {
        delete_photo(&self.database.pg, &self.vault, &patient(who), id).await
    }

    async fn sweep(&self) -> (usize, usize) {
        let (env, pg) = (&self.database.env, &self.database.pg);
        sweep_photos(env, pg, &self.vault, SweepPhotos {}).await.unwrap()
    }

    async fn kept(&self) -> usize {
        self.objects.list("intake").await.unwrap().len()
    }

    async fn count(&self, sql: &str) -> i64 {
        number(&self.database.superuser().await, sql).await
    }
}

fn paths(refused: Result<intake::FormResponse, IntakeError>) -> Vec<(String, String)> {
    let Err(IntakeError::InvalidAnswers(fields)) = refused else { panic!("{refused:?}") };
    fields.into_iter().map(|field| (field.path, field.code)).collect()
}

fn unknown(path: &str) -> Vec<(String, String)> {
    vec![(path.to_owned(), "unknown_photo".to_owned())]
}

#[tokio::test]
async fn a_photo_is_sealed_read_by_its_patient_and_taken_by_the_response() {
    let world = World::new().await;
    let photo = world.upload(ADA, "k").await.unwrap();
    assert_eq!((photo.patient, photo.category, photo.response), (ADA, CATEGORY, None));
    assert_eq!(world.read(&patient(ADA), photo.id).await.unwrap(), (photo.clone(), PIXEL.to_vec()));
    let names = world.objects.list("intake").await.unwrap();
    assert_eq!(names, [format!("intake/photos/2026-03-02/{}", photo.id)]);
    let object = world.objects.get(&names[0]).await.unwrap().unwrap();
    assert!(!object.windows(5).any(|window| window == b"pixel"), "it lies in the clear");

    let mut drafted = answers(json!({ "face": [photo.id] }));
    let (env, pg) = (&world.database.env, &world.database.pg);
    let save = SaveDraft { category: CATEGORY, seen: None, answers: drafted.clone() };
    save_draft(env, pg, &AROUND, &patient(ADA), save).await.unwrap();
    let draft = open_draft(env, pg, &AROUND, &patient(ADA), CATEGORY).await.unwrap().draft;
    assert_eq!(draft.answers, drafted);
    let second = world.upload(ADA, "k2").await.unwrap();
    drafted.insert("rows".into(), json!([{ "each": [second.id] }]));
    let given = serde_json::to_value(drafted).unwrap();
    let taken = world.submit(ADA, "s", given.clone()).await.unwrap();
    let ids: Vec<PhotoId> = taken.photos.iter().map(|photo| photo.id).collect();
    assert_eq!(ids, [photo.id, second.id]);
    assert!(taken.photos.iter().all(|photo| photo.response == Some(taken.id)));
    let read = response(pg, &AROUND, &patient(ADA), taken.id).await.unwrap();
    assert_eq!(read, taken);
    assert_eq!(world.submit(ADA, "s", given).await.unwrap(), taken, "the same key");

    // From here on it never changes, and no other response has it.
    let again = world.submit(ADA, "s2", json!({ "face": [photo.id] })).await;
    assert_eq!(paths(again), unknown("answers.face"));
    let refused = world.delete(ADA, photo.id).await;
    assert!(matches!(refused, Err(IntakeError::PhotoAttached)), "{refused:?}");
    let pool = world.database.superuser().await;
    for sql in [
        "UPDATE intake_photos SET response_id = NULL",
        "UPDATE intake_photos SET digest = decode(repeat('00', 32), 'hex')",
        "DELETE FROM intake_photos",
    ] {
        let refused = pool.execute_unprepared(sql).await.unwrap_err().to_string();
        assert!(refused.contains("a photo of a response stays"), "{refused}");
    }
    let read = "SELECT count(*) FROM audit_entries WHERE entity = 'form_photo' \
                AND action = 'read' AND outcome = 'success' AND patient_id IS NOT NULL";
    assert_eq!(world.count(read).await, 1);
}

#[tokio::test]
async fn one_key_makes_one_photo_however_often_and_how_much_at_once() {
    let world = World::new().await;
    let (first, second) = tokio::join!(world.upload(ADA, "k"), world.upload(ADA, "k"));
    let (first, second) = (first.unwrap(), second.unwrap());
    assert_eq!(first, second);
    assert_eq!(world.upload(ADA, "k").await.unwrap(), first);
    assert_eq!(world.kept().await, 1, "what lost the race is not left behind");
    assert_ne!(world.upload(ADA, "k2").await.unwrap().id, first.id);
    assert_eq!(world.count("SELECT count(*) FROM intake_photos").await, 2);

    world.delete(ADA, first.id).await.unwrap();
    let gone = world.upload(ADA, "k").await;
    assert!(matches!(gone, Err(IntakeError::PhotoNotFound)), "{gone:?}");
}

#[tokio::test]
async fn what_is_no_photo_or_asked_by_no_form_is_not_kept() {
    let world = World::new().await;
    let (env, pg) = (&world.database.env, &world.database.pg);
    let send = |actor: Actor, category: CategoryId, bytes: &'static [u8]| {
        let vault = &world.vault;
        async move {
            let key = IdempotencyKey { fingerprint: [1; 32], ..key("k") };
            let new = NewPhoto { category, bytes: bytes.to_vec() };
            upload_photo(env, pg, &AROUND, vault, &actor, &key, new).await.unwrap_err()
        }
    };
    let refused = send(patient(ADA), CATEGORY, b"%PDF-1.7").await;
    let IntakeError::InvalidPhoto(fields) = refused else { panic!("{refused:?}") };
    assert_eq!((fields[0].path.as_str(), fields[0].code.as_str()), ("photo", "unsupported_type"));
    let nowhere = send(patient(ADA), CategoryId(Uuid::from_u128(1)), PIXEL).await;
    assert!(matches!(nowhere, IntakeError::CategoryNotFound), "{nowhere:?}");
    for other in [admin(), provider(), account(Uuid::from_u128(5), Role::Patient, &[])] {
        let refused = send(other, CATEGORY, PIXEL).await;
        assert!(matches!(refused, IntakeError::Forbidden(_)), "{refused:?}");
    }

    // A form without a question for photos takes none, but whoever began with
    // the one before may go on.
    let save = SaveDraft { category: CATEGORY, seen: None, answers: answers(json!({})) };
    save_draft(env, pg, &AROUND, &patient(BOB), save).await.unwrap();
    let mut plain = definition();
    plain.items.truncate(1);
    let new = NewFormVersion { category: CATEGORY, slug: "s".into(), definition: plain };
    let made = create_version(env, pg, &AROUND, &admin(), new).await.unwrap();
    publish_version(env, pg, &AROUND, &admin(), made.id, None).await.unwrap();
    let refused = send(patient(ADA), CATEGORY, PIXEL).await;
    assert!(matches!(refused, IntakeError::NoPhotoAsked), "{refused:?}");
    assert_eq!(world.kept().await, 0);
    world.upload(BOB, "k").await.unwrap();
}

#[tokio::test]
async fn no_more_than_so_many_photos_wait() {
    let world = World::new().await;
    let mut photos = Vec::new();
    for count in 0..MOST_WAITING - 1 {
        photos.push(world.upload(ADA, &format!("k{count}")).await.unwrap().id);
    }
    // Of two at once for the last place one gets it.
    let (one, other) = tokio::join!(world.upload(ADA, "a"), world.upload(ADA, "b"));
    assert_eq!(one.is_ok(), other.is_err(), "{one:?} {other:?}");
    let refused = one.and(other);
    assert!(matches!(refused, Err(IntakeError::TooManyPhotos(MOST_WAITING))), "{refused:?}");
    assert_eq!(world.kept().await as u64, MOST_WAITING);
    assert!(world.upload(ADA, "k0").await.is_ok(), "one that was made stays made");
    assert!(world.upload(BOB, "k").await.is_ok());
    world.submit(ADA, "s", json!({ "face": photos[..2] })).await.unwrap();
    assert!(world.upload(ADA, "c").await.is_ok());
}

#[tokio::test]
async fn another_patients_photo_is_one_that_does_not_exist() {
    let world = World::new().await;
    let photo = world.upload(ADA, "k").await.unwrap();
    let nobodys = PhotoId(Uuid::from_u128(0xdead));
    for id in [photo.id, nobodys] {
        let refused = world.submit(BOB, "s", json!({ "rows": [{ "each": [id] }] })).await;
        assert_eq!(paths(refused), unknown("answers.rows[0].each"));
        assert_eq!(denials(&world.database, id.uuid()).await, 1);
        let refused = world.read(&patient(BOB), id).await;
        assert!(matches!(refused, Err(IntakeError::PhotoNotFound)), "{refused:?}");
        let refused = world.delete(BOB, id).await;
        assert!(matches!(refused, Err(IntakeError::PhotoNotFound)), "{refused:?}");
        assert_eq!(denials(&world.database, id.uuid()).await, 3);
    }
    assert_eq!(world.count("SELECT count(*) FROM intake_responses").await, 0);
    // The refused submission has used up neither its key nor the photo.
    let own = world.upload(BOB, "k").await.unwrap();
    world.submit(BOB, "s", json!({ "face": [own.id] })).await.unwrap();
    world.submit(ADA, "s", json!({ "face": [photo.id] })).await.unwrap();
}

#[tokio::test]
async fn of_two_submissions_with_one_photo_one_gets_it() {
    let world = World::new().await;
    let photo = world.upload(ADA, "k").await.unwrap();
    let given = || json!({ "face": [photo.id] });
    let (one, other) =
        tokio::join!(world.submit(ADA, "a", given()), world.submit(ADA, "b", given()));
    let (won, lost) = if one.is_ok() { (one, other) } else { (other, one) };
    assert_eq!(won.unwrap().photos[0].id, photo.id);
    assert_eq!(paths(lost), unknown("answers.face"));
}

#[tokio::test]
async fn whoever_reads_the_response_reads_its_photos_and_no_other() {
    let world = World::new().await;
    let support = account(Uuid::from_u128(0x5), Role::Support, &[]);
    let every_chart =
        account(Uuid::from_u128(0x6), Role::SuperAdmin, &[Permission::PatientReadAny]);
    // The provider of these tests treats Ada alone.
    for (who, readers, others) in [
        (ADA, vec![provider(), every_chart.clone()], vec![patient(BOB), support.clone()]),
        (BOB, vec![every_chart.clone()], vec![patient(ADA), provider(), support.clone()]),
    ] {
        let photo = world.upload(who, "k").await.unwrap();
        for actor in readers.iter().chain(&others) {
            let early = world.read(actor, photo.id).await;
            assert!(matches!(early, Err(IntakeError::PhotoNotFound)), "{early:?}");
        }
        let taken = world.submit(who, "s", json!({ "face": [photo.id] })).await.unwrap();
        let pg = &world.database.pg;
        for actor in &readers {
            assert!(response(pg, &AROUND, actor, taken.id).await.is_ok());
            assert_eq!(world.read(actor, photo.id).await.unwrap().1, PIXEL);
        }
        for actor in &others {
            assert!(response(pg, &AROUND, actor, taken.id).await.is_err());
            let refused = world.read(actor, photo.id).await;
            assert!(matches!(refused, Err(IntakeError::PhotoNotFound)), "{refused:?}");
        }
    }
}

#[tokio::test]
async fn the_wall_holds_even_a_query_without_a_scope() {
    let world = World::new().await;
    let photo = world.upload(ADA, "k").await.unwrap();
    for (actor, seen) in [
        (patient(ADA), 1),
        (patient(BOB), 0),
        (Actor::anonymous(kernel::RequestContext::default()), 0),
    ] {
        let tx = world.database.pg.open(&actor).await.unwrap();
        let all = Statement::from_string(DbBackend::Postgres, "SELECT count(*) FROM intake_photos");
        let row = tx.read().query_one_raw(all).await.unwrap().unwrap();
        assert_eq!(row.try_get_by_index::<i64>(0).unwrap(), seen);
        drop(tx);
        let mut tx = intake::IntakeStore::begin(&world.database.pg, &actor).await.unwrap();
        let own: Option<Photo> = tx.find(photo.id).await.unwrap();
        assert_eq!(own.is_some(), seen == 1);
    }
}

#[tokio::test]
async fn an_object_that_is_another_or_missing_is_never_handed_out() {
    let world = World::new().await;
    let (photo, other) =
        (world.upload(ADA, "k").await.unwrap(), world.upload(ADA, "k2").await.unwrap());
    let name = |photo: &Photo| format!("intake/photos/2026-03-02/{}", photo.id);
    let theirs = world.objects.get(&name(&other)).await.unwrap().unwrap();
    world.objects.put(&name(&photo), theirs).await.unwrap();
    let failed = world.read(&patient(ADA), photo.id).await;
    assert!(matches!(failed, Err(IntakeError::Port(PortError::Internal { .. }))), "{failed:?}");
    world.objects.delete(&name(&photo)).await.unwrap();
    let failed = world.read(&patient(ADA), photo.id).await;
    assert!(matches!(failed, Err(IntakeError::Port(PortError::Internal { .. }))), "{failed:?}");
}

#[tokio::test]
async fn the_sweep_takes_what_waited_too_long_and_what_belongs_to_nobody() {
    let world = World::new().await;
    let attached = world.upload(ADA, "a").await.unwrap();
    world.submit(ADA, "s", json!({ "face": [attached.id] })).await.unwrap();
    let stale = world.upload(ADA, "b").await.unwrap();
    // An upload that was cut short between its object and its row.
    let stray = |day: &str| format!("intake/photos/{day}/{}", Uuid::from_u128(0xabc));
    for day in ["2026-03-02", "2026-03-08"] {
        world.objects.put(&stray(day), Bytes::from_static(b"sealed")).await.unwrap();
    }
    assert_eq!(world.sweep().await, (0, 0), "all of it is too young");

    world.database.clock.advance(TimeDelta::days(7) - TimeDelta::seconds(1));
    let fresh = world.upload(BOB, "c").await.unwrap();
    assert_eq!(world.sweep().await, (0, 1), "the stray object of the first day");
    world.database.clock.advance(TimeDelta::seconds(2));
    assert_eq!(world.sweep().await, (1, 0));
    assert_eq!(world.sweep().await, (0, 0));

    assert!(world.read(&patient(ADA), stale.id).await.is_err());
    let late = world.submit(ADA, "s2", json!({ "face": [stale.id] })).await;
    assert_eq!(paths(late), unknown("answers.face"));
    assert!(world.read(&patient(ADA), attached.id).await.is_ok());
    assert!(world.read(&patient(BOB), fresh.id).await.is_ok());
    assert_eq!(world.kept().await, 3, "the two photos and the young stray");
    let deleted = "SELECT count(*) FROM audit_entries WHERE entity = 'form_photo' \
                   AND action = 'delete' AND actor_id = 'intake.sweep_photos'";
    assert_eq!(world.count(deleted).await, 2);

    world.database.clock.advance(TimeDelta::days(3));
    assert_eq!(world.sweep().await, (0, 1), "the other stray has come of age");
    let mut tx = world.database.pg.begin(&Actor::system("tests.photos")).await.unwrap();
    let known = tx.known_photos(&[attached.id, stale.id, fresh.id]).await.unwrap();
    assert_eq!(known, [attached.id, fresh.id].into());
}

#[tokio::test]
async fn a_form_that_was_begun_keeps_its_photos_while_it_is_looked_after() {
    let world = World::new().await;
    let (env, pg) = (&world.database.env, &world.database.pg);
    let (named, other) =
        (world.upload(ADA, "a").await.unwrap(), world.upload(BOB, "b").await.unwrap());
    let save = async |seen| {
        let answers = answers(json!({ "face": [named.id] }));
        let saved = SaveDraft { category: CATEGORY, seen, answers };
        save_draft(env, pg, &AROUND, &patient(ADA), saved).await.unwrap().draft.version
    };
    let first = save(None).await;
    world.database.clock.advance(TimeDelta::days(80));
    assert_eq!(world.sweep().await.0, 1, "the one of who began no form");
    assert!(world.read(&patient(BOB), other.id).await.is_err());
    save(Some(first)).await;
    world.database.clock.advance(TimeDelta::days(80));
    assert_eq!(world.sweep().await.0, 0);
    world.database.clock.advance(TimeDelta::days(11));
    assert_eq!(world.sweep().await.0, 1, "the form is forgotten");
    assert!(world.read(&patient(ADA), named.id).await.is_err());
}
