//! What is due: a paid fill meets an active prescription with a fill left, and
//! stock. Whichever of the facts arrives last makes the dispatch.

use kernel::{Actor, CategoryId, DispatchId, PatientId, Permission};
use ports::{AuditAction, AuditEntry, Env, Event, JobRequest};

use super::{Dispatch, Fillable, label::BuyLabel};
use crate::{
    PharmacyError,
    fulfilment::{FulfilmentStore, FulfilmentTx},
    inventory::Stock,
    prescription::fill::prescription_to_fill,
};

/// How many patients one call of [`dispatch_due`] looks at.
const BATCH: u32 = 200;

/// Dispatches everything that is due now; a second call finds nothing left to
/// do. Each patient's fills are decided in a transaction of their own, so that
/// one that fails does not hold up the rest.
pub async fn dispatch_due(
    env: &Env,
    store: &dyn FulfilmentStore,
    actor: &Actor,
) -> Result<Vec<Dispatch>, PharmacyError> {
    actor.require(Permission::PharmacyWork)?;
    let mut tx = store.begin(actor).await?;
    let waiting = tx.patients_with_open_fills(BATCH).await?;
    tx.audit(
        AuditEntry::new(AuditAction::Search, "dispatch", "due").detail("patients", waiting.len()),
    )
    .await?;
    tx.commit().await?;
    let mut created = Vec::new();
    for (patient, category) in waiting {
        match dispatch_patient(env, store, actor, patient, category).await {
            Ok(dispatches) => created.extend(dispatches),
            Err(error) => tracing::error!(%error, "the fills of a patient were not decided"),
        }
    }
    Ok(created)
}

async fn dispatch_patient(
    env: &Env,
    store: &dyn FulfilmentStore,
    actor: &Actor,
    patient: PatientId,
    category: CategoryId,
) -> Result<Vec<Dispatch>, PharmacyError> {
    let mut tx = store.begin(actor).await?;
    let dispatches = evaluate(env, tx.as_mut(), patient, category).await?;
    if !dispatches.is_empty() {
        tx.commit().await?;
    }
    Ok(dispatches)
}

/// Decides on the open fills of one patient in one category, within the
/// transaction of whoever brought a new fact.
pub(crate) async fn evaluate(
    env: &Env,
    tx: &mut dyn FulfilmentTx,
    patient: PatientId,
    category: CategoryId,
) -> Result<Vec<Dispatch>, PharmacyError> {
    tx.lock_fills(patient, category).await?;
    let mut created = Vec::new();
    for paid in tx.open_fills(patient, category).await? {
        let mut next = None;
        for prescription in tx.active_prescriptions(patient, category).await? {
            let prescription = prescription_to_fill(&mut *tx, prescription).await?;
            let Some(fillable) = Fillable::of(&prescription) else { continue };
            let taken = tx.fill_numbers(prescription.id).await?;
            let id: DispatchId = env.fresh();
            next = Dispatch::next(id, &paid, &fillable, &taken, env.now());
            if next.is_some() {
                break;
            }
        }
        // The fill stays open until there is a prescription for it.
        let Some(dispatch) = next else { break };
        created.push(add(env, tx, dispatch).await?);
    }
    Ok(created)
}

async fn add(
    env: &Env,
    tx: &mut dyn FulfilmentTx,
    dispatch: Dispatch,
) -> Result<Dispatch, PharmacyError> {
    let mut stock = tx.lock_stock(dispatch.pharmacy, &dispatch.ndc).await?;
    let dispatch = match stock.reserve(dispatch.quantity, env.now().date_naive()) {
        Ok(allocations) => {
            tx.save_stock(&stock).await?;
            dispatch.reserved(allocations, env.now())?
        }
        Err(shortage) => {
            tracing::warn!(dispatch = %dispatch.id, ndc = %dispatch.ndc, %shortage, "waits for stock");
            dispatch
        }
    };
    tx.add_dispatch(&dispatch).await?;
    tx.emit(Event::DispatchCreated {
        dispatch: dispatch.id,
        patient: dispatch.patient,
        prescription: dispatch.prescription,
    })
    .await?;
    if !dispatch.allocations.is_empty() {
        tx.enqueue(label_job(&dispatch)).await?;
    }
    audit(tx, AuditAction::Create, &dispatch).await?;
    Ok(dispatch)
}

/// Reserves new stock for the dispatches that wait for it, the oldest first,
/// until one of them asks for more than there is. The caller saves the stock.
pub(crate) async fn reserve_waiting(
    env: &Env,
    tx: &mut dyn FulfilmentTx,
    stock: &mut Stock,
) -> Result<usize, PharmacyError> {
    let mut released = 0;
    for dispatch in tx.awaiting_stock(stock.pharmacy, &stock.ndc).await? {
        let Ok(allocations) = stock.reserve(dispatch.quantity, env.now().date_naive()) else {
            break;
        };
        let dispatch = dispatch.reserved(allocations, env.now())?;
        tx.save_dispatch(&dispatch).await?;
        tx.enqueue(label_job(&dispatch)).await?;
        audit(tx, AuditAction::Update, &dispatch).await?;
        released += 1;
    }
    Ok(released)
}

/// The job that buys the label. Jobs of one queue run one after another, so
/// that two of one dispatch never ask the carrier at the same time; sixteen
/// queues keep a slow answer from holding up everybody.
pub(crate) fn label_job(dispatch: &Dispatch) -> JobRequest {
    let queue = dispatch.id.uuid().as_u128() & 0xf;
    JobRequest::new(&BuyLabel { dispatch: dispatch.id })
        .key(dispatch.id.to_string())
        .queue(format!("pharmacy.labels.{queue:x}"))
}

pub(crate) async fn audit(
    tx: &mut dyn FulfilmentTx,
    action: AuditAction,
    dispatch: &Dispatch,
) -> Result<(), PharmacyError> {
    tx.audit(
        AuditEntry::new(action, "dispatch", dispatch.id)
            .patient(dispatch.patient)
            .detail("state", dispatch.state.to_string())
            .detail("prescription", dispatch.prescription.to_string())
            .detail("fill_number", dispatch.fill_number)
            .detail("invoice", dispatch.invoice.to_string()),
    )
    .await?;
    Ok(())
}
