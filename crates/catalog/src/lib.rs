//! The catalog: what Salus treats and what it sells. It owns categories of
//! treatment, the plans of a category and the price tiers of a plan, the
//! articles that they open, and the flags by which features are rolled out.
//!
//! It knows nothing of patients, subscriptions or invoices. A price that was
//! once offered never changes its amount: a new amount is a new price, so that
//! whoever subscribed keeps the price that was agreed.
//!
//! It handles no events and has no jobs.

pub mod article;
pub mod articles;
pub mod category;
pub mod comparison;
pub mod error;
pub mod flag;
pub mod flags;
pub mod plan;
pub mod price;
pub mod revision;
pub mod rollout;
pub mod shown;
pub mod store;
pub mod use_cases;

pub use article::{Article, ArticleSpec};
pub use category::{Category, CategoryConfiguration, CategorySpec, Modality};
pub use comparison::{ComparedFeature, ComparedRow, Comparison};
pub use error::CatalogError;
pub use flag::{Cohort, FeatureFlag, FlagSpec, Standing, Subject};
pub use plan::{ActivationWindow, Plan, PlanSpec, Tier};
pub use price::{BillingInterval, Price, PriceSpec};
pub use revision::{EntryKind, FieldChange, Revision};
pub use rollout::{Audience, Rollout};
pub use shown::Shown;
pub use store::{CatalogStore, CatalogTx, PlanFilter};
pub use use_cases::{
    PricedPlan, all_categories, all_plans, categories, category, compare_plans, create_category,
    create_plan, deactivate_plan, plan, plans, price, revise_category, revise_plan, save_category,
    seed_plan,
};
