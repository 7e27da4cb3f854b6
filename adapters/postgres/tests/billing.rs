use std::{collections::BTreeSet, sync::Arc};

use async_trait::async_trait;
use billing::{
    BillablePeriod, BillingError, BillingStore, Catalogue, Customers, GatewayNotice, Invoice,
    InvoiceState, LedgerTransaction, Lookup, Parties, Party, Payment, PaymentMethod, Period,
    invoicing::{self, Billing, on_subscription_started},
    notices::receive_notice,
    reading,
    withdraw::on_subscription_canceled,
};
use kernel::{
    AccountId, Actor, ActorKind, Address, CategoryId, InvoiceId, Money, PageRequest, PatientId,
    PaymentMethodId, Permission, RequestContext, Role, SubscriptionId, UsState, Uuid,
};
use ports::{AuditAction, AuditEntry, PortError};
use salus_postgres::Pg;
use salus_tests::{Database, TestSealer};
use sea_orm::{ConnectionTrait as _, DbBackend, Statement};

fn system() -> Actor {
    Actor::system("tests.billing")
}

fn patient_actor(patient: PatientId) -> Actor {
    let kind = ActorKind::Account {
        account: AccountId(patient.uuid()),
        session: Uuid::from_u128(1).into(),
        roles: Arc::new(BTreeSet::from([Role::Patient])),
    };
    let permissions = Arc::new(BTreeSet::from([Permission::BillingOwn]));
    Actor { kind, permissions, request: RequestContext::default() }
}

fn party(name: &str) -> Party {
    Party {
        name: name.to_owned(),
        address: Some(Address {
            line1: "1 Example Plaza".to_owned(),
            line2: None,
            city: "Boston".to_owned(),
            state: UsState::Ma,
            postal_code: "02139".to_owned(),
        }),
        email: Some("a@example.org".to_owned()),
        tax_id: None,
    }
}

fn parties() -> Parties {
    Parties { seller: party("Salus"), bill_to: party("Ada Lovelace") }
}

fn billable(patient: PatientId, subscription: SubscriptionId) -> BillablePeriod {
    BillablePeriod {
        subscription,
        patient,
        category: CategoryId(Uuid::from_u128(3)),
        plan_name: "Hair loss, monthly".to_owned(),
        price: Money::usd(4900),
        period: Period {
            start: "2026-03-01T05:00:00Z".parse().unwrap(),
            end: "2026-04-01T04:00:00Z".parse().unwrap(),
            zone: chrono_tz::Tz::America__New_York,
        },
    }
}

fn audit() -> AuditEntry {
    AuditEntry::new(AuditAction::Execute, "test", "1")
}

/// Stores a draft and gives it as it was stored.
async fn draft(database: &Database, patient: PatientId) -> Invoice {
    let billable = billable(patient, database.env.fresh());
    let invoice = Invoice::for_period(database.env.fresh(), &billable, database.env.now()).unwrap();
    let mut tx = BillingStore::begin(&database.pg, &system()).await.unwrap();
    tx.save_invoice(&invoice).await.unwrap();
    tx.audit(audit());
    let stored = tx.invoice(invoice.id, Lookup::Read).await.unwrap().unwrap();
    tx.commit().await.unwrap();
    stored
}

async fn open_invoice(database: &Database, patient: PatientId) -> Invoice {
    let draft = draft(database, patient).await;
    let mut tx = BillingStore::begin(&database.pg, &system()).await.unwrap();
    invoicing::finalize(&database.env, tx.as_mut(), draft.clone(), parties()).await.unwrap();
    let stored = tx.invoice(draft.id, Lookup::Read).await.unwrap().unwrap();
    tx.commit().await.unwrap();
    stored
}

async fn method(database: &Database, patient: PatientId) -> PaymentMethodId {
    let id = database.env.fresh();
    let method = PaymentMethod::intend(id, patient, "pm_card_visa", database.env.now()).unwrap();
    let mut tx = BillingStore::begin(&database.pg, &system()).await.unwrap();
    tx.lock_customer(patient).await.unwrap();
    tx.save_payment_method(&method).await.unwrap();
    tx.audit(audit());
    tx.commit().await.unwrap();
    id
}

