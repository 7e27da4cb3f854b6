use std::{
    collections::{BTreeSet, VecDeque},
    sync::{Arc, Mutex},
};

use async_trait::async_trait;
use chrono::{NaiveDate, TimeDelta};
use kernel::{
    AccountId, Actor, Address, DeaSchedule, DomainError as _, ErrorKind, ErxMessageId, HumanName,
    PageRequest, PatientId, Permission, ProviderId, QuantityUnit, RequestContext, Role, Sex,
    TreatmentPlanId, UsState, Uuid, actor::ActorKind,
};
use pharmacy::{
    PharmacyError,
    erx::{
        Acknowledgement, ErxNetwork, Inbound, NewRx, Reply, SendNewRx, receive_message, send_new_rx,
    },
    prescription::{
        Amount, Diagnosis, Dosing, Medication, PatientDetails, Patients, Pharmacy,
        PlannedTreatment, PrescriberDetails, Prescribers, Prescription, PrescriptionReach,
        PrescriptionState, PrescriptionStore, StateLicense, TreatmentPlans,
        fill::record_fill,
        read,
        write::{
            Changes, OverrideRequest, PrescribeRequest, PrescribingPorts, modify,
            on_treatment_plan_created, override_alerts, prescribe,
        },
    },
    safety::{
        AllergyCategory, ClinicalFacts, ClinicalRecord, CuratedInteractions, RecordedAllergy,
        RecordedMedication,
    },
};
use ports::{IdempotencyKey, Panel, PortError};
use salus_postgres::Pg;
use salus_tests::Database;
use sea_orm::{ConnectionTrait as _, DbBackend, Statement};

fn id<T: From<Uuid>>(value: u128) -> T {
    T::from(Uuid::from_u128(value))
}

const CATEGORY: u128 = 5;
const PLAN: u128 = 2;
const PATIENT: u128 = 3;
const PROVIDER: u128 = 4;

fn provider_actor(value: u128) -> Actor {
    actor(value, Role::Provider, &[Permission::PrescriptionWrite, Permission::PrescriptionRead])
}

fn patient_actor(value: u128) -> Actor {
    actor(value, Role::Patient, &[])
}

fn actor(value: u128, role: Role, permissions: &[Permission]) -> Actor {
    Actor {
        kind: ActorKind::Account {
            account: id::<AccountId>(value),
            session: id(900),
            roles: Arc::new(BTreeSet::from([role])),
        },
        permissions: Arc::new(permissions.iter().copied().collect()),
        request: RequestContext::default(),
    }
}

fn address() -> Address {
    Address {
        line1: "1 Main Street".to_owned(),
        line2: None,
        city: "Boston".to_owned(),
        state: UsState::Ma,
        postal_code: "02110".to_owned(),
    }
}

/// The other contexts, as far as prescribing asks them.
struct World {
    treatment: Mutex<PlannedTreatment>,
    prescriber: Mutex<PrescriberDetails>,
    patient: Mutex<PatientDetails>,
    facts: Mutex<Option<ClinicalFacts>>,
}

impl World {
    fn new() -> Arc<Self> {
        let phone = || Some("+16175550100".parse().unwrap());
        Arc::new(Self {
            treatment: Mutex::new(PlannedTreatment {
                id: id(PLAN),
                version: 1,
                patient: id(PATIENT),
                provider: id(PROVIDER),
                category: id(CATEGORY),
                active: true,
                on_formulary: true,
                medication: Medication {
                    rxnorm: "312950".parse().unwrap(),
                    ndc: "00069421030".parse().unwrap(),
                    display: "sildenafil 50 MG Oral Tablet".to_owned(),
                    strength: "50 MG".to_owned(),
                    schedule: DeaSchedule::None,
                },
                dosing: Dosing {
                    sig: "Take one tablet an hour before activity, at most once a day.".to_owned(),
                    quantity: Amount::whole(10).unwrap(),
                    unit: QuantityUnit::Tablet,
                    days_supply: 30,
                    refills: 1,
                },
                diagnosis: Diagnosis {
                    code: "N52.9".parse().unwrap(),
                    display: "Male erectile dysfunction, unspecified".to_owned(),
                },
            }),
            prescriber: Mutex::new(PrescriberDetails {
                provider: id(PROVIDER),
                name: HumanName::parse("Grace", "Example").unwrap(),
                npi: Some("1234567893".parse().unwrap()),
                dea: None,
                spi: Some("6301875277001".to_owned()),
                licenses: vec![StateLicense {
                    state: UsState::Ma,
                    number: "MA12345".to_owned(),
                    expires_on: NaiveDate::from_ymd_opt(2199, 12, 31).unwrap(),
                    active: true,
                }],
                address: Some(address()),
                phone: phone(),
            }),
            patient: Mutex::new(PatientDetails {
                patient: id(PATIENT),
                name: Some(HumanName::parse("Ada", "Example").unwrap()),
                birth_date: NaiveDate::from_ymd_opt(1980, 5, 17),
                sex: Some(Sex::Male),
                address: Some(address()),
                phone: phone(),
            }),
            facts: Mutex::new(Some(ClinicalFacts::default())),
        })
    }

