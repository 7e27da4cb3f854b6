//! What every context's operations share: who calls, how errors look, how
//! bodies and idempotency keys are read, and what surrounds every request.

mod answer;
mod arriving;
mod body;
mod caller;
mod decimal;
mod feature;
mod idempotency;
mod input;
mod json;
mod limits;
mod methods;
mod money;
mod page;
mod permits;
mod problem;
mod proxies;
mod request;
mod text;
mod upload;
mod version;

pub use self::{
    answer::{Created, Done, Made, Versioned, entity_tag},
    arriving::Pace,
    body::Body,
    caller::{Authenticator, Caller, DenialLog, Enrolling, Visitor},
    decimal::Exact,
    feature::FeatureView,
    idempotency::{idempotency_key, idempotency_key_on},
    input::SoundInput,
    limits::{CallerTier, Limits, Quotas, Standing, Tiers, drawn},
    methods::Methods,
    money::Amount,
    page::PageQuery,
    problem::{Problem, ProblemBody, ProblemField, RETRY_AFTER},
    proxies::{Proxies, ProxyHeader},
    request::{Answering, Dialect, Surround, Within, current_request_id, request_context},
    text::Text,
    upload::{PhotoLimit, PhotoUpload},
    version::{IfMatch, any_or_one, one_version, seen_version},
};

pub use macros::Mirror;
#[doc(hidden)]
pub use poem_openapi::types::Example;

/// The example of a body: `api::example!(EmailRequest { email: "ada@example.com".into() });`.
#[macro_export]
macro_rules! example {
    ($name:ident $fields:tt) => {
        impl $crate::Example for $name {
            fn example() -> Self {
                $name $fields
            }
        }
    };
}

/// What an operation answers.
pub type Result<T, E = Problem> = std::result::Result<T, E>;

/// What an operation answers with status 200 and a body.
pub type Answer<T> = Result<poem_openapi::payload::Json<T>>;

/// The groups of operations in the document.
#[derive(poem_openapi::Tags)]
pub enum Tag {
    /// Registration, sign-in, sessions and permissions.
    Identity,
    /// Categories, plans and prices.
    Catalog,
    /// Questionnaires, drafts and responses.
    Intake,
    /// Eligibility, review, treatment plans, tasks and video consultations.
    Care,
    /// Prescriptions, inventory, dispatch and shipments.
    Pharmacy,
    /// The life cycle of subscriptions.
    Subscriptions,
    /// Payment methods, invoices and payments.
    Billing,
    /// Threads, messages and notifications.
    Communication,
    /// What patients report of their own record.
    Records,
    /// Aggregate figures without PHI.
    Analytics,
    /// The audit trail and its exports.
    Compliance,
    /// What vendors call.
    Webhooks,
}
