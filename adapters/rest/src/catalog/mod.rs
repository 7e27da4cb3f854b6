//! Categories, plans, prices and feature flags.

mod categories;
mod comparison;
mod flags;
mod plans;
mod views;

pub use self::{
    categories::{CategoriesApi, CategoriesView, CategoryView},
    flags::FlagsApi,
    plans::PlansApi,
    views::{
        AmountView, CatalogPlanView, CatalogPlansView, ComparisonRow, IntervalWord, ModalityWord,
        PlanRequest, PriceRequest, PriceView, TierWord,
    },
};

#[cfg(test)]
mod tests;
