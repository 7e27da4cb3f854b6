use std::{collections::BTreeSet, sync::Arc, time::Duration};

use chrono::TimeDelta;
use compliance::{
    AuditStore, ChainStore, ComplianceError, Finding, Report, TrailFilter,
    export::export_trail,
    report::activity,
    sealer::{SealerState, Step, step},
    trail::read_trail,
    verify::verify,
};
use kernel::{
    AccountId, Actor, ActorKind, AuditEntryId, DomainError as _, PageRequest, PatientId,
    Permission, RequestContext, Role, SessionId, Uuid,
};
use objects::StoredObjects;
use ports::{AuditAction, AuditEntry, UnitOfWork};
use salus_postgres::PgTx;
use salus_tests::{Database, TestChainKeys, eventually};
use sea_orm::{ConnectionTrait as _, DbBackend, Statement};

const KEYS: TestChainKeys = TestChainKeys("ours");

struct Log {
    database: Database,
    objects: StoredObjects,
    state: SealerState,
    _folder: tempfile::TempDir,
}

impl Log {
    async fn new() -> Self {
        let folder = tempfile::tempdir().unwrap();
        Self {
            database: Database::fresh().await,
            objects: StoredObjects::in_folder(folder.path().join("objects")).unwrap(),
            state: SealerState::default(),
            _folder: folder,
        }
    }

    async fn open(&self) -> PgTx {
        self.database.pg.open(&Actor::system("tests.compliance")).await.unwrap()
    }

    async fn record(&self, count: usize) {
        for number in 0..count {
            let mut tx = self.open().await;
            let entry = AuditEntry::new(AuditAction::Update, "invoice", number);
            tx.audit(entry.detail("number", number).detail("from", "draft"));
            Box::new(tx).commit().await.unwrap();
        }
    }

    async fn seal(&mut self) -> Step {
        let Database { pg, env, .. } = &self.database;
        step(env, pg, &self.objects, &KEYS, &mut self.state, TimeDelta::zero()).await.unwrap()
    }

    async fn verify(&self) -> Report {
        verify(&self.database.pg, &self.objects, &KEYS).await.unwrap()
    }

    /// Changes what only someone with the database's highest rights can.
    async fn tamper(&self, sql: &str) {
        let admin = self.database.superuser().await;
        let sql = format!(
            "ALTER TABLE audit_entries DISABLE TRIGGER USER;
             ALTER TABLE audit_chain DISABLE TRIGGER USER;
             {sql};
             ALTER TABLE audit_entries ENABLE TRIGGER USER;
             ALTER TABLE audit_chain ENABLE TRIGGER USER;"
        );
        admin.execute_unprepared(&sql).await.unwrap();
    }

    async fn entry_at(&self, position: i64) -> AuditEntryId {
        let sql = format!("SELECT entry_id FROM audit_chain WHERE position = {position}");
        let statement = Statement::from_string(DbBackend::Postgres, sql);
        let row = self.database.pg.pool().query_one_raw(statement).await.unwrap().unwrap();
        AuditEntryId(row.try_get("", "entry_id").unwrap())
    }
}

/// A log of ten entries, sealed and anchored.
async fn sealed_log() -> Log {
    let mut log = Log::new().await;
    log.record(10).await;
    assert_eq!(log.seal().await, Step { linked: 10, anchored: true, broken: false });
    assert!(log.verify().await.is_intact());
    log
}

#[tokio::test]
async fn what_is_committed_is_chained_once_and_anchored() {
    let mut log = Log::new().await;
    assert_eq!(log.seal().await, Step::default());
    assert!(log.verify().await.is_intact());
    log.record(3).await;
    let report = log.verify().await;
    assert!(report.is_intact(), "what waits is not behind the chain: {report}");
    assert_eq!(report.waiting, 3);
    assert!(log.seal().await.anchored);
    log.record(2).await;
    assert_eq!(log.seal().await.linked, 2);
    assert_eq!(log.seal().await, Step::default());
    let report = log.verify().await;
    assert_eq!((report.links, report.anchors, report.waiting), (5, 2, 0));
    assert!(report.is_intact(), "{report}");
    assert_eq!(log.database.pg.lag().await.unwrap(), Duration::ZERO);
}

