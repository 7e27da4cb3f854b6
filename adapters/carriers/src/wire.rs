//! The vendor's JSON, as far as it is read or written.

use chrono::{DateTime, Utc};
use kernel::{Address, Money, text::vendor_word};
use pharmacy::{
    fulfilment::{CarrierShipment, Label, Parcel, ShipmentOrder, TrackerState, TrackingUpdate},
    shipment::TrackingStatus,
};
use serde::{Deserialize, Serialize};
use serde_json::Value;

#[derive(Serialize)]
pub struct CreateShipment<'a> {
    pub shipment: ShipmentParams<'a>,
}

#[derive(Serialize)]
pub struct ShipmentParams<'a> {
    pub reference: &'a str,
    pub to_address: AddressParams,
    pub from_address: AddressParams,
    pub parcel: ParcelParams,
}

#[derive(Serialize)]
pub struct AddressParams {
    pub name: String,
    pub street1: String,
    #[serde(skip_serializing_if = "Option::is_none")]
    pub street2: Option<String>,
    pub city: String,
    pub state: String,
    pub zip: String,
    pub country: &'static str,
    #[serde(skip_serializing_if = "Option::is_none")]
    pub phone: Option<String>,
}

/// Inches and ounces, to one decimal.
#[derive(Serialize)]
pub struct ParcelParams {
    pub length: f64,
    pub width: f64,
    pub height: f64,
    pub weight: f64,
}

#[derive(Serialize)]
pub struct BuyShipment<'a> {
    pub rate: RateReference<'a>,
}

#[derive(Serialize)]
pub struct RateReference<'a> {
    pub id: &'a str,
}

impl<'a> CreateShipment<'a> {
    pub fn of(order: &'a ShipmentOrder) -> Self {
        let to = &order.to;
        let from = &order.from;
        Self {
            shipment: ShipmentParams {
                reference: &order.reference,
                to_address: address(
                    to.name.to_string(),
                    &to.address,
                    to.phone.as_ref().map(ToString::to_string),
                ),
                from_address: address(
                    from.name.clone(),
                    &from.address,
                    Some(from.phone.to_string()),
                ),
                parcel: parcel(order.parcel),
            },
        }
    }
}

fn address(name: String, address: &Address, phone: Option<String>) -> AddressParams {
    AddressParams {
        name,
        street1: address.line1.clone(),
        street2: address.line2.clone(),
        city: address.city.clone(),
        state: address.state.to_string(),
        zip: address.postal_code.clone(),
        country: Address::COUNTRY,
        phone,
    }
}

fn parcel(parcel: Parcel) -> ParcelParams {
    let inches = |millimetres: u32| tenths(f64::from(millimetres) / 25.4);
    ParcelParams {
        length: inches(parcel.length_mm),
        width: inches(parcel.width_mm),
        height: inches(parcel.height_mm),
        weight: tenths(f64::from(parcel.weight_grams) / 28.349_523_125),
    }
}

fn tenths(value: f64) -> f64 {
    (value * 10.0).round() / 10.0
}

#[derive(Deserialize)]
pub struct Shipment {
    pub id: String,
    pub reference: Option<String>,
    #[serde(default)]
    pub rates: Vec<Rate>,
    pub selected_rate: Option<Rate>,
    pub postage_label: Option<PostageLabel>,
    pub tracking_code: Option<String>,
    pub tracker: Option<TrackerReference>,
}

#[derive(Deserialize)]
pub struct Rate {
    pub id: String,
    pub carrier: String,
    pub service: String,
    pub rate: String,
    pub currency: String,
}

#[derive(Deserialize)]
pub struct PostageLabel {
    pub id: String,
    pub label_url: String,
}

#[derive(Deserialize)]
pub struct TrackerReference {
    pub id: String,
}

#[derive(Deserialize)]
pub struct Shipments {
    pub shipments: Vec<Shipment>,
}

#[derive(Deserialize)]
pub struct ErrorBody {
    pub error: ErrorDetail,
}

#[derive(Deserialize)]
pub struct ErrorDetail {
    pub code: String,
}

impl Rate {
    /// The price in minor units; the vendor writes dollars with decimals.
    pub fn money(&self) -> Option<Money> {
        let currency = self.currency.parse().ok()?;
        let (whole, decimals) = self.rate.split_once('.').unwrap_or((&self.rate, ""));
        let digits = |text: &str| text.bytes().all(|byte| byte.is_ascii_digit());
        if whole.is_empty() || decimals.len() > 2 || !digits(whole) || !digits(decimals) {
            return None;
        }
        let whole: i64 = whole.parse().ok()?;
        let cents: i64 = format!("{decimals:0<2}").parse().ok()?;
        Some(Money::new(whole.checked_mul(100)?.checked_add(cents)?, currency))
    }
}

