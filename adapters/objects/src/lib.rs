//! salus-objects
