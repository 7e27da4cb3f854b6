//! A paid fill that something speaks against does not go out, at whichever
//! step the fact arrives, until a provider decides.

use kernel::{Coding, DomainError as _, FillHoldId, code::system};
use pharmacy::{
    dispatch::{
        hold::{ContestKind, FillHold, GroundKind, ReleaseRequest},
        release::{held, release},
        withdraw::{on_patient_handed_over, on_patient_standing_changed},
    },
    safety::RecordedAllergy,
};
use ports::Panel;

use super::*;

/// Treats everybody, or nobody.
struct Treats(bool);

#[async_trait]
impl Panel for Treats {
    async fn treats(&self, _: ProviderId, _: PatientId) -> ports::Result<bool> {
        Ok(self.0)
    }
}

fn provider() -> Actor {
    acting(DOCTOR)
}

fn acting(provider: ProviderId) -> Actor {
    actor(provider.uuid().as_u128(), Role::Provider, Permission::PrescriptionWrite)
}

/// Puts the patient on the provider's panel.
pub(super) async fn treats(database: &Database, provider: ProviderId, number: u128) {
    let sql = format!(
        "INSERT INTO care_review_holders (patient_id, provider_id) VALUES ('{}', '{provider}')",
        patient_id(number),
    );
    database.superuser().await.execute_unprepared(&sql).await.unwrap();
}

pub(super) fn around(database: &Arc<Database>) -> Around {
    Around { database: database.clone(), facts: Arc::default() }
}

impl Around {
    pub(super) fn set(&self, change: impl FnOnce(&mut Facts)) {
        change(&mut self.facts.lock().unwrap());
    }

    pub(super) async fn look(&self, number: u128) -> Result<(), PharmacyError> {
        let job = ReleaseFills { patient: patient_id(number), category: CATEGORY };
        release_fills(&self.database.env, &self.database.pg, &self.checks(), job).await
    }

    /// A paid fill of an active prescription that nobody has looked at yet.
    async fn paid(&self, number: u128) -> PrescriptionId {
        let prescribed = prescription(&self.database, number, 30).await;
        let database = &self.database;
        let about = (database.env.fresh(), Uuid::from_u128(0x50b).into());
        let patient = (patient_id(number), CATEGORY);
        on_invoice_paid(&database.env, &database.pg, &Months(1), about, patient).await.unwrap();
        prescribed
    }

    async fn label(&self, carrier: &Carrier, dispatch: DispatchId) -> Result<(), PharmacyError> {
        let (checks, job) = (self.checks(), BuyLabel { dispatch });
        buy_label(&self.database.env, &self.database.pg, carrier, &Home(true), &checks, job).await
    }

    pub(super) async fn held(&self) -> Vec<FillHold> {
        self.held_for(&Actor::system("tests.holds")).await
    }

    async fn held_for(&self, actor: &Actor) -> Vec<FillHold> {
        held(&self.database.pg, actor, &PageRequest::default()).await.unwrap().items
    }

    pub(super) async fn release(
        &self,
        id: FillHoldId,
        keys: &[String],
    ) -> Result<FillHold, PharmacyError> {
        let request = ReleaseRequest {
            reason: "Spoke with the patient today.".to_owned(),
            grounds: keys.to_vec(),
        };
        let (env, store) = (&self.database.env, &self.database.pg);
        release(env, store, &Treats(true), &self.checks(), &provider(), id, request).await
    }
}

fn allergy_to_the_drug(facts: &mut Facts) {
    facts.record.allergies = vec![RecordedAllergy {
        codings: vec![Coding::new(system::RXNORM, "25025", "finasteride")],
        display: "finasteride".into(),
        categories: Vec::new(),
    }];
}

fn kinds(hold: &FillHold) -> Vec<GroundKind> {
    hold.grounds.iter().map(|ground| ground.kind).collect()
}

fn code(result: Result<FillHold, PharmacyError>) -> String {
    result.unwrap_err().code().to_owned()
}

