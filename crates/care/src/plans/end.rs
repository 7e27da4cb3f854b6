//! Ending plans. The other contexts hear of it, so that nothing more is filled
//! or sent out for a plan that has ended.

use kernel::{Actor, AssessmentId, Seen, TreatmentPlanId};
use ports::{AuditAction, AuditEntry, Env, Event, Locked};

use super::to_change;
use crate::{CareError, CareStore, CareTx, EndReason, Sources, TreatmentPlan, tasks};

/// Takes a plan back, for a coded reason.
pub async fn revoke(
    env: &Env,
    store: &dyn CareStore,
    sources: &Sources,
    actor: &Actor,
    place: (TreatmentPlanId, &Seen),
    reason: EndReason,
    note: Option<String>,
) -> Result<TreatmentPlan, CareError> {
    let (mut tx, provider, mut plan, _) = to_change(env, store, sources, actor, place).await?;
    plan.revoke(provider, reason, note, env.now())?;
    keep(tx.as_mut(), &mut plan).await?;
    tx.commit().await?;
    Ok(plan.into_inner())
}

/// Closes a plan that has done what it was for.
pub async fn complete(
    env: &Env,
    store: &dyn CareStore,
    sources: &Sources,
    actor: &Actor,
    place: (TreatmentPlanId, &Seen),
    note: Option<String>,
) -> Result<TreatmentPlan, CareError> {
    let (mut tx, provider, mut plan, _) = to_change(env, store, sources, actor, place).await?;
    plan.reach_goal(provider, note, env.now())?;
    keep(tx.as_mut(), &mut plan).await?;
    tx.commit().await?;
    Ok(plan.into_inner())
}

/// Saves a plan that has ended, tells of it and audits it.
pub(super) async fn keep(
    tx: &mut dyn CareTx,
    plan: &mut Locked<TreatmentPlan>,
) -> Result<(), CareError> {
    tx.save(plan).await?;
    if let Some(ending) = &plan.ended {
        let about = [Some(plan.id.uuid()), plan.assessment.map(AssessmentId::uuid)];
        for about in about.into_iter().flatten() {
            tasks::settle(tx, about, None, ending.at).await?;
        }
    }
    let superseded_by = plan.ended.as_ref().and_then(|ending| ending.superseded_by);
    tx.emit(Event::TreatmentPlanEnded {
        treatment_plan: plan.id,
        patient: plan.patient,
        provider: plan.provider,
        category: plan.category,
        status: plan.status.to_string(),
        superseded_by,
    });
    tx.audit(
        AuditEntry::new(AuditAction::Update, "treatment_plan", plan.id)
            .patient(plan.patient)
            .detail("status", plan.status.to_string())
            .detail("reason", plan.ended.as_ref().map(|ending| ending.reason.to_string()))
            .detail("superseded_by", superseded_by.map(|id| id.to_string())),
    );
    Ok(())
}
