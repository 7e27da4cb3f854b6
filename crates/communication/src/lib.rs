//! salus-communication
