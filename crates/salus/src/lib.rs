//! The binary: configuration, wiring, the bridges between contexts, and the
//! commands. It owns no rule; it knows everything, so that nothing else has to.

pub mod bridges;
pub mod commands;
pub mod config;
mod edge;
pub mod emulation;
pub mod health;
pub mod sealer;
pub mod store;
pub mod system;
pub mod telemetry;
pub mod wiring;
