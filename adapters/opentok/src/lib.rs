//! salus-opentok
