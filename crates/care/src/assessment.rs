//! An assessment: what eligibility decided of one submitted response, and the
//! review that a provider makes of it where one is needed.

use chrono::{DateTime, Duration, Utc};
use kernel::{
    AssessmentId, CategoryId, FormResponseId, PatientId, ProviderId, TreatmentPlanId, UsState,
};
use ports::events::AssessmentOutcome;
use serde::{Deserialize, Serialize};
use strum::{Display, EnumString, IntoStaticStr};

use crate::{
    CareError, Decision, Trace,
    eligibility::{Outcome, Reason},
};

#[derive(
    Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize, Display, EnumString, IntoStaticStr,
)]
#[serde(rename_all = "snake_case")]
#[strum(serialize_all = "snake_case")]
pub enum Priority {
    Urgent,
    Routine,
}

impl Priority {
    /// How soon a review is due.
    pub fn service_level(self) -> Duration {
        match self {
            Self::Urgent => Duration::hours(1),
            Self::Routine => Duration::hours(24),
        }
    }

    /// Its place in the queue; lower is sooner.
    pub fn rank(self) -> i16 {
        match self {
            Self::Urgent => 0,
            Self::Routine => 1,
        }
    }
}

/// Why a provider said no.
#[derive(
    Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize, Display, EnumString, IntoStaticStr,
)]
#[serde(rename_all = "snake_case")]
#[strum(serialize_all = "snake_case")]
pub enum RejectionReason {
    Contraindicated,
    NotIndicated,
    NeedsInPersonVisit,
    InsufficientInformation,
    Other,
}

impl RejectionReason {
    /// The reason as the patient reads it.
    pub fn text(self) -> &'static str {
        match self {
            Self::Contraindicated => "This treatment would not be safe for you.",
            Self::NotIndicated => "This treatment is not the right one for what you describe.",
            Self::NeedsInPersonVisit => "What you describe needs to be seen in person.",
            Self::InsufficientInformation => "Your answers do not say enough to decide.",
            Self::Other => "A provider decided against this treatment.",
        }
    }
}

/// The review of an assessment.
#[derive(Clone, Debug, PartialEq)]
pub enum Review {
    /// Eligibility decided alone.
    NotNeeded,
    Waiting,
    /// One provider has it to decide, until the claim runs out.
    Claimed {
        provider: ProviderId,
        until: DateTime<Utc>,
    },
    Approved {
        provider: ProviderId,
        at: DateTime<Utc>,
        treatment_plan: TreatmentPlanId,
    },
    Rejected {
        provider: ProviderId,
        at: DateTime<Utc>,
        reason: RejectionReason,
        /// The provider's own words, for the chart.
        note: Option<String>,
    },
}

impl Review {
    /// How long a claim holds without a decision.
    pub const CLAIM: Duration = Duration::minutes(30);

    pub fn word(&self) -> &'static str {
        match self {
            Self::NotNeeded => "not_needed",
            Self::Waiting => "waiting",
            Self::Claimed { .. } => "claimed",
            Self::Approved { .. } => "approved",
            Self::Rejected { .. } => "rejected",
        }
    }

    /// Who holds the review or has decided it.
    pub fn provider(&self) -> Option<ProviderId> {
        match self {
            Self::NotNeeded | Self::Waiting => None,
            Self::Claimed { provider, .. }
            | Self::Approved { provider, .. }
            | Self::Rejected { provider, .. } => Some(*provider),
        }
    }

    /// Whether this provider may decide it now.
    fn held_by(&self, by: ProviderId, now: DateTime<Utc>) -> Result<(), CareError> {
        match self {
            Self::Claimed { provider, until } if *provider == by && now < *until => Ok(()),
            Self::Claimed { provider, until } if *provider != by && now < *until => {
                Err(CareError::ReviewAlreadyClaimed)
            }
            Self::Claimed { .. } | Self::Waiting => Err(CareError::ReviewNotClaimed),
            Self::NotNeeded | Self::Approved { .. } | Self::Rejected { .. } => {
                Err(CareError::ReviewClosed)
            }
        }
    }
}

#[derive(Clone, Debug, PartialEq)]
pub struct Assessment {
    pub id: AssessmentId,
    pub patient: PatientId,
    pub category: CategoryId,
    pub response: FormResponseId,
    /// Where the patient was when it was decided.
    pub state: UsState,
    pub decided_at: DateTime<Utc>,
    pub outcome: AssessmentOutcome,
    pub reasons: Vec<Reason>,
    pub trace: Trace,
    pub priority: Priority,
    /// When a review is due; `None` where there is none to make.
    pub due_at: Option<DateTime<Utc>>,
    pub review: Review,
    pub version: i64,
}

impl Assessment {
    pub fn decided(
        id: AssessmentId,
        (patient, category, response): (PatientId, CategoryId, FormResponseId),
        (decision, trace): (Decision, Trace),
        now: DateTime<Utc>,
    ) -> Self {
        let outcome = match decision.outcome {
            Outcome::Refused => AssessmentOutcome::Refused,
            Outcome::InReview => AssessmentOutcome::InReview,
            Outcome::AutoApproved { .. } => AssessmentOutcome::AutoApproved,
        };
        let reviewed = outcome == AssessmentOutcome::InReview;
        Self {
            id,
            patient,
            category,
            response,
            state: trace.inputs.patient.state,
            decided_at: now,
            outcome,
            reasons: decision.reasons,
            trace,
            priority: decision.priority,
            due_at: reviewed.then(|| now + decision.priority.service_level()),
            review: if reviewed { Review::Waiting } else { Review::NotNeeded },
            version: 1,
        }
    }

