//! salus-migrations
