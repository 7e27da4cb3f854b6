//! The pharmacist's work on the queue.

use kernel::{Actor, DispatchId, Page, PageRequest, Permission, Seen, Word};
use ports::{AuditAction, AuditEntry, Env, Locked, repository::lock};

use super::{
    Dispatch, DispatchState,
    due::{audit, label_job, reserve_waiting},
};
use crate::{
    PharmacyError,
    fulfilment::{FulfilmentStore, FulfilmentTx},
};

/// What a pharmacist can make of a dispatch.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Word)]
#[word("DispatchStatusChange")]
pub enum DispatchOrder {
    /// It was taken from the shelf.
    #[word("picked")]
    Pick,
    /// What stood in the way is settled; ask the carrier again.
    #[word("reserved")]
    Resume,
    #[word("cancelled")]
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
    let found: Option<Dispatch> = tx.find(id).await?;
    let Some(found) = found else {
        tx.audit(AuditEntry::new(AuditAction::Update, "dispatch", id).denied());
        tx.commit().await?;
        return Err(PharmacyError::no::<Dispatch>());
    };
    let dispatch = match (order, found.state) {
        (DispatchOrder::Pick, DispatchState::Picked)
        | (DispatchOrder::Cancel, DispatchState::Cancelled) => {
            audit(tx.as_mut(), AuditAction::Read, &found);
            found
        }
        (DispatchOrder::Cancel, _) => cancel_within(env, tx.as_mut(), &found).await?,
        (DispatchOrder::Pick | DispatchOrder::Resume, _) => {
            let mut dispatch = lock::<Dispatch>(tx.as_mut(), id, &Seen::Any).await?;
            if order == DispatchOrder::Pick {
                dispatch.pick(env.now())?;
            } else {
                dispatch.resume(env.now())?;
                tx.enqueue(label_job(&dispatch));
            }
            save(tx.as_mut(), &mut dispatch).await?;
            dispatch.into_inner()
        }
    };
    tx.commit().await?;
    Ok(dispatch)
}

/// Saves what was done to a dispatch, and audits where it stands.
pub(crate) async fn save(
    tx: &mut dyn FulfilmentTx,
    dispatch: &mut Locked<Dispatch>,
) -> Result<(), PharmacyError> {
    tx.save(dispatch).await?;
    audit(tx, AuditAction::Update, dispatch);
    Ok(())
}

/// Cancels what was found, and gives the reserved units to whoever waits for
/// them.
pub(crate) async fn cancel_within(
    env: &Env,
    tx: &mut dyn FulfilmentTx,
    found: &Dispatch,
) -> Result<Dispatch, PharmacyError> {
    let mut stock = tx.lock_stock(found.pharmacy, &found.ndc).await?;
    let mut dispatch = lock::<Dispatch>(tx, found.id, &Seen::Any).await?;
    let released = dispatch.cancel(env.now())?;
    save(tx, &mut dispatch).await?;
    if !released.is_empty() {
        stock.release(&released)?;
        reserve_waiting(env, tx, &mut stock).await?;
        tx.save_stock(&stock).await?;
    }
    Ok(dispatch.into_inner())
}
