//! An assessment: what eligibility decided of one submitted response, and the
//! review that a provider makes of it where one is needed.

use std::collections::{BTreeMap, BTreeSet};

use chrono::{DateTime, Duration, Utc};
use kernel::{
    AssessmentId, CategoryId, FormResponseId, PatientId, ProviderId, TreatmentPlanId, UsState, Word,
};
use ports::{Aggregate, events::AssessmentOutcome};
use serde::{Deserialize, Serialize};

use crate::{
    CareError, Decision, Trace, business_hours,
    eligibility::{Outcome, Reason},
};

/// How soon a provider has to look.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize, Word)]
#[word("PriorityWord")]
#[serde(rename_all = "snake_case")]
pub enum Priority {
    Urgent,
    Routine,
}

impl Priority {
    /// When a review that begins now is due. What points to danger does not wait
    /// for the office to open; the rest has one business day of the patient's
    /// state.
    pub fn due_at(self, state: UsState, now: DateTime<Utc>) -> DateTime<Utc> {
        self.resume(
            state,
            now,
            match self {
                Self::Urgent => self.service_level(),
                Self::Routine => Duration::hours(8),
            },
        )
    }

    /// How much of its time a review has left; nothing where it is overdue.
    fn left(self, state: UsState, now: DateTime<Utc>, due_at: DateTime<Utc>) -> Duration {
        let left = match self {
            Self::Urgent => due_at - now,
            Self::Routine => business_hours::between(state.zone(), now, due_at),
        };
        left.max(Duration::zero())
    }

    fn resume(self, state: UsState, now: DateTime<Utc>, left: Duration) -> DateTime<Utc> {
        match self {
            Self::Urgent => now + left,
            Self::Routine => business_hours::add(state.zone(), now, left),
        }
    }

    /// How soon a task is due, by the clock on the wall.
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
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize, Word)]
#[word("RejectionWord")]
#[serde(rename_all = "snake_case")]
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
    /// The patient was asked for something; the clock stands until the answer.
    WaitingOnPatient {
        provider: ProviderId,
        since: DateTime<Utc>,
        /// Of the time in which the review is due.
        left: Duration,
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
    /// The patient has submitted the form again; that assessment decides.
    Superseded {
        by: AssessmentId,
        at: DateTime<Utc>,
    },
}

/// Where the review of an assessment stands.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Word)]
pub enum ReviewWord {
    NotNeeded,
    Waiting,
    /// A provider has it to decide.
    Claimed,
    /// A provider has asked the patient for something.
    WaitingOnPatient,
    Approved,
    Rejected,
    /// The form was submitted again; the later assessment decides.
    Superseded,
}

impl Review {
    /// How long a claim holds without a decision.
    pub const CLAIM: Duration = Duration::minutes(30);

    pub fn word(&self) -> ReviewWord {
        match self {
            Self::NotNeeded => ReviewWord::NotNeeded,
            Self::Waiting => ReviewWord::Waiting,
            Self::Claimed { .. } => ReviewWord::Claimed,
            Self::WaitingOnPatient { .. } => ReviewWord::WaitingOnPatient,
            Self::Approved { .. } => ReviewWord::Approved,
            Self::Rejected { .. } => ReviewWord::Rejected,
            Self::Superseded { .. } => ReviewWord::Superseded,
        }
    }

    /// Whether a decision is still to be made.
    pub fn is_open(&self) -> bool {
        matches!(self, Self::Waiting | Self::Claimed { .. } | Self::WaitingOnPatient { .. })
    }

    /// Who holds the review or has decided it.
    pub fn provider(&self) -> Option<ProviderId> {
        match self {
            Self::NotNeeded | Self::Waiting | Self::Superseded { .. } => None,
            Self::Claimed { provider, .. }
            | Self::WaitingOnPatient { provider, .. }
            | Self::Approved { provider, .. }
            | Self::Rejected { provider, .. } => Some(*provider),
        }
    }

    /// Whether the time in which it is to be decided runs.
    pub fn is_due(&self) -> bool {
        matches!(self, Self::Waiting | Self::Claimed { .. })
    }

    /// Until when a claim holds.
    pub fn claimed_until(&self) -> Option<DateTime<Utc>> {
        match self {
            Self::Claimed { until, .. } => Some(*until),
            _ => None,
        }
    }

    /// The plan that an approval made.
    pub fn treatment_plan(&self) -> Option<TreatmentPlanId> {
        match self {
            Self::Approved { treatment_plan, .. } => Some(*treatment_plan),
            _ => None,
        }
    }

    /// Whether it can be given to somebody now.
    fn is_free(&self, now: DateTime<Utc>) -> Result<(), CareError> {
        match self {
            Self::Claimed { until, .. } if now < *until => Err(CareError::ReviewAlreadyClaimed),
            Self::Waiting | Self::Claimed { .. } => Ok(()),
            _ => Err(self.refusal()),
        }
    }

