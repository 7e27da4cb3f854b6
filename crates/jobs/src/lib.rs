//! The runtime of everything that happens after a commit: jobs, the relay of
//! the outbox, deliveries to handlers and schedules, on the queue in the
//! database. It knows no context: what a job does is registered from outside.
//!
//! An event takes two hops. The commit that wrote it also enqueued its relay;
//! the relay enqueues a delivery for each interested handler, under a key of
//! event and handler; each delivery is then retried on its own, so that one
//! failing handler never holds up or repeats another.

mod registry;
mod runtime;
mod supervise;
mod tasks;

pub use registry::{JobFailure, Registry};
pub use runtime::{Backlog, Runtime, RuntimeError, RuntimeSettings};
pub use supervise::{Liveness, supervise};
