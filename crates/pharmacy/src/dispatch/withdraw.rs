//! A treatment plan has ended: its prescription is not filled any more, and what
//! has not gone to the carrier stays in the pharmacy.
//!
//! Only our own side is closed here. A pharmacy outside that holds the NewRx
//! already has to be told with a CancelRx message, which is not sent yet; until
//! it is, the prescriber who ended the plan has to call that pharmacy.

use kernel::{Actor, PatientId, TreatmentPlanId};
use ports::{AuditAction, AuditEntry, Delivery, Env};

use super::{DispatchState, work::cancel_within};
use crate::{
    PharmacyError,
    fulfilment::{FulfilmentStore, FulfilmentTx},
    prescription::{Prescription, PrescriptionTx},
};

/// Why such a prescription is canceled, as it stands on it.
pub(crate) const ENDED: &str = "The treatment plan has ended.";

/// Handles `TreatmentPlanEnded`. A dispatch whose label is being bought cannot
/// be canceled here; when the label is there it is held back.
pub async fn on_treatment_plan_ended(
    env: &Env,
    store: &dyn FulfilmentStore,
    delivery: Delivery,
    plan: TreatmentPlanId,
    patient: PatientId,
) -> Result<(), PharmacyError> {
    let mut tx = store.begin(&Actor::system("pharmacy.on_treatment_plan_ended")).await?;
    if !tx.first_delivery(delivery).await? {
        return Ok(());
    }
    tx.lock_fills(patient).await?;
    let mut entry = AuditEntry::new(AuditAction::Execute, "treatment_plan", plan).patient(patient);
    if let Some(open) = tx.open_prescription(plan).await? {
        let id = open.id;
        withdraw(env, tx.as_mut(), open).await?;
        cancel_open(env, tx.as_mut(), id).await?;
        entry = entry.detail("prescription", id.to_string());
    }
    tx.audit(entry.detail("withdrawn", true)).await?;
    tx.commit().await?;
    Ok(())
}

async fn cancel_open(
    env: &Env,
    tx: &mut dyn FulfilmentTx,
    prescription: kernel::PrescriptionId,
) -> Result<(), PharmacyError> {
    for dispatch in tx.open_dispatches(prescription).await? {
        if dispatch.state != DispatchState::Labelling {
            cancel_within(env, tx, dispatch).await?;
        }
    }
    Ok(())
}

/// Cancels a prescription whose plan has ended, tells of it and audits it. One
/// that is closed already stays as it is.
pub(crate) async fn withdraw(
    env: &Env,
    tx: &mut (impl PrescriptionTx + ?Sized),
    prescription: Prescription,
) -> Result<(), PharmacyError> {
    let before = prescription.state.word();
    let Some(prescription) = prescription.withdrawn(ENDED, env.now()) else { return Ok(()) };
    tx.save_prescription(&prescription).await?;
    if let Some(event) = prescription.event() {
        tx.emit(event).await?;
    }
    tx.audit(
        AuditEntry::new(AuditAction::Update, "prescription", prescription.id)
            .patient(prescription.patient)
            .detail("old", before)
            .detail("state", prescription.state.word())
            .detail("treatment_plan", prescription.treatment_plan.to_string()),
    )
    .await?;
    Ok(())
}
