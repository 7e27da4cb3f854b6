//! Journeys over HTTP against the built binary, with a private cluster and the
//! vendors' emulators of its own.

mod administration;
mod authorization;
mod bridges;
mod contract;
mod demo;
mod departures;
mod edge;
mod faults;
mod from_nothing;
mod portal;
mod refills;
mod restore;
mod safeguards;
mod server;
mod sign_in;
mod sold;
mod staff;
mod telemetry;
