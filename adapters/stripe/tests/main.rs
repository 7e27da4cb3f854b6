//! The adapter against Stripe's side of the wire, over HTTP, and billing on top
//! of both with a real PostgreSQL.

mod contests;
mod gateway;
mod paying;
mod support;
mod withdrawing;
