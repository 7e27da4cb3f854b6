//! The OpenAPI surface: a module for each context, and in `core` what they
//! share. Handlers parse, call one use case and map its answer; they hold no
//! rule and know no database and no vendor.

pub mod access;
pub mod analytics;
pub mod billing;
pub mod care;
pub mod catalog;
pub mod communication;
pub mod compliance;
pub mod fulfilment;
pub mod identity;
pub mod intake;
pub mod prescriptions;
pub mod records;
pub mod subscriptions;
pub mod surface;

pub use api as core;
