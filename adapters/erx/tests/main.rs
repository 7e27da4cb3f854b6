//! The adapter against the emulated pharmacy, over HTTPS.

use std::{
    net::TcpListener,
    path::Path,
    sync::{
        Arc, Mutex,
        atomic::{AtomicU32, Ordering},
    },
    time::{Duration, Instant},
};

use chrono::{NaiveDate, TimeZone as _, Utc};
use emulators::pharmacy::{PharmacyConfig, root_ca, serve};
use kernel::{Address, DeaSchedule, ErxMessageId, HumanName, QuantityUnit, Sex, UsState, Uuid};
use pharmacy::{
    erx::{
        Acknowledgement, ErxNetwork, Inbound, NewRx, Reply,
        new_rx::{RxPatient, RxPrescriber},
    },
    prescription::{Amount, Diagnosis, Dosing, Medication, Pharmacy},
};
use poem::{EndpointExt as _, Route, Server, handler, listener::TcpAcceptor, post, web::Data};
use ports::PortError;
use salus_erx::{Credential, ErxClient, ErxSettings, Software};
use tokio_util::sync::CancellationToken;

const CALLBACK: &str = "Bearer callback-secret";

/// What the sender's side of the callbacks has heard.
#[derive(Default)]
struct Heard {
    messages: Mutex<Vec<Inbound>>,
    /// How many calls are refused before one is taken.
    refusals: AtomicU32,
    adapter: Mutex<Option<Arc<ErxClient>>>,
}

#[handler]
async fn callback(
    Data(heard): Data<&Arc<Heard>>,
    request: &poem::Request,
    body: String,
) -> poem::Result<String> {
    assert_eq!(request.header("authorization"), Some(CALLBACK));
    if heard.refusals.load(Ordering::SeqCst) > 0 {
        heard.refusals.fetch_sub(1, Ordering::SeqCst);
        return Err(poem::http::StatusCode::SERVICE_UNAVAILABLE.into());
    }
    let adapter = heard.adapter.lock().unwrap().clone().expect("an adapter");
    let inbound = adapter.read(&body).expect("a message");
    let answer = Acknowledgement {
        id: Uuid::from_u128(99).into(),
        relates_to: Some(inbound.message_id.clone()),
        at: Utc.with_ymd_and_hms(2026, 3, 1, 12, 0, 0).unwrap(),
        refusal: None,
    };
    heard.messages.lock().unwrap().push(inbound);
    Ok(adapter.acknowledge(&answer).expect("an answer"))
}

struct World {
    adapter: Arc<ErxClient>,
    control: reqwest::Client,
    url: String,
    heard: Arc<Heard>,
    shutdown: CancellationToken,
    folder: tempfile::TempDir,
    server: Option<tokio::task::JoinHandle<anyhow_result::Outcome>>,
    callback_url: String,
}

mod anyhow_result {
    /// What the emulator ends with, as a text.
    pub type Outcome = Result<(), String>;
}

fn settings(url: &str, folder: &Path) -> ErxSettings {
    ErxSettings {
        url: format!("{url}/script"),
        credential: Credential::Basic { user: "salus".into(), password: "secret".into() },
        root_ca: Some(root_ca(folder).unwrap()),
        connect_timeout: Duration::from_secs(5),
        timeout: Duration::from_secs(5),
        software: Software {
            developer: "Salus".into(),
            product: "Salus".into(),
            version: "1".into(),
        },
    }
}

fn start(
    folder: &Path,
    callback_url: &str,
    shutdown: CancellationToken,
) -> (String, tokio::task::JoinHandle<anyhow_result::Outcome>) {
    let listener = TcpListener::bind("127.0.0.1:0").unwrap();
    let url = format!("https://127.0.0.1:{}", listener.local_addr().unwrap().port());
    let config = PharmacyConfig {
        data_dir: folder.to_owned(),
        // `salus:secret` in base64.
        authorization: "Basic c2FsdXM6c2VjcmV0".into(),
        callback_url: callback_url.to_owned(),
        callback_authorization: CALLBACK.into(),
        verify_after: Duration::ZERO,
    };
    let server = tokio::spawn(async move {
        serve(config, listener, shutdown).await.map_err(|error| format!("{error:#}"))
    });
    (url, server)
}

fn control(folder: &Path) -> reqwest::Client {
    let pem = root_ca(folder).unwrap();
    reqwest::Client::builder()
        .tls_certs_merge([reqwest::Certificate::from_pem(pem.as_bytes()).unwrap()])
        .build()
        .unwrap()
}

