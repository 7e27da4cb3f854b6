//! An emulated Stripe, a webhook endpoint of ours, and a patient who owes.

use std::{
    collections::BTreeSet,
    sync::{
        Arc, Mutex,
        atomic::{AtomicBool, Ordering},
    },
    time::Duration,
};

use async_trait::async_trait;
use billing::{
    BillablePeriod, BillingStore, Catalogue, ChargeInvoice, Customers, Invoice, Lookup, Party,
    Payment, PaymentGateway, Period, RetryPolicy, SettlePayment,
    charge::charge_invoice,
    contest::{CheckContests, check_contests},
    invoicing::{Billing, on_subscription_started},
    payment_methods::{DetachPaymentMethod, add_payment_method, detach_payment_method},
    settlement::settle_payment,
    stopped::Treatments,
    withdraw::{WithdrawInvoice, on_subscription_canceled, withdraw_invoice},
};
use emulators::stripe::{StripeConfig as EmulatorConfig, serve};
use kernel::{
    AccountId, Actor, ActorKind, CategoryId, Money, PatientId, Permission, RequestContext, Role,
    SubscriptionId, Uuid,
};
use poem::{Route, Server, listener::TcpAcceptor};
use poem_openapi::OpenApiService;
use ports::{IdempotencyKey, JobSpec};
use rest::billing::StripeWebhookApi;
use salus_stripe::{StripeConfig, StripeGateway, StripeWebhooks};
use salus_tests::{Database, eventually};
use sea_orm::{ConnectionTrait as _, DbBackend, Statement};
use serde_json::{Value, json};
use tokio_util::sync::{CancellationToken, DropGuard};

pub const KEY: &str = "sk_test_salus";
pub const SECRET: &str = "whsec_salus";
pub const SOON: Duration = Duration::from_secs(20);

/// Stripe on loopback.
pub struct Stripe {
    pub url: String,
    pub http: reqwest::Client,
    _stop: DropGuard,
    _state: tempfile::TempDir,
}

impl Stripe {
    pub fn start(webhook_url: Option<String>) -> Self {
        let state = tempfile::tempdir().unwrap();
        let listener = std::net::TcpListener::bind("127.0.0.1:0").unwrap();
        let url = format!("http://{}", listener.local_addr().unwrap());
        let stop = CancellationToken::new();
        let config = EmulatorConfig {
            state_path: state.path().join("stripe.json"),
            secret_key: KEY.to_owned(),
            webhook_url,
            webhook_secret: SECRET.to_owned(),
        };
        tokio::spawn(serve(config, listener, stop.clone()));
        Self { url, http: reqwest::Client::new(), _stop: stop.drop_guard(), _state: state }
    }

    pub fn gateway(&self) -> StripeGateway {
        self.gateway_with(KEY, Duration::from_secs(10))
    }

    pub fn gateway_with(&self, key: &str, timeout: Duration) -> StripeGateway {
        let config =
            StripeConfig { base_url: self.url.clone(), secret_key: key.to_owned(), timeout };
        StripeGateway::new(&config).unwrap()
    }

    pub async fn control(&self, path: &str, body: Value) {
        let url = format!("{}/_control/{path}", self.url);
        let answer = self.http.post(url).json(&body).send().await.unwrap();
        assert!(answer.status().is_success(), "{path}: {}", answer.status());
    }

    /// Somebody gives a payment back in Stripe's own dashboard.
    pub async fn refund(&self, intent: &str) {
        let url = format!("{}/v1/refunds", self.url);
        let form = [("payment_intent", intent)];
        let answer = self.http.post(url).bearer_auth(KEY).form(&form).send().await.unwrap();
        assert!(answer.status().is_success(), "{}", answer.status());
    }

    pub async fn ask(&self, path: &str) -> Value {
        let url = format!("{}/_control/{path}", self.url);
        self.http.get(url).send().await.unwrap().json().await.unwrap()
    }

    pub async fn fault(&self, fault: &str, path: &str) {
        self.control("faults", json!({ "fault": fault, "times": 1, "path": path })).await;
    }

    /// How often money moved for an invoice.
    pub async fn charges(&self, invoice: &Invoice) -> usize {
        let charges = self.ask(&format!("charges?invoice_id={}", invoice.id)).await;
        charges["charges"].as_array().unwrap().len()
    }

    /// The ids of the events of a kind, oldest first.
    pub async fn events(&self, kind: &str) -> Vec<String> {
        let state = self.ask("state").await;
        let events = state["events"].as_array().unwrap().iter();
        events
            .map(|event| serde_json::from_str::<Value>(event["body"].as_str().unwrap()).unwrap())
            .filter(|event| event["type"] == kind)
            .map(|event| event["id"].as_str().unwrap().to_owned())
            .collect()
    }

