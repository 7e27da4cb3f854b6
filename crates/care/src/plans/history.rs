//! What became of a plan, version by version.

use kernel::{Actor, TreatmentPlanId};
use ports::{AuditAction, AuditEntry, repository::get};

use crate::{
    CareError, CareStore, FieldChange, TreatmentPlan, diff, store::reached, treatment::PlanVersion,
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
    let mut tx = store.begin(actor).await?;
    let found = get::<TreatmentPlan>(tx.as_mut(), id).await;
    let place = (AuditAction::Read, "treatment_plan_history", id.uuid());
    let (mut tx, plan) = reached(tx, found, place).await?;
    let entry = AuditEntry::new(AuditAction::Read, "treatment_plan_history", id);
    tx.audit(entry.patient(plan.patient));
    tx.commit().await?;
    Ok(PlanHistory::of(plan))
}
