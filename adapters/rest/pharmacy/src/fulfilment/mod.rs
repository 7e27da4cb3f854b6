//! Inventory, dispatch and shipments; and what the carriers call.

mod dispatch;
mod held;
mod inventory;
mod shipments;
mod webhook;

pub use self::{
    dispatch::{
        DispatchApi, DispatchDueView, DispatchPage, DispatchStatus, DispatchStatusChange,
        DispatchView, UpdateDispatchStatus,
    },
    held::{
        HeldFillPage, HeldFillView, HeldFillsApi, HoldGroundKind, HoldGroundView, ReleaseHeldFill,
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