    fn takes(&self, display: &str) {
        *self.facts.lock().unwrap() = Some(ClinicalFacts {
            medications: vec![RecordedMedication {
                rxnorm: None,
                display: display.to_owned(),
                prescribed: false,
            }],
            ..ClinicalFacts::default()
        });
    }

    fn ports(self: &Arc<Self>) -> PrescribingPorts {
        PrescribingPorts {
            plans: self.clone(),
            prescribers: self.clone(),
            patients: self.clone(),
            record: self.clone(),
            interactions: Arc::new(CuratedInteractions),
        }
    }
}

#[async_trait]
impl TreatmentPlans for World {
    async fn treatment(&self, plan: TreatmentPlanId) -> ports::Result<Option<PlannedTreatment>> {
        let treatment = self.treatment.lock().unwrap().clone();
        Ok(Some(treatment).filter(|treatment| treatment.id == plan))
    }
}

#[async_trait]
impl Prescribers for World {
    async fn prescriber(&self, _: ProviderId) -> ports::Result<Option<PrescriberDetails>> {
        Ok(Some(self.prescriber.lock().unwrap().clone()))
    }
}

#[async_trait]
impl Patients for World {
    async fn details(&self, _: PatientId) -> ports::Result<Option<PatientDetails>> {
        Ok(Some(self.patient.lock().unwrap().clone()))
    }
}

#[async_trait]
impl ClinicalRecord for World {
    async fn facts(&self, _: PatientId) -> ports::Result<ClinicalFacts> {
        self.facts.lock().unwrap().clone().ok_or_else(|| PortError::bug("no record"))
    }
}

struct NoPanel;

#[async_trait]
impl Panel for NoPanel {
    async fn treats(&self, _: ProviderId, _: PatientId) -> ports::Result<bool> {
        Ok(false)
    }
}

/// A network whose replies are told beforehand. Its text is the message's id,
/// and what it reads is `KIND of ID as ID`.
#[derive(Default)]
struct Network {
    outcomes: Mutex<VecDeque<ports::Result<Reply>>>,
    delivered: Mutex<Vec<String>>,
}

impl Network {
    fn answering(outcomes: impl IntoIterator<Item = ports::Result<Reply>>) -> Arc<Self> {
        Arc::new(Self {
            outcomes: Mutex::new(outcomes.into_iter().collect()),
            delivered: Mutex::default(),
        })
    }
}

#[async_trait]
impl ErxNetwork for Network {
    fn compose(&self, new_rx: &NewRx) -> ports::Result<String> {
        Ok(format!("{} at {}", new_rx.message, new_rx.sent_at))
    }

    async fn deliver(&self, text: &str) -> ports::Result<Inbound> {
        self.delivered.lock().unwrap().push(text.to_owned());
        let reply = self.outcomes.lock().unwrap().pop_front().expect("an outcome")?;
        let (message, _) = text.split_once(' ').unwrap();
        Ok(Inbound {
            message_id: format!("reply-to-{message}"),
            relates_to: Some(message.parse().unwrap()),
            reply,
        })
    }

