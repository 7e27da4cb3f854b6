//! salus-analytics
