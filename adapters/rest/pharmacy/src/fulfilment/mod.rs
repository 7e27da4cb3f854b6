//! Inventory, dispatch and shipments; and what the carriers call.

mod dispatch;
mod held;
mod inventory;
mod shipments;
mod webhook;

pub use self::{
    dispatch::DispatchApi, held::HeldFillsApi, inventory::InventoryApi, shipments::ShipmentsApi,
    webhook::CarrierWebhookApi,
};
