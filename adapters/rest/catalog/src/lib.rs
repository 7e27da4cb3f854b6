//! Categories, plans, prices, articles and feature flags.

mod articles;
mod categories;
mod comparison;
mod flags;
mod plans;
mod views;

pub use self::{
    articles::ArticlesApi,
    categories::{CategoriesApi, CategoriesView, CategoryView},
    flags::FlagsApi,
    plans::PlansApi,
    views::{
        AmountView, CatalogPlanView, CatalogPlansView, ComparisonRow, IntervalWord, PlanRequest,
        PriceRequest, PriceView,
    },
};

#[cfg(test)]
mod tests;
