//! salus-identity
