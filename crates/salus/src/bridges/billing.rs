//! Billing asks subscriptions and the catalogue what a period costs.
