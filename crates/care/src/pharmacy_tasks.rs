//! Tasks that the pharmacy's side asks for: to phone a pharmacy, to decide about
//! a held fill, and to find out about a parcel. They go to the provider who
//! answers for the treatment, or where that one may not treat the patient any
//! more, to a colleague.

use kernel::{
    Actor, FillHoldId, PatientId, PrescriptionId, ProviderId, ShipmentId, TreatmentPlanId, UsState,
    Uuid,
};
use ports::{AuditAction, AuditEntry, Env, events::ShipmentStatusWord};

use crate::{
    CareError, CareStore, Sources, TaskKind, TreatmentPlan,
    tasks::{raise, settle},
};

/// Handles `PharmacyToBeTold`. A task that is open already asks for the same
/// call. The subject may be gone or settled by now; the pharmacy is phoned all
/// the same.
pub async fn on_pharmacy_to_be_told(
    env: &Env,
    store: &dyn CareStore,
    sources: &Sources,
    (prescription, plan): (PrescriptionId, TreatmentPlanId),
    whose: (PatientId, ProviderId),
) -> Result<(), CareError> {
    let about = (TaskKind::PhonePharmacy, "prescription", prescription.uuid());
    for_whoever_answers(env, store, sources, about, plan, whose).await
}

/// Handles `ParcelAstray`.
pub async fn on_parcel_astray(
    env: &Env,
    store: &dyn CareStore,
    sources: &Sources,
    (shipment, plan): (ShipmentId, TreatmentPlanId),
    whose: (PatientId, ProviderId),
) -> Result<(), CareError> {
    let about = (TaskKind::AstrayParcel, "shipment", shipment.uuid());
    for_whoever_answers(env, store, sources, about, plan, whose).await
}

/// Handles `ShipmentChanged`: completes the task about a parcel that is delivered
/// after all.
pub async fn on_shipment_changed(
    env: &Env,
    store: &dyn CareStore,
    (shipment, patient): (ShipmentId, PatientId),
    status: ShipmentStatusWord,
) -> Result<(), CareError> {
    if !matches!(status, ShipmentStatusWord::Delivered) {
        return Ok(());
    }
    let about = ("shipment", shipment.uuid());
    settle_about(env, store, about, (patient, None)).await
}

/// Raises a task for the one who answers for the plan.
async fn for_whoever_answers(
    env: &Env,
    store: &dyn CareStore,
    sources: &Sources,
    (kind, of, subject): (TaskKind, &'static str, Uuid),
    plan: TreatmentPlanId,
    (patient, prescriber): (PatientId, ProviderId),
) -> Result<(), CareError> {
    let (licensed, state) = licensed_for(env, sources, patient).await?;
    let mut tx = store.begin(&Actor::system("care.pharmacy_tasks")).await?;
    let plan: Option<TreatmentPlan> = tx.find(plan).await?;
    let responsible = plan.map_or(prescriber, |plan| plan.provider);
    let closed = tx.closed_for_whatever(patient).await?;
    let candidates = candidates(Some(responsible), &licensed, &closed, state);
    let about = (patient, subject);
    let raised = raise(env, tx.as_mut(), kind, (&candidates, state), about).await?;
    if let Some(task) = raised {
        tx.give_chart(task).await?;
    }
    tx.audit(
        AuditEntry::new(AuditAction::Execute, of, subject)
            .patient(patient)
            .detail("task", kind.to_string())
            .detail("raised", raised.is_some()),
    );
    tx.commit().await?;
    Ok(())
}

/// Handles `FillHeld`.
pub async fn on_fill_held(
    env: &Env,
    store: &dyn CareStore,
    sources: &Sources,
    hold: FillHoldId,
    (patient, provider): (PatientId, Option<ProviderId>),
) -> Result<(), CareError> {
    let (licensed, state) = licensed_for(env, sources, patient).await?;
    let mut tx = store.begin(&Actor::system("care.pharmacy_tasks")).await?;
    let closed = tx.closed_for_whatever(patient).await?;
    let candidates = candidates(provider, &licensed, &closed, state);
    let about = (patient, hold.uuid());
    let raised = raise(env, tx.as_mut(), TaskKind::HeldFill, (&candidates, state), about).await?;
    if let Some(task) = raised {
        // Whoever is to decide reads the chart and the hold.
        tx.give_chart(task).await?;
        tx.commit().await?;
    }
    Ok(())
}

/// Handles `FillReleased`.
pub async fn on_fill_released(
    env: &Env,
    store: &dyn CareStore,
    hold: FillHoldId,
    (patient, provider): (PatientId, ProviderId),
) -> Result<(), CareError> {
    let about = ("fill_hold", hold.uuid());
    settle_about(env, store, about, (patient, Some(provider))).await
}

/// Ends the tasks about something that has settled, by a person or by itself.
async fn settle_about(
    env: &Env,
    store: &dyn CareStore,
    (of, subject): (&'static str, Uuid),
    (patient, by): (PatientId, Option<ProviderId>),
) -> Result<(), CareError> {
    let mut tx = store.begin(&Actor::system("care.pharmacy_tasks")).await?;
    let settled = settle(tx.as_mut(), subject, by, env.now()).await?;
    if settled > 0 {
        tx.audit(
            AuditEntry::new(AuditAction::Update, "task", subject)
                .detail("about", of)
                .patient(patient)
                .detail("task", "settle")
                .detail("tasks", settled),
        );
        tx.commit().await?;
    }
    Ok(())
}

/// Who may treat the patient where the patient is, and where that is.
async fn licensed_for(
    env: &Env,
    sources: &Sources,
    patient: PatientId,
) -> Result<(Vec<ProviderId>, Option<UsState>), CareError> {
    let Some(facts) = sources.facts.facts(patient).await? else { return Ok((Vec::new(), None)) };
    let licensed = sources.directory.licensed_providers(facts.state, env.now()).await?;
    Ok((licensed, Some(facts.state)))
}

/// The one who answers for the treatment, while that one may treat the
/// patient; else everybody who may and to whom the chart is not closed. Where
/// nobody knows where the patient is, it is the one who answers for it.
fn candidates(
    responsible: Option<ProviderId>,
    licensed: &[ProviderId],
    closed: &[ProviderId],
    state: Option<UsState>,
) -> Vec<ProviderId> {
    let may = |one: &ProviderId| licensed.contains(one) && !closed.contains(one);
    match responsible {
        Some(one) if state.is_none() || may(&one) => vec![one],
        _ => licensed.iter().copied().filter(may).collect(),
    }
}

#[cfg(test)]
mod tests {
    use kernel::Uuid;

    use super::*;

    #[test]
    fn who_may_not_treat_the_patient_any_more_gives_way_to_those_who_may() {
        let [one, two] = [1, 2].map(|id| ProviderId(Uuid::from_u128(id)));
        let state = Some(UsState::Ma);
        assert_eq!(candidates(Some(one), &[one, two], &[], state), [one]);
        assert_eq!(candidates(Some(one), &[two], &[], state), [two]);
        assert_eq!(candidates(None, &[one, two], &[], state), [one, two]);
        assert!(
            candidates(Some(one), &[], &[], state).is_empty(),
            "it is nobody's, and shows in the state"
        );
        assert_eq!(candidates(Some(one), &[], &[], None), [one]);
        // Who has handed the patient over gets nothing of them.
        assert_eq!(candidates(Some(one), &[one, two], &[one], state), [two]);
        assert_eq!(candidates(None, &[one, two], &[one], state), [two]);
    }
}
