//! Payment methods, invoices, payments and what the payment gateway calls.

mod invoices;
mod payment_methods;
mod webhook;

pub use self::{
    invoices::{
        BillingHistoryView, BillingPaymentView, InvoiceDetailView, InvoiceHistoryView,
        InvoiceLineView, InvoiceSummaryView, InvoicesApi, LedgerPostingView, LedgerTransactionView,
        LedgerView,
    },
    payment_methods::{
        AddPaymentMethod, PaymentMethodView, PaymentMethodsApi, PaymentMethodsView,
        UpdatePaymentMethod,
    },
    webhook::StripeWebhookApi,
};

use kernel::Money;
use poem_openapi::Object;

#[cfg(test)]
mod tests;

/// An amount of money.
#[derive(Debug, Object)]
pub struct BilledAmount {
    /// In minor units of the currency: cents.
    pub minor: i64,
    /// The ISO 4217 code.
    pub currency: String,
}

impl From<Money> for BilledAmount {
    fn from(money: Money) -> Self {
        Self { minor: money.minor, currency: money.currency.code().to_owned() }
    }
}
