//! A pharmacist reaches what belongs to their own pharmacies, by the queries and
//! by the wall around the rows; and a pharmacy sends nothing to where it may not.

use kernel::DomainError as _;
use pharmacy::prescription::{
    administer::{self, PharmacySpec},
    directory::Pharmacy as Directory,
};
use ports::Panel;

use super::*;

const ELSEWHERE: PharmacyId = PharmacyId(Uuid::from_u128(0x9b));

/// Who works in the other pharmacy.
fn stranger() -> Actor {
    actor(0xe, Role::Pharmacist, Permission::PharmacyWork)
}

/// Who works nowhere yet.
fn newcomer() -> Actor {
    actor(0xd, Role::Pharmacist, Permission::PharmacyWork)
}

struct NoPanel;

#[async_trait]
impl Panel for NoPanel {
    async fn treats(&self, _: kernel::ProviderId, _: PatientId) -> ports::Result<bool> {
        Ok(false)
    }

    async fn opens_chart(&self, _: kernel::ProviderId, _: PatientId) -> ports::Result<bool> {
        Ok(false)
    }
}

fn entry(id: PharmacyId, ncpdp_id: &str, licensed_in: UsState) -> Directory {
    Directory {
        id,
        ncpdp_id: ncpdp_id.parse().unwrap(),
        npi: "1234567893".parse().unwrap(),
        dea: None,
        name: "Another Pharmacy".into(),
        address: address(),
        phone: "+16175550198".parse().unwrap(),
        mail_order: true,
        licensed_in: [licensed_in].into(),
        active: true,
        version: 1,
    }
}

/// The rows that an actor's transaction sees, whatever a query forgets to ask.
async fn rows(database: &Database, actor: &Actor, table: &str) -> i64 {
    let tx = database.pg.open(actor).await.unwrap();
    let sql = format!("SELECT count(*) FROM {table}");
    let row = tx.read().query_one_raw(Statement::from_string(DbBackend::Postgres, sql)).await;
    row.unwrap().unwrap().try_get_by_index(0).unwrap()
}

async fn denied(database: &Database, entity: &str) -> i64 {
    count(
        database,
        &format!(
            "SELECT count(*) FROM audit_entries WHERE outcome = 'denied' AND entity = '{entity}'"
        ),
    )
    .await
}

#[tokio::test]
async fn a_pharmacist_reaches_what_their_own_pharmacies_hold() {
    let database = stocked(60).await;
    let (env, pg) = (&database.env, &database.pg);
    let system = Actor::system("tests.fulfilment");
    read::put_pharmacy(pg, &system, &entry(ELSEWHERE, "0123454", UsState::Ma)).await.unwrap();
    employ(&database, ELSEWHERE, 0xe).await;
    let dispatch = reserved(&database, 1).await;
    let (page, all) = (PageRequest::default(), dispatches(&database, None).await);
    let prescription = all[0].prescription;
    let other = stranger();

    // What there is, and what there is for each.
    for (actor, seen) in [(&pharmacist(), 1), (&other, 0), (&newcomer(), 0)] {
        let found = queue(pg, actor, None, &page).await.unwrap();
        assert_eq!(found.items.len(), seen);
        let found = read::prescriptions(pg, &NoPanel, actor, None, &page).await.unwrap();
        assert_eq!(found.items.len(), seen);
        let found = stock_levels(pg, actor, None, &page).await.unwrap();
        assert_eq!(found.items.len(), seen);
        for table in ["prescriptions", "dispatches"] {
            assert_eq!(
                rows(&database, actor, table).await,
                i64::try_from(seen).unwrap(),
                "{table}"
            );
        }
    }
    assert_eq!(rows(&database, &system, "prescriptions").await, 1);

    // The ids of another pharmacy are nothing, and asking for them is on record.
    let missing = |error: PharmacyError| assert!(is_missing(error));
    missing(order(env, pg, &other, dispatch, DispatchOrder::Pick).await.unwrap_err());
    missing(read::prescription(pg, &other, prescription).await.unwrap_err());
    let patient = Some(patient_id(1));
    missing(read::prescriptions(pg, &NoPanel, &other, patient, &page).await.unwrap_err());
    missing(stock_levels(pg, &other, Some(PHARMACY), &page).await.unwrap_err());
    let receipt = Receipt {
        pharmacy: PHARMACY,
        ndc: NDC.parse().unwrap(),
        lot_number: "L9".into(),
        expires_on: NaiveDate::from_ymd_opt(2027, 6, 30).unwrap(),
        quantity: 5,
        reorder_level: None,
    };
    missing(receive_lot(env, pg, &other, None, receipt).await.unwrap_err());
    assert_eq!(
        (
            denied(&database, "dispatch").await,
            denied(&database, "prescription").await,
            denied(&database, "patient").await,
            denied(&database, "inventory").await,
        ),
        (1, 1, 1, 2)
    );
    let own = read::prescriptions(pg, &NoPanel, &pharmacist(), patient, &page).await.unwrap();
    assert_eq!(own.items.len(), 1);

    label(&database, &Carrier::new(Mood::Obliging), dispatch).await.unwrap();
    missing(by_tracking_number(pg, &other, "94001").await.unwrap_err());
    assert_eq!(history(pg, &other, patient_id(1), &page).await.unwrap().items.len(), 0);
    let shipment = by_tracking_number(pg, &pharmacist(), "94001").await.unwrap().shipment;
    missing(confirm(env, pg, &other, shipment.id).await.unwrap_err());
    assert_eq!(
        (
            rows(&database, &other, "shipments").await,
            rows(&database, &pharmacist(), "shipments").await
        ),
        (0, 1)
    );

    // Whoever changes to the other pharmacy loses this one.
    employ(&database, PHARMACY, 0xe).await;
    assert_eq!(
        queue(pg, &pharmacist(), Some(DispatchState::Shipped), &page).await.unwrap().items,
        []
    );
    assert!(by_tracking_number(pg, &other, "94001").await.is_ok());
}

