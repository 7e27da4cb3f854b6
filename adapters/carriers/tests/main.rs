//! The adapter against the vendor's emulator, over HTTP.

use std::{
    net::TcpListener,
    sync::{
        Arc,
        atomic::{AtomicU32, Ordering},
    },
    time::Duration,
};

use emulators::easypost::{EasyPostConfig as EmulatorConfig, serve};
use kernel::{Address, HumanName, Money, UsState};
use pharmacy::{
    fulfilment::{
        BadSignature, CarrierWebhooks as _, Carriers, DeliveryAddress, Parcel, Sender,
        ShipmentOrder,
    },
    shipment::TrackingStatus,
};
use poem::{
    EndpointExt as _, Route, Server, handler, http::StatusCode, listener::TcpAcceptor, post,
    web::Data,
};
use ports::PortError;
use salus_carriers::{EasyPost, EasyPostConfig, EasyPostWebhooks};
use serde_json::{Value, json};
use tempfile::TempDir;
use tokio::sync::mpsc;
use tokio_util::sync::{CancellationToken, DropGuard};

/// With an accent, which has two spellings.
const SECRET: &str = "caf\u{e9}";

struct Vendor {
    url: String,
    client: EasyPost,
    http: reqwest::Client,
    folder: TempDir,
    _running: DropGuard,
}

impl Vendor {
    async fn start() -> Self {
        Self::at(tempfile::tempdir().unwrap(), None)
    }

    /// Starts on the state in `folder`, with webhooks to `webhook_url`.
    fn at(folder: TempDir, webhook_url: Option<String>) -> Self {
        let listener = TcpListener::bind("127.0.0.1:0").unwrap();
        let url = format!("http://{}", listener.local_addr().unwrap());
        let config = EmulatorConfig {
            state_path: folder.path().join("easypost.json"),
            api_key: "EZTKtest".into(),
            webhook_url,
            webhook_secret: SECRET.into(),
            advance_every: None,
        };
        let shutdown = CancellationToken::new();
        tokio::spawn(serve(config, listener, shutdown.clone()));
        Self {
            client: client(&url, "EZTKtest"),
            http: reqwest::Client::new(),
            url,
            folder,
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

type Notice = (Option<String>, Vec<u8>);

struct Inbox {
    taken: mpsc::UnboundedSender<Notice>,
    /// How many notices are still to be answered with a failure.
    failures: AtomicU32,
}

#[handler]
fn take(Data(inbox): Data<&Arc<Inbox>>, request: &poem::Request, body: Vec<u8>) -> StatusCode {
    let failing =
        inbox.failures.fetch_update(Ordering::SeqCst, Ordering::SeqCst, |left| left.checked_sub(1));
    if failing.is_ok() {
        return StatusCode::INTERNAL_SERVER_ERROR;
    }
    let signature = request.header("x-hmac-signature").map(str::to_owned);
    inbox.taken.send((signature, body)).map_or(StatusCode::GONE, |()| StatusCode::OK)
}

/// Listens for webhooks and fails the first of them.
fn inbox(failures: u32) -> (String, mpsc::UnboundedReceiver<Notice>) {
    let (taken, notices) = mpsc::unbounded_channel();
    let listener = TcpListener::bind("127.0.0.1:0").unwrap();
    listener.set_nonblocking(true).unwrap();
    let url = format!("http://{}/webhooks/easypost", listener.local_addr().unwrap());
    let inbox = Arc::new(Inbox { taken, failures: AtomicU32::new(failures) });
    let app = Route::new().at("/webhooks/easypost", post(take)).data(inbox);
    let acceptor = TcpAcceptor::from_std(listener).unwrap();
    tokio::spawn(Server::new_with_acceptor(acceptor).run(app));
    (url, notices)
}

async fn next(notices: &mut mpsc::UnboundedReceiver<Notice>) -> Notice {
    let waiting = tokio::time::timeout(Duration::from_secs(20), notices.recv());
    waiting.await.expect("a notice in time").expect("a notice")
}

#[tokio::test]
async fn notices_are_signed_repeated_until_taken_and_the_same_each_time() {
    let (url, mut notices) = inbox(2);
    let vendor = Vendor::at(tempfile::tempdir().unwrap(), Some(url));
    let made = vendor.client.create(&order("ref-1")).await.unwrap();
    let label = vendor.client.buy(&made).await.unwrap().label.unwrap();
    let webhooks = EasyPostWebhooks::new("cafe\u{301}");
    let (signature, body) = next(&mut notices).await;
    let opened = webhooks.open(&body, signature.as_deref()).unwrap();
    assert_eq!(opened.unread, None, "what the vendor sends by itself can be used");
    let event = opened.event.unwrap();
    let tracker = event.tracker.unwrap();
    assert_eq!((&tracker.id, tracker.shipment_id.as_ref()), (&label.tracker_id, Some(&made.id)));
    assert_eq!(tracker.updates[0].status, TrackingStatus::PreTransit);
    let replay = format!("events/{}/replay", event.id);
    vendor.control(&replay, json!({})).await;
    assert_eq!(next(&mut notices).await, (signature, body.clone()));
    vendor.control(&replay, json!({ "signature": "bad" })).await;
    let (forged, body) = next(&mut notices).await;
    let refused = webhooks.open(&body, forged.as_deref());
    assert_eq!(refused, Err(BadSignature));
}

#[tokio::test]
async fn a_late_statement_is_told_with_its_own_time() {
    let (url, mut notices) = inbox(0);
    let vendor = Vendor::at(tempfile::tempdir().unwrap(), Some(url));
    let made = vendor.client.create(&order("ref-1")).await.unwrap();
    let number = vendor.client.buy(&made).await.unwrap().label.unwrap().tracking_number;
    next(&mut notices).await;
    let webhooks = EasyPostWebhooks::new(SECRET);
    for (status, datetime) in
        [("delivered", "2099-03-03T12:00:00Z"), ("in_transit", "2099-03-02T12:00:00Z")]
    {
        let said = json!({ "tracking_code": number, "status": status, "datetime": datetime });
        vendor.control("trackers", said).await;
        let (signature, body) = next(&mut notices).await;
        let opened = webhooks.open(&body, signature.as_deref()).unwrap();
        let tracker = opened.event.unwrap().tracker.unwrap();
        let last = tracker.updates.last().unwrap();
        assert_eq!(last.status.to_string(), status);
        assert_eq!(last.at, datetime.parse::<chrono::DateTime<chrono::Utc>>().unwrap());
    }
}

#[tokio::test]
async fn the_vendor_remembers_after_it_was_killed() {
    let Vendor { folder, client, _running, .. } = Vendor::start().await;
    let made = client.create(&order("ref-1")).await.unwrap();
    let bought = client.buy(&made).await.unwrap();
    drop(_running);
    let again = Vendor::at(folder, None);
    assert_eq!(again.client.find("ref-1").await.unwrap(), Some(bought));
}
