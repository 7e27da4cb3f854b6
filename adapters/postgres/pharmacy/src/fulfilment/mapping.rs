//! Between rows and the domain.

use kernel::{Money, ShipmentId};
use pharmacy::{
    dispatch::Dispatch,
    fulfilment::{Label, PaidFill, TrackingUpdate},
    inventory::{Allocation, Lot, Stock},
    shipment::Shipment,
};
use ports::{PortError, Result};
use sea_orm::ActiveValue::Set;
use serde::{Deserialize, Serialize};

use super::entities::{allocation, dispatch, lot, paid_fill, shipment, stock, tracking};
use crate::Tx;

/// Where a recipient is sealed.
const RECIPIENT: &str = "shipments.recipient";
/// Where what a label tells whoever has it is sealed.
const LABEL: &str = "shipments.sealed_label";

#[derive(Serialize, Deserialize)]
struct SealedLabel {
    tracking_number: String,
    url: String,
}

pub(super) fn corrupt(
    what: &str,
    cause: impl Into<Box<dyn std::error::Error + Send + Sync>>,
) -> PortError {
    PortError::internal(format!("a stored {what} is invalid"), cause)
}

pub fn small(value: u32, what: &str) -> Result<i32> {
    i32::try_from(value).map_err(|error| corrupt(what, error))
}

pub fn stock(row: stock::Model, lots: Vec<lot::Model>) -> Result<Stock> {
    Ok(Stock {
        pharmacy: row.pharmacy_id.into(),
        ndc: row.ndc.parse().map_err(|error| corrupt("NDC", error))?,
        reorder_level: row.reorder_level,
        lots: lots
            .into_iter()
            .map(|lot| Lot {
                id: lot.id.into(),
                number: lot.lot_number,
                expires_on: lot.expires_on,
                on_hand: lot.on_hand,
                reserved: lot.reserved,
                received_at: lot.received_at,
            })
            .collect(),
    })
}

pub fn lot_row(stock: &Stock, lot: &Lot) -> lot::ActiveModel {
    lot::ActiveModel {
        id: Set(lot.id.uuid()),
        pharmacy_id: Set(stock.pharmacy.uuid()),
        ndc: Set(stock.ndc.to_string()),
        lot_number: Set(lot.number.clone()),
        expires_on: Set(lot.expires_on),
        on_hand: Set(lot.on_hand),
        reserved: Set(lot.reserved),
        received_at: Set(lot.received_at),
    }
}

pub fn paid_fill(row: paid_fill::Model) -> PaidFill {
    PaidFill {
        invoice: row.invoice_id.into(),
        subscription: row.subscription_id.into(),
        patient: row.patient_id.into(),
        category: row.category_id.into(),
        paid_at: row.paid_at,
        number: row.number.unsigned_abs(),
        scheduled_for: row.scheduled_for,
        due_at: row.due_at,
    }
}

pub fn paid_fill_row(fill: &PaidFill) -> Result<paid_fill::ActiveModel> {
    Ok(paid_fill::ActiveModel {
        invoice_id: Set(fill.invoice.uuid()),
        subscription_id: Set(fill.subscription.uuid()),
        patient_id: Set(fill.patient.uuid()),
        category_id: Set(fill.category.uuid()),
        paid_at: Set(fill.paid_at),
        number: Set(small(fill.number, "number of a paid fill")?),
        scheduled_for: Set(fill.scheduled_for),
        due_at: Set(fill.due_at),
    })
}

pub fn dispatch(row: dispatch::Model, allocations: Vec<allocation::Model>) -> Result<Dispatch> {
    Ok(Dispatch {
        id: row.id.into(),
        patient: row.patient_id.into(),
        category: row.category_id.into(),
        prescription: row.prescription_id.into(),
        fill_number: row.fill_number.unsigned_abs(),
        invoice: row.invoice_id.into(),
        paid_fill: row.paid_fill.unsigned_abs(),
        covers: row.covers.unsigned_abs(),
        pharmacy: row.pharmacy_id.into(),
        ndc: row.ndc.parse().map_err(|error| corrupt("NDC", error))?,
        quantity: row.quantity,
        state: row.state.parse().map_err(|error| corrupt("dispatch state", error))?,
        hold_reason: row
            .hold_reason
            .map(|reason| reason.parse())
            .transpose()
            .map_err(|error| corrupt("hold reason", error))?,
        allocations: allocations
            .into_iter()
            .map(|row| Allocation { lot: row.lot_id.into(), quantity: row.quantity })
            .collect(),
        shipment: row.shipment_id.map(Into::into),
        created_at: row.created_at,
        updated_at: row.updated_at,
        version: row.version,
    })
}

