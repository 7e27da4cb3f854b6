use chrono::TimeDelta;
use kernel::{DoseAmount, DoseForm, Feature, Uuid};
use proptest::prelude::*;

use super::*;
use crate::PriceTerms;

fn id<T: From<Uuid>>(value: u128) -> T {
    T::from(Uuid::from_u128(value))
}

fn moment(text: &str) -> DateTime<Utc> {
    text.parse().unwrap()
}

fn tadalafil() -> CoveredTreatment {
    CoveredTreatment {
        drug: "358263".parse().unwrap(),
        name: "tadalafil".into(),
        form: DoseForm::OralTablet,
        unit: "mg".into(),
        doses: vec![DoseAmount::try_from(5.0).unwrap()],
    }
}

fn system() -> Actor {
    Actor::system("subscriptions.test")
}

fn pending(now: DateTime<Utc>) -> Subscription {
    let amount = Money::usd(4900);
    let purchase = Purchase {
        id: id(1),
        patient: id(2),
        assessment: id(3),
        terms: PriceTerms {
            price: id(4),
            plan: id(5),
            category: id(6),
            version: 2,
            plan_name: "Essential".into(),
            amount,
            interval: BillingInterval::MONTH,
            tier: Tier::Basic,
            features: vec![Feature::new("messaging", "Messages").unwrap()],
            treatments: vec![tadalafil()],
            renews: true,
            on_sale: true,
        },
        zone: Tz::America__Los_Angeles,
        consent: Consent {
            terms_version: "2026-06".into(),
            amount,
            interval: BillingInterval::MONTH,
            accepted_at: now,
            ip: None,
            user_agent: None,
        },
    };
    Subscription::start(purchase, &system(), now).unwrap().0
}

fn active(now: DateTime<Utc>) -> Subscription {
    let mut subscription = pending(now);
    subscription.paid(id(10), &system(), now);
    subscription
}

#[test]
fn it_starts_pending_on_the_local_day() {
    // In Los Angeles it is still the evening of the 30th.
    let subscription = pending(moment("2027-01-31T05:00:00Z"));
    assert_eq!(subscription.state, State::Pending);
    assert_eq!(subscription.anchor.to_string(), "2027-01-30");
    assert!(!subscription.entitles(moment("2027-01-31T05:00:00Z")));
}

#[test]
fn the_first_payment_activates_and_the_second_delivery_changes_nothing() {
    let now = moment("2027-01-31T20:00:00Z");
    let mut subscription = pending(now);
    let change = subscription.paid(id(10), &system(), now);
    assert_eq!(change.unwrap().reason, ChangeReason::FirstInvoicePaid);
    assert!(subscription.entitles(now));
    let mut again = subscription.clone();
    let change = again.paid(id(10), &system(), now);
    assert_eq!((again, change), (subscription, None));
}

#[test]
fn only_the_payment_of_the_failed_invoice_brings_it_back() {
    let now = moment("2027-01-31T20:00:00Z");
    let mut late = active(now);
    let change = late.payment_failed(id(11), &system(), now);
    assert_eq!(change.unwrap().to, StateWord::PastDue);
    assert_eq!(late.paid(id(10), &system(), now), None);
    let change = late.paid(id(11), &system(), now);
    assert_eq!(change.unwrap().reason, ChangeReason::PaymentRecovered);
    assert_eq!(late.state.word(), StateWord::Active);
}

#[test]
fn a_failed_first_payment_leaves_it_pending() {
    let now = moment("2027-01-31T20:00:00Z");
    let mut same = pending(now);
    let change = same.payment_failed(id(10), &system(), now);
    assert_eq!((same.state, change), (State::Pending, None));
}

#[test]
fn canceling_at_the_end_of_the_period_keeps_it_until_then() {
    let now = moment("2027-01-31T20:00:00Z");
    let mut subscription = active(now);
    let change = subscription.cancel(CancelWhen::PeriodEnd, &system(), now).unwrap();
    assert_eq!(change.reason, ChangeReason::CancelRequested);
    let end = subscription.period.end;
    assert!(subscription.entitles(end - TimeDelta::seconds(1)));
    // It is over at that moment, also before the job has closed it.
    assert!(!subscription.entitles(end));
    assert!(active(now).entitles(end), "one that renews stays open until it has");
    let change = subscription.renew(None, &system(), end).unwrap();
    assert_eq!(change.reason, ChangeReason::PeriodEnded);
    assert_eq!(subscription.state, State::Canceled { at: end });
    assert!(subscription.cancel(CancelWhen::Now, &system(), end).is_err());
}

