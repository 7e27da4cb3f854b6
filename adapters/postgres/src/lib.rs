//! PostgreSQL: the stores of all contexts as one, and the private cluster that serves when
//! no database is given. Each context's store is a crate beside this one; what they share
//! is `core`.

pub mod cluster;
mod stores;

pub use pg as core;
pub use pg::{PgTx, db};

pub use self::stores::Pg;
