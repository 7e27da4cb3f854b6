//! salus-intake
