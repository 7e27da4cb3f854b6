//! Analytics owns figures about the whole company, made of what the other
//! contexts tell: what subscriptions bring in a month, and how far people come
//! on the way from registering to a delivered box. No figure is about one
//! person, and one that is about too few is withheld.
//!
//! It knows nothing of how a subscription lives or what is prescribed: it asks
//! for a subscription's standing through [`SubscriptionFacts`].
//!
//! **Handles** every event through [`projecting::project`] (handler name
//! [`projecting::HANDLER`]); events that no figure is made of are ignored.
//! **Emits** nothing and has no jobs.

pub mod category;
pub mod error;
pub mod journey;
pub mod projecting;
pub mod reporting;
pub mod revenue;
pub mod store;
pub mod suppression;

pub use category::{CategoryDecision, CategoryFigures, Tally, category_report};
pub use error::AnalyticsError;
pub use journey::{JourneyDay, JourneyStage};
pub use projecting::SubscriptionFacts;
pub use reporting::{ReportSettings, RevenueReport};
pub use revenue::{Charge, Position, Standing};
pub use store::{AnalyticsStore, AnalyticsTx};
pub use suppression::Cell;