#[tokio::test]
async fn what_is_due_is_asked_for_by_their_own_pharmacist() {
    let database = stocked(60).await;
    let id = prescription(&database, 1, 30).await;
    paid(&database, 1, database.env.fresh()).await.unwrap();
    let made = dispatches(&database, None).await;
    assert_eq!(made.iter().map(|one| one.prescription).collect::<Vec<_>>(), [id]);
    // The second fill falls due; somebody of another pharmacy asks first.
    label(&database, &Carrier::new(Mood::Obliging), made[0].id).await.unwrap();
    paid(&database, 1, database.env.fresh()).await.unwrap();
    database.clock.advance(TimeDelta::days(30));
    assert_eq!(
        dispatch_due(&database.env, &database.pg, &clear(&database), &newcomer()).await.unwrap(),
        []
    );
    assert_eq!(dispatches(&database, Some(DispatchState::Reserved)).await, []);
    let due =
        dispatch_due(&database.env, &database.pg, &clear(&database), &pharmacist()).await.unwrap();
    assert_eq!(due.iter().map(|one| one.fill_number).collect::<Vec<_>>(), [2]);
}

fn spec(active: bool, licensed_in: &[UsState]) -> PharmacySpec {
    let known = entry(PHARMACY, "1234567", UsState::Ma);
    PharmacySpec {
        ncpdp_id: known.ncpdp_id,
        npi: known.npi,
        dea: Some("AB1234563".parse().unwrap()),
        name: known.name,
        address: known.address,
        phone: known.phone,
        mail_order: true,
        licensed_in: licensed_in.iter().copied().collect(),
        active,
    }
}

#[tokio::test]
async fn nothing_goes_out_where_the_pharmacy_may_not_send() {
    let database = stocked(90).await;
    let (env, pg) = (&database.env, &database.pg);
    let system = Actor::system("tests.fulfilment");
    let change = async |active, states: &[UsState]| {
        let seen = kernel::Seen::Any;
        administer::revise(pg, &system, PHARMACY, &seen, spec(active, states)).await.unwrap()
    };
    let carrier = Carrier::new(Mood::Obliging);
    for (number, active, states, reason) in [
        (1, true, &[UsState::Ny][..], HoldReason::PharmacyNotLicensed),
        (2, false, &[UsState::Ma][..], HoldReason::PharmacyInactive),
    ] {
        change(true, &[UsState::Ma]).await;
        let dispatch = reserved(&database, number).await;
        change(active, states).await;
        label(&database, &carrier, dispatch).await.unwrap();
        let held = dispatches(&database, Some(DispatchState::OnHold)).await;
        let held = held.iter().find(|one| one.id == dispatch).expect("it is held");
        assert_eq!(held.hold_reason, Some(reason));
    }
    assert!(carrier.shipments.lock().unwrap().is_empty(), "the carrier was not asked");
    // A pharmacy out of use takes no new fill either; once it is back, it does.
    prescription(&database, 3, 30).await;
    paid(&database, 3, env.fresh()).await.unwrap();
    assert_eq!(dispatches(&database, Some(DispatchState::Reserved)).await.len(), 0);
    change(true, &[UsState::Ma]).await;
    assert_eq!(dispatch_due(env, pg, &clear(&database), &pharmacist()).await.unwrap().len(), 1);
}

