//! Every store on PostgreSQL, a module for each context, and the private
//! cluster that serves when no database is given. It knows the contexts' store
//! traits and rows; it holds no business rule.

pub mod analytics;
pub mod billing;
pub mod care;
mod catalog;
pub mod cluster;
pub mod communication;
mod compliance;
pub mod core;
mod fulfilment;
mod identity;
mod intake;
pub(crate) mod prescriptions;
mod reach;
mod records;
mod subscriptions;

pub use crate::core::{Pg, PgTx, db};
