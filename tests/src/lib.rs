//! salus-tests
