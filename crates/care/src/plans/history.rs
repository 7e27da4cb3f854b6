//! What became of a plan, version by version.

use kernel::{Actor, TreatmentPlanId};
use ports::{AuditAction, AuditEntry};

use crate::{
    CareError, CareStore, FieldChange, Reach, TreatmentPlan, diff, treatment::PlanVersion,
};

/// A version with what it changed.
#[derive(Clone, Debug, PartialEq)]
pub struct VersionHistory {
    pub version: PlanVersion,
    /// Against the version before; the first one has none.
    pub changes: Vec<FieldChange>,
}

#[derive(Clone, Debug, PartialEq)]
pub struct PlanHistory {
    pub plan: TreatmentPlan,
    /// Oldest first.
    pub versions: Vec<VersionHistory>,
}

impl PlanHistory {
    pub fn of(plan: TreatmentPlan) -> Self {
        let mut before: Option<&PlanVersion> = None;
        let mut versions = Vec::new();
        for version in plan.versions() {
            let changes = before
                .map(|before| diff::changes(&before.treatment, &version.treatment))
                .unwrap_or_default();
            versions.push(VersionHistory { version: version.clone(), changes });
            before = Some(version);
        }
        Self { plan, versions }
    }
}

/// The history of one's own plan, or of one of a patient of one's panel.
pub async fn history(
    store: &dyn CareStore,
    actor: &Actor,
    id: TreatmentPlanId,
) -> Result<PlanHistory, CareError> {
    let reach = Reach::of(actor, Vec::new());
    let mut tx = store.begin(actor).await?;
    let found = tx.plan(id, &reach).await?;
    let entry = AuditEntry::new(AuditAction::Read, "treatment_plan_history", id);
    tx.audit(match &found {
        Some(plan) => entry.patient(plan.patient),
        None => entry.denied(),
    });
    tx.commit().await?;
    found.map(PlanHistory::of).ok_or(CareError::NotFound("treatment plan"))
}
