//! Buying the label. The intent is stored before the carrier is asked, under a
//! reference of ours; a run that finds an intent looks the reference up before
//! it asks again. However often the job is killed, one label is bought and the
//! stock goes down once.

use kernel::{Actor, DispatchId, Seen, ShipmentId};
use ports::{
    AuditAction, AuditEntry, Env, Event, JobRequest, JobSpec, PortError, repository::get,
    repository::lock,
};
use serde::{Deserialize, Serialize};

use super::{
    Dispatch, DispatchState, HoldReason,
    checks::{self, FillChecks, Moment},
    due::{self, ReleaseFills},
    hold::{Ground, accepted, grounds},
    work::{cancel_within, save},
};
use crate::{
    PharmacyError,
    fulfilment::{
        CarrierShipment, Carriers, DeliveryAddresses, FulfilmentStore, FulfilmentTx, Label, Parcel,
        Sender, ShipmentOrder,
    },
    prescription::{
        Pharmacy, Prescription, PrescriptionState,
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
    checks: &FillChecks,
    job: BuyLabel,
) -> Result<(), PharmacyError> {
    let Some(intent) = store_intent(env, store, addresses, checks, job.dispatch).await? else {
        return Ok(());
    };
    match ask(carriers, &intent).await {
        Ok(label) => store_label(env, store, checks, job.dispatch, label).await,
        Err(PortError::Refused { code, .. }) => hold(env, store, job.dispatch, &code).await,
        Err(other) => Err(other.into()),
    }
}

/// Stores what is about to be asked; `None` where there is nothing to ask.
async fn store_intent(
    env: &Env,
    store: &dyn FulfilmentStore,
    addresses: &dyn DeliveryAddresses,
    checks: &FillChecks,
    id: DispatchId,
) -> Result<Option<Intent>, PharmacyError> {
    let actor = Actor::system(ACTOR);
    let seen = get::<Dispatch>(store.begin(&actor).await?.as_mut(), id).await?;
    // Other contexts answer this; no transaction of ours waits for them.
    let recipient = addresses.delivery_address(seen.patient).await?;
    let moment = match seen.state {
        DispatchState::Reserved | DispatchState::Picked => {
            Some(facts_about(env, store, checks, &seen).await?)
        }
        _ => None,
    };
    let mut tx = store.begin(&actor).await?;
    tx.lock_fills(seen.patient).await?;
    let dispatch = get::<Dispatch>(tx.as_mut(), id).await?;
    let asked_before = match dispatch.state {
        DispatchState::Reserved | DispatchState::Picked => false,
        DispatchState::Labelling => true,
        _ => return Ok(None),
    };
    let pharmacy: Option<Pharmacy> = tx.find(dispatch.pharmacy).await?;
    let pharmacy = pharmacy
        .ok_or_else(|| PortError::bug("a dispatch names a pharmacy that does not exist"))?;
    if !asked_before {
        let prescription = prescription_to_fill(tx.as_mut(), dispatch.prescription).await?;
        if !prescription.is_fillable() {
            // It ended, and the news of it has not cancelled this yet.
            tx.enqueue(look_again(&dispatch));
            cancel_within(env, tx.as_mut(), &dispatch).await?;
            tx.commit().await?;
            return Ok(None);
        }
        let moment =
            moment.ok_or_else(|| PortError::Conflict("the state of a dispatch".to_owned()))?;
        let found = against(tx.as_mut(), &moment, &dispatch, &prescription).await?;
        if !found.is_empty() {
            let dispatch = cancel_within(env, tx.as_mut(), &dispatch).await?;
            hold_fill(env, tx.as_mut(), &moment, &dispatch, &prescription, found).await?;
            tx.commit().await?;
            return Ok(None);
        }
    }
    if asked_before {
        let from = Sender::from(pharmacy);
        let shipment = get::<Shipment>(tx.as_mut(), shipment_of(&dispatch)?).await?;
        return Ok(Some(Intent { order: order(&shipment, from), asked_before }));
    }
    let mut dispatch = lock::<Dispatch>(tx.as_mut(), id, &Seen::Any).await?;
    let recipient = match recipient {
        Some(recipient) if pharmacy.serves(recipient.address.state) => recipient,
        other => {
            let reason = match other {
                None => HoldReason::NoDeliveryAddress,
                Some(_) if pharmacy.active => HoldReason::PharmacyNotLicensed,
                Some(_) => HoldReason::PharmacyInactive,
            };
            dispatch.hold(reason, env.now())?;
            save(tx.as_mut(), &mut dispatch).await?;
            tx.commit().await?;
            return Ok(None);
        }
    };
    let from = Sender::from(pharmacy);
    let shipment_id: ShipmentId = env.fresh();
    let shipment = Shipment::intended(shipment_id, &dispatch, recipient, env.now());
    dispatch.label(shipment_id, env.now())?;
    tx.insert(&shipment).await?;
    save(tx.as_mut(), &mut dispatch).await?;
    tx.commit().await?;
    Ok(Some(Intent { order: order(&shipment, from), asked_before }))
}

/// A supply that counted as on its way does not go out, so that another may.
fn look_again(dispatch: &Dispatch) -> JobRequest {
    ReleaseFills { patient: dispatch.patient, category: dispatch.category }.request()
}

/// The facts about a dispatch, as of now.
async fn facts_about(
    env: &Env,
    store: &dyn FulfilmentStore,
    checks: &FillChecks,
    dispatch: &Dispatch,
) -> Result<Moment, PharmacyError> {
    let whose = (dispatch.patient, dispatch.category);
    let also = Some((dispatch.prescription, dispatch.invoice));
    checks::read(env, store, checks, whose, also).await
}

/// What speaks against sending a dispatch that was made already. The same rule
/// decides as when the fill was released.
async fn against(
    tx: &mut dyn FulfilmentTx,
    moment: &Moment,
    dispatch: &Dispatch,
    prescription: &Prescription,
) -> Result<Vec<Ground>, PharmacyError> {
    let holds = tx.fill_holds(dispatch.patient, dispatch.category).await?;
    let facts = moment.facts(prescription.id, dispatch.invoice)?;
    Ok(grounds(prescription, &facts, &accepted(&holds, dispatch.paid())))
}

async fn hold_fill(
    env: &Env,
    tx: &mut dyn FulfilmentTx,
    moment: &Moment,
    dispatch: &Dispatch,
    prescription: &Prescription,
    found: Vec<Ground>,
) -> Result<(), PharmacyError> {
    let provider = moment.treatment.active.map_or(prescription.provider, |plan| plan.provider);
    let whose = (dispatch.patient, dispatch.category);
    let who = (Some(prescription.id), Some(provider));
    due::hold(env, tx, dispatch.paid(), whose, who, found).await
}

/// The shipment of a dispatch that is being labelled; it always has one.
fn shipment_of(dispatch: &Dispatch) -> Result<ShipmentId, PortError> {
    let missing = || PortError::bug("a dispatch is being labelled without a shipment");
    dispatch.shipment.ok_or_else(missing)
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
    checks: &FillChecks,
    id: DispatchId,
    (at_carrier, label): (CarrierShipment, Label),
) -> Result<(), PharmacyError> {
    let actor = Actor::system(ACTOR);
    let seen = get::<Dispatch>(store.begin(&actor).await?.as_mut(), id).await?;
    // What was learned while the carrier was being asked counts as well.
    let moment = facts_about(env, store, checks, &seen).await?;
    let mut tx = store.begin(&actor).await?;
    tx.lock_fills(seen.patient).await?;
    let dispatch = get::<Dispatch>(tx.as_mut(), id).await?;
    if dispatch.state != DispatchState::Labelling {
        return Ok(());
    }
    let shipment = shipment_of(&dispatch)?;
    let now = env.now();
    let prescription = prescription_to_fill(tx.as_mut(), dispatch.prescription).await?;
    let ended = has_ended(&prescription);
    let found = match ended {
        true => Vec::new(),
        false => against(tx.as_mut(), &moment, &dispatch, &prescription).await?,
    };
    if ended || !found.is_empty() {
        // The label is kept with the shipment, so that it can be given back.
        let mut shipment = lock::<Shipment>(tx.as_mut(), shipment, &Seen::Any).await?;
        shipment.label(at_carrier.id, label, now)?;
        shipment.abandon(now);
        tx.save(&mut shipment).await?;
        let mut dispatch = lock::<Dispatch>(tx.as_mut(), id, &Seen::Any).await?;
        let reason = if ended { HoldReason::PrescriptionEnded } else { HoldReason::FillHeld };
        dispatch.hold(reason, now)?;
        if ended {
            tx.enqueue(look_again(&dispatch));
        } else {
            hold_fill(env, tx.as_mut(), &moment, &dispatch, &prescription, found).await?;
        }
        save(tx.as_mut(), &mut dispatch).await?;
        tx.commit().await?;
        return Ok(());
    }
    let mut stock = tx.lock_stock(dispatch.pharmacy, &dispatch.ndc).await?;
    let mut shipment = lock::<Shipment>(tx.as_mut(), shipment, &Seen::Any).await?;
    let mut dispatch = lock::<Dispatch>(tx.as_mut(), id, &Seen::Any).await?;
    let level = stock.on_hand();
    stock.consume(&dispatch.allocations)?;
    tx.save_stock(&stock).await?;
    if level >= stock.reorder_level && stock.on_hand() < stock.reorder_level {
        tx.emit(Event::StockLow { ndc: stock.ndc.to_string(), on_hand: stock.on_hand() });
    }
    dispatch.ship(now)?;
    save(tx.as_mut(), &mut dispatch).await?;
    shipment.label(at_carrier.id, label, now)?;
    tx.save(&mut shipment).await?;
    // The carrier may have reported on the tracker before the label was stored
    // here, and found nobody to tell.
    let refresh = RefreshTracking { shipment: shipment.id };
    tx.enqueue(JobRequest::new(&refresh).key(shipment.id.to_string()));
    use_fill(env, tx.as_mut(), &dispatch).await?;
    tx.emit(shipment.changed());
    tx.audit(
        AuditEntry::new(AuditAction::Create, "shipment", shipment.id)
            .patient(shipment.patient)
            .detail("dispatch", dispatch.id.to_string())
            .detail("carrier", shipment.label.as_ref().map(|label| label.carrier.clone())),
    );
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
        Err(error @ (PharmacyError::DispatchFilled | PharmacyError::NotFillable { .. })) => {
            tracing::error!(dispatch = %dispatch.id, %error, "shipped without a fill to use");
            Ok(())
        }
        Err(other) => Err(other),
    }
}

