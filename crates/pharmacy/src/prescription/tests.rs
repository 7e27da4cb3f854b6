use chrono::TimeZone as _;
use kernel::{DeaSchedule, QuantityUnit, Uuid};
use proptest::prelude::*;

use super::*;
use crate::safety::{AlertKind, Severity};

fn id<T: From<Uuid>>(value: u128) -> T {
    T::from(Uuid::from_u128(value))
}

pub(crate) fn now() -> DateTime<Utc> {
    Utc.with_ymd_and_hms(2026, 3, 1, 12, 0, 0).unwrap()
}

fn today() -> NaiveDate {
    now().date_naive()
}

pub(crate) fn draft(refills: u8) -> Prescription {
    Prescription {
        id: id(1),
        treatment_plan: id(2),
        plan_version: 1,
        patient: id(3),
        provider: id(4),
        category: id(5),
        pharmacy: id(6),
        medication: Medication {
            rxnorm: "312961".parse().unwrap(),
            ndc: "00000000000".parse().unwrap(),
            display: "simvastatin 20 MG Oral Tablet".to_owned(),
            strength: "20 MG".to_owned(),
            schedule: DeaSchedule::None,
        },
        dosing: Dosing {
            sig: "Take one tablet daily.".to_owned(),
            quantity: Amount::whole(30).unwrap(),
            unit: QuantityUnit::Tablet,
            days_supply: 30,
            refills,
        },
        diagnosis: Diagnosis { code: "E78.5".parse().unwrap(), display: "Hyperlipidemia".into() },
        written_on: today(),
        alerts: Vec::new(),
        fills_used: 0,
        last_filled_on: None,
        state: PrescriptionState::Draft,
        created_at: now(),
        updated_at: now(),
        version: 1,
    }
}

fn alert(severity: Severity) -> SafetyAlert {
    SafetyAlert::new(AlertKind::Interaction, "a-b", severity, "a with b", "a list")
}

fn message() -> ErxMessageId {
    id(10)
}

fn checked(found: Vec<SafetyAlert>) -> Prescription {
    let mut draft = draft(0);
    draft.check(found, message(), now()).unwrap();
    draft
}

fn queued(refills: u8) -> Prescription {
    let mut draft = draft(refills);
    draft.check(Vec::new(), message(), now()).unwrap();
    draft
}

fn active(refills: u8) -> Prescription {
    let mut queued = queued(refills);
    queued.verify(message(), now());
    queued
}

#[test]
fn high_and_undefined_block_and_the_rest_is_kept() {
    for (severity, blocks) in [
        (Severity::High, true),
        (Severity::Undefined, true),
        (Severity::Moderate, false),
        (Severity::Low, false),
    ] {
        let checked = checked(vec![alert(severity)]);
        assert_eq!(matches!(checked.state, PrescriptionState::Blocked { .. }), blocks);
        assert_eq!(checked.alerts.len(), 1);
    }
}

#[test]
fn an_override_needs_a_reason_and_holds_over_the_next_check() {
    let found = || vec![alert(Severity::High)];
    let mut blocked = checked(found());
    let by = blocked.provider;
    let key = blocked.alerts[0].key.clone();
    assert!(blocked.override_alert(&key, by, "  short  ", now()).is_err());
    assert!(blocked.override_alert("other", by, "a reason long enough", now()).is_err());
    blocked.override_alert(&key, by, "a reason long enough", now()).unwrap();
    blocked.check(found(), message(), now()).unwrap();
    assert!(matches!(blocked.state, PrescriptionState::Queued { .. }));
    assert_eq!(blocked.alerts[0].overridden.as_ref().unwrap().reason, "a reason long enough");
}

#[test]
fn an_override_does_not_hold_for_a_graver_alert() {
    let mut blocked = checked(vec![alert(Severity::Undefined)]);
    let by = blocked.provider;
    let key = blocked.alerts[0].key.clone();
    blocked.override_alert(&key, by, "a reason long enough", now()).unwrap();
    blocked.check(vec![alert(Severity::High)], message(), now()).unwrap();
    assert!(matches!(blocked.state, PrescriptionState::Blocked { .. }));
}

#[test]
fn a_verification_may_come_before_the_status() {
    let mut late = active(0);
    let later = now() + chrono::TimeDelta::hours(1);
    late.receive(message(), later);
    late.reject(message(), "900", "late", later);
    late.verify(message(), later);
    assert_eq!(late, active(0));
}

#[test]
fn a_reply_to_another_message_moves_nothing() {
    let mut other = queued(0);
    other.receive(id(11), now());
    other.verify(id(11), now());
    other.reject(id(11), "900", "no", now());
    assert_eq!(other, queued(0));
}

