//! What the carriers report. A webhook is recorded once and its statements are
//! taken in; then a job reads the tracker itself, because a webhook can be
//! lost, late or out of order and the tracker is not.

use kernel::{Actor, Seen, ShipmentId};
use ports::{
    AuditAction, AuditEntry, Env, Event, JobRequest, JobSpec, Locked, repository::get,
    repository::lock,
};
use serde::{Deserialize, Serialize};

use super::Shipment;
use crate::{
    PharmacyError,
    dispatch::Dispatch,
    fulfilment::{CarrierEvent, Carriers, FulfilmentStore, FulfilmentTx, TrackingUpdate},
    prescription::{Prescription, PrescriptionReach},
};

/// Read the tracker of a shipment.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct RefreshTracking {
    pub shipment: ShipmentId,
}

impl JobSpec for RefreshTracking {
    const KIND: &'static str = "pharmacy.refresh_tracking";
}

/// What became of a webhook.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Received {
    Applied,
    /// It came before.
    Repeated,
    /// It is not about a shipment of ours; the carrier need not send it again.
    NotOurs,
}

/// Takes in a verified webhook.
pub async fn receive(
    env: &Env,
    store: &dyn FulfilmentStore,
    event: CarrierEvent,
) -> Result<Received, PharmacyError> {
    let actor = Actor::system("pharmacy.carrier_webhook");
    let mut tx = store.begin(&actor).await?;
    if !tx.first_carrier_event(&event.id).await? {
        return Ok(Received::Repeated);
    }
    let shipment = match &event.tracker {
        Some(tracker) => {
            tx.shipment_of_tracker(&tracker.id, tracker.shipment_id.as_deref()).await?
        }
        None => None,
    };
    let (Some(shipment), Some(tracker)) = (shipment, event.tracker) else {
        // It is not recorded either: the label may have been bought a moment
        // ago and its shipment not be stored yet, and then a repetition of
        // this event must still count.
        return Ok(Received::NotOurs);
    };
    tx.enqueue(
        JobRequest::new(&RefreshTracking { shipment: shipment.id }).key(shipment.id.to_string()),
    );
    apply(env, tx.as_mut(), shipment, &tracker.updates).await?;
    tx.commit().await?;
    Ok(Received::Applied)
}

/// Reads the tracker and takes in everything that it says.
pub async fn refresh_tracking(
    env: &Env,
    store: &dyn FulfilmentStore,
    carriers: &dyn Carriers,
    job: RefreshTracking,
) -> Result<(), PharmacyError> {
    let actor = Actor::system("pharmacy.refresh_tracking");
    // The reading transaction ends before the carrier is asked.
    let seen = get::<Shipment>(store.begin(&actor).await?.as_mut(), job.shipment).await?;
    let Some(label) = seen.label else { return Ok(()) };
    // Carriers forget trackers after some months; then the webhooks have said
    // all there is.
    let Some(tracker) = carriers.tracker(&label.tracker_id).await? else { return Ok(()) };
    let mut tx = store.begin(&actor).await?;
    let shipment = lock::<Shipment>(tx.as_mut(), job.shipment, &Seen::Any).await?;
    apply(env, tx.as_mut(), shipment, &tracker.updates).await?;
    tx.commit().await?;
    Ok(())
}

async fn apply(
    env: &Env,
    tx: &mut dyn FulfilmentTx,
    mut shipment: Locked<Shipment>,
    updates: &[TrackingUpdate],
) -> Result<(), PharmacyError> {
    let before = shipment.status;
    let mut changed = false;
    for update in updates {
        changed |= shipment.track(*update);
    }
    tx.add_tracking(shipment.id, updates).await?;
    tx.save(&mut shipment).await?;
    if changed {
        settle(env, tx, &shipment).await?;
    }
    tx.audit(
        AuditEntry::new(AuditAction::Update, "shipment", shipment.id)
            .patient(shipment.patient)
            .detail("from", before.to_string())
            .detail("to", shipment.status.to_string()),
    );
    Ok(())
}

/// Tells the dispatch and the other contexts of a new status.
pub(super) async fn settle(
    env: &Env,
    tx: &mut dyn FulfilmentTx,
    shipment: &Shipment,
) -> Result<(), PharmacyError> {
    let mut dispatch = lock::<Dispatch>(tx, shipment.dispatch, &Seen::Any).await?;
    let has_left = dispatch.has_left();
    if let Some(state) = shipment.dispatch_state() {
        dispatch.track(state, env.now());
        tx.save(&mut dispatch).await?;
    }
    tx.emit(shipment.changed());
    // A label that was voided before the box left is not a lost parcel.
    if shipment.status.is_astray() && has_left {
        let prescription = tx
            .prescription(shipment.prescription, PrescriptionReach::Any)
            .await?
            .ok_or_else(PharmacyError::no::<Prescription>)?;
        tx.emit(Event::ParcelAstray {
            shipment: shipment.id,
            treatment_plan: prescription.treatment_plan,
            patient: shipment.patient,
            provider: prescription.provider,
        });
    }
    Ok(())
}