    fn read(&self, text: &str) -> ports::Result<Inbound> {
        let mut words = text.split(' ');
        let reply = match words.next() {
            Some("status") => Reply::Status { code: "010".to_owned() },
            Some("verify") => Reply::Verify { code: "010".to_owned() },
            _ => {
                return Err(PortError::Refused {
                    vendor: "erx",
                    code: "unreadable".to_owned(),
                    message: "no message".to_owned(),
                });
            }
        };
        let relates_to = words.next().and_then(|word| word.parse().ok());
        Ok(Inbound { message_id: words.next().unwrap().to_owned(), relates_to, reply })
    }

    fn acknowledge(&self, answer: &Acknowledgement) -> ports::Result<String> {
        Ok(answer.refusal.clone().unwrap_or_else(|| "accepted".to_owned()))
    }
}

fn pharmacy() -> Pharmacy {
    Pharmacy {
        id: id(6),
        ncpdp_id: "1234567".parse().unwrap(),
        npi: "1234567893".parse().unwrap(),
        name: "Example Mail Pharmacy".to_owned(),
        address: address(),
        phone: "+16175550199".parse().unwrap(),
        mail_order: true,
        active: true,
        dea: None,
        licensed_in: [UsState::Ma].into(),
        version: 1,
    }
}

async fn database() -> Database {
    let database = Database::fresh().await;
    let seed = Actor::system("tests.prescriptions");
    read::put_pharmacy(&database.pg, &seed, &pharmacy()).await.unwrap();
    // A second time replaces the entry and adds none.
    read::put_pharmacy(&database.pg, &seed, &pharmacy()).await.unwrap();
    let treats = format!(
        "INSERT INTO care_review_holders (patient_id, provider_id) VALUES ('{}', '{}')",
        Uuid::from_u128(PATIENT),
        Uuid::from_u128(PROVIDER),
    );
    database.superuser().await.execute_unprepared(&treats).await.unwrap();
    database
}

fn request() -> PrescribeRequest {
    PrescribeRequest {
        treatment_plan: id(PLAN),
        plan_version: 1,
        pharmacy: id(6),
        overrides: Vec::new(),
    }
}

fn key(word: &str) -> IdempotencyKey {
    IdempotencyKey { operation: "pharmacy.prescribe", key: word.to_owned(), fingerprint: [7; 32] }
}

async fn write(
    database: &Database,
    world: &Arc<World>,
    word: &str,
) -> Result<Prescription, PharmacyError> {
    let actor = provider_actor(PROVIDER);
    let plan_version = world.treatment.lock().unwrap().version;
    let request = PrescribeRequest { plan_version, ..request() };
    prescribe(&database.env, &database.pg, &world.ports(), &actor, request, &key(word)).await
}

async fn load(database: &Database, prescription: &Prescription) -> Prescription {
    let mut tx = PrescriptionStore::begin(&database.pg, &Actor::system("tests.prescriptions"))
        .await
        .unwrap();
    tx.prescription(prescription.id, PrescriptionReach::Any).await.unwrap().unwrap()
}

async fn count(pg: &Pg, sql: &str) -> i64 {
    let row = pg
        .pool()
        .query_one_raw(Statement::from_string(DbBackend::Postgres, sql))
        .await
        .expect("a query")
        .expect("a row");
    row.try_get_by_index(0).expect("a count")
}

/// Row-level security hides the rows from a connection without an actor, so
/// counts of protected tables go through an actor's transaction.
async fn count_all(database: &Database, table: &str) -> i64 {
    let tx = database.pg.open(&Actor::system("tests.prescriptions")).await.unwrap();
    let statement =
        Statement::from_string(DbBackend::Postgres, format!("SELECT count(*) FROM {table}"));
    let row = tx.read().query_one_raw(statement).await.unwrap().unwrap();
    row.try_get_by_index(0).unwrap()
}

fn message_of(prescription: &Prescription) -> ErxMessageId {
    match prescription.state {
        PrescriptionState::Queued { message, .. } => message,
        ref other => panic!("not queued: {other:?}"),
    }
}

async fn send(
    database: &Database,
    world: &Arc<World>,
    network: &Arc<Network>,
    prescription: &Prescription,
) -> Result<(), PharmacyError> {
    let job = SendNewRx { prescription: prescription.id, message: message_of(prescription) };
    let network: Arc<dyn ErxNetwork> = network.clone();
    send_new_rx(&database.env, &database.pg, &world.ports(), &network, job).await
}

