use kernel::{Sex, Uuid};
use proptest::prelude::*;

use super::*;
use crate::eligibility::{Gates, Inputs, PatientInputs, decide};

fn at(minute: i64) -> DateTime<Utc> {
    DateTime::UNIX_EPOCH + Duration::minutes(minute)
}

fn provider(number: u128) -> ProviderId {
    ProviderId(Uuid::from_u128(number))
}

fn waiting() -> Assessment {
    let inputs = Inputs {
        answers: Default::default(),
        scores: Default::default(),
        patient: PatientInputs {
            age: 40,
            sex: Sex::Female,
            state: UsState::Ny,
            age_counted_on: None,
        },
        medications: vec![],
        allergies: vec![],
    };
    let gates = Gates {
        allowlisted: false,
        asynchronous: true,
        supervising_provider: None,
        under_treatment: false,
        record_answered: true,
        profile_unchanged: true,
        only_request: true,
        never_refused: true,
        of_age: true,
    };
    Assessment::decided(
        AssessmentId(Uuid::from_u128(1)),
        (
            PatientId(Uuid::from_u128(2)),
            CategoryId(Uuid::from_u128(3)),
            FormResponseId(Uuid::from_u128(4)),
        ),
        decide(None, &[], inputs, gates),
        at(0),
    )
}

/// What a change makes of a review.
fn after(
    review: &Assessment,
    change: impl FnOnce(&mut Assessment) -> Result<(), CareError>,
) -> Result<Assessment, CareError> {
    let mut review = review.clone();
    change(&mut review).map(|()| review)
}

#[test]
fn a_claim_keeps_others_out_until_it_runs_out() {
    let claimed = after(&waiting(), |review| review.claim(provider(1), at(0))).unwrap();
    assert!(matches!(
        after(&claimed, |review| review.claim(provider(2), at(29))),
        Err(CareError::ReviewAlreadyClaimed)
    ));
    let taken_over = after(&claimed, |review| review.claim(provider(2), at(30))).unwrap();
    assert_eq!(taken_over.review.provider(), Some(provider(2)));
}

#[test]
fn an_assigned_review_is_held_as_long_as_the_clinic_says_and_claiming_it_takes_no_time_away() {
    let assigned =
        after(&waiting(), |review| review.assign(provider(1), Duration::minutes(120), at(0)))
            .unwrap();
    let held = |review: &Assessment| match review.review {
        Review::Claimed { provider, until } => (provider, until),
        ref other => panic!("nobody holds {other:?}"),
    };
    assert_eq!(held(&assigned), (provider(1), at(120)));
    let claimed = after(&assigned, |review| review.claim(provider(1), at(10))).unwrap();
    assert_eq!(held(&claimed), (provider(1), at(120)));
    let late = after(&assigned, |review| review.claim(provider(1), at(100))).unwrap();
    assert_eq!(held(&late), (provider(1), at(130)));
    let hold = Duration::minutes(15);
    let twice = after(&assigned, |review| review.assign(provider(2), hold, at(119)));
    assert!(matches!(twice, Err(CareError::ReviewAlreadyClaimed)), "{twice:?}");
    let lapsed = after(&assigned, |review| review.assign(provider(2), hold, at(120))).unwrap();
    assert_eq!(held(&lapsed), (provider(2), at(135)));
    let asked = after(&claimed, |review| review.ask(provider(1), at(20))).unwrap();
    let asked = after(&asked, |review| review.assign(provider(2), hold, at(500)));
    assert!(matches!(asked, Err(CareError::ReviewWaitsForPatient)), "{asked:?}");
    let closed =
        after(&lapsed, |review| review.reject(provider(2), RejectionReason::Other, None, at(121)))
            .unwrap();
    let closed = after(&closed, |review| review.assign(provider(1), hold, at(500)));
    assert!(matches!(closed, Err(CareError::ReviewClosed)), "{closed:?}");
}

