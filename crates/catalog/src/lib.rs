//! salus-catalog
