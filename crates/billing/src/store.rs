//! What billing keeps. Every look-up is scoped by the actor that began the
//! unit of work: a patient finds only what is the patient's own, staff need
//! `billing.read_any`.

use async_trait::async_trait;
use chrono::{DateTime, Utc};
use kernel::{
    Actor, CategoryId, InvoiceId, Page, PageRequest, PatientId, PaymentId, PaymentMethodId,
    SubscriptionId, TaskId,
};
use ports::{Result, UnitOfWork};

use crate::{
    contest::PaymentContest,
    invoice::{Invoice, InvoiceNumber},
    ledger::LedgerTransaction,
    notices::GatewayNotice,
    payment::Payment,
    payment_method::PaymentMethod,
    staff_task::BillingTask,
};

/// The patient as the gateway's customer.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct BillingCustomer {
    pub patient: PatientId,
    /// The gateway's id, once there is one.
    pub gateway_id: Option<String>,
}

/// Whether a row is read as it stands or locked until the commit.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Lookup {
    Read,
    Lock,
}

#[async_trait]
pub trait BillingTx: UnitOfWork {
    /// The patient's row, made where there is none and locked either way. It
    /// is what changes of one patient's payment methods queue behind.
    async fn lock_customer(&mut self, patient: PatientId) -> Result<BillingCustomer>;

    /// The patient's row, where there is one.
    async fn customer(&mut self, patient: PatientId) -> Result<Option<BillingCustomer>>;

    /// Keeps the gateway's id of a customer; the row is locked. An id that is
    /// there already stays.
    async fn set_gateway_customer(&mut self, patient: PatientId, gateway_id: &str) -> Result<()>;

    async fn payment_method(&mut self, id: PaymentMethodId) -> Result<Option<PaymentMethod>>;

    /// All methods of a patient but the refused and the pending, oldest first.
    async fn payment_methods(&mut self, patient: PatientId) -> Result<Vec<PaymentMethod>>;

    /// Inserts a method whose version is 0 and updates any other.
    async fn save_payment_method(&mut self, method: &PaymentMethod) -> Result<()>;

    async fn invoice(&mut self, id: InvoiceId, lookup: Lookup) -> Result<Option<Invoice>>;

    /// The invoice of the period of the subscription that starts then.
    async fn invoice_of_period(
        &mut self,
        subscription: SubscriptionId,
        start: DateTime<Utc>,
    ) -> Result<Option<Invoice>>;

    /// The invoices that a patient is to pay, oldest first: those that are open
    /// and whose subscription has not ended.
    async fn open_invoices(&mut self, patient: PatientId) -> Result<Vec<Invoice>>;

    /// The open invoices of a subscription, oldest first, locked.
    async fn lock_open_invoices(&mut self, subscription: SubscriptionId) -> Result<Vec<Invoice>>;

    /// Notes that a subscription has ended; what was noted first stays. Whoever
    /// bills a period holds the lock of the customer, as whoever notes this.
    async fn end_subscription(
        &mut self,
        subscription: SubscriptionId,
        patient: PatientId,
        at: DateTime<Utc>,
    ) -> Result<()>;

    /// When a subscription ended, as far as billing has heard of it.
    async fn subscription_ended(
        &mut self,
        subscription: SubscriptionId,
    ) -> Result<Option<DateTime<Utc>>>;

    /// A patient's invoices but the drafts, newest first.
    async fn invoices(&mut self, patient: PatientId, page: &PageRequest) -> Result<Page<Invoice>>;

    /// Inserts an invoice whose version is 0, with its lines, and updates any
    /// other. The database refuses to change a finalized one but for its
    /// state, and a second one for the same period.
    async fn save_invoice(&mut self, invoice: &Invoice) -> Result<()>;

    /// The next number of the series. It is taken for good only with the
    /// commit, and everyone else waits for it until then, so that there are
    /// no gaps: ask as late as possible.
    async fn next_invoice_number(&mut self) -> Result<InvoiceNumber>;

    async fn payment(&mut self, id: PaymentId, lookup: Lookup) -> Result<Option<Payment>>;

    /// The payment that became this intent at the gateway.
    async fn payment_of_intent(&mut self, intent: &str) -> Result<Option<Payment>>;

    /// All payments of an invoice, oldest first.
    async fn payments_of(&mut self, invoice: InvoiceId) -> Result<Vec<Payment>>;

    /// A patient's payments, newest first.
    async fn payments(&mut self, patient: PatientId, page: &PageRequest) -> Result<Page<Payment>>;

    /// Payments that may still move money and are due for a check, locked;
    /// those that someone else has locked are left out.
    async fn unsettled_payments(&mut self, now: DateTime<Utc>, limit: u32) -> Result<Vec<Payment>>;

    /// Invoices that are open since then or longer, have no live payment, and
    /// whose patient has a default method that was not tried yet or whose
    /// retry has been due since then.
    async fn uncharged_invoices(
        &mut self,
        since: DateTime<Utc>,
        limit: u32,
    ) -> Result<Vec<InvoiceId>>;

    /// Inserts a payment whose version is 0 and updates any other. The
    /// database refuses a second live payment for an invoice.
    async fn save_payment(&mut self, payment: &Payment) -> Result<()>;

    /// Writes to the ledger, which is refused if it does not balance.
    async fn post(&mut self, transaction: &LedgerTransaction) -> Result<()>;

    /// A patient's ledger, newest first.
    async fn ledger(
        &mut self,
        patient: PatientId,
        page: &PageRequest,
    ) -> Result<Page<LedgerTransaction>>;

    /// What contests the payments of an invoice, the first seen first.
    async fn contests_of(&mut self, invoice: InvoiceId) -> Result<Vec<PaymentContest>>;

    /// The same of all invoices of a patient's treatment.
    async fn contests_about(
        &mut self,
        patient: PatientId,
        category: CategoryId,
    ) -> Result<Vec<PaymentContest>>;

    /// Adds a contest, or brings it up to date by its id, and marks its payment
    /// with it.
    async fn save_contest(&mut self, contest: &PaymentContest) -> Result<()>;

    /// Whether an invoice of the patient in the category is paid.
    async fn has_paid(&mut self, patient: PatientId, category: CategoryId) -> Result<bool>;

    /// `false` where there is an open task of that kind about that subject.
    async fn add_billing_task(&mut self, task: &BillingTask) -> Result<bool>;

    /// A task, locked.
    async fn billing_task(&mut self, id: TaskId) -> Result<Option<BillingTask>>;

    /// The open tasks, the oldest first.
    async fn open_billing_tasks(&mut self, page: &PageRequest) -> Result<Page<BillingTask>>;

    /// Saves how a task ended.
    async fn end_billing_task(&mut self, task: &BillingTask) -> Result<()>;

    /// Keeps a notice of the gateway; `false` when it came before.
    async fn keep_notice(&mut self, notice: &GatewayNotice) -> Result<bool>;
}

#[async_trait]
pub trait BillingStore: Send + Sync {
    async fn begin(&self, actor: &Actor) -> Result<Box<dyn BillingTx>>;
}
