use std::{
    collections::{BTreeMap, BTreeSet},
    sync::{Arc, Mutex},
};

use async_trait::async_trait;
use chrono::{DateTime, NaiveDate, TimeDelta, Utc};
use kernel::{
    AccountId, Actor, Address, CategoryId, CoveredTreatment, DeaSchedule, DispatchId, HumanName,
    InvoiceId, Money, PageRequest, PatientId, Permission, PharmacyId, PrescriptionId, ProviderId,
    QuantityUnit, RequestContext, Role, SubscriptionId, UsState, Uuid, actor::ActorKind,
};
use pharmacy::{
    PharmacyError,
    dispatch::{
        Dispatch, DispatchState, HoldReason,
        checks::{FillChecks, FillCircumstances},
        due::{ReleaseFills, dispatch_due, release_fills},
        handlers::{on_invoice_paid, on_prescription_changed},
        hold::{ActivePlan, Contest, PrescriberStanding, TreatmentStanding},
        label::{BuyLabel, buy_label},
        work::{DispatchOrder, order, queue},
    },
    fulfilment::{
        CarrierEvent, CarrierShipment, Carriers, DeliveryAddress, DeliveryAddresses,
        FulfilmentStore, Label, PaidPeriods, ShipmentOrder, TrackerState, TrackingUpdate,
    },
    inventory::{
        Receipt,
        receive::{receive_lot, stock_levels},
    },
    prescription::{
        Amount, Diagnosis, Dosing, Medication, Pharmacy, Prescription, PrescriptionReach,
        PrescriptionState, PrescriptionStore, read,
    },
    safety::{ClinicalFacts, ClinicalRecord, CuratedInteractions},
    shipment::{
        Shipment, TrackingStatus,
        read::{by_tracking_number, confirm, history},
        tracking::{Received, RefreshTracking, receive, refresh_tracking},
    },
};
use ports::{PortError, events::PrescriptionStatusWord};
use salus_tests::Database;
use sea_orm::{ConnectionTrait as _, DbBackend, Statement};

const CATEGORY: CategoryId = CategoryId(Uuid::from_u128(0xca));
const PHARMACY: PharmacyId = PharmacyId(Uuid::from_u128(0x9a));
const NDC: &str = "00093736501";

fn actor(number: u128, role: Role, permission: Permission) -> Actor {
    let kind = ActorKind::Account {
        account: AccountId(Uuid::from_u128(number)),
        session: Uuid::from_u128(0x5e).into(),
        roles: Arc::new(BTreeSet::from([role])),
    };
    let permissions = Arc::new(BTreeSet::from([permission]));
    Actor { kind, permissions, request: RequestContext::default() }
}

fn pharmacist() -> Actor {
    actor(0xf, Role::Pharmacist, Permission::PharmacyWork)
}

fn patient(number: u128) -> Actor {
    actor(number, Role::Patient, Permission::ShipmentOwn)
}

fn patient_id(number: u128) -> PatientId {
    PatientId(Uuid::from_u128(number))
}

fn address() -> Address {
    Address {
        line1: "1 Main Street".into(),
        line2: None,
        city: "Boston".into(),
        state: UsState::Ma,
        postal_code: "02108".into(),
    }
}

/// What the carrier does with the next change that it is asked for.
#[derive(Clone, Copy, PartialEq, Eq)]
enum Mood {
    Obliging,
    /// Does it and loses the answer.
    LosesAnswers,
    Refuses,
}

/// A carrier in memory, which counts what it was asked.
struct Carrier {
    mood: Mutex<Mood>,
    shipments: Mutex<BTreeMap<String, CarrierShipment>>,
    bought: Mutex<u32>,
    tracking: Mutex<Vec<TrackingUpdate>>,
}

impl Carrier {
    fn new(mood: Mood) -> Self {
        Self {
            mood: Mutex::new(mood),
            shipments: Mutex::default(),
            bought: Mutex::default(),
            tracking: Mutex::default(),
        }
    }

