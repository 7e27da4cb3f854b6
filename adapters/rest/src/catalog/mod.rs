//! Categories, plans and prices.

mod categories;
mod comparison;
mod plans;
mod views;

pub use self::{
    categories::{CategoriesApi, CategoriesView, CategoryView},
    plans::PlansApi,
    views::{
        AmountView, CatalogPlanView, CatalogPlansView, ComparisonRow, IntervalWord, ModalityWord,
        PlanRequest, PriceRequest, PriceView, TierWord,
    },
};

#[cfg(test)]
mod tests;