#[tokio::test]
async fn a_fact_before_the_release_holds_the_fill_and_a_decision_lets_it_go() {
    let database = stocked(300).await;
    let around = around(&database);
    around.set(allergy_to_the_drug);
    around.set(|facts| facts.standing.open_tasks = vec![(Uuid::from_u128(7).into(), 1)]);
    let prescribed = around.paid(1).await;
    for _ in 0..2 {
        around.look(1).await.unwrap();
    }
    assert!(dispatches(&database, None).await.is_empty());
    let all = around.held().await;
    assert_eq!(all.len(), 1, "held once");
    let hold = &all[0];
    assert_eq!(kinds(hold), [GroundKind::SafetyAlert, GroundKind::OpenHealthTask]);
    assert_eq!(hold.prescription, Some(prescribed));
    let told = "SELECT count(*) FROM outbox_events WHERE kind = 'fill_held'";
    assert_eq!(count(&database, told).await, 1);
    let phoned = "SELECT count(*) FROM outbox_events WHERE kind = 'pharmacy_to_be_told'";
    assert_eq!(count(&database, phoned).await, 1, "the pharmacy has the prescription");
    let audited = "SELECT count(*) FROM audit_entries WHERE entity = 'fill_hold' \
                   AND action = 'create' AND patient_id IS NOT NULL";
    assert_eq!(count(&database, audited).await, 1);
    let leaked = "SELECT count(*) FROM audit_entries WHERE detail::text LIKE '%25025%'";
    assert_eq!(count(&database, leaked).await, 0);

    // The pharmacist's call finds nothing due, and staff see the list.
    assert_eq!(due(&database).await.unwrap(), []);
    assert!(around.held_for(&provider()).await.is_empty(), "it is another provider's patient");
    treats(&database, DOCTOR, 1).await;
    assert_eq!(around.held_for(&provider()).await.len(), 1);

    // Half of it is no decision, and neither is anybody else's.
    let keys: Vec<String> = hold.grounds.iter().map(|ground| ground.key.clone()).collect();
    assert_eq!(code(around.release(hold.id, &keys[..1]).await), "pharmacy.hold_changed");
    let stranger: Result<FillHold, PharmacyError> = release(
        &database.env,
        &database.pg,
        &Treats(false),
        &around.checks(),
        &provider(),
        hold.id,
        ReleaseRequest { reason: "Spoke with the patient.".into(), grounds: keys.clone() },
    )
    .await;
    assert_eq!(code(stranger), "fill_hold_not_found");

    let released = around.release(hold.id, &keys).await.unwrap();
    assert_eq!(released.released.as_ref().unwrap().by, DOCTOR);
    around.look(1).await.unwrap();
    let made = dispatches(&database, Some(DispatchState::Reserved)).await;
    assert_eq!(made.len(), 1);
    let carrier = Carrier::new(Mood::Obliging);
    around.label(&carrier, made[0].id).await.unwrap();
    assert_eq!(dispatches(&database, Some(DispatchState::Shipped)).await.len(), 1);
    assert!(around.held().await.is_empty());
    let decided = "SELECT count(*) FROM outbox_events WHERE kind = 'fill_released'";
    assert_eq!(count(&database, decided).await, 1);

    // The decision is for that fill alone.
    database.clock.advance(TimeDelta::days(30));
    let about = (database.env.fresh(), Uuid::from_u128(0x50b).into());
    let patient = (patient_id(1), CATEGORY);
    on_invoice_paid(&database.env, &database.pg, &Months(1), about, patient).await.unwrap();
    around.look(1).await.unwrap();
    assert_eq!(around.held().await.len(), 1);
}

