//! Compliance: the audit log once it is written. It owns the trail as auditors
//! read and export it, the hash chain over it, the anchors of the chain outside
//! the database, and the verification of all three; and what vendors sent that
//! Salus could not use ([`unread`]). It knows nothing of what
//! the entries are about, and it writes no entry of others: those come from
//! their units of work.
//!
//! # Jobs and handlers
//!
//! It handles no events. Its one job is [`retention::PurgeHistory`], once a day.
//! The server calls [`sealer::step`] at least once a second, and once more when
//! it stops.

pub mod anchor;
pub mod chain;
pub mod entry;
pub mod error;
pub mod export;
pub mod report;
pub mod retention;
pub mod sealer;
pub mod trail;
pub mod unread;
pub mod verify;

pub use anchor::Anchor;
pub use chain::{Hash, Head, Link};
pub use entry::RecordedEntry;
pub use error::ComplianceError;
pub use sealer::{ChainStore, ChainTx};
pub use trail::{AuditStore, AuditTx, TrailFilter};
pub use verify::{Finding, Report};
