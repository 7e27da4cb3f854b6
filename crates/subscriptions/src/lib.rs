//! salus-subscriptions