#[tokio::test]
async fn an_entry_that_commits_late_with_a_low_number_is_chained() {
    let mut log = Log::new().await;
    let mut late = log.open().await;
    late.audit(AuditEntry::new(AuditAction::Read, "invoice", "late"));
    log.record(2).await;
    assert_eq!(log.seal().await.linked, 2);
    let mut rolled_back = log.open().await;
    rolled_back.audit(AuditEntry::new(AuditAction::Read, "invoice", "never"));
    drop(rolled_back);
    Box::new(late).commit().await.unwrap();
    log.record(1).await;
    assert_eq!(log.seal().await.linked, 2);
    let report = log.verify().await;
    assert_eq!(report.links, 4);
    assert!(report.is_intact(), "{report}");
}

#[tokio::test]
async fn the_lag_grows_until_the_sealer_comes() {
    let mut log = Log::new().await;
    log.record(1).await;
    let pg = log.database.pg.clone();
    eventually("the lag to grow", Duration::from_secs(5), async || {
        (pg.lag().await.unwrap() > Duration::from_millis(20)).then_some(())
    })
    .await;
    log.seal().await;
    assert_eq!(pg.lag().await.unwrap(), Duration::ZERO);
}

#[tokio::test]
async fn sealers_that_meet_make_one_chain() {
    let log = Log::new().await;
    log.record(40).await;
    let objects = Arc::new(log.objects);
    let mut sealers = tokio::task::JoinSet::new();
    for _ in 0..6 {
        let (pg, env) = (log.database.pg.clone(), log.database.env.clone());
        let objects = objects.clone();
        sealers.spawn(async move {
            let mut state = SealerState::default();
            step(&env, &pg, objects.as_ref(), &KEYS, &mut state, TimeDelta::zero())
                .await
                .unwrap()
                .linked
        });
    }
    let linked: usize = sealers.join_all().await.into_iter().sum();
    assert_eq!(linked, 40);
    let report = verify(&log.database.pg, objects.as_ref(), &KEYS).await.unwrap();
    assert!(report.is_intact() && report.links == 40, "{report}");
}

#[tokio::test]
async fn an_altered_field_is_found_whichever_it_is() {
    for change in [
        "outcome = 'denied'",
        "occurred_at = occurred_at + interval '1 microsecond'",
        "detail = jsonb_set(detail, '{from}', '\"paid\"')",
        "roles = ARRAY['admin']",
        "patient_id = '00000000-0000-7000-8000-000000000001'",
        "ip = ''",
    ] {
        let log = sealed_log().await;
        let entry = log.entry_at(4).await;
        log.tamper(&format!("UPDATE audit_entries SET {change} WHERE id = '{entry}'")).await;
        let report = log.verify().await;
        assert_eq!(report.findings, [Finding::EntryAltered { position: 4, entry }], "{change}");
        assert!(report.to_string().contains(&entry.to_string()));
    }
}

#[tokio::test]
async fn a_deleted_row_is_found() {
    let log = sealed_log().await;
    let entry = log.entry_at(7).await;
    log.tamper(&format!("DELETE FROM audit_entries WHERE id = '{entry}'")).await;
    assert_eq!(log.verify().await.findings, [Finding::EntryDeleted { position: 7, entry }]);
}

#[tokio::test]
async fn the_first_of_several_is_named_first() {
    let log = sealed_log().await;
    let (third, eighth) = (log.entry_at(3).await, log.entry_at(8).await);
    log.tamper(&format!(
        "DELETE FROM audit_entries WHERE id = '{eighth}';
         UPDATE audit_entries SET entity = 'x' WHERE id = '{third}'"
    ))
    .await;
    let report = log.verify().await;
    assert_eq!(report.first(), Some(&Finding::EntryAltered { position: 3, entry: third }));
    assert_eq!(report.findings.len(), 2);
}

