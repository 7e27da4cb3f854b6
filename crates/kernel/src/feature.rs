//! What a plan unlocks: a code that programs ask for, and words for people.

use serde::{Deserialize, Serialize};

use crate::{FeatureCode, code::InvalidCode};

/// The code stays what it is when the words change; two features with one code
/// are one feature.
#[derive(Clone, Debug, PartialEq, Eq, Hash, Serialize, Deserialize)]
pub struct Feature {
    pub code: FeatureCode,
    /// A sentence that a subscriber reads.
    pub label: String,
}

impl Feature {
    pub fn new(code: &str, label: impl Into<String>) -> Result<Self, InvalidCode> {
        Ok(Self { code: code.parse()?, label: label.into() })
    }

    /// Whether the code is among the features.
    pub fn is_among(features: &[Self], code: &FeatureCode) -> bool {
        features.iter().any(|feature| feature.code == *code)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_code_is_short_ascii_and_begins_with_a_letter() {
        for good in ["video_visits", "a", "gad_7", &"x".repeat(64)] {
            assert_eq!(Feature::new(good, "A label").unwrap().code.as_str(), good);
        }
        for bad in ["", "7_days", "_a", "Video", "café", "a-b", "a b", &"x".repeat(65)] {
            assert!(Feature::new(bad, "A label").is_err(), "{bad}");
        }
    }
}
