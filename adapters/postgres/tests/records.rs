use std::{collections::BTreeSet, sync::Arc};

use async_trait::async_trait;
use chrono::{DateTime, TimeDelta, Utc};
use kernel::{
    AccountId, Actor, ActorKind, ApiClientId, Coding, DomainError, ErrorKind, HumanName, PatientId,
    Permission, ProviderId, RequestContext, Role, SessionId, Sex, Uuid, code::system,
};
use ports::{Panel, PortError};
use records::{
    Allergy, AllergyCategory, AllergyInput, Claim, Criticality, FhirMapper, MappingError,
    Medication, MedicationInput, Reach, RecordsError, RecordsStore, Reindex, Reported,
    ResourceType, Search, Sought, Token, allergies, clinical_summary,
    mapper::Standing,
    projections::on_patient_profile_changed,
    read_resource, reindex, report_allergies, report_medications, search_resources,
    sources::{ConsultationData, PatientData, PatientSource, PrescriptionData},
};
use salus_tests::Database;
use sea_orm::{ConnectionTrait as _, DbBackend, Statement};
use serde_json::{Value, json};

/// Writes just enough JSON to tell what was mapped.
struct TestMapper;

impl FhirMapper for TestMapper {
    fn patient(&self, data: &PatientData) -> Result<Value, MappingError> {
        Ok(json!({
            "identifier": [{"system": "urn:mrn", "value": data.patient.to_string()}],
            "name": [{"family": data.name.family}],
        }))
    }

    fn medication_request(&self, _: &PrescriptionData) -> Result<Value, MappingError> {
        Err(MappingError("unused".into()))
    }

    fn encounter(&self, _: &ConsultationData) -> Result<Value, MappingError> {
        Err(MappingError("unused".into()))
    }

    fn allergy(
        &self,
        _: PatientId,
        allergy: &Allergy,
        standing: Standing,
    ) -> Result<Value, MappingError> {
        Ok(json!({"code": coded(&allergy.substance), "current": standing == Standing::Current}))
    }

    fn no_known_allergy(
        &self,
        _: PatientId,
        _: Uuid,
        _: DateTime<Utc>,
        standing: Standing,
    ) -> Result<Value, MappingError> {
        Ok(json!({"code": {"text": "none"}, "current": standing == Standing::Current}))
    }

    fn medication_statement(
        &self,
        _: PatientId,
        medication: &Medication,
        standing: Standing,
    ) -> Result<Value, MappingError> {
        let status = if standing == Standing::Current { "active" } else { "stopped" };
        Ok(json!({"status": status, "medicationCodeableConcept": coded(&medication.drug)}))
    }
}

fn coded(coding: &Coding) -> Value {
    json!({"coding": [{"system": coding.system, "code": coding.code}]})
}

/// Treats one patient.
struct OnePatient(PatientId);

#[async_trait]
impl Panel for OnePatient {
    async fn treats(&self, _: ProviderId, patient: PatientId) -> ports::Result<bool> {
        Ok(patient == self.0)
    }
}

fn person(number: u128, role: Role, permissions: &[Permission]) -> Actor {
    Actor {
        kind: ActorKind::Account {
            account: AccountId(Uuid::from_u128(number)),
            session: SessionId(Uuid::from_u128(1)),
            roles: Arc::new(BTreeSet::from([role])),
        },
        permissions: Arc::new(permissions.iter().copied().collect()),
        request: RequestContext::default(),
    }
}

fn patient_actor(number: u128) -> Actor {
    person(number, Role::Patient, &[Permission::ProfileOwn])
}

fn patient(number: u128) -> PatientId {
    PatientId(Uuid::from_u128(number))
}

fn client(scope: &str) -> Actor {
    Actor {
        kind: ActorKind::Client {
            client: ApiClientId(Uuid::from_u128(5)),
            scopes: Arc::new(BTreeSet::from([scope.to_owned()])),
        },
        permissions: Arc::default(),
        request: RequestContext::default(),
    }
}

fn claim<T>(items: Vec<T>) -> Claim<T> {
    Claim { none_known: items.is_empty(), items }
}

fn drug(code: &str) -> MedicationInput {
    MedicationInput {
        drug: Coding::new(system::RXNORM, code, "a drug"),
        dosage: Some("one in the morning".into()),
        started_on: None,
    }
}

fn penicillin() -> AllergyInput {
    AllergyInput {
        substance: Coding::new(system::RXNORM, "7984", "Penicillin V"),
        category: AllergyCategory::Medication,
        criticality: Some(Criticality::UnableToAssess),
        reaction: Some("a rash".into()),
    }
}

async fn rows(database: &Database, sql: &str) -> Vec<String> {
    let admin = database.superuser().await;
    let rows = admin.query_all_raw(Statement::from_string(DbBackend::Postgres, sql)).await.unwrap();
    rows.iter().map(|row| row.try_get_by_index(0).unwrap()).collect()
}

