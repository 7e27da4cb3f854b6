//! Inventory: the lots of a drug at a pharmacy. A unit is reserved before it
//! is picked, the lot that expires first goes first, and what is reserved
//! never exceeds what is there.

pub mod receive;

use chrono::{DateTime, NaiveDate, Utc};
use kernel::{FieldError, InventoryLotId, Ndc, PharmacyId, TextKind as _, text::LotNumber};

use crate::PharmacyError;

#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Lot {
    pub id: InventoryLotId,
    /// The manufacturer's lot number.
    pub number: String,
    /// The last day on which it may be used.
    pub expires_on: NaiveDate,
    pub on_hand: i64,
    pub reserved: i64,
    pub received_at: DateTime<Utc>,
}

impl Lot {
    pub fn available(&self) -> i64 {
        self.on_hand - self.reserved
    }
}

/// Units of one lot that are reserved for one dispatch.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Allocation {
    pub lot: InventoryLotId,
    pub quantity: i64,
}

/// The stock of one drug at one pharmacy.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Stock {
    pub pharmacy: PharmacyId,
    pub ndc: Ndc,
    /// Below this many available units the stock is low.
    pub reorder_level: i64,
    pub lots: Vec<Lot>,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
#[error("{wanted} units are wanted and {available} are available")]
pub struct Shortage {
    pub wanted: i64,
    pub available: i64,
}

/// How long after it left the pharmacy a drug must still be usable.
pub const SHELF_LIFE_DAYS: i64 = 45;

/// What a delivery of stock says.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Receipt {
    pub pharmacy: PharmacyId,
    pub ndc: Ndc,
    pub lot_number: String,
    pub expires_on: NaiveDate,
    pub quantity: i64,
    /// The new reorder level, where it changes.
    pub reorder_level: Option<i64>,
}

impl Stock {
    pub fn empty(pharmacy: PharmacyId, ndc: Ndc) -> Self {
        Self { pharmacy, ndc, reorder_level: 0, lots: Vec::new() }
    }

    pub fn on_hand(&self) -> i64 {
        self.lots.iter().map(|lot| lot.on_hand).sum()
    }

    pub fn reserved(&self) -> i64 {
        self.lots.iter().map(|lot| lot.reserved).sum()
    }

    /// The units that can still be reserved for a dispatch of that day.
    pub fn available(&self, today: NaiveDate) -> i64 {
        self.lots.iter().filter(|lot| is_fit(lot, today)).map(Lot::available).sum()
    }

    pub fn is_low(&self, today: NaiveDate) -> bool {
        self.available(today) < self.reorder_level
    }

    /// Reserves units from the lots that expire first, all of them or none.
    pub fn reserve(
        &mut self,
        quantity: i64,
        today: NaiveDate,
    ) -> Result<Vec<Allocation>, Shortage> {
        let available = self.available(today);
        if quantity <= 0 || available < quantity {
            return Err(Shortage { wanted: quantity, available });
        }
        let mut order: Vec<usize> =
            (0..self.lots.len()).filter(|index| is_fit(&self.lots[*index], today)).collect();
        order.sort_by_key(|index| {
            let lot = &self.lots[*index];
            (lot.expires_on, lot.received_at, lot.id)
        });
        let mut missing = quantity;
        let mut allocations = Vec::new();
        for index in order {
            let lot = &mut self.lots[index];
            let taken = lot.available().min(missing);
            if taken > 0 {
                lot.reserved += taken;
                missing -= taken;
                allocations.push(Allocation { lot: lot.id, quantity: taken });
            }
        }
        Ok(allocations)
    }

    /// Gives reserved units back.
    pub fn release(&mut self, allocations: &[Allocation]) -> Result<(), PharmacyError> {
        self.settle(allocations, |lot, quantity| lot.reserved -= quantity)
    }

    /// Takes reserved units out: they have left the pharmacy.
    pub fn consume(&mut self, allocations: &[Allocation]) -> Result<(), PharmacyError> {
        self.settle(allocations, |lot, quantity| {
            lot.reserved -= quantity;
            lot.on_hand -= quantity;
        })
    }

    /// Takes a delivery in. More of a lot that is there already is added to
    /// it, as long as it is the same lot.
    pub fn receive(
        &mut self,
        receipt: &Receipt,
        id: InventoryLotId,
        now: DateTime<Utc>,
    ) -> Result<InventoryLotId, PharmacyError> {
        let mut errors = Vec::new();
        let number = LotNumber::take("lot_number", &receipt.lot_number)
            .map_err(|error| errors.push(error))
            .unwrap_or_default();
        if !(1..=1_000_000).contains(&receipt.quantity) {
            errors.push(FieldError::new(
                "quantity",
                "out_of_range",
                "Between 1 and 1,000,000 units can be received at once.",
            ));
        }
        if receipt.expires_on <= now.date_naive() {
            errors.push(FieldError::new("expires_on", "expired", "The lot has expired."));
        }
        if receipt.reorder_level.is_some_and(|level| !(0..=1_000_000).contains(&level)) {
            errors.push(FieldError::new(
                "reorder_level",
                "out_of_range",
                "The reorder level lies between 0 and 1,000,000 units.",
            ));
        }
        if !errors.is_empty() {
            return Err(PharmacyError::Invalid(errors));
        }
        if let Some(level) = receipt.reorder_level {
            self.reorder_level = level;
        }
        match self.lots.iter_mut().find(|lot| lot.number == number) {
            Some(lot) if lot.expires_on == receipt.expires_on => {
                lot.on_hand += receipt.quantity;
                Ok(lot.id)
            }
            Some(_) => Err(PharmacyError::field(
                "expires_on",
                "contradicts_lot",
                "This lot is in stock with another expiry date.",
            )),
            None => {
                self.lots.push(Lot {
                    id,
                    number,
                    expires_on: receipt.expires_on,
                    on_hand: receipt.quantity,
                    reserved: 0,
                    received_at: now,
                });
                Ok(id)
            }
        }
    }

    fn settle(
        &mut self,
        allocations: &[Allocation],
        change: impl Fn(&mut Lot, i64),
    ) -> Result<(), PharmacyError> {
        for allocation in allocations {
            let lot = self
                .lots
                .iter_mut()
                .find(|lot| lot.id == allocation.lot && lot.reserved >= allocation.quantity)
                .ok_or_else(|| {
                    ports::PortError::bug(format!(
                        "the lot {} does not hold a reservation of {}",
                        allocation.lot, allocation.quantity
                    ))
                })?;
            change(lot, allocation.quantity);
        }
        Ok(())
    }
}

/// A lot that would expire while the patient still uses it is not sent.
fn is_fit(lot: &Lot, today: NaiveDate) -> bool {
    (lot.expires_on - today).num_days() >= SHELF_LIFE_DAYS
}

#[cfg(test)]
mod tests;
