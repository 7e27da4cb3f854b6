//! The stores against a real PostgreSQL.

mod platform;
mod subscriptions;
