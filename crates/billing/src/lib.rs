//! Billing: payment methods, invoices, payments and the ledger. Salus owns its
//! invoices; a payment gateway only moves the money.
//!
//! It owns the rules of when an invoice is numbered and frozen, what may be
//! charged when, what a decline means, and that every posting balances. It
//! knows nothing of what a subscription is beyond its id and the period that
//! it is billed for, nothing of HTTP or SQL, and no gateway by name.
//!
//! # What it handles
//!
//! | event | handler |
//! |---|---|
//! | `SubscriptionStarted` | [`invoicing::on_subscription_started`] |
//! | `SubscriptionPeriodStarted` | [`invoicing::on_subscription_period_started`] |
//! | `SubscriptionCanceled` | [`withdraw::on_subscription_canceled`] |
//! | `PrescriptionChanged`, `FillHeld` | [`stopped::on_stopped`] |
//! | `InvoicePaid` | [`stopped::on_invoice_paid`] |
//!
//! # Its jobs
//!
//! | kind | what it does |
//! |---|---|
//! | [`charge::ChargeInvoice`] | [`charge::charge_invoice`] |
//! | [`settlement::SettlePayment`] | [`settlement::settle_payment`] |
//! | [`settlement::SweepPayments`] | [`settlement::sweep_payments`], every minute |
//! | [`contest::CheckContests`] | [`contest::check_contests`] |
//! | [`withdraw::WithdrawInvoice`] | [`withdraw::withdraw_invoice`] |
//! | [`payment_methods::DetachPaymentMethod`] | [`payment_methods::detach_payment_method`] |

pub mod charge;
pub mod contest;
pub mod decision;
pub mod error;
pub mod gateway;
pub mod invoice;
pub mod invoicing;
pub mod ledger;
pub mod notices;
pub mod outside;
pub mod payment;
pub mod payment_method;
pub mod payment_methods;
pub mod reading;
pub mod render;
pub mod retry;
pub mod settlement;
pub mod staff_task;
pub mod stopped;
pub mod store;
pub mod withdraw;

pub use charge::ChargeInvoice;
pub use error::BillingError;
pub use gateway::{
    CardDetails, ChargeRequest, Decline, DeclineKind, GatewayIntent, IntentStatus, PaymentGateway,
};
pub use invoice::{Invoice, InvoiceLine, InvoiceNumber, InvoiceState, Parties, Party, Period};
pub use ledger::{Account, LedgerKind, LedgerTransaction, Posting, Side};
pub use notices::{GatewayNotice, InvalidNotice, NoticeVerifier, OpenedNotice};
pub use outside::{BillablePeriod, Catalogue, Customers, Subscriptions};
pub use payment::{Payment, PaymentState};
pub use payment_method::{PaymentMethod, PaymentMethodState};
pub use render::{InvoiceDocument, InvoiceRenderer};
pub use retry::{Retry, RetryPolicy};
pub use settlement::{SettlePayment, SweepPayments};
pub use store::{BillingCustomer, BillingStore, BillingTx, Lookup};
pub use withdraw::WithdrawInvoice;
