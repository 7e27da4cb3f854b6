//! Replaying decisions: what was stored is decided once more, and the two are
//! held against each other.

use kernel::{Actor, AssessmentId, Permission};
use ports::{Aggregate as _, AuditAction, AuditEntry, events::AssessmentOutcome};

use crate::{
    Assessment, CareError, CareStore, CareTx, Priority,
    eligibility::{Decision, Outcome, RuleBook, RuleSetRef},
};

/// A decision without what it rests on.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct ReplayedDecision {
    pub outcome: AssessmentOutcome,
    pub priority: Priority,
    /// The codes of its reasons, in their order.
    pub reasons: Vec<String>,
}

/// What came of deciding once more.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Replay {
    pub assessment: AssessmentId,
    /// The versions that decided.
    pub rule_sets: Vec<RuleSetRef>,
    pub stored: ReplayedDecision,
    pub replayed: ReplayedDecision,
    /// The ids of rules that come out otherwise than the trace says.
    pub differing_rules: Vec<String>,
    /// Whether the rules in the trace are those of the versions that it names,
    /// word for word.
    pub rules_as_published: bool,
}

impl Replay {
    pub fn is_same(&self) -> bool {
        self.stored == self.replayed && self.differing_rules.is_empty() && self.rules_as_published
    }

    fn of(assessment: &Assessment, published: &RuleBook) -> Self {
        let (decision, trace) = assessment.trace.replay();
        let differing_rules = assessment
            .trace
            .rules
            .iter()
            .zip(&trace.rules)
            .filter(|(stored, again)| stored != again)
            .map(|(stored, _)| stored.rule.id.clone())
            .collect();
        Self {
            assessment: assessment.id,
            rule_sets: assessment.trace.sets(),
            stored: ReplayedDecision {
                outcome: assessment.outcome,
                priority: assessment.priority,
                reasons: assessment.reasons.iter().map(|reason| reason.code.clone()).collect(),
            },
            replayed: decided(&decision),
            differing_rules,
            rules_as_published: published.rules() == assessment.trace.book().rules(),
        }
    }
}

pub(super) fn decided(decision: &Decision) -> ReplayedDecision {
    ReplayedDecision {
        outcome: match decision.outcome {
            Outcome::Refused => AssessmentOutcome::Refused,
            Outcome::InReview => AssessmentOutcome::InReview,
            Outcome::AutoApproved { .. } => AssessmentOutcome::AutoApproved,
        },
        priority: decision.priority,
        reasons: decision.reasons.iter().map(|reason| reason.code.clone()).collect(),
    }
}

async fn again(tx: &mut dyn CareTx, assessment: &Assessment) -> Result<Replay, CareError> {
    let ids: Vec<_> = assessment.trace.sets().iter().map(|set| set.id).collect();
    let published = RuleBook::of(tx.rule_sets_named(&ids).await?);
    Ok(Replay::of(assessment, &published))
}

/// Decides a stored assessment once more, for an auditor.
pub async fn replay(
    store: &dyn CareStore,
    actor: &Actor,
    id: AssessmentId,
) -> Result<Replay, CareError> {
    actor.require(Permission::AuditRead)?;
    let mut tx = store.begin(actor).await?;
    let Some(assessment) = tx.decided_one(id).await? else {
        tx.audit(AuditEntry::new(AuditAction::Read, "assessment", id).denied());
        tx.commit().await?;
        return Err(CareError::no(Assessment::NAME));
    };
    let replay = again(tx.as_mut(), &assessment).await?;
    tx.audit(
        AuditEntry::new(AuditAction::Read, "assessment", id)
            .patient(assessment.patient)
            .detail("replayed", true)
            .detail("same", replay.is_same()),
    );
    tx.commit().await?;
    Ok(replay)
}

/// The next assessments after one, each decided once more; none when all were.
pub async fn replay_next(
    store: &dyn CareStore,
    actor: &Actor,
    after: Option<AssessmentId>,
    limit: u32,
) -> Result<Vec<Replay>, CareError> {
    actor.require(Permission::AuditRead)?;
    let mut tx = store.begin(actor).await?;
    let assessments = tx.all_decided(after, limit).await?;
    let mut replays = Vec::with_capacity(assessments.len());
    for assessment in &assessments {
        let replay = again(tx.as_mut(), assessment).await?;
        tx.audit(
            AuditEntry::new(AuditAction::Read, "assessment", assessment.id)
                .patient(assessment.patient)
                .detail("replayed", true)
                .detail("same", replay.is_same()),
        );
        replays.push(replay);
    }
    tx.commit().await?;
    Ok(replays)
}
