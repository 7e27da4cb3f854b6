//! The audit log's trail and its hash chain.

mod chain;
mod entry;
mod report;
mod trail;
