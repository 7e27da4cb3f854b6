//! The adapter against the vendor's emulator, over HTTP.

use std::{net::TcpListener, time::Duration};

use emulators::easypost::{EasyPostConfig as EmulatorConfig, serve};
use kernel::{Address, HumanName, Money, UsState};
use pharmacy::{
    fulfilment::{Carriers, DeliveryAddress, Parcel, Sender, ShipmentOrder},
    shipment::TrackingStatus,
};
use ports::PortError;
use salus_carriers::{EasyPost, EasyPostConfig};
use serde_json::{Value, json};
use tempfile::TempDir;
use tokio_util::sync::{CancellationToken, DropGuard};

struct Vendor {
    url: String,
    client: EasyPost,
    http: reqwest::Client,
    _folder: TempDir,
    _running: DropGuard,
}

impl Vendor {
    async fn start() -> Self {
        let folder = tempfile::tempdir().unwrap();
        let listener = TcpListener::bind("127.0.0.1:0").unwrap();
        let url = format!("http://{}", listener.local_addr().unwrap());
        let config = EmulatorConfig {
            state_path: folder.path().join("easypost.json"),
            api_key: "EZTKtest".into(),
            webhook_url: None,
            webhook_secret: "secret".into(),
            advance_every: None,
        };
        let shutdown = CancellationToken::new();
        tokio::spawn(serve(config, listener, shutdown.clone()));
        Self {
            client: client(&url, "EZTKtest"),
            http: reqwest::Client::new(),
            url,
            _folder: folder,
            _running: shutdown.drop_guard(),
        }
    }

    async fn control(&self, path: &str, body: Value) -> Value {
        let answer =
            self.http.post(format!("{}/_control/{path}", self.url)).json(&body).send().await;
        let answer = answer.unwrap().error_for_status().unwrap().bytes().await.unwrap();
        serde_json::from_slice(&answer).unwrap_or_default()
    }

    async fn state(&self) -> Value {
        let answer = self.http.get(format!("{}/_control/state", self.url)).send().await.unwrap();
        answer.json().await.unwrap()
    }
}

fn client(url: &str, api_key: &str) -> EasyPost {
    EasyPost::new(EasyPostConfig {
        base_url: url.parse().unwrap(),
        api_key: api_key.into(),
        timeout: Duration::from_millis(500),
    })
    .unwrap()
}

fn order(reference: &str) -> ShipmentOrder {
    let address = |line1: &str| Address {
        line1: line1.into(),
        line2: None,
        city: "Boston".into(),
        state: UsState::Ma,
        postal_code: "02108".into(),
    };
    ShipmentOrder {
        reference: reference.into(),
        from: Sender {
            name: "Harbor Pharmacy".into(),
            address: address("1 Dock Street"),
            phone: "+16175550100".parse().unwrap(),
        },
        to: DeliveryAddress {
            name: HumanName { given: "Ada".into(), family: "Example".into() },
            address: address("2 Main Street"),
            phone: None,
        },
        parcel: Parcel::STANDARD,
    }
}

#[tokio::test]
async fn a_shipment_is_made_bought_at_the_lowest_rate_and_tracked() {
    let vendor = Vendor::start().await;
    assert_eq!(vendor.client.find("ref-1").await.unwrap(), None);
    let made = vendor.client.create(&order("ref-1")).await.unwrap();
    assert_eq!(made.label, None);
    let bought = vendor.client.buy(&made).await.unwrap();
    let label = bought.label.clone().unwrap();
    assert_eq!((label.cost, label.service.as_str()), (Money::usd(612), "GroundAdvantage"));
    assert_eq!(vendor.client.find("ref-1").await.unwrap(), Some(bought.clone()));
    // Bought again, it is the same label and costs nothing more.
    assert_eq!(vendor.client.buy(&made).await.unwrap(), bought);
    assert_eq!(vendor.state().await["labels_bought"], 1);
    let said = json!({ "tracking_code": label.tracking_number, "status": "in_transit" });
    vendor.control("trackers", said).await;
    let tracker = vendor.client.tracker(&label.tracker_id).await.unwrap().unwrap();
    let statuses: Vec<TrackingStatus> = tracker.updates.iter().map(|each| each.status).collect();
    assert_eq!(statuses, [TrackingStatus::PreTransit, TrackingStatus::InTransit]);
    assert_eq!(tracker.shipment_id, Some(bought.id));
    assert_eq!(vendor.client.tracker("trk_nothing").await.unwrap(), None);
}

#[tokio::test]
async fn an_answer_that_was_lost_is_unknown_and_found_by_reference() {
    let vendor = Vendor::start().await;
    let fault = |kind: &str, path: &str| json!({ "fault": kind, "times": 1, "path": path });
    vendor.control("faults", fault("drop_after", "/shipments")).await;
    let lost = vendor.client.create(&order("ref-1")).await;
    assert!(matches!(lost, Err(PortError::Unknown { .. })), "{lost:?}");
    let found = vendor.client.find("ref-1").await.unwrap().unwrap();
    vendor.control("faults", fault("drop_after", "/buy")).await;
    let lost = vendor.client.buy(&found).await;
    assert!(matches!(lost, Err(PortError::Unknown { .. })), "{lost:?}");
    let found = vendor.client.find("ref-1").await.unwrap().unwrap();
    assert!(found.label.is_some());
    assert_eq!(vendor.state().await["labels_bought"], 1);
}

#[tokio::test]
async fn failures_are_told_apart() {
    let vendor = Vendor::start().await;
    let fault = |kind: &str| json!({ "fault": kind, "times": 1 });
    vendor.control("faults", fault("status_500")).await;
    let read = vendor.client.find("ref-1").await;
    assert!(matches!(read, Err(PortError::Unavailable { .. })), "{read:?}");
    for kind in ["status_500", "hang"] {
        vendor.control("faults", fault(kind)).await;
        let made = vendor.client.create(&order("ref-1")).await;
        assert!(matches!(made, Err(PortError::Unknown { .. })), "{kind}: {made:?}");
    }
    assert_eq!(vendor.client.find("ref-1").await.unwrap(), None);
    let mut nowhere = order("ref-1");
    nowhere.to.address.city = " ".into();
    let refused = vendor.client.create(&nowhere).await;
    let Err(PortError::Refused { code, message, .. }) = refused else { panic!("{refused:?}") };
    assert_eq!(code, "ADDRESS.VERIFY.FAILURE");
    assert!(!message.contains("Main Street"));
    let stranger = client(&vendor.url, "wrong").find("ref-1").await;
    assert!(matches!(stranger, Err(PortError::Unavailable { .. })), "{stranger:?}");
    let nobody = client("http://127.0.0.1:1", "EZTKtest").create(&order("ref-1")).await;
    assert!(matches!(nobody, Err(PortError::Unavailable { .. })), "{nobody:?}");
}

#[tokio::test]
async fn a_number_that_is_given_out_again_belongs_to_another_tracker() {
    let vendor = Vendor::start().await;
    let mut trackers = Vec::new();
    for reference in ["ref-1", "ref-2"] {
        vendor.control("next_tracking_code", json!({ "tracking_code": "94001" })).await;
        let made = vendor.client.create(&order(reference)).await.unwrap();
        let label = vendor.client.buy(&made).await.unwrap().label.unwrap();
        assert_eq!(label.tracking_number, "94001");
        trackers.push(label.tracker_id);
    }
    assert_ne!(trackers[0], trackers[1]);
}