/// Runs a statement as Salus itself, past the domain.
/// As the owner of the tables, who has every right and is held by the triggers.
async fn tamper(database: &Database, sql: &str) -> Result<(), PortError> {
    let pg = Pg::new(database.owner().await, database.env.clone(), Arc::new(TestSealer));
    let mut tx = pg.open(&system()).await.unwrap();
    tx.execute("tampering", sql, []).await?;
    ports::UnitOfWork::audit(&mut tx, audit());
    ports::UnitOfWork::commit(Box::new(tx)).await
}

async fn audited(database: &Database, outcome: &str, entity: &str) -> i64 {
    let sql = format!(
        "SELECT count(*) FROM audit_entries WHERE outcome = '{outcome}' AND entity = '{entity}'"
    );
    let statement = Statement::from_string(DbBackend::Postgres, sql);
    let row = database.pg.pool().query_one_raw(statement).await.unwrap().unwrap();
    row.try_get_by_index(0).unwrap()
}

/// What of a patient somebody was refused.
async fn denied_of(database: &Database, patient: PatientId) -> Vec<String> {
    let sql = format!(
        "SELECT entity FROM audit_entries WHERE outcome = 'denied' AND patient_id = '{patient}'"
    );
    let statement = Statement::from_string(DbBackend::Postgres, sql);
    let rows = database.pg.pool().query_all_raw(statement).await.unwrap();
    rows.iter().map(|row| row.try_get_by_index(0).unwrap()).collect()
}

fn chain(error: &PortError) -> String {
    let mut text = error.to_string();
    let mut cause = std::error::Error::source(error);
    while let Some(inner) = cause {
        text.push_str(&inner.to_string());
        cause = inner.source();
    }
    text
}

#[tokio::test]
async fn numbers_have_no_gap_when_many_finalize_at_once_and_some_fail() {
    let database = Arc::new(Database::fresh().await);
    let mut finalizing = tokio::task::JoinSet::new();
    for index in 0..16u128 {
        let database = database.clone();
        finalizing.spawn(async move {
            let draft = draft(&database, PatientId(Uuid::from_u128(100 + index))).await;
            let mut tx = BillingStore::begin(&database.pg, &system()).await.unwrap();
            let env = &database.env;
            let invoice = invoicing::finalize(env, tx.as_mut(), draft, parties()).await.unwrap();
            if index % 4 == 3 {
                // The transaction fails after the number was taken.
                drop(tx);
                return None;
            }
            tx.commit().await.unwrap();
            Some(invoice.finalized.unwrap().number.0)
        });
    }
    let mut numbers: Vec<i64> = finalizing.join_all().await.into_iter().flatten().collect();
    numbers.sort_unstable();
    assert_eq!(numbers, (1..=12).collect::<Vec<_>>());
}

#[tokio::test]
async fn a_finalized_invoice_does_not_change_whoever_tries() {
    let database = Database::fresh().await;
    let patient = PatientId(database.env.fresh());
    let invoice = open_invoice(&database, patient).await;
    assert_eq!(invoice.state, InvoiceState::Open);
    for sql in [
        "UPDATE invoices SET total = total + 1",
        "UPDATE invoices SET number = number + 1",
        "UPDATE invoices SET period_end = period_end + interval '1 day'",
        "UPDATE invoices SET status = 'draft', number = NULL, finalized_at = NULL, parties = NULL",
        "DELETE FROM invoices",
        "UPDATE invoice_lines SET description = 'free'",
        "DELETE FROM invoice_lines",
        "INSERT INTO invoice_lines SELECT invoice_id, 9, patient_id, 'more', 1, 1, 1 FROM invoice_lines",
        "UPDATE ledger_postings SET amount = 0",
        "DELETE FROM ledger_transactions",
    ] {
        let refused = tamper(&database, sql).await.expect_err(sql);
        let text = chain(&refused);
        assert!(
            text.contains("does not change")
                || text.contains("do not change")
                || text.contains("append-only"),
            "{sql}: {text}"
        );
    }
    let mut tx = BillingStore::begin(&database.pg, &system()).await.unwrap();
    assert_eq!(tx.invoice(invoice.id, Lookup::Read).await.unwrap(), Some(invoice));
}

