//! How a treatment plan ends: it reaches its goal, is taken back, or gives way
//! to another one.

use chrono::{DateTime, Utc};
use kernel::{ProviderId, TextKind as _, TreatmentPlanId, Word, text::ChartNote};
use serde::{Deserialize, Serialize};

use crate::{CareError, PlanStatus, TreatmentPlan};

/// Why a plan ended.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize, Word)]
#[word("EndReasonWord")]
#[serde(rename_all = "snake_case")]
pub enum EndReason {
    /// A provider found that the treatment has done what it was for.
    GoalReached,
    /// The last fill of its prescription was used.
    SupplyUsed,
    /// Another plan takes its place.
    Superseded,
    AdverseReaction,
    Ineffective,
    Contraindicated,
    PatientRequest,
    EnteredInError,
    Other,
}

impl EndReason {
    /// Those with which a provider takes a plan back.
    pub const REVOKING: [Self; 6] = [
        Self::AdverseReaction,
        Self::Ineffective,
        Self::Contraindicated,
        Self::PatientRequest,
        Self::EnteredInError,
        Self::Other,
    ];
}

#[derive(Clone, Debug, PartialEq)]
pub struct PlanEnding {
    pub at: DateTime<Utc>,
    /// `None` where Salus ended it, as with the last fill.
    pub by: Option<ProviderId>,
    pub reason: EndReason,
    /// The provider's own words, for the chart.
    pub note: Option<String>,
    pub superseded_by: Option<TreatmentPlanId>,
}

/// What a provider says of an ending, as it is kept.
fn note_of(note: Option<String>, required: bool) -> Result<Option<String>, CareError> {
    let note = ChartNote::take_optional("note", note.as_deref())?;
    if required && note.is_none() {
        return Err(CareError::field("note", "required", "Say in words what the reason is."));
    }
    Ok(note)
}

impl TreatmentPlan {
    fn end(&mut self, status: PlanStatus, ending: PlanEnding) -> Result<(), CareError> {
        if self.status != PlanStatus::Active {
            return Err(CareError::PlanNotActive);
        }
        self.status = status;
        self.ended = Some(ending);
        Ok(())
    }

    /// A provider takes the plan back. A reason that is no word of the list
    /// has to be given in words.
    pub fn revoke(
        &mut self,
        by: ProviderId,
        reason: EndReason,
        note: Option<String>,
        now: DateTime<Utc>,
    ) -> Result<(), CareError> {
        if !EndReason::REVOKING.contains(&reason) {
            return Err(CareError::field("reason", "invalid", "No reason to revoke a plan."));
        }
        let note = note_of(note, reason == EndReason::Other)?;
        let ending = PlanEnding { at: now, by: Some(by), reason, note, superseded_by: None };
        self.end(PlanStatus::Revoked, ending)
    }

    /// A provider closes the plan because it has done what it was for.
    pub fn reach_goal(
        &mut self,
        by: ProviderId,
        note: Option<String>,
        now: DateTime<Utc>,
    ) -> Result<(), CareError> {
        let note = note_of(note, false)?;
        let reason = EndReason::GoalReached;
        let ending = PlanEnding { at: now, by: Some(by), reason, note, superseded_by: None };
        self.end(PlanStatus::Completed, ending)
    }

    /// Gives way to the plan that a provider signs now.
    pub fn supersede(
        &mut self,
        by: ProviderId,
        successor: TreatmentPlanId,
        now: DateTime<Utc>,
    ) -> Result<(), CareError> {
        let ending = PlanEnding {
            at: now,
            by: Some(by),
            reason: EndReason::Superseded,
            note: None,
            superseded_by: Some(successor),
        };
        self.end(PlanStatus::Revoked, ending)
    }

    /// The last fill of its prescription is used, so that what the patient asks
    /// for next is a new plan.
    pub fn complete(&mut self, now: DateTime<Utc>) -> Result<(), CareError> {
        let reason = EndReason::SupplyUsed;
        let ending = PlanEnding { at: now, by: None, reason, note: None, superseded_by: None };
        self.end(PlanStatus::Completed, ending)
    }
}

#[cfg(test)]
mod tests {
    use kernel::Uuid;
    use proptest::prelude::*;

    use super::*;
    use crate::{
        Treatment,
        treatment::tests::{any_treatment, plan},
    };

    const BY: ProviderId = ProviderId(Uuid::from_u128(7));
    const NEXT: TreatmentPlanId = TreatmentPlanId(Uuid::from_u128(8));
    const NOW: DateTime<Utc> = DateTime::UNIX_EPOCH;

    #[test]
    fn a_plan_is_revoked_for_a_coded_reason_and_other_needs_words() {
        let mut revoked = plan();
        revoked.revoke(BY, EndReason::AdverseReaction, None, NOW).unwrap();
        assert_eq!(revoked.status, PlanStatus::Revoked);
        assert_eq!(revoked.ended.unwrap().by, Some(BY));
        for reason in [EndReason::GoalReached, EndReason::SupplyUsed, EndReason::Superseded] {
            assert!(plan().revoke(BY, reason, None, NOW).is_err(), "{reason}");
        }
        assert!(plan().revoke(BY, EndReason::Other, Some("  ".into()), NOW).is_err());
        let words = Some(" Moved abroad. ".to_owned());
        let mut other = plan();
        other.revoke(BY, EndReason::Other, words, NOW).unwrap();
        assert_eq!(other.ended.unwrap().note.as_deref(), Some("Moved abroad."));
    }

    proptest! {
        /// Whatever is tried in whatever order, a plan ends once, keeps its
        /// ending, and takes no version afterwards.
        #[test]
        fn a_plan_ends_once(ways in prop::collection::vec(0u8..5, 1..8), next in any_treatment()) {
            let mut plan = plan();
            for (days, way) in (1..).zip(ways) {
                let next = Treatment { duration_days: days, ..next.clone() };
                let before = plan.clone();
                let after = match way {
                    0 => plan.revoke(BY, EndReason::Ineffective, None, NOW),
                    1 => plan.reach_goal(BY, None, NOW),
                    2 => plan.supersede(BY, NEXT, NOW),
                    3 => plan.complete(NOW),
                    _ => plan.modify(next, BY, "Another.", NOW),
                };
                if before.status == PlanStatus::Active {
                    after.unwrap();
                    prop_assert_eq!(plan.status == PlanStatus::Active, plan.ended.is_none());
                } else {
                    prop_assert!(matches!(after, Err(CareError::PlanNotActive)));
                    prop_assert_eq!(&plan, &before);
                }
            }
        }
    }
}
