//! The pharmacist's work on the queue.

use kernel::{Actor, DispatchId, Page, PageRequest, Permission};
use ports::{AuditAction, AuditEntry, Env};

use super::{
    Dispatch, DispatchState,
    due::{audit, label_job, reserve_waiting},
};
use crate::{
    PharmacyError,
    fulfilment::{FulfilmentStore, FulfilmentTx},
};

/// What a pharmacist can do to a dispatch.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum DispatchOrder {
    /// It was taken from the shelf.
    Pick,
    /// What stood in the way is settled; ask the carrier again.
    Resume,
    Cancel,
}

/// The dispatches of a state or, without one, all that are still to be worked.
pub async fn queue(
    store: &dyn FulfilmentStore,
    actor: &Actor,
    state: Option<DispatchState>,
    page: &PageRequest,
) -> Result<Page<Dispatch>, PharmacyError> {
    actor.require(Permission::PharmacyWork)?;
    let mut tx = store.begin(actor).await?;
    let found = tx.dispatch_queue(state, page).await?;
    let shown = found.items.iter().map(|each| (each.patient, each.id.uuid()));
    let entry = AuditEntry::new(AuditAction::Search, "dispatch", "queue");
    tx.audit_all(entry.per_patient(shown));
    tx.commit().await?;
    Ok(found)
}

/// Moves a dispatch. An order that was carried out already is no error.
pub async fn order(
    env: &Env,
    store: &dyn FulfilmentStore,
    actor: &Actor,
    id: DispatchId,
    order: DispatchOrder,
) -> Result<Dispatch, PharmacyError> {
    actor.require(Permission::PharmacyWork)?;
    let mut tx = store.begin(actor).await?;
    let Some(dispatch) = tx.dispatch(id).await? else {
        tx.audit(AuditEntry::new(AuditAction::Update, "dispatch", id).denied());
        tx.commit().await?;
        return Err(PharmacyError::NotFound("dispatch"));
    };
    let dispatch = match (order, dispatch.state) {
        (DispatchOrder::Pick, DispatchState::Picked)
        | (DispatchOrder::Cancel, DispatchState::Cancelled) => {
            audit(tx.as_mut(), AuditAction::Read, &dispatch);
            dispatch
        }
        (DispatchOrder::Pick, _) => {
            let dispatch = dispatch.picked(env.now())?;
            tx.save_dispatch(&dispatch).await?;
            audit(tx.as_mut(), AuditAction::Update, &dispatch);
            dispatch
        }
        (DispatchOrder::Resume, _) => {
            let dispatch = dispatch.resumed(env.now())?;
            tx.save_dispatch(&dispatch).await?;
            tx.enqueue(label_job(&dispatch));
            audit(tx.as_mut(), AuditAction::Update, &dispatch);
            dispatch
        }
        (DispatchOrder::Cancel, _) => cancel_within(env, tx.as_mut(), dispatch).await?,
    };
    tx.commit().await?;
    Ok(dispatch)
}

/// Cancels and gives the reserved units to whoever waits for them.
pub(crate) async fn cancel_within(
    env: &Env,
    tx: &mut dyn FulfilmentTx,
    dispatch: Dispatch,
) -> Result<Dispatch, PharmacyError> {
    let mut stock = tx.lock_stock(dispatch.pharmacy, &dispatch.ndc).await?;
    let (dispatch, released) = dispatch.cancelled(env.now())?;
    tx.save_dispatch(&dispatch).await?;
    if !released.is_empty() {
        stock.release(&released)?;
        reserve_waiting(env, tx, &mut stock).await?;
        tx.save_stock(&stock).await?;
    }
    audit(tx, AuditAction::Update, &dispatch);
    Ok(dispatch)
}
