//! Buying the label. The intent is stored before the carrier is asked, under a
//! reference of ours; a run that finds an intent looks the reference up before
//! it asks again. However often the job is killed, one label is bought and the
//! stock goes down once.

use kernel::{Actor, DispatchId, ShipmentId};
use ports::{AuditAction, AuditEntry, Env, Event, JobRequest, JobSpec, PortError};
use serde::{Deserialize, Serialize};

use super::{
    Dispatch, DispatchState, HoldReason,
    due::{ReleaseFills, audit},
    work::cancel_within,
};
use crate::{
    PharmacyError,
    fulfilment::{
        CarrierShipment, Carriers, DeliveryAddresses, FulfilmentStore, FulfilmentTx, Label, Parcel,
        Sender, ShipmentOrder,
    },
    prescription::{
        PrescriptionState,
        fill::{prescription_to_fill, record_fill},
    },
    shipment::{Shipment, tracking::RefreshTracking},
};

/// Buy the label of a dispatch.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct BuyLabel {
    pub dispatch: DispatchId,
}

impl JobSpec for BuyLabel {
    const KIND: &'static str = "pharmacy.buy_label";
}

const ACTOR: &str = "pharmacy.buy_label";

/// An intent that is stored.
struct Intent {
    order: ShipmentOrder,
    /// An earlier run may have asked the carrier already.
    asked_before: bool,
}

pub async fn buy_label(
    env: &Env,
    store: &dyn FulfilmentStore,
    carriers: &dyn Carriers,
    addresses: &dyn DeliveryAddresses,
    job: BuyLabel,
) -> Result<(), PharmacyError> {
    let Some(intent) = store_intent(env, store, addresses, job.dispatch).await? else {
        return Ok(());
    };
    match ask(carriers, &intent).await {
        Ok(label) => store_label(env, store, job.dispatch, label).await,
        Err(PortError::Refused { code, .. }) => hold(env, store, job.dispatch, &code).await,
        Err(other) => Err(other.into()),
    }
}

/// Stores what is about to be asked; `None` where there is nothing to ask.
async fn store_intent(
    env: &Env,
    store: &dyn FulfilmentStore,
    addresses: &dyn DeliveryAddresses,
    id: DispatchId,
) -> Result<Option<Intent>, PharmacyError> {
    let actor = Actor::system(ACTOR);
    let patient = load(store.begin(&actor).await?.as_mut(), id).await?.patient;
    // Another context answers this; no transaction of ours waits for it.
    let recipient = addresses.delivery_address(patient).await?;
    let mut tx = store.begin(&actor).await?;
    let dispatch = load(tx.as_mut(), id).await?;
    let asked_before = match dispatch.state {
        DispatchState::Reserved | DispatchState::Picked => false,
        DispatchState::Labelling => true,
        _ => return Ok(None),
    };
    let pharmacy = tx
        .pharmacy(dispatch.pharmacy)
        .await?
        .ok_or_else(|| PortError::bug("a dispatch names a pharmacy that does not exist"))?;
    if !asked_before && !is_fillable(tx.as_mut(), &dispatch).await? {
        // The prescription ended, and the news of it has not cancelled this yet.
        tx.enqueue(look_again(&dispatch)).await?;
        cancel_within(env, tx.as_mut(), dispatch).await?;
        tx.commit().await?;
        return Ok(None);
    }
    if asked_before {
        let from = Sender::from(pharmacy);
        let shipment = shipment_of(tx.as_mut(), &dispatch).await?;
        return Ok(Some(Intent { order: order(&shipment, from), asked_before }));
    }
    let recipient = match recipient {
        Some(recipient) if pharmacy.serves(recipient.address.state) => recipient,
        other => {
            let reason = match other {
                None => HoldReason::NoDeliveryAddress,
                Some(_) if pharmacy.active => HoldReason::PharmacyNotLicensed,
                Some(_) => HoldReason::PharmacyInactive,
            };
            let dispatch = dispatch.on_hold(reason, env.now())?;
            tx.save_dispatch(&dispatch).await?;
            audit(tx.as_mut(), AuditAction::Update, &dispatch).await?;
            tx.commit().await?;
            return Ok(None);
        }
    };
    let from = Sender::from(pharmacy);
    let shipment_id: ShipmentId = env.fresh();
    let shipment = Shipment::intended(shipment_id, &dispatch, recipient, env.now());
    let dispatch = dispatch.labelling(shipment_id, env.now())?;
    tx.add_shipment(&shipment).await?;
    tx.save_dispatch(&dispatch).await?;
    audit(tx.as_mut(), AuditAction::Update, &dispatch).await?;
    tx.commit().await?;
    Ok(Some(Intent { order: order(&shipment, from), asked_before }))
}

