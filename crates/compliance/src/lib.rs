//! salus-compliance