fn status() -> ports::Result<Reply> {
    Ok(Reply::Status { code: "010".to_owned() })
}

fn unknown() -> ports::Result<Reply> {
    Err(PortError::Unknown { vendor: "erx", message: "timed out".to_owned() })
}

#[tokio::test]
async fn concurrent_requests_write_one_prescription_and_one_message() {
    let database = database().await;
    let world = World::new();
    let (first, second, third) = tokio::join!(
        write(&database, &world, "a"),
        write(&database, &world, "b"),
        write(&database, &world, "b"),
    );
    let (first, second, third) = (first.unwrap(), second.unwrap(), third.unwrap());
    assert_eq!(first.id, second.id);
    assert_eq!(first.id, third.id);
    assert_eq!(count_all(&database, "prescriptions").await, 1);
    let jobs = "SELECT count(*) FROM graphile_worker.jobs WHERE key LIKE 'pharmacy.send_new_rx%'";
    assert_eq!(count(&database.pg, jobs).await, 1);
    // And once more, later.
    let again = write(&database, &world, "c").await.unwrap();
    assert_eq!(again.id, first.id);
}

#[tokio::test]
async fn what_is_clinical_lies_sealed_and_comes_back_whole() {
    let database = database().await;
    let world = World::new();
    world.takes("nitroglycerin 0.4 MG Sublingual Tablet");
    let written = write(&database, &world, "a").await.unwrap();
    let loaded = load(&database, &written).await;
    assert_eq!(loaded.medication, written.medication);
    assert_eq!(loaded.dosing, written.dosing);
    assert_eq!(loaded.alerts, written.alerts);
    assert_eq!(loaded.state, written.state);
    let tx = database.pg.open(&Actor::system("tests.prescriptions")).await.unwrap();
    let row = tx
        .read()
        .query_one_raw(Statement::from_string(
            DbBackend::Postgres,
            "SELECT row_to_json(p)::text FROM prescriptions p",
        ))
        .await
        .unwrap()
        .unwrap();
    let row: String = row.try_get_by_index(0).unwrap();
    for clear in ["sildenafil", "nitroglycerin", "N52.9", "Take one tablet"] {
        let hex: String = clear.bytes().map(|byte| format!("{byte:02x}")).collect();
        assert!(!row.contains(clear) && !row.contains(&hex), "{clear}");
    }
}

#[tokio::test]
async fn a_high_interaction_blocks_until_it_is_overridden() {
    let database = database().await;
    let world = World::new();
    world.takes("nitroglycerin 0.4 MG Sublingual Tablet");
    let blocked = write(&database, &world, "a").await.unwrap();
    let PrescriptionState::Blocked { alerts } = &blocked.state else {
        panic!("{:?}", blocked.state)
    };
    assert_eq!(alerts, &["interaction:136411-4917"]);
    assert_eq!(
        count(
            &database.pg,
            "SELECT count(*) FROM graphile_worker.jobs WHERE key LIKE 'pharmacy.%'"
        )
        .await,
        0
    );

    let ports = world.ports();
    let actor = provider_actor(PROVIDER);
    let reason = OverrideRequest {
        alert: alerts[0].clone(),
        reason: "Nitrates were stopped in January.".to_owned(),
    };
    let give = async || {
        let given = [reason.clone()];
        let key = key("override");
        override_alerts(&database.env, &database.pg, &ports, &actor, blocked.id, &given, &key).await
    };
    let queued = give().await.unwrap();
    assert_eq!(give().await.unwrap().state, load(&database, &queued).await.state);
    assert_eq!(load(&database, &queued).await.state.word(), "queued");
    let stored = load(&database, &queued).await.alerts[0].overridden.clone().unwrap();
    assert_eq!(stored.by, id(PROVIDER));
    let refused =
        modify(&database.env, &database.pg, &ports, &actor, blocked.id, Changes::default()).await;
    assert_eq!(refused.unwrap_err().kind(), ErrorKind::Conflict);
}

#[tokio::test]
async fn a_record_that_cannot_be_read_blocks() {
    let database = database().await;
    let world = World::new();
    *world.facts.lock().unwrap() = None;
    let blocked = write(&database, &world, "a").await.unwrap();
    assert_eq!(blocked.state.word(), "blocked");
}