#[tokio::test]
async fn a_fact_between_the_reservation_and_the_label_holds_the_fill() {
    let database = stocked(300).await;
    let around = around(&database);
    around.paid(1).await;
    around.look(1).await.unwrap();
    let dispatch = dispatches(&database, Some(DispatchState::Reserved)).await[0].id;
    around.set(|facts| facts.standing.refusal = Some(Uuid::from_u128(9).into()));
    let carrier = Carrier::new(Mood::Obliging);
    around.label(&carrier, dispatch).await.unwrap();
    assert!(carrier.shipments.lock().unwrap().is_empty(), "the carrier was not asked");
    assert!(dispatches(&database, None).await.is_empty());
    assert_eq!(on_hand(&database).await, (300, 0), "the units are free for others");
    let all = around.held().await;
    assert_eq!(kinds(&all[0]), [GroundKind::LaterRefusal]);
    around.look(1).await.unwrap();
    assert!(dispatches(&database, None).await.is_empty());
}

#[tokio::test]
async fn a_fact_while_the_label_is_bought_keeps_the_box_in_the_pharmacy() {
    let database = stocked(300).await;
    let around = around(&database);
    around.paid(1).await;
    around.look(1).await.unwrap();
    let dispatch = dispatches(&database, Some(DispatchState::Reserved)).await[0].id;
    let carrier = Carrier::new(Mood::LosesAnswers);
    around.label(&carrier, dispatch).await.unwrap_err();
    let contest = Contest {
        kind: ContestKind::Dispute,
        id: "dp_1".into(),
        settled: false,
        other_invoice: false,
    };
    around.set(|facts| facts.contests = vec![contest]);
    *carrier.mood.lock().unwrap() = Mood::Obliging;
    around.label(&carrier, dispatch).await.unwrap();

    let kept = dispatches(&database, Some(DispatchState::OnHold)).await;
    assert_eq!(kept[0].hold_reason, Some(HoldReason::FillHeld));
    assert_eq!(on_hand(&database).await, (300, 30), "nothing has left the shelf");
    let shipped = "SELECT count(*) FROM outbox_events WHERE kind = 'shipment_changed'";
    assert_eq!(count(&database, shipped).await, 0);
    // A pharmacist cannot get round the decision.
    let resume = DispatchOrder::Resume;
    let resumed = order(&database.env, &database.pg, &pharmacist(), dispatch, resume).await;
    assert!(matches!(&resumed, Err(error) if error.code() == "pharmacy.fill_held"));
    // Nor can a provider, while the dispute is open.
    let hold = around.held().await[0].clone();
    treats(&database, DOCTOR, 1).await;
    // It is told to those who work in its pharmacy, and not to those of others.
    assert_eq!(around.held_for(&pharmacist()).await.len(), 1);
    let elsewhere = actor(0xe, Role::Pharmacist, Permission::PharmacyWork);
    assert_eq!(around.held_for(&elsewhere).await, []);
    let keys = vec![hold.grounds[0].key.clone()];
    assert_eq!(code(around.release(hold.id, &keys).await), "pharmacy.hold_stands");
    // Once it is won it still takes a decision; then a new label is bought.
    around.set(|facts| facts.contests[0].settled = true);
    around.look(1).await.unwrap();
    assert_eq!(dispatches(&database, Some(DispatchState::OnHold)).await.len(), 1);
    around.release(hold.id, &[]).await.unwrap();
    around.look(1).await.unwrap();
    let again = dispatches(&database, Some(DispatchState::Reserved)).await;
    assert_eq!(again.len(), 1);
    around.label(&carrier, again[0].id).await.unwrap();
    assert_eq!(dispatches(&database, Some(DispatchState::Shipped)).await.len(), 1);
    assert_eq!(*carrier.bought.lock().unwrap(), 2);
}

