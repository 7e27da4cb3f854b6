//! Replaying decisions, for auditors.

use std::sync::Arc;

use api::{Answer, Caller, Mirror, Tag};
use care::{
    CareStore,
    eligibility::RuleSetRef,
    rules::{self, Replay, ReplayedDecision},
};
use kernel::{AssessmentId, RuleSetId};
use poem_openapi::{Object, OpenApi, param::Path, payload::Json};
use ports::events::AssessmentOutcome;

pub struct ReplaysApi {
    pub store: Arc<dyn CareStore>,
}

/// A decision without what it rests on.
#[derive(Debug, Object, Mirror)]
#[mirror(from = ReplayedDecision)]
#[oai(rename = "ReplayedDecision")]
pub struct ReplayedDecisionView {
    pub outcome: AssessmentOutcome,
    pub priority: care::Priority,
    /// The codes of its reasons.
    pub reasons: Vec<String>,
}

/// A version of rules that decided.
#[derive(Debug, Object, Mirror)]
#[mirror(from = RuleSetRef)]
#[oai(rename = "DecidingRuleSet")]
pub struct DecidingRuleSetView {
    pub id: RuleSetId,
    pub version: i32,
}

/// What came of deciding a stored assessment once more.
#[derive(Debug, Object, Mirror)]
#[mirror(from = Replay)]
#[oai(rename = "DecisionReplay")]
pub struct ReplayView {
    pub assessment_id: AssessmentId,
    /// Whether everything below agrees.
    #[mirror(|replay| replay.is_same())]
    pub same: bool,
    pub rule_sets: Vec<DecidingRuleSetView>,
    pub stored: ReplayedDecisionView,
    pub replayed: ReplayedDecisionView,
    /// The ids of rules that come out otherwise than the stored trace says.
    pub differing_rules: Vec<String>,
    /// Whether the rules of the trace are those of the versions that it names,
    /// word for word.
    pub rules_as_published: bool,
}

#[OpenApi(tag = "Tag::Care")]
impl ReplaysApi {
    /// Replay a decision
    ///
    /// Takes `audit.read`. Decides an assessment once more from its stored
    /// trace and says whether the same comes out, without showing what was
    /// answered.
    #[oai(
        path = "/api/audit/assessments/:id/replay",
        method = "get",
        operation_id = "replayAssessment"
    )]
    async fn replay(&self, caller: Caller, id: Path<AssessmentId>) -> Answer<ReplayView> {
        Ok(Json(rules::replay(&*self.store, caller.actor(), id.0).await?.into()))
    }
}