impl World {
    async fn new() -> Self {
        let folder = tempfile::tempdir().unwrap();
        let heard = Arc::new(Heard::default());
        let shutdown = CancellationToken::new();
        let listener = TcpListener::bind("127.0.0.1:0").unwrap();
        listener.set_nonblocking(true).unwrap();
        let callback_url = format!("http://{}/erx", listener.local_addr().unwrap());
        let app = Route::new().at("/erx", post(callback)).data(heard.clone());
        let acceptor = TcpAcceptor::from_std(listener).unwrap();
        tokio::spawn(Server::new_with_acceptor(acceptor).run(app));
        let (url, server) = start(folder.path(), &callback_url, shutdown.clone());
        let adapter = Arc::new(ErxClient::new(settings(&url, folder.path())).unwrap());
        *heard.adapter.lock().unwrap() = Some(adapter.clone());
        let control = control(folder.path());
        Self { adapter, control, url, heard, shutdown, folder, server: Some(server), callback_url }
    }

    async fn send(&self, rx: &NewRx) -> ports::Result<Inbound> {
        self.adapter.deliver(&self.adapter.compose(rx).unwrap()).await
    }

    async fn fault(&self, fault: &str, times: u32) {
        let body = format!("{{\"fault\": \"{fault}\", \"times\": {times}}}");
        let answer = self
            .control
            .post(format!("{}/_control/faults", self.url))
            .header("content-type", "application/json")
            .body(body)
            .send()
            .await
            .unwrap();
        assert!(answer.status().is_success(), "{}", answer.status());
    }

    async fn messages(&self) -> String {
        let url = format!("{}/_control/messages", self.url);
        self.control.get(url).send().await.unwrap().text().await.unwrap()
    }

    /// Waits until so many callbacks are heard.
    async fn heard(&self, count: usize) -> Vec<Inbound> {
        let deadline = Instant::now() + Duration::from_secs(20);
        loop {
            let heard = self.heard.messages.lock().unwrap().clone();
            if heard.len() >= count {
                return heard;
            }
            assert!(Instant::now() < deadline, "heard {heard:?}, not {count}");
            tokio::time::sleep(Duration::from_millis(10)).await;
        }
    }
}

fn address() -> Address {
    Address {
        line1: "1 Main Street".into(),
        line2: None,
        city: "Boston".into(),
        state: UsState::Ma,
        postal_code: "02110".into(),
    }
}

fn rx(message: u128) -> NewRx {
    NewRx {
        message: ErxMessageId::from_uuid(Uuid::from_u128(message)),
        prescription: Uuid::from_u128(11).into(),
        sent_at: Utc.with_ymd_and_hms(2026, 3, 1, 12, 0, 0).unwrap(),
        patient: RxPatient {
            name: HumanName { given: "Zoë <&>".into(), family: "O'Example".into() },
            birth_date: NaiveDate::from_ymd_opt(1980, 5, 17).unwrap(),
            sex: Sex::Female,
            address: address(),
            phone: "+16175550100".parse().unwrap(),
        },
        pharmacy: Pharmacy {
            id: Uuid::from_u128(12).into(),
            ncpdp_id: "1234567".parse().unwrap(),
            npi: "1234567893".parse().unwrap(),
            name: "Example Pharmacy".into(),
            address: address(),
            phone: "+16175550199".parse().unwrap(),
            mail_order: true,
            active: true,
            dea: None,
            licensed_in: [UsState::Ma].into(),
            version: 1,
        },
        prescriber: RxPrescriber {
            name: HumanName { given: "Grace".into(), family: "Example".into() },
            spi: "6301875277001".into(),
            npi: "1234567893".parse().unwrap(),
            dea: None,
            license_state: UsState::Ma,
            license_number: "MA12345".into(),
            address: address(),
            phone: "+16175550101".parse().unwrap(),
        },
        medication: Medication {
            rxnorm: "314076".parse().unwrap(),
            ndc: "00000000000".parse().unwrap(),
            display: "lisinopril 10 MG Oral Tablet".into(),
            strength: "10 MG".into(),
            schedule: DeaSchedule::None,
        },
        dosing: Dosing {
            sig: "Take one tablet daily.".into(),
            quantity: Amount::whole(30).unwrap(),
            unit: QuantityUnit::Tablet,
            days_supply: 30,
            refills: 2,
        },
        diagnosis: Diagnosis { code: "I10".parse().unwrap(), display: "Hypertension".into() },
        written_on: NaiveDate::from_ymd_opt(2026, 3, 1).unwrap(),
        allergies: vec!["Penicillin V".into()],
    }
}

#[tokio::test]
async fn a_new_rx_is_answered_and_later_verified() {
    let world = World::new().await;
    let rx = rx(1);
    let reply = world.send(&rx).await.unwrap();
    assert_eq!(reply.relates_to, Some(rx.message));
    assert_eq!(reply.reply, Reply::Status { code: "010".into() });
    let heard = world.heard(1).await;
    assert_eq!(heard[0].relates_to, Some(rx.message));
    assert_eq!(heard[0].reply, Reply::Verify { code: "010".into() });

    let url = format!("{}/_control/messages/{}", world.url, rx.message.uuid().simple());
    let kept = world.control.get(url).send().await.unwrap().text().await.unwrap();
    assert_eq!(kept, world.adapter.compose(&rx).unwrap());
}

