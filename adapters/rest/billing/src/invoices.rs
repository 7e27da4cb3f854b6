use std::sync::Arc;

use api::{Amount, Caller, PageQuery, Problem, Tag};
use billing::{
    BillingStore, Invoice, InvoiceLine, InvoiceRenderer, InvoiceState, LedgerTransaction, Payment,
    PaymentState, reading,
};
use chrono::{DateTime, NaiveDate, Utc};
use kernel::{InvoiceId, PatientId, Uuid};
use poem_openapi::{
    ApiResponse, Object, OpenApi,
    param::{Path, Query},
    payload::{Binary, Json},
};

pub struct InvoicesApi {
    pub store: Arc<dyn BillingStore>,
    pub renderer: Arc<dyn InvoiceRenderer>,
}

/// A line of an invoice.
#[derive(Debug, Object)]
pub struct InvoiceLineView {
    pub description: String,
    pub quantity: i64,
    pub unit_price: Amount,
    pub amount: Amount,
}

impl From<InvoiceLine> for InvoiceLineView {
    fn from(line: InvoiceLine) -> Self {
        Self {
            description: line.description,
            quantity: line.quantity,
            unit_price: line.unit_price.into(),
            amount: line.amount.into(),
        }
    }
}

/// An invoice.
#[derive(Debug, Object)]
pub struct InvoiceSummaryView {
    pub id: Uuid,
    /// Absent while it is a draft.
    pub number: Option<String>,
    pub patient_id: Uuid,
    pub subscription_id: Uuid,
    /// `draft`, `open`, `paid`, `void` or `uncollectible`.
    pub status: String,
    /// The first day that is billed, in the patient's time zone.
    pub period_first_day: NaiveDate,
    /// The last day that is billed, in the patient's time zone.
    pub period_last_day: NaiveDate,
    pub total: Amount,
    pub lines: Vec<InvoiceLineView>,
    pub finalized_at: Option<DateTime<Utc>>,
    pub paid_at: Option<DateTime<Utc>>,
}

impl From<Invoice> for InvoiceSummaryView {
    fn from(invoice: Invoice) -> Self {
        let finalized = invoice.finalized.as_ref();
        Self {
            id: invoice.id.uuid(),
            number: finalized.map(|finalized| finalized.number.to_string()),
            patient_id: invoice.patient.uuid(),
            subscription_id: invoice.subscription.uuid(),
            status: invoice.state.word().to_owned(),
            period_first_day: invoice.period.first_day(),
            period_last_day: invoice.period.last_day(),
            total: invoice.total.into(),
            finalized_at: finalized.map(|finalized| finalized.at),
            paid_at: match invoice.state {
                InvoiceState::Paid { at } => Some(at),
                _ => None,
            },
            lines: invoice.lines.into_iter().map(Into::into).collect(),
        }
    }
}

/// An attempt to charge an invoice.
#[derive(Debug, Object)]
pub struct BillingPaymentView {
    pub id: Uuid,
    pub invoice_id: Uuid,
    pub payment_method_id: Uuid,
    pub amount: Amount,
    /// The how-manieth attempt with this payment method, from 1.
    pub attempt: u32,
    /// `intended`, `processing`, `confirming`, `requires_action`, `succeeded`,
    /// `failed` or `canceled`.
    pub status: String,
    /// Why it failed, in the card network's word, as in `insufficient_funds`.
    pub decline_code: Option<String>,
    /// What contests it, with the gateway's last word, as in
    /// `dispute:needs_response` or `refund:succeeded`.
    pub contest: Option<String>,
    /// When it is tried again, where it is.
    pub retry_at: Option<DateTime<Utc>>,
    pub created_at: DateTime<Utc>,
    pub updated_at: DateTime<Utc>,
}

impl From<Payment> for BillingPaymentView {
    fn from(payment: Payment) -> Self {
        Self {
            id: payment.id.uuid(),
            invoice_id: payment.invoice.uuid(),
            payment_method_id: payment.method.uuid(),
            amount: payment.amount.into(),
            attempt: payment.attempt,
            status: payment.state.word().to_owned(),
            decline_code: match payment.state {
                PaymentState::Failed { decline, .. } => Some(decline.code),
                _ => None,
            },
            contest: payment.contest,
            retry_at: payment.retry_at,
            created_at: payment.created_at,
            updated_at: payment.updated_at,
        }
    }
}

/// An invoice with the attempts to charge it.
#[derive(Debug, Object)]
pub struct InvoiceDetailView {
    pub invoice: InvoiceSummaryView,
    /// The oldest first.
    pub payments: Vec<BillingPaymentView>,
}

/// A page of a patient's invoices, the newest first.
#[derive(Debug, Object)]
pub struct InvoiceHistoryView {
    pub invoices: Vec<InvoiceSummaryView>,
    /// The `cursor` of the next page; absent on the last one.
    pub next: Option<String>,
}

/// A page of a patient's payments, the newest first.
#[derive(Debug, Object)]
pub struct BillingHistoryView {
    pub payments: Vec<BillingPaymentView>,
    /// The `cursor` of the next page; absent on the last one.
    pub next: Option<String>,
}

/// One side of a ledger transaction.
#[derive(Debug, Object)]
pub struct LedgerPostingView {
    /// `accounts_receivable`, `cash`, `deferred_revenue`, `revenue` or
    /// `bad_debt`.
    pub account: String,
    /// `debit` or `credit`.
    pub side: String,
    pub amount: Amount,
}