    /// Why nobody can decide it as it is.
    fn refusal(&self) -> CareError {
        match self {
            Self::Waiting | Self::Claimed { .. } => CareError::ReviewNotClaimed,
            Self::WaitingOnPatient { .. } => CareError::ReviewWaitsForPatient,
            Self::Superseded { .. } => CareError::ReviewSuperseded,
            Self::NotNeeded | Self::Approved { .. } | Self::Rejected { .. } => {
                CareError::ReviewClosed
            }
        }
    }

    /// Whether this provider may decide it now.
    pub(crate) fn held_by(&self, by: ProviderId, now: DateTime<Utc>) -> Result<(), CareError> {
        match self {
            Self::Claimed { provider, until } if *provider == by && now < *until => Ok(()),
            Self::Claimed { provider, until } if *provider != by && now < *until => {
                Err(CareError::ReviewAlreadyClaimed)
            }
            _ => Err(self.refusal()),
        }
    }
}

#[derive(Clone, Debug, PartialEq, Aggregate)]
#[aggregate("assessment", patient)]
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
    /// When it was found overdue.
    pub escalated_at: Option<DateTime<Utc>>,
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
        let state = trace.inputs.patient.state;
        Self {
            id,
            patient,
            category,
            response,
            state,
            decided_at: now,
            outcome,
            reasons: decision.reasons,
            trace,
            priority: decision.priority,
            due_at: reviewed.then(|| decision.priority.due_at(state, now)),
            review: if reviewed { Review::Waiting } else { Review::NotNeeded },
            escalated_at: None,
            version: 1,
        }
    }

    /// Whether the rules refused or a provider rejected.
    pub fn said_no(&self) -> bool {
        self.outcome == AssessmentOutcome::Refused || matches!(self.review, Review::Rejected { .. })
    }

    /// When it was decided, by eligibility or by a provider after it.
    fn settled_at(&self) -> DateTime<Utc> {
        match &self.review {
            Review::Approved { at, .. } | Review::Rejected { at, .. } => *at,
            _ => self.decided_at,
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
            (_, Review::Waiting | Review::Claimed { .. } | Review::WaitingOnPatient { .. })
                if second =>
            {
                None
            }
            (_, Review::Superseded { .. }) => None,
            (_, Review::Rejected { reason: RejectionReason::NotIndicated, .. }) if second => None,
            _ => Some(false),
        }
    }

    /// The approval of the category that is in force among the patient's assessments,
    /// the newest first: the newest that says either decides, so that an approval
    /// which a later refusal followed is no longer in force.
    pub fn approval_in_force(newest_first: &[Self], category: CategoryId) -> Option<AssessmentId> {
        newest_first
            .iter()
            .filter(|assessment| assessment.category == category)
            .find_map(|assessment| Some((assessment.approves()?, assessment.id)))
            .and_then(|(approves, id)| approves.then_some(id))
    }

    /// Takes the review for one provider. Claiming again prolongs one's own
    /// claim; a claim that ran out is free for anybody.
    pub fn claim(&mut self, by: ProviderId, now: DateTime<Utc>) -> Result<(), CareError> {
        let mut end = now + Review::CLAIM;
        match &self.review {
            // A review that was assigned may be held for longer already.
            Review::Claimed { provider, until } if *provider == by => end = end.max(*until),
            // Who asked may go on without the answer; the clock does too.
            Review::WaitingOnPatient { provider, left, .. } if *provider == by => {
                self.due_at = Some(self.priority.resume(self.state, now, *left));
            }
            review => review.is_free(now)?,
        }
        self.review = Review::Claimed { provider: by, until: end };
        Ok(())
    }

    /// Gives a review that nobody holds to a provider, for a time that the
    /// clinic has set.
    pub fn assign(
        &mut self,
        to: ProviderId,
        hold: Duration,
        now: DateTime<Utc>,
    ) -> Result<(), CareError> {
        self.review.is_free(now)?;
        self.review = Review::Claimed { provider: to, until: now + hold };
        Ok(())
    }

    pub fn release(&mut self, by: ProviderId, now: DateTime<Utc>) -> Result<(), CareError> {
        self.review.held_by(by, now)?;
        self.review = Review::Waiting;
        Ok(())
    }

    /// Waits for the patient, who is asked for something.
    pub fn ask(&mut self, by: ProviderId, now: DateTime<Utc>) -> Result<(), CareError> {
        self.review.held_by(by, now)?;
        let due_at = self.due_at.unwrap_or(now);
        let left = self.priority.left(self.state, now, due_at);
        self.review = Review::WaitingOnPatient { provider: by, since: now, left };
        Ok(())
    }

    /// The patient has answered: it is back in the queue, and its clock runs on.
    pub fn answered(&mut self, now: DateTime<Utc>) -> Result<(), CareError> {
        let Review::WaitingOnPatient { left, .. } = self.review else {
            return Err(CareError::NothingAsked);
        };
        self.due_at = Some(self.priority.resume(self.state, now, left));
        self.review = Review::Waiting;
        Ok(())
    }

    /// Gives one's claim to a colleague, with its whole time.
    pub fn hand_over(
        &mut self,
        by: ProviderId,
        to: ProviderId,
        now: DateTime<Utc>,
    ) -> Result<(), CareError> {
        self.review.held_by(by, now)?;
        self.review = Review::Claimed { provider: to, until: now + Review::CLAIM };
        Ok(())
    }

    /// Goes to the front of the queue because it is overdue; once. `false` where
    /// it is not, or waits for the patient, or was escalated before.
    pub fn escalate(&mut self, now: DateTime<Utc>) -> bool {
        let open = matches!(self.review, Review::Waiting | Review::Claimed { .. });
        let overdue = self.due_at.is_some_and(|due| due <= now);
        let escalates = open && overdue && self.escalated_at.is_none();
        if escalates {
            self.priority = Priority::Urgent;
            self.escalated_at = Some(now);
        }
        escalates
    }

    /// Gives way to the assessment of a later response; `false` where nothing is
    /// left to be decided. Two open reviews of one complaint could be decided
    /// against each other.
    pub fn supersede(&mut self, by: AssessmentId, now: DateTime<Utc>) -> bool {
        let open = self.review.is_open();
        if open {
            self.review = Review::Superseded { by, at: now };
        }
        open
    }

    pub fn approve(
        &mut self,
        by: ProviderId,
        treatment_plan: TreatmentPlanId,
        now: DateTime<Utc>,
    ) -> Result<(), CareError> {
        self.review.held_by(by, now)?;
        self.review = Review::Approved { provider: by, at: now, treatment_plan };
        Ok(())
    }

    pub fn reject(
        &mut self,
        by: ProviderId,
        reason: RejectionReason,
        note: Option<String>,
        now: DateTime<Utc>,
    ) -> Result<(), CareError> {
        self.review.held_by(by, now)?;
        self.review = Review::Rejected { provider: by, at: now, reason, note };
        Ok(())
    }

    /// Back to the queue, because whoever held it may no longer decide it; the clock
    /// runs on.
    pub fn give_back(&mut self, now: DateTime<Utc>) {
        if self.answered(now).is_err() && matches!(self.review, Review::Claimed { .. }) {
            self.review = Review::Waiting;
        }
    }

    /// Whoever takes the patient over waits for the answer that was asked for; a
    /// claim ends and is anybody's again.
    pub fn take_over(&mut self, to: ProviderId, now: DateTime<Utc>) {
        match &mut self.review {
            Review::WaitingOnPatient { provider, .. } => *provider = to,
            _ => self.give_back(now),
        }
    }
}