    pub async fn settled(&self) {
        eventually("every webhook to be taken", SOON, || async {
            let state = self.ask("state").await;
            state["pending"].as_array().unwrap().is_empty().then_some(())
        })
        .await;
    }
}

/// The machine's time, which is the emulator's; the signatures are made in it.
#[expect(clippy::disallowed_methods, reason = "The emulated vendor has the machine's clock.")]
pub fn machine_now() -> chrono::DateTime<chrono::Utc> {
    chrono::Utc::now()
}

/// Billing with its database, Stripe, and the webhook between them.
pub struct House {
    pub database: Arc<Database>,
    pub stripe: Stripe,
    pub gateway: Arc<dyn PaymentGateway>,
    pub policy: RetryPolicy,
    pub patient: PatientId,
    /// Something speaks against sending what the patient pays for.
    pub stopped: AtomicBool,
    /// Kinds of the jobs that ran.
    pub ran: Mutex<Vec<String>>,
    _stop: DropGuard,
}

impl House {
    pub async fn build() -> Self {
        let database = Arc::new(Database::fresh().await);
        database.clock.set(machine_now());
        let webhook = StripeWebhookApi {
            env: database.env.clone(),
            store: Arc::new(database.pg.clone()),
            verifier: Arc::new(StripeWebhooks::new([SECRET.to_owned()])),
            unread: Arc::new(database.pg.clone()),
        };
        let listener = std::net::TcpListener::bind("127.0.0.1:0").unwrap();
        let url = format!("http://{}/webhooks/stripe", listener.local_addr().unwrap());
        listener.set_nonblocking(true).unwrap();
        let stop = CancellationToken::new();
        let stopped = stop.clone().cancelled_owned();
        tokio::spawn(async move {
            let app = Route::new().nest("/", OpenApiService::new(webhook, "test", "1"));
            let acceptor = TcpAcceptor::from_std(listener).unwrap();
            Server::new_with_acceptor(acceptor)
                .run_with_graceful_shutdown(app, stopped, None)
                .await
                .unwrap();
        });
        let stripe = Stripe::start(Some(url));
        let gateway = Arc::new(stripe.gateway());
        let patient = PatientId(database.env.fresh());
        Self {
            database,
            stripe,
            gateway,
            policy: RetryPolicy::default(),
            patient,
            stopped: AtomicBool::new(false),
            ran: Mutex::default(),
            _stop: stop.drop_guard(),
        }
    }

    pub fn actor(&self) -> Actor {
        let kind = ActorKind::Account {
            account: AccountId(self.patient.uuid()),
            session: Uuid::from_u128(1).into(),
            roles: Arc::new(BTreeSet::from([Role::Patient])),
        };
        let permissions = Arc::new(BTreeSet::from([Permission::BillingOwn]));
        Actor { kind, permissions, request: RequestContext::default() }
    }

    pub fn key(&self, key: &str) -> IdempotencyKey {
        IdempotencyKey {
            operation: "billing.add_payment_method",
            key: key.to_owned(),
            fingerprint: [0; 32],
        }
    }

    pub async fn add(
        &self,
        key: &str,
        token: &str,
    ) -> Result<billing::PaymentMethod, billing::BillingError> {
        let (env, store) = (&self.database.env, &self.database.pg);
        let key = self.key(key);
        add_payment_method(env, store, self.gateway.as_ref(), &self.actor(), &key, token).await
    }

    /// Bills a period of a new subscription; the charge waits as a job.
    pub async fn bill(&self) -> Invoice {
        let env = &self.database.env;
        let others = Others(BillablePeriod {
            subscription: env.fresh(),
            patient: self.patient,
            category: CategoryId(Uuid::from_u128(3)),
            plan_name: "Hair loss, monthly".to_owned(),
            price: Money::usd(4900),
            period: Period {
                start: env.now(),
                end: env.now() + chrono::TimeDelta::days(30),
                zone: chrono_tz::Tz::America__New_York,
            },
        });
        let seller = party("Salus");
        let billing = Billing { catalogue: &others, customers: &others, seller: &seller };
        let subscription = others.0.subscription;
        on_subscription_started(env, &self.database.pg, billing, subscription).await.unwrap();
        let mut tx = self.begin().await;
        let start = others.0.period.start;
        let start = chrono::DateTime::from_timestamp_micros(start.timestamp_micros()).unwrap();
        tx.invoice_of_period(subscription, start).await.unwrap().unwrap()
    }

    /// The subscription of an invoice is canceled.
    pub async fn cancel(&self, invoice: &Invoice) {
        let (env, store) = (&self.database.env, &self.database.pg);
        let (subscription, patient) = (invoice.subscription, invoice.patient);
        on_subscription_canceled(env, store, subscription, patient).await.unwrap();
    }

