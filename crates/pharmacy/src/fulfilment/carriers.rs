//! The port to the carriers, in the words of shipping: an order, a label, a
//! tracker.

use async_trait::async_trait;
use chrono::{DateTime, Utc};
use kernel::{Address, Money, PhoneNumber};

use super::DeliveryAddress;
use crate::{prescription::Pharmacy, shipment::TrackingStatus};

/// The pharmacy as the sender of a box.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Sender {
    pub name: String,
    pub address: Address,
    pub phone: PhoneNumber,
}

impl From<Pharmacy> for Sender {
    fn from(pharmacy: Pharmacy) -> Self {
        Self { name: pharmacy.name, address: pharmacy.address, phone: pharmacy.phone }
    }
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Parcel {
    pub weight_grams: u32,
    pub length_mm: u32,
    pub width_mm: u32,
    pub height_mm: u32,
}

impl Parcel {
    /// The plain padded box in which every fill of tablets, foam or cream
    /// leaves; the label says nothing of what is inside.
    pub const STANDARD: Self =
        Self { weight_grams: 340, length_mm: 230, width_mm: 160, height_mm: 60 };
}

#[derive(Clone, Debug, PartialEq, Eq)]
pub struct ShipmentOrder {
    /// Our name for the shipment, by which it is found again when an answer
    /// was lost.
    pub reference: String,
    pub from: Sender,
    pub to: DeliveryAddress,
    pub parcel: Parcel,
}

/// A label that was bought.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Label {
    pub id: String,
    /// Where the label can be printed from.
    pub url: String,
    pub carrier: String,
    pub service: String,
    /// Carriers give the same number out again after some months.
    pub tracking_number: String,
    pub tracker_id: String,
    pub cost: Money,
}

/// A shipment as the carrier's system has it.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct CarrierShipment {
    pub id: String,
    pub reference: String,
    /// `None` until the label is bought.
    pub label: Option<Label>,
}

/// One statement of a tracker.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct TrackingUpdate {
    pub status: TrackingStatus,
    /// The carrier's own time of it, not that of its arrival here.
    pub at: DateTime<Utc>,
}

/// A verified webhook of the carriers' system.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct CarrierEvent {
    /// The vendor's id of the event; it comes again with every repetition.
    pub id: String,
    /// What it says of a tracker; `None` for an event of another kind.
    pub tracker: Option<TrackerState>,
}

/// What a genuine webhook says, as far as it can be used.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct OpenedWebhook {
    /// `None` where it is no event at all.
    pub event: Option<CarrierEvent>,
    /// Why staff have to see it.
    pub unread: Option<&'static str>,
}

/// A tracker with everything that it has said so far.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct TrackerState {
    pub id: String,
    pub carrier: String,
    pub tracking_number: String,
    /// The carrier's id of the shipment, where it names it.
    pub shipment_id: Option<String>,
    pub updates: Vec<TrackingUpdate>,
}

#[async_trait]
pub trait Carriers: Send + Sync {
    /// The shipment with our reference, or `None` where it was never made.
    async fn find(&self, reference: &str) -> ports::Result<Option<CarrierShipment>>;

    /// Makes the shipment, without a label. An answer that was lost is
    /// `PortError::Unknown`; look it up with [`Carriers::find`].
    async fn create(&self, order: &ShipmentOrder) -> ports::Result<CarrierShipment>;

    /// Buys the cheapest label of the shipment. A shipment has one label;
    /// where it was bought before, that one is given.
    async fn buy(&self, shipment: &CarrierShipment) -> ports::Result<CarrierShipment>;

    /// The tracker as it is now, or `None` where the carrier has forgotten it.
    async fn tracker(&self, id: &str) -> ports::Result<Option<TrackerState>>;
}

#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
#[error("the signature is missing or wrong")]
pub struct BadSignature;

/// Opens the carriers' webhooks.
pub trait CarrierWebhooks: Send + Sync {
    /// Verifies the signature over the raw body and reads the event. Whatever is
    /// genuine is taken; what of it cannot be used is said.
    fn open(&self, body: &[u8], signature: Option<&str>) -> Result<OpenedWebhook, BadSignature>;
}