    fn outcome(&self, shipment: CarrierShipment) -> ports::Result<CarrierShipment> {
        match *self.mood.lock().unwrap() {
            Mood::LosesAnswers => {
                Err(PortError::Unknown { vendor: "carrier", message: "lost".into() })
            }
            _ => Ok(shipment),
        }
    }

    fn refusal(&self) -> ports::Result<()> {
        if *self.mood.lock().unwrap() == Mood::Refuses {
            let (code, message) = ("ADDRESS".to_owned(), "no such street".to_owned());
            return Err(PortError::Refused { vendor: "carrier", code, message });
        }
        Ok(())
    }
}

#[async_trait]
impl Carriers for Carrier {
    async fn find(&self, reference: &str) -> ports::Result<Option<CarrierShipment>> {
        Ok(self.shipments.lock().unwrap().get(reference).cloned())
    }

    async fn create(&self, order: &ShipmentOrder) -> ports::Result<CarrierShipment> {
        self.refusal()?;
        let reference = order.reference.clone();
        let made = CarrierShipment { id: format!("shp_{reference}"), reference, label: None };
        let before = self.shipments.lock().unwrap().insert(made.reference.clone(), made.clone());
        assert_eq!(before, None, "the carrier was asked for one shipment twice");
        self.outcome(made)
    }

    async fn buy(&self, shipment: &CarrierShipment) -> ports::Result<CarrierShipment> {
        self.refusal()?;
        *self.bought.lock().unwrap() += 1;
        let label = Label {
            id: format!("pl_{}", shipment.id),
            url: "https://labels.example/1.png".into(),
            carrier: "USPS".into(),
            service: "GroundAdvantage".into(),
            // Every box of this carrier has the same number.
            tracking_number: "94001".into(),
            tracker_id: format!("trk_{}", shipment.id),
            cost: Money::usd(612),
        };
        let bought = CarrierShipment { label: Some(label), ..shipment.clone() };
        self.shipments.lock().unwrap().insert(bought.reference.clone(), bought.clone());
        self.outcome(bought)
    }

    async fn tracker(&self, id: &str) -> ports::Result<Option<TrackerState>> {
        Ok(Some(state(id, &self.tracking.lock().unwrap())))
    }
}

fn state(id: &str, updates: &[TrackingUpdate]) -> TrackerState {
    TrackerState {
        id: id.into(),
        carrier: "USPS".into(),
        tracking_number: "94001".into(),
        shipment_id: None,
        updates: updates.to_vec(),
    }
}

struct Home(bool);

#[async_trait]
impl DeliveryAddresses for Home {
    async fn delivery_address(&self, _: PatientId) -> ports::Result<Option<DeliveryAddress>> {
        Ok(self.0.then(|| DeliveryAddress {
            name: HumanName { given: "Ada".into(), family: "Example".into() },
            address: address(),
            phone: None,
        }))
    }
}

/// What the other contexts say of every patient. Nothing speaks against a
/// fill until a test says so.
#[derive(Clone)]
struct Around {
    database: Arc<Database>,
    facts: Arc<Mutex<Facts>>,
}

#[derive(Clone, Default)]
struct Facts {
    /// The record cannot be read.
    unreadable: bool,
    record: ClinicalFacts,
    ended: bool,
    standing: TreatmentStanding,
    prescriber: Option<PrescriberStanding>,
    /// Who has taken the plan over.
    successor: Option<ProviderId>,
    inactive: bool,
    contests: Vec<Contest>,
    /// The invoice that the contests are about, where it is another.
    contested: Option<InvoiceId>,
}

impl Around {
    fn read(&self) -> ports::Result<Facts> {
        let facts = self.facts.lock().unwrap().clone();
        match facts.unreadable {
            true => Err(PortError::Unavailable { vendor: "record", message: "down".into() }),
            false => Ok(facts),
        }
    }
}

#[async_trait]
impl FillCircumstances for Around {
    async fn patient_active(&self, _: PatientId) -> ports::Result<bool> {
        Ok(!self.read()?.inactive)
    }

