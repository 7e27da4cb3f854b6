use kernel::{DomainError as _, Uuid};

use super::*;
use crate::{
    prescription::tests::{draft, now},
    safety::{AlertKind, AlertOverride},
};

fn id<T: From<Uuid>>(value: u128) -> T {
    T::from(Uuid::from_u128(value))
}

fn prescription() -> Prescription {
    draft(1)
}

fn clear(prescription: &Prescription) -> FillFacts {
    FillFacts {
        patient_active: true,
        treatment: TreatmentStanding {
            active: Some(ActivePlan {
                plan: prescription.treatment_plan,
                version: prescription.plan_version,
                provider: prescription.provider,
            }),
            ..TreatmentStanding::default()
        },
        prescriber: PrescriberStanding::MayPrescribe,
        alerts: Vec::new(),
        contests: Vec::new(),
        astray: Vec::new(),
    }
}

fn alert(severity: Severity) -> SafetyAlert {
    SafetyAlert::new(AlertKind::Interaction, "1-2", severity, "It lowers the pressure.", "a source")
}

fn kinds(facts: &FillFacts, prescription: &Prescription) -> Vec<GroundKind> {
    let found = grounds(prescription, facts, &BTreeSet::new());
    found.into_iter().map(|ground| ground.kind).collect()
}

#[test]
fn nothing_against_it_lets_it_go_and_each_fact_alone_holds_it() {
    use GroundKind as Kind;
    let prescription = prescription();
    let clear = clear(&prescription);
    assert_eq!(kinds(&clear, &prescription), []);
    type Change = fn(&mut FillFacts);
    let cases: [(Kind, Change); 16] = [
        (Kind::SafetyAlert, |facts| facts.alerts = vec![alert(Severity::High)]),
        (Kind::SafetyAlert, |facts| facts.alerts = vec![alert(Severity::Undefined)]),
        (Kind::LaterRefusal, |facts| facts.treatment.refusal = Some(id(7))),
        (Kind::OpenHealthTask, |facts| facts.treatment.open_tasks = vec![(id(8), 1)]),
        (Kind::PlanEnded, |facts| facts.treatment.active = None),
        (Kind::PlanEnded, |facts| {
            facts.treatment.active.as_mut().unwrap().plan = id(0xbad);
        }),
        (Kind::PlanChanged, |facts| facts.treatment.active.as_mut().unwrap().version += 1),
        (Kind::PrescriberMayNotPrescribe, |facts| {
            facts.prescriber = PrescriberStanding::DoesNotPractise;
        }),
        (Kind::PrescriberMayNotPrescribe, |facts| {
            facts.prescriber = PrescriberStanding::NotLicensedIn(UsState::Ma);
        }),
        (Kind::PrescriberMayNotPrescribe, |facts| {
            facts.prescriber = PrescriberStanding::PatientStateUnknown;
        }),
        (Kind::PrescriberMayNotPrescribe, |facts| {
            facts.prescriber = PrescriberStanding::HandedOver;
        }),
        (Kind::PatientInactive, |facts| facts.patient_active = false),
        (Kind::PaymentContested, |facts| facts.contests = vec![contest(ContestKind::Dispute)]),
        (Kind::PaymentContested, |facts| facts.contests = vec![contest(ContestKind::Refund)]),
        (Kind::PaymentContested, |facts| {
            facts.contests = vec![contest(ContestKind::FraudWarning)];
        }),
        (Kind::ParcelAstray, |facts| facts.astray = vec![(id(9), TrackingStatus::Failure)]),
    ];
    for (kind, change) in cases {
        let mut facts = clear.clone();
        change(&mut facts);
        assert_eq!(kinds(&facts, &prescription), [kind], "{facts:?}");
    }
}

fn contest(kind: ContestKind) -> Contest {
    Contest { kind, id: "dp_1".to_owned(), settled: false, other_invoice: false }
}

#[test]
fn what_does_not_block_at_signing_does_not_hold_a_fill_either() {
    let prescription = prescription();
    let mut facts = clear(&prescription);
    facts.alerts = vec![alert(Severity::Moderate), alert(Severity::Low)];
    let won = Contest { settled: true, ..contest(ContestKind::Dispute) };
    facts.contests = vec![won];
    assert_eq!(kinds(&facts, &prescription), []);
    // What the prescriber took upon themselves when signing holds on, but for
    // the severity that was seen only.
    let by = AlertOverride { by: id(3), reason: "Known and watched.".to_owned(), at: now() };
    let signed = SafetyAlert { overridden: Some(by), ..alert(Severity::High) };
    facts.alerts = with_overrides(vec![alert(Severity::High)], std::slice::from_ref(&signed));
    assert_eq!(kinds(&facts, &prescription), []);
    facts.alerts = with_overrides(vec![alert(Severity::Undefined)], &[signed]);
    assert_eq!(kinds(&facts, &prescription), [GroundKind::SafetyAlert]);
}

