//! The OpenAPI surface as a whole: the operations of each context, which are
//! crates of their own, and what they share. Handlers parse, call one use case
//! and map its answer; they hold no rule and know no database and no vendor.

pub mod surface;

pub use api as core;
pub use rest_analytics as analytics;
pub use rest_billing as billing;
pub use rest_care as care;
pub use rest_catalog as catalog;
pub use rest_communication as communication;
pub use rest_compliance as compliance;
pub use rest_identity as identity;
pub use rest_intake as intake;
pub use rest_pharmacy::{fulfilment, prescriptions};
pub use rest_records as records;
pub use rest_subscriptions::{self as subscriptions, access};