    /// The plan of the patient's newest prescription is the active one.
    async fn treatment(
        &self,
        patient: PatientId,
        _: CategoryId,
    ) -> ports::Result<TreatmentStanding> {
        let facts = self.read()?;
        let actor = Actor::system("tests.fulfilment");
        let mut tx = PrescriptionStore::begin(&self.database.pg, &actor).await?;
        let reach = PrescriptionReach::Patient(patient);
        let newest = tx.prescriptions(reach, &PageRequest::default()).await?.items;
        let active = match (newest.first(), facts.ended) {
            (_, true) => None,
            (Some(one), false) => Some(ActivePlan {
                plan: one.treatment_plan,
                version: 1,
                provider: facts.successor.unwrap_or(one.provider),
            }),
            // Its prescription is still to come.
            (None, false) => {
                Some(ActivePlan { plan: Uuid::from_u128(1).into(), version: 1, provider: DOCTOR })
            }
        };
        Ok(TreatmentStanding { active, last_provider: Some(DOCTOR), ..facts.standing })
    }

    async fn prescriber(&self, _: ProviderId, _: PatientId) -> ports::Result<PrescriberStanding> {
        Ok(self.read()?.prescriber.unwrap_or(PrescriberStanding::MayPrescribe))
    }

    async fn contests(
        &self,
        patient: PatientId,
        _: CategoryId,
    ) -> ports::Result<Vec<(InvoiceId, Contest)>> {
        let contests = self.read()?.contests;
        let actor = Actor::system("tests.fulfilment");
        let mut tx = FulfilmentStore::begin(&self.database.pg, &actor).await?;
        let paid = tx.open_fills(patient, CATEGORY).await?;
        let back = tx.held_back(patient).await?;
        drop(tx);
        let dispatched = dispatches(&self.database, None).await;
        let theirs = dispatched.iter().filter(|dispatch| dispatch.patient == patient);
        let own = back.iter().chain(theirs).map(|dispatch| dispatch.invoice);
        let own = own.chain(paid.iter().map(|fill| fill.invoice));
        // Unless a test says otherwise it is about the very fill.
        let invoice = self.facts.lock().unwrap().contested.or(own.last());
        let invoice = invoice.unwrap_or(InvoiceId(Uuid::from_u128(1)));
        Ok(contests.into_iter().map(|contest| (invoice, contest)).collect())
    }
}

#[async_trait]
impl ClinicalRecord for Around {
    async fn facts(&self, _: PatientId) -> ports::Result<ClinicalFacts> {
        Ok(self.read()?.record)
    }
}

const DOCTOR: ProviderId = ProviderId(Uuid::from_u128(0xd0c));

impl Around {
    fn checks(&self) -> FillChecks {
        let around = Arc::new(self.clone());
        FillChecks {
            circumstances: around.clone(),
            record: around,
            interactions: Arc::new(CuratedInteractions),
        }
    }
}

/// Checks that find nothing.
fn clear(database: &Arc<Database>) -> FillChecks {
    Around { database: database.clone(), facts: Arc::default() }.checks()
}

/// Looks at the patient's fills as the job does.
async fn look(database: &Arc<Database>, number: u128) {
    let job = ReleaseFills { patient: patient_id(number), category: CATEGORY };
    release_fills(&database.env, &database.pg, &clear(database), job).await.unwrap();
}

/// A database with the pharmacy and so many units of the drug.
async fn stocked(units: i64) -> Arc<Database> {
    let database = Database::fresh().await;
    let entry = Pharmacy {
        id: PHARMACY,
        ncpdp_id: "1234567".parse().unwrap(),
        npi: "1234567893".parse().unwrap(),
        name: "Example Mail Pharmacy".into(),
        address: address(),
        phone: "+16175550199".parse().unwrap(),
        mail_order: true,
        active: true,
        dea: None,
        licensed_in: [UsState::Ma].into(),
        version: 1,
    };
    read::put_pharmacy(&database.pg, &Actor::system("tests.fulfilment"), &entry).await.unwrap();
    employ(&database, PHARMACY, 0xf).await;
    if units > 0 {
        restock(&database, units).await;
    }
    Arc::new(database)
}