struct Everybody;

#[async_trait]
impl administer::Pharmacists for Everybody {
    async fn is_pharmacist(&self, account: AccountId) -> ports::Result<bool> {
        Ok(account != AccountId(Uuid::from_u128(0xbad)))
    }
}

#[tokio::test]
async fn a_pharmacy_is_created_changed_and_taken_out_of_use() {
    let database = Database::fresh().await;
    let (env, pg) = (&database.env, &database.pg);
    let admin = actor(0xa, Role::Admin, Permission::PharmacyAdminister);
    let refused = administer::create(env, pg, &pharmacist(), spec(true, &[UsState::Ma])).await;
    assert!(matches!(refused, Err(PharmacyError::Forbidden(_))));
    let nowhere = administer::create(env, pg, &admin, spec(true, &[])).await;
    assert!(
        matches!(nowhere, Err(PharmacyError::Invalid(fields)) if fields[0].path == "licensed_in")
    );

    // A check digit that does not fit is said, and the identifier is kept.
    let made = administer::create(env, pg, &admin, spec(true, &[UsState::Ma])).await.unwrap();
    let warned: Vec<_> = made.warnings().into_iter().map(|one| one.code).collect();
    assert_eq!((made.version, warned), (1, vec!["check_digit".to_owned()]));
    let twice = administer::create(env, pg, &admin, spec(true, &[UsState::Ma])).await;
    assert!(matches!(&twice, Err(error) if error.code() == "pharmacy.ncpdp_id_taken"), "{twice:?}");

    let seen = kernel::Seen::from(1);
    let wider = spec(true, &[UsState::Ma, UsState::Ny]);
    let changed = administer::revise(pg, &admin, made.id, &seen, wider.clone()).await.unwrap();
    assert_eq!(changed.version, 2);
    let late = administer::deactivate(pg, &admin, made.id, &seen).await;
    assert!(matches!(late, Err(PharmacyError::Port(PortError::Stale(_)))), "{late:?}");
    let same = administer::revise(pg, &admin, made.id, &2.into(), wider).await.unwrap();
    assert_eq!(same.version, 2, "nothing is new");

    let default = async |state| {
        let mut tx = PrescriptionStore::begin(pg, &Actor::system("tests")).await.unwrap();
        tx.default_pharmacy(state).await.unwrap().map(|found| found.id)
    };
    assert_eq!(default(Some(UsState::Ny)).await, Some(made.id));
    assert_eq!(default(Some(UsState::Tx)).await, None);
    administer::deactivate(pg, &admin, made.id, &2.into()).await.unwrap();
    assert_eq!(default(Some(UsState::Ny)).await, None);
    let page = PageRequest::default();
    assert_eq!(read::pharmacies(pg, &admin, &page).await.unwrap().items, []);
    assert_eq!(administer::all(pg, &admin, &page).await.unwrap().items.len(), 1);

    let people = |numbers: &[u128]| -> BTreeSet<AccountId> {
        numbers.iter().map(|number| AccountId(Uuid::from_u128(*number))).collect()
    };
    let wrong = administer::assign(pg, &Everybody, &admin, made.id, &people(&[0xbad, 0xf])).await;
    assert!(
        matches!(wrong, Err(PharmacyError::Invalid(fields)) if fields[0].code == "no_pharmacist")
    );
    for _ in 0..2 {
        let staff = administer::assign(pg, &Everybody, &admin, made.id, &people(&[0xf])).await;
        assert_eq!(staff.unwrap(), [AccountId(Uuid::from_u128(0xf))]);
    }
    let audited = "SELECT count(*) FROM audit_entries WHERE entity = 'pharmacy'";
    assert_eq!(count(&database, audited).await, 4, "made, changed, out of use, staffed");
}
