//! salus-care
