//! The sockets that several contexts share. Every port here speaks the
//! kernel's types only; what one context alone needs stands in that context.

pub mod audit;
pub mod clock;
pub mod env;
pub mod error;
pub mod events;
pub mod ids;
pub mod jobs;
pub mod kept;
pub mod keys;
pub mod objects;
pub mod panel;
pub mod registry;
pub mod repository;
pub mod unit_of_work;

pub use audit::{AuditAction, AuditEntry, AuditOutcome};
pub use clock::Clock;
pub use env::Env;
pub use error::{PortError, Result};
pub use events::{Envelope, Event};
pub use ids::Ids;
pub use jobs::{JobRequest, JobSpec};
pub use kept::{Hearing, Kept};
pub use keys::{BlindIndex, ChainKeys, Sealed, Sealer};
pub use macros::Aggregate;
pub use panel::Panel;
pub use registry::{JobFailure, Registry};
pub use repository::{Aggregate, FieldChange, Locked, Repository};
pub use unit_of_work::{IdempotencyKey, UnitOfWork};
