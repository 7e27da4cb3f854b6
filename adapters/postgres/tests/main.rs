//! The stores against a real PostgreSQL.

mod analytics;
mod communication;
mod platform;
mod prescriptions;
mod compliance;
mod records;
mod subscriptions;