#[tokio::test]
async fn a_tail_that_was_deleted_with_its_links_is_found_by_the_anchor() {
    let mut log = sealed_log().await;
    let last = log.entry_at(10).await;
    log.tamper(
        "DELETE FROM audit_entries WHERE id IN
             (SELECT entry_id FROM audit_chain WHERE position >= 9);
         DELETE FROM audit_chain WHERE position >= 9",
    )
    .await;
    let cut = Finding::CutOff { position: 9, anchored: 10, entry: last };
    assert_eq!(log.verify().await.findings, [cut]);

    // A server that starts on it says so, and what it chains over the gap does
    // not hide it.
    log.state = SealerState::default();
    assert!(log.seal().await.broken);
    log.record(5).await;
    log.seal().await;
    let first = log.verify().await.first().cloned();
    assert_eq!(first, Some(Finding::AnchorDiffers { position: 10, entry: last }));
}

#[tokio::test]
async fn a_log_that_was_emptied_is_found() {
    let log = sealed_log().await;
    let entry = log.entry_at(10).await;
    log.tamper("DELETE FROM audit_entries; DELETE FROM audit_chain").await;
    let report = log.verify().await;
    assert_eq!(report.findings, [Finding::CutOff { position: 1, anchored: 10, entry }]);
}

#[tokio::test]
async fn an_inserted_row_is_found() {
    let mut log = sealed_log().await;
    let id = Uuid::from_u128(0xbad);
    log.tamper(&format!(
        "INSERT INTO audit_entries (id, seq, occurred_at, actor_kind, roles, action, entity, \
         entity_id, outcome, detail) OVERRIDING SYSTEM VALUE \
         VALUES ('{id}', 4, now(), 'account', '{{}}', 'read', 'invoice', '1', 'success', '{{}}')"
    ))
    .await;
    let finding = Finding::EntryInserted { entry: AuditEntryId(id), seq: 4 };
    assert_eq!(log.verify().await.findings, std::slice::from_ref(&finding));
    log.record(1).await;
    log.seal().await;
    assert_eq!(log.verify().await.findings, [finding], "the sealer does not adopt it");
}

#[tokio::test]
async fn an_altered_link_is_found_whichever_field_it_is() {
    for change in [
        "entry_hash = sha256('x')",
        "chain_hash = sha256('x')",
        "sealed_at = sealed_at - interval '1 hour'",
    ] {
        let log = sealed_log().await;
        let entry = log.entry_at(5).await;
        log.tamper(&format!("UPDATE audit_chain SET {change} WHERE position = 5")).await;
        let first = log.verify().await.first().cloned();
        assert_eq!(first, Some(Finding::LinkAltered { position: 5, entry }), "{change}");
    }
    let log = sealed_log().await;
    log.tamper("DELETE FROM audit_chain WHERE position = 5").await;
    let report = log.verify().await;
    assert_eq!(report.first(), Some(&Finding::LinkMissing { position: 5 }));
    assert_eq!(report.findings.len(), 2, "its entry is now behind the chain: {report}");
}

#[tokio::test]
async fn a_chain_that_was_written_anew_is_found_by_the_anchor() {
    let mut log = sealed_log().await;
    let entry = log.entry_at(10).await;
    log.tamper(
        "UPDATE audit_entries SET entity_id = 'forged' WHERE seq = 3;
         DELETE FROM audit_chain;
         INSERT INTO audit_unchained (entry_id, seq) SELECT id, seq FROM audit_entries",
    )
    .await;
    log.seal().await;
    let report = log.verify().await;
    assert_eq!(report.first(), Some(&Finding::AnchorDiffers { position: 10, entry }));
}

