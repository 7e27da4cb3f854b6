//! The eRx network over HTTPS: NCPDP SCRIPT 2017071 messages, composed and
//! read here, and the client that carries them. It implements
//! `pharmacy::erx::ErxNetwork` and knows nothing of how prescriptions are kept
//! or decided.

mod client;
mod compose;
mod tree;

pub use client::{Credential, ErxClient, ErxSettings};
pub use compose::{Software, acknowledgement, new_rx};
pub use tree::{Element, NotWellFormed};

/// How this vendor is named in errors.
pub const VENDOR: &str = "erx";