async fn search(database: &Database, actor: &Actor, search: &Search) -> records::Found {
    search_resources(&database.pg, &OnePatient(patient(1)), actor, search).await.unwrap()
}

#[tokio::test]
async fn what_a_patient_reports_becomes_versions_of_resources() {
    let database = Database::fresh().await;
    let (pg, env) = (&database.pg, &database.env);
    let actor = patient_actor(1);
    assert_eq!(allergies(pg, &actor).await.unwrap(), Reported::NotAsked);
    let none = report_allergies(env, pg, &TestMapper, &actor, claim(vec![])).await.unwrap();
    assert_eq!(none, Reported::NoneKnown);
    let known =
        report_allergies(env, pg, &TestMapper, &actor, claim(vec![penicillin()])).await.unwrap();
    assert_eq!(allergies(pg, &actor).await.unwrap(), known);
    let Reported::Known(list) = &known else { panic!("{known:?}") };
    assert_eq!(list[0].reaction.as_deref(), Some("a rash"));

    let system = Actor::system("tests");
    let found = search(&database, &system, &Search::of(ResourceType::AllergyIntolerance, 10)).await;
    assert_eq!(found.total, 2);
    for resource in &found.resources {
        let current = resource.id == list[0].id;
        assert_eq!(resource.content["current"], current);
        assert_eq!(resource.version, if current { 1 } else { 2 });
    }
    let summary = clinical_summary(pg, &system, patient(1)).await.unwrap();
    assert_eq!((summary.allergies, summary.active_medications), (known, Reported::NotAsked));
    let events = rows(&database, "SELECT kind FROM outbox_events").await;
    assert_eq!(events, ["clinical_record_changed", "clinical_record_changed"]);
}

#[tokio::test]
async fn nothing_of_the_record_lies_in_the_clear() {
    let database = Database::fresh().await;
    let actor = patient_actor(1);
    report_medications(
        &database.env,
        &database.pg,
        &TestMapper,
        &actor,
        claim(vec![drug("198013")]),
    )
    .await
    .unwrap();
    for table in [
        "record_versions",
        "record_tokens",
        "record_resources",
        "clinical_profiles",
        "outbox_events",
        "audit_entries",
    ] {
        let text = rows(
            &database,
            &format!("SELECT coalesce(string_agg(t::text, ''), '') FROM {table} t"),
        )
        .await
        .concat();
        for secret in ["198013", "a drug", "one in the morning"] {
            let hex = secret.bytes().map(|byte| format!("{byte:02x}")).collect::<String>();
            assert!(!text.contains(secret) && !text.contains(&hex), "{secret} in {table}");
        }
    }
}

#[tokio::test]
async fn a_search_matches_tokens_times_and_ids_and_goes_in_pages() {
    let database = Database::fresh().await;
    let (pg, env) = (&database.pg, &database.env);
    let start = env.now();
    for number in 1..=3 {
        let drugs = vec![drug("198013"), drug(&format!("30{number}"))];
        report_medications(env, pg, &TestMapper, &patient_actor(number), claim(drugs))
            .await
            .unwrap();
        database.clock.advance(TimeDelta::hours(1));
    }
    report_medications(env, pg, &TestMapper, &patient_actor(2), claim(vec![drug("302")]))
        .await
        .unwrap();

    let system = client("system/*.rs");
    let all = Search::of(ResourceType::MedicationStatement, 4);
    let token = |parameter, value: &str| {
        let sought = match value.split_once('|') {
            Some((system, "")) => Sought::System(system.into()),
            Some((system, code)) => Sought::Of { system: system.into(), code: code.into() },
            None => Sought::Code(value.into()),
        };
        vec![Token::sought(ResourceType::MedicationStatement, parameter, &sought).unwrap()]
    };
    let first = search(&database, &system, &all).await;
    assert_eq!((first.resources.len(), first.total), (4, 6));
    let rest = search(&database, &system, &Search { after: first.next, ..all.clone() }).await;
    assert_eq!((rest.resources.len(), rest.total, rest.next), (2, 6, None));

    let code = format!("{}|198013", system::RXNORM);
    for (tokens, count) in [
        (vec![token("code", &code)], 3),
        (vec![token("code", "198013")], 3),
        (vec![token("code", "198013"), token("status", "active")], 2),
        (vec![token("status", "stopped")], 1),
        (vec![[token("code", "301"), token("code", "303")].concat()], 2),
        (vec![token("code", "urn:other|198013")], 0),
        (vec![token("code", &format!("{}|", system::RXNORM))], 6),
        (vec![token("code", "urn:other|")], 0),
        (vec![vec![]], 0),
    ] {
        let found =
            search(&database, &system, &Search { tokens: tokens.clone(), ..all.clone() }).await;
        assert_eq!(found.total, count, "{tokens:?}");
        assert_eq!(found.resources.len() as u64, count.min(4), "a page has four");
    }
    let hour = start + TimeDelta::minutes(30);
    let later =
        search(&database, &system, &Search { updated_from: Some(hour), ..all.clone() }).await;
    // Both of the second patient: one was stopped, and the other changed its
    // place in the list but not in the record.
    assert_eq!(later.total, 4);
    let earlier =
        search(&database, &system, &Search { updated_before: Some(hour), ..all.clone() }).await;
    assert_eq!(earlier.total, 2);
    let one = earlier.resources[0].id;
    let by_id = search(&database, &system, &Search { ids: Some(vec![one]), ..all }).await;
    assert_eq!(by_id.resources, earlier.resources[..1]);
}

