//! The runtime of everything that happens after a commit: jobs, the relay of
//! the outbox, deliveries to handlers and schedules, on the queue in the
//! database. It knows no context: what a job does is registered from outside.
//!
//! The commit that tells of an event enqueues a delivery for each interested
//! handler. Each delivery is retried on its own, so that one failing handler
//! never holds up or repeats another. A process without handlers, such as a
//! command, enqueues a relay, and the server that takes it makes the deliveries.

mod registry;
mod runtime;
mod supervise;
mod tasks;

pub use registry::{JobFailure, Registry};
pub use runtime::{Backlog, Runtime, RuntimeError, RuntimeSettings};
pub use supervise::{Liveness, supervise};
