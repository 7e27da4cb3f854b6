//! A shipment: a box with a label, and what its tracker says of it.

pub mod read;
pub mod tracking;

use chrono::{DateTime, Utc};
use kernel::{DispatchId, PatientId, PrescriptionId, ShipmentId, Word};
use ports::{Aggregate, Event, events::ShipmentStatusWord};

use crate::{
    PharmacyError,
    dispatch::{Dispatch, DispatchState},
    fulfilment::{DeliveryAddress, Label, TrackingUpdate},
};

/// The statuses of a tracker, in the carriers' words.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash, Word)]
#[word("ShipmentStatus")]
pub enum TrackingStatus {
    /// The carrier has not said anything yet.
    Unknown,
    /// The carrier knows of the label and has not got the box.
    PreTransit,
    InTransit,
    Failure,
    Error,
    OutForDelivery,
    AvailableForPickup,
    Delivered,
    Cancelled,
    /// It goes back. A later `delivered` is its arrival at the sender.
    ReturnToSender,
}

impl TrackingStatus {
    /// What ends a tracker's story outranks everything else, whenever it was
    /// said; the rest is ordered by time.
    fn finality(self) -> u8 {
        match self {
            Self::Delivered => 1,
            Self::Cancelled => 2,
            Self::ReturnToSender => 3,
            _ => 0,
        }
    }

    pub fn is_final(self) -> bool {
        self.finality() > 0
    }

    /// The parcel is not on its way to the patient any more, and somebody has to
    /// find out why.
    pub const ASTRAY: [Self; 4] =
        [Self::Failure, Self::Error, Self::Cancelled, Self::ReturnToSender];

    pub fn is_astray(self) -> bool {
        Self::ASTRAY.contains(&self)
    }

    fn published(self) -> ShipmentStatusWord {
        match self {
            Self::Unknown => ShipmentStatusWord::Created,
            Self::PreTransit => ShipmentStatusWord::PreTransit,
            Self::InTransit => ShipmentStatusWord::InTransit,
            Self::OutForDelivery => ShipmentStatusWord::OutForDelivery,
            Self::AvailableForPickup => ShipmentStatusWord::AvailableForPickup,
            Self::Delivered => ShipmentStatusWord::Delivered,
            Self::ReturnToSender => ShipmentStatusWord::ReturnToSender,
            Self::Failure | Self::Error => ShipmentStatusWord::Failure,
            Self::Cancelled => ShipmentStatusWord::Cancelled,
        }
    }
}

#[derive(Clone, Debug, PartialEq, Eq, Aggregate)]
#[aggregate("shipment", patient)]
pub struct Shipment {
    /// Also our reference at the carrier.
    pub id: ShipmentId,
    pub dispatch: DispatchId,
    pub prescription: PrescriptionId,
    pub patient: PatientId,
    pub recipient: DeliveryAddress,
    /// The carrier's id of it; with the label from the moment that is bought.
    pub carrier_shipment: Option<String>,
    pub label: Option<Label>,
    pub status: TrackingStatus,
    /// The carrier's own time of the status.
    pub status_at: Option<DateTime<Utc>>,
    /// The patient, or staff for them, said that it arrived.
    pub confirmed_at: Option<DateTime<Utc>>,
    pub created_at: DateTime<Utc>,
    pub shipped_at: Option<DateTime<Utc>>,
    pub version: i64,
}

impl Shipment {
    /// What is about to be asked of the carrier.
    pub fn intended(
        id: ShipmentId,
        dispatch: &Dispatch,
        recipient: DeliveryAddress,
        now: DateTime<Utc>,
    ) -> Self {
        Self {
            id,
            dispatch: dispatch.id,
            prescription: dispatch.prescription,
            patient: dispatch.patient,
            recipient,
            carrier_shipment: None,
            label: None,
            status: TrackingStatus::Unknown,
            status_at: None,
            confirmed_at: None,
            created_at: now,
            shipped_at: None,
            version: 1,
        }
    }

    /// The label was bought.
    pub fn label(
        &mut self,
        carrier_shipment: String,
        label: Label,
        now: DateTime<Utc>,
    ) -> Result<(), PharmacyError> {
        if self.label.is_some() {
            return Err(PharmacyError::ShipmentHasLabel);
        }
        self.carrier_shipment = Some(carrier_shipment);
        self.label = Some(label);
        self.shipped_at = Some(now);
        Ok(())
    }

    /// No box goes out under it: the carrier refused to make it, or the fill was
    /// held or ended while the label was bought.
    pub fn abandon(&mut self, now: DateTime<Utc>) {
        self.shipped_at = None;
        self.status = TrackingStatus::Cancelled;
        self.status_at = Some(now);
    }

    /// Takes in what a tracker says. Statements come twice and in any order;
    /// the outcome is the same in every order: the most final one wins, then
    /// the latest, then the one further along. Returns whether the status
    /// changed.
    pub fn track(&mut self, update: TrackingUpdate) -> bool {
        let current = (self.status.finality(), self.status_at, self.status);
        let offered = (update.status.finality(), Some(update.at), update.status);
        if offered <= current {
            return false;
        }
        let changed = self.status != update.status;
        self.status = update.status;
        self.status_at = Some(update.at);
        changed
    }

    /// The recipient says that it arrived. The word of who holds the box goes
    /// before the carrier's, except where it is known to go back.
    pub fn confirm(&mut self, now: DateTime<Utc>) -> Result<(), PharmacyError> {
        if self.label.is_none()
            || matches!(self.status, TrackingStatus::Cancelled | TrackingStatus::ReturnToSender)
        {
            return Err(PharmacyError::ShipmentNotDeliverable(self.status));
        }
        if self.confirmed_at.is_none() {
            self.confirmed_at = Some(now);
            self.track(TrackingUpdate { status: TrackingStatus::Delivered, at: now });
        }
        Ok(())
    }

    /// What the dispatch becomes by the status, where it cares.
    pub fn dispatch_state(&self) -> Option<DispatchState> {
        match self.status {
            TrackingStatus::Delivered => Some(DispatchState::Delivered),
            TrackingStatus::ReturnToSender | TrackingStatus::Cancelled => {
                Some(DispatchState::Returned)
            }
            _ => None,
        }
    }

    pub fn changed(&self) -> Event {
        Event::ShipmentChanged {
            shipment: self.id,
            patient: self.patient,
            prescription: self.prescription,
            status: self.status.published(),
        }
    }
}

#[cfg(test)]
mod tests;