#[test]
fn what_was_sent_is_neither_modified_nor_canceled_here() {
    let mut sent = queued(0);
    sent.receive(message(), now());
    assert_eq!(sent.state.word(), "sent");
    assert!(sent.modify(Changes::default(), now()).is_err());
    assert!(sent.cancel("changed mind", now()).is_err());
    assert!(queued(0).modify(Changes::default(), now()).is_err());
    assert!(sent.fail("preflight", "late", now()).is_err());
}

#[test]
fn a_change_is_validated_and_checked_again() {
    let blocked = checked(vec![alert(Severity::High)]);
    let changes = Changes { days_supply: Some(0), ..Changes::default() };
    assert!(blocked.clone().modify(changes, now()).is_err());
    let changes = Changes { refills: Some(3), ..Changes::default() };
    let mut changed = blocked;
    changed.modify(changes, now()).unwrap();
    assert_eq!(changed.dosing.refills, 3);
    assert_eq!(changed.state, PrescriptionState::Draft);
}

#[test]
fn controlled_substances_are_refused() {
    let mut medication = draft(0).medication;
    assert!(Prescription::refuse_controlled(&medication).is_ok());
    for schedule in [DeaSchedule::Ii, DeaSchedule::Iii, DeaSchedule::Iv, DeaSchedule::V] {
        medication.schedule = schedule;
        let error = Prescription::refuse_controlled(&medication).unwrap_err();
        assert_eq!(kernel::DomainError::code(&error), "pharmacy.controlled_substance");
    }
}

#[test]
fn a_prescription_is_fillable_only_once_verified() {
    assert!(!queued(0).is_fillable());
    assert!(queued(0).fill(today(), now()).is_err());
    assert!(active(0).is_fillable());
}

proptest! {
    #[test]
    fn there_is_one_fill_more_than_refills(refills in 0u8..=Dosing::MOST_REFILLS) {
        let mut prescription = active(refills);
        for left in (0..=refills).rev() {
            prop_assert!(prescription.is_fillable());
            prescription.fill(today(), now()).unwrap();
            prop_assert_eq!(prescription.remaining_fills(), left);
        }
        let completed = matches!(prescription.state, PrescriptionState::Completed { .. });
        prop_assert!(completed);
        prop_assert!(prescription.fill(today(), now()).is_err());
    }

    /// However the pharmacy's messages are ordered and repeated, the end is
    /// the same unless an error comes before the verification.
    #[test]
    fn the_order_of_status_and_verification_does_not_matter(
        order in proptest::collection::vec(prop::bool::ANY, 1..8)
    ) {
        let mut prescription = queued(1);
        for verify in &order {
            if *verify {
                prescription.verify(message(), now());
            } else {
                prescription.receive(message(), now());
            }
        }
        let expected = if order.contains(&true) { "active" } else { "sent" };
        prop_assert_eq!(prescription.state.word(), expected);
    }
}

/// Every way in which a prescription comes to an end.
#[test]
fn whoever_may_hold_what_has_ended_is_phoned_and_nobody_else() {
    let at = now();
    let held = message();
    let queued = |attempts| PrescriptionState::Queued { message: held, attempts };
    let sent = PrescriptionState::Sent { message: held, at };
    let active = PrescriptionState::Active { message: held, verified_at: at };
    let canceled = PrescriptionState::Canceled { reason: "over".into(), at };
    let blocked = PrescriptionState::Blocked { alerts: Vec::new() };
    let failed = PrescriptionState::Failed { code: "900".into(), reason: "no".into(), at };
    let completed = PrescriptionState::Completed { at };
    let phoned = |before: &PrescriptionState, composed, after: &PrescriptionState| {
        before.leaves_a_pharmacy_behind(composed, after)
    };
    for before in [&sent, &active, &queued(0), &queued(3)] {
        for after in [&canceled, &blocked, &PrescriptionState::Draft] {
            assert!(phoned(before, true, after), "{before:?} to {after:?}");
        }
        assert!(!phoned(before, true, &completed), "a used-up one needs no call");
    }
    // No message was ever written, so none can have arrived.
    assert!(!phoned(&queued(0), false, &canceled));
    for before in [&PrescriptionState::Draft, &blocked, &completed, &failed, &canceled] {
        assert!(!phoned(before, true, &canceled), "{before:?}");
    }
    // An attempt without an answer may have arrived before the refusal.
    assert!(phoned(&queued(1), true, &failed));
    assert!(!phoned(&queued(0), true, &failed) && !phoned(&sent, true, &failed));
}
