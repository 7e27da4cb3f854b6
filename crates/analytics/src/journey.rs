//! The way from registering to a delivered box, in stages.

use chrono::NaiveDate;
use kernel::{PatientId, Word};
use ports::{
    Event,
    events::{AssessmentOutcome, ShipmentStatusWord},
};

/// A stage of the way from registering to a delivered box.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash, Word)]
#[word("StageWord")]
pub enum JourneyStage {
    Registered,
    Submitted,
    Approved,
    Subscribed,
    Shipped,
    Delivered,
}

/// How many reached a stage for the first time on a day.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct JourneyDay {
    pub day: NaiveDate,
    pub stage: JourneyStage,
    pub people: u64,
}

/// The stage that someone reaches with an event.
pub fn stage_of(event: &Event) -> Option<(PatientId, JourneyStage)> {
    match event {
        Event::AccountRegistered { account } => {
            Some((account.as_patient(), JourneyStage::Registered))
        }
        Event::ResponseSubmitted { patient, .. } => Some((*patient, JourneyStage::Submitted)),
        Event::AssessmentDecided { patient, outcome: AssessmentOutcome::AutoApproved, .. }
        | Event::ReviewDecided { patient, approved: true, .. } => {
            Some((*patient, JourneyStage::Approved))
        }
        Event::SubscriptionActivated { patient, .. } => Some((*patient, JourneyStage::Subscribed)),
        Event::ShipmentChanged { patient, status, .. } => match status {
            ShipmentStatusWord::InTransit | ShipmentStatusWord::OutForDelivery => {
                Some((*patient, JourneyStage::Shipped))
            }
            ShipmentStatusWord::Delivered => Some((*patient, JourneyStage::Delivered)),
            _ => None,
        },
        _ => None,
    }
}

#[cfg(test)]
mod tests {
    use kernel::{AssessmentId, CategoryId, ProviderId, Uuid};

    use super::*;

    #[test]
    fn only_an_approval_is_a_stage() {
        let decided = |approved| Event::ReviewDecided {
            assessment: AssessmentId(Uuid::from_u128(1)),
            patient: PatientId(Uuid::from_u128(2)),
            category: CategoryId(Uuid::from_u128(3)),
            provider: ProviderId(Uuid::from_u128(4)),
            approved,
        };
        let patient = PatientId(Uuid::from_u128(2));
        assert_eq!(stage_of(&decided(true)), Some((patient, JourneyStage::Approved)));
        assert_eq!(stage_of(&decided(false)), None);
    }
}