/// Whoever holds the database and not the keys writes all of the log anew, with
/// hashes that fit, and there is no anchor that could tell.
#[tokio::test]
async fn a_log_that_was_written_anew_without_the_key_is_found_without_an_anchor() {
    for theirs in [Some(TestChainKeys("theirs")), None] {
        let mut log = Log::new().await;
        log.record(10).await;
        let (pg, env) = (log.database.pg.clone(), log.database.env.clone());
        log.seal().await;
        log.tamper(
            "UPDATE audit_entries SET entity_id = 'forged' WHERE seq = 3;
             DELETE FROM audit_chain;
             INSERT INTO audit_unchained (entry_id, seq) SELECT id, seq FROM audit_entries",
        )
        .await;
        // Their own sealer, on objects of their own.
        let folder = tempfile::tempdir().unwrap();
        let elsewhere = StoredObjects::in_folder(folder.path().join("objects")).unwrap();
        let keys = theirs.as_ref().unwrap_or(&KEYS);
        let mut state = SealerState::default();
        step(&env, &pg, &elsewhere, keys, &mut state, TimeDelta::zero()).await.unwrap();
        if theirs.is_none() {
            // The form from before there was a key needs none.
            log.tamper(PLAIN).await;
        }
        let report = verify(&pg, &elsewhere, &KEYS).await.unwrap();
        let entry = log.entry_at(1).await;
        let wanted = match theirs {
            Some(_) => Finding::LinkAltered { position: 1, entry },
            None => Finding::Unkeyed { position: 1, entry },
        };
        assert!(report.findings.contains(&wanted), "{report}");
    }
}

/// Rewrites the chain with plain digests, as anybody can in the database.
const PLAIN: &str = "DO $$ DECLARE link record; before bytea := decode(repeat('00', 32), 'hex');
     BEGIN
         FOR link IN SELECT * FROM audit_chain ORDER BY position LOOP
             before := sha256('salus.audit.chain.1'::bytea || int8send(link.position)
                 || int8send((extract(epoch FROM link.sealed_at) * 1000000)::bigint)
                 || before || link.entry_hash);
             UPDATE audit_chain SET chain_hash = before, key_id = NULL
             WHERE position = link.position;
         END LOOP;
     END $$";

/// A log from before there was a key goes on, once the server has started on it.
#[tokio::test]
async fn a_log_from_before_the_key_is_adopted_once() {
    let mut log = Log::new().await;
    log.record(6).await;
    log.seal().await;
    log.tamper(PLAIN).await;
    let folder = tempfile::tempdir().unwrap();
    log.objects = StoredObjects::in_folder(folder.path().join("objects")).unwrap();
    let entry = log.entry_at(1).await;
    assert_eq!(log.verify().await.findings, [Finding::Unkeyed { position: 1, entry }]);

    log.state = SealerState::default();
    log.seal().await;
    assert!(log.verify().await.is_intact());
    log.record(2).await;
    log.seal().await;
    assert!(log.verify().await.is_intact());

    // It is not adopted again: what was keyed stays so.
    log.tamper(PLAIN).await;
    log.state = SealerState::default();
    log.seal().await;
    assert!(!log.verify().await.is_intact());
}

#[tokio::test]
async fn a_sealer_notices_at_once_that_the_chain_was_cut() {
    let mut log = sealed_log().await;
    log.tamper(
        "DELETE FROM audit_entries WHERE id IN
             (SELECT entry_id FROM audit_chain WHERE position >= 9);
         DELETE FROM audit_chain WHERE position >= 9",
    )
    .await;
    assert!(log.seal().await.broken);
}

#[tokio::test]
async fn the_chain_refuses_to_be_changed() {
    let log = sealed_log().await;
    for sql in
        ["UPDATE audit_chain SET position = 99", "DELETE FROM audit_chain", "TRUNCATE audit_chain"]
    {
        let refused = log.database.pg.pool().execute_unprepared(sql).await;
        assert!(refused.unwrap_err().to_string().contains("permission denied"), "{sql}");
        let refused = log.database.owner().await.execute_unprepared(sql).await;
        assert!(refused.unwrap_err().to_string().contains("append-only"), "{sql}");
    }
}

