//! Inventory, dispatch and shipments; and what the carriers call.

mod dispatch;
mod held;
mod inventory;
mod shipments;
mod webhook;

pub use self::{
    dispatch::{
        DispatchApi, DispatchDueView, DispatchPage, DispatchStatusChange, DispatchView,
        UpdateDispatchStatus,
    },
    held::{HeldFillPage, HeldFillView, HeldFillsApi, HoldGroundView, ReleaseHeldFill},
    inventory::{InventoryApi, InventoryLotView, InventoryPage, InventoryView, ReceiveLot},
    shipments::{ShipmentDetailView, ShipmentPage, ShipmentView, ShipmentsApi, TrackingUpdateView},
    webhook::{CarrierNoticeTaken, CarrierWebhookApi},
};
