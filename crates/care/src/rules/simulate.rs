//! Simulation: what a version of the rules would change, shown on what was
//! decided before. Nothing that was answered leaves it, only ids and counts.

use std::collections::BTreeMap;

use kernel::{Actor, AssessmentId, CategoryId, Permission, RuleSetId, RxNorm};
use ports::{AuditAction, AuditEntry, events::AssessmentOutcome, repository::get};

use super::{entry, replay::decided};
use crate::{
    Assessment, CareError, CareStore, CareTx, Priority, Protocol,
    eligibility::{RuleBook, RuleSet},
    setting,
};

/// The most assessments of one call.
pub const MOST_SIMULATED: u32 = 1_000;

/// How many are held in memory at a time.
const BATCH: u32 = 100;

/// An assessment that would come out otherwise.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Change {
    pub assessment: AssessmentId,
    pub from: (AssessmentOutcome, Priority),
    pub to: (AssessmentOutcome, Priority),
}

#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Simulation {
    pub examined: u32,
    /// How many go from one outcome to another, those that stay included.
    pub outcomes: BTreeMap<(&'static str, &'static str), u32>,
    /// For how many each rule fires, by the rules in force and by the
    /// simulated ones.
    pub fired: BTreeMap<String, (u32, u32)>,
    /// Those whose outcome or priority changes.
    pub changes: Vec<Change>,
    /// Where the next call goes on; `None` when all were examined.
    pub next: Option<AssessmentId>,
}

impl Simulation {
    fn examine(&mut self, assessment: &Assessment, now: &RuleBook, then: &RuleBook) {
        let (inputs, gates) = (&assessment.trace.inputs, &assessment.trace.gates);
        let (before, trace_before) = now.decide(inputs.clone(), gates.clone());
        let (after, trace_after) = then.decide(inputs.clone(), gates.clone());
        let (before, after) = (decided(&before), decided(&after));
        self.examined += 1;
        *self.outcomes.entry((before.outcome.into(), after.outcome.into())).or_default() += 1;
        for rule in trace_before.fired() {
            self.fired.entry(rule.id.clone()).or_default().0 += 1;
        }
        for rule in trace_after.fired() {
            self.fired.entry(rule.id.clone()).or_default().1 += 1;
        }
        let (from, to) = ((before.outcome, before.priority), (after.outcome, after.priority));
        if from != to {
            self.changes.push(Change { assessment: assessment.id, from, to });
        }
    }
}

/// Decides past assessments of the set's category by the rules in force and
/// by the same with this set in the place of its scope, and tells the
/// difference. It goes from the latest assessment backwards, at most
/// [`MOST_SIMULATED`] a call.
pub async fn simulate(
    store: &dyn CareStore,
    actor: &Actor,
    id: RuleSetId,
    after: Option<AssessmentId>,
    limit: u32,
) -> Result<Simulation, CareError> {
    actor.require(Permission::RuleAdminister)?;
    let limit = limit.clamp(1, MOST_SIMULATED);
    let mut tx = store.begin(actor).await?;
    let set: RuleSet = get(tx.as_mut(), id).await?;
    RuleSet::validate(&set.rules)?;
    let drug = drug_of(tx.as_mut(), set.category).await?;
    let in_force = tx.rule_sets_in_force(set.category).await?;
    let mut replaced: Vec<RuleSet> =
        in_force.iter().filter(|other| other.scope != set.scope).cloned().collect();
    replaced.push(set.clone());

    let mut result = Simulation::default();
    let mut cursor = after;
    loop {
        let wanted = BATCH.min(limit - result.examined);
        if wanted == 0 {
            result.next = cursor;
            break;
        }
        let batch = tx.decided(set.category, set.scope.state, cursor, wanted).await?;
        for assessment in &batch {
            let compose = |sets: &[RuleSet]| {
                RuleBook::compose(sets.to_vec(), assessment.state, drug.as_ref())
            };
            result.examine(assessment, &compose(&in_force), &compose(&replaced));
        }
        cursor = batch.last().map(|last| last.id).or(cursor);
        if batch.len() < wanted as usize {
            break;
        }
    }
    let changed = result.changes.len();
    tx.audit(
        entry(AuditAction::Execute, &set)
            .detail("simulated", result.examined)
            .detail("changed", changed),
    );
    tx.audit(
        AuditEntry::new(AuditAction::Search, "assessment", set.category)
            .detail("purpose", "rule_simulation")
            .detail("rule_set", set.id.to_string())
            .detail("examined", result.examined),
    );
    tx.commit().await?;
    Ok(result)
}

/// The drug of the category's protocol.
async fn drug_of(tx: &mut dyn CareTx, category: CategoryId) -> Result<Option<RxNorm>, CareError> {
    let protocol: Option<Protocol> = setting::held(tx, &category).await?;
    Ok(protocol.map(|protocol| protocol.treatment.medication.rxnorm))
}
