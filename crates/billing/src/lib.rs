//! salus-billing