#[test]
fn a_second_form_under_treatment_takes_no_approval_away_unless_it_is_refused() {
    assert_eq!(waiting().approves(), Some(false));
    let mut second = waiting();
    second.trace.gates.under_treatment = true;
    assert_eq!(second.approves(), None);
    let claimed = after(&second, |review| review.claim(provider(1), at(0))).unwrap();
    assert_eq!(claimed.approves(), None);
    let asked = after(&claimed, |review| review.ask(provider(1), at(1))).unwrap();
    assert_eq!(asked.approves(), None);
    let turned_down =
        |reason| after(&claimed, |review| review.reject(provider(1), reason, None, at(1))).unwrap();
    assert_eq!(turned_down(RejectionReason::NotIndicated).approves(), None);
    assert_eq!(turned_down(RejectionReason::Contraindicated).approves(), Some(false));
    let mut refused = waiting();
    refused.outcome = AssessmentOutcome::Refused;
    refused.review = Review::NotNeeded;
    refused.trace.gates.under_treatment = true;
    assert_eq!(refused.approves(), Some(false));
}

#[test]
fn only_who_holds_the_review_decides_it() {
    let plan = TreatmentPlanId(Uuid::from_u128(9));
    assert!(matches!(
        after(&waiting(), |review| review.approve(provider(1), plan, at(0))),
        Err(CareError::ReviewNotClaimed)
    ));
    let claimed = after(&waiting(), |review| review.claim(provider(1), at(0))).unwrap();
    assert!(matches!(
        after(&claimed, |review| review.approve(provider(2), plan, at(1))),
        Err(CareError::ReviewAlreadyClaimed)
    ));
    assert!(matches!(
        after(&claimed, |review| review.approve(provider(1), plan, at(30))),
        Err(CareError::ReviewNotClaimed)
    ));
    let approved = after(&claimed, |review| review.approve(provider(1), plan, at(29))).unwrap();
    assert!(matches!(
        after(&approved, |review| review.reject(provider(1), RejectionReason::Other, None, at(29))),
        Err(CareError::ReviewClosed)
    ));
}

#[derive(Clone, Debug)]
enum Step {
    Claim(u128),
    Release(u128),
    Approve(u128),
    Reject(u128),
    Ask(u128),
    Answer,
    HandOver(u128, u128),
}

fn any_step() -> impl Strategy<Value = Step> {
    (0u8..7, 1u128..4, 1u128..4).prop_map(|(kind, who, to)| match kind {
        0 => Step::Claim(who),
        1 => Step::Release(who),
        2 => Step::Approve(who),
        3 => Step::Reject(who),
        4 => Step::Ask(who),
        5 => Step::Answer,
        _ => Step::HandOver(who, to),
    })
}

proptest! {
    /// Whatever is tried in whatever order, a decision is made by whoever
    /// held a claim that had not run out, and never changes afterwards.
    #[test]
    fn a_decision_belongs_to_the_holder_and_stays(
        steps in prop::collection::vec((any_step(), 0i64..40), 0..30)
    ) {
        let mut assessment = waiting();
        let mut minute = 0;
        for (step, wait) in steps {
            minute += wait;
            let (before, now) = (assessment.clone(), at(minute));
            let plan = TreatmentPlanId(Uuid::from_u128(9));
            let done = match step {
                Step::Claim(who) => assessment.claim(provider(who), now),
                Step::Release(who) => assessment.release(provider(who), now),
                Step::Approve(who) => assessment.approve(provider(who), plan, now),
                Step::Reject(who) => {
                    assessment.reject(provider(who), RejectionReason::Other, None, now)
                }
                Step::Ask(who) => assessment.ask(provider(who), now),
                Step::Answer => assessment.answered(now),
                Step::HandOver(who, to) => assessment.hand_over(provider(who), provider(to), now),
            };
            if done.is_err() {
                prop_assert_eq!(&assessment, &before);
                continue;
            }
            let open = matches!(
                before.review,
                Review::Waiting | Review::Claimed { .. } | Review::WaitingOnPatient { .. }
            );
            prop_assert!(open, "a closed review changed");
            if matches!(assessment.review, Review::Approved { .. } | Review::Rejected { .. }) {
                let Review::Claimed { provider, until } = before.review else {
                    return Err(TestCaseError::fail("decided without a claim"));
                };
                prop_assert!(now < until && assessment.review.provider() == Some(provider));
            }
        }
    }
}

