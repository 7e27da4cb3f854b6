//! Fulfilment: from a paid fill to a delivered box. This module holds what
//! inventory, dispatch and shipments share: the store, the carriers and the
//! other ports.
//!
//! **Events handled**
//!
//! | event | handler |
//! |---|---|
//! | `PrescriptionChanged` | [`crate::dispatch::handlers::on_prescription_changed`] |
//! | `InvoicePaid` | [`crate::dispatch::handlers::on_invoice_paid`] |
//!
//! **Jobs**
//!
//! | kind | work |
//! |---|---|
//! | `pharmacy.buy_label` | [`crate::dispatch::label::buy_label`] |
//! | `pharmacy.release_fills` | [`crate::dispatch::due::release_fills`] |
//! | `pharmacy.refresh_tracking` | [`crate::shipment::tracking::refresh_tracking`] |
//!
//! **Events emitted**: `DispatchCreated`, `ShipmentChanged`, `StockLow`,
//! `FillHeld`, `FillReleased`, `PharmacyToBeTold`.
//!
//! **Needed from outside**: [`Carriers`], [`CarrierWebhooks`],
//! [`DeliveryAddresses`], [`PaidPeriods`] and
//! [`crate::dispatch::checks::FillCircumstances`].

pub mod carriers;
pub mod store;

use async_trait::async_trait;
use kernel::{Address, CoveredTreatment, HumanName, PatientId, PhoneNumber, SubscriptionId};
use serde::{Deserialize, Serialize};

pub use carriers::{
    BadSignature, CarrierEvent, CarrierShipment, CarrierWebhooks, Carriers, Label, OpenedWebhook,
    Parcel, Sender, ShipmentOrder, TrackerState, TrackingUpdate,
};
pub use store::{FulfilmentStore, FulfilmentTx, PaidFill};

/// Where a box goes. It is PHI with the prescription beside it, and is sealed
/// at rest.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct DeliveryAddress {
    pub name: HumanName,
    pub address: Address,
    pub phone: Option<PhoneNumber>,
}

/// Where patients want their boxes; identity knows.
#[async_trait]
pub trait DeliveryAddresses: Send + Sync {
    /// `None` while the patient's profile has no address.
    async fn delivery_address(&self, patient: PatientId) -> ports::Result<Option<DeliveryAddress>>;
}

/// What a paid invoice of a subscription is for.
#[async_trait]
pub trait PaidPeriods: Send + Sync {
    /// How many months one period of the subscription has; `None` where there
    /// is no such subscription.
    async fn months(&self, subscription: SubscriptionId) -> ports::Result<Option<u32>>;

    /// The treatments that it was bought for; none where that was not kept.
    async fn sold(&self, subscription: SubscriptionId) -> ports::Result<Vec<CoveredTreatment>>;
}
