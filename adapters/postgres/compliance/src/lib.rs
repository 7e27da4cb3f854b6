//! The audit log's trail, its hash chain, and what is kept for how long.

mod chain;
mod entry;
mod report;
mod retention;
mod trail;
mod unread;

pub use chain::Chain;

pg::store!(Tx {});