/// The answer by which forms ask for a pregnancy.
pub const PREGNANT: &str = "pregnant";

/// For how long a pregnancy that was told is taken to last.
const PREGNANCY: Duration = Duration::days(294);

/// What a patient has last told of a pregnancy, in whichever category; `None`
/// where nothing was told, or a yes of so long ago that it tells nothing now.
pub fn pregnancy(assessments: &[Assessment], now: DateTime<Utc>) -> Option<bool> {
    assessments
        .iter()
        .filter_map(|told| {
            let answer = told.trace.inputs.answers.get(PREGNANT)?.as_bool()?;
            Some((told.decided_at, answer))
        })
        .max_by_key(|(at, _)| *at)
        .filter(|(at, answer)| !answer || now - *at < PREGNANCY)
        .map(|(_, answer)| answer)
}

/// The yes-or-no questions that a patient has last affirmed, in whichever
/// category they were asked, by link id.
pub fn affirmed(assessments: &[Assessment]) -> BTreeSet<String> {
    let mut last: BTreeMap<&str, (DateTime<Utc>, bool)> = BTreeMap::new();
    for told in assessments {
        for (question, answer) in &told.trace.inputs.answers {
            let Some(answer) = answer.as_bool() else { continue };
            let known = last.entry(question).or_insert((told.decided_at, answer));
            if known.0 < told.decided_at {
                *known = (told.decided_at, answer);
            }
        }
    }
    let yes = last.into_iter().filter(|(_, (_, answer))| *answer);
    yes.map(|(question, _)| question.to_owned()).collect()
}

/// The refusal that stands against a treatment of a category which began at
/// that time: of the assessments decided since, the newest that decides
/// anything, where it says no.
pub fn standing_refusal(
    assessments: &[Assessment],
    category: CategoryId,
    since: DateTime<Utc>,
) -> Option<AssessmentId> {
    assessments
        .iter()
        .filter(|one| one.category == category && one.settled_at() > since)
        .filter_map(|one| Some((one.settled_at(), one.approves()?, one)))
        .max_by_key(|(at, _, one)| (*at, one.id))
        .filter(|(_, approves, one)| !approves && one.said_no())
        .map(|(_, _, one)| one.id)
}

#[cfg(test)]
mod tests;