#[test]
fn the_clock_stands_while_the_patient_is_asked() {
    // Noon of Monday, 2 March 2026 in New York: a business day ends on Tuesday.
    let monday: DateTime<Utc> = "2026-03-02T17:00:00Z".parse().unwrap();
    let mut assessment = waiting();
    assessment.due_at = Some(Priority::Routine.due_at(UsState::Ny, monday));
    assert_eq!(assessment.due_at.unwrap().to_rfc3339(), "2026-03-03T17:00:00+00:00");
    let claimed = after(&assessment, |review| review.claim(provider(1), monday)).unwrap();
    let asked =
        after(&claimed, |review| review.ask(provider(1), monday + Duration::minutes(20))).unwrap();
    assert!(matches!(
        after(&asked, |review| review.claim(provider(2), monday)),
        Err(CareError::ReviewWaitsForPatient)
    ));
    // It is not overdue, however long the patient takes.
    let friday: DateTime<Utc> = "2026-03-06T15:00:00Z".parse().unwrap();
    assert!(!asked.clone().escalate(friday));
    let answered = after(&asked, |review| review.answered(friday)).unwrap();
    assert_eq!(answered.review, Review::Waiting);
    // Seven hours and forty minutes were left, and seven of them are Friday's.
    assert_eq!(answered.due_at.unwrap().to_rfc3339(), "2026-03-09T13:40:00+00:00");
    assert!(matches!(
        after(&answered, |review| review.answered(friday)),
        Err(CareError::NothingAsked)
    ));
    let resumed = after(&asked, |review| review.claim(provider(1), friday)).unwrap();
    assert_eq!(resumed.due_at.unwrap().to_rfc3339(), "2026-03-09T13:40:00+00:00");
}

#[test]
fn an_overdue_review_is_escalated_once() {
    let mut assessment = waiting();
    let due = assessment.due_at.unwrap();
    assert!(!assessment.escalate(due - Duration::seconds(1)));
    assert!(assessment.escalate(due));
    assert_eq!((assessment.priority, assessment.due_at), (Priority::Urgent, Some(due)));
    assert!(!assessment.escalate(due + Duration::days(1)));
}

#[test]
fn a_claim_is_handed_over_with_its_whole_time() {
    let claimed = after(&waiting(), |review| review.claim(provider(1), at(0))).unwrap();
    assert!(after(&claimed, |review| review.hand_over(provider(2), provider(3), at(1))).is_err());
    let handed =
        after(&claimed, |review| review.hand_over(provider(1), provider(2), at(20))).unwrap();
    assert_eq!(handed.review, Review::Claimed { provider: provider(2), until: at(50) });
}

#[test]
fn a_review_gives_way_while_it_is_open_and_then_nobody_decides_it() {
    let now = at(5);
    let later: AssessmentId = AssessmentId(Uuid::from_u128(77));
    let claimed = after(&waiting(), |review| review.claim(provider(1), now)).unwrap();
    for open in [
        waiting(),
        claimed.clone(),
        after(&claimed, |review| review.ask(provider(1), now)).unwrap(),
    ] {
        let mut superseded = open;
        assert!(superseded.supersede(later, now));
        assert_eq!(superseded.review, Review::Superseded { by: later, at: now });
        assert_eq!(superseded.approves(), None, "it says nothing, for or against");
        for refused in [
            after(&superseded, |review| review.claim(provider(1), now)),
            after(&superseded, |review| {
                review.reject(provider(1), RejectionReason::Other, None, now)
            }),
        ] {
            assert!(matches!(refused, Err(CareError::ReviewSuperseded)), "{refused:?}");
        }
        assert!(!superseded.supersede(later, now));
    }
    let mut rejected = after(&claimed, |review| {
        review.reject(provider(1), RejectionReason::NotIndicated, None, now)
    })
    .unwrap();
    assert!(!rejected.supersede(later, now), "what is decided stays");
}

#[test]
fn the_last_word_on_a_pregnancy_counts_as_long_as_one_lasts() {
    let told = |answer: Option<bool>, day: i64| {
        let mut assessment = waiting();
        assessment.decided_at = at(0) + Duration::days(day);
        if let Some(answer) = answer {
            assessment.trace.inputs.answers.insert(PREGNANT.into(), answer.into());
        }
        assessment
    };
    let on = |day: i64| at(0) + Duration::days(day);
    assert_eq!(pregnancy(&[], on(1)), None);
    assert_eq!(pregnancy(&[told(None, 0)], on(1)), None);
    // Another category's form that does not ask takes nothing back.
    let yes = [told(None, 5), told(Some(true), 3), told(Some(false), 0)];
    assert_eq!(pregnancy(&yes, on(6)), Some(true));
    assert_eq!(pregnancy(&yes, on(296)), Some(true));
    assert_eq!(pregnancy(&yes, on(298)), None);
    assert_eq!(pregnancy(&[told(Some(false), 9), told(Some(true), 3)], on(10)), Some(false));
}
