//! Stripe as the payment gateway of billing: customers, payment methods and
//! payment intents through its API, and its signed webhooks.
//!
//! It owns the mapping between billing's words and Stripe's, and what each of
//! Stripe's failures means for whether something was done. It knows no
//! invoice, no subscription and no database.

mod gateway;
mod signature;
mod webhook;

use std::time::Duration;

pub use self::{
    gateway::StripeGateway,
    signature::{TOLERANCE, sign, verify},
    webhook::StripeWebhooks,
};

/// How Stripe is reached.
#[derive(Clone)]
pub struct StripeConfig {
    /// `https://api.stripe.com/`, or that of an emulator.
    pub base_url: String,
    /// As in `sk_live_…`.
    pub secret_key: String,
    /// For one call, its answer's body included.
    pub timeout: Duration,
}

impl std::fmt::Debug for StripeConfig {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("StripeConfig")
            .field("base_url", &self.base_url)
            .field("timeout", &self.timeout)
            .finish_non_exhaustive()
    }
}

/// How errors name this vendor.
pub(crate) const VENDOR: &str = "stripe";