#[tokio::test]
async fn what_cannot_be_read_is_never_shipped_and_is_tried_again() {
    let database = stocked(300).await;
    let around = around(&database);
    around.paid(1).await;
    around.set(|facts| facts.unreadable = true);
    around.look(1).await.unwrap_err();
    assert!(dispatches(&database, None).await.is_empty());
    around.set(|facts| facts.unreadable = false);
    around.look(1).await.unwrap();
    let dispatch = dispatches(&database, Some(DispatchState::Reserved)).await[0].id;

    let carrier = Carrier::new(Mood::Obliging);
    around.set(|facts| facts.unreadable = true);
    around.label(&carrier, dispatch).await.unwrap_err();
    assert!(carrier.shipments.lock().unwrap().is_empty());
    // The same once the label is there and was not stored yet.
    around.set(|facts| facts.unreadable = false);
    *carrier.mood.lock().unwrap() = Mood::LosesAnswers;
    around.label(&carrier, dispatch).await.unwrap_err();
    *carrier.mood.lock().unwrap() = Mood::Obliging;
    around.set(|facts| facts.unreadable = true);
    around.label(&carrier, dispatch).await.unwrap_err();
    assert_eq!(dispatches(&database, Some(DispatchState::Labelling)).await.len(), 1);
    around.set(|facts| facts.unreadable = false);
    around.label(&carrier, dispatch).await.unwrap();
    assert_eq!(dispatches(&database, Some(DispatchState::Shipped)).await.len(), 1);
}

#[tokio::test]
async fn who_may_not_prescribe_or_be_treated_any_more_gets_nothing_sent() {
    let database = stocked(300).await;
    let around = around(&database);
    type Change = fn(&mut Facts);
    let cases: [(GroundKind, Change); 4] = [
        (GroundKind::PrescriberMayNotPrescribe, |facts| {
            facts.prescriber = Some(PrescriberStanding::NotLicensedIn(UsState::Ma));
        }),
        (GroundKind::PrescriberMayNotPrescribe, |facts| {
            facts.prescriber = Some(PrescriberStanding::DoesNotPractise);
        }),
        (GroundKind::PatientInactive, |facts| facts.inactive = true),
        (GroundKind::PlanEnded, |facts| facts.ended = true),
    ];
    for (number, (kind, change)) in (1..).zip(cases) {
        around.paid(number).await;
        around.set(change);
        around.look(number).await.unwrap();
        around.set(|facts| *facts = Facts::default());
        let all = around.held().await;
        let own = all.iter().find(|hold| hold.patient == patient_id(number)).unwrap();
        assert_eq!(kinds(own), [kind]);
        assert!(own.grounds.iter().all(|ground| !ground.acceptable));
    }
    assert!(dispatches(&database, None).await.is_empty());
}

#[tokio::test]
async fn a_paid_fill_whose_treatment_has_ended_does_not_lie_there_unseen() {
    let database = stocked(300).await;
    let around = around(&database);
    // There never is a prescription, and then the plan ends.
    paid(&database, 1, database.env.fresh()).await.unwrap();
    assert!(around.held().await.is_empty(), "its prescription is still to come");
    around.set(|facts| facts.ended = true);
    around.look(1).await.unwrap();
    let all = around.held().await;
    assert_eq!((kinds(&all[0]), all[0].prescription), (vec![GroundKind::PlanEnded], None));
    assert_eq!(all[0].provider, Some(DOCTOR));
}

/// How many rows of the patient the provider sees in the table itself, behind
/// every query.
async fn seen(database: &Database, by: ProviderId, table: &str) -> i64 {
    let tx = database.pg.open(&acting(by)).await.unwrap();
    let statement =
        Statement::from_string(DbBackend::Postgres, format!("SELECT count(*) FROM {table}"));
    let row = tx.read().query_one_raw(statement).await.unwrap().unwrap();
    row.try_get_by_index(0).unwrap()
}