#[tokio::test]
async fn what_an_earlier_version_has_indexed_is_indexed_anew() {
    let database = Database::fresh().await;
    let (pg, env) = (&database.pg, &database.env);
    for number in 1..=3 {
        let actor = patient_actor(number);
        report_medications(env, pg, &TestMapper, &actor, claim(vec![drug("198013")]))
            .await
            .unwrap();
    }
    let system = Actor::system("tests");
    let of_system = Token::sought(
        ResourceType::MedicationStatement,
        "code",
        &Sought::System(system::RXNORM.into()),
    );
    let mut all = Search::of(ResourceType::MedicationStatement, 10);
    all.tokens = vec![vec![of_system.unwrap()]];
    let admin = database.superuser().await;
    for old in ["DELETE FROM record_tokens", "UPDATE record_resources SET indexed = 1"] {
        admin.execute_unprepared(old).await.unwrap();
    }
    assert_eq!(search(&database, &system, &all).await.total, 0);
    assert_eq!(reindex(pg, Reindex {}).await.unwrap(), 3);
    assert_eq!(search(&database, &system, &all).await.total, 3);
    assert_eq!(reindex(pg, Reindex {}).await.unwrap(), 0);
}

#[tokio::test]
async fn a_search_names_several_patients_and_shows_those_within_reach() {
    let database = Database::fresh().await;
    let (pg, env) = (&database.pg, &database.env);
    for number in 1..=3 {
        let actor = patient_actor(number);
        report_medications(env, pg, &TestMapper, &actor, claim(vec![drug("1")])).await.unwrap();
    }
    let of = |patients: &[u128], limit| Search {
        patients: Some(patients.iter().map(|number| patient(*number)).collect()),
        ..Search::of(ResourceType::MedicationStatement, limit)
    };
    let provider = person(9, Role::Provider, &[Permission::PatientRead]);
    for (actor, total) in
        [(client("system/*.rs"), 2), (patient_actor(1), 1), (provider, 1), (patient_actor(3), 0)]
    {
        let found = search(&database, &actor, &of(&[1, 2], 10)).await;
        assert_eq!((found.total, found.resources.len() as u64), (total, total));
    }
    let nobody = search(&database, &client("system/*.rs"), &of(&[], 10)).await;
    assert_eq!((nobody.total, nobody.resources.len()), (0, 0));
    let counted = search(&database, &client("system/*.rs"), &of(&[1, 2], 0)).await;
    assert_eq!((counted.total, counted.resources.len(), counted.next), (2, 0, None));
    let denied = "SELECT count(*)::text FROM audit_entries WHERE outcome = 'denied'";
    // Two of the third patient, and one each of the two who see the first.
    assert_eq!(rows(&database, denied).await, ["4"]);
}

