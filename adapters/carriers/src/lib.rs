//! The carriers, by way of EasyPost's API: shipments, labels, trackers and
//! signed webhooks. It knows the vendor's wire and the port that the pharmacy
//! defines; it holds no rule of fulfilment.

mod client;
mod webhook;
mod wire;

pub use client::{EasyPost, EasyPostConfig};
pub use webhook::EasyPostWebhooks;
