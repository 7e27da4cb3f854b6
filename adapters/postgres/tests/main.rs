//! The stores against a real PostgreSQL.

mod analytics;
mod billing;
mod care;
mod care_rules;
mod catalog;
mod communication;
mod compliance;
mod deliveries;
mod engine;
mod fulfilment;
mod identity;
mod identity_factors;
mod identity_roles;
mod identity_sessions;
mod identity_takeover;
mod intake;
mod intake_photos;
mod jobs;
mod platform;
mod prescriptions;
mod records;
mod subscriptions;
