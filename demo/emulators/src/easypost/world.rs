//! What the vendor remembers.

use std::collections::BTreeMap;

use chrono::{DateTime, TimeDelta, Utc};
use serde::{Deserialize, Serialize};
use serde_json::{Value, json};

use super::{fresh, now};

#[derive(Clone, Debug, Default, Serialize, Deserialize)]
pub struct World {
    pub shipments: BTreeMap<String, Shipment>,
    pub trackers: BTreeMap<String, Tracker>,
    /// Every event that was ever made, in order.
    pub events: Vec<Event>,
    /// What is still to be delivered.
    pub pending: Vec<Pending>,
    pub faults: Vec<Fault>,
    pub next_tracking_code: Option<String>,
    /// How many labels were ever bought.
    pub labels_bought: u64,
}

#[derive(Clone, Debug, Serialize, Deserialize)]
pub struct Shipment {
    pub id: String,
    pub reference: Option<String>,
    pub to_address: Value,
    pub from_address: Value,
    pub parcel: Value,
    pub rates: Vec<Rate>,
    pub bought: Option<Bought>,
    pub created_at: DateTime<Utc>,
}

#[derive(Clone, Debug, Serialize, Deserialize)]
pub struct Rate {
    pub id: String,
    pub carrier: String,
    pub service: String,
    /// Dollars with two decimals, as the vendor writes it.
    pub rate: String,
    pub delivery_days: u32,
}

#[derive(Clone, Debug, Serialize, Deserialize)]
pub struct Bought {
    pub rate: Rate,
    pub label_id: String,
    pub tracking_code: String,
    pub tracker_id: String,
}

#[derive(Clone, Debug, Serialize, Deserialize)]
pub struct Tracker {
    pub id: String,
    pub shipment_id: String,
    pub tracking_code: String,
    pub carrier: String,
    pub details: Vec<Detail>,
    pub updated_at: DateTime<Utc>,
}

#[derive(Clone, Debug, Serialize, Deserialize)]
pub struct Detail {
    pub status: String,
    pub message: String,
    pub datetime: DateTime<Utc>,
}

#[derive(Clone, Debug, Serialize, Deserialize)]
pub struct Event {
    pub id: String,
    /// The body exactly as it is sent, so that a repetition is the same.
    pub body: String,
}

#[derive(Clone, Debug, Serialize, Deserialize)]
pub struct Pending {
    pub event_id: String,
    pub attempts: u32,
    pub due: DateTime<Utc>,
    pub bad_signature: bool,
}

#[derive(Clone, Debug, Serialize, Deserialize)]
pub struct Fault {
    pub fault: FaultKind,
    pub times: u32,
    /// Only calls whose path contains this.
    #[serde(default)]
    pub path: Option<String>,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum FaultKind {
    /// Answers 500 and does nothing.
    #[serde(rename = "status_500")]
    Status500,
    /// Never answers and does nothing.
    Hang,
    /// Does what was asked and loses the answer.
    DropAfter,
}

/// The statuses that a tracker can have.
pub const STATUSES: [&str; 10] = [
    "unknown",
    "pre_transit",
    "in_transit",
    "out_for_delivery",
    "delivered",
    "available_for_pickup",
    "return_to_sender",
    "failure",
    "cancelled",
    "error",
];

impl World {
    /// The fault of this call, if one is waiting for it.
    pub fn take_fault(&mut self, path: &str) -> Option<FaultKind> {
        let fault = self.faults.iter_mut().find(|fault| {
            fault.times > 0 && fault.path.as_deref().is_none_or(|part| path.contains(part))
        })?;
        fault.times -= 1;
        Some(fault.fault)
    }

    pub fn buy(&mut self, shipment_id: &str, rate_id: &str) -> Result<Shipment, &'static str> {
        let shipment = self.shipments.get_mut(shipment_id).ok_or("NOT_FOUND")?;
        if shipment.bought.is_some() {
            return Err("SHIPMENT.POSTAGE.EXISTS");
        }
        let rate = shipment
            .rates
            .iter()
            .find(|rate| rate.id == rate_id)
            .cloned()
            .ok_or("SHIPMENT.RATE.NOT_FOUND")?;
        self.labels_bought += 1;
        let tracking_code = self
            .next_tracking_code
            .take()
            .unwrap_or_else(|| format!("94001{:017}", self.labels_bought));
        let tracker_id = fresh("trk");
        shipment.bought = Some(Bought {
            rate: rate.clone(),
            label_id: fresh("pl"),
            tracking_code: tracking_code.clone(),
            tracker_id: tracker_id.clone(),
        });
        let bought = shipment.clone();
        let tracker = Tracker {
            id: tracker_id.clone(),
            shipment_id: bought.id.clone(),
            tracking_code,
            carrier: rate.carrier,
            details: Vec::new(),
            updated_at: now(),
        };
        self.trackers.insert(tracker_id.clone(), tracker);
        self.add_detail(&tracker_id, "pre_transit", now(), true);
        Ok(bought)
    }

