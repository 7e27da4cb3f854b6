//! Using fills. Fulfilment calls this inside its own transaction, so that a
//! dispatch and the fill it uses are committed together.

use chrono::NaiveDate;
use kernel::{DispatchId, PrescriptionId, Seen};
use ports::{AuditAction, AuditEntry, Env, Locked, repository::lock};

use super::{Prescription, PrescriptionTx, announce, store::Fill};
use crate::PharmacyError;

/// The prescription that a dispatch would fill, locked until the end of the
/// transaction, so that two dispatches cannot take its last fill. Whether it
/// can be filled is `Prescription::is_fillable`.
pub async fn prescription_to_fill(
    tx: &mut dyn PrescriptionTx,
    id: PrescriptionId,
) -> Result<Locked<Prescription>, PharmacyError> {
    Ok(lock::<Prescription>(tx, id, &Seen::Any).await?)
}

/// Uses one fill for a dispatch. Recording the same dispatch again changes
/// nothing.
pub async fn record_fill(
    tx: &mut dyn PrescriptionTx,
    env: &Env,
    id: PrescriptionId,
    dispatch: DispatchId,
    filled_on: NaiveDate,
) -> Result<Prescription, PharmacyError> {
    let mut prescription = prescription_to_fill(tx, id).await?;
    if let Some(fill) = tx.fill_of(dispatch).await? {
        return if fill.prescription == id {
            Ok(prescription.into_inner())
        } else {
            Err(PharmacyError::DispatchFilled)
        };
    }
    let now = env.now();
    let before = prescription.state.clone();
    prescription.fill(filled_on, now)?;
    tx.add_fill(&Fill {
        prescription: id,
        dispatch,
        number: prescription.fills_used,
        filled_on,
        at: now,
    })
    .await?;
    tx.save(&mut prescription).await?;
    tx.audit(
        AuditEntry::new(AuditAction::Update, "prescription", id)
            .patient(prescription.patient)
            .detail("dispatch", dispatch.to_string())
            .detail("fill", prescription.fills_used)
            .detail("state", prescription.state.word()),
    );
    if !prescription.state.is_open() {
        announce(tx, Some(&before), &prescription).await?;
    }
    Ok(prescription.into_inner())
}