/// Whether the prescription was canceled while the label was being bought. The
/// handler of that event leaves such a dispatch to this job.
fn has_ended(prescription: &Prescription) -> bool {
    matches!(prescription.state, PrescriptionState::Canceled { .. })
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
    let seen = get::<Dispatch>(tx.as_mut(), id).await?;
    tx.lock_fills(seen.patient).await?;
    let dispatch = get::<Dispatch>(tx.as_mut(), id).await?;
    if dispatch.state != DispatchState::Labelling {
        return Ok(());
    }
    let prescription = prescription_to_fill(tx.as_mut(), dispatch.prescription).await?;
    let mut shipment = lock::<Shipment>(tx.as_mut(), shipment_of(&dispatch)?, &Seen::Any).await?;
    shipment.abandon(env.now());
    tx.save(&mut shipment).await?;
    let reason = match has_ended(&prescription) {
        true => HoldReason::PrescriptionEnded,
        false => HoldReason::CarrierRefused,
    };
    let mut dispatch = lock::<Dispatch>(tx.as_mut(), id, &Seen::Any).await?;
    dispatch.hold(reason, env.now())?;
    if reason == HoldReason::PrescriptionEnded {
        tx.enqueue(look_again(&dispatch));
    }
    tx.save(&mut dispatch).await?;
    tx.audit(
        AuditEntry::new(AuditAction::Update, "dispatch", dispatch.id)
            .patient(dispatch.patient)
            .detail("state", dispatch.state.to_string())
            .detail("code", code.to_owned())
            .failed(),
    );
    tx.commit().await?;
    Ok(())
}