#[tokio::test]
async fn an_unknown_outcome_is_sent_again_under_the_same_id() {
    let database = database().await;
    let world = World::new();
    let queued = write(&database, &world, "a").await.unwrap();
    let network = Network::answering([unknown(), status()]);

    send(&database, &world, &network, &queued).await.unwrap_err();
    let after = load(&database, &queued).await;
    assert!(matches!(after.state, PrescriptionState::Queued { attempts: 1, .. }));

    database.clock.advance(TimeDelta::minutes(5));
    send(&database, &world, &network, &queued).await.unwrap();
    assert_eq!(load(&database, &queued).await.state.word(), "sent");
    let delivered = network.delivered.lock().unwrap().clone();
    assert_eq!(delivered.len(), 2);
    assert_eq!(delivered[0], delivered[1]);

    // A job that runs once more has nothing to do.
    send(&database, &world, &network, &queued).await.unwrap();
    assert_eq!(network.delivered.lock().unwrap().len(), 2);
}

#[tokio::test]
async fn a_refusal_fails_the_prescription_and_lets_a_new_one_be_written() {
    let database = database().await;
    let world = World::new();
    let queued = write(&database, &world, "a").await.unwrap();
    let network = Network::answering([Ok(Reply::Error {
        code: "900".to_owned(),
        description_code: Some("2000".to_owned()),
        description: "A field is missing.".to_owned(),
    })]);
    send(&database, &world, &network, &queued).await.unwrap();
    let failed = load(&database, &queued).await;
    assert!(
        matches!(&failed.state, PrescriptionState::Failed { code, .. } if code == "900/2000"),
        "{:?}",
        failed.state
    );
    let next = write(&database, &world, "b").await.unwrap();
    assert_ne!(next.id, failed.id);
    // The first key still answers with the first prescription.
    assert_eq!(write(&database, &world, "a").await.unwrap().id, failed.id);
}

#[tokio::test]
async fn messages_may_come_early_twice_and_for_nothing() {
    let database = database().await;
    let world = World::new();
    let queued = write(&database, &world, "a").await.unwrap();
    let message = message_of(&queued);
    let network = Network::answering([unknown()]);
    send(&database, &world, &network, &queued).await.unwrap_err();
    let network: Arc<dyn ErxNetwork> = network;
    let receive = async |text: String| {
        receive_message(&database.env, &database.pg, &network, &text).await.unwrap()
    };

    assert!(receive(format!("verify {message} v1")).await.accepted);
    assert_eq!(load(&database, &queued).await.state.word(), "active");
    assert!(receive(format!("verify {message} v1")).await.accepted);
    assert!(receive(format!("status {message} s1")).await.accepted);
    assert_eq!(load(&database, &queued).await.state.word(), "active");
    assert_eq!(count_all(&database, "erx_received").await, 2);

    assert!(!receive(format!("verify {} v2", Uuid::from_u128(77))).await.accepted);
    assert!(!receive("verify nothing v3".to_owned()).await.accepted);
    let rubbish = receive("rubbish".to_owned()).await;
    assert!(!rubbish.accepted && rubbish.unread.is_some(), "{rubbish:?}");
}

#[tokio::test]
async fn an_automatic_plan_is_prescribed_once() {
    let database = database().await;
    let world = World::new();
    let handle = async |automatic| {
        on_treatment_plan_created(&database.env, &database.pg, &world.ports(), id(PLAN), automatic)
            .await
            .unwrap();
    };
    handle(false).await;
    assert_eq!(count_all(&database, "prescriptions").await, 0);
    handle(true).await;
    handle(true).await;
    assert_eq!(count_all(&database, "prescriptions").await, 1);
}

#[tokio::test]
async fn what_an_automatic_plan_lacks_becomes_a_failure_with_field_codes() {
    let database = database().await;
    let world = World::new();
    world.prescriber.lock().unwrap().npi = None;
    on_treatment_plan_created(&database.env, &database.pg, &world.ports(), id(PLAN), true)
        .await
        .unwrap();
    let page = read::prescriptions(
        &database.pg,
        &NoPanel,
        &provider_actor(PROVIDER),
        None,
        &PageRequest::default(),
    )
    .await
    .unwrap();
    let PrescriptionState::Failed { code, reason, .. } = &page.items[0].state else {
        panic!("{:?}", page.items[0].state)
    };
    assert_eq!((code.as_str(), reason.as_str()), ("preflight", "prescriber.npi: required"));

    let refused = write(&database, &world, "a").await.unwrap_err();
    assert_eq!(refused.fields()[0].path, "prescriber.npi");
}