/// Says that this account is the one that works in the pharmacy.
async fn employ(database: &Database, pharmacy: PharmacyId, account: u128) {
    let actor = Actor::system("tests.fulfilment");
    let mut tx = PrescriptionStore::begin(&database.pg, &actor).await.unwrap();
    tx.set_pharmacists(pharmacy, &[AccountId(Uuid::from_u128(account))]).await.unwrap();
    let entry = ports::AuditEntry::new(ports::AuditAction::Update, "pharmacy", pharmacy);
    tx.audit(entry);
    tx.commit().await.unwrap();
}

async fn restock(database: &Database, units: i64) {
    let receipt = Receipt {
        pharmacy: PHARMACY,
        ndc: NDC.parse().unwrap(),
        lot_number: "L1".into(),
        expires_on: NaiveDate::from_ymd_opt(2027, 6, 30).unwrap(),
        quantity: units,
        reorder_level: Some(5),
    };
    receive_lot(&database.env, &database.pg, &pharmacist(), None, receipt).await.unwrap();
}

/// An active prescription of `quantity` tablets with one refill.
async fn prescription(database: &Database, number: u128, quantity: u32) -> PrescriptionId {
    let now = database.env.now();
    let prescription = Prescription {
        id: database.env.fresh(),
        treatment_plan: database.env.fresh(),
        plan_version: 1,
        patient: patient_id(number),
        provider: database.env.fresh(),
        category: CATEGORY,
        pharmacy: PHARMACY,
        medication: Medication {
            rxnorm: "310346".parse().unwrap(),
            ndc: NDC.parse().unwrap(),
            display: "finasteride 1 MG Oral Tablet".into(),
            strength: "1 MG".into(),
            schedule: DeaSchedule::None,
        },
        dosing: Dosing {
            sig: "Take one tablet daily.".into(),
            quantity: Amount::whole(quantity).unwrap(),
            unit: QuantityUnit::Tablet,
            days_supply: 30,
            refills: 1,
        },
        diagnosis: Diagnosis { code: "L64.9".parse().unwrap(), display: "Alopecia".into() },
        written_on: now.date_naive(),
        alerts: Vec::new(),
        fills_used: 0,
        last_filled_on: None,
        state: PrescriptionState::Active { message: database.env.fresh(), verified_at: now },
        created_at: now,
        updated_at: now,
        version: 1,
    };
    let actor = Actor::system("tests.fulfilment");
    let mut tx = PrescriptionStore::begin(&database.pg, &actor).await.unwrap();
    tx.insert(&prescription).await.unwrap();
    let entry = ports::AuditEntry::new(ports::AuditAction::Create, "prescription", prescription.id);
    tx.audit(entry);
    tx.commit().await.unwrap();
    prescription.id
}

async fn paid(
    database: &Arc<Database>,
    number: u128,
    invoice: InvoiceId,
) -> Result<(), PharmacyError> {
    paid_for(database, number, invoice, 1).await
}

/// Subscriptions whose periods have so many months.
struct Months(u32);

#[async_trait]
impl PaidPeriods for Months {
    async fn months(&self, _: SubscriptionId) -> ports::Result<Option<u32>> {
        Ok(Some(self.0))
    }

    async fn sold(&self, _: SubscriptionId) -> ports::Result<Vec<CoveredTreatment>> {
        Ok(Vec::new())
    }
}

async fn paid_for(
    database: &Arc<Database>,
    number: u128,
    invoice: InvoiceId,
    months: u32,
) -> Result<(), PharmacyError> {
    let subscription = Uuid::from_u128(0x50b).into();
    let patient = patient_id(number);
    let (invoice, patient) = ((invoice, subscription), (patient, CATEGORY));
    on_invoice_paid(&database.env, &database.pg, &Months(months), invoice, patient).await?;
    look(database, number).await;
    Ok(())
}