impl Shipment {
    /// The rate that costs least, among those whose price can be read.
    pub fn cheapest(&self) -> Option<&Rate> {
        self.rates
            .iter()
            .filter_map(|rate| Some((rate.money()?.minor, rate)))
            .min_by_key(|(price, _)| *price)
            .map(|(_, rate)| rate)
    }

    pub fn into_domain(self) -> CarrierShipment {
        let label = match (self.postage_label, self.selected_rate, self.tracking_code, self.tracker)
        {
            (Some(label), Some(rate), Some(tracking_number), Some(tracker)) => {
                rate.money().map(|cost| Label {
                    id: label.id,
                    url: label.label_url,
                    carrier: rate.carrier,
                    service: rate.service,
                    tracking_number,
                    tracker_id: tracker.id,
                    cost,
                })
            }
            _ => None,
        };
        CarrierShipment { id: self.id, reference: self.reference.unwrap_or_default(), label }
    }
}

/// What a tracker says: every statement that can be read, and why staff have to
/// see it where one cannot. A tracker that lists none speaks through its own
/// status. `None` where it is no tracker.
pub fn tracker(value: &Value) -> Option<(TrackerState, Option<&'static str>)> {
    let id = value["id"].as_str().and_then(vendor_word)?;
    let mut unread = None;
    let mut text = |name: &str| match &value[name] {
        Value::Null => None,
        Value::String(text) if text.is_empty() => None,
        other => {
            let word = other.as_str().and_then(vendor_word);
            if word.is_none() {
                unread = Some("The number of its parcel or the carrier's name cannot be read.");
            }
            word
        }
    };
    let carrier = text("carrier").unwrap_or_default();
    let tracking_number = text("tracking_code").unwrap_or_default();
    let shipment_id = text("shipment_id");
    let details = match &value["tracking_details"] {
        Value::Array(details) => details.as_slice(),
        Value::Null => &[],
        _ => {
            unread = Some("Its details are no list.");
            &[]
        }
    };
    let mut updates = Vec::with_capacity(details.len());
    for detail in details {
        match statement(&detail["status"], &detail["datetime"]) {
            Some(update) => updates.push(update),
            None => unread = Some("One of its details cannot be read."),
        }
    }
    if updates.is_empty() {
        match statement(&value["status"], &value["updated_at"]) {
            Some(update) => updates.push(update),
            None => unread = unread.or(Some("It says nothing of the parcel.")),
        }
    }
    let state = TrackerState { id, carrier, tracking_number, shipment_id, updates };
    Some((state, unread))
}

/// A status with its time.
fn statement(status: &Value, at: &Value) -> Option<TrackingUpdate> {
    let status = status.as_str()?.parse::<TrackingStatus>().ok()?;
    let at = at.as_str()?.parse::<DateTime<Utc>>().ok()?;
    kernel::year_fits(&at).then_some(TrackingUpdate { status, at })
}

#[cfg(test)]
mod tests {
    use super::*;

    fn rate(price: &str) -> Rate {
        Rate {
            id: "rate_1".into(),
            carrier: "USPS".into(),
            service: "Priority".into(),
            rate: price.into(),
            currency: "USD".into(),
        }
    }

    #[test]
    fn a_price_becomes_minor_units_without_a_float() {
        for (text, minor) in [("6.12", 612), ("6.1", 610), ("6", 600), ("0.07", 7)] {
            assert_eq!(rate(text).money(), Some(Money::usd(minor)), "{text}");
        }
        for bad in ["", "-1.00", "1.234", "x", "1e3", ".5"] {
            assert_eq!(rate(bad).money(), None, "{bad}");
        }
    }

    #[test]
    fn the_cheapest_rate_is_found_by_value_and_not_by_spelling() {
        let shipment = Shipment {
            id: "shp_1".into(),
            reference: None,
            rates: vec![rate("10.00"), rate("9.87"), rate("free")],
            selected_rate: None,
            postage_label: None,
            tracking_code: None,
            tracker: None,
        };
        assert_eq!(shipment.cheapest().map(|rate| rate.rate.as_str()), Some("9.87"));
    }
}