#[test]
fn what_is_paid_upfront_runs_out_with_its_period() {
    let now = moment("2027-01-31T20:00:00Z");
    let mut subscription = Subscription { cancel_at_period_end: true, ..pending(now) };
    subscription.paid(id(10), &system(), now);
    let end = subscription.period.end;
    assert!(subscription.entitles(now) && !subscription.entitles(end));
    let change = subscription.renew(None, &system(), end).unwrap();
    assert!(subscription.is_canceled());
    assert_eq!(change.reason, ChangeReason::PeriodEnded);
}

#[test]
fn a_pending_subscription_ends_at_once() {
    let now = moment("2027-01-31T20:00:00Z");
    let mut ended = pending(now);
    ended.cancel(CancelWhen::PeriodEnd, &system(), now).unwrap();
    assert!(ended.is_canceled());
}

#[test]
fn it_does_not_renew_before_its_period_ends() {
    let now = moment("2027-01-31T20:00:00Z");
    let mut subscription = active(now);
    let early = subscription.period.end - TimeDelta::seconds(1);
    assert!(matches!(subscription.renew(None, &system(), early), Err(SubscriptionError::NotDue)));
}

proptest! {
    #[test]
    fn renewing_walks_through_every_period_once(start in 0i64..40_000_000, count in 1usize..30) {
        let now = moment("2026-01-01T00:00:00Z") + TimeDelta::seconds(start);
        let mut subscription = active(now);
        for index in 1..=count {
            let end = subscription.period.end;
            subscription.renew(None, &system(), end).unwrap();
            prop_assert_eq!(subscription.period.index as usize, index);
            prop_assert_eq!(subscription.period.start, end);
        }
    }

    #[test]
    fn nothing_leaves_the_canceled_state(steps in prop::collection::vec(0u8..4, 1..20)) {
        let now = moment("2027-01-31T20:00:00Z");
        let mut subscription = active(now);
        subscription.cancel(CancelWhen::Now, &system(), now).unwrap();
        for step in steps {
            let far = now + TimeDelta::days(400);
            let change = match step {
                0 => subscription.paid(id(20), &system(), far),
                1 => subscription.payment_failed(id(21), &system(), far),
                2 => subscription.renew(None, &system(), far).ok(),
                _ => subscription.cancel(CancelWhen::Now, &system(), far).ok(),
            };
            prop_assert_eq!(change, None);
            prop_assert_eq!(&subscription.state, &State::Canceled { at: now });
        }
    }
}

#[test]
fn what_is_paid_runs_out_when_the_treatment_ends_and_the_rest_ends_at_once() {
    let now = moment("2027-01-31T15:00:00Z");
    let mut ended = pending(now);
    let change = ended.treatment_ended(&system(), now);
    assert_eq!(ended.state.word(), StateWord::Canceled);
    assert_eq!(change.unwrap().reason, ChangeReason::TreatmentEnded);
    let mut ending = active(now);
    let change = ending.treatment_ended(&system(), now);
    assert_eq!(ending.state.word(), StateWord::Active);
    assert!(ending.cancel_at_period_end && change.is_some());
    assert_eq!(ending.treatment_ended(&system(), now), None);
    let mut overdue = active(now);
    overdue.payment_failed(id(11), &system(), now);
    overdue.treatment_ended(&system(), now);
    assert!(overdue.is_canceled());
    assert_eq!(overdue.treatment_ended(&system(), now), None);
}

#[test]
fn nothing_is_renewed_that_nothing_can_be_sent_for() {
    let now = moment("2027-01-31T15:00:00Z");
    let mut ended = active(now);
    let end = ended.period.end;
    let change = ended.renew(Some(ChangeReason::TreatmentEnded), &system(), end).unwrap();
    assert_eq!(ended.state.word(), StateWord::Canceled);
    assert_eq!((change.reason, ended.period.index), (ChangeReason::TreatmentEnded, 0));
}

#[test]
fn what_was_bought_is_held_against_the_treatment_of_now() {
    let now = moment("2027-01-31T15:00:00Z");
    let bought = active(now);
    let treated = |drug: &str, dose: f64| TreatedWith {
        drugs: vec![drug.parse().unwrap()],
        form: Some(DoseForm::OralTablet),
        doses: Some(("mg".into(), vec![dose])),
    };
    assert_eq!(bought.misfit(Some(&treated("358263", 5.0))), None);
    assert_eq!(bought.misfit(Some(&treated("136411", 50.0))), Some(Misfit::OtherDrug));
    assert_eq!(bought.misfit(Some(&treated("358263", 20.0))), Some(Misfit::OtherDose));
    // Nothing is prescribed, which is for others to notice.
    assert_eq!(bought.misfit(None), None);
    // It was bought before plans named treatments.
    let older = Subscription { covers: Vec::new(), ..bought };
    assert_eq!(older.misfit(Some(&treated("136411", 50.0))), None);
}
