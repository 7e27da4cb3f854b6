//! Replaying decisions, for auditors.

use std::sync::Arc;

use api::{Caller, Problem, Tag};
use care::{
    CareStore,
    rules::{self, Replay, ReplayedDecision},
};
use kernel::{AssessmentId, Uuid};
use poem_openapi::{Object, OpenApi, param::Path, payload::Json};
use ports::events::AssessmentOutcome;

pub struct ReplaysApi {
    pub store: Arc<dyn CareStore>,
}

/// A decision without what it rests on.
#[derive(Debug, Object)]
#[oai(rename = "ReplayedDecision")]
pub struct ReplayedDecisionView {
    pub outcome: AssessmentOutcome,
    pub priority: care::Priority,
    /// The codes of its reasons.
    pub reasons: Vec<String>,
}

impl From<ReplayedDecision> for ReplayedDecisionView {
    fn from(decision: ReplayedDecision) -> Self {
        Self { outcome: decision.outcome, priority: decision.priority, reasons: decision.reasons }
    }
}

/// A version of rules that decided.
#[derive(Debug, Object)]
#[oai(rename = "DecidingRuleSet")]
pub struct DecidingRuleSetView {
    pub id: Uuid,
    pub version: i32,
}

/// What came of deciding a stored assessment once more.
#[derive(Debug, Object)]
#[oai(rename = "DecisionReplay")]
pub struct ReplayView {
    pub assessment_id: Uuid,
    /// Whether everything below agrees.
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

impl From<Replay> for ReplayView {
    fn from(replay: Replay) -> Self {
        Self {
            assessment_id: replay.assessment.uuid(),
            same: replay.is_same(),
            rule_sets: replay
                .rule_sets
                .into_iter()
                .map(|set| DecidingRuleSetView { id: set.id.uuid(), version: set.version })
                .collect(),
            stored: replay.stored.into(),
            replayed: replay.replayed.into(),
            differing_rules: replay.differing_rules,
            rules_as_published: replay.rules_as_published,
        }
    }
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
    async fn replay(&self, caller: Caller, id: Path<Uuid>) -> Result<Json<ReplayView>, Problem> {
        let id = AssessmentId(id.0);
        Ok(Json(rules::replay(self.store.as_ref(), caller.actor(), id).await?.into()))
    }
}