pub fn dispatch_row(value: &Dispatch, version: i64) -> Result<dispatch::ActiveModel> {
    Ok(dispatch::ActiveModel {
        id: Set(value.id.uuid()),
        patient_id: Set(value.patient.uuid()),
        category_id: Set(value.category.uuid()),
        prescription_id: Set(value.prescription.uuid()),
        fill_number: Set(small(value.fill_number, "fill number")?),
        invoice_id: Set(value.invoice.uuid()),
        paid_fill: Set(small(value.paid_fill, "number of a paid fill")?),
        covers: Set(small(value.covers, "number of months")?),
        pharmacy_id: Set(value.pharmacy.uuid()),
        ndc: Set(value.ndc.to_string()),
        quantity: Set(value.quantity),
        state: Set(value.state.to_string()),
        hold_reason: Set(value.hold_reason.map(|reason| reason.to_string())),
        shipment_id: Set(value.shipment.map(ShipmentId::uuid)),
        created_at: Set(value.created_at),
        updated_at: Set(value.updated_at),
        version: Set(version),
    })
}

pub fn allocation_rows(value: &Dispatch) -> impl Iterator<Item = allocation::ActiveModel> {
    value.allocations.iter().map(|each| allocation::ActiveModel {
        dispatch_id: Set(value.id.uuid()),
        lot_id: Set(each.lot.uuid()),
        quantity: Set(each.quantity),
    })
}

/// By what a tracking number is found.
pub fn tracking_index(tx: &Tx, number: &str) -> Result<String> {
    let index = tx.sealer().blind_index("shipments.tracking_number", number)?;
    Ok(hex::encode(index.0))
}

pub fn shipment(tx: &Tx, mut row: shipment::Model) -> Result<Shipment> {
    let recipient = tx.unseal(RECIPIENT, row.id, row.recipient)?;
    // A row from before labels were sealed has both in the clear.
    if let Some(sealed) = row.sealed_label {
        let label = tx.unseal(LABEL, row.id, sealed)?;
        let label: SealedLabel =
            serde_json::from_slice(&label).map_err(|error| corrupt("label", error))?;
        row.tracking_number = Some(label.tracking_number);
        row.label_url = Some(label.url);
    }
    let label = match (
        row.label_id,
        row.label_url,
        row.carrier,
        row.service,
        row.tracking_number,
        row.tracker_id,
        row.cost_minor.zip(row.cost_currency),
    ) {
        (
            Some(id),
            Some(url),
            Some(carrier),
            Some(service),
            Some(tracking_number),
            Some(tracker_id),
            Some((minor, currency)),
        ) => {
            let currency = currency.parse().map_err(|error| corrupt("currency", error))?;
            let cost = Money::new(minor, currency);
            Some(Label { id, url, carrier, service, tracking_number, tracker_id, cost })
        }
        _ => None,
    };
    Ok(Shipment {
        id: row.id.into(),
        dispatch: row.dispatch_id.into(),
        prescription: row.prescription_id.into(),
        patient: row.patient_id.into(),
        recipient: serde_json::from_slice(&recipient)
            .map_err(|error| corrupt("recipient", error))?,
        carrier_shipment: row.carrier_shipment_id,
        label,
        status: row.status.parse().map_err(|error| corrupt("tracking status", error))?,
        status_at: row.status_at,
        confirmed_at: row.confirmed_at,
        created_at: row.created_at,
        shipped_at: row.shipped_at,
        version: row.version,
    })
}

pub fn shipment_row(tx: &Tx, value: &Shipment, version: i64) -> Result<shipment::ActiveModel> {
    let recipient =
        serde_json::to_vec(&value.recipient).map_err(|error| corrupt("recipient", error))?;
    let label = value.label.clone();
    let text = |pick: fn(Label) -> String| Set(label.clone().map(pick));
    let (sealed_label, tracking_number) = match &label {
        Some(Label { tracking_number, url, .. }) => {
            let sealed = SealedLabel { tracking_number: tracking_number.clone(), url: url.clone() };
            let sealed = serde_json::to_vec(&sealed).map_err(|error| corrupt("label", error))?;
            let index = tracking_index(tx, tracking_number)?;
            (Some(tx.seal(LABEL, value.id, &sealed)?), Some(index))
        }
        None => (None, None),
    };
    Ok(shipment::ActiveModel {
        id: Set(value.id.uuid()),
        dispatch_id: Set(value.dispatch.uuid()),
        prescription_id: Set(value.prescription.uuid()),
        patient_id: Set(value.patient.uuid()),
        recipient: Set(tx.seal(RECIPIENT, value.id, &recipient)?),
        carrier_shipment_id: Set(value.carrier_shipment.clone()),
        carrier: text(|label| label.carrier),
        service: text(|label| label.service),
        tracking_number: Set(tracking_number),
        sealed_label: Set(sealed_label),
        tracker_id: text(|label| label.tracker_id),
        label_id: text(|label| label.id),
        label_url: text(|_| String::new()),
        cost_minor: Set(label.as_ref().map(|label| label.cost.minor)),
        cost_currency: text(|label| label.cost.currency.code().to_owned()),
        status: Set(value.status.to_string()),
        status_at: Set(value.status_at),
        confirmed_at: Set(value.confirmed_at),
        created_at: Set(value.created_at),
        shipped_at: Set(value.shipped_at),
        version: Set(version),
    })
}

pub fn tracking(row: tracking::Model) -> Result<TrackingUpdate> {
    let status = row.status.parse().map_err(|error| corrupt("tracking status", error))?;
    Ok(TrackingUpdate { status, at: row.said_at })
}
