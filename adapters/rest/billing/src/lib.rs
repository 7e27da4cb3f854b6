//! Payment methods, invoices, payments and what the payment gateway calls.

mod invoices;
mod payment_methods;
mod tasks;
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
    tasks::{BillingTaskPage, BillingTaskView, BillingTasksApi, CompleteBillingTask},
    webhook::StripeWebhookApi,
};