async fn told(
    database: &Arc<Database>,
    number: u128,
    id: PrescriptionId,
    status: PrescriptionStatusWord,
) -> Result<(), PharmacyError> {
    let patient = patient_id(number);
    on_prescription_changed(&database.env, &database.pg, id, patient, CATEGORY, status).await?;
    look(database, number).await;
    Ok(())
}

async fn dispatches(database: &Database, state: Option<DispatchState>) -> Vec<Dispatch> {
    let page = PageRequest::new(Some(200), None);
    queue(&database.pg, &pharmacist(), state, &page).await.unwrap().items
}

/// A reserved dispatch of 30 tablets for this patient.
async fn reserved(database: &Arc<Database>, number: u128) -> DispatchId {
    prescription(database, number, 30).await;
    paid(database, number, database.env.fresh()).await.unwrap();
    let all = dispatches(database, Some(DispatchState::Reserved)).await;
    all.iter().find(|each| each.patient == patient_id(number)).unwrap().id
}

async fn label(
    database: &Arc<Database>,
    carrier: &Carrier,
    dispatch: DispatchId,
) -> Result<(), PharmacyError> {
    let (checks, job) = (clear(database), BuyLabel { dispatch });
    buy_label(&database.env, &database.pg, carrier, &Home(true), &checks, job).await
}

/// What a pharmacist's call for what is due makes.
async fn due(database: &Arc<Database>) -> Result<Vec<Dispatch>, PharmacyError> {
    dispatch_due(&database.env, &database.pg, &clear(database), &pharmacist()).await
}

async fn shipments(database: &Database, number: u128) -> Vec<Shipment> {
    let page = PageRequest::default();
    let found = history(&database.pg, &patient(number), patient_id(number), &page).await.unwrap();
    found.items
}

/// Whether it does not exist, or not for the caller.
fn is_missing(error: PharmacyError) -> bool {
    matches!(error, PharmacyError::Port(PortError::NotFound { .. }))
}

async fn count(database: &Database, sql: &str) -> i64 {
    let statement = Statement::from_string(DbBackend::Postgres, sql);
    let row = database.superuser().await.query_one_raw(statement).await.unwrap().unwrap();
    row.try_get_by_index(0).unwrap()
}

fn minute(minutes: i64) -> DateTime<Utc> {
    "2026-03-03T12:00:00Z".parse::<DateTime<Utc>>().unwrap() + TimeDelta::minutes(minutes)
}

fn event(id: &str, shipment: &Shipment, status: TrackingStatus, minutes: i64) -> CarrierEvent {
    let tracker = &shipment.label.as_ref().unwrap().tracker_id;
    let updates = [TrackingUpdate { status, at: minute(minutes) }];
    CarrierEvent { id: id.into(), tracker: Some(state(tracker, &updates)) }
}

async fn on_hand(database: &Database) -> (i64, i64) {
    let page = PageRequest::default();
    let levels =
        stock_levels(&database.pg, &pharmacist(), Some(PHARMACY), &page).await.unwrap().items;
    (levels[0].on_hand(), levels[0].reserved())
}

#[tokio::test]
async fn the_facts_make_one_dispatch_in_whichever_order_they_arrive() {
    let database = stocked(300).await;
    // The invoice first.
    let invoice = database.env.fresh();
    paid(&database, 1, invoice).await.unwrap();
    assert!(dispatches(&database, None).await.is_empty());
    let first = prescription(&database, 1, 30).await;
    for _ in 0..2 {
        told(&database, 1, first, PrescriptionStatusWord::Active).await.unwrap();
        paid(&database, 1, invoice).await.unwrap();
    }
    // The prescription first.
    let second = prescription(&database, 2, 30).await;
    told(&database, 2, second, PrescriptionStatusWord::Active).await.unwrap();
    paid(&database, 2, database.env.fresh()).await.unwrap();
    let made = dispatches(&database, Some(DispatchState::Reserved)).await;
    let of: Vec<PrescriptionId> = made.iter().map(|each| each.prescription).collect();
    assert_eq!(of, [first, second]);
    assert_eq!(due(&database).await.unwrap(), []);
    assert_eq!(on_hand(&database).await, (300, 60));
}

