//! salus-pharmacy
