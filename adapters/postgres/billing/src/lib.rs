//! The store of billing. The trait's methods stand here in one list; what they
//! do stands beside the rows that they are about.

mod invoices;
mod ledger;
mod methods;
mod payments;
mod staff;

use async_trait::async_trait;
use billing::{
    BillingCustomer, BillingTx, GatewayNotice, Invoice, InvoiceNumber, LedgerTransaction, Lookup,
    Payment, PaymentMethod, contest::PaymentContest, staff_task::BillingTask,
};

pg::store!(Tx {});

use chrono::{DateTime, Utc};
use kernel::{
    CategoryId, Currency, InvoiceId, Money, Page, PageRequest, PatientId, PaymentId,
    PaymentMethodId, Permission, SubscriptionId, TaskId,
};
use ports::{PortError, Result};
use sea_orm::{ConnectionTrait as _, DbBackend, QueryResult, Statement, TryGetable, Value};

use pg::db;

#[async_trait]
impl BillingTx for Tx {
    async fn lock_customer(&mut self, patient: PatientId) -> Result<BillingCustomer> {
        methods::lock_customer(self, patient).await
    }

    async fn customer(&mut self, patient: PatientId) -> Result<Option<BillingCustomer>> {
        methods::customer(self, patient, Lookup::Read).await
    }

    async fn set_gateway_customer(&mut self, patient: PatientId, gateway_id: &str) -> Result<()> {
        methods::set_gateway_customer(self, patient, gateway_id).await
    }

    async fn payment_method(&mut self, id: PaymentMethodId) -> Result<Option<PaymentMethod>> {
        methods::one(self, id).await
    }

    async fn payment_methods(&mut self, patient: PatientId) -> Result<Vec<PaymentMethod>> {
        methods::of_patient(self, patient).await
    }

    async fn save_payment_method(&mut self, method: &PaymentMethod) -> Result<()> {
        methods::save(self, method).await
    }

    async fn invoice(&mut self, id: InvoiceId, lookup: Lookup) -> Result<Option<Invoice>> {
        invoices::one(self, id, lookup).await
    }

    async fn invoice_of_period(
        &mut self,
        subscription: SubscriptionId,
        start: DateTime<Utc>,
    ) -> Result<Option<Invoice>> {
        invoices::of_period(self, subscription, start).await
    }

    async fn open_invoices(&mut self, patient: PatientId) -> Result<Vec<Invoice>> {
        invoices::open(self, patient).await
    }

    async fn lock_open_invoices(&mut self, subscription: SubscriptionId) -> Result<Vec<Invoice>> {
        invoices::lock_open(self, subscription).await
    }

    async fn end_subscription(
        &mut self,
        subscription: SubscriptionId,
        patient: PatientId,
        at: DateTime<Utc>,
    ) -> Result<()> {
        let values = [subscription.uuid().into(), patient.uuid().into(), at.into()];
        self.execute(
            "noting that a subscription has ended",
            "INSERT INTO billing_ended_subscriptions (subscription_id, patient_id, ended_at) \
             VALUES ($1, $2, $3) ON CONFLICT DO NOTHING",
            values,
        )
        .await?;
        Ok(())
    }

    async fn subscription_ended(
        &mut self,
        subscription: SubscriptionId,
    ) -> Result<Option<DateTime<Utc>>> {
        let sql = format!(
            "SELECT ended_at FROM billing_ended_subscriptions WHERE subscription_id = $3 \
             AND {REACHED}"
        );
        let values = [subscription.uuid().into()];
        let rows = reached(self, "asking whether a subscription has ended", &sql, values).await?;
        rows.first().map(|row| get(row, "ended_at")).transpose()
    }

    async fn invoices(&mut self, patient: PatientId, page: &PageRequest) -> Result<Page<Invoice>> {
        invoices::of_patient(self, patient, page).await
    }

    async fn save_invoice(&mut self, invoice: &Invoice) -> Result<()> {
        invoices::save(self, invoice).await
    }

    async fn next_invoice_number(&mut self) -> Result<InvoiceNumber> {
        invoices::next_number(self).await
    }

    async fn payment(&mut self, id: PaymentId, lookup: Lookup) -> Result<Option<Payment>> {
        payments::one(self, id, lookup).await
    }

    async fn payment_of_intent(&mut self, intent: &str) -> Result<Option<Payment>> {
        payments::of_intent(self, intent).await
    }

    async fn payments_of(&mut self, invoice: InvoiceId) -> Result<Vec<Payment>> {
        payments::of_invoice(self, invoice).await
    }

    async fn payments(&mut self, patient: PatientId, page: &PageRequest) -> Result<Page<Payment>> {
        payments::of_patient(self, patient, page).await
    }

    async fn unsettled_payments(&mut self, now: DateTime<Utc>, limit: u32) -> Result<Vec<Payment>> {
        payments::unsettled(self, now, limit).await
    }