#[tokio::test]
async fn each_reads_their_own_and_others_do_not_exist() {
    let database = Database::fresh().await;
    let (pg, env) = (&database.pg, &database.env);
    let kind = ResourceType::MedicationStatement;
    for number in [1, 2] {
        report_medications(env, pg, &TestMapper, &patient_actor(number), claim(vec![drug("1")]))
            .await
            .unwrap();
    }
    let all = search(&database, &Actor::system("tests"), &Search::of(kind, 10)).await;
    let of = |number| all.resources.iter().find(|r| r.patient == patient(number)).unwrap().id;
    let panel = OnePatient(patient(1));
    let read = async |actor: &Actor, id| read_resource(pg, &panel, actor, kind, id).await;

    let provider = person(9, Role::Provider, &[Permission::PatientRead]);
    for actor in [patient_actor(1), provider.clone()] {
        assert_eq!(read(&actor, of(1)).await.unwrap().patient, patient(1));
        for missing in [of(2), Uuid::from_u128(99)] {
            let refused = read(&actor, missing).await.unwrap_err();
            assert!(matches!(refused, RecordsError::NotFound), "{refused:?}");
        }
    }
    for (actor, own, others) in [(patient_actor(1), 1, 0), (provider.clone(), 1, 0)] {
        for (number, count) in [(1, own), (2, others)] {
            let mut sought = Search::of(kind, 10);
            sought.patients = Some(vec![patient(number)]);
            assert_eq!(search(&database, &actor, &sought).await.total, count);
        }
    }
    let unbounded = search_resources(pg, &panel, &provider, &Search::of(kind, 10)).await;
    assert_eq!(unbounded.unwrap_err().kind(), ErrorKind::Invalid);

    let refused = read(&client("system/Patient.rs"), of(1)).await.unwrap_err();
    assert!(matches!(refused, RecordsError::MissingScope(_)), "{refused:?}");
    let refused = read(&person(3, Role::Auditor, &[Permission::AuditRead]), of(1)).await;
    assert_eq!(refused.unwrap_err().kind(), ErrorKind::Forbidden);

    let denied = "SELECT count(*)::text FROM audit_entries WHERE outcome = 'denied'";
    assert_eq!(rows(&database, denied).await, ["8"]);
    let returned = format!(
        "SELECT detail ->> 'returned' FROM audit_entries WHERE action = 'search' \
         AND patient_id = '{}' AND actor_kind = 'system'",
        patient(2)
    );
    assert_eq!(rows(&database, &returned).await, [format!("[\"{}\"]", of(2))]);
}

#[tokio::test]
async fn the_wall_hides_the_record_from_another_patients_transaction() {
    let database = Database::fresh().await;
    report_medications(
        &database.env,
        &database.pg,
        &TestMapper,
        &patient_actor(1),
        claim(vec![drug("1")]),
    )
    .await
    .unwrap();
    for (actor, count) in [(patient_actor(1), 1), (patient_actor(2), 0)] {
        let mut tx = RecordsStore::begin(&database.pg, &actor).await.unwrap();
        // The reach claims everyone; only row-level security is left.
        let found = tx
            .search(&Search::of(ResourceType::MedicationStatement, 10), &Reach::Everyone)
            .await
            .unwrap();
        assert_eq!(found.len(), count);
        let profile = tx.clinical_profile(patient(1)).await.unwrap();
        assert_eq!(profile.is_some(), count == 1);
    }
}

/// Answers with the profile that it was given.
struct Profile(PatientData);

#[async_trait]
impl PatientSource for Profile {
    async fn patient(&self, _: PatientId) -> ports::Result<Option<PatientData>> {
        Ok(Some(self.0.clone()))
    }
}

fn profile(source_version: i64, family: &str) -> Profile {
    Profile(PatientData {
        patient: patient(1),
        source_version,
        active: true,
        name: HumanName { given: "Ada".into(), family: family.into() },
        sex: Sex::Female,
        birth_date: "1990-01-02".parse().unwrap(),
        address: None,
        phone: None,
        email: None,
    })
}

#[tokio::test]
async fn a_projection_bears_repetition_and_overtaking() {
    let database = Database::fresh().await;
    let (pg, env) = (&database.pg, &database.env);
    let project = async |source: Profile| {
        on_patient_profile_changed(env, pg, &TestMapper, &source, patient(1)).await.unwrap();
        let search = Search::of(ResourceType::Patient, 10);
        let found =
            search_resources(pg, &OnePatient(patient(1)), &Actor::system("tests"), &search).await;
        let resource = found.unwrap().resources.remove(0);
        (resource.version, resource.content["name"][0]["family"].as_str().unwrap().to_owned())
    };
    assert_eq!(project(profile(1, "One")).await, (1, "One".to_owned()));
    assert_eq!(project(profile(1, "One")).await, (1, "One".to_owned()));
    assert_eq!(project(profile(3, "Three")).await, (2, "Three".to_owned()));
    assert_eq!(project(profile(2, "Two")).await, (2, "Three".to_owned()), "overtaken");
}

#[tokio::test]
async fn of_two_changes_at_once_one_is_refused() {
    let database = Database::fresh().await;
    let actor = patient_actor(1);
    report_medications(&database.env, &database.pg, &TestMapper, &actor, claim(vec![drug("1")]))
        .await
        .unwrap();
    let mut one = RecordsStore::begin(&database.pg, &actor).await.unwrap();
    let before = one.clinical_profile(patient(1)).await.unwrap().unwrap();
    let after =
        before.with_allergies(vec![], || database.env.ids.uuid(), database.env.now()).unwrap();
    report_medications(&database.env, &database.pg, &TestMapper, &actor, claim(vec![]))
        .await
        .unwrap();
    let refused = one.save_clinical_profile(&after).await;
    assert!(matches!(refused, Err(PortError::Conflict(_))), "{refused:?}");
}
