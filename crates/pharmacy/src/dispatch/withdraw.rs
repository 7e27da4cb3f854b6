//! A treatment plan has ended or changed: its prescription is not filled any
//! more, and what has not gone to the carrier stays in the pharmacy.
//!
//! Only our own side is closed here. A pharmacy outside that holds the NewRx
//! already has to be told with a CancelRx message, which is not sent yet; until
//! it is, an urgent task asks the prescriber to phone that pharmacy
//! (`prescription::announce`).

use kernel::{Actor, CategoryId, PatientId, ProviderId, TreatmentPlanId};
use ports::{AuditAction, AuditEntry, Env, Locked};

use super::{DispatchState, checks::FillCircumstances, due::ReleaseFills, work::cancel_within};
use crate::{
    PharmacyError,
    fulfilment::{FulfilmentStore, FulfilmentTx},
    prescription::{Prescription, PrescriptionTx, announce, is_at_a_pharmacy},
};

/// Why such a prescription is canceled, as it stands on it.
pub(crate) const ENDED: &str = "The treatment plan has ended.";

/// Why the prescription of an earlier version of a plan is canceled.
pub(crate) const CHANGED: &str = "The treatment has changed.";

/// Handles `TreatmentPlanEnded`. A dispatch whose label is being bought cannot
/// be canceled here; when the label is there it is held back.
pub async fn on_treatment_plan_ended(
    env: &Env,
    store: &dyn FulfilmentStore,
    plan: TreatmentPlanId,
    whose: (PatientId, CategoryId),
) -> Result<(), PharmacyError> {
    let tx = store.begin(&Actor::system("pharmacy.on_treatment_plan_ended")).await?;
    take_back(env, tx, plan, whose, ENDED, |_| true).await
}

/// Handles `TreatmentPlanModified`: what was written from an earlier version is
/// filled no more. A paid fill waits for the prescription that follows.
pub async fn on_treatment_plan_modified(
    env: &Env,
    store: &dyn FulfilmentStore,
    plan: TreatmentPlanId,
    whose: (PatientId, CategoryId),
    version: u32,
) -> Result<(), PharmacyError> {
    let tx = store.begin(&Actor::system("pharmacy.on_treatment_plan_modified")).await?;
    let earlier = |open: &Prescription| open.plan_version < version;
    take_back(env, tx, plan, whose, CHANGED, earlier).await
}

/// Handles `PatientHandedOver`: what waits for the decision of the one waits for
/// the other's.
pub async fn on_patient_handed_over(
    store: &dyn FulfilmentStore,
    patient: PatientId,
    (from, to): (ProviderId, ProviderId),
) -> Result<(), PharmacyError> {
    let mut tx = store.begin(&Actor::system("pharmacy.on_patient_handed_over")).await?;
    tx.lock_fills(patient).await?;
    let held = tx.held_for(patient, from).await?;
    tx.audit(
        AuditEntry::new(AuditAction::Execute, "fill_hold", patient)
            .patient(patient)
            .detail("provider", to.to_string())
            .detail("holds", held.len()),
    );
    for mut hold in held {
        hold.provider = Some(to);
        tx.save(&mut hold).await?;
    }
    tx.commit().await?;
    Ok(())
}

/// Handles `PatientStandingChanged`: a pharmacy that holds a prescription of a
/// patient whose account is closed may fill it by itself, and hears of it from
/// a person.
pub async fn on_patient_standing_changed(
    store: &dyn FulfilmentStore,
    circumstances: &dyn FillCircumstances,
    patient: PatientId,
) -> Result<(), PharmacyError> {
    // It may have been opened again meanwhile.
    if circumstances.patient_active(patient).await? {
        return Ok(());
    }
    let mut tx = store.begin(&Actor::system("pharmacy.on_patient_standing_changed")).await?;
    let mut told = 0;
    for open in tx.open_prescriptions(patient).await? {
        if is_at_a_pharmacy(tx.as_mut(), &open.state).await? {
            tx.emit(open.tell_pharmacy());
            told += 1;
        }
    }
    if told > 0 {
        let entry = AuditEntry::new(AuditAction::Execute, "patient_standing", patient);
        tx.audit(entry.patient(patient).detail("pharmacies_to_be_told", told));
        tx.commit().await?;
    }
    Ok(())
}

async fn take_back(
    env: &Env,
    mut tx: Box<dyn FulfilmentTx>,
    plan: TreatmentPlanId,
    (patient, category): (PatientId, CategoryId),
    reason: &'static str,
    concerns: impl Fn(&Prescription) -> bool + Send,
) -> Result<(), PharmacyError> {
    tx.lock_fills(patient).await?;
    let mut entry = AuditEntry::new(AuditAction::Execute, "treatment_plan", plan).patient(patient);
    let open = tx.open_prescription(plan).await?.filter(|open| concerns(open));
    entry = entry.detail("withdrawn", open.is_some());
    if let Some(open) = open {
        let id = open.id;
        withdraw(env, tx.as_mut(), open, reason).await?;
        cancel_open(env, tx.as_mut(), id).await?;
        entry = entry.detail("prescription", id.to_string());
    }
    // What is paid and has nothing to be filled from is held, also where nothing
    // was prescribed yet or the last fill is used.
    tx.enqueue(ReleaseFills { patient, category }.request().at(env.now()));
    tx.audit(entry);
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
            cancel_within(env, tx, &dispatch).await?;
        }
    }
    Ok(())
}

/// Cancels a prescription whose plan has ended or changed, tells of it and
/// audits it. One that is closed already stays as it is.
pub(crate) async fn withdraw(
    env: &Env,
    tx: &mut (impl PrescriptionTx + ?Sized),
    mut prescription: Locked<Prescription>,
    reason: &'static str,
) -> Result<(), PharmacyError> {
    let before = prescription.state.clone();
    if !before.is_open() {
        return Ok(());
    }
    prescription.withdraw(reason, env.now());
    tx.save(&mut prescription).await?;
    announce(tx, Some(&before), &prescription).await?;
    tx.audit(
        AuditEntry::new(AuditAction::Update, "prescription", prescription.id)
            .patient(prescription.patient)
            .detail("old", before.word())
            .detail("state", prescription.state.word())
            .detail("treatment_plan", prescription.treatment_plan.to_string()),
    );
    Ok(())
}