#[tokio::test]
async fn neither_an_expired_license_nor_a_controlled_drug_is_signed() {
    let database = database().await;
    let world = World::new();
    world.prescriber.lock().unwrap().licenses[0].expires_on =
        NaiveDate::from_ymd_opt(2001, 1, 1).unwrap();
    let refused = write(&database, &world, "a").await.unwrap_err();
    assert_eq!(refused.code(), "pharmacy.license_required");

    let world = World::new();
    world.treatment.lock().unwrap().medication.schedule = DeaSchedule::Iv;
    let refused = write(&database, &world, "b").await.unwrap_err();
    assert_eq!(refused.code(), "pharmacy.controlled_substance");
    assert_eq!(count_all(&database, "prescriptions").await, 0);
}

#[tokio::test]
async fn another_ones_prescription_does_not_exist_and_the_attempt_is_audited() {
    let database = database().await;
    let world = World::new();
    let queued = write(&database, &world, "a").await.unwrap();
    let pg = &database.pg;

    assert!(read::prescription(pg, &patient_actor(PATIENT), queued.id).await.is_ok());
    for stranger in [patient_actor(33), provider_actor(44)] {
        let refused = read::prescription(pg, &stranger, queued.id).await.unwrap_err();
        assert_eq!(refused.kind(), ErrorKind::NotFound);
    }
    let denied = "SELECT count(*) FROM audit_entries WHERE outcome = 'denied'";
    assert_eq!(count(pg, denied).await, 2);

    let stranger = provider_actor(44);
    let refused =
        prescribe(&database.env, pg, &world.ports(), &stranger, request(), &key("z")).await;
    assert_eq!(refused.unwrap_err().kind(), ErrorKind::NotFound);
    let refused =
        read::prescriptions(pg, &NoPanel, &stranger, Some(id(PATIENT)), &PageRequest::default())
            .await;
    assert_eq!(refused.unwrap_err().kind(), ErrorKind::NotFound);
    let own =
        read::prescriptions(pg, &NoPanel, &patient_actor(33), None, &PageRequest::default()).await;
    assert!(own.unwrap().items.is_empty());
}

#[tokio::test]
async fn a_dispatch_uses_one_fill_however_often_it_is_recorded() {
    let database = database().await;
    let world = World::new();
    let queued = write(&database, &world, "a").await.unwrap();
    let message = message_of(&queued);
    let network = Network::answering([status()]);
    send(&database, &world, &network, &queued).await.unwrap();
    let network: Arc<dyn ErxNetwork> = network;
    let verify = format!("verify {message} v1");
    receive_message(&database.env, &database.pg, &network, &verify).await.unwrap();

    let today = database.env.now().date_naive();
    let fill = async |dispatch: u128| {
        let mut tx =
            PrescriptionStore::begin(&database.pg, &Actor::system("tests.fills")).await.unwrap();
        let filled = record_fill(tx.as_mut(), &database.env, queued.id, id(dispatch), today).await;
        // A repetition changes nothing, so it commits nothing either.
        if let Ok(filled) = &filled {
            let left = filled.remaining_fills();
            tx.commit().await.map(|()| left).map_err(PharmacyError::from)
        } else {
            filled.map(|filled| filled.remaining_fills())
        }
    };
    assert_eq!(fill(1).await.unwrap(), 1);
    assert_eq!(fill(1).await.unwrap(), 1);
    assert_eq!(fill(2).await.unwrap(), 0);
    assert_eq!(load(&database, &queued).await.state.word(), "completed");
    assert_eq!(fill(3).await.unwrap_err().code(), "pharmacy.not_fillable");
    assert_eq!(count_all(&database, "prescription_fills").await, 2);
}

mod changed;
mod elsewhere;
mod licensed;
mod longer;
mod unmapped;
mod withdrawal;
