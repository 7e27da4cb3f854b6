//! Inventory, dispatch and shipments; and what the carriers call.

mod dispatch;
mod inventory;
mod shipments;
mod webhook;

pub use self::{
    dispatch::{
        DispatchApi, DispatchDueView, DispatchPage, DispatchStatus, DispatchStatusChange,
        DispatchView, UpdateDispatchStatus,
    },
    inventory::{InventoryApi, InventoryLotView, InventoryPage, InventoryView, ReceiveLot},
    shipments::{
        ShipmentDetailView, ShipmentPage, ShipmentStatus, ShipmentView, ShipmentsApi,
        TrackingUpdateView,
    },
    webhook::{CarrierNoticeTaken, CarrierWebhookApi},
};

#[cfg(test)]
mod tests;
