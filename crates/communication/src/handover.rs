//! Threads go with the patient: whoever takes a patient over from a colleague
//! finds what was written, and the colleague takes part no more.

use kernel::{Actor, PatientId, ProviderId};
use ports::{AuditAction, AuditEntry};

use crate::{CommunicationError, CommunicationStore};

/// Handles `PatientHandedOver`.
pub async fn on_patient_handed_over(
    store: &dyn CommunicationStore,
    patient: PatientId,
    (from, to): (ProviderId, ProviderId),
) -> Result<(), CommunicationError> {
    let mut tx = store.begin(&Actor::system("communication.handover")).await?;
    let moved = tx.move_threads(patient, from, to).await?;
    tx.audit(
        AuditEntry::new(AuditAction::Update, "message_threads", patient)
            .patient(patient)
            .detail("from", from.to_string())
            .detail("to", to.to_string())
            .detail("threads", moved),
    );
    tx.commit().await?;
    Ok(())
}