#[tokio::test]
async fn what_is_missing_is_refused_with_a_description_code() {
    let world = World::new().await;
    let mut lacking = rx(1);
    lacking.patient.name.family = " ".into();
    let reply = world.send(&lacking).await.unwrap();
    assert_eq!(reply.relates_to, Some(lacking.message));
    let Reply::Error { code, description_code, description } = reply.reply else {
        panic!("{:?}", reply.reply)
    };
    assert_eq!((code.as_str(), description_code.as_deref()), ("900", Some("2000")));
    assert!(description.contains("LastName"), "{description}");
    assert_eq!(world.messages().await, "[]");
}

#[tokio::test]
async fn a_failing_or_silent_server_leaves_the_outcome_unknown() {
    let world = World::new().await;
    world.fault("status_500", 1).await;
    let failed = world.send(&rx(1)).await.unwrap_err();
    assert!(matches!(failed, PortError::Unknown { .. }), "{failed:?}");

    world.fault("hang", 1).await;
    let mut hasty = settings(&world.url, world.folder.path());
    hasty.timeout = Duration::from_millis(500);
    let hasty = ErxClient::new(hasty).unwrap();
    let failed = hasty.deliver(&hasty.compose(&rx(1)).unwrap()).await.unwrap_err();
    assert!(matches!(failed, PortError::Unknown { .. }), "{failed:?}");

    assert!(world.send(&rx(1)).await.is_ok());
}

#[tokio::test]
async fn a_message_that_was_taken_unheard_is_taken_once() {
    let world = World::new().await;
    world.fault("drop_after", 1).await;
    let lost = world.send(&rx(1)).await.unwrap_err();
    assert!(matches!(lost, PortError::Unknown { .. }), "{lost:?}");
    let first = world.send(&rx(1)).await.unwrap();
    let again = world.send(&rx(1)).await.unwrap();
    assert_eq!(first, again);
    assert_eq!(first.reply, Reply::Status { code: "010".into() });
    assert_eq!(world.heard(1).await.len(), 1);
    let messages = world.messages().await;
    assert_eq!(messages.matches("message_id").count(), 1);
    assert!(messages.contains("\"deliveries\":3"), "{messages}");
}

#[tokio::test]
async fn a_verify_may_come_first_and_twice() {
    let world = World::new().await;
    world.fault("verify_first", 1).await;
    world.fault("duplicate_verify", 1).await;
    let rx = rx(1);
    let text = world.adapter.compose(&rx).unwrap();
    let reply = world.adapter.deliver(&text).await.unwrap();
    assert_eq!(reply.reply, Reply::Status { code: "010".into() });
    let heard = world.heard(2).await;
    assert_eq!(heard[0], heard[1]);
}

#[tokio::test]
async fn a_verify_is_tried_again_until_it_is_taken() {
    let world = World::new().await;
    world.heard.refusals.store(2, Ordering::SeqCst);
    world.send(&rx(1)).await.unwrap();
    assert_eq!(world.heard(1).await.len(), 1);
}

#[tokio::test]
async fn what_was_taken_is_verified_after_a_restart() {
    let mut world = World::new().await;
    world.heard.refusals.store(u32::MAX, Ordering::SeqCst);
    world.send(&rx(1)).await.unwrap();
    world.shutdown.cancel();
    world.server.take().unwrap().await.unwrap().unwrap();
    world.heard.refusals.store(0, Ordering::SeqCst);
    assert!(world.heard.messages.lock().unwrap().is_empty());
    let (url, _server) = start(world.folder.path(), &world.callback_url, CancellationToken::new());
    assert_eq!(world.heard(1).await.len(), 1);
    // The authority is the same, so the old trust holds.
    world.url = url;
    assert!(world.messages().await.contains("message_id"));
}

#[tokio::test]
async fn a_wrong_credential_and_a_stranger_do_nothing() {
    let world = World::new().await;
    let mut wrong = settings(&world.url, world.folder.path());
    wrong.credential = Credential::Bearer("wrong".into());
    let wrong = ErxClient::new(wrong).unwrap();
    let refused = wrong.deliver(&wrong.compose(&rx(1)).unwrap()).await.unwrap_err();
    assert!(matches!(refused, PortError::Unavailable { .. }), "{refused:?}");

    let mut untrusting = settings(&world.url, world.folder.path());
    untrusting.root_ca = None;
    let untrusting = ErxClient::new(untrusting).unwrap();
    let refused = untrusting.deliver(&untrusting.compose(&rx(1)).unwrap()).await.unwrap_err();
    assert!(matches!(refused, PortError::Unavailable { .. }), "{refused:?}");
    assert_eq!(world.messages().await, "[]");
}