/// A transaction of the ledger; its debits and credits are equal.
#[derive(Debug, Object)]
pub struct LedgerTransactionView {
    pub id: Uuid,
    /// As in `invoice_finalized` or `payment_received`.
    pub kind: String,
    pub invoice_id: Uuid,
    pub payment_id: Option<Uuid>,
    pub postings: Vec<LedgerPostingView>,
    pub occurred_at: DateTime<Utc>,
}

impl From<LedgerTransaction> for LedgerTransactionView {
    fn from(transaction: LedgerTransaction) -> Self {
        Self {
            id: transaction.id,
            kind: transaction.kind.to_string(),
            invoice_id: transaction.invoice.uuid(),
            payment_id: transaction.payment.map(|id| id.uuid()),
            postings: transaction
                .postings
                .into_iter()
                .map(|posting| LedgerPostingView {
                    account: posting.account.to_string(),
                    side: posting.side.to_string(),
                    amount: posting.amount.into(),
                })
                .collect(),
            occurred_at: transaction.occurred_at,
        }
    }
}

/// A page of a patient's ledger, the newest first.
#[derive(Debug, Object)]
pub struct LedgerView {
    pub transactions: Vec<LedgerTransactionView>,
    /// The `cursor` of the next page; absent on the last one.
    pub next: Option<String>,
}

/// The invoice as a document.
#[derive(ApiResponse)]
pub enum InvoiceDocumentResponse {
    /// The invoice as PDF.
    #[oai(status = 200, content_type = "application/pdf")]
    Pdf(
        Binary<Vec<u8>>,
        /// Names the file after the number of the invoice.
        #[oai(header = "Content-Disposition")]
        String,
    ),
}

#[OpenApi(tag = "Tag::Billing")]
impl InvoicesApi {
    /// Read an invoice
    ///
    /// The invoice with every attempt to charge it.
    #[oai(path = "/api/invoices/:id", method = "get", operation_id = "getInvoice")]
    async fn get(
        &self,
        caller: Caller,
        id: Path<Uuid>,
    ) -> Result<Json<InvoiceDetailView>, Problem> {
        let (invoice, payments) =
            reading::invoice(self.store.as_ref(), caller.actor(), InvoiceId(id.0)).await?;
        let payments = payments.into_iter().map(Into::into).collect();
        Ok(Json(InvoiceDetailView { invoice: invoice.into(), payments }))
    }

    /// Download an invoice
    ///
    /// The finalized invoice as PDF; the same invoice always gives the same
    /// bytes until it is paid.
    #[oai(path = "/api/invoices/:id/pdf", method = "get", operation_id = "downloadInvoice")]
    async fn pdf(
        &self,
        caller: Caller,
        id: Path<Uuid>,
    ) -> Result<InvoiceDocumentResponse, Problem> {
        let (store, renderer) = (self.store.as_ref(), self.renderer.as_ref());
        let pdf = reading::invoice_pdf(store, renderer, caller.actor(), InvoiceId(id.0)).await?;
        let disposition = format!("attachment; filename=\"{}.pdf\"", pdf.number);
        Ok(InvoiceDocumentResponse::Pdf(Binary(pdf.bytes), disposition))
    }

    /// List a patient's invoices
    ///
    /// All but the drafts, the newest first.
    #[oai(path = "/api/invoices/history/:user_id", method = "get", operation_id = "listInvoices")]
    async fn history(
        &self,
        caller: Caller,
        user_id: Path<Uuid>,
        limit: Query<Option<u32>>,
        cursor: Query<Option<String>>,
    ) -> Result<Json<InvoiceHistoryView>, Problem> {
        let page = PageQuery::read(limit, cursor)?;
        let (store, patient) = (self.store.as_ref(), PatientId(user_id.0));
        let page = reading::invoices(store, caller.actor(), patient, &page).await?;
        let invoices = page.items.into_iter().map(Into::into).collect();
        Ok(Json(InvoiceHistoryView { invoices, next: page.next }))
    }

    /// List a patient's payments
    ///
    /// Every attempt to charge the patient, the newest first.
    #[oai(
        path = "/api/billing/history/:user_id",
        method = "get",
        operation_id = "listBillingHistory"
    )]
    async fn payments(
        &self,
        caller: Caller,
        user_id: Path<Uuid>,
        limit: Query<Option<u32>>,
        cursor: Query<Option<String>>,
    ) -> Result<Json<BillingHistoryView>, Problem> {
        let page = PageQuery::read(limit, cursor)?;
        let (store, patient) = (self.store.as_ref(), PatientId(user_id.0));
        let page = reading::payments(store, caller.actor(), patient, &page).await?;
        let payments = page.items.into_iter().map(Into::into).collect();
        Ok(Json(BillingHistoryView { payments, next: page.next }))
    }

    /// List a patient's ledger
    ///
    /// The double-entry transactions of the patient's invoices, the newest
    /// first.
    #[oai(
        path = "/api/billing/transactions/:user_id",
        method = "get",
        operation_id = "listBillingTransactions"
    )]
    async fn transactions(
        &self,
        caller: Caller,
        user_id: Path<Uuid>,
        limit: Query<Option<u32>>,
        cursor: Query<Option<String>>,
    ) -> Result<Json<LedgerView>, Problem> {
        let page = PageQuery::read(limit, cursor)?;
        let (store, patient) = (self.store.as_ref(), PatientId(user_id.0));
        let page = reading::ledger(store, caller.actor(), patient, &page).await?;
        let transactions = page.items.into_iter().map(Into::into).collect();
        Ok(Json(LedgerView { transactions, next: page.next }))
    }
}