#[test]
fn a_decision_accepts_what_it_names_and_never_what_may_not_be_accepted() {
    let prescription = prescription();
    let mut facts = clear(&prescription);
    facts.treatment.refusal = Some(id(7));
    facts.prescriber = PrescriberStanding::DoesNotPractise;
    facts.contests = vec![contest(ContestKind::Dispute)];
    let all = grounds(&prescription, &facts, &BTreeSet::new());
    let accepted = all.iter().map(|ground| ground.key.clone()).collect();
    let left: Vec<GroundKind> =
        grounds(&prescription, &facts, &accepted).into_iter().map(|ground| ground.kind).collect();
    assert_eq!(left, [GroundKind::PrescriberMayNotPrescribe, GroundKind::PaymentContested]);
    // Another refusal is another fact.
    facts.treatment.refusal = Some(id(9));
    let again = grounds(&prescription, &facts, &accepted);
    assert!(again.iter().any(|ground| ground.kind == GroundKind::LaterRefusal));
}

#[test]
fn a_paid_fill_with_nothing_to_fill_it_from_is_held_once_the_treatment_has_ended() {
    assert_eq!(grounds_without_prescription(&clear(&prescription()).treatment), []);
    let ended = grounds_without_prescription(&TreatmentStanding::default());
    assert_eq!(ended.iter().map(|ground| ground.kind).collect::<Vec<_>>(), [GroundKind::PlanEnded]);
    assert!(!ended[0].acceptable);
}

fn held(grounds: Vec<Ground>) -> FillHold {
    FillHold::place(id(1), (id(2), 1), (id(3), id(4)), (Some(id(5)), None), grounds, now())
}

fn decision(grounds: &[&str]) -> ReleaseRequest {
    let grounds = grounds.iter().map(ToString::to_string).collect();
    ReleaseRequest { reason: "Spoke with the patient.".to_owned(), grounds }
}

#[test]
fn a_release_names_all_that_stands_with_a_reason() {
    let refusal = Ground::new(GroundKind::LaterRefusal, "7", "refused", true);
    let task = Ground::new(GroundKind::OpenHealthTask, "8", "a task", true);
    let hold = held(vec![refusal.clone()]);
    let release = |request, now_found: &[Ground]| {
        let mut hold = hold.clone();
        hold.release(id(6), request, now_found, now()).map(|()| hold)
    };
    let code = |result: Result<FillHold, PharmacyError>| match result.unwrap_err() {
        PharmacyError::Invalid(fields) => match fields[0].path.as_str() {
            "reason" => "reason".to_owned(),
            _ => "grounds".to_owned(),
        },
        other => other.code().to_owned(),
    };
    let named = ["later_refusal:7"];
    assert_eq!(code(release(decision(&named), &[refusal.clone(), task])), "pharmacy.hold_changed");
    assert_eq!(
        code(release(decision(&[]), std::slice::from_ref(&refusal))),
        "pharmacy.hold_changed"
    );
    assert_eq!(code(release(decision(&["later_refusal:8"]), &[])), "grounds");
    let ended = grounds_without_prescription(&TreatmentStanding::default());
    assert_eq!(code(release(decision(&["plan_ended"]), &ended)), "pharmacy.hold_stands");
    let silent = ReleaseRequest { reason: "ok".to_owned(), ..decision(&named) };
    assert_eq!(code(release(silent, std::slice::from_ref(&refusal))), "reason");

    let released = release(decision(&named), std::slice::from_ref(&refusal)).unwrap();
    assert_eq!(released.released.as_ref().map(|release| release.by), Some(id(6)));
    assert_eq!(
        accepted(std::slice::from_ref(&released), (id(2), 1)),
        BTreeSet::from(named.map(str::to_owned))
    );
    assert!(
        accepted(std::slice::from_ref(&released), (id(2), 2)).is_empty(),
        "for this fill alone"
    );
    let mut again = released;
    let refused = again.release(id(6), decision(&[]), &[], now()).map(|()| again);
    assert_eq!(code(refused), "pharmacy.hold_released");
    // What it was held for may have settled by itself; it still takes a decision.
    assert!(release(decision(&[]), &[]).is_ok());
}