    /// Adds a statement to a tracker and, if asked, an event about it.
    pub fn add_detail(
        &mut self,
        tracker_id: &str,
        status: &str,
        datetime: DateTime<Utc>,
        send: bool,
    ) -> Option<Tracker> {
        let tracker = self.trackers.get_mut(tracker_id)?;
        tracker.details.push(Detail {
            status: status.to_owned(),
            message: message(status).to_owned(),
            datetime,
        });
        tracker.details.sort_by_key(|detail| detail.datetime);
        tracker.updated_at = now();
        let mut said = tracker.clone();
        if send {
            // The event tells what was known when it was made: this statement
            // and those before it.
            said.details.retain(|detail| detail.datetime <= datetime);
            let event_id = fresh("evt");
            let body = json!({
                "id": event_id,
                "object": "Event",
                "mode": "test",
                "description": "tracker.updated",
                "status": "pending",
                "result": said.wire(),
                "previous_attributes": {},
                "pending_urls": [],
                "completed_urls": [],
                "created_at": now(),
                "updated_at": now(),
            });
            self.events.push(Event { id: event_id.clone(), body: body.to_string() });
            self.pending.push(Pending { event_id, attempts: 0, due: now(), bad_signature: false });
        }
        self.trackers.get(tracker_id).cloned()
    }

    /// Moves every tracker on that has rested long enough.
    pub fn advance(&mut self, rest: TimeDelta) {
        let due: Vec<(String, &'static str)> = self
            .trackers
            .values()
            .filter(|tracker| now() - tracker.updated_at >= rest)
            .filter_map(|tracker| Some((tracker.id.clone(), next_status(tracker.status())?)))
            .collect();
        for (id, status) in due {
            self.add_detail(&id, status, now(), true);
        }
    }
}

fn next_status(status: &str) -> Option<&'static str> {
    match status {
        "pre_transit" => Some("in_transit"),
        "in_transit" => Some("out_for_delivery"),
        "out_for_delivery" => Some("delivered"),
        _ => None,
    }
}

fn message(status: &str) -> &'static str {
    match status {
        "pre_transit" => "Pre-shipment information was sent to the carrier",
        "in_transit" => "Arrived at a sorting facility",
        "out_for_delivery" => "Out for delivery",
        "delivered" => "Delivered",
        "available_for_pickup" => "Available for pickup",
        "return_to_sender" => "On its way back to the sender",
        _ => "",
    }
}

impl Shipment {
    pub fn new(
        reference: Option<String>,
        to_address: Value,
        from_address: Value,
        parcel: Value,
    ) -> Self {
        let rate = |carrier: &str, service: &str, rate: &str, delivery_days| Rate {
            id: fresh("rate"),
            carrier: carrier.to_owned(),
            service: service.to_owned(),
            rate: rate.to_owned(),
            delivery_days,
        };
        Self {
            id: fresh("shp"),
            reference,
            to_address,
            from_address,
            parcel,
            rates: vec![
                rate("USPS", "Priority", "9.87", 2),
                rate("USPS", "GroundAdvantage", "6.12", 4),
                rate("UPS", "Ground", "11.40", 3),
            ],
            bought: None,
            created_at: now(),
        }
    }

    /// The vendor's JSON.
    pub fn wire(&self, trackers: &BTreeMap<String, Tracker>) -> Value {
        let rate = |rate: &Rate| {
            json!({
                "id": rate.id,
                "object": "Rate",
                "carrier": rate.carrier,
                "service": rate.service,
                "rate": rate.rate,
                "currency": "USD",
                "delivery_days": rate.delivery_days,
                "shipment_id": self.id,
            })
        };
        let bought = self.bought.as_ref();
        json!({
            "id": self.id,
            "object": "Shipment",
            "mode": "test",
            "reference": self.reference,
            "to_address": self.to_address,
            "from_address": self.from_address,
            "parcel": self.parcel,
            "rates": self.rates.iter().map(rate).collect::<Vec<_>>(),
            "selected_rate": bought.map(|bought| rate(&bought.rate)),
            "postage_label": bought.map(|bought| json!({
                "id": bought.label_id,
                "object": "PostageLabel",
                "label_url": format!("https://labels.example/{}.png", bought.label_id),
                "label_file_type": "image/png",
            })),
            "tracking_code": bought.map(|bought| bought.tracking_code.clone()),
            "tracker": bought
                .and_then(|bought| trackers.get(&bought.tracker_id))
                .map(Tracker::wire),
            "status": bought
                .and_then(|bought| trackers.get(&bought.tracker_id))
                .map_or("unknown", Tracker::status),
            "created_at": self.created_at,
        })
    }
}

impl Tracker {
    /// The status of the latest statement.
    pub fn status(&self) -> &str {
        self.details.last().map_or("unknown", |detail| detail.status.as_str())
    }

    pub fn wire(&self) -> Value {
        json!({
            "id": self.id,
            "object": "Tracker",
            "mode": "test",
            "tracking_code": self.tracking_code,
            "status": self.status(),
            "carrier": self.carrier,
            "shipment_id": self.shipment_id,
            "tracking_details": self
                .details
                .iter()
                .map(|detail| json!({
                    "object": "TrackingDetail",
                    "status": detail.status,
                    "message": detail.message,
                    "datetime": detail.datetime.to_rfc3339_opts(chrono::SecondsFormat::Secs, true),
                    "source": self.carrier,
                    "tracking_location": {
                        "city": null, "state": null, "country": "US", "zip": null,
                    },
                }))
                .collect::<Vec<_>>(),
            "updated_at": self.updated_at,
        })
    }
}
