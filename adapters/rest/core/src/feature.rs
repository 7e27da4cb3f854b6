//! Features of plans on the wire.

use crate::Text;
use kernel::Feature;
use kernel::text::FeatureLabel;
use poem_openapi::Object;

/// Something that a plan unlocks.
#[derive(Clone, Debug, Object)]
#[oai(rename = "PlanFeature")]
pub struct FeatureView {
    /// What programs ask for, as in `video_visits`; it stays when the words
    /// change.
    #[oai(validator(min_length = 1, max_length = 64, pattern = "^[a-z][a-z0-9_]{0,63}$"))]
    pub code: String,
    /// A sentence that a subscriber reads.
    pub label: Text<FeatureLabel>,
}

impl From<Feature> for FeatureView {
    fn from(feature: Feature) -> Self {
        Self { code: feature.code.into(), label: feature.label.into() }
    }
}
