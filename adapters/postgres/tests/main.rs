//! The stores against a real PostgreSQL.

mod analytics;
mod communication;
mod compliance;
mod platform;
mod prescriptions;
mod records;
mod subscriptions;