#[tokio::test]
async fn facts_that_arrive_at_once_see_each_other() {
    let database = stocked(1000).await;
    for number in 1..=12u128 {
        let id = prescription(&database, number, 30).await;
        let invoice: InvoiceId = database.env.fresh();
        let (one, two, three) = tokio::join!(
            paid(&database, number, invoice),
            told(&database, number, id, PrescriptionStatusWord::Active),
            paid(&database, number, invoice),
        );
        one.and(two).and(three).unwrap();
    }
    assert_eq!(dispatches(&database, Some(DispatchState::Reserved)).await.len(), 12);
}

#[tokio::test]
async fn two_invoices_use_two_fills_and_a_third_waits() {
    let database = stocked(300).await;
    prescription(&database, 1, 30).await;
    let carrier = Carrier::new(Mood::Obliging);
    for fill in 1..=3 {
        paid(&database, 1, database.env.fresh()).await.unwrap();
        for dispatch in dispatches(&database, None).await {
            assert_eq!(dispatch.fill_number, fill);
            label(&database, &carrier, dispatch.id).await.unwrap();
        }
        database.clock.advance(TimeDelta::days(30));
    }
    assert_eq!(dispatches(&database, Some(DispatchState::Shipped)).await.len(), 2);
    // The third is served by the next prescription.
    prescription(&database, 1, 30).await;
    let made = due(&database).await.unwrap();
    assert_eq!(made.len(), 1);
    assert_eq!(made[0].fill_number, 1);
}

#[tokio::test]
async fn thirty_two_dispatches_at_once_never_oversell_ten_units() {
    let database = stocked(10).await;
    for number in 1..=32 {
        prescription(&database, number, 1).await;
    }
    let runs: Vec<_> = (1..=32)
        .map(|number| {
            let database = database.clone();
            tokio::spawn(async move { paid(&database, number, database.env.fresh()).await })
        })
        .collect();
    for run in runs {
        run.await.unwrap().unwrap();
    }
    assert_eq!(dispatches(&database, Some(DispatchState::Reserved)).await.len(), 10);
    assert_eq!(dispatches(&database, Some(DispatchState::AwaitingStock)).await.len(), 22);
    assert_eq!(on_hand(&database).await, (10, 10));
    // More arrives, and the oldest are served first.
    let waiting = dispatches(&database, Some(DispatchState::AwaitingStock)).await;
    restock(&database, 2).await;
    let still: BTreeSet<DispatchId> = dispatches(&database, Some(DispatchState::AwaitingStock))
        .await
        .iter()
        .map(|each| each.id)
        .collect();
    let expected: BTreeSet<DispatchId> = waiting.iter().skip(2).map(|each| each.id).collect();
    assert_eq!(still, expected);
    restock(&database, 100).await;
    assert_eq!(dispatches(&database, Some(DispatchState::AwaitingStock)).await, []);
    assert_eq!(on_hand(&database).await, (112, 32));
}

#[tokio::test]
async fn the_database_itself_refuses_to_oversell() {
    let database = stocked(10).await;
    let pool = database.superuser().await;
    for sql in [
        "UPDATE inventory_lots SET reserved = on_hand + 1",
        "UPDATE inventory_lots SET on_hand = -1",
    ] {
        let refused = pool.execute_unprepared(sql).await.unwrap_err().to_string();
        assert!(refused.contains("check constraint"), "{sql}: {refused}");
    }
}