fn auditor(permissions: &[Permission]) -> Actor {
    Actor {
        kind: ActorKind::Account {
            account: AccountId(Uuid::from_u128(0xa0d1)),
            session: SessionId(Uuid::from_u128(1)),
            roles: Arc::new(BTreeSet::from([Role::Auditor])),
        },
        permissions: Arc::new(permissions.iter().copied().collect()),
        request: RequestContext { user_agent: Some("=HYPERLINK()".into()), ..Default::default() },
    }
}

#[tokio::test]
async fn the_trail_of_a_person_is_read_in_pages_and_the_reading_recorded() {
    let log = Log::new().await;
    let person = AccountId(Uuid::from_u128(77));
    for number in 0..5 {
        let mut tx = log.open().await;
        let patient =
            if number == 4 { PatientId(Uuid::from_u128(78)) } else { person.as_patient() };
        let entry = AuditEntry::new(AuditAction::Create, "message", number).patient(patient);
        tx.audit(entry);
        Box::new(tx).commit().await.unwrap();
    }
    let actor = auditor(&[Permission::AuditRead]);
    let filter = TrailFilter { subject: Some(person), ..TrailFilter::default() };
    let mut page = PageRequest::new(Some(3), None);
    let first = read_trail(&log.database.pg, &actor, &filter, &page).await.unwrap();
    let ids = |items: &[compliance::RecordedEntry]| {
        items.iter().map(|entry| entry.entity_id.clone()).collect::<Vec<_>>()
    };
    assert_eq!(ids(&first.items), ["3", "2", "1"]);
    page.cursor = first.next;
    let rest = read_trail(&log.database.pg, &actor, &filter, &page).await.unwrap();
    assert_eq!((ids(&rest.items), rest.next), (vec!["0".to_owned()], None));

    let reads = TrailFilter {
        actor: Some(Uuid::from_u128(0xa0d1).to_string()),
        action: Some(AuditAction::Read),
        entity: Some("audit_trail".into()),
        from: Some(log.database.env.now()),
        to: Some(log.database.env.now() + TimeDelta::seconds(1)),
        ..TrailFilter::default()
    };
    let found =
        read_trail(&log.database.pg, &actor, &reads, &PageRequest::default()).await.unwrap();
    assert_eq!(found.items.len(), 2);
    assert_eq!(found.items[0].patient, Some(person.as_patient()));
    assert_eq!(found.items[0].detail["returned"], 1);
}

#[tokio::test]
async fn what_salus_read_for_itself_is_found_by_what_it_read() {
    let log = Log::new().await;
    let mut tx = log.database.pg.open(&Actor::system("care.assess")).await.unwrap();
    let read = serde_json::json!({ "patient_profile": ["a"], "form_response 01": ["b"] });
    tx.audit(AuditEntry::new(AuditAction::Read, "patient_record", "1").detail("read", read));
    Box::new(tx).commit().await.unwrap();
    let actor = auditor(&[Permission::AuditRead]);
    for (entity, count) in [("form_response", 1), ("patient_profile", 1), ("patient", 0)] {
        let filter = TrailFilter { entity: Some(entity.into()), ..TrailFilter::default() };
        let page = PageRequest::default();
        let found = read_trail(&log.database.pg, &actor, &filter, &page).await.unwrap();
        assert_eq!(found.items.len(), count, "{entity}");
    }
}

