//! Reading prescriptions and the pharmacy directory, each within the reach of
//! whoever asks.

use kernel::{
    Actor, Page, PageRequest, PatientId, Permission, PrescriptionId, Seen, actor::MissingPermission,
};
use ports::{AuditAction, AuditEntry, Panel, PortError, repository::lock};

use super::{Pharmacy, Prescription, PrescriptionReach, PrescriptionStore, write::deny};
use crate::PharmacyError;

/// How far an actor sees without naming a patient.
fn reach(actor: &Actor) -> Result<PrescriptionReach, PharmacyError> {
    if actor.is_system() {
        return Ok(PrescriptionReach::Any);
    }
    if let Some(account) = actor.as_pharmacist() {
        return Ok(PrescriptionReach::Pharmacist { account, patient: None });
    }
    if actor.may(Permission::PrescriptionRead) {
        if let Some(provider) = actor.as_provider() {
            return Ok(PrescriptionReach::Responsible(provider));
        }
        if actor.may(Permission::PatientReadAny) {
            return Ok(PrescriptionReach::Any);
        }
    }
    actor
        .as_patient()
        .map(PrescriptionReach::Patient)
        .ok_or(PharmacyError::Forbidden(MissingPermission(Permission::PrescriptionRead)))
}

/// One prescription. One that lies out of reach does not exist.
pub async fn prescription(
    store: &dyn PrescriptionStore,
    actor: &Actor,
    id: PrescriptionId,
) -> Result<Prescription, PharmacyError> {
    let reach = reach(actor)?;
    let mut tx = store.begin(actor).await?;
    let Some(prescription) = tx.prescription(id, reach).await? else {
        drop(tx);
        deny(store, actor, "prescription", id).await?;
        return Err(PharmacyError::no::<Prescription>());
    };
    tx.audit(AuditEntry::new(AuditAction::Read, "prescription", id).patient(prescription.patient));
    tx.commit().await?;
    Ok(prescription)
}

/// The caller's prescriptions, newest first: a patient's own, those that a
/// provider wrote or answers for, or with `patient` those of one chart of the
/// provider's panel.
pub async fn prescriptions(
    store: &dyn PrescriptionStore,
    panel: &dyn Panel,
    actor: &Actor,
    patient: Option<PatientId>,
    page: &PageRequest,
) -> Result<Page<Prescription>, PharmacyError> {
    let mut reach = reach(actor)?;
    if let Some(patient) = patient {
        let allowed = match reach {
            PrescriptionReach::Patient(own) => own == patient,
            PrescriptionReach::Prescriber(provider) | PrescriptionReach::Responsible(provider) => {
                panel.opens_chart(provider, patient).await?
            }
            PrescriptionReach::Pharmacist { .. } | PrescriptionReach::Any => true,
        };
        if !allowed {
            deny(store, actor, "patient", patient).await?;
            return Err(PortError::not_found("patient").into());
        }
        reach = match reach {
            PrescriptionReach::Pharmacist { account, .. } => {
                PrescriptionReach::Pharmacist { account, patient: Some(patient) }
            }
            _ => PrescriptionReach::Patient(patient),
        };
    }
    let mut tx = store.begin(actor).await?;
    let page = tx.prescriptions(reach, page).await?;
    if let PrescriptionReach::Pharmacist { patient: Some(patient), .. } = reach
        && page.items.is_empty()
    {
        // Whether there is such a patient elsewhere is not for them to know.
        drop(tx);
        deny(store, actor, "patient", patient).await?;
        return Err(PortError::not_found("patient").into());
    }
    let mut entry = AuditEntry::new(AuditAction::Search, "prescription", "list");
    if let PrescriptionReach::Patient(patient) = reach {
        entry = entry.patient(patient);
    }
    let shown = page.items.iter().map(|item| (item.patient, item.id.uuid()));
    tx.audit_all(entry.per_patient(shown));
    tx.commit().await?;
    Ok(page)
}

/// The pharmacies that take prescriptions. The directory is no one's record,
/// so anyone who is logged in may read it.
pub async fn pharmacies(
    store: &dyn PrescriptionStore,
    actor: &Actor,
    page: &PageRequest,
) -> Result<Page<Pharmacy>, PharmacyError> {
    let mut tx = store.begin(actor).await?;
    Ok(tx.pharmacies(true, page).await?)
}

/// Puts a pharmacy into the directory whatever version is there, as the seeds do.
pub async fn put_pharmacy(
    store: &dyn PrescriptionStore,
    actor: &Actor,
    pharmacy: &Pharmacy,
) -> Result<(), PharmacyError> {
    actor.require(Permission::PharmacyAdminister)?;
    pharmacy.validate().map_err(PharmacyError::Invalid)?;
    let mut tx = store.begin(actor).await?;
    let known: Option<Pharmacy> = tx.find(pharmacy.id).await?;
    if known.is_some() {
        let mut known = lock::<Pharmacy>(tx.as_mut(), pharmacy.id, &Seen::Any).await?;
        known.set(Pharmacy { version: known.version, ..pharmacy.clone() });
        tx.save(&mut known).await?;
    } else {
        tx.insert(&Pharmacy { version: 1, ..pharmacy.clone() }).await?;
    }
    Ok(tx.commit().await?)
}
