//! The catalog: what Salus treats and what it sells. It owns categories of
//! treatment, the plans of a category and the price tiers of a plan, the
//! articles that they open, and the flags by which features are rolled out.
//!
//! It knows nothing of patients, subscriptions or invoices. A price that was
//! once offered never changes its amount: a new amount is a new price, so that
//! whoever subscribed keeps the price that was agreed.
//!
//! It handles no events and has no jobs.

pub mod articles;
pub mod categories;
pub mod comparison;
pub mod error;
pub mod flag;
pub mod flags;
pub mod plan;
pub mod plans;
pub mod price;
pub mod rollout;
pub mod shown;
pub mod store;

pub use articles::{Article, ArticleSpec};
pub use categories::{
    Category, CategoryConfiguration, CategorySpec, Modality, all_categories, categories, category,
    create_category, revise_category, save_category,
};
pub use comparison::{ComparedFeature, ComparedRow, Comparison};
pub use error::CatalogError;
pub use flag::{Cohort, FeatureFlag, FlagSpec, Standing, Subject};
pub use plan::{ActivationWindow, Plan, PlanSpec, Tier};
pub use plans::{
    PricedPlan, all_plans, compare_plans, create_plan, deactivate_plan, plan, plans, price,
    revise_plan, seed_plan,
};
pub use price::{BillingInterval, Price, PriceSpec};
pub use rollout::{Audience, Rollout};
pub use shown::Shown;
pub use store::{CatalogStore, CatalogTx, PlanFilter};