#[tokio::test]
async fn a_label_is_bought_once_however_often_the_answer_is_lost() {
    let database = stocked(32).await;
    let dispatch = reserved(&database, 1).await;
    let carrier = Carrier::new(Mood::LosesAnswers);
    // First the answer to the shipment is lost, then that to the purchase.
    for bought in [0, 1] {
        let lost = label(&database, &carrier, dispatch).await;
        assert!(matches!(lost, Err(PharmacyError::Port(PortError::Unknown { .. }))), "{lost:?}");
        assert_eq!(*carrier.bought.lock().unwrap(), bought);
        assert_eq!(on_hand(&database).await, (32, 30));
    }
    *carrier.mood.lock().unwrap() = Mood::Obliging;
    for _ in 0..2 {
        label(&database, &carrier, dispatch).await.unwrap();
    }
    assert_eq!(*carrier.bought.lock().unwrap(), 1);
    assert_eq!(on_hand(&database).await, (2, 0));
    let shipped = dispatches(&database, Some(DispatchState::Shipped)).await;
    let actor = Actor::system("tests.fulfilment");
    let mut tx = PrescriptionStore::begin(&database.pg, &actor).await.unwrap();
    let prescription =
        tx.prescription(shipped[0].prescription, PrescriptionReach::Any).await.unwrap().unwrap();
    assert_eq!(prescription.fills_used, 1);
    let events = "SELECT count(*) FROM outbox_events WHERE kind = 'shipment_changed'";
    assert_eq!(count(&database, events).await, 1);
    let low = "SELECT count(*) FROM outbox_events WHERE kind = 'stock_low'";
    assert_eq!(count(&database, low).await, 1);
}

#[tokio::test]
async fn a_refusal_holds_the_dispatch_until_a_pharmacist_resumes_it() {
    let database = stocked(60).await;
    let dispatch = reserved(&database, 1).await;
    let carrier = Carrier::new(Mood::Refuses);
    label(&database, &carrier, dispatch).await.unwrap();
    let held = dispatches(&database, Some(DispatchState::OnHold)).await;
    assert_eq!(held[0].hold_reason, Some(HoldReason::CarrierRefused));
    assert_eq!(shipments(&database, 1).await, []);
    *carrier.mood.lock().unwrap() = Mood::Obliging;
    // While it is held, the job finds nothing to do.
    label(&database, &carrier, dispatch).await.unwrap();
    assert_eq!(*carrier.bought.lock().unwrap(), 0);
    let resume = DispatchOrder::Resume;
    order(&database.env, &database.pg, &pharmacist(), dispatch, resume).await.unwrap();
    label(&database, &carrier, dispatch).await.unwrap();
    assert_eq!(shipments(&database, 1).await.len(), 1);
}

#[tokio::test]
async fn without_an_address_nothing_is_asked_of_the_carrier() {
    let database = stocked(60).await;
    let dispatch = reserved(&database, 1).await;
    let carrier = Carrier::new(Mood::Obliging);
    let job = BuyLabel { dispatch };
    buy_label(&database.env, &database.pg, &carrier, &Home(false), &clear(&database), job)
        .await
        .unwrap();
    let held = dispatches(&database, Some(DispatchState::OnHold)).await;
    assert_eq!(held[0].hold_reason, Some(HoldReason::NoDeliveryAddress));
    assert!(carrier.shipments.lock().unwrap().is_empty());
}

#[tokio::test]
async fn a_canceled_prescription_gives_its_units_and_its_invoice_back() {
    let database = stocked(30).await;
    let first = prescription(&database, 1, 30).await;
    paid(&database, 1, database.env.fresh()).await.unwrap();
    prescription(&database, 2, 30).await;
    paid(&database, 2, database.env.fresh()).await.unwrap();
    assert_eq!(dispatches(&database, Some(DispatchState::AwaitingStock)).await.len(), 1);
    told(&database, 1, first, PrescriptionStatusWord::Canceled).await.unwrap();
    let now_reserved = dispatches(&database, Some(DispatchState::Reserved)).await;
    assert_eq!(now_reserved.len(), 1);
    assert_eq!(now_reserved[0].patient, patient_id(2));
    assert_eq!(on_hand(&database).await, (30, 30));
    // The invoice pays for the prescription that replaces it.
    let second = prescription(&database, 1, 30).await;
    told(&database, 1, second, PrescriptionStatusWord::Active).await.unwrap();
    let waiting = dispatches(&database, Some(DispatchState::AwaitingStock)).await;
    assert_eq!(waiting.len(), 1);
    assert_eq!(waiting[0].patient, patient_id(1));
}

