//! Reading shipments, and confirming that one arrived.

use kernel::{Actor, Page, PageRequest, PatientId, Permission, Seen, ShipmentId};
use ports::{AuditAction, AuditEntry, Env, PortError, repository::lock};

use super::{Shipment, tracking::settle};
use crate::{
    PharmacyError,
    fulfilment::{FulfilmentStore, TrackingUpdate},
};

/// A shipment with its history, in the carrier's own order of time.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct TrackedShipment {
    pub shipment: Shipment,
    pub history: Vec<TrackingUpdate>,
}

/// The newest shipment with this tracking number that the actor may see.
pub async fn by_tracking_number(
    store: &dyn FulfilmentStore,
    actor: &Actor,
    number: &str,
) -> Result<TrackedShipment, PharmacyError> {
    require_reader(actor)?;
    let mut tx = store.begin(actor).await?;
    let Some(shipment) = tx.shipment_by_tracking_number(number).await? else {
        // The number itself is what the caller typed, and is left out.
        tx.audit(AuditEntry::new(AuditAction::Read, "shipment", "by_tracking_number").denied());
        tx.commit().await?;
        return Err(PharmacyError::no::<Shipment>());
    };
    let history = tx.tracking_history(shipment.id).await?;
    tx.audit(AuditEntry::new(AuditAction::Read, "shipment", shipment.id).patient(shipment.patient));
    tx.commit().await?;
    Ok(TrackedShipment { shipment, history })
}

/// A patient's shipments, the newest first.
pub async fn history(
    store: &dyn FulfilmentStore,
    actor: &Actor,
    patient: PatientId,
    page: &PageRequest,
) -> Result<Page<Shipment>, PharmacyError> {
    require_reader(actor)?;
    let mut tx = store.begin(actor).await?;
    let entry = AuditEntry::new(AuditAction::Search, "shipment", patient).patient(patient);
    if !actor.is_patient(patient) && !actor.may(Permission::PharmacyWork) {
        tx.audit(entry.denied());
        tx.commit().await?;
        return Err(PortError::not_found("patient").into());
    }
    let found = tx.shipments_of(patient, page).await?;
    let ids: Vec<String> = found.items.iter().map(|each| each.id.to_string()).collect();
    tx.audit(entry.detail("found", ids));
    tx.commit().await?;
    Ok(found)
}

/// Confirms that the box arrived. Doing so twice changes nothing.
pub async fn confirm(
    env: &Env,
    store: &dyn FulfilmentStore,
    actor: &Actor,
    id: ShipmentId,
) -> Result<Shipment, PharmacyError> {
    require_reader(actor)?;
    let mut tx = store.begin(actor).await?;
    let mut shipment = match lock::<Shipment>(tx.as_mut(), id, &Seen::Any).await {
        Err(missing @ PortError::NotFound { .. }) => {
            tx.audit(AuditEntry::new(AuditAction::Update, "shipment", id).denied());
            tx.commit().await?;
            return Err(missing.into());
        }
        found => found?,
    };
    let before = shipment.status;
    shipment.confirm(env.now())?;
    tx.save(&mut shipment).await?;
    if shipment.status != before {
        let update = TrackingUpdate { status: shipment.status, at: env.now() };
        tx.add_tracking(id, &[update]).await?;
        settle(env, tx.as_mut(), &shipment).await?;
    }
    tx.audit(
        AuditEntry::new(AuditAction::Update, "shipment", id)
            .patient(shipment.patient)
            .detail("confirmed", true),
    );
    tx.commit().await?;
    Ok(shipment.into_inner())
}

fn require_reader(actor: &Actor) -> Result<(), PharmacyError> {
    if !actor.may(Permission::PharmacyWork) {
        actor.require(Permission::ShipmentOwn)?;
    }
    Ok(())
}
