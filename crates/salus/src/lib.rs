//! salus