#[tokio::test]
async fn a_ledger_transaction_that_does_not_balance_is_refused_by_the_database() {
    let database = Database::fresh().await;
    let invoice = open_invoice(&database, PatientId(database.env.fresh())).await;
    let insert = |side: &str, amount: i64| {
        format!(
            "WITH added AS (INSERT INTO ledger_transactions SELECT gen_random_uuid(), \
             'revenue_recognized', patient_id, id, NULL, now() FROM invoices RETURNING *) \
             INSERT INTO ledger_postings SELECT id, 1, patient_id, 'cash', '{side}', {amount}, \
             'USD' FROM added"
        )
    };
    for sql in [
        insert("debit", 5),
        "INSERT INTO ledger_transactions SELECT gen_random_uuid(), 'revenue_recognized', \
         patient_id, id, NULL, now() FROM invoices"
            .to_owned(),
        "INSERT INTO ledger_postings SELECT id, 9, patient_id, 'cash', 'debit', 1, 'USD' \
         FROM ledger_transactions"
            .to_owned(),
    ] {
        let refused = tamper(&database, &sql).await.expect_err(&sql);
        assert!(chain(&refused).contains("does not balance"), "{sql}: {}", chain(&refused));
    }
    let mut unbalanced = LedgerTransaction::revenue_recognized(
        database.env.fresh(),
        &invoice,
        Money::usd(5),
        database.env.now(),
    );
    unbalanced.postings.pop();
    let mut tx = BillingStore::begin(&database.pg, &system()).await.unwrap();
    assert!(tx.post(&unbalanced).await.is_err());
}

#[tokio::test]
async fn an_invoice_comes_back_as_it_was_and_its_parties_are_sealed() {
    let database = Database::fresh().await;
    let patient = PatientId(database.env.fresh());
    let invoice = open_invoice(&database, patient).await;
    assert_eq!(invoice.finalized.as_ref().unwrap().parties, parties());
    assert_eq!(invoice.lines.len(), 1);
    let pool = database.superuser().await;
    let statement = Statement::from_string(
        DbBackend::Postgres,
        "SELECT count(*) FROM invoices WHERE position('Ada'::bytea in parties) > 0",
    );
    let row = pool.query_one_raw(statement).await.unwrap().unwrap();
    assert_eq!(row.try_get_by_index::<i64>(0).unwrap(), 0);
}

#[tokio::test]
async fn one_period_has_one_invoice_and_one_invoice_one_live_payment() {
    let database = Database::fresh().await;
    let patient = PatientId(database.env.fresh());
    let invoice = open_invoice(&database, patient).await;
    let again = billable(patient, invoice.subscription);
    let second = Invoice::for_period(database.env.fresh(), &again, database.env.now()).unwrap();
    let mut tx = BillingStore::begin(&database.pg, &system()).await.unwrap();
    let refused = tx.save_invoice(&second).await;
    assert!(matches!(refused, Err(PortError::Conflict(name)) if name == "invoices_one_per_period"));
    drop(tx);

    let method = method(&database, patient).await;
    let payment =
        |n| Payment::intend(database.env.fresh(), &invoice, method, n, database.env.now());
    let mut tx = BillingStore::begin(&database.pg, &system()).await.unwrap();
    let first = payment(1);
    tx.save_payment(&first).await.unwrap();
    let stored = tx.payment(first.id, Lookup::Lock).await.unwrap().unwrap();
    assert_eq!(stored, Payment { version: 1, ..first });
    let refused = tx.save_payment(&payment(2)).await;
    assert!(matches!(refused, Err(PortError::Conflict(name)) if name == "payments_one_live"));
}

struct Others(BillablePeriod);

#[async_trait]
impl Catalogue for Others {
    async fn period(
        &self,
        subscription: SubscriptionId,
        index: u32,
    ) -> ports::Result<Option<BillablePeriod>> {
        Ok((subscription == self.0.subscription && index == 0).then(|| self.0.clone()))
    }
}

