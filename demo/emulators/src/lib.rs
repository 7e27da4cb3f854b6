//! The vendors' side of the wire, for the demo and the tests. Each emulator is
//! written from its vendor's documented behaviour and shares no type with the
//! adapter that speaks to it, so that a mistake in one shows against the other.

pub mod easypost;
pub mod opentok;
pub mod pharmacy;
pub mod smtp;
pub mod state;
pub mod stripe;
