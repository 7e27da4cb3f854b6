//! Subscriptions: who has bought which plan of which category, on what terms,
//! for which periods, and what that entitles them to.
//!
//! It owns the life cycle of a subscription, its periods, its history and the
//! express consent that began it. It knows nothing about invoices, cards or
//! drugs: billing tells it that an invoice was paid or failed, and it tells
//! billing that a period began.
//!
//! **Events handled**
//!
//! | event | handler |
//! |---|---|
//! | `InvoicePaid` | [`handlers::on_invoice_paid`] |
//! | `PaymentFailed` | [`handlers::on_payment_failed`] |
//! | `SubscriptionStarted` | [`treatment::on_subscription_started`] |
//! | `TreatmentPlanCreated`, `TreatmentPlanModified` | [`treatment::on_treatment_changed`] |
//! | `TreatmentPlanEnded` | [`treatment::on_treatment_plan_ended`] |
//!
//! **Jobs**
//!
//! | kind | work |
//! |---|---|
//! | `subscriptions.renew` | [`renewal::renew`] |
//!
//! **Events emitted**: `SubscriptionStarted`, `SubscriptionActivated`,
//! `SubscriptionPeriodStarted`, `SubscriptionCanceled`, `SubscriptionStopped`,
//! `SubscriptionMismatched`.
//!
//! **Needed from outside**: [`Approvals`], [`Prices`], [`PatientZones`]
//! and [`access::Offers`].

pub mod access;
pub mod error;
pub mod handlers;
pub mod manage;
pub mod period;
pub mod renewal;
pub mod start;
pub mod store;
pub mod subscription;
pub mod treatment;

pub use error::SubscriptionError;
pub use period::{BillingInterval, Period};
pub use start::{Approvals, PatientZones, PriceTerms, Prices, Shop, StartSubscription, Supply};
pub use store::{SubscriptionsStore, SubscriptionsTx};
pub use subscription::{Change, ChangeReason, Consent, State, StateWord, Subscription, Tier};
