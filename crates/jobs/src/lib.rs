//! salus-jobs
