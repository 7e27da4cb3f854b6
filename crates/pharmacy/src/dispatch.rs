//! A dispatch: one fill of one prescription, paid by an invoice of a month or
//! more, on its way out of the pharmacy.
//!
//! ```text
//! awaiting_stock → reserved → picked → labelling → shipped → delivered
//!        │             │         │         │           └────→ returned
//!        └─────────────┴────┬────┘         └→ on_hold → reserved
//!                       cancelled
//! ```
//!
//! While it is `labelling`, and after, the carrier may know of it, so it can not
//! be cancelled here.

pub mod checks;
pub mod due;
pub mod handlers;
pub mod hold;
pub mod label;
pub mod release;
pub mod supply;
pub mod withdraw;
pub mod work;

use chrono::{DateTime, Utc};
use kernel::{
    CategoryId, DispatchId, InvoiceId, Ndc, PatientId, PharmacyId, PrescriptionId, ShipmentId, Word,
};
use ports::Aggregate;

use crate::{
    PharmacyError,
    fulfilment::{PaidFill, store::PaidFillKey},
    inventory::Allocation,
    prescription::Prescription,
};

/// Where a dispatch stands.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Word)]
#[word("DispatchStatus")]
pub enum DispatchState {
    /// Due, but the pharmacy has too few units.
    AwaitingStock,
    /// Its units are reserved.
    Reserved,
    /// A pharmacist has taken it from the shelf.
    Picked,
    /// The carrier is being asked for a label.
    Labelling,
    /// The carrier, or our own data, stood in the way; a pharmacist decides.
    OnHold,
    Shipped,
    Delivered,
    /// It came back, or is coming back; a return is not put into stock again.
    Returned,
    Cancelled,
}

impl DispatchState {
    /// The states that are still to be worked.
    pub const OPEN: [Self; 5] =
        [Self::AwaitingStock, Self::Reserved, Self::Picked, Self::Labelling, Self::OnHold];

    /// The states of a dispatch whose box has left the pharmacy.
    pub const LEFT: [Self; 3] = [Self::Shipped, Self::Delivered, Self::Returned];

    pub fn is_open(self) -> bool {
        Self::OPEN.contains(&self)
    }
}

/// Why a dispatch is on hold.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Word)]
pub enum HoldReason {
    NoDeliveryAddress,
    CarrierRefused,
    /// The prescription ended while the label was bought: nothing may go out,
    /// and the label is to be given back to the carrier.
    PrescriptionEnded,
    /// The pharmacy is no longer in use.
    PharmacyInactive,
    /// The pharmacy is not licensed in the state that the box would go to.
    PharmacyNotLicensed,
    /// Something spoke against the fill once the label was asked for: the fill
    /// is held, and a provider decides.
    FillHeld,
}

#[derive(Clone, Debug, PartialEq, Eq, Aggregate)]
#[aggregate("dispatch", patient)]
pub struct Dispatch {
    pub id: DispatchId,
    pub patient: PatientId,
    pub category: CategoryId,
    pub prescription: PrescriptionId,
    /// 1 is the first fill.
    pub fill_number: u32,
    pub invoice: InvoiceId,
    /// The first of the invoice's fills that it serves, and how many of them: a
    /// supply for three months takes three.
    pub paid_fill: u32,
    pub covers: u32,
    pub pharmacy: PharmacyId,
    pub ndc: Ndc,
    pub quantity: i64,
    pub state: DispatchState,
    pub hold_reason: Option<HoldReason>,
    pub allocations: Vec<Allocation>,
    pub shipment: Option<ShipmentId>,
    pub created_at: DateTime<Utc>,
    pub updated_at: DateTime<Utc>,
    pub version: i64,
}

/// A prescription as far as filling it needs to know.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Fillable {
    pub prescription: PrescriptionId,
    pub pharmacy: PharmacyId,
    pub ndc: Ndc,
    /// In whole dispensing units, as in tablets.
    pub quantity: i64,
    /// The first fill and the refills.
    pub fills_allowed: u32,
    /// How many days one fill lasts.
    pub days_supply: u16,
}

impl Fillable {
    /// `None` where the pharmacy may not fill it now.
    pub fn of(prescription: &Prescription) -> Option<Self> {
        prescription.is_fillable().then(|| Self {
            prescription: prescription.id,
            pharmacy: prescription.pharmacy,
            ndc: prescription.medication.ndc.clone(),
            quantity: i64::from(prescription.dosing.quantity.units()),
            fills_allowed: u32::from(prescription.dosing.refills) + 1,
            days_supply: prescription.dosing.days_supply,
        })
    }
}

