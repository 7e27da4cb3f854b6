//! salus-erx