#[async_trait]
impl Customers for Others {
    async fn bill_to(&self, _: PatientId) -> ports::Result<Option<Party>> {
        Ok(Some(party("Ada Lovelace")))
    }
}

#[tokio::test]
async fn a_subscription_that_starts_is_billed_once_however_often_it_is_heard_of() {
    let database = Database::fresh().await;
    let patient = PatientId(database.env.fresh());
    let others = Others(billable(patient, database.env.fresh()));
    let seller = party("Salus");
    let billing = Billing { catalogue: &others, customers: &others, seller: &seller };
    for _ in 0..3 {
        let (env, pg) = (&database.env, &database.pg);
        on_subscription_started(env, pg, billing, others.0.subscription).await.unwrap();
    }
    let actor = patient_actor(patient);
    let page = PageRequest::default();
    let invoices = reading::invoices(&database.pg, &actor, patient, &page).await.unwrap();
    assert_eq!(invoices.items.len(), 1);
    assert_eq!(invoices.items[0].finalized.as_ref().unwrap().number.to_string(), "SAL-00000001");
    let ledger = reading::ledger(&database.pg, &actor, patient, &page).await.unwrap();
    assert_eq!(ledger.items.len(), 1);
    assert!(ledger.items[0].is_balanced());
}

#[tokio::test]
async fn a_subscription_that_is_canceled_before_it_is_billed_owes_nothing() {
    let database = Database::fresh().await;
    let patient = PatientId(database.env.fresh());
    let others = Others(billable(patient, database.env.fresh()));
    let seller = party("Salus");
    let billing = Billing { catalogue: &others, customers: &others, seller: &seller };
    let (env, pg, subscription) = (&database.env, &database.pg, others.0.subscription);
    for _ in 0..2 {
        on_subscription_canceled(env, pg, subscription, patient).await.unwrap();
    }
    on_subscription_started(env, pg, billing, subscription).await.unwrap();
    let page = PageRequest::default();
    let actor = patient_actor(patient);
    let invoices = reading::invoices(pg, &actor, patient, &page).await.unwrap();
    assert!(invoices.items.is_empty(), "{:?}", invoices.items);
}

#[tokio::test]
async fn billing_and_cancelling_at_once_leave_nothing_open() {
    let database = Arc::new(Database::fresh().await);
    let patient = PatientId(database.env.fresh());
    for _ in 0..8 {
        let others = Others(billable(patient, database.env.fresh()));
        let subscription = others.0.subscription;
        let billing = {
            let database = database.clone();
            tokio::spawn(async move {
                let (env, pg) = (&database.env, &database.pg);
                let seller = party("Salus");
                let billing = Billing { catalogue: &others, customers: &others, seller: &seller };
                on_subscription_started(env, pg, billing, subscription).await
            })
        };
        let canceling = {
            let database = database.clone();
            tokio::spawn(async move {
                let (env, pg) = (&database.env, &database.pg);
                on_subscription_canceled(env, pg, subscription, patient).await
            })
        };
        billing.await.unwrap().unwrap();
        canceling.await.unwrap().unwrap();
    }
    let page = PageRequest::default();
    let actor = patient_actor(patient);
    let invoices = reading::invoices(&database.pg, &actor, patient, &page).await.unwrap();
    assert!(invoices.items.iter().all(|invoice| invoice.state.word() == "void"));
}