    /// Whether this assessment approves treatment. `None` where it says nothing
    /// against an approval before it: the form of a patient under treatment
    /// that waits for a provider, or that a provider found to ask for no more
    /// than the patient has.
    pub fn approves(&self) -> Option<bool> {
        let second = self.trace.gates.under_treatment;
        match (self.outcome, &self.review) {
            (AssessmentOutcome::AutoApproved, _) | (_, Review::Approved { .. }) => Some(true),
            (_, Review::Waiting | Review::Claimed { .. }) if second => None,
            (_, Review::Rejected { reason: RejectionReason::NotIndicated, .. }) if second => None,
            _ => Some(false),
        }
    }

    /// Takes the review for one provider. Claiming again prolongs one's own
    /// claim; a claim that ran out is free for anybody.
    pub fn claim(mut self, by: ProviderId, now: DateTime<Utc>) -> Result<Self, CareError> {
        match &self.review {
            Review::Claimed { provider, until } if *provider != by && now < *until => {
                return Err(CareError::ReviewAlreadyClaimed);
            }
            Review::Waiting | Review::Claimed { .. } => {}
            Review::NotNeeded | Review::Approved { .. } | Review::Rejected { .. } => {
                return Err(CareError::ReviewClosed);
            }
        }
        self.review = Review::Claimed { provider: by, until: now + Review::CLAIM };
        Ok(self)
    }

    pub fn release(mut self, by: ProviderId, now: DateTime<Utc>) -> Result<Self, CareError> {
        self.review.held_by(by, now)?;
        self.review = Review::Waiting;
        Ok(self)
    }

    pub fn approve(
        mut self,
        by: ProviderId,
        treatment_plan: TreatmentPlanId,
        now: DateTime<Utc>,
    ) -> Result<Self, CareError> {
        self.review.held_by(by, now)?;
        self.review = Review::Approved { provider: by, at: now, treatment_plan };
        Ok(self)
    }

    pub fn reject(
        mut self,
        by: ProviderId,
        reason: RejectionReason,
        note: Option<String>,
        now: DateTime<Utc>,
    ) -> Result<Self, CareError> {
        self.review.held_by(by, now)?;
        self.review = Review::Rejected { provider: by, at: now, reason, note };
        Ok(self)
    }
}

#[cfg(test)]
mod tests {
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
            patient: PatientInputs { age: 40, sex: Sex::Female, state: UsState::Ny },
            medications: vec![],
            allergies: vec![],
        };
        let gates = Gates {
            allowlisted: false,
            asynchronous: true,
            supervising_provider: None,
            under_treatment: false,
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

    #[test]
    fn a_claim_keeps_others_out_until_it_runs_out() {
        let claimed = waiting().claim(provider(1), at(0)).unwrap();
        assert!(matches!(
            claimed.clone().claim(provider(2), at(29)),
            Err(CareError::ReviewAlreadyClaimed)
        ));
        let taken_over = claimed.claim(provider(2), at(30)).unwrap();
        assert_eq!(taken_over.review.provider(), Some(provider(2)));
    }

    #[test]
    fn a_second_form_under_treatment_takes_no_approval_away_unless_it_is_refused() {
        assert_eq!(waiting().approves(), Some(false));
        let mut second = waiting();
        second.trace.gates.under_treatment = true;
        assert_eq!(second.approves(), None);
        let claimed = second.claim(provider(1), at(0)).unwrap();
        assert_eq!(claimed.approves(), None);
        let turned_down =
            |reason| claimed.clone().reject(provider(1), reason, None, at(1)).unwrap();
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
            waiting().approve(provider(1), plan, at(0)),
            Err(CareError::ReviewNotClaimed)
        ));
        let claimed = waiting().claim(provider(1), at(0)).unwrap();
        assert!(matches!(
            claimed.clone().approve(provider(2), plan, at(1)),
            Err(CareError::ReviewAlreadyClaimed)
        ));
        assert!(matches!(
            claimed.clone().approve(provider(1), plan, at(30)),
            Err(CareError::ReviewNotClaimed)
        ));
        let approved = claimed.approve(provider(1), plan, at(29)).unwrap();
        assert!(matches!(
            approved.reject(provider(1), RejectionReason::Other, None, at(29)),
            Err(CareError::ReviewClosed)
        ));
    }

    #[derive(Clone, Debug)]
    enum Step {
        Claim(u128),
        Release(u128),
        Approve(u128),
        Reject(u128),
    }

    fn any_step() -> impl Strategy<Value = Step> {
        (0u8..4, 1u128..4).prop_map(|(kind, who)| match kind {
            0 => Step::Claim(who),
            1 => Step::Release(who),
            2 => Step::Approve(who),
            _ => Step::Reject(who),
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
                let after = match step {
                    Step::Claim(who) => assessment.claim(provider(who), now),
                    Step::Release(who) => assessment.release(provider(who), now),
                    Step::Approve(who) => assessment.approve(provider(who), plan, now),
                    Step::Reject(who) => {
                        assessment.reject(provider(who), RejectionReason::Other, None, now)
                    }
                };
                let Ok(after) = after else {
                    assessment = before;
                    continue;
                };
                let open = matches!(before.review, Review::Waiting | Review::Claimed { .. });
                prop_assert!(open, "a closed review changed");
                if matches!(after.review, Review::Approved { .. } | Review::Rejected { .. }) {
                    let Review::Claimed { provider, until } = before.review else {
                        return Err(TestCaseError::fail("decided without a claim"));
                    };
                    prop_assert!(now < until && after.review.provider() == Some(provider));
                }
                assessment = after;
            }
        }
    }
}
