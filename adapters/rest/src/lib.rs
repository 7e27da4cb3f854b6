//! salus-rest