/// A supply that counted as on its way does not go out, so that another may.
fn look_again(dispatch: &Dispatch) -> JobRequest {
    ReleaseFills { patient: dispatch.patient, category: dispatch.category }.request()
}

/// Whether the prescription may be filled now; its row stays locked.
async fn is_fillable(
    tx: &mut dyn FulfilmentTx,
    dispatch: &Dispatch,
) -> Result<bool, PharmacyError> {
    Ok(prescription_to_fill(tx, dispatch.prescription).await?.is_fillable())
}

async fn load(tx: &mut dyn FulfilmentTx, id: DispatchId) -> Result<Dispatch, PharmacyError> {
    tx.dispatch(id).await?.ok_or(PharmacyError::NotFound("dispatch"))
}

/// The shipment of a dispatch that is being labelled; it always has one.
async fn shipment_of(
    tx: &mut dyn FulfilmentTx,
    dispatch: &Dispatch,
) -> Result<Shipment, PharmacyError> {
    let shipment = match dispatch.shipment {
        Some(id) => tx.shipment(id).await?,
        None => None,
    };
    let missing = || PortError::bug("a dispatch is being labelled without a shipment");
    Ok(shipment.ok_or_else(missing)?)
}

fn order(shipment: &Shipment, from: Sender) -> ShipmentOrder {
    ShipmentOrder {
        reference: shipment.id.to_string(),
        from,
        to: shipment.recipient.clone(),
        parcel: Parcel::STANDARD,
    }
}

async fn ask(
    carriers: &dyn Carriers,
    intent: &Intent,
) -> Result<(CarrierShipment, Label), PortError> {
    let known = match intent.asked_before {
        true => carriers.find(&intent.order.reference).await?,
        false => None,
    };
    let made = match known {
        Some(shipment) => shipment,
        None => carriers.create(&intent.order).await?,
    };
    let bought = match made.label {
        Some(_) => made,
        None => carriers.buy(&made).await?,
    };
    match bought.label.clone() {
        Some(label) => Ok((bought, label)),
        None => Err(PortError::Unavailable {
            vendor: "carrier",
            message: "the shipment was bought but has no label yet".to_owned(),
        }),
    }
}