#[tokio::test]
async fn a_treatment_that_was_taken_over_is_the_colleagues_to_read_and_to_decide() {
    const COLLEAGUE: ProviderId = ProviderId(Uuid::from_u128(0xc011));
    let database = stocked(300).await;
    let around = around(&database);
    let prescribed = around.paid(1).await;
    around.set(allergy_to_the_drug);
    around.look(1).await.unwrap();
    let former = around.held().await[0].provider.unwrap();
    treats(&database, former, 1).await;
    treats(&database, COLLEAGUE, 1).await;
    let reads = |by: ProviderId| Actor {
        permissions: Arc::new([Permission::PrescriptionRead].into()),
        ..acting(by)
    };
    let written = async |by: ProviderId| {
        let page = PageRequest::default();
        let (pg, actor) = (&database.pg, reads(by));
        let found = read::prescriptions(pg, &Treats(false), &actor, None, &page).await.unwrap();
        let found = found.items.len();
        let one = read::prescription(pg, &actor, prescribed).await.is_ok();
        assert_eq!(found == 1, one);
        one
    };
    assert!(written(former).await);
    assert!(!written(COLLEAGUE).await, "the plan is not theirs");

    // Handed over: what care keeps, the event, and the facts of the moment.
    let handed = format!(
        "INSERT INTO care_closed_charts (provider_id, patient_id, unlicensed, handed_over_at) \
         VALUES ('{former}', '{patient}', false, now()); \
         INSERT INTO care_treatment_plans (id, patient_id, provider_id, category_id, automatic, \
         status, created_at, version) \
         SELECT treatment_plan_id, patient_id, '{COLLEAGUE}', category_id, false, 'active', \
         now(), 1 FROM prescriptions WHERE id = '{prescribed}'",
        patient = patient_id(1),
    );
    database.superuser().await.execute_unprepared(&handed).await.unwrap();
    let moved = (former, COLLEAGUE);
    on_patient_handed_over(&database.pg, patient_id(1), moved).await.unwrap();
    around.set(|facts| facts.successor = Some(COLLEAGUE));

    assert!(!written(former).await, "enabled and licensed as they are");
    assert!(written(COLLEAGUE).await);
    assert!(around.held_for(&acting(former)).await.is_empty());
    let theirs = around.held_for(&acting(COLLEAGUE)).await;
    assert_eq!(theirs.len(), 1);
    assert_eq!(theirs[0].provider, Some(COLLEAGUE));
    for table in ["prescriptions", "fill_holds", "paid_fills"] {
        assert_eq!(seen(&database, former, table).await, 0, "{table}");
        assert_eq!(seen(&database, COLLEAGUE, table).await, 1, "{table}");
    }
    // Whoever wrote it may prescribe again; the plan is the colleague's all the
    // same, and the fill waits for their prescription.
    let keys: Vec<String> = theirs[0].grounds.iter().map(|ground| ground.key.clone()).collect();
    assert_eq!(code(around.release(theirs[0].id, &keys).await), "fill_hold_not_found");
    treats(&database, DOCTOR, 1).await;
    assert_eq!(code(around.release(theirs[0].id, &keys).await), "pharmacy.hold_stands");
    let hold = &around.held().await[0];
    assert!(kinds(hold).contains(&GroundKind::PrescriberMayNotPrescribe), "{hold:?}");
}

#[tokio::test]
async fn news_that_joins_an_open_task_is_not_covered_by_an_earlier_reading() {
    let database = stocked(300).await;
    let around = around(&database);
    let task = Uuid::from_u128(7);
    around.set(|facts| facts.standing.open_tasks = vec![(task.into(), 1)]);
    around.paid(1).await;
    around.look(1).await.unwrap();
    treats(&database, DOCTOR, 1).await;
    let hold = around.held().await[0].clone();
    let read: Vec<String> = hold.grounds.iter().map(|ground| ground.key.clone()).collect();
    // Between the reading and the decision the patient tells of something more.
    around.set(|facts| facts.standing.open_tasks = vec![(task.into(), 2)]);
    assert_eq!(code(around.release(hold.id, &read).await), "pharmacy.hold_changed");
    let again: Vec<String> =
        around.held().await[0].grounds.iter().map(|ground| ground.key.clone()).collect();
    assert_ne!(again, read);
    around.release(hold.id, &again).await.unwrap();
    // Nor by the decision.
    around.set(|facts| facts.standing.open_tasks = vec![(task.into(), 3)]);
    around.look(1).await.unwrap();
    assert_eq!(around.held().await.len(), 1);
}

