//! Nothing goes out for a treatment plan that has ended.

use kernel::TreatmentPlanId;
use pharmacy::dispatch::{hold::GroundKind, withdraw::on_treatment_plan_ended};

use super::{holds::around, release::looked_at_again_in, *};

async fn loaded(database: &Database, id: PrescriptionId) -> Prescription {
    let actor = Actor::system("tests.fulfilment");
    let mut tx = PrescriptionStore::begin(&database.pg, &actor).await.unwrap();
    tx.prescription(id, PrescriptionReach::Any).await.unwrap().unwrap()
}

async fn end(database: &Database, number: u128, plan: TreatmentPlanId) {
    let about = (patient_id(number), CATEGORY);
    for _ in 0..2 {
        on_treatment_plan_ended(&database.env, &database.pg, plan, about).await.unwrap();
    }
}

/// The plan of the patient's only dispatch.
async fn plan_of(database: &Database, number: u128) -> (PrescriptionId, TreatmentPlanId) {
    let all = dispatches(database, None).await;
    let id = all.iter().find(|each| each.patient == patient_id(number)).unwrap().prescription;
    (id, loaded(database, id).await.treatment_plan)
}

#[tokio::test]
async fn the_end_of_a_plan_cancels_what_has_not_gone_out_and_frees_what_was_paid() {
    let database = stocked(30).await;
    let dispatch = reserved(&database, 1).await;
    let (prescribed, plan) = plan_of(&database, 1).await;
    end(&database, 1, plan).await;
    let canceled = loaded(&database, prescribed).await;
    assert!(matches!(canceled.state, PrescriptionState::Canceled { .. }), "{:?}", canceled.state);
    assert!(!canceled.is_fillable());
    assert!(dispatches(&database, None).await.is_empty());
    assert_eq!(on_hand(&database).await, (30, 0));
    let told_once = "SELECT count(*) FROM outbox_events WHERE kind = 'prescription_changed' \
                     AND payload->>'status' = 'canceled'";
    assert_eq!(count(&database, told_once).await, 1);

    // The job of the canceled dispatch still runs, and asks nobody.
    let carrier = Carrier::new(Mood::Obliging);
    label(&database, &carrier, dispatch).await.unwrap();
    assert!(carrier.shipments.lock().unwrap().is_empty());

    // The invoice pays for the prescription of the plan that follows.
    let next = prescription(&database, 1, 30).await;
    told(&database, 1, next, PrescriptionStatusWord::Active).await.unwrap();
    let again = dispatches(&database, Some(DispatchState::Reserved)).await;
    assert_eq!(again.iter().map(|each| each.prescription).collect::<Vec<_>>(), [next]);
}

#[tokio::test]
async fn a_label_that_was_being_bought_is_held_back() {
    let database = stocked(60).await;
    let dispatch = reserved(&database, 1).await;
    let (_, plan) = plan_of(&database, 1).await;
    let carrier = Carrier::new(Mood::LosesAnswers);
    label(&database, &carrier, dispatch).await.unwrap_err();
    end(&database, 1, plan).await;
    assert_eq!(dispatches(&database, Some(DispatchState::Labelling)).await.len(), 1);

    *carrier.mood.lock().unwrap() = Mood::Obliging;
    label(&database, &carrier, dispatch).await.unwrap();
    let held = dispatches(&database, Some(DispatchState::OnHold)).await;
    assert_eq!(held[0].hold_reason, Some(HoldReason::PrescriptionEnded));
    assert_eq!(on_hand(&database).await, (60, 30), "nothing has left the shelf");
    let shipped = "SELECT count(*) FROM outbox_events WHERE kind = 'shipment_changed'";
    assert_eq!(count(&database, shipped).await, 0);
    let kept = "SELECT count(*) FROM shipments WHERE status = 'cancelled' \
                AND label_id IS NOT NULL AND shipped_at IS NULL";
    assert_eq!(count(&database, kept).await, 1);

    // A pharmacist who asks for another label gets none either.
    let resume = DispatchOrder::Resume;
    order(&database.env, &database.pg, &pharmacist(), dispatch, resume).await.unwrap();
    label(&database, &carrier, dispatch).await.unwrap();
    assert_eq!(*carrier.bought.lock().unwrap(), 1);
    assert!(dispatches(&database, None).await.is_empty());
    assert_eq!(on_hand(&database).await, (60, 0));
}

/// The one hold, for the end of the treatment, and what is told of it.
async fn held_for_its_end(around: &Around) {
    let held = around.held().await;
    let kinds: Vec<GroundKind> =
        held.iter().flat_map(|hold| &hold.grounds).map(|ground| ground.kind).collect();
    assert_eq!(kinds, [GroundKind::PlanEnded]);
    // Billing and the provider hear of it by this.
    let told = "SELECT count(*) FROM outbox_events WHERE kind = 'fill_held'";
    assert_eq!(count(&around.database, told).await, 1);
    let taken = "SELECT count(*) FROM dispatches WHERE state NOT IN ('cancelled', 'shipped')";
    assert_eq!(count(&around.database, taken).await, 0);
}

#[tokio::test]
async fn what_is_paid_is_held_where_the_plan_ends_before_anything_is_prescribed() {
    let database = stocked(60).await;
    let around = around(&database);
    paid(&database, 1, database.env.fresh()).await.unwrap();
    around.look(1).await.unwrap();
    assert_eq!(around.held().await, [], "the prescription may still come");

    database.clock.advance(TimeDelta::hours(30));
    around.set(|facts| facts.ended = true);
    end(&database, 1, database.env.fresh()).await;
    assert_eq!(looked_at_again_in(&database).await, [0]);
    around.look(1).await.unwrap();
    held_for_its_end(&around).await;
}

#[tokio::test]
async fn what_is_left_of_a_paid_period_is_held_where_the_last_fill_is_used() {
    let database = stocked(300).await;
    let carrier = Carrier::new(Mood::Obliging);
    let (around, invoice) = (around(&database), database.env.fresh());
    prescription(&database, 1, 30).await;
    paid_for(&database, 1, invoice, 3).await.unwrap();
    let (_, plan) = plan_of(&database, 1).await;
    for _ in 0..2 {
        for dispatch in dispatches(&database, Some(DispatchState::Reserved)).await {
            label(&database, &carrier, dispatch.id).await.unwrap();
        }
        database.clock.advance(TimeDelta::days(32));
        look(&database, 1).await;
    }
    assert_eq!(around.held().await, []);
    around.set(|facts| facts.ended = true);
    end(&database, 1, plan).await;
    assert_eq!(looked_at_again_in(&database).await, [0]);
    around.look(1).await.unwrap();
    held_for_its_end(&around).await;
}

#[tokio::test]
async fn a_plan_that_ends_while_a_label_is_bought_or_refused_holds_the_fill() {
    for outcome in [Mood::Obliging, Mood::Refuses] {
        let database = stocked(60).await;
        let around = around(&database);
        let dispatch = reserved(&database, 1).await;
        let (_, plan) = plan_of(&database, 1).await;
        let carrier = Carrier::new(Mood::LosesAnswers);
        label(&database, &carrier, dispatch).await.unwrap_err();
        around.set(|facts| facts.ended = true);
        end(&database, 1, plan).await;
        around.look(1).await.unwrap();
        assert_eq!(around.held().await, [], "the box may have left");

        *carrier.mood.lock().unwrap() = outcome;
        label(&database, &carrier, dispatch).await.unwrap();
        around.look(1).await.unwrap();
        held_for_its_end(&around).await;
        assert_eq!(on_hand(&database).await, (60, 0), "the units are free for others");
    }
}
