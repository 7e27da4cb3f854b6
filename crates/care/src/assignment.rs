//! Giving reviews out: to whom of those who may decide one, and when that
//! happens by itself. The choice is a pure function of what is known of the
//! candidates.

use std::collections::{BTreeMap, BTreeSet};

use chrono::{DateTime, Duration, Utc};
use kernel::{CategoryId, FieldError, ProviderId, Speciality, UsState};
use serde::{Deserialize, Serialize};

use crate::CareError;

/// How the clinic gives reviews out.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct AssignmentPolicy {
    /// Reviews are given out as they come in. Otherwise providers take them from
    /// the queue, and an administrator may give out what waits.
    pub automatic: bool,
    /// Nobody is given a review outside the working hours that they have named.
    pub within_hours: bool,
    /// How long an assigned review is held for its provider.
    pub hold_minutes: u32,
    /// Who holds so many reviews is given no more.
    pub most_held: u32,
    /// The specialities of which a category asks for one; a category that is not
    /// here takes any provider.
    pub specialities: BTreeMap<CategoryId, BTreeSet<Speciality>>,
}

impl Default for AssignmentPolicy {
    fn default() -> Self {
        Self {
            automatic: false,
            within_hours: true,
            hold_minutes: 120,
            most_held: 20,
            specialities: BTreeMap::new(),
        }
    }
}

impl AssignmentPolicy {
    pub fn validate(&self) -> Result<(), CareError> {
        let mut errors = Vec::new();
        let mut refuse = |path: String, message: &str| {
            errors.push(FieldError::new(path, "out_of_range", message));
        };
        if !(15..=24 * 60).contains(&self.hold_minutes) {
            refuse("hold_minutes".into(), "Between 15 minutes and a day.");
        }
        if !(1..=500).contains(&self.most_held) {
            refuse("most_held".into(), "Between 1 and 500.");
        }
        for (index, asked) in self.specialities.values().enumerate() {
            if asked.is_empty() {
                let message = "At least one speciality, or leave the category out.";
                refuse(format!("categories[{index}].specialities"), message);
            }
        }
        if errors.is_empty() { Ok(()) } else { Err(CareError::Invalid(errors)) }
    }

    pub fn hold(&self) -> Duration {
        Duration::minutes(self.hold_minutes.into())
    }
}

/// A provider as the directory knows them at a moment.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Colleague {
    pub provider: ProviderId,
    /// Where a license is in force at that moment.
    pub licensed_in: Vec<UsState>,
    pub specialities: BTreeSet<Speciality>,
    /// Whether they are at work; `None` where they have named no hours.
    pub on_duty: Option<bool>,
}

/// What care itself knows of a provider when a review is to be given out.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Load {
    pub provider: ProviderId,
    /// The reviews that the provider holds now.
    pub held: u32,
    /// When a review was last assigned to the provider.
    pub last: Option<DateTime<Utc>>,
    /// This very review was assigned to the provider before, and came back.
    pub had_it: bool,
}

/// The review that is to be given out.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Wanted {
    pub category: CategoryId,
    /// Where the patient is now.
    pub state: UsState,
}

/// Who is given the review: of those who are licensed where the patient is, of
/// a speciality that the category asks for, at work and not full, whoever holds
/// the fewest, and of several whoever was given one longest ago. Nobody is given
/// a review that they let go before: what everybody had stays in the queue.
pub fn choose(
    policy: &AssignmentPolicy,
    wanted: Wanted,
    colleagues: &[Colleague],
    loads: &[Load],
) -> Option<ProviderId> {
    let asked = policy.specialities.get(&wanted.category);
    let fits = |colleague: &&Colleague| {
        colleague.licensed_in.contains(&wanted.state)
            && asked.is_none_or(|asked| !asked.is_disjoint(&colleague.specialities))
            && !(policy.within_hours && colleague.on_duty == Some(false))
    };
    colleagues
        .iter()
        .filter(fits)
        .filter_map(|colleague| loads.iter().find(|load| load.provider == colleague.provider))
        .filter(|load| !load.had_it && load.held < policy.most_held)
        // `None` sorts before every time: who never had one comes first. The id
        // settles what is left, so that the choice is one.
        .min_by_key(|load| (load.held, load.last, load.provider))
        .map(|load| load.provider)
}

#[cfg(test)]
mod tests;
