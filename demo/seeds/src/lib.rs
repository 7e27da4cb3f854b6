//! Demo data, sown through the use cases of the contexts. Sowing twice changes
//! nothing, and what was changed since is left as it is.

pub mod care;
pub mod catalog;
pub mod identity;
pub mod intake;
pub mod inventory;
pub mod pharmacy;