#[tokio::test]
async fn what_was_given_back_or_is_warned_of_goes_out_by_a_decision() {
    let database = stocked(300).await;
    let around = around(&database);
    for (number, kind) in (1..).zip([ContestKind::Refund, ContestKind::FraudWarning]) {
        let contest = Contest { kind, id: "x_1".into(), settled: false, other_invoice: false };
        around.set(|facts| facts.contests = vec![contest]);
        around.paid(number).await;
        around.look(number).await.unwrap();
        treats(&database, DOCTOR, number).await;
        let hold = around.held().await[0].clone();
        assert_eq!(kinds(&hold), [GroundKind::PaymentContested]);
        assert_eq!(code(around.release(hold.id, &[]).await), "pharmacy.hold_changed");
        around.release(hold.id, &[hold.grounds[0].key.clone()]).await.unwrap();
        around.look(number).await.unwrap();
    }
    assert_eq!(dispatches(&database, Some(DispatchState::Reserved)).await.len(), 2);
}

#[tokio::test]
async fn the_pharmacies_of_a_patient_whose_account_is_closed_are_phoned_at_once() {
    let database = stocked(300).await;
    let around = around(&database);
    prescription(&database, 1, 30).await;
    let told = "SELECT count(*) FROM outbox_events WHERE kind = 'pharmacy_to_be_told'";
    for (inactive, calls) in [(false, 0), (true, 1)] {
        around.set(|facts| facts.inactive = inactive);
        on_patient_standing_changed(&database.pg, &around, patient_id(1)).await.unwrap();
        assert_eq!(count(&database, told).await, calls);
    }
}

#[tokio::test]
async fn what_contests_a_payment_whose_box_has_gone_out_holds_the_next_fill_once() {
    let database = stocked(300).await;
    let around = around(&database);
    let contest = Contest {
        kind: ContestKind::Dispute,
        id: "dp_1".into(),
        settled: false,
        other_invoice: false,
    };
    around.set(|facts| facts.contests = vec![contest]);
    around.set(|facts| facts.contested = Some(InvoiceId(Uuid::from_u128(0x01d))));
    around.paid(1).await;
    around.look(1).await.unwrap();
    treats(&database, DOCTOR, 1).await;
    let hold = around.held().await[0].clone();
    assert_eq!(kinds(&hold), [GroundKind::PaymentContested]);
    assert_eq!(code(around.release(hold.id, &[]).await), "pharmacy.hold_changed");
    around.release(hold.id, &[hold.grounds[0].key.clone()]).await.unwrap();
    around.look(1).await.unwrap();
    assert_eq!(dispatches(&database, Some(DispatchState::Reserved)).await.len(), 1);

    // The dispute stays lost, and the fill after that one is not held for it.
    let about = (database.env.fresh(), Uuid::from_u128(0x50b).into());
    let patient = (patient_id(1), CATEGORY);
    database.clock.advance(TimeDelta::days(40));
    on_invoice_paid(&database.env, &database.pg, &Months(1), about, patient).await.unwrap();
    around.look(1).await.unwrap();
    assert!(around.held().await.is_empty());
}

#[tokio::test]
async fn a_fill_held_for_its_payment_that_comes_to_be_unsafe_has_the_pharmacy_phoned() {
    let database = stocked(300).await;
    let around = around(&database);
    let kind = ContestKind::Refund;
    let contest = Contest { kind, id: "x_1".into(), settled: false, other_invoice: false };
    around.set(|facts| facts.contests = vec![contest]);
    around.paid(1).await;
    around.look(1).await.unwrap();
    treats(&database, DOCTOR, 1).await;
    let hold = around.held().await[0].clone();
    let told = "SELECT count(*) FROM outbox_events WHERE kind = 'pharmacy_to_be_told'";
    assert_eq!(count(&database, told).await, 0, "the payment is no matter of the pharmacy");
    around.set(|facts| facts.standing.open_tasks = vec![(Uuid::from_u128(7).into(), 1)]);
    for _ in 0..2 {
        assert_eq!(code(around.release(hold.id, &[]).await), "pharmacy.hold_changed");
        assert_eq!(count(&database, told).await, 1);
    }
}