impl Dispatch {
    /// Takes the next fill of a prescription, if it has one left that no other
    /// dispatch has `taken`.
    pub fn next(
        id: DispatchId,
        paid: &PaidFill,
        fillable: &Fillable,
        taken: &[u32],
        now: DateTime<Utc>,
    ) -> Option<Self> {
        let fill_number = (1..=fillable.fills_allowed).find(|number| !taken.contains(number))?;
        Some(Self {
            id,
            patient: paid.patient,
            category: paid.category,
            prescription: fillable.prescription,
            fill_number,
            invoice: paid.invoice,
            paid_fill: paid.number,
            covers: supply::months_covered(fillable.days_supply),
            pharmacy: fillable.pharmacy,
            ndc: fillable.ndc.clone(),
            quantity: fillable.quantity,
            state: DispatchState::AwaitingStock,
            hold_reason: None,
            allocations: Vec::new(),
            shipment: None,
            created_at: now,
            updated_at: now,
            version: 1,
        })
    }

    /// The first of the paid fills that it serves.
    pub fn paid(&self) -> PaidFillKey {
        (self.invoice, self.paid_fill)
    }

    /// Whether this paid fill is one of those that it serves.
    pub fn serves(&self, paid: &PaidFill) -> bool {
        self.invoice == paid.invoice
            && (self.paid_fill..self.paid_fill + self.covers).contains(&paid.number)
    }

    pub fn reserve(
        &mut self,
        allocations: Vec<Allocation>,
        now: DateTime<Utc>,
    ) -> Result<(), PharmacyError> {
        self.enter(DispatchState::Reserved, &[DispatchState::AwaitingStock], now)?;
        self.allocations = allocations;
        Ok(())
    }

    pub fn pick(&mut self, now: DateTime<Utc>) -> Result<(), PharmacyError> {
        self.enter(DispatchState::Picked, &[DispatchState::Reserved], now)
    }

    /// The intent to buy a label for this shipment is about to be stored.
    pub fn label(&mut self, shipment: ShipmentId, now: DateTime<Utc>) -> Result<(), PharmacyError> {
        let from = [DispatchState::Reserved, DispatchState::Picked];
        self.enter(DispatchState::Labelling, &from, now)?;
        self.shipment = Some(shipment);
        Ok(())
    }

    /// A shipment that the carrier refused is let go: the next attempt is a new
    /// one, with the address as it is then.
    pub fn hold(&mut self, reason: HoldReason, now: DateTime<Utc>) -> Result<(), PharmacyError> {
        let from = [DispatchState::Reserved, DispatchState::Picked, DispatchState::Labelling];
        self.enter(DispatchState::OnHold, &from, now)?;
        self.hold_reason = Some(reason);
        self.shipment = None;
        Ok(())
    }

    /// The hold is lifted; the units are still reserved.
    pub fn resume(&mut self, now: DateTime<Utc>) -> Result<(), PharmacyError> {
        if self.state == DispatchState::OnHold && self.hold_reason == Some(HoldReason::FillHeld) {
            return Err(PharmacyError::FillHeld);
        }
        self.enter(DispatchState::Reserved, &[DispatchState::OnHold], now)?;
        self.hold_reason = None;
        Ok(())
    }

    pub fn ship(&mut self, now: DateTime<Utc>) -> Result<(), PharmacyError> {
        self.enter(DispatchState::Shipped, &[DispatchState::Labelling], now)
    }

    /// Cancels before the carrier may know of it. The units that were reserved
    /// come back, to be released.
    pub fn cancel(&mut self, now: DateTime<Utc>) -> Result<Vec<Allocation>, PharmacyError> {
        use DispatchState::{AwaitingStock, Cancelled, OnHold, Picked, Reserved};
        self.enter(Cancelled, &[AwaitingStock, Reserved, Picked, OnHold], now)?;
        self.hold_reason = None;
        Ok(std::mem::take(&mut self.allocations))
    }

    /// Whether its box has left the pharmacy.
    pub fn has_left(&self) -> bool {
        DispatchState::LEFT.contains(&self.state)
    }

    /// What the carrier says of the shipment, as far as the dispatch cares.
    pub fn track(&mut self, to: DispatchState, now: DateTime<Utc>) {
        let known = matches!(
            (self.state, to),
            (DispatchState::Shipped, DispatchState::Delivered | DispatchState::Returned)
                | (DispatchState::Delivered, DispatchState::Returned)
        );
        if known {
            (self.state, self.updated_at) = (to, now);
        }
    }

    fn enter(
        &mut self,
        to: DispatchState,
        from: &[DispatchState],
        now: DateTime<Utc>,
    ) -> Result<(), PharmacyError> {
        if !from.contains(&self.state) {
            return Err(PharmacyError::DispatchWrongState { from: self.state, to });
        }
        (self.state, self.updated_at) = (to, now);
        Ok(())
    }
}

#[cfg(test)]
mod tests;
