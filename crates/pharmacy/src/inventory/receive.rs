//! Receiving stock and reading its levels.

use kernel::{Actor, InventoryLotId, Page, PageRequest, Permission, PharmacyId};
use ports::{AuditAction, AuditEntry, Env, IdempotencyKey};

use super::{Receipt, Stock};
use crate::{
    PharmacyError,
    dispatch::due::reserve_waiting,
    fulfilment::{FulfilmentStore, FulfilmentTx},
    prescription::Pharmacy,
};

/// Takes a delivery in, and lets the dispatches that waited for it go, the
/// oldest first. A repeated key gives the stock as it is now.
pub async fn receive_lot(
    env: &Env,
    store: &dyn FulfilmentStore,
    actor: &Actor,
    key: Option<&IdempotencyKey>,
    receipt: Receipt,
) -> Result<Stock, PharmacyError> {
    actor.require(Permission::PharmacyWork)?;
    let id: InventoryLotId = env.fresh();
    let mut tx = store.begin(actor).await?;
    if !tx.works_at(receipt.pharmacy).await? {
        return Err(elsewhere(tx, AuditAction::Create, receipt.pharmacy).await?);
    }
    if let Some(key) = key
        && tx.claim(key, id.uuid()).await?.is_some()
    {
        let stock = tx.lock_stock(receipt.pharmacy, &receipt.ndc).await?;
        finish_read(tx, actor).await?;
        return Ok(stock);
    }
    let pharmacy: Option<Pharmacy> = tx.find(receipt.pharmacy).await?;
    if pharmacy.is_none() {
        return Err(PharmacyError::field("pharmacy", "unknown", "There is no such pharmacy."));
    }
    let mut stock = tx.lock_stock(receipt.pharmacy, &receipt.ndc).await?;
    let lot = stock.receive(&receipt, id, env.now())?;
    // The lot is kept before units of it are given out, and again afterwards
    // with what is reserved.
    tx.save_stock(&stock).await?;
    let released = reserve_waiting(env, tx.as_mut(), &mut stock).await?;
    tx.save_stock(&stock).await?;
    tx.audit(
        AuditEntry::new(AuditAction::Create, "inventory_lot", lot)
            .detail("pharmacy", receipt.pharmacy.to_string())
            .detail("ndc", receipt.ndc.to_string())
            .detail("quantity", receipt.quantity)
            .detail("dispatches_released", released),
    );
    tx.commit().await?;
    Ok(stock)
}

/// The stock of every drug, by pharmacy and NDC.
pub async fn stock_levels(
    store: &dyn FulfilmentStore,
    actor: &Actor,
    pharmacy: Option<PharmacyId>,
    page: &PageRequest,
) -> Result<Page<Stock>, PharmacyError> {
    actor.require(Permission::PharmacyWork)?;
    let mut tx = store.begin(actor).await?;
    if let Some(pharmacy) = pharmacy
        && !tx.works_at(pharmacy).await?
    {
        return Err(elsewhere(tx, AuditAction::Read, pharmacy).await?);
    }
    let levels = tx.stock_levels(pharmacy, page).await?;
    finish_read(tx, actor).await?;
    Ok(levels)
}

/// The stock of a pharmacy in which the actor does not work does not exist for
/// them, and the attempt is on record.
async fn elsewhere(
    mut tx: Box<dyn FulfilmentTx>,
    action: AuditAction,
    pharmacy: PharmacyId,
) -> Result<PharmacyError, PharmacyError> {
    tx.audit(AuditEntry::new(action, "inventory", pharmacy).denied());
    tx.commit().await?;
    Ok(PharmacyError::no::<Pharmacy>())
}

async fn finish_read(mut tx: Box<dyn FulfilmentTx>, actor: &Actor) -> Result<(), PharmacyError> {
    let reader = actor.account().map_or_else(|| "-".to_owned(), |account| account.to_string());
    tx.audit(AuditEntry::new(AuditAction::Read, "inventory", reader));
    tx.commit().await?;
    Ok(())
}
