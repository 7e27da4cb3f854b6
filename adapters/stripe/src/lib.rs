//! salus-stripe
