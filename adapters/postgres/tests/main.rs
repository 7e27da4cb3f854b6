//! The stores against a real PostgreSQL.

mod analytics;
mod communication;
mod platform;
mod prescriptions;
mod subscriptions;
