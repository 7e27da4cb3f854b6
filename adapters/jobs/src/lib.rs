//! The runtime of jobs and schedules, on the queue in the database. It knows no
//! context: what a job does is registered from outside.

mod runtime;
mod supervise;
mod tasks;

pub use runtime::{Backlog, Runtime, RuntimeError, RuntimeSettings};
pub use supervise::{Liveness, supervise};
