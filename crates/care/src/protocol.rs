//! What care decides by that is data: the default treatment of a category,
//! the largest dose of a drug, and what a state allows.

use kernel::{CategoryId, RxNorm};
use serde::{Deserialize, Serialize};
use strum::{Display, EnumString, IntoStaticStr};

use crate::Treatment;

/// The treatment with which a category begins unless a provider chooses
/// otherwise.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct Protocol {
    pub category: CategoryId,
    pub treatment: Treatment,
}

/// The largest dose of one drug, with the place where it is written.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct DoseLimit {
    pub rxnorm: RxNorm,
    pub display: String,
    pub max_single: f64,
    pub max_daily: f64,
    /// The UCUM unit of both.
    pub unit: String,
    pub reference: String,
}

/// How a state lets provider and patient establish their relation.
#[derive(
    Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize, Display, EnumString, IntoStaticStr,
)]
#[serde(rename_all = "snake_case")]
#[strum(serialize_all = "snake_case")]
pub enum Modality {
    /// A questionnaire that a provider answers for is enough.
    Asynchronous,
    /// Provider and patient must have met by video. It is what holds where
    /// nothing is known of a state.
    Video,
}