    pub async fn begin(&self) -> Box<dyn billing::BillingTx> {
        BillingStore::begin(&self.database.pg, &Actor::system("tests.stripe")).await.unwrap()
    }

    pub async fn invoice(&self, invoice: &Invoice) -> Invoice {
        self.begin().await.invoice(invoice.id, Lookup::Read).await.unwrap().unwrap()
    }

    pub async fn payments(&self, invoice: &Invoice) -> Vec<Payment> {
        self.begin().await.payments_of(invoice.id).await.unwrap()
    }

    /// How many events of a kind were told to the other contexts.
    pub async fn told(&self, kind: &str) -> i64 {
        let sql = format!("SELECT count(*) FROM outbox_events WHERE kind = '{kind}'");
        let statement = Statement::from_string(DbBackend::Postgres, sql);
        let row = self.database.pg.pool().query_one_raw(statement).await.unwrap().unwrap();
        row.try_get_by_index(0).unwrap()
    }

    /// Takes the jobs that are due from the queue and runs each once, until
    /// there are none. A job that fails is put back by the real runner; here
    /// its error is given.
    pub async fn run_jobs(&self) -> Vec<Result<(), billing::BillingError>> {
        let mut results = Vec::new();
        loop {
            let statement = Statement::from_sql_and_values(
                DbBackend::Postgres,
                "DELETE FROM graphile_worker._private_jobs jobs \
                 USING graphile_worker._private_tasks tasks \
                 WHERE tasks.id = jobs.task_id AND tasks.identifier = 'salus_job' \
                 AND jobs.run_at <= greatest($1, now()) RETURNING jobs.payload::text AS payload",
                [self.database.env.now().into()],
            );
            let rows = self.database.pg.pool().query_all_raw(statement).await.unwrap();
            if rows.is_empty() {
                return results;
            }
            for row in rows {
                let payload: String = row.try_get("", "payload").unwrap();
                let job: Value = serde_json::from_str(&payload).unwrap();
                results.push(self.run(&job).await);
            }
        }
    }

    async fn run(&self, job: &Value) -> Result<(), billing::BillingError> {
        let (env, store) = (&self.database.env, &self.database.pg);
        let (gateway, policy) = (self.gateway.as_ref(), &self.policy);
        let kind = job["kind"].as_str().unwrap();
        self.ran.lock().unwrap().push(kind.to_owned());
        let payload = job["payload"].clone();
        match kind {
            ChargeInvoice::KIND => {
                let job = serde_json::from_value(payload).unwrap();
                charge_invoice(env, store, gateway, policy, self, job).await
            }
            CheckContests::KIND => {
                let job = serde_json::from_value(payload).unwrap();
                check_contests(env, store, gateway, job).await
            }
            SettlePayment::KIND => {
                let job = serde_json::from_value(payload).unwrap();
                settle_payment(env, store, gateway, policy, job).await
            }
            WithdrawInvoice::KIND => {
                let job = serde_json::from_value(payload).unwrap();
                withdraw_invoice(env, store, gateway, policy, job).await
            }
            DetachPaymentMethod::KIND => {
                let job = serde_json::from_value(payload).unwrap();
                detach_payment_method(store, gateway, job).await
            }
            other => panic!("an unexpected job {other}"),
        }
    }

    /// Runs jobs and takes in webhooks until the invoice is in that state.
    pub async fn until(&self, invoice: &Invoice, word: &str) {
        eventually(&format!("the invoice to be {word}"), SOON, || async {
            for result in self.run_jobs().await {
                result.unwrap();
            }
            (self.invoice(invoice).await.state.word() == word).then_some(())
        })
        .await;
    }
}

fn party(name: &str) -> Party {
    Party { name: name.to_owned(), address: None, email: None, tax_id: None }
}

#[async_trait]
impl Treatments for House {
    async fn is_stopped(&self, _: PatientId, _: CategoryId) -> ports::Result<bool> {
        Ok(self.stopped.load(Ordering::SeqCst))
    }

    async fn blocked_prescription(
        &self,
        _: PatientId,
        _: CategoryId,
    ) -> ports::Result<Option<Uuid>> {
        Ok(None)
    }
}

struct Others(BillablePeriod);

#[async_trait]
impl Catalogue for Others {
    async fn period(&self, _: SubscriptionId, _: u32) -> ports::Result<Option<BillablePeriod>> {
        Ok(Some(self.0.clone()))
    }
}

#[async_trait]
impl Customers for Others {
    async fn bill_to(&self, _: PatientId) -> ports::Result<Option<Party>> {
        Ok(Some(party("Ada Lovelace")))
    }
}