#[tokio::test]
async fn another_patients_billing_does_not_exist_and_the_attempt_is_audited() {
    let database = Database::fresh().await;
    let (ada, eve) = (PatientId(database.env.fresh()), PatientId(database.env.fresh()));
    let invoice = open_invoice(&database, ada).await;
    let (owner, other) = (patient_actor(ada), patient_actor(eve));
    assert!(reading::invoice(&database.pg, &owner, invoice.id).await.is_ok());
    let page = PageRequest::default();
    for id in [invoice.id, InvoiceId(database.env.fresh())] {
        let refused = reading::invoice(&database.pg, &other, id).await;
        assert!(matches!(refused, Err(BillingError::NotFound("invoice"))));
    }
    let refused = reading::invoices(&database.pg, &other, ada, &page).await;
    assert!(matches!(refused, Err(BillingError::NotFound("patient"))));
    assert_eq!(audited(&database, "denied", "invoice").await, 3);
    let refused = reading::ledger(&database.pg, &other, ada, &page).await;
    assert!(matches!(refused, Err(BillingError::NotFound("patient"))));
    assert_eq!(audited(&database, "denied", "ledger_transaction").await, 1);
    let refused = reading::payments(&database.pg, &other, ada, &page).await;
    assert!(matches!(refused, Err(BillingError::NotFound("patient"))));
    // Each attempt on a list stands in the trail of whose list it is.
    let mut tried = denied_of(&database, ada).await;
    tried.sort();
    assert_eq!(tried, ["invoice", "ledger_transaction", "payment"]);
    assert_eq!(denied_of(&database, eve).await, [""; 0]);
}

#[tokio::test]
async fn invoices_are_listed_in_pages_newest_first() {
    let database = Database::fresh().await;
    let patient = PatientId(database.env.fresh());
    for _ in 0..5 {
        open_invoice(&database, patient).await;
    }
    let actor = patient_actor(patient);
    let mut numbers = Vec::new();
    let mut cursor = None;
    loop {
        let page = PageRequest::new(Some(2), cursor);
        let page = reading::invoices(&database.pg, &actor, patient, &page).await.unwrap();
        numbers.extend(page.items.iter().map(|i| i.finalized.as_ref().unwrap().number.0));
        cursor = page.next;
        if cursor.is_none() {
            break;
        }
    }
    assert_eq!(numbers, [5, 4, 3, 2, 1]);
    let page = PageRequest::new(Some(2), None);
    let first = reading::ledger(&database.pg, &actor, patient, &page).await.unwrap();
    let page = PageRequest::new(Some(10), first.next);
    let rest = reading::ledger(&database.pg, &actor, patient, &page).await.unwrap();
    assert_eq!((first.items.len(), rest.items.len()), (2, 3));
}

#[tokio::test]
async fn a_patient_becomes_one_customer_under_concurrent_requests() {
    let database = Arc::new(Database::fresh().await);
    let patient = PatientId(database.env.fresh());
    let mut requests = tokio::task::JoinSet::new();
    for index in 0..16 {
        let database = database.clone();
        requests.spawn(async move {
            let actor = patient_actor(patient);
            let mut tx = BillingStore::begin(&database.pg, &actor).await.unwrap();
            let customer = tx.lock_customer(patient).await.unwrap();
            if let Some(id) = customer.gateway_id {
                return id;
            }
            tx.set_gateway_customer(patient, &format!("cus_{index}")).await.unwrap();
            tx.audit(audit());
            tx.commit().await.unwrap();
            format!("cus_{index}")
        });
    }
    let ids: BTreeSet<String> = requests.join_all().await.into_iter().collect();
    assert_eq!(ids.len(), 1);
}

#[tokio::test]
async fn a_notice_is_taken_in_once_and_only_payments_are_followed() {
    let database = Database::fresh().await;
    let notice = |id: &str, kind: &str| GatewayNotice {
        id: id.to_owned(),
        kind: kind.to_owned(),
        intent: Some("pi_1".to_owned()),
        created_at: database.env.now(),
    };
    for (id, kind) in [
        ("evt_1", "payment_intent.succeeded"),
        ("evt_1", "payment_intent.succeeded"),
        ("evt_2", "payment_intent.created"),
        ("evt_3", "a.word.of.tomorrow"),
    ] {
        receive_notice(&database.env, &database.pg, &notice(id, kind)).await.unwrap();
    }
    let count = async |sql: &str| -> i64 {
        let statement = Statement::from_string(DbBackend::Postgres, sql);
        let row = database.pg.pool().query_one_raw(statement).await.unwrap().unwrap();
        row.try_get_by_index(0).unwrap()
    };
    assert_eq!(count("SELECT count(*) FROM gateway_notices").await, 3);
    assert_eq!(count("SELECT count(*) FROM graphile_worker._private_jobs").await, 1);
}