/// Stores the label: the box has left, its units are gone, and the
/// prescription has one fill less.
async fn store_label(
    env: &Env,
    store: &dyn FulfilmentStore,
    id: DispatchId,
    (at_carrier, label): (CarrierShipment, Label),
) -> Result<(), PharmacyError> {
    let actor = Actor::system(ACTOR);
    let mut tx = store.begin(&actor).await?;
    let dispatch = load(tx.as_mut(), id).await?;
    if dispatch.state != DispatchState::Labelling {
        return Ok(());
    }
    let shipment = shipment_of(tx.as_mut(), &dispatch).await?;
    let now = env.now();
    let prescription = prescription_to_fill(tx.as_mut(), dispatch.prescription).await?;
    if let PrescriptionState::Canceled { .. } = prescription.state {
        // The label is kept with the shipment, so that it can be given back.
        let shipment = shipment.labelled(at_carrier.id, label, now)?.abandoned(now);
        tx.save_shipment(&shipment).await?;
        let dispatch = dispatch.on_hold(HoldReason::PrescriptionEnded, now)?;
        tx.enqueue(look_again(&dispatch)).await?;
        tx.save_dispatch(&dispatch).await?;
        audit(tx.as_mut(), AuditAction::Update, &dispatch).await?;
        tx.commit().await?;
        return Ok(());
    }
    let mut stock = tx.lock_stock(dispatch.pharmacy, &dispatch.ndc).await?;
    let level = stock.on_hand();
    stock.consume(&dispatch.allocations)?;
    tx.save_stock(&stock).await?;
    if level >= stock.reorder_level && stock.on_hand() < stock.reorder_level {
        tx.emit(Event::StockLow { ndc: stock.ndc.to_string(), on_hand: stock.on_hand() }).await?;
    }
    let dispatch = dispatch.shipped(now)?;
    tx.save_dispatch(&dispatch).await?;
    let shipment = shipment.labelled(at_carrier.id, label, now)?;
    tx.save_shipment(&shipment).await?;
    // The carrier may have reported on the tracker before the label was stored
    // here, and found nobody to tell.
    let refresh = RefreshTracking { shipment: shipment.id };
    tx.enqueue(JobRequest::new(&refresh).key(shipment.id.to_string())).await?;
    use_fill(env, tx.as_mut(), &dispatch).await?;
    tx.emit(shipment.changed()).await?;
    audit(tx.as_mut(), AuditAction::Update, &dispatch).await?;
    tx.audit(
        AuditEntry::new(AuditAction::Create, "shipment", shipment.id)
            .patient(shipment.patient)
            .detail("dispatch", dispatch.id.to_string())
            .detail("carrier", shipment.label.as_ref().map(|label| label.carrier.clone())),
    )
    .await?;
    tx.commit().await?;
    Ok(())
}

/// Uses the fill on the prescription. One that ended while the carrier was
/// being asked has none left; the box is on its way all the same, and that is
/// what has to be recorded.
async fn use_fill(
    env: &Env,
    tx: &mut dyn FulfilmentTx,
    dispatch: &Dispatch,
) -> Result<(), PharmacyError> {
    let (prescription, day) = (dispatch.prescription, env.now().date_naive());
    match record_fill(tx, env, prescription, dispatch.id, day).await {
        Ok(_) => Ok(()),
        Err(error @ PharmacyError::Conflict { .. }) => {
            tracing::error!(dispatch = %dispatch.id, %error, "shipped without a fill to use");
            Ok(())
        }
        Err(other) => Err(other),
    }
}

/// The carrier refused, and would again: a pharmacist has to look at it. The
/// vendor's words stay out of the log of acts, because they may quote the
/// address.
async fn hold(
    env: &Env,
    store: &dyn FulfilmentStore,
    id: DispatchId,
    code: &str,
) -> Result<(), PharmacyError> {
    let actor = Actor::system(ACTOR);
    let mut tx = store.begin(&actor).await?;
    let dispatch = load(tx.as_mut(), id).await?;
    if dispatch.state != DispatchState::Labelling {
        return Ok(());
    }
    let shipment = shipment_of(tx.as_mut(), &dispatch).await?;
    tx.save_shipment(&shipment.abandoned(env.now())).await?;
    let dispatch = dispatch.on_hold(HoldReason::CarrierRefused, env.now())?;
    tx.save_dispatch(&dispatch).await?;
    tx.audit(
        AuditEntry::new(AuditAction::Update, "dispatch", dispatch.id)
            .patient(dispatch.patient)
            .detail("state", dispatch.state.to_string())
            .detail("code", code.to_owned())
            .failed(),
    )
    .await?;
    tx.commit().await?;
    Ok(())
}
