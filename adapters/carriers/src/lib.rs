//! salus-carriers
