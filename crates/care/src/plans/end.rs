//! Ending plans. The other contexts hear of it, so that nothing more is filled
//! or sent out for a plan that has ended.

use kernel::{Actor, AssessmentId, TreatmentPlanId};
use ports::{AuditAction, AuditEntry, Env, Event};

use super::{lost, to_change};
use crate::{CareError, CareStore, CareTx, EndReason, Sources, TreatmentPlan, tasks};

/// Takes a plan back, for a coded reason.
pub async fn revoke(
    env: &Env,
    store: &dyn CareStore,
    sources: &Sources,
    actor: &Actor,
    place: (TreatmentPlanId, Option<i64>),
    reason: EndReason,
    note: Option<String>,
) -> Result<TreatmentPlan, CareError> {
    let (provider, plan, _) = to_change(env, store, sources, actor, place).await?;
    let loaded = plan.version;
    let ended = plan.revoke(provider, reason, note, env.now())?;
    save(store, actor, place, loaded, ended).await
}

/// Closes a plan that has done what it was for.
pub async fn complete(
    env: &Env,
    store: &dyn CareStore,
    sources: &Sources,
    actor: &Actor,
    place: (TreatmentPlanId, Option<i64>),
    note: Option<String>,
) -> Result<TreatmentPlan, CareError> {
    let (provider, plan, _) = to_change(env, store, sources, actor, place).await?;
    let loaded = plan.version;
    let ended = plan.reach_goal(provider, note, env.now())?;
    save(store, actor, place, loaded, ended).await
}

async fn save(
    store: &dyn CareStore,
    actor: &Actor,
    place: (TreatmentPlanId, Option<i64>),
    loaded: i64,
    mut ended: TreatmentPlan,
) -> Result<TreatmentPlan, CareError> {
    let mut tx = store.begin(actor).await?;
    match keep(tx.as_mut(), &ended).await {
        Err(CareError::Port(error)) => {
            drop(tx);
            return Err(lost(store, actor, place, loaded, error).await);
        }
        other => other?,
    }
    tx.commit().await?;
    ended.version += 1;
    Ok(ended)
}

/// Saves a plan that has ended, tells of it and audits it.
pub(super) async fn keep(tx: &mut dyn CareTx, plan: &TreatmentPlan) -> Result<(), CareError> {
    tx.save_plan(plan).await?;
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