#[tokio::test]
async fn a_labels_address_and_number_are_sealed_and_those_from_before_are_still_found() {
    let database = stocked(60).await;
    let carrier = Carrier::new(Mood::Obliging);
    let dispatch = reserved(&database, 1).await;
    label(&database, &carrier, dispatch).await.unwrap();
    let readable = "SELECT count(*) FROM shipments WHERE shipments::text ~ '94001|labels.example'";
    assert_eq!(count(&database, readable).await, 0);
    let kept = shipments(&database, 1).await.remove(0).label.unwrap();
    assert_eq!(
        (kept.tracking_number.as_str(), kept.url.as_str()),
        ("94001", "https://labels.example/1.png")
    );

    let before = "UPDATE shipments SET sealed_label = NULL, tracking_number = '94001', \
                  label_url = 'https://labels.example/1.png'";
    database.superuser().await.execute_unprepared(before).await.unwrap();
    let found = by_tracking_number(&database.pg, &patient(1), "94001").await.unwrap().shipment;
    assert_eq!(found.label.as_ref(), Some(&kept));
    let event = event("evt_1", &found, TrackingStatus::InTransit, 5);
    receive(&database.env, &database.pg, event).await.unwrap();
    assert_eq!(count(&database, readable).await, 0, "saving it seals it");
}

#[tokio::test]
async fn another_patients_shipment_does_not_exist_and_the_attempt_is_recorded() {
    let database = stocked(60).await;
    let carrier = Carrier::new(Mood::Obliging);
    let dispatch = reserved(&database, 1).await;
    label(&database, &carrier, dispatch).await.unwrap();
    let id = shipments(&database, 1).await[0].id;
    let eve = patient(2);
    let confirmed = confirm(&database.env, &database.pg, &eve, id).await;
    assert!(confirmed.is_err_and(is_missing));
    let listed = history(&database.pg, &eve, patient_id(1), &PageRequest::default()).await;
    assert!(listed.is_err_and(is_missing));
    let denied = "SELECT count(*) FROM audit_entries WHERE outcome = 'denied'";
    assert_eq!(count(&database, denied).await, 2);
    let ordered = order(&database.env, &database.pg, &eve, dispatch, DispatchOrder::Cancel).await;
    assert!(matches!(ordered, Err(PharmacyError::Forbidden(_))), "{ordered:?}");
}

#[tokio::test]
async fn the_recipient_confirms_once_and_lies_sealed() {
    let database = stocked(60).await;
    let carrier = Carrier::new(Mood::Obliging);
    let dispatch = reserved(&database, 1).await;
    label(&database, &carrier, dispatch).await.unwrap();
    let id = shipments(&database, 1).await[0].id;
    let first = confirm(&database.env, &database.pg, &patient(1), id).await.unwrap();
    assert_eq!(first.status, TrackingStatus::Delivered);
    database.clock.advance(TimeDelta::hours(1));
    let again = confirm(&database.env, &database.pg, &patient(1), id).await.unwrap();
    assert_eq!(again.confirmed_at, first.confirmed_at);
    assert_eq!(dispatches(&database, Some(DispatchState::Delivered)).await.len(), 1);
    let clear = "SELECT count(*) FROM shipments \
         WHERE position('Main Street'::bytea IN recipient) > 0 OR recipient IS NULL";
    assert_eq!(count(&database, clear).await, 0);
}

#[tokio::test]
async fn a_full_queue_is_read_page_by_page() {
    let database = stocked(0).await;
    for number in 1..=5 {
        prescription(&database, number, 30).await;
        paid(&database, number, database.env.fresh()).await.unwrap();
    }
    let mut seen = BTreeSet::new();
    let mut cursor = None;
    loop {
        let request = PageRequest::new(Some(2), cursor);
        let page = queue(&database.pg, &pharmacist(), None, &request).await.unwrap();
        seen.extend(page.items.iter().map(|each| each.id));
        cursor = page.next;
        if cursor.is_none() {
            break;
        }
    }
    assert_eq!(seen.len(), 5);
}

mod holds;
mod pharmacists;
mod release;
mod tracking;
mod withdrawal;