    async fn uncharged_invoices(
        &mut self,
        since: DateTime<Utc>,
        limit: u32,
    ) -> Result<Vec<InvoiceId>> {
        invoices::uncharged(self, since, limit).await
    }

    async fn save_payment(&mut self, payment: &Payment) -> Result<()> {
        payments::save(self, payment).await
    }

    async fn post(&mut self, transaction: &LedgerTransaction) -> Result<()> {
        ledger::post(self, transaction).await
    }

    async fn ledger(
        &mut self,
        patient: PatientId,
        page: &PageRequest,
    ) -> Result<Page<LedgerTransaction>> {
        ledger::of_patient(self, patient, page).await
    }

    async fn contests_of(&mut self, invoice: InvoiceId) -> Result<Vec<PaymentContest>> {
        staff::contests_of(self, invoice).await
    }

    async fn contests_about(
        &mut self,
        patient: PatientId,
        category: CategoryId,
    ) -> Result<Vec<PaymentContest>> {
        staff::contests_about(self, patient, category).await
    }

    async fn save_contest(&mut self, contest: &PaymentContest) -> Result<()> {
        staff::save_contest(self, contest).await
    }

    async fn has_paid(&mut self, patient: PatientId, category: CategoryId) -> Result<bool> {
        staff::has_paid(self, patient, category).await
    }

    async fn add_billing_task(&mut self, task: &BillingTask) -> Result<bool> {
        staff::add_task(self, task).await
    }

    async fn billing_task(&mut self, id: TaskId) -> Result<Option<BillingTask>> {
        staff::task(self, id).await
    }

    async fn open_billing_tasks(&mut self, page: &PageRequest) -> Result<Page<BillingTask>> {
        staff::open_tasks(self, page).await
    }

    async fn end_billing_task(&mut self, task: &BillingTask) -> Result<()> {
        staff::end_task(self, task).await
    }

    async fn keep_notice(&mut self, notice: &GatewayNotice) -> Result<bool> {
        let received_at = self.now();
        let kept = self
            .execute(
                "keeping a notice of the gateway",
                "INSERT INTO gateway_notices (id, kind, intent, created_at, received_at) \
                 VALUES ($1, $2, $3, $4, $5) ON CONFLICT DO NOTHING",
                [
                    notice.id.clone().into(),
                    notice.kind.clone().into(),
                    notice.intent.clone().into(),
                    notice.created_at.into(),
                    received_at.into(),
                ],
            )
            .await?;
        Ok(kept.rows_affected() == 1)
    }
}

/// Holds a query to the rows that its actor reaches; `$1` and `$2` of every
/// query of a look-up are the values of [`reach`].
const REACHED: &str = "($1 OR patient_id = $2)";

/// Whether the actor reaches every patient's rows, and else whose.
fn reach(tx: &Tx) -> [Value; 2] {
    let actor = tx.actor();
    let own = actor.as_patient().filter(|_| actor.may(Permission::BillingOwn));
    [actor.may(Permission::BillingReadAny).into(), own.map(PatientId::uuid).into()]
}

/// Runs a query with the values of [`reach`] before its own.
async fn reached(
    tx: &Tx,
    doing: &str,
    sql: &str,
    values: impl IntoIterator<Item = Value>,
) -> Result<Vec<QueryResult>> {
    let values = reach(tx).into_iter().chain(values);
    let statement = Statement::from_sql_and_values(DbBackend::Postgres, sql, values);
    tx.read().query_all_raw(statement).await.map_err(|error| db(doing, error))
}

/// What a look-up of one row adds to its query.
fn lock(lookup: Lookup) -> &'static str {
    match lookup {
        Lookup::Read => "",
        Lookup::Lock => "FOR UPDATE",
    }
}

fn get<T: TryGetable>(row: &QueryResult, column: &str) -> Result<T> {
    row.try_get("", column).map_err(|error| db("reading a column of billing", error))
}

/// A column that the state of the row promises.
fn promised<T: TryGetable>(row: &QueryResult, column: &str) -> Result<T> {
    get::<Option<T>>(row, column)?
        .ok_or_else(|| PortError::bug(format!("{column} is empty against the row's status")))
}

fn word<T>(row: &QueryResult, column: &str) -> Result<T>
where
    T: std::str::FromStr,
    T::Err: std::error::Error + Send + Sync + 'static,
{
    let text: String = get(row, column)?;
    text.trim_end()
        .parse()
        .map_err(|error| PortError::internal(format!("{column} holds {text:?}"), error))
}

fn money(row: &QueryResult, column: &str) -> Result<Money> {
    Ok(Money::new(get(row, column)?, word::<Currency>(row, "currency")?))
}

fn count<T: TryFrom<i32>>(row: &QueryResult, column: &str) -> Result<T> {
    T::try_from(get::<i32>(row, column)?)
        .map_err(|_| PortError::bug(format!("{column} is out of range")))
}

/// One row more than the page, to learn whether there is a next one.
fn overfetch(page: &PageRequest) -> Value {
    i64::from(page.limit() + 1).into()
}
