//! salus-postgres
