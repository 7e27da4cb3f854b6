//! A payment that is disputed, or was given back at the gateway, is known and
//! told to staff; and nothing is charged while its treatment is stopped.

use std::sync::atomic::Ordering;

use billing::{
    Invoice,
    contest::{ContestKind, PaymentContest},
    staff_task::{BillingTask, BillingTaskKind, complete, list},
};
use kernel::{Actor, PageRequest, Permission};
use serde_json::json;

use crate::support::{House, SOON};

async fn paid(house: &House) -> (Invoice, String) {
    house.add("k1", "pm_card_visa").await.unwrap();
    let invoice = house.bill().await;
    house.until(&invoice, "paid").await;
    let intent = house.payments(&invoice).await[0].state.intent().unwrap().to_owned();
    (invoice, intent)
}

async fn contests(house: &House, invoice: &Invoice) -> Vec<PaymentContest> {
    house.begin().await.contests_of(invoice.id).await.unwrap()
}

fn staff(house: &House) -> Actor {
    let permissions = [Permission::BillingReadAny, Permission::BillingAdminister];
    Actor { permissions: std::sync::Arc::new(permissions.into()), ..house.actor() }
}

async fn tasks(house: &House) -> Vec<BillingTask> {
    let page = PageRequest::default();
    list(&house.database.pg, &staff(house), &page).await.unwrap().items
}

/// Runs the jobs until the contest has come to this status.
async fn until(house: &House, invoice: &Invoice, status: &str) -> PaymentContest {
    salus_tests::eventually("the notice to be worked", SOON, || async {
        for result in house.run_jobs().await {
            result.unwrap();
        }
        contests(house, invoice).await.into_iter().find(|one| one.found.status == status)
    })
    .await
}

#[tokio::test]
async fn a_dispute_marks_the_payment_and_its_end_is_read_from_its_status() {
    let house = House::build().await;
    let (invoice, intent) = paid(&house).await;
    let path = format!("intents/{intent}/dispute");
    house.stripe.control(&path, json!({ "status": "needs_response" })).await;
    let open = until(&house, &invoice, "needs_response").await;
    assert_eq!((open.found.kind, open.found.is_settled()), (ContestKind::Dispute, false));
    let marked = house.payments(&invoice).await[0].contest.clone();
    assert_eq!(marked.as_deref(), Some("dispute:needs_response"));
    let raised = tasks(&house).await;
    assert_eq!(raised.len(), 1);
    assert_eq!((raised[0].kind, raised[0].subject), (BillingTaskKind::DisputedPayment, open.id));

    // The same notice again is no news.
    let created = house.stripe.events("charge.dispute.created").await.remove(0);
    house.stripe.control(&format!("events/{created}/replay"), json!({})).await;
    house.stripe.settled().await;
    for result in house.run_jobs().await {
        result.unwrap();
    }
    assert_eq!(tasks(&house).await.len(), 1);

    let (env, store) = (&house.database.env, &house.database.pg);
    complete(env, store, &staff(&house), raised[0].id, "Sent the evidence.").await.unwrap();
    assert!(tasks(&house).await.is_empty());
    house.stripe.control(&path, json!({ "status": "won" })).await;
    let won = until(&house, &invoice, "won").await;
    assert!(won.found.is_settled());
    assert_eq!(won.id, open.id);
    assert_eq!(tasks(&house).await.len(), 1, "that it moved is told as well");
    assert_eq!(house.invoice(&invoice).await.state.word(), "paid");
}

#[tokio::test]
async fn a_warning_of_fraud_is_told_to_staff_like_a_dispute() {
    let house = House::build().await;
    let (invoice, intent) = paid(&house).await;
    house.stripe.control(&format!("intents/{intent}/warn"), json!({})).await;
    let warning = until(&house, &invoice, "actionable").await;
    assert_eq!(
        (warning.found.kind, warning.found.is_settled()),
        (ContestKind::FraudWarning, false)
    );
    let raised = tasks(&house).await;
    assert_eq!((raised.len(), raised[0].kind), (1, BillingTaskKind::FraudWarning));
    assert_eq!(raised[0].subject, warning.id);
}

#[tokio::test]
async fn a_refund_that_was_made_at_the_gateway_is_told_to_staff() {
    let house = House::build().await;
    let (invoice, intent) = paid(&house).await;
    house.stripe.refund(&intent).await;
    let refund = until(&house, &invoice, "succeeded").await;
    assert_eq!((refund.found.kind, refund.found.is_settled()), (ContestKind::Refund, false));
    let raised = tasks(&house).await;
    assert_eq!((raised.len(), raised[0].kind), (1, BillingTaskKind::OutsideRefund));
}

#[tokio::test]
async fn nothing_is_charged_while_the_treatment_is_stopped_and_it_is_afterwards() {
    let house = House::build().await;
    house.add("k1", "pm_card_visa").await.unwrap();
    house.stopped.store(true, Ordering::SeqCst);
    let invoice = house.bill().await;
    for result in house.run_jobs().await {
        result.unwrap();
    }
    assert_eq!(house.stripe.charges(&invoice).await, 0);
    assert!(house.payments(&invoice).await.is_empty());
    assert_eq!(house.told("payment_failed").await, 0, "nothing has failed");
    let raised = tasks(&house).await;
    assert_eq!((raised.len(), raised[0].kind), (1, BillingTaskKind::ChargeWaits));

    // The sweep asks again, and tells nobody twice.
    for stopped in [true, false] {
        house.stopped.store(stopped, Ordering::SeqCst);
        house.database.clock.advance(chrono::TimeDelta::minutes(6));
        let (env, store) = (&house.database.env, &house.database.pg);
        let swept = billing::SweepPayments::default();
        billing::settlement::sweep_payments(env, store, swept).await.unwrap();
        for result in house.run_jobs().await {
            result.unwrap();
        }
        assert_eq!(house.stripe.charges(&invoice).await, usize::from(!stopped));
        assert_eq!(tasks(&house).await.len(), 1);
    }
}