#[tokio::test]
async fn an_export_needs_its_permission_and_is_recorded() {
    let log = Log::new().await;
    log.record(3).await;
    let pg = &log.database.pg;
    let filter = TrailFilter { entity: Some("invoice".into()), ..TrailFilter::default() };
    let refused = export_trail(pg, &auditor(&[Permission::AuditRead]), &filter).await;
    assert!(matches!(refused, Err(ComplianceError::Forbidden(_))), "{refused:?}");

    let actor = auditor(&[Permission::AuditExport, Permission::AuditRead]);
    let export = export_trail(pg, &actor, &filter).await.unwrap();
    assert_eq!(export.entries, 3);
    let text = String::from_utf8(export.csv).unwrap();
    assert_eq!(text.lines().count(), 4);
    assert!(text.starts_with("\u{feff}number,id,occurred_at,"), "Excel takes it for UTF-8");

    let exports = TrailFilter { action: Some(AuditAction::Export), ..TrailFilter::default() };
    let export = export_trail(pg, &actor, &exports).await.unwrap();
    let text = String::from_utf8(export.csv).unwrap();
    assert!(text.contains("denied") && text.contains("success"), "{text}");
    assert!(text.contains("'=HYPERLINK()"), "{text}");
    let mut tx = AuditStore::begin(pg, &actor).await.unwrap();
    let all = tx.entries(&exports, compliance::trail::Order::NewestFirst, None, 10).await.unwrap();
    assert_eq!(all.len(), 3);
}

#[tokio::test]
async fn a_report_counts_what_happened_in_its_period() {
    let mut log = Log::new().await;
    let patients: Vec<PatientId> = (1..=3).map(|id| PatientId(Uuid::from_u128(id))).collect();
    let doctor = auditor(&[]);
    let record = async |entry: AuditEntry| {
        let mut tx = log.database.pg.open(&doctor).await.unwrap();
        tx.audit(entry);
        Box::new(tx).commit().await.unwrap();
    };
    record(AuditEntry::new(AuditAction::Read, "invoice", "before")).await;
    log.database.clock.advance(TimeDelta::hours(1));
    let from = log.database.env.now();
    for patient in [patients[0], patients[0], patients[1]] {
        record(AuditEntry::new(AuditAction::Read, "patient_profile", patient).patient(patient))
            .await;
    }
    // Who was refused has opened nothing.
    let refused = AuditEntry::new(AuditAction::Read, "patient_profile", patients[2]);
    record(refused.patient(patients[2]).denied()).await;
    log.record(2).await;
    log.database.clock.advance(TimeDelta::hours(1));
    let to = log.database.env.now();
    record(AuditEntry::new(AuditAction::Read, "invoice", "after")).await;
    log.seal().await;

    let actor = auditor(&[Permission::AuditRead]);
    let (pg, period) = (&log.database.pg, (Some(from), Some(to)));
    let report = activity(pg, &actor, period).await.unwrap();
    assert_eq!((report.entries, report.patients_opened), (6, 2));
    let counted: Vec<_> = report
        .activity
        .iter()
        .map(|row| (&*row.entity, &*row.action, &*row.outcome, row.entries))
        .collect();
    assert_eq!(
        counted,
        [
            ("invoice", "update", "success", 2),
            ("patient_profile", "read", "denied", 1),
            ("patient_profile", "read", "success", 3),
        ]
    );
    let who = Some(Uuid::from_u128(0xa0d1).to_string());
    let denied = &report.most_denied[0];
    assert_eq!((&denied.actor, denied.count, report.most_denied.len()), (&who, 1, 1));
    let opened = &report.most_patients[0];
    assert_eq!((&opened.actor, opened.count, report.most_patients.len()), (&who, 2, 1));
    assert_eq!((report.chain.sealed, report.chain.waiting), (8, 0));
    assert!(report.chain.last_sealed_at.is_some());

    let long = from + TimeDelta::days(367);
    for (period, path) in [
        ((Some(to), Some(from)), "to"),
        ((Some(from), Some(long)), "to"),
        ((None, Some(to)), "from"),
    ] {
        let refused = activity(pg, &actor, period).await.unwrap_err();
        assert_eq!(refused.fields()[0].path, path);
    }
    let refused = activity(pg, &auditor(&[]), period).await;
    assert!(matches!(refused, Err(ComplianceError::Forbidden(_))), "{refused:?}");
}
